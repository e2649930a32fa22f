-- Why: one id finds everything about one run: its steps, logs, requests and errors, in order.
-- A record that names no run belongs to the run whose trace it shares.
-- Indexes are asked before anything is read: asked as rows are read, they make the engine prepare to read every part.
-- Locks: none, the view is new.

CREATE VIEW IF NOT EXISTS ${DATABASE}.ExecutionTrail ${ON_CLUSTER} AS
WITH runs AS (SELECT DISTINCT traceId FROM ${DATABASE}.AgentExecution WHERE id = {id:String} AND traceId != '')
SELECT * FROM
(
    SELECT startedAt AS timestamp, 'execution' AS source, toString(agentId) AS name, toString(status) AS outcome, duration,
        errorMessage AS message, id AS recordId, traceId, spanId, parentSpanId, id AS executionId
    FROM ${DATABASE}.AgentExecution WHERE id = {id:String} OR parentExecutionId = {id:String}
    UNION ALL
    SELECT startedAt, 'span', toString(name), toString(status), duration, statusMessage, spanId, traceId, spanId, parentSpanId, executionId
    FROM ${DATABASE}.Span WHERE executionId = {id:String} OR (executionId = '' AND traceId IN (SELECT traceId FROM runs))
    UNION ALL
    SELECT timestamp, 'log', if(eventName = '', toString(category), toString(eventName)), toString(level), 0, message, toString(id), traceId, spanId, '', executionId
    FROM ${DATABASE}.AgentLog WHERE executionId = {id:String} OR (executionId = '' AND traceId IN (SELECT traceId FROM runs))
    UNION ALL
    SELECT timestamp, 'request', concat(method, ' ', if(route = '', path, toString(route))), toString(httpStatus), duration, errorMessage, toString(id), traceId, spanId, '', executionId
    FROM ${DATABASE}.RequestLog WHERE executionId = {id:String} OR (executionId = '' AND traceId IN (SELECT traceId FROM runs))
    UNION ALL
    SELECT timestamp, 'error', toString(errorCode), toString(severity), 0, message, toString(id), traceId, spanId, '', executionId
    FROM ${DATABASE}.SystemErrors WHERE executionId = {id:String} OR (executionId = '' AND traceId IN (SELECT traceId FROM runs))
)
ORDER BY timestamp, source
SETTINGS use_skip_indexes_on_data_read = 0;
