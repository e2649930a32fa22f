package main

import (
	"flag"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var backfillRuns = flag.Int("backfill-runs", 3000, "runs of history that TestBackfillEqualsAgentMetrics fills in")

// recomputedMetrics is AgentMetrics of PERIOD from the runs themselves.
const recomputedMetrics = `
SELECT
    toString(agentId), 'PERIOD', toDateTime(dateTrunc('PERIOD', startedAt, 'UTC'), 'UTC') AS start,
    count() AS runs, countIf(status = 'success'), countIf(status IN ('failed', 'error')), countIf(status = 'timeout'),
    sum(toInt128(round(duration * 1e6))) / 1e6 / runs, min(duration), max(duration),
    (quantilesDD(0.01, 0.5, 0.95, 0.99)(duration) AS q)[1], q[2], q[3],
    uniqExactIf(userId, userId != ''),
    toString(sum(toDecimal128(creditsConsumed, 6))), toString(sum(toDecimal128(ifNull(cost, 0), 9))),
    sum(inputTokens), sum(outputTokens), sum(cacheReadTokens), sum(cacheWriteTokens), sum(reasoningTokens),
    groupArrayIf(if(errorCode = '', toString(status), toString(errorCode)), status != 'success') AS reasons,
    arraySort(arrayMap(r -> (r, countEqual(reasons, r)), arrayDistinct(reasons)))
FROM AgentExecution GROUP BY agentId, start`

// storedMetrics is the same from the view.
const storedMetrics = `
SELECT
    toString(agentId), toString(period), periodStart,
    totalExecutions, successfulExecutions, failedExecutions, timeouts,
    avgDuration, minDuration, maxDuration, p50Duration, p95Duration, p99Duration,
    uniqueUsers, toString(totalCreditsConsumed), toString(totalCost),
    inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, reasoningTokens,
    arraySort(JSONExtractKeysAndValues(errorCounts, 'UInt64'))
FROM AgentMetrics WHERE period = 'PERIOD'`

// TestBackfillEqualsAgentMetrics fills in 30 days over OTLP, late and in disorder, and expects in every column of
// AgentMetrics what the runs themselves say. With 100,000 runs it takes a minute or two:
//
//	go test ./cmd/agenttrail -run TestBackfillEqualsAgentMetrics -backfill-runs 100000 -v
func TestBackfillEqualsAgentMetrics(t *testing.T) {
	t.Parallel()
	in := startUp(t, t.TempDir())
	out, err := agenttrail(t.Context(), "demo", "--data", in.dir, "--runs", strconv.Itoa(*backfillRuns), "--history", "720h", "--rate", "0", "--seed", "3").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NotContains(t, string(out), "live:")
	conn := in.open(t)

	one := func(query string) (n uint64) {
		require.NoError(t, conn.QueryRow(t.Context(), query).Scan(&n))
		return n
	}
	different := func(period string) uint64 {
		runs, view := strings.ReplaceAll(recomputedMetrics, "PERIOD", period), strings.ReplaceAll(storedMetrics, "PERIOD", period)
		runs = "SELECT * EXCEPT (reasons) FROM (" + runs + ")"
		return one("SELECT count() FROM ("+runs+" EXCEPT ALL "+view+")") + one("SELECT count() FROM ("+view+" EXCEPT ALL "+runs+")")
	}
	// The parts of a block's views are there a moment after that of its table, and the last block may be a large one.
	var stored uint64
	require.Eventually(t, func() bool {
		stored = one("SELECT count() FROM AgentExecution")
		return stored == one("SELECT sum(totalExecutions) FROM AgentMetrics WHERE period = 'hour'") &&
			stored == one("SELECT sum(totalExecutions) FROM AgentMetrics WHERE period = 'day'") &&
			stored == one("SELECT count() FROM AgentExecution")
	}, startTimeout, 100*time.Millisecond)
	require.Greater(t, stored, uint64(*backfillRuns)*99/100)
	require.GreaterOrEqual(t, one("SELECT uniqExact(toDate(startedAt)) FROM AgentExecution"), uint64(30))
	late := one(`SELECT countIf(startedAt < newest - INTERVAL 1 DAY) FROM
		(SELECT startedAt, max(startedAt) OVER (ORDER BY toUnixTimestamp64Milli(ingestedAt) RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS newest FROM AgentExecution)`)
	require.NotZero(t, late, "runs that were stored after much younger ones; how many depends on what was stored together")
	for _, period := range []string{"hour", "day"} {
		require.Zero(t, different(period), period)
		metrics := " FROM AgentMetrics WHERE period = '" + period + "'"
		require.Zero(t, one("SELECT countIf(NOT isValidJSON(errorCounts) OR arraySum(mapValues(JSONExtract(errorCounts, 'Map(String, UInt64)'))) != totalExecutions - successfulExecutions)"+metrics))
	}
	t.Logf("%d runs, %d of them late: %d hours and %d days of agents are equal", stored, late, one("SELECT count() FROM AgentMetrics WHERE period = 'hour'"), one("SELECT count() FROM AgentMetrics WHERE period = 'day'"))

	// The comparison notices one run that only one side has.
	require.NoError(t, conn.Exec(t.Context(), "ALTER TABLE AgentExecution DELETE WHERE id IN (SELECT id FROM AgentExecution ORDER BY id LIMIT 1) SETTINGS mutations_sync = 2"))
	require.NotZero(t, different("hour"))
	require.NotZero(t, different("day"))
}
