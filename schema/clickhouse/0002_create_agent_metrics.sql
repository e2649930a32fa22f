-- Why: counts, users, credits and percentiles per agent, hourly and daily, kept current by materialized views.
-- Both levels are fed from AgentExecution itself: cascading would count a retried insert of one level only.
-- Sums are integers or decimals, never floats, so that any order of merging gives the same figures.
-- Granules are small because a row holds a whole sketch: a query about one agent reads hundreds of rows, not thousands.
-- Those of days are smaller still, and in order of time: states are mostly read of the current day.
-- Reading a day's sketch, users and errors costs a hundred times what its sums cost. AgentMetricsDailySettle therefore
-- stores what comes out of them, in rows of AgentMetricsDaily that count no run, for days to which no run was added for
-- some seconds. It is used only while the fingerprint of the runs in it is that of the runs counted: a late run makes
-- AgentMetrics read the states of its day again at once, until the day is settled anew.
-- A month to which nothing was added for a minute becomes one part: to open a part takes longer than to read it.
-- Locks: none, all tables are new. The views see only rows inserted after they exist.

CREATE TABLE IF NOT EXISTS ${DATABASE}.AgentMetricsHourly${LOCAL} ${ON_CLUSTER}
(
    agentId              LowCardinality(String)                    COMMENT 'Agent',
    periodStart          DateTime('UTC')                           COMMENT 'Start of the hour in which the runs started, UTC',
    totalExecutions      SimpleAggregateFunction(sum, UInt64)      COMMENT 'Runs',
    successfulExecutions SimpleAggregateFunction(sum, UInt64)      COMMENT 'Runs with status success',
    failedExecutions     SimpleAggregateFunction(sum, UInt64)      COMMENT 'Runs with status failed or error',
    timeouts             SimpleAggregateFunction(sum, UInt64)      COMMENT 'Runs with status timeout',
    durationNs           SimpleAggregateFunction(sum, UInt64)      COMMENT 'Sum of durations, ns',
    minDuration          SimpleAggregateFunction(min, Float64)     COMMENT 'Shortest run, ms',
    maxDuration          SimpleAggregateFunction(max, Float64)     COMMENT 'Longest run, ms',
    durationQuantiles    AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Float64) COMMENT 'DDSketch of durations, 1 % relative accuracy',
    uniqueUsers          AggregateFunction(uniq, String)           COMMENT 'Distinct users; told by 32-bit hashes up to 65,536 of them, by a sample of those beyond',
    totalCreditsConsumed SimpleAggregateFunction(sum, Decimal(38, 6)) COMMENT 'Credits',
    totalCost            SimpleAggregateFunction(sum, Decimal(38, 9)) COMMENT 'Cost in USD of the runs with a known cost',
    inputTokens          SimpleAggregateFunction(sum, UInt64)      COMMENT 'Input tokens',
    outputTokens         SimpleAggregateFunction(sum, UInt64)      COMMENT 'Output tokens',
    cacheReadTokens      SimpleAggregateFunction(sum, UInt64)      COMMENT 'Input tokens read from a cache',
    cacheWriteTokens     SimpleAggregateFunction(sum, UInt64)      COMMENT 'Input tokens written to a cache',
    reasoningTokens      SimpleAggregateFunction(sum, UInt64)      COMMENT 'Output tokens spent on reasoning',
    errorCounts          SimpleAggregateFunction(sumMap, Map(String, UInt64)) COMMENT 'Runs that did not succeed, by error code'
)
ENGINE = ${AGGREGATINGMERGETREE}
PARTITION BY toYYYYMM(periodStart)
ORDER BY (agentId, periodStart)
TTL periodStart + toIntervalDay(${RETENTION_AGENT_METRICS_HOURLY_DAYS})
SETTINGS ttl_only_drop_parts = 1, index_granularity = 128, min_age_to_force_merge_seconds = 60, min_age_to_force_merge_on_partition_only = 1${DEDUP_SETTINGS}
COMMENT 'Partial states of AgentMetrics by hour; read AgentMetrics instead';

