package faults

import (
	"math/rand/v2"
	"time"
)

// plan is what happens in a round. It follows from the seed.
type plan struct {
	seed    uint64
	traffic time.Duration // How long new requests are made.
	faults  []planned
}

// planned is one fault of a round.
type planned struct {
	kind  int // Place in kinds.
	at    time.Duration
	lasts time.Duration
	rng   *rand.Rand
}

func newPlan(seed uint64) plan {
	rng := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // To be repeatable.
	p := plan{seed: seed, traffic: time.Duration(1200+rng.IntN(1000)) * time.Millisecond}
	// Two kinds go by turns, so that seeds in a row have them all; the rest falls as it may.
	wanted := []int{int(2 * seed % uint64(len(kinds))), int((2*seed + 1) % uint64(len(kinds)))} //nolint:gosec // Small.
	for range rng.IntN(4) {
		wanted = append(wanted, rng.IntN(len(kinds)))
	}
	seen := map[int]bool{}
	for i, k := range wanted {
		at := time.Duration(rng.Int64N(int64(p.traffic * 3 / 4)))
		lasts := time.Duration(50+rng.IntN(1150)) * time.Millisecond
		if !seen[k] {
			seen[k] = true
			p.faults = append(p.faults, planned{kind: k, at: at, lasts: lasts, rng: rand.New(rand.NewPCG(seed, uint64(2000+i)))}) //nolint:gosec // As above.
		}
	}
	return p
}
