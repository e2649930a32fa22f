package pgstore_test

import (
	"flag"
	"math/rand/v2"
	"testing"
	"time"
)

var (
	soakFor  = flag.Duration("ledger-for", time.Minute, "how long each of the tests with random work goes on; 5 s with -short")
	soakSeed = flag.Uint64("ledger-seed", 0, "seed of random work, printed by a run before; 0 takes another one each time")
)

// duration is how long a test with random work goes on.
func duration() time.Duration {
	if testing.Short() {
		return min(*soakFor, 5*time.Second)
	}
	return *soakFor
}

// seed is that of a test with random work. It is printed.
func seed(t *testing.T) uint64 {
	t.Helper()
	s := *soakSeed
	if s == 0 {
		s = rand.Uint64()
	}
	t.Logf("-ledger-seed %d", s)
	return s
}