CREATE TABLE IF NOT EXISTS ${DATABASE}.AgentMetricsDaily${LOCAL} ${ON_CLUSTER}
(
    agentId              LowCardinality(String)                    COMMENT 'Agent',
    periodStart          DateTime('UTC')                           COMMENT 'Start of the day in which the runs started, UTC',
    totalExecutions      SimpleAggregateFunction(sum, UInt64)      COMMENT 'Runs',
    successfulExecutions SimpleAggregateFunction(sum, UInt64)      COMMENT 'Runs with status success',
    failedExecutions     SimpleAggregateFunction(sum, UInt64)      COMMENT 'Runs with status failed or error',
    timeouts             SimpleAggregateFunction(sum, UInt64)      COMMENT 'Runs with status timeout',
    durationNs           SimpleAggregateFunction(sum, UInt64)      COMMENT 'Sum of durations, ns',
    minDuration          SimpleAggregateFunction(min, Float64)     COMMENT 'Shortest run, ms',
    maxDuration          SimpleAggregateFunction(max, Float64)     COMMENT 'Longest run, ms',
    durationQuantiles    AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Float64) COMMENT 'DDSketch of durations, 1 % relative accuracy',
    uniqueUsers          AggregateFunction(uniq, String)           COMMENT 'Distinct users; told by 32-bit hashes up to 65,536 of them, by a sample of those beyond',
    totalCreditsConsumed SimpleAggregateFunction(sum, Decimal(38, 6)) COMMENT 'Credits',
    totalCost            SimpleAggregateFunction(sum, Decimal(38, 9)) COMMENT 'Cost in USD of the runs with a known cost',
    inputTokens          SimpleAggregateFunction(sum, UInt64)      COMMENT 'Input tokens',
    outputTokens         SimpleAggregateFunction(sum, UInt64)      COMMENT 'Output tokens',
    cacheReadTokens      SimpleAggregateFunction(sum, UInt64)      COMMENT 'Input tokens read from a cache',
    cacheWriteTokens     SimpleAggregateFunction(sum, UInt64)      COMMENT 'Input tokens written to a cache',
    reasoningTokens      SimpleAggregateFunction(sum, UInt64)      COMMENT 'Output tokens spent on reasoning',
    errorCounts          SimpleAggregateFunction(sumMap, Map(String, UInt64)) COMMENT 'Runs that did not succeed, by error code',
    fingerprint          SimpleAggregateFunction(sum, UInt64)      COMMENT 'Sum of hashes of the runs: tells whether settled is of the runs that are counted',
    storedAt             SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'When the last of the runs was stored',
    settled              SimpleAggregateFunction(max, Tuple(at DateTime64(3, 'UTC'), fingerprint UInt64, p50 Float64, p95 Float64, p99 Float64, users UInt64, errors String)) COMMENT 'What came out of the states, when, and of which runs; the latest counts'
)
ENGINE = ${AGGREGATINGMERGETREE}
PARTITION BY toYYYYMM(periodStart)
ORDER BY (periodStart, agentId)
TTL periodStart + toIntervalDay(${RETENTION_AGENT_METRICS_DAILY_DAYS})
SETTINGS ttl_only_drop_parts = 1, index_granularity = 64, min_age_to_force_merge_seconds = 60, min_age_to_force_merge_on_partition_only = 1${DEDUP_SETTINGS}
COMMENT 'Partial states of AgentMetrics by day; read AgentMetrics instead';

CREATE MATERIALIZED VIEW IF NOT EXISTS ${DATABASE}.AgentMetricsHourlyView ${ON_CLUSTER} TO ${DATABASE}.AgentMetricsHourly${LOCAL} AS
SELECT
    agentId,
    toStartOfHour(toDateTime(startedAt, 'UTC')) AS periodStart,
    count() AS totalExecutions,
    countIf(status = 'success') AS successfulExecutions,
    countIf(status IN ('failed', 'error')) AS failedExecutions,
    countIf(status = 'timeout') AS timeouts,
    sum(toUInt64(round(duration * 1e6))) AS durationNs,
    min(duration) AS minDuration,
    max(duration) AS maxDuration,
    quantilesDDState(0.01, 0.5, 0.95, 0.99)(duration) AS durationQuantiles,
    uniqStateIf(userId, userId != '') AS uniqueUsers,
    sum(toDecimal128(creditsConsumed, 6)) AS totalCreditsConsumed,
    sum(toDecimal128(ifNull(cost, 0), 9)) AS totalCost,
    sum(inputTokens) AS inputTokens,
    sum(outputTokens) AS outputTokens,
    sum(cacheReadTokens) AS cacheReadTokens,
    sum(cacheWriteTokens) AS cacheWriteTokens,
    sum(reasoningTokens) AS reasoningTokens,
    sumMap(if(status = 'success', map(), map(if(errorCode = '', toString(status), toString(errorCode)), toUInt64(1)))::Map(String, UInt64)) AS errorCounts
