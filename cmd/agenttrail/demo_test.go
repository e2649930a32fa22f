package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// filled is what a demo fills in the ledger after a while: questions, with the least that they answer.
var filled = map[string]int{
	"SELECT count(*) FROM ledger.users":                                                200,
	"SELECT count(*) FROM ledger.agents":                                               20,
	"SELECT count(*) FROM ledger.mandates":                                             200,
	"SELECT count(*) FROM ledger.holds WHERE status = 'captured'":                      160,
	"SELECT count(*) FROM ledger.holds WHERE status = 'released'":                      1,
	"SELECT count(*) FROM ledger.credit_grants WHERE category = 'paid'":                150,
	"SELECT count(*) FROM ledger.user_agent_interactions WHERE rating BETWEEN 1 AND 5": 5,
	"SELECT count(DISTINCT changed_by) FROM ledger.agent_audit_logs":                   2,
	"SELECT count(*) FROM ledger.user_audit_logs WHERE changed_by LIKE 'user:%'":       1,
	"SELECT count(*) FROM ledger.mandate_audit_logs WHERE field LIKE 'rules.%'":        1,
}

// runDemoUntilFilled runs the demo until it has shown the tables and the ledger is filled, and returns what it printed.
func runDemoUntilFilled(t *testing.T, in *instance) string {
	t.Helper()
	demo := agenttrail(t.Context(), "demo", "--data", in.dir, "--runs", "500", "--rate", "20", "--seed", "11")
	output := &lockedBuffer{}
	demo.Stdout, demo.Stderr = output, output
	require.NoError(t, demo.Start())
	conn := connectPostgres(t, in.Postgres)
	missing := "the tables"
	for deadline := time.Now().Add(4 * time.Minute); missing != "" && time.Now().Before(deadline); time.Sleep(250 * time.Millisecond) {
		missing = ""
		if !strings.Contains(output.String(), "Traffic goes on") {
			missing = "the tables"
			continue
		}
		for question, least := range filled {
			var n int
			require.NoError(t, conn.QueryRow(t.Context(), question).Scan(&n))
			if n < least {
				missing = question
			}
		}
	}
	require.NoError(t, demo.Process.Signal(os.Interrupt))
	require.NoError(t, demo.Wait(), "%s", output)
	require.Empty(t, missing, "%s", output)
	return output.String()
}

