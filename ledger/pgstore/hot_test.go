package pgstore_test

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
)

var hotFor = flag.Duration("ledger-hot-for", 3*time.Second, "how long 64 workers spend the credits of one user")

// 64 workers spend the credits of one user, who has 100 and permits 50 a day.
func TestOneUserOfManyWorkers(t *testing.T) {
	t.Parallel()
	b := setup(t, pgstore.Settings{})
	b.grant(t, b.user.ID, 100*ledger.Credit)
	// Where it is about noon, so that the day does not end meanwhile.
	m := b.mandate(t, b.user.ID, ledger.Rules{MaxPerDay: credits(50), TimeZone: fmt.Sprintf("Etc/GMT%+d", time.Now().UTC().Hour()-12)})

	var mu sync.Mutex
	var took []time.Duration
	captured, refusals := 0, map[ledger.Rule]int{}
	deadline := time.Now().Add(*hotFor)
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for time.Now().Before(deadline) && !t.Failed() {
				begin := time.Now()
				a, err := b.authorize(context.Background(), m, ledger.Credit)
				d := time.Since(begin)
				ok := err == nil
				if ok {
					_, err = b.Capture(context.Background(), b.call(runner), a.Hold.ID, ledger.CaptureInput{})
				}
				mu.Lock()
				took = append(took, d)
				switch e, refused := err.(*ledger.Error); { //nolint:errorlint // Ours, and not wrapped.
				case err == nil:
					captured++
				case !ok && refused && e.Code == ledger.CodeMandateDenied && len(e.Violations) == 1:
					refusals[e.Violations[0].Rule]++
				default:
					t.Errorf("not a right refusal: %v", err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(took)
	t.Logf("%d captured, %v refused in %s; authorize took p50 %s, p99 %s", captured, refusals, *hotFor, took[len(took)/2].Round(10*time.Microsecond), took[len(took)*99/100].Round(10*time.Microsecond))
	require.Equal(t, 50, captured)
	require.Len(t, refusals, 1)
	require.Positive(t, refusals[ledger.RuleMaxPerDay])
	require.Equal(t, ledger.Balance{UserID: b.user.ID, Posted: 50 * ledger.Credit, Available: 50 * ledger.Credit}, b.balance(t, b.user.ID))
	b.settled(t)
}