FROM ${DATABASE}.AgentExecution${LOCAL}
GROUP BY agentId, periodStart;

CREATE MATERIALIZED VIEW IF NOT EXISTS ${DATABASE}.AgentMetricsDailyView ${ON_CLUSTER} TO ${DATABASE}.AgentMetricsDaily${LOCAL} AS
SELECT
    agentId,
    toStartOfDay(toDateTime(startedAt, 'UTC')) AS periodStart,
    count() AS totalExecutions,
    countIf(status = 'success') AS successfulExecutions,
    countIf(status IN ('failed', 'error')) AS failedExecutions,
    countIf(status = 'timeout') AS timeouts,
    sum(toUInt64(round(duration * 1e6))) AS durationNs,
    min(duration) AS minDuration,
    max(duration) AS maxDuration,
    quantilesDDState(0.01, 0.5, 0.95, 0.99)(duration) AS durationQuantiles,
    uniqStateIf(userId, userId != '') AS uniqueUsers,
    sum(toDecimal128(creditsConsumed, 6)) AS totalCreditsConsumed,
    sum(toDecimal128(ifNull(cost, 0), 9)) AS totalCost,
    sum(inputTokens) AS inputTokens,
    sum(outputTokens) AS outputTokens,
    sum(cacheReadTokens) AS cacheReadTokens,
    sum(cacheWriteTokens) AS cacheWriteTokens,
    sum(reasoningTokens) AS reasoningTokens,
    sumMap(if(status = 'success', map(), map(if(errorCode = '', toString(status), toString(errorCode)), toUInt64(1)))::Map(String, UInt64)) AS errorCounts,
    sum(cityHash64(id, startedAt)) AS fingerprint,
    max(ingestedAt) AS storedAt
FROM ${DATABASE}.AgentExecution${LOCAL}
GROUP BY agentId, periodStart;

CREATE MATERIALIZED VIEW IF NOT EXISTS ${DATABASE}.AgentMetricsDailySettle ${ON_CLUSTER} REFRESH EVERY 10 SECOND APPEND TO ${DATABASE}.AgentMetricsDaily AS
SELECT
    agentId,
    periodStart,
    inf AS minDuration, -- The default, zero, would become the least of all durations.
    (
        now64(3, 'UTC'),
        sum(fingerprint),
        (quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(durationQuantiles) AS quantiles)[1],
        quantiles[2],
        quantiles[3],
        uniqMerge(uniqueUsers),
        toJSONString(sumMap(errorCounts))
    )::Tuple(at DateTime64(3, 'UTC'), fingerprint UInt64, p50 Float64, p95 Float64, p99 Float64, users UInt64, errors String) AS settled
FROM ${DATABASE}.AgentMetricsDaily
WHERE (agentId, periodStart) ${GLOBAL}IN (
    SELECT agentId, periodStart
    FROM ${DATABASE}.AgentMetricsDaily
    GROUP BY agentId, periodStart
    HAVING argMax(settled.fingerprint, settled.at) != sum(fingerprint) AND max(storedAt) < now64(3) - toIntervalSecond(5)
)
GROUP BY agentId, periodStart;

