package schema_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/schema"
)

// runsFrom is when generated runs begin. The 30 days after it cross the end of a month and of a year, which are the
// partitions of the states.
const runsFrom = "toDateTime64('2025-12-16 00:00:00', 9, 'UTC')"

// generateRuns is a statement that inserts runs number first to first+count into AgentExecution. What a run is like
// depends on its number only, through hashes, so that every engine makes the same ones. start is an expression for when
// run `n` starts, in ns after runsFrom; u(k) of it is a number from [0, 1), h(k) an integer, both different for each k. A run counts as stored when
// it started, long ago, so that its day may be settled at once.
func generateRuns(db string, agents, first, count int, start string) string {
	hash := strings.NewReplacer("u(", "1 / 18446744073709551616 * h(").Replace
	sql := hash(`
SELECT
    'run-' || toString(n) AS id,
    'agent-' || toString(toUInt32(floor({agents} * pow(u(1), 2)))) AS agentId,
    if(u(2) < 0.1, '', 'user-' || toString(toUInt32(floor(5000 * pow(u(3), 2))))) AS userId,
    CAST(multiIf(u(4) < 0.9, 'success', u(4) < 0.94, 'error', u(4) < 0.98, 'failed', 'timeout'), 'Enum8(\'success\' = 1, \'failed\' = 2, \'timeout\' = 3, \'error\' = 4)') AS status,
    {from} + toIntervalNanosecond(toInt64({start})) AS startedAt,
    -- Log-normal, median 1.8 s, in whole nanoseconds; some take no time at all, some less than a microsecond.
    multiIf(u(6) < 0.002, 0., u(6) < 0.004, (h(6) % 999) / 1e6, round(exp(7.5 + 1.2 * sqrt(-2 * log((h(7) + 1.) / 18446744073709551616)) * cos(2 * pi() * u(8))), 6)) AS duration,
    multiIf(
        status = 'success', if(u(9) < 0.01, 'Ignored', ''),
        u(9) < 0.1, '',
        u(9) < 0.15, ['a "quoted" code', 'back\\slash', 'line\nbreak', 'Zeitüberschreitung ✗', 'null', '\x01'][h(10) % 6 + 1],
        'Error' || toString(h(10) % 40)) AS errorCode,
    toDecimal64(h(11) % 50000000, 6) / 1000000 AS creditsConsumed,
    if(u(12) < 0.3, NULL, toDecimal64(h(12) % 2000000000, 9) / 1000000000) AS cost,
    -- Beyond 2^53 a float no longer tells neighbors apart.
    if(h(13) % 1000 = 0, 9007199254740993, h(13) % 200000) AS inputTokens,
    h(14) % 8000 AS outputTokens,
    h(15) % 100000 AS cacheReadTokens,
    if(h(16) % 3 = 0, h(16) % 30000, 0) AS cacheWriteTokens,
    h(17) % 4000 AS reasoningTokens,
    startedAt AS ingestedAt
FROM (SELECT number AS n FROM numbers({first}, {count}))`)
	sql = strings.NewReplacer(
		"{agents}", fmt.Sprint(agents), "{from}", runsFrom, "{first}", fmt.Sprint(first), "{count}", fmt.Sprint(count), "{start}", hash(start),
	).Replace(sql)
	sql = strings.ReplaceAll(sql, "h(", "cityHash64(n, ")
	return "INSERT INTO " + db + ".AgentExecution (id, agentId, userId, status, startedAt, duration, errorCode, creditsConsumed, cost, inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, reasoningTokens, ingestedAt)" + sql
}

// startOnDay lets runs start all over one day, a few of them exactly at an hour or 1 ns before it.
func startOnDay(day string) string {
	hour := "3600000000000"
	return "(" + day + ") * 24 * " + hour + " + multiIf(u(20) < 0.01, h(21) % 24 * " + hour + ", u(20) < 0.02, (h(21) % 24 + 1) * " + hour + " - 1, h(21) % (24 * " + hour + "))"
}

// periodOfLength is when the period of a run begins, in seconds since the epoch, from the epoch's nanoseconds.
func periodOfLength(seconds int) string {
	return strings.ReplaceAll("intDiv(toUnixTimestamp64Nano(startedAt), {seconds} * 1000000000) * {seconds}", "{seconds}", fmt.Sprint(seconds))
}

