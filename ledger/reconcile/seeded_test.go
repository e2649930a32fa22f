package reconcile_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/reconcile"
)

var (
	seeded     = flag.Int("recon-executions", 10_000, "executions of the seeded reconciliation")
	seededSeed = flag.Uint64("recon-seed", 0, "seed of it; 0 takes one from the clock")
)

// planned is a run with what goes wrong with it.
type planned struct {
	id   string
	user int
	cost ledger.Credits
	want ledger.ReconState // of what is wrong; empty for nothing

	dropped, doubled, missing bool
	told                      ledger.Credits // by telemetry
}

// plan draws runs: of 1 % telemetry is dropped, 1 % it has twice, 1 % it tells another amount, and 0.5 % were not captured.
func plan(rng *rand.Rand, n, users int) []planned {
	runs := make([]planned, n)
	for i := range runs {
		var id uuid.UUID
		for j := range id {
			id[j] = byte(rng.UintN(256))
		}
		cost := ledger.Credits(1 + rng.Int64N(int64(3*ledger.Credit)))
		runs[i] = planned{id: id.String(), user: rng.IntN(users), cost: cost, told: cost}
		if i%7 == 0 {
			runs[i].id = fmt.Sprintf("Run-%d é %x", i, id[:4]) // Ids need be no UUIDs; these sort otherwise by language than by bytes.
		}
	}
	rng.Shuffle(n, func(i, j int) { runs[i], runs[j] = runs[j], runs[i] })
	take := func(share int) []planned {
		var part []planned
		part, runs = runs[:n*share/1000], runs[n*share/1000:]
		return part
	}
	var all []planned
	for _, r := range take(10) {
		r.dropped, r.want = true, ledger.ReconMissingInTelemetry
		all = append(all, r)
	}
	for _, r := range take(10) {
		r.doubled, r.want = true, ledger.ReconDrift
		all = append(all, r)
	}
	for _, r := range take(10) {
		r.told, r.want = r.cost+ledger.Credits(1+rng.Int64N(1000)), ledger.ReconDrift
		if rng.IntN(2) == 0 {
			r.told = r.cost / 2
		}
		all = append(all, r)
	}
	for _, r := range take(5) {
		r.missing, r.want = true, ledger.ReconMissingInLedger
		all = append(all, r)
	}
	all = append(all, runs...)
	rng.Shuffle(n, func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

func TestSeededRun(t *testing.T) {
	t.Parallel()
	seed := *seededSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	const users = 16
	b := setup(t, enginetest.ClickHouse(t), enginetest.Postgres(t), users)
	runs := plan(rand.New(rand.NewPCG(seed, 1)), *seeded, users)
	want := map[string]ledger.ReconState{}
	for _, r := range runs {
		if r.want != "" {
			want[r.id] = r.want
		}
	}

	began := time.Now()
	var workers sync.WaitGroup
	failed := make(chan error, users)
	for user := range users { // Each with runs of one user, which would wait for each other.
		workers.Go(func() {
			for i, r := range runs {
				if r.user != user {
					continue
				}
				hold, err := b.authorize(t.Context(), r.id, r.user, r.cost+ledger.Credits(i%3))
				switch {
				case err != nil:
				case !r.missing:
					_, err = b.Capture(t.Context(), b.call(operator), hold, ledger.CaptureInput{Amount: &r.cost})
				case i%2 == 0:
					_, err = b.Release(t.Context(), b.call(operator), hold)
				}
				if err != nil {
					failed <- fmt.Errorf("run %s: %w", r.id, err)
					return
				}
			}
		})
	}
	workers.Wait()
	select {
	case err := <-failed:
		require.NoError(t, err)
	default:
	}
	var rows []string
	for _, r := range runs {
		if !r.dropped {
			rows = append(rows, b.row(r.id, r.user, r.told))
		}
		if r.doubled {
			rows = append(rows, b.row(r.id, r.user, r.told))
		}
	}
	b.insert(t, rows)
	filled := time.Since(began)

	// Others that agree: a run that cost nothing and is not captured, one of which telemetry knows nothing and that was
	// released, and one of which support gave something back.
	b.charge(t, "refunded", 0, 5*ledger.Credit)
	b.use(t, "refunded", 0, 5*ledger.Credit)
	_, err := b.authorize(t.Context(), "free", 1, ledger.Credit)
	require.NoError(t, err)
	b.use(t, "free", 1, 0)
	hold, err := b.authorize(t.Context(), "released", 2, ledger.Credit)
	require.NoError(t, err)
	_, err = b.Release(t.Context(), b.call(operator), hold)
	require.NoError(t, err)
	one := ledger.Credit
	refunded, err := b.Transactions(t.Context(), operator, ledger.TransactionFilter{ExecutionID: "refunded"}, ledger.Page{})
	require.NoError(t, err)
	_, err = b.Refund(t.Context(), b.call(operator), refunded.Items[0].ID, ledger.RefundInput{Amount: &one})
	require.NoError(t, err)

	began = time.Now()
	run, found := b.run(t, reconcile.Config{})
	took := time.Since(began)
	require.Equal(t, want, found, "seed %d", seed)
	counts := map[ledger.ReconState]int64{}
	for _, s := range found {
		counts[s]++
	}
	t.Logf("seed %d: %d executions, filled in %.1f s, reconciled in %.2f s: %d matched, %d drift, %d missing in the ledger, %d missing in telemetry; listed are exactly the %d that were planned",
		seed, run.Executions, filled.Seconds(), took.Seconds(), run.Matched, run.Drift, run.MissingInLedger, run.MissingInTelemetry, len(want))
	require.EqualValues(t, len(runs)+3, run.Executions)
	require.EqualValues(t, len(runs)+3-len(want), run.Matched)
	require.Equal(t, []int64{counts[ledger.ReconDrift], counts[ledger.ReconMissingInLedger], counts[ledger.ReconMissingInTelemetry]},
		[]int64{run.Drift, run.MissingInLedger, run.MissingInTelemetry})

	// What is written down is the same, in the ledger and for dashboards, also after it is done again.
	again, found := b.run(t, reconcile.Config{})
	require.Equal(t, want, found)
	require.Equal(t, run.Drift, again.Drift)
	published, err := b.reconciler(reconcile.Config{}).Publish(t.Context())
	require.NoError(t, err)
	require.Equal(t, len(want)+2, published, "each difference, and the two comparisons")
	for state, n := range counts {
		require.Equal(t, fmt.Sprintln(n), b.ch.Exec(t, "SELECT count() FROM "+b.database+".Reconciliation FINAL WHERE state = '"+string(state)+"'"), state)
	}
	totals, err := b.ReconTotals(t.Context())
	require.NoError(t, err)
	require.Equal(t, counts, totals.Open)
	b.settled(t)
}
