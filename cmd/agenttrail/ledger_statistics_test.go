package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

var statisticsOutage = flag.Duration("statistics-outage", 5*time.Second, "how long ClickHouse is away in TestStatisticsAfterTheDemo")

// statistics are those of agents and of users, as the ledger has them and as the runs themselves say, a line each.
var statistics = []struct{ runs, ledger string }{
	{
		`SELECT agentId, count(), countIf(status = 'success'), countIf(status IN ('failed', 'error')), countIf(status = 'timeout'),
			sum(toInt64(round(duration * 1e6))), toInt64(sum(toDecimal128(creditsConsumed, 6)) * 1000000) FROM agenttrail.AgentExecution GROUP BY agentId ORDER BY agentId`,
		`SELECT concat_ws(E'\t', agent, executions, successful, failed, timeouts, duration_ns, credits) FROM ledger.agent_statistics ORDER BY agent COLLATE "C"`,
	},
	{
		`SELECT userId, agentId, sum(n), sum(ok), toInt64(sum(used) * 1000000), uniqExact(day), argMax(hour, (byHour, -hour)) FROM (
			SELECT userId, agentId, toDate(startedAt) AS day, toHour(startedAt) AS hour, count() AS n, countIf(status = 'success') AS ok,
				sum(toDecimal128(creditsConsumed, 6)) AS used, sum(count()) OVER (PARTITION BY userId, agentId, toHour(startedAt)) AS byHour
			FROM agenttrail.AgentExecution WHERE userId != '' GROUP BY userId, agentId, day, hour) GROUP BY userId, agentId ORDER BY userId, agentId`,
		`SELECT concat_ws(E'\t', user_id, agent, executions, successful, credits, days, preferred_hour) FROM ledger.user_agent_statistics ORDER BY user_id, agent COLLATE "C"`,
	},
}

// TestStatisticsAfterTheDemo runs the demo, takes ClickHouse away in the middle of it, and compares the ledger's statistics
// with the runs themselves when all is over.
func TestStatisticsAfterTheDemo(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "ledger.yaml")
	require.NoError(t, os.WriteFile(config, []byte("clickhouse:\n  sync_every: 2s\n"), 0o600))
	in := startUp(t, t.TempDir(), "--ledger-config", config)
	demo := agenttrail(t.Context(), "demo", "--data", in.dir, "--runs", "400", "--for", "1h", "--rate", "20", "--seed", "5")
	output := &lockedBuffer{}
	demo.Stdout, demo.Stderr = output, output
	require.NoError(t, demo.Start())
	ended := make(chan error, 1)
	go func() { ended <- demo.Wait() }()
	require.Eventually(t, func() bool { return strings.Contains(output.String(), "live:") }, 2*startTimeout, 50*time.Millisecond, "%s", output)
	stored := in.query(t, "SELECT count() FROM agenttrail.AgentExecution")
	engine, err := os.FindProcess(in.children(t)["clickhouse"])
	require.NoError(t, err)
	require.NoError(t, engine.Signal(syscall.SIGSTOP))
	ready := false // The ledger goes on. A busy Postgres may let it miss an answer.
	for away := time.Now(); time.Since(away) < *statisticsOutage || !ready && time.Since(away) < startTimeout; {
		resp, err := http.Get("http://" + in.Ledger + "/readyz")
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		ready = resp.StatusCode == http.StatusOK
		time.Sleep(100 * time.Millisecond)
	}
	require.True(t, ready, "the ledger while ClickHouse is away")
	require.NoError(t, engine.Kill()) // Another one takes its place.
	back := fmt.Sprintf("SELECT count() >= 200 FROM agenttrail.AgentExecution WHERE startedAt > fromUnixTimestamp(%d)", time.Now().Unix())
	require.Eventually(t, func() bool {
		enough, err := in.tryQuery(back)
		return err == nil && enough == "1"
	}, 2*startTimeout, 200*time.Millisecond, "runs after the outage:\n%s", output)
	require.NoError(t, demo.Process.Signal(os.Interrupt))
	require.NoError(t, <-ended, "%s", output)
	in.awaitStored(t)
	require.Greater(t, in.reconcileDemo(t).Matched, 200, "runs before, during and after the outage")
	conn := connectPostgres(t, in.Postgres)
	deadline := time.Now().Add(startTimeout)
	for _, s := range statistics {
		var want, have string
		for {
			want = in.query(t, s.runs)
			rows, err := conn.Query(t.Context(), s.ledger)
			require.NoError(t, err)
			lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
			require.NoError(t, err)
			have = strings.Join(lines, "\n")
			if have == want || time.Now().After(deadline) {
				break
			}
			time.Sleep(time.Second)
		}
		require.Equal(t, want, have)
		require.NotEmpty(t, have)
		t.Logf("%d rows of statistics are what the runs say", strings.Count(have, "\n")+1)
	}
	t.Logf("%s runs were stored before ClickHouse was away for %s, %s after the demo", stored, *statisticsOutage, in.query(t, "SELECT count() FROM agenttrail.AgentExecution"))
}