// metricsFromRuns computes AgentMetrics from the runs for which a condition holds, each column by other means than the
// states where there are any: distinct values of an array, a count per error code. at is when the period of a run begins.
func metricsFromRuns(db, period, at, where string) string {
	return strings.NewReplacer("{db}", db, "{period}", period, "{at}", at, "{where}", where).Replace(`
SELECT * EXCEPT (reasons) FROM (
SELECT
    toString(agentId) AS agentId, '{period}' AS period, toDateTime(at, 'UTC') AS periodStart,
    sum(runs) AS totalExecutions,
    sumIf(runs, status = 'success') AS successfulExecutions,
    sumIf(runs, status = 'failed') + sumIf(runs, status = 'error') AS failedExecutions,
    sumIf(runs, status = 'timeout') AS timeouts,
    arraySum(arrayMap(d -> toInt128(round(d * 1e6)), groupArrayArray(durations) AS ms)) / 1e6 / totalExecutions AS avgDuration,
    arrayMin(ms) AS minDuration,
    arrayMax(ms) AS maxDuration,
    (arrayReduce('quantilesDD(0.01, 0.5, 0.95, 0.99)', ms) AS q)[1] AS p50Duration, q[2] AS p95Duration, q[3] AS p99Duration,
    length(arrayDistinct(arrayFilter(u -> u != '', groupArrayArray(users)))) AS uniqueUsers,
    sum(credits) AS totalCreditsConsumed,
    sum(costs) AS totalCost,
    sum(input) AS inputTokens, sum(output) AS outputTokens, sum(cacheRead) AS cacheReadTokens, sum(cacheWrite) AS cacheWriteTokens, sum(reasoning) AS reasoningTokens,
    groupArrayIf((reason, runs), reason != '') AS reasons,
    arraySort(arrayMap(r -> (r, arraySum(arrayMap(x -> if(x.1 = r, x.2, 0), reasons))), arrayDistinct(arrayMap(x -> x.1, reasons)))) AS errors
FROM
(
    SELECT
        agentId, status, {at} AS at,
        multiIf(status = 'success', '', errorCode != '', toString(errorCode), toString(status)) AS reason,
        count() AS runs, groupArray(duration) AS durations, groupUniqArray(userId) AS users,
        sum(toDecimal128(creditsConsumed, 6)) AS credits, sum(toDecimal128(if(cost IS NULL, toDecimal64(0, 9), assumeNotNull(cost)), 9)) AS costs,
        sum(e.inputTokens) AS input, sum(e.outputTokens) AS output, sum(e.cacheReadTokens) AS cacheRead, sum(e.cacheWriteTokens) AS cacheWrite, sum(e.reasoningTokens) AS reasoning
    FROM {db}.AgentExecution AS e
    WHERE {where}
    GROUP BY agentId, at, status, reason
)
GROUP BY agentId, at)`)
}

// metricsFrom reads the same columns from a view.
func metricsFrom(view string) string {
	return `
SELECT
    toString(agentId), toString(period), periodStart, totalExecutions, successfulExecutions, failedExecutions, timeouts, avgDuration, minDuration, maxDuration,
    p50Duration, p95Duration, p99Duration, uniqueUsers, totalCreditsConsumed, totalCost,
    inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, reasoningTokens,
    arraySort(JSONExtractKeysAndValues(errorCounts, 'UInt64'))
FROM ` + view
}

// onlyInOne gives rows that only one of two queries has, none when both have the same; a row that one has twice is
// different.
func onlyInOne(t *testing.T, ch *enginetest.CH, first, second string) string {
	t.Helper()
	return strings.TrimSpace(ch.Exec(t, "SELECT 'only in the first', * FROM ("+first+" EXCEPT ALL "+second+") ORDER BY ALL LIMIT 2") +
		ch.Exec(t, "SELECT 'only in the second', * FROM ("+second+" EXCEPT ALL "+first+") ORDER BY ALL LIMIT 2"))
}

// settleDays stores what comes out of the states of all days, now instead of some seconds later.
func settleDays(t *testing.T, ch *enginetest.CH, db string) {
	t.Helper()
	ch.Exec(t, "SYSTEM REFRESH VIEW "+db+".AgentMetricsDailySettle")
	ch.Exec(t, "SYSTEM WAIT VIEW "+db+".AgentMetricsDailySettle")
}

// unsettledDays counts the days of agents whose settled figures are not of all their runs.
func unsettledDays(t *testing.T, ch *enginetest.CH, db string) string {
	t.Helper()
	return strings.TrimSpace(ch.Exec(t, "SELECT count() FROM (SELECT max(settled) AS s FROM "+db+".AgentMetricsDaily GROUP BY agentId, periodStart HAVING s.fingerprint != sum(fingerprint))"))
}

