-- Why: prices of models, from which costs are computed; and one row per run with its request, its steps' tokens and how
-- many calls, log records and errors it has.
-- Locks: none, everything is new.

CREATE TABLE IF NOT EXISTS ${DATABASE}.ModelPrice ${ON_CLUSTER}
(
    version         LowCardinality(String)   COMMENT 'Version of the price table that the row is part of',
    provider        LowCardinality(String)   COMMENT 'Who sells at this price, as in gen_ai.provider.name',
    providerNames   Array(LowCardinality(String)) COMMENT 'Other names of the provider, and resellers at the same price',
    model           LowCardinality(String)   COMMENT 'Name of the model, without prefix; with a date only where that date has a price of its own',
    effectiveFrom   DateTime('UTC')          COMMENT 'From when the price holds',
    effectiveTo     Nullable(DateTime('UTC')) COMMENT 'Until when the price holds, NULL when no end is known',
    inputPrice      Decimal(18, 9)           COMMENT 'USD per million input tokens that no cache was involved in',
    outputPrice     Decimal(18, 9)           COMMENT 'USD per million output tokens, reasoning included',
    cacheReadPrice  Decimal(18, 9)           COMMENT 'USD per million input tokens read from a cache; that of input where none is published',
    cacheWritePrice Decimal(18, 9)           COMMENT 'USD per million input tokens written to a cache; that of input where none is published',
    source          String                   COMMENT 'Where the price is published',
    shipped         Bool                     COMMENT 'Whether the table came with a release; one that did not takes precedence',
    loadedAt        DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When the row was stored; the newest version counts'
)
ENGINE = ${EVERYWHERE_REPLACINGMERGETREE}
ORDER BY (version, provider, model, effectiveFrom)
COMMENT 'Prices of models, one row per version of the table, provider, model and time from which the price holds';

-- What belongs to a run: what names it, and what names no run but shares its trace. Where several runs share a trace,
-- the latter belongs to one of them, the outermost: the first to start of those that no other run of the trace called.
-- Each part is grouped by the id of the run, so that a filter on id reaches every table below: rows that name the run
-- are found by idx_executionId, rows by trace by a join whose right side is that one run. With the setting
-- enable_join_runtime_filters_index_analysis = 1 the latter use idx_traceId as well.
-- A call that two instrumentations report as parent and child counts once: the outer report.
CREATE VIEW IF NOT EXISTS ${DATABASE}.ExecutionDetail ${ON_CLUSTER} AS
WITH outermost AS
(
    SELECT r.id AS id, r.traceId AS traceId
    FROM ${DATABASE}.AgentExecution AS r
    ${GLOBAL}INNER JOIN ${DATABASE}.AgentExecution AS o ON o.traceId = r.traceId
    WHERE r.traceId != ''
    GROUP BY r.id, r.traceId
    HAVING argMin(o.id, (o.parentExecutionId != '', o.startedAt, o.id)) = r.id
)
SELECT
    e.id AS id,
    e.traceId AS traceId,
    e.spanId AS spanId,
    e.parentSpanId AS parentSpanId,
    e.parentExecutionId AS parentExecutionId,
    e.agentId AS agentId,
    e.agentName AS agentName,
    e.agentVersion AS agentVersion,
    e.userId AS userId,
    e.sessionId AS sessionId,
    e.status AS status,
    e.startedAt AS startedAt,
    e.duration AS duration,
    e.responseTime AS responseTime,
    e.processingTime AS processingTime,
    e.queueTime AS queueTime,
    e.errorCode AS errorCode,
    e.errorMessage AS errorMessage,
    e.httpStatus AS httpStatus,
    e.creditsConsumed AS creditsConsumed,
    e.model AS model,
    e.provider AS provider,
    e.inputTokens AS inputTokens,
    e.outputTokens AS outputTokens,
    e.cacheReadTokens AS cacheReadTokens,
    e.cacheWriteTokens AS cacheWriteTokens,
    e.reasoningTokens AS reasoningTokens,
    e.cost AS cost,
    e.priceVersion AS priceVersion,
    e.userAgent AS userAgent,
    e.ipAddress AS ipAddress,
    e.serviceName AS serviceName,
    e.environment AS environment,
    e.dialect AS dialect,
    e.attributes AS attributes,
    e.ingestedAt AS ingestedAt,
    nullIf(q.requestId, toUUID('00000000-0000-0000-0000-000000000000')) AS requestId,
    q.method AS requestMethod,
    q.route AS requestRoute,
    q.httpStatus AS requestHttpStatus,
    q.ipAddress AS requestIpAddress,
    q.userAgent AS requestUserAgent,
    s.stepInputTokens AS stepInputTokens,
    s.stepOutputTokens AS stepOutputTokens,
    s.stepCost AS stepCost,
    multiIf(e.inputTokens + e.outputTokens > 0, 'run', s.stepInputTokens + s.stepOutputTokens > 0, 'steps', 'none') AS tokensFrom,
    if(tokensFrom = 'steps', s.stepInputTokens, e.inputTokens) AS totalInputTokens,
    if(tokensFrom = 'steps', s.stepOutputTokens, e.outputTokens) AS totalOutputTokens,
    ifNull(e.cost, s.stepCost) AS totalCost,
    s.modelCalls AS modelCalls,
    s.toolCalls AS toolCalls,
    l.logs AS logs,
    x.errors AS errors