-- The sums of days come from all rows of a day; percentiles, users and errors either from its settled row, or, where that
-- is not of all its runs, from the states. Both are of one moment: a query sees one snapshot of the table.
-- Empty states and sums are set outside of the subqueries, which on a cluster go to other servers.
CREATE VIEW IF NOT EXISTS ${DATABASE}.AgentMetrics ${ON_CLUSTER}
(
    agentId              LowCardinality(String) COMMENT 'Agent',
    period               String                 COMMENT 'hour or day',
    periodStart          DateTime('UTC')        COMMENT 'Start of the hour or day in which the runs started, UTC',
    totalExecutions      UInt64                 COMMENT 'Runs',
    successfulExecutions UInt64                 COMMENT 'Runs with status success',
    failedExecutions     UInt64                 COMMENT 'Runs with status failed or error',
    timeouts             UInt64                 COMMENT 'Runs with status timeout',
    avgDuration          Float64                COMMENT 'Mean duration, ms',
    minDuration          Float64                COMMENT 'Shortest run, ms',
    maxDuration          Float64                COMMENT 'Longest run, ms',
    p50Duration          Float64                COMMENT 'Median duration, ms; a run of that rank took within 1 % of it',
    p95Duration          Float64                COMMENT '95th percentile of durations, ms, as accurate as the median',
    p99Duration          Float64                COMMENT '99th percentile of durations, ms, as accurate as the median',
    uniqueUsers          UInt64                 COMMENT 'Distinct users; up to 65,536 of them exact but for colliding hashes, less than one user on average; beyond estimated, usually within 1 %',
    totalCreditsConsumed Decimal(38, 6)         COMMENT 'Credits',
    totalCost            Decimal(38, 9)         COMMENT 'Cost in USD of the runs with a known cost',
    inputTokens          UInt64                 COMMENT 'Input tokens',
    outputTokens         UInt64                 COMMENT 'Output tokens',
    cacheReadTokens      UInt64                 COMMENT 'Input tokens read from a cache',
    cacheWriteTokens     UInt64                 COMMENT 'Input tokens written to a cache',
    reasoningTokens      UInt64                 COMMENT 'Output tokens spent on reasoning',
    errorCounts          String                 COMMENT 'JSON object: runs that did not succeed, by error code; a run without one counts under its status'
) AS
SELECT
    agentId,
    period,
    periodStart,
    sum(totalExecutions) AS totalExecutions,
    sum(successfulExecutions) AS successfulExecutions,
    sum(failedExecutions) AS failedExecutions,
    sum(timeouts) AS timeouts,
    sum(durationNs) / 1e6 / totalExecutions AS avgDuration,
    min(minDuration) AS minDuration,
    max(maxDuration) AS maxDuration,
    if(max(fromStates) OR max(settledAt) = 0 AS byStates, (quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(durationQuantiles) AS quantiles)[1], argMax(p50, settledAt)) AS p50Duration,
    if(byStates, quantiles[2], argMax(p95, settledAt)) AS p95Duration,
    if(byStates, quantiles[3], argMax(p99, settledAt)) AS p99Duration,
    if(byStates, uniqMerge(uniqueUsers), argMax(users, settledAt)) AS uniqueUsers,
    sum(totalCreditsConsumed) AS totalCreditsConsumed,
    sum(totalCost) AS totalCost,
    sum(inputTokens) AS inputTokens,
    sum(outputTokens) AS outputTokens,
    sum(cacheReadTokens) AS cacheReadTokens,
    sum(cacheWriteTokens) AS cacheWriteTokens,
    sum(reasoningTokens) AS reasoningTokens,
    if(byStates, toJSONString(sumMap(errorCounts)), argMax(errors, settledAt)) AS errorCounts
FROM
(
    SELECT
        'hour' AS period, agentId, periodStart,
        totalExecutions, successfulExecutions, failedExecutions, timeouts, durationNs, minDuration, maxDuration,
        totalCreditsConsumed, totalCost, inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens,
        reasoningTokens, durationQuantiles, uniqueUsers, errorCounts,
        true AS fromStates, toDateTime64(0, 3, 'UTC') AS settledAt, 0. AS p50, 0. AS p95, 0. AS p99, toUInt64(0) AS users,
        '' AS errors
    FROM ${DATABASE}.AgentMetricsHourly
    UNION ALL
    SELECT
        'day' AS period, agentId, periodStart,
        totalExecutions, successfulExecutions, failedExecutions, timeouts, durationNs, minDuration, maxDuration,
        totalCreditsConsumed, totalCost, inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens,
        reasoningTokens,
        defaultValueOfTypeName('AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Float64)') AS durationQuantiles,
        defaultValueOfTypeName('AggregateFunction(uniq, String)') AS uniqueUsers,
        CAST(map(), 'Map(String, UInt64)') AS errorCounts,
        false AS fromStates, settledAt, p50, p95, p99, users, errors
    FROM
    (
        SELECT
            agentId, periodStart,
            totalExecutions, successfulExecutions, failedExecutions, timeouts, durationNs, minDuration, maxDuration,
            totalCreditsConsumed, totalCost, inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens,
            reasoningTokens,
            settled.at AS settledAt, settled.p50 AS p50, settled.p95 AS p95, settled.p99 AS p99, settled.users AS users, settled.errors AS errors
        FROM ${DATABASE}.AgentMetricsDaily
    )
    UNION ALL
    SELECT
        'day' AS period, agentId, periodStart,
        toUInt64(0) AS totalExecutions, toUInt64(0) AS successfulExecutions, toUInt64(0) AS failedExecutions,
        toUInt64(0) AS timeouts, toUInt64(0) AS durationNs, inf AS minDuration, 0. AS maxDuration,
        toDecimal128(0, 6) AS totalCreditsConsumed, toDecimal128(0, 9) AS totalCost, toUInt64(0) AS inputTokens,
        toUInt64(0) AS outputTokens, toUInt64(0) AS cacheReadTokens, toUInt64(0) AS cacheWriteTokens,
        toUInt64(0) AS reasoningTokens,
        durationQuantiles, uniqueUsers, errorCounts,
        true AS fromStates, toDateTime64(0, 3, 'UTC') AS settledAt, 0. AS p50, 0. AS p95, 0. AS p99, toUInt64(0) AS users,
        '' AS errors
    FROM
    (
        SELECT agentId, periodStart, durationQuantiles, uniqueUsers, errorCounts
        FROM ${DATABASE}.AgentMetricsDaily
        WHERE (agentId, periodStart) ${GLOBAL}IN (
            SELECT agentId, periodStart
            FROM ${DATABASE}.AgentMetricsDaily
            GROUP BY agentId, periodStart
            HAVING argMax(settled.fingerprint, settled.at) != sum(fingerprint)
        )
    )
)
GROUP BY agentId, period, periodStart
HAVING totalExecutions > 0
COMMENT 'Figures of each agent by hour and by day, always current. Read it with a condition on period, hour or day';