// TestAgentMetricsEqualsRecomputation stores 100,000 runs of 20 agents over 30 days in many blocks, out of order and
// late, merges the states now and then, and expects in every column of AgentMetrics what the runs themselves say.
func TestAgentMetricsEqualsRecomputation(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	db := ch.Database(t)
	_, err := schema.MigrateClickHouse(t.Context(), ch.URL, schema.ClickHouseConfig{Database: db, Retention: schema.LongRetention})
	require.NoError(t, err)
	one := func(sql string) string { return strings.TrimSpace(ch.Exec(t, sql)) }

	const agents, total = 20, 100_000
	stored := 0
	add := func(count int, start string, params ...string) {
		ch.Exec(t, generateRuns(db, agents, stored, count, start), append(params, "compile_expressions", "0")...)
		stored += count
	}
	merge := func() {
		ch.Exec(t, "OPTIMIZE TABLE "+db+".AgentMetricsHourly FINAL")
		ch.Exec(t, "OPTIMIZE TABLE "+db+".AgentMetricsDaily FINAL")
	}
	for i := range 30 { // Every day once, in disorder.
		add(2500, startOnDay(fmt.Sprint(i*7%30)))
		if i%10 == 4 {
			merge()
		}
	}
	for range 2 { // Blocks of all days.
		add(8000, startOnDay("h(22) % 30"))
	}
	merge()
	for i := range 6 { // Older days again, from a session with another time zone, half an hour off.
		add(1400, startOnDay(fmt.Sprint(5-i)), "session_timezone", "Asia/Kolkata")
	}
	for i := range 6 {
		add(1, startOnDay(fmt.Sprint(i*5)))
	}
	add(total-stored, startOnDay("29 - h(22) % 4"))

	require.Equal(t, fmt.Sprint(total), one("SELECT count() FROM "+db+".AgentExecution"))
	require.Equal(t, "20\t30\t4", one("SELECT uniqExact(agentId), uniqExact(toDate(startedAt)), uniqExact(status) FROM "+db+".AgentExecution"))

	different := func(period string, seconds int) string {
		return onlyInOne(t, ch, metricsFromRuns(db, period, periodOfLength(seconds), "true"), metricsFrom(db+".AgentMetrics WHERE period = '"+period+"'"))
	}
	equal := func(t *testing.T) {
		t.Helper()
		require.Empty(t, different("hour", 3600))
		require.Empty(t, different("day", 86400))
	}
	equal(t)
	merge()
	equal(t)
	settleDays(t, ch, db)
	require.Equal(t, "0", unsettledDays(t, ch, db))
	equal(t)
	merge()
	require.Equal(t, "0", unsettledDays(t, ch, db))
	equal(t)

	// What the comparison with the same formula cannot tell.
	for _, period := range []string{"hour", "day"} {
		metrics := "FROM " + db + ".AgentMetrics WHERE period = '" + period + "'"
		require.Equal(t, fmt.Sprint(total), one("SELECT sum(totalExecutions) "+metrics))
		require.Equal(t, "0", one(`SELECT countIf(NOT isValidJSON(errorCounts) OR JSONType(errorCounts) != 'Object'
			OR arraySum(mapValues(JSONExtract(errorCounts, 'Map(String, UInt64)'))) != totalExecutions - successfulExecutions
			OR totalExecutions != successfulExecutions + failedExecutions + timeouts) `+metrics))
		require.Equal(t, "7", one(`SELECT uniqExact(code) FROM (SELECT arrayJoin(JSONExtractKeys(errorCounts)) AS code `+metrics+`)
			WHERE code IN ('a "quoted" code', 'back\\slash', 'line\nbreak', 'Zeitüberschreitung ✗', 'null', '\x01', 'timeout')`), "codes that JSON has to escape come back")
	}
	// Percentiles are within 1 % of a value whose rank is next to the wanted one.
	require.Equal(t, "0", one(`
		SELECT countIf(NOT (
			p50Duration BETWEEN exact[1] * 0.99 AND exact[2] * 1.01 AND
			p95Duration BETWEEN exact[3] * 0.99 AND exact[4] * 1.01 AND
			p99Duration BETWEEN exact[5] * 0.99 AND exact[6] * 1.01
			AND abs(avgDuration - mean) <= 1e-9 * mean))
		FROM `+db+`.AgentMetrics AS m
		INNER JOIN (
			SELECT agentId, toDateTime(toStartOfDay(startedAt), 'UTC') AS periodStart, avg(duration) AS mean,
				arraySort(groupArray(duration)) AS d, length(d) AS n,
				arrayMap(i -> d[least(greatest(toInt64(i), 1), toInt64(n))], [floor(0.5 * n), ceil(0.5 * n) + 1, floor(0.95 * n), ceil(0.95 * n) + 1, floor(0.99 * n), ceil(0.99 * n) + 1]) AS exact
			FROM `+db+`.AgentExecution GROUP BY agentId, periodStart
		) AS r ON r.agentId = m.agentId AND r.periodStart = m.periodStart
		WHERE m.period = 'day'`))

	// A retried INSERT counts once, here and in the states; the same runs under another token count again.
	retry := func(token string) {
		ch.Exec(t, generateRuns(db, agents, total, 500, startOnDay("h(22) % 30")), "insert_deduplication_token", token,
			"deduplicate_insert", "enable", "deduplicate_insert_select", "force_enable", "insert_deduplicate", "1", "deduplicate_blocks_in_dependent_materialized_views", "1")
	}
	retry("first")
	retry("first")
	require.Equal(t, fmt.Sprint(total+500), one("SELECT count() FROM "+db+".AgentExecution"))
	equal(t)
	retry("second")
	require.Equal(t, fmt.Sprint(total+1000), one("SELECT count() FROM "+db+".AgentExecution"))
	equal(t)
	settleDays(t, ch, db)
	require.Equal(t, "0", unsettledDays(t, ch, db))
	equal(t)
	merge()
	equal(t)

	// The comparison notices one run that only one side has.
	ch.Exec(t, "ALTER TABLE "+db+".AgentExecution DELETE WHERE id = 'run-99999' SETTINGS mutations_sync = 2")
	require.NotEmpty(t, different("hour", 3600))
	require.NotEmpty(t, different("day", 86400))
}