// TestDemo runs the demo against a running instance and checks what it stored and what it showed.
func TestDemo(t *testing.T) {
	t.Parallel()
	in := startUp(t, t.TempDir())
	out := runDemoUntilFilled(t, in)
	t.Logf("%s", out)
	in.awaitStored(t)
	conn := in.open(t)

	t.Run("ShowsTheTables", func(t *testing.T) {
		t.Parallel()
		for _, heading := range []string{"TABLE", "BUSIEST AGENTS", "TOP ERRORS", "WHERE TO LOOK NEXT", "From the end of a run to its row being selectable"} {
			require.Contains(t, out, heading)
		}
		latency := regexp.MustCompile(`p99 (\d+) ms`).FindStringSubmatch(out)
		require.Len(t, latency, 2)
	})

	t.Run("EveryTableHasRows", func(t *testing.T) {
		t.Parallel()
		for _, table := range []string{"AgentExecution", "Span", "AgentLog", "RequestLog", "SystemErrors"} {
			var n uint64
			require.NoError(t, conn.QueryRow(t.Context(), "SELECT count() FROM "+table).Scan(&n))
			require.Greater(t, n, uint64(50), table)
		}
		var agents, users, categories, statuses uint64
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT uniqExact(agentId), uniqExact(userId), uniqExact(status) FROM AgentExecution").Scan(&agents, &users, &statuses))
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT uniqExact(category) FROM AgentLog").Scan(&categories))
		require.EqualValues(t, 20, agents)
		require.Greater(t, users, uint64(100))
		require.EqualValues(t, 4, statuses)
		require.EqualValues(t, 4, categories)
	})

	t.Run("PercentilesEqualTheRawTable", func(t *testing.T) {
		t.Parallel()
		rows, err := conn.Query(t.Context(), `
SELECT m.agentId, m.period, m.p50Duration, m.p95Duration, m.p99Duration, r.q[1], r.q[2], r.q[3], r.durations
FROM AgentMetrics AS m INNER JOIN
(
    SELECT agentId, 'hour' AS period, toStartOfHour(toDateTime(startedAt, 'UTC')) AS periodStart,
        quantilesDD(0.01, 0.5, 0.95, 0.99)(duration) AS q, arraySort(groupArray(duration)) AS durations
    FROM AgentExecution GROUP BY agentId, periodStart
    UNION ALL
    SELECT agentId, 'day', toStartOfDay(toDateTime(startedAt, 'UTC')) AS periodStart,
        quantilesDD(0.01, 0.5, 0.95, 0.99)(duration), arraySort(groupArray(duration))
    FROM AgentExecution GROUP BY agentId, periodStart
) AS r ON m.agentId = r.agentId AND m.period = r.period AND m.periodStart = r.periodStart`)
		require.NoError(t, err)
		compared := 0
		for rows.Next() {
			var agent, period string
			var merged, raw [3]float64
			var durations []float64
			require.NoError(t, rows.Scan(&agent, &period, &merged[0], &merged[1], &merged[2], &raw[0], &raw[1], &raw[2], &durations))
			require.Equal(t, raw, merged, "%s %s: the view and quantilesDD over AgentExecution", agent, period)
			for i, q := range []float64{0.5, 0.95, 0.99} {
				// The order statistic of rank q(n-1), rounded down or up: what DDSketch promises to be within 1 % of.
				rank := q * float64(len(durations)-1)
				low, high := durations[int(math.Floor(rank))], durations[int(math.Ceil(rank))]
				require.True(t, merged[i] >= low*0.99-1e-9 && merged[i] <= high*1.01+1e-9,
					"%s %s: p%v is %v, the order statistic lies in [%v, %v]", agent, period, 100*q, merged[i], low, high)
			}
			compared++
		}
		require.NoError(t, rows.Err())
		var periods uint64
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT count() FROM AgentMetrics").Scan(&periods))
		require.EqualValues(t, periods, compared)
		require.Greater(t, compared, 100)
		t.Logf("%d percentile triples are equal", compared)
	})

	t.Run("CountsEqualTheRawTable", func(t *testing.T) {
		t.Parallel()
		var total, success, failed, timeouts, stored, errors uint64
		require.NoError(t, conn.QueryRow(t.Context(), `SELECT sum(totalExecutions), sum(successfulExecutions), sum(failedExecutions), sum(timeouts),
			sum(arraySum(mapValues(JSONExtract(errorCounts, 'Map(String, UInt64)')))) FROM AgentMetrics WHERE period = 'day'`).Scan(&total, &success, &failed, &timeouts, &errors))
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT count() FROM AgentExecution").Scan(&stored))
		require.Equal(t, stored, total)
		require.Equal(t, total, success+failed+timeouts)
		require.Equal(t, total-success, errors)
	})

	t.Run("OneIDFindsEverything", func(t *testing.T) {
		t.Parallel()
		var id string
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT id FROM AgentExecution WHERE status = 'error' AND parentSpanId != '' LIMIT 1").Scan(&id))
		rows, err := conn.Query(t.Context(), fmt.Sprintf("SELECT source, count() FROM ExecutionTrail(id = '%s') GROUP BY source", id))
		require.NoError(t, err)
		found := map[string]uint64{}
		for rows.Next() {
			var source string
			var n uint64
			require.NoError(t, rows.Scan(&source, &n))
			found[source] = n
		}
		require.NoError(t, rows.Err())
		for _, source := range []string{"execution", "span", "log", "request", "error"} {
			require.NotZero(t, found[source], "%s of run %s; found %v", source, id, found)
		}
	})

	t.Run("CurlAndClickHouseGoReadTheSame", func(t *testing.T) {
		t.Parallel()
		const question = "SELECT agentId, period, totalExecutions, p95Duration FROM agenttrail.AgentMetrics ORDER BY agentId, period, periodStart LIMIT 5"
		answer, err := exec.CommandContext(t.Context(), "curl", "-s", in.ClickHouse+"/", "--data", question).Output()
		require.NoError(t, err)
		rows, err := conn.Query(t.Context(), question)
		require.NoError(t, err)
		read := ""
		for rows.Next() {
			var agent, period string
			var total uint64
			var p95 float64
			require.NoError(t, rows.Scan(&agent, &period, &total, &p95))
			read += fmt.Sprintf("%s\t%s\t%d\t%s\n", agent, period, total, strconv.FormatFloat(p95, 'f', -1, 64))
		}
		require.NoError(t, rows.Err())
		require.NotEmpty(t, read)
		require.Equal(t, string(answer), read)
	})

	t.Run("ItsKeysAreRevoked", func(t *testing.T) {
		t.Parallel()
		var keys, live int
		require.NoError(t, connectPostgres(t, in.Postgres).QueryRow(t.Context(),
			"SELECT count(*), count(*) FILTER (WHERE revoked_at IS NULL) FROM ledger.api_keys WHERE name LIKE 'demo: %'").Scan(&keys, &live))
		require.Equal(t, 10, keys)
		require.Zero(t, live)
	})

	t.Run("ReconciliationFindsNothing", func(t *testing.T) {
		t.Parallel()
		summary := in.reconcileDemo(t)
		require.Greater(t, summary.Matched, 150)
		require.Greater(t, summary.Imported, 450)
		t.Logf("%d live runs are the same in the ledger and in telemetry, %d of the history are imported", summary.Matched, summary.Imported)
	})
}

// demoSummary is what the reconciliation counts.
type demoSummary struct{ Executions, Matched, Imported, Expired int }

// reconcileDemo compares all runs of a demo that has ended: they are the same in the ledger and in telemetry, but for those that
// lost their worker.
func (in *instance) reconcileDemo(t *testing.T) demoSummary {
	t.Helper()
	text, err := agenttrail(t.Context(), "reconcile", "--data", in.dir, "--grace", "0s", "--json").CombinedOutput()
	require.NoError(t, err, "%s", text)
	type line struct {
		State   string
		Summary demoSummary
	}
	var report line
	expired := 0
	for text := range strings.Lines(string(text)) {
		report = line{}
		require.NoError(t, json.Unmarshal([]byte(text), &report), text)
		if report.State != "" {
			require.Equal(t, "expired", report.State, "a difference was found: %s", text)
			expired++
		}
	}
	require.Equal(t, report.Summary.Executions, report.Summary.Matched)
	require.Equal(t, expired, report.Summary.Expired)
	return report.Summary
}

// TestUpEndsByItself checks that a bounded demo reports and ends with exit code 0, leaving nothing behind.
func TestUpEndsByItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := agenttrail(t.Context(), append(append([]string{"up", "--data", dir}, freePorts...), "--demo", "--for", "8s", "--runs", "300")...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "BUSIEST AGENTS")
	require.Contains(t, string(out), "AgentTrail is up")
	require.NoFileExists(t, addressesFile(dir))
}
