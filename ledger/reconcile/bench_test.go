package reconcile_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/embedded/chserver"
	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/reconcile"
)

var benched = flag.Int("recon-bench-executions", 50_000, "executions of BenchmarkReconcile, a multiple of 1000")

// fill puts runs into both databases by themselves, without the checks that each run passes otherwise: of every thousand,
// ten are dropped from telemetry, ten are there twice, ten have another amount, and five were not captured.
func (b *bundle) fill(tb testing.TB, n int) {
	tb.Helper()
	conn := b.connect(tb)
	for _, sql := range []string{
		"SET session_replication_role = replica", // No triggers: it is the reading that is measured.
		fmt.Sprintf(`INSERT INTO ledger.transactions (id, user_id, kind, status, credits, settled, agent_id, agent_version, mandate_id, mandate_version, execution_id)
			SELECT gen_random_uuid(), m.user_id, 'execution', CASE WHEN i %% 1000 BETWEEN 30 AND 34 THEN 'canceled' ELSE 'succeeded' END, 1000000 + i %% 1000,
				CASE WHEN i %% 1000 BETWEEN 30 AND 34 THEN 0 ELSE 1000000 + i %% 1000 END, a.id, 1, m.id, 1, md5(i::text)
			FROM generate_series(0, %d) i, (SELECT * FROM ledger.mandates LIMIT 1) m, (SELECT * FROM ledger.agents LIMIT 1) a`, n-1),
		`INSERT INTO ledger.holds (id, user_id, agent_id, mandate_id, amount, captured, status, authorized_at, expires_at, resolved_at)
			SELECT id, user_id, agent_id, mandate_id, credits, settled, CASE status WHEN 'canceled' THEN 'released' ELSE 'captured' END, created_at, created_at + interval '1 hour', created_at FROM ledger.transactions WHERE kind = 'execution'`,
		"SET session_replication_role = origin", "VACUUM ANALYZE ledger.transactions", "VACUUM ANALYZE ledger.holds", "CHECKPOINT",
	} {
		_, err := conn.Exec(tb.Context(), sql)
		require.NoError(tb, err)
	}
	columns := fmt.Sprintf("lower(hex(MD5(toString(number)))), '%s', '%s', now64(9), ", agents[0], b.users[0].ID)
	insert := "INSERT INTO " + b.database + ".AgentExecution (id, agentId, userId, startedAt, creditsConsumed) SELECT " + columns
	b.ch.Exec(tb, insert+fmt.Sprintf("toDecimal64(1000000 + number %% 1000 + (number %% 1000 BETWEEN 20 AND 29), 6) / 1000000 FROM numbers(%d) WHERE number %% 1000 >= 10", n))
	b.ch.Exec(tb, insert+fmt.Sprintf("toDecimal64(1000000 + number %% 1000, 6) / 1000000 FROM numbers(%d) WHERE number %% 1000 BETWEEN 10 AND 19", n))
}

// BenchmarkReconcile prints how long a comparison takes, and how much memory this process and the engine take for it.
func BenchmarkReconcile(b *testing.B) {
	n := *benched
	require.Zero(b, n%1000, "a multiple of 1000")
	ch := enginetest.StartClickHouse(b, chserver.Config{})
	s := setup(b, ch, enginetest.StartPostgres(b), 1)
	began := time.Now()
	s.fill(b, n)
	b.Logf("%d executions on both sides after %.1f s", n, time.Since(began).Seconds())
	for b.Loop() {
		runtime.GC()
		before, engine := heap(), ch.RSS(b)
		ctx, stop := context.WithCancel(b.Context())
		peak := make(chan uint64, 1)
		go func() { peak <- peakHeap(ctx) }()
		var differ int64
		began := time.Now()
		run, err := s.reconciler(reconcile.Config{}).Run(b.Context(), func(ledger.Compared, ledger.ReconState) { differ++ })
		took := time.Since(began)
		stop()
		require.NoError(b, err)
		require.EqualValues(b, n, run.Executions)
		require.Equal(b, []int64{int64(n) / 50, int64(n) / 200, int64(n) / 100, int64(n) * 35 / 1000}, []int64{run.Drift, run.MissingInLedger, run.MissingInTelemetry, differ})
		most := <-peak
		b.Logf("%d executions compared in %.1f s, %.0f a second: %d matched, %d drift, %d missing in the ledger, %d missing in telemetry; heap of this process %.0f MiB before and at most %.0f MiB, resident %.0f MiB; ClickHouse %.0f MiB before and %.0f MiB after",
			n, took.Seconds(), float64(n)/took.Seconds(), run.Matched, run.Drift, run.MissingInLedger, run.MissingInTelemetry, mib(before), mib(most), mib(resident(b)), mib(uint64(engine)), mib(uint64(ch.RSS(b))))
		b.ReportMetric(float64(n)/took.Seconds(), "executions/s")
		b.ReportMetric(mib(most), "peak-MiB")
		// A leak of what does not agree, or of all, would be of this order.
		require.Less(b, most, before+64<<20, "memory grows with the number of runs")
	}
}

func mib(n uint64) float64 { return float64(n) / (1 << 20) }

func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

// peakHeap watches the heap until ctx is done.
func peakHeap(ctx context.Context) (most uint64) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		most = max(most, heap())
		select {
		case <-ctx.Done():
			return most
		case <-tick.C:
		}
	}
}

// resident is the memory that this process has.
func resident(tb testing.TB) uint64 {
	tb.Helper()
	status, err := os.ReadFile("/proc/self/statm")
	require.NoError(tb, err)
	pages, err := strconv.ParseUint(strings.Fields(string(status))[1], 10, 64)
	require.NoError(tb, err)
	return pages * uint64(os.Getpagesize())
}
