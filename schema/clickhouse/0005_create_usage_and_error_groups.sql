-- Why: how each user uses each agent, by day, and errors that are the same grouped into one row.
-- Locks: none, everything is new. On a database that already has runs it takes a few seconds longer, see below.
--
-- Runs that were stored before the view exists are counted by the INSERT at the end, all later ones by the view, and
-- none by both: a moment divides them. The view takes rows whose ingestedAt, the server's own clock, is at or after it;
-- the INSERT takes those before it. The moment lies a few seconds after the migration begins, so that an INSERT that was
-- under way when the view appeared, which does not see the view, stamps its rows before the moment; and the backfill
-- waits until the moment has passed and no INSERT that began before it still runs. A new database needs no moment: it is
-- the epoch.
-- Cut short and run again: the first moment stays in force, because the backfill reads it from the view as it is; and
-- the backfill writes each user, agent and day as one row, marked as backfilled, and leaves out those it has written.

CREATE TABLE IF NOT EXISTS ${DATABASE}.UserAgentUsageDaily${LOCAL} ${ON_CLUSTER}
(
    userId               String                                       COMMENT 'User; runs without one are not counted' CODEC(ZSTD(1)),
    agentId              LowCardinality(String)                       COMMENT 'Agent' CODEC(ZSTD(1)),
    day                  Date                                         COMMENT 'Day in which the runs started, UTC' CODEC(Delta(2), ZSTD(1)),
    backfilled           Bool                                         COMMENT 'Whether the row counts runs from before the table was made',
    totalExecutions      SimpleAggregateFunction(sum, UInt64)         COMMENT 'Runs',
    successfulExecutions SimpleAggregateFunction(sum, UInt64)         COMMENT 'Runs with status success',
    creditsConsumed      SimpleAggregateFunction(sum, Decimal(38, 6)) COMMENT 'Credits',
    hours                SimpleAggregateFunction(sumMap, Map(UInt8, UInt64)) COMMENT 'Runs by hour of the day, UTC',
    lastUsedAt           SimpleAggregateFunction(max, DateTime64(9, 'UTC')) COMMENT 'Start of the last run'
)
ENGINE = ${AGGREGATINGMERGETREE}
PARTITION BY toYYYYMM(day)
ORDER BY (userId, agentId, day, backfilled)
TTL day + toIntervalDay(${RETENTION_USER_AGENT_USAGE_DAYS})
SETTINGS ttl_only_drop_parts = 1${DEDUP_SETTINGS}
COMMENT 'Partial states of UserAgentUsage; read UserAgentUsage instead';

CREATE MATERIALIZED VIEW IF NOT EXISTS ${DATABASE}.UserAgentUsageDailyView ${ON_CLUSTER} TO ${DATABASE}.UserAgentUsageDaily${LOCAL} AS
SELECT
    userId,
    agentId,
    toDate(startedAt, 'UTC') AS day,
    false AS backfilled,
    count() AS totalExecutions,
    countIf(status = 'success') AS successfulExecutions,
    sum(toDecimal128(creditsConsumed, 6)) AS creditsConsumed,
    sumMap(map(toHour(startedAt, 'UTC'), toUInt64(1))) AS hours,
    max(startedAt) AS lastUsedAt
FROM ${DATABASE}.AgentExecution${LOCAL}
WHERE userId != '' AND toUnixTimestamp64Milli(ingestedAt) >= ${VIEWS_SINCE_MS}
GROUP BY userId, agentId, day;

-- +settle UserAgentUsageDailyView
INSERT INTO ${DATABASE}.UserAgentUsageDaily (userId, agentId, day, backfilled, totalExecutions, successfulExecutions, creditsConsumed, hours, lastUsedAt)
SELECT
    userId,
    agentId,
    toDate(startedAt, 'UTC') AS day,
    true,
    count(),
    countIf(status = 'success'),
    sum(toDecimal128(e.creditsConsumed, 6)),
    sumMap(map(toHour(startedAt, 'UTC'), toUInt64(1))),
    max(startedAt)
