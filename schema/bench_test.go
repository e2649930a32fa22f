package schema_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/embedded/chserver"
	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/schema"
)

var executions = flag.Int("executions", 10_000_000, "runs that BenchmarkAgentMetricsQuery stores; with -short at most 200000")

const (
	benchAgents = 100
	benchRuns   = 20 // How often a question is asked per iteration.
)

// benchQuestions are what a dashboard over 30 days asks, of AgentMetrics, and of the runs for comparison. Percentiles and
// users of several periods come from AgentMetricsTotal: neither can be computed from those of the parts.
var benchQuestions = []struct{ name, sql string }{
	{"view/day_totals", `
SELECT agentId, sum(totalExecutions) AS runs, sum(successfulExecutions) / runs AS success, sum(totalCreditsConsumed), sum(totalCost), sum(inputTokens), sum(outputTokens)
FROM {db}.AgentMetrics WHERE period = 'day' AND periodStart >= {from} AND periodStart < {to} GROUP BY agentId ORDER BY runs DESC`},
	{"view/day_worst_p95", `
SELECT agentId, max(p95Duration) FROM {db}.AgentMetrics WHERE period = 'day' AND periodStart >= {from} AND periodStart < {to} GROUP BY agentId`},
	{"view/day_series", `
SELECT agentId, periodStart, totalExecutions, successfulExecutions, p50Duration, p95Duration, p99Duration, uniqueUsers, totalCreditsConsumed, errorCounts
FROM {db}.AgentMetrics WHERE period = 'day' AND periodStart >= {from} AND periodStart < {to} ORDER BY agentId, periodStart`},
	{"view/day_series_every_column", `
SELECT * FROM {db}.AgentMetrics WHERE period = 'day' AND periodStart >= {from} AND periodStart < {to} ORDER BY agentId, periodStart`},
	{"view/hour_series_one_agent", `
SELECT periodStart, totalExecutions, successfulExecutions, p50Duration, p95Duration, p99Duration, uniqueUsers, totalCreditsConsumed
FROM {db}.AgentMetrics WHERE period = 'hour' AND agentId = 'agent-7' AND periodStart >= {from} AND periodStart < {to} ORDER BY periodStart`},
	{"view/hour_totals", `
SELECT agentId, sum(totalExecutions) AS runs, sum(successfulExecutions) / runs AS success, sum(totalCreditsConsumed)
FROM {db}.AgentMetrics WHERE period = 'hour' AND periodStart >= {from} AND periodStart < {to} GROUP BY agentId ORDER BY runs DESC`},
	{"total/sums", `
SELECT agentId, totalExecutions, successfulExecutions, totalCreditsConsumed FROM {db}.AgentMetricsTotal(from = {from}, to = {to}) ORDER BY totalExecutions DESC`},
	{"total/every_column", `
SELECT * FROM {db}.AgentMetricsTotal(from = {from}, to = {to}) ORDER BY totalExecutions DESC`},
	{"total/every_column_one_agent", `
SELECT * FROM {db}.AgentMetricsTotal(from = {from}, to = {to}) WHERE agentId = 'agent-7'`},
	{"raw/totals", `
SELECT agentId, count() AS runs, countIf(status = 'success') / runs AS success, sum(creditsConsumed), sum(cost), sum(inputTokens), sum(outputTokens)
FROM {db}.AgentExecution WHERE startedAt >= {from} AND startedAt < {to} GROUP BY agentId ORDER BY runs DESC`},
	{"raw/totals_with_percentiles", `
SELECT agentId, count() AS runs, countIf(status = 'success') / runs AS success, sum(creditsConsumed), uniqIf(userId, userId != ''),
    quantilesDD(0.01, 0.5, 0.95, 0.99)(duration), sumMap(if(status = 'success', map(), map(errorCode, toUInt64(1))))
FROM {db}.AgentExecution WHERE startedAt >= {from} AND startedAt < {to} GROUP BY agentId ORDER BY runs DESC`},
	{"raw/day_series", `
SELECT agentId, toStartOfDay(startedAt) AS day, count(), countIf(status = 'success'), quantilesDD(0.01, 0.5, 0.95, 0.99)(duration), uniqIf(userId, userId != ''), sum(creditsConsumed),
    toJSONString(sumMap(if(status = 'success', map(), map(errorCode, toUInt64(1)))))
FROM {db}.AgentExecution WHERE startedAt >= {from} AND startedAt < {to} GROUP BY agentId, day ORDER BY agentId, day`},
	{"raw/hour_series_one_agent", `
SELECT toStartOfHour(startedAt) AS hour, count(), countIf(status = 'success'), quantilesDD(0.01, 0.5, 0.95, 0.99)(duration), uniqIf(userId, userId != ''), sum(creditsConsumed)
FROM {db}.AgentExecution WHERE agentId = 'agent-7' AND startedAt >= {from} AND startedAt < {to} GROUP BY hour ORDER BY hour`},
	{"unsettled/day_series", `
SELECT agentId, periodStart, totalExecutions, successfulExecutions, p50Duration, p95Duration, p99Duration, uniqueUsers, totalCreditsConsumed, errorCounts
FROM {db}.AgentMetrics WHERE period = 'day' AND periodStart >= {from} AND periodStart < {to} ORDER BY agentId, periodStart`},
}