FROM ${DATABASE}.AgentExecution AS e
${GLOBAL}LEFT JOIN
(
    SELECT
        id,
        groupArrayIf((y.spanId, y.parentSpanId, y.inputTokens, y.outputTokens, y.cost), y.operation = 'inference') AS calls,
        arrayMap(c -> tupleElement(c, 1), calls) AS callIds,
        arrayFilter(c -> tupleElement(c, 2) = '' OR NOT has(callIds, tupleElement(c, 2)), calls) AS outerCalls,
        arraySum(c -> tupleElement(c, 3), outerCalls) AS stepInputTokens,
        arraySum(c -> tupleElement(c, 4), outerCalls) AS stepOutputTokens,
        arrayFilter(c -> isNotNull(c), arrayMap(c -> tupleElement(c, 5), outerCalls)) AS costs,
        if(empty(costs), NULL, arraySum(c -> assumeNotNull(c), costs)) AS stepCost,
        length(outerCalls) AS modelCalls,
        countIf(y.operation = 'tool') AS toolCalls
    FROM
    (
        SELECT executionId AS id, spanId, parentSpanId, inputTokens, outputTokens, cost, operation FROM ${DATABASE}.Span WHERE executionId != '' AND operation IN ('inference', 'tool')
        UNION ALL
        SELECT r.id, y.spanId, y.parentSpanId, y.inputTokens, y.outputTokens, y.cost, y.operation
        FROM ${DATABASE}.Span AS y ${GLOBAL}INNER JOIN outermost AS r ON r.traceId = y.traceId
        WHERE y.executionId = '' AND y.operation IN ('inference', 'tool')
    ) AS y
    GROUP BY id
) AS s ON s.id = e.id
${GLOBAL}LEFT JOIN
(
    SELECT id, count() AS logs FROM
    (
        SELECT executionId AS id FROM ${DATABASE}.AgentLog WHERE executionId != ''
        UNION ALL
        SELECT r.id FROM ${DATABASE}.AgentLog AS y ${GLOBAL}INNER JOIN outermost AS r ON r.traceId = y.traceId WHERE y.executionId = ''
    )
    GROUP BY id
) AS l ON l.id = e.id
${GLOBAL}LEFT JOIN
(
    SELECT id, uniqExact(errorId) AS errors FROM
    (
        SELECT y.executionId AS id, y.id AS errorId FROM ${DATABASE}.SystemErrors AS y WHERE y.executionId != ''
        UNION ALL
        SELECT r.id, y.id FROM ${DATABASE}.SystemErrors AS y ${GLOBAL}INNER JOIN outermost AS r ON r.traceId = y.traceId WHERE y.executionId = ''
    )
    GROUP BY id
) AS x ON x.id = e.id
${GLOBAL}LEFT JOIN
(
    -- Of several requests in the trace, the one that names the run; else the last to begin before the run; else the first.
    SELECT
        r.id AS id,
        argMax((y.id, y.method, y.route, y.httpStatus, y.ipAddress, y.userAgent),
            (y.executionId = r.id, y.timestamp <= r.startedAt, if(y.timestamp <= r.startedAt, 1, -1) * toUnixTimestamp64Nano(y.timestamp), y.id)) AS best,
        tupleElement(best, 1) AS requestId,
        tupleElement(best, 2) AS method,
        tupleElement(best, 3) AS route,
        tupleElement(best, 4) AS httpStatus,
        tupleElement(best, 5) AS ipAddress,
        tupleElement(best, 6) AS userAgent
    FROM ${DATABASE}.RequestLog AS y ${GLOBAL}INNER JOIN ${DATABASE}.AgentExecution AS r ON r.traceId = y.traceId
    WHERE r.traceId != ''
    GROUP BY r.id
) AS q ON q.id = e.id;
