-- Why: counts, users, credits and percentiles per agent, hourly and daily, kept current by materialized views.
-- Both levels are fed from AgentExecution itself: cascading would count a retried insert of one level only.
-- Sums are integers or decimals, never floats, so that any order of merging gives the same figures.
-- Granules are small because a row holds a whole sketch: a query about one agent reads hundreds of rows, not thousands.
-- Locks: none, all tables are new. The views see only rows inserted after they exist.

CREATE TABLE IF NOT EXISTS ${DATABASE}.AgentMetricsHourly${LOCAL} ${ON_CLUSTER}
(
    agentId              LowCardinality(String)                     COMMENT 'Agent',
    periodStart          DateTime('UTC')                            COMMENT 'Start of the hour in which the runs started',
    totalExecutions      SimpleAggregateFunction(sum, UInt64)       COMMENT 'Runs',
    successfulExecutions SimpleAggregateFunction(sum, UInt64)       COMMENT 'Runs with status success',
    failedExecutions     SimpleAggregateFunction(sum, UInt64)       COMMENT 'Runs with status failed or error',
    timeouts             SimpleAggregateFunction(sum, UInt64)       COMMENT 'Runs with status timeout',
    durationNs           SimpleAggregateFunction(sum, UInt64)       COMMENT 'Sum of durations, ns',
    minDuration          SimpleAggregateFunction(min, Float64)      COMMENT 'Shortest run, ms',
    maxDuration          SimpleAggregateFunction(max, Float64)      COMMENT 'Longest run, ms',
    durationQuantiles    AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Float64) COMMENT 'DDSketch of durations, 1 % relative accuracy',
    uniqueUsers          AggregateFunction(uniq, String)            COMMENT 'Distinct users',
    totalCreditsConsumed SimpleAggregateFunction(sum, Decimal(38, 6)) COMMENT 'Credits',
    totalCost            SimpleAggregateFunction(sum, Decimal(38, 9)) COMMENT 'Cost in USD of the runs with a known cost',
    inputTokens          SimpleAggregateFunction(sum, UInt64)       COMMENT 'Input tokens',
    outputTokens         SimpleAggregateFunction(sum, UInt64)       COMMENT 'Output tokens',
    cacheReadTokens      SimpleAggregateFunction(sum, UInt64)       COMMENT 'Input tokens read from a cache',
    cacheWriteTokens     SimpleAggregateFunction(sum, UInt64)       COMMENT 'Input tokens written to a cache',
    reasoningTokens      SimpleAggregateFunction(sum, UInt64)       COMMENT 'Output tokens spent on reasoning',
    errorCounts          SimpleAggregateFunction(sumMap, Map(String, UInt64)) COMMENT 'Runs that did not succeed, by error code'
)
ENGINE = ${AGGREGATINGMERGETREE}
PARTITION BY toYYYYMM(periodStart)
ORDER BY (agentId, periodStart)
TTL periodStart + toIntervalDay(${RETENTION_AGENT_METRICS_HOURLY_DAYS})
SETTINGS ttl_only_drop_parts = 1, index_granularity = 128${DEDUP_SETTINGS}
COMMENT 'Partial states of AgentMetrics by hour; read AgentMetrics instead';

CREATE TABLE IF NOT EXISTS ${DATABASE}.AgentMetricsDaily${LOCAL} ${ON_CLUSTER} AS ${DATABASE}.AgentMetricsHourly${LOCAL}
ENGINE = ${AGGREGATINGMERGETREE}
PARTITION BY toYear(periodStart)
ORDER BY (agentId, periodStart)
TTL periodStart + toIntervalDay(${RETENTION_AGENT_METRICS_DAILY_DAYS})
SETTINGS ttl_only_drop_parts = 1, index_granularity = 128${DEDUP_SETTINGS}
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
    sumMap(if(status = 'success', map(), map(if(errorCode = '', toString(status), toString(errorCode)), toUInt64(1)))::Map(String, UInt64)) AS errorCounts
FROM ${DATABASE}.AgentExecution${LOCAL}
GROUP BY agentId, periodStart;

CREATE VIEW IF NOT EXISTS ${DATABASE}.AgentMetrics ${ON_CLUSTER} AS
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
    SELECT 'hour' AS period, * FROM ${DATABASE}.AgentMetricsHourly
    UNION ALL
    SELECT 'day' AS period, * FROM ${DATABASE}.AgentMetricsDaily
)
GROUP BY agentId, period, periodStart;