// BenchmarkAgentMetricsQuery stores runs of 100 agents over 30 days in the order of time, a little mixed up, and asks what
// a dashboard asks, 20 times per iteration. It reports the median, the fastest and the slowest in ms, over HTTP, and how much CPU time of
// the server one took, which says more on a machine that does other things too.
//
//	go test ./schema -run '^$' -bench AgentMetricsQuery -benchtime 1x -timeout 30m
func BenchmarkAgentMetricsQuery(b *testing.B) {
	ch := enginetest.StartClickHouse(b, chserver.Config{})
	db := "bench"
	_, err := schema.MigrateClickHouse(b.Context(), ch.URL, schema.ClickHouseConfig{Database: db, Retention: schema.LongRetention})
	require.NoError(b, err)
	total := *executions
	if testing.Short() {
		total = min(total, 200_000)
	}
	block := max(total/200, 1)
	began := time.Now()
	for first := 0; first < total; first += block {
		count := min(block, total-first)
		// Runs are stored when they end, so their starts lie up to five minutes back.
		start := fmt.Sprintf("greatest(0, (n + u(20)) / %d * 30 * 86400e9 - u(21) * 300e9)", total)
		ch.Exec(b, generateRuns(db, benchAgents, first, count, start), "max_insert_threads", "1")
	}
	b.Logf("stored %d runs in %s", total, time.Since(began).Round(time.Second))
	ch.Exec(b, "SYSTEM REFRESH VIEW "+db+".AgentMetricsDailySettle")
	ch.Exec(b, "SYSTEM WAIT VIEW "+db+".AgentMetricsDailySettle")
	waitForMerges(b, ch, db)
	b.Logf("table, parts, rows, bytes:\n%s", ch.Exec(b, "SELECT table, count(), sum(rows), sum(bytes_on_disk) FROM system.parts WHERE active AND database = '"+db+"' AND table IN ('AgentExecution', 'AgentMetricsHourly', 'AgentMetricsDaily') GROUP BY table ORDER BY table"))

	fill := strings.NewReplacer("{db}", db, "{from}", "toDateTime('2025-12-16 00:00:00', 'UTC')", "{to}", "toDateTime('2026-01-15 00:00:00', 'UTC')")
	for _, q := range benchQuestions {
		b.Run(q.name, func(b *testing.B) {
			sql := fill.Replace(q.sql)
			if strings.HasPrefix(q.name, "unsettled/") {
				unsettle(b, ch, db)
			}
			require.NotEmpty(b, ch.Exec(b, sql), "the question has an answer")
			var took []time.Duration
			before := cpuTime(b, ch.Pid())
			for b.Loop() {
				for range benchRuns {
					began := time.Now()
					ch.Exec(b, sql, "use_query_cache", "0")
					took = append(took, time.Since(began))
				}
			}
			cpu := cpuTime(b, ch.Pid()) - before
			slices.Sort(took)
			b.ReportMetric(cpu.Seconds()*1000/float64(len(took)), "cpu-ms")
			b.ReportMetric(took[len(took)/2].Seconds()*1000, "median-ms")
			b.ReportMetric(took[0].Seconds()*1000, "min-ms")
			b.ReportMetric(took[len(took)-1].Seconds()*1000, "max-ms")
			b.ReportMetric(float64(total), "runs")
			b.ReportMetric(0, "ns/op") // Twenty questions; says nothing.
		})
	}
}

// unsettle makes a day of each agent one that changes, by the smallest difference, as the current day does.
func unsettle(b *testing.B, ch *enginetest.CH, db string) {
	b.Helper()
	ch.Exec(b, "SYSTEM STOP VIEW "+db+".AgentMetricsDailySettle")
	ch.Exec(b, "INSERT INTO "+db+".AgentMetricsDaily (agentId, periodStart, minDuration, fingerprint) SELECT agentId, max(periodStart), inf, 1 FROM "+db+".AgentMetricsDaily GROUP BY agentId")
}

// cpuTime is what a process used so far, in steps of 10 ms.
func cpuTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(b, err)
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	require.Greater(b, len(fields), 13)
	user, err := strconv.Atoi(fields[11])
	require.NoError(b, err)
	system, err := strconv.Atoi(fields[12])
	require.NoError(b, err)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// waitForMerges waits until each month of states is one part, which takes a minute, and the server has had nothing to
// merge for two seconds.
func waitForMerges(b *testing.B, ch *enginetest.CH, db string) {
	b.Helper()
	const busy = "SELECT (SELECT count() FROM system.merges WHERE database = {db}) + (SELECT count() - uniqExact(table, partition) FROM system.parts WHERE active AND database = {db} AND table IN ('AgentMetricsHourly', 'AgentMetricsDaily'))"
	idle := time.Now()
	for deadline := time.Now().Add(5 * time.Minute); time.Since(idle) < 2*time.Second && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if strings.TrimSpace(ch.Exec(b, strings.ReplaceAll(busy, "{db}", "'"+db+"'"))) != "0" {
			idle = time.Now()
		}
	}
}