-- The span's whole days come from the daily states, the hours before and after them from the hourly ones.
CREATE VIEW IF NOT EXISTS ${DATABASE}.AgentMetricsTotal ${ON_CLUSTER} AS
SELECT
    agentId,
    'total' AS period,
    {from:DateTime('UTC')} AS periodStart,
    sum(totalExecutions) AS totalExecutions,
    sum(successfulExecutions) AS successfulExecutions,
    sum(failedExecutions) AS failedExecutions,
    sum(timeouts) AS timeouts,
    sum(durationNs) / 1e6 / totalExecutions AS avgDuration,
    min(minDuration) AS minDuration,
    max(maxDuration) AS maxDuration,
    (quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(durationQuantiles) AS quantiles)[1] AS p50Duration,
    quantiles[2] AS p95Duration,
    quantiles[3] AS p99Duration,
    uniqMerge(uniqueUsers) AS uniqueUsers,
    sum(totalCreditsConsumed) AS totalCreditsConsumed,
    sum(totalCost) AS totalCost,
    sum(inputTokens) AS inputTokens,
    sum(outputTokens) AS outputTokens,
    sum(cacheReadTokens) AS cacheReadTokens,
    sum(cacheWriteTokens) AS cacheWriteTokens,
    sum(reasoningTokens) AS reasoningTokens,
    toJSONString(sumMap(errorCounts)) AS errorCounts
FROM
(
    SELECT
        agentId,
        totalExecutions, successfulExecutions, failedExecutions, timeouts, durationNs, minDuration, maxDuration,
        totalCreditsConsumed, totalCost, inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens,
        reasoningTokens, durationQuantiles, uniqueUsers, errorCounts
    FROM ${DATABASE}.AgentMetricsDaily
    WHERE periodStart >= toStartOfDay(addSeconds({from:DateTime('UTC')}, 86399))
        AND periodStart < toStartOfDay(toStartOfHour(addSeconds({to:DateTime('UTC')}, 3599)))
    UNION ALL
    SELECT
        agentId,
        totalExecutions, successfulExecutions, failedExecutions, timeouts, durationNs, minDuration, maxDuration,
        totalCreditsConsumed, totalCost, inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens,
        reasoningTokens, durationQuantiles, uniqueUsers, errorCounts
    FROM ${DATABASE}.AgentMetricsHourly
    WHERE periodStart >= {from:DateTime('UTC')} AND periodStart < {to:DateTime('UTC')}
        AND (periodStart < toStartOfDay(addSeconds({from:DateTime('UTC')}, 86399)) OR periodStart >= toStartOfDay(toStartOfHour(addSeconds({to:DateTime('UTC')}, 3599))))
)
GROUP BY agentId
HAVING totalExecutions > 0
COMMENT 'Figures of each agent over a span';