FROM ${DATABASE}.AgentExecution AS e
WHERE userId != '' AND toUnixTimestamp64Milli(ingestedAt) <
    (SELECT toInt64(extract(as_select, 'toUnixTimestamp64Milli\\(ingestedAt\\) >= (\\d+)')) FROM system.tables WHERE database = '${DATABASE}' AND name = 'UserAgentUsageDailyView')
GROUP BY userId, agentId, day
HAVING (userId, agentId, day) ${GLOBAL}NOT IN (SELECT userId, agentId, day FROM ${DATABASE}.UserAgentUsageDaily WHERE backfilled);

CREATE VIEW IF NOT EXISTS ${DATABASE}.UserAgentUsage ${ON_CLUSTER}
(
    userId               String                 COMMENT 'User',
    agentId              LowCardinality(String) COMMENT 'Agent',
    day                  Date                   COMMENT 'Day in which the runs started, UTC',
    totalExecutions      UInt64                 COMMENT 'Runs',
    successfulExecutions UInt64                 COMMENT 'Runs with status success',
    creditsConsumed      Decimal(38, 6)         COMMENT 'Credits',
    preferredTimeOfDay   UInt8                  COMMENT 'Hour of the day in which most runs started, UTC, the earlier one of equals',
    lastUsedAt           DateTime64(9, 'UTC')   COMMENT 'Start of the last run'
) AS
SELECT
    userId,
    agentId,
    day,
    sum(totalExecutions) AS totalExecutions,
    sum(successfulExecutions) AS successfulExecutions,
    sum(creditsConsumed) AS creditsConsumed,
    -- sumMap gives its keys in order.
    mapKeys(sumMap(hours) AS byHour)[indexOf(mapValues(byHour), arrayMax(mapValues(byHour)))] AS preferredTimeOfDay,
    max(lastUsedAt) AS lastUsedAt
FROM ${DATABASE}.UserAgentUsageDaily
GROUP BY userId, agentId, day
COMMENT 'How each user uses each agent, by day';

CREATE VIEW IF NOT EXISTS ${DATABASE}.SystemErrorGroups ${ON_CLUSTER}
(
    fingerprint        UInt64                 COMMENT 'Equal for errors that differ only in ids, numbers and addresses',
    errorCode          LowCardinality(String) COMMENT 'Reason of the last occurrence',
    errorType          LowCardinality(String) COMMENT 'Exception type of the last occurrence',
    component          LowCardinality(String) COMMENT 'Service of the last occurrence',
    severity           Enum8('warning' = 1, 'error' = 2, 'critical' = 3) COMMENT 'The worst of all occurrences',
    firstSeen          DateTime64(9, 'UTC')   COMMENT 'When it happened first',
    lastSeen           DateTime64(9, 'UTC')   COMMENT 'When it happened last',
    occurrences        UInt64                 COMMENT 'How often it happened; told twice, by a span and by a log record, it counts once',
    affectedAgents     UInt64                 COMMENT 'Distinct agents',
    affectedUsers      UInt64                 COMMENT 'Distinct users',
    affectedExecutions UInt64                 COMMENT 'Distinct runs, where the errors name one',
    message            String                 COMMENT 'Message of the last occurrence',
    details            Map(LowCardinality(String), String) COMMENT 'Stack trace and what else was told of the last occurrence',
    traceId            String                 COMMENT 'Trace of the last occurrence'
) AS
SELECT
    fingerprint,
    tupleElement(argMax((e.errorCode, e.errorType, e.component, e.message, e.details, e.traceId), (e.timestamp, e.id)) AS last, 1) AS errorCode,
    tupleElement(last, 2) AS errorType,
    tupleElement(last, 3) AS component,
    max(e.severity) AS severity,
    min(timestamp) AS firstSeen,
    max(timestamp) AS lastSeen,
    uniqExact(id) AS occurrences,
    uniqExactIf(agentId, agentId != '') AS affectedAgents,
    uniqExactIf(userId, userId != '') AS affectedUsers,
    uniqExactIf(executionId, executionId != '') AS affectedExecutions,
    tupleElement(last, 4) AS message,
    tupleElement(last, 5) AS details,
    tupleElement(last, 6) AS traceId
FROM ${DATABASE}.SystemErrors AS e
GROUP BY fingerprint
COMMENT 'Errors that are the same, with how often and whom they hit';
