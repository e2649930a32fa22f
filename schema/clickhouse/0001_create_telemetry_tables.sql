-- Why: the base tables that the exporter writes, one row per run, span, log record, request and error.
-- Locks: none, all tables are new.
-- Every duration is Float64 milliseconds; every time is UTC; credits and cost are Decimal.
-- SystemErrors replaces rows of one id, because an exception often arrives both as a span event and as a log record,
-- in different requests.
-- The deduplication window makes a retried INSERT with the same token harmless on a single node.
-- Spans of one trace lie together: they have ids, users and sessions in common, and are read together. Granules of Span
-- are small, because its attributes are large: a question about one trace reads two granules.
-- Attributes of Span are compressed in blocks of up to 1 MiB: what is not asked for is decompressed too, and smaller
-- blocks would not find again what the next call of a model repeats of the conversation so far. The primary key of Span
-- is the minute alone: with the trace in it, a search for a trace would look at every mark before it asks the filters.
-- Lengths of strings are stored before the strings, not in a column of eight bytes each. Counts and costs are small
-- numbers, which T64 stores bit by bit.
-- Columns share one file up to 128 MiB of data, so that an INSERT makes ten files and not a hundred. Merges wait until a
-- dozen parts of like size are there, so that a row is written again half as often. Figures: docs/performance.md.

CREATE TABLE IF NOT EXISTS ${DATABASE}.AgentExecution${LOCAL} ${ON_CLUSTER}
(
    id                String                             COMMENT 'Id of the run: agenttrail.execution.id, else the emitter''s run id, else the span id in hex' CODEC(ZSTD(1)),
    traceId           String                             COMMENT 'W3C trace id of the run, 32 hex digits' CODEC(ZSTD(1)),
    spanId            String                             COMMENT 'Id of the run''s span, 16 hex digits' CODEC(ZSTD(1)),
    parentSpanId      String                             COMMENT 'Id of the parent span, empty for a root' CODEC(ZSTD(1)),
    parentExecutionId String                             COMMENT 'Id of the run that called this one, where it is known' CODEC(ZSTD(1)),
    agentId           LowCardinality(String)             COMMENT 'Stable id of the agent' CODEC(ZSTD(1)),
    agentName         LowCardinality(String)             COMMENT 'Human-readable name of the agent' CODEC(ZSTD(1)),
    agentVersion      LowCardinality(String)             COMMENT 'Version of the agent' CODEC(ZSTD(1)),
    userId            String                             COMMENT 'User for whom the agent ran, empty when unknown' CODEC(ZSTD(1)),
    sessionId         String                             COMMENT 'Session or conversation, empty when unknown' CODEC(ZSTD(1)),
    status            Enum8('success' = 1, 'failed' = 2, 'timeout' = 3, 'error' = 4) COMMENT 'Outcome: failed ended without the wanted result, error threw, timeout ran out of time',
    startedAt         DateTime64(9, 'UTC')               COMMENT 'Start of the run' CODEC(Delta(8), ZSTD(1)),
    duration          Float64                            COMMENT 'From the start of the run to its end, ms' CODEC(ZSTD(1)),
    responseTime      Float64                            COMMENT 'From the request to the first output, ms: queueTime plus time to first output; equals queueTime + duration where the emitter reports no first output' CODEC(ZSTD(1)),
    processingTime    Float64                            COMMENT 'Time spent working on the run without waiting in a queue, ms' CODEC(ZSTD(1)),
    queueTime         Float64                            COMMENT 'Time between the request for the run and its start, ms, 0 when unknown' CODEC(ZSTD(1)),
    errorCode         LowCardinality(String)             COMMENT 'Low-cardinality reason of a run that did not succeed' CODEC(ZSTD(1)),
    errorMessage      String                             COMMENT 'Message of the error' CODEC(ZSTD(1)),
    httpStatus        UInt16                             COMMENT 'HTTP status that belongs to the run, 0 when unknown' CODEC(ZSTD(1)),
    creditsConsumed   Decimal(18, 6)                     COMMENT 'Credits the run used, as the emitter counted them' CODEC(ZSTD(1)),
    model             LowCardinality(String)             COMMENT 'Model that answered, else the one asked for' CODEC(ZSTD(1)),
    provider          LowCardinality(String)             COMMENT 'Provider of the model' CODEC(ZSTD(1)),
    inputTokens       UInt64                             COMMENT 'Input tokens, cached ones included' CODEC(T64('bit'), ZSTD(1)),
    outputTokens      UInt64                             COMMENT 'Output tokens, reasoning included' CODEC(T64('bit'), ZSTD(1)),
    cacheReadTokens   UInt64                             COMMENT 'Input tokens read from a cache, part of inputTokens' CODEC(T64('bit'), ZSTD(1)),
    cacheWriteTokens  UInt64                             COMMENT 'Input tokens written to a cache, part of inputTokens' CODEC(T64('bit'), ZSTD(1)),
    reasoningTokens   UInt64                             COMMENT 'Output tokens spent on reasoning, part of outputTokens' CODEC(T64('bit'), ZSTD(1)),
    cost              Nullable(Decimal(18, 9))           COMMENT 'Cost in USD, NULL when nobody gave or could compute one' CODEC(T64('bit'), ZSTD(1)),
    priceVersion      LowCardinality(String)             COMMENT 'Version of the price table that gave the cost, empty when the emitter gave it or nobody could' CODEC(ZSTD(1)),
    userAgent         String                             COMMENT 'User agent of the end user' CODEC(ZSTD(1)),
    ipAddress         String                             COMMENT 'Address of the end user' CODEC(ZSTD(1)),
    serviceName       LowCardinality(String)             COMMENT 'service.name of the resource' CODEC(ZSTD(1)),
    environment       LowCardinality(String)             COMMENT 'deployment.environment.name of the resource' CODEC(ZSTD(1)),
    dialect           LowCardinality(String)             COMMENT 'Instrumentation dialect that told us that this span is a run' CODEC(ZSTD(1)),
    attributes        Map(LowCardinality(String), String) COMMENT 'Span attributes, values as text, structures as JSON' CODEC(ZSTD(3)),
    ingestedAt        DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When the row was stored' CODEC(Delta(8), ZSTD(1)),
    INDEX idx_id id TYPE bloom_filter(0.00001) GRANULARITY 1,
    INDEX idx_parentExecutionId parentExecutionId TYPE bloom_filter(0.00001) GRANULARITY 1,
    INDEX idx_traceId traceId TYPE bloom_filter(0.00001) GRANULARITY 1,
    INDEX idx_userId userId TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_sessionId sessionId TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_ingestedAt ingestedAt TYPE minmax GRANULARITY 1
)
ENGINE = ${MERGETREE}
PARTITION BY toDate(startedAt)
ORDER BY (agentId, startedAt)
TTL toDateTime(startedAt) + toIntervalDay(${RETENTION_AGENT_EXECUTION_DAYS})
SETTINGS ttl_only_drop_parts = 1, string_serialization_version = 'single_stream', min_bytes_for_wide_part = 134217728, merge_selector_base = 12${DEDUP_SETTINGS}
COMMENT 'One row per run of an agent';

CREATE TABLE IF NOT EXISTS ${DATABASE}.Span${LOCAL} ${ON_CLUSTER}
(
    traceId            String                 COMMENT 'W3C trace id, 32 hex digits' CODEC(ZSTD(1)),
    spanId             String                 COMMENT 'Span id, 16 hex digits' CODEC(ZSTD(1)),
    parentSpanId       String                 COMMENT 'Id of the parent span, empty for a root' CODEC(ZSTD(1)),
    name               LowCardinality(String) COMMENT 'Span name' CODEC(ZSTD(1)),
    kind               Enum8('unspecified' = 0, 'internal' = 1, 'server' = 2, 'client' = 3, 'producer' = 4, 'consumer' = 5) COMMENT 'Span kind',
    startedAt          DateTime64(9, 'UTC')   COMMENT 'Start of the span' CODEC(Delta(8), ZSTD(1)),
    duration           Float64                COMMENT 'From start to end, ms' CODEC(ZSTD(4)),
    status             Enum8('unset' = 0, 'ok' = 1, 'error' = 2) COMMENT 'Span status code',
    statusMessage      String                 COMMENT 'Span status description' CODEC(ZSTD(1)),
    agentId            LowCardinality(String) COMMENT 'Agent to whose run the span belongs, where its request tells' CODEC(ZSTD(1)),
    executionId        String                 COMMENT 'Run to which the span belongs, where its request tells' CODEC(ZSTD(1)),
    userId             String                 COMMENT 'User, where the span tells' CODEC(ZSTD(1)),
    sessionId          String                 COMMENT 'Session or conversation, where the span tells' CODEC(ZSTD(1)),
    operation          LowCardinality(String) COMMENT 'What the span is to an agent: agent, workflow, inference, tool, retrieval, embedding, memory, step, request; empty for any other' CODEC(ZSTD(1)),
    model              LowCardinality(String) COMMENT 'Model that answered, else the one asked for' CODEC(ZSTD(1)),
    provider           LowCardinality(String) COMMENT 'Provider of the model' CODEC(ZSTD(1)),
    tool               LowCardinality(String) COMMENT 'Name of the tool that was called' CODEC(ZSTD(1)),
    inputTokens        UInt64                 COMMENT 'Input tokens of this span, cached ones included' CODEC(T64('bit'), ZSTD(1)),
    outputTokens       UInt64                 COMMENT 'Output tokens of this span, reasoning included' CODEC(T64('bit'), ZSTD(1)),
    cacheReadTokens    UInt64                 COMMENT 'Input tokens read from a cache' CODEC(T64('bit'), ZSTD(1)),
    cacheWriteTokens   UInt64                 COMMENT 'Input tokens written to a cache' CODEC(T64('bit'), ZSTD(1)),
    reasoningTokens    UInt64                 COMMENT 'Output tokens spent on reasoning' CODEC(T64('bit'), ZSTD(1)),
    cost               Nullable(Decimal(18, 9)) COMMENT 'Cost of this span in USD, NULL when unknown' CODEC(T64('bit'), ZSTD(1)),
    priceVersion       LowCardinality(String) COMMENT 'Version of the price table that gave the cost, empty when the emitter gave it or nobody could' CODEC(ZSTD(1)),
    serviceName        LowCardinality(String) COMMENT 'service.name of the resource' CODEC(ZSTD(1)),
    environment        LowCardinality(String) COMMENT 'deployment.environment.name of the resource' CODEC(ZSTD(1)),
    scopeName          LowCardinality(String) COMMENT 'Instrumentation scope' CODEC(ZSTD(1)),
    scopeVersion       LowCardinality(String) COMMENT 'Version of the instrumentation scope' CODEC(ZSTD(1)),
    resourceAttributes Map(LowCardinality(String), String) COMMENT 'Resource attributes, values as text' CODEC(ZSTD(4)),
    attributes         Map(LowCardinality(String), String) COMMENT 'Span attributes, values as text, structures as JSON' CODEC(ZSTD(3)) SETTINGS (min_compress_block_size = 262144, max_compress_block_size = 1048576),
    `events.timestamp` Array(DateTime64(9, 'UTC')) COMMENT 'Times of the span events' CODEC(ZSTD(1)),
    `events.name`      Array(LowCardinality(String)) COMMENT 'Names of the span events' CODEC(ZSTD(1)),
    `events.attributes` Array(Map(LowCardinality(String), String)) COMMENT 'Attributes of the span events' CODEC(ZSTD(4)),
    `links.traceId`    Array(String)          COMMENT 'Trace ids of the span links' CODEC(ZSTD(1)),
    `links.spanId`     Array(String)          COMMENT 'Span ids of the span links' CODEC(ZSTD(1)),
    `links.attributes` Array(Map(LowCardinality(String), String)) COMMENT 'Attributes of the span links' CODEC(ZSTD(1)),
    ingestedAt         DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When the row was stored' CODEC(Delta(8), ZSTD(1)),
    INDEX idx_traceId traceId TYPE bloom_filter(0.00001) GRANULARITY 1,
    INDEX idx_executionId executionId TYPE bloom_filter(0.00001) GRANULARITY 1
)
ENGINE = ${MERGETREE}
PARTITION BY toDate(startedAt)
PRIMARY KEY toStartOfMinute(startedAt)
ORDER BY (toStartOfMinute(startedAt), traceId, startedAt)
TTL toDateTime(startedAt) + toIntervalDay(${RETENTION_SPAN_DAYS})
SETTINGS ttl_only_drop_parts = 1, string_serialization_version = 'single_stream', index_granularity = 2048, min_bytes_for_wide_part = 134217728, merge_selector_base = 12${DEDUP_SETTINGS}
COMMENT 'Every span, with what a waterfall needs';

CREATE TABLE IF NOT EXISTS ${DATABASE}.AgentLog${LOCAL} ${ON_CLUSTER}
(
    id                 UUID                   COMMENT 'Id of the log record, computed from its content' CODEC(NONE),
    timestamp          DateTime64(9, 'UTC')   COMMENT 'When it happened, else when it was observed' CODEC(Delta(8), ZSTD(1)),
    executionId        String                 COMMENT 'Run to which the record belongs, where the record tells; else joined by traceId' CODEC(ZSTD(1)),
    agentId            LowCardinality(String) COMMENT 'Agent that logged, where the record or its resource tells' CODEC(ZSTD(1)),
    userId             String                 COMMENT 'User, where the record tells' CODEC(ZSTD(1)),
    sessionId          String                 COMMENT 'Session or conversation, where the record tells' CODEC(ZSTD(1)),
    traceId            String                 COMMENT 'Trace in which it was logged, empty outside of one' CODEC(ZSTD(1)),
    spanId             String                 COMMENT 'Span in which it was logged' CODEC(ZSTD(1)),
    category           Enum8('execution' = 1, 'error' = 2, 'performance' = 3, 'user_action' = 4) COMMENT 'What the record is about',
    level              Enum8('debug' = 1, 'info' = 2, 'warn' = 3, 'error' = 4) COMMENT 'Level; trace counts as debug, fatal as error',
    message            String                 COMMENT 'The text of the record; a structured body as JSON' CODEC(ZSTD(3)),
    context            String                 COMMENT 'JSON object of what the record belongs to: the instrumentation scope and code position' CODEC(ZSTD(1)),
    metadata           Map(LowCardinality(String), String) COMMENT 'Attributes of the record, values as text, structures as JSON' CODEC(ZSTD(1)),
    eventName          LowCardinality(String) COMMENT 'Event name, empty for a plain log record' CODEC(ZSTD(1)),
    severityNumber     UInt8                  COMMENT 'OpenTelemetry severity number, 1 to 24, 0 when not given' CODEC(ZSTD(1)),
    serviceName        LowCardinality(String) COMMENT 'service.name of the resource' CODEC(ZSTD(1)),
    environment        LowCardinality(String) COMMENT 'deployment.environment.name of the resource' CODEC(ZSTD(1)),
    resourceAttributes Map(LowCardinality(String), String) COMMENT 'Resource attributes, values as text' CODEC(ZSTD(4)),
    ingestedAt         DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When the row was stored' CODEC(Delta(8), ZSTD(1)),
    INDEX idx_executionId executionId TYPE bloom_filter(0.00001) GRANULARITY 1,
    INDEX idx_traceId traceId TYPE bloom_filter(0.00001) GRANULARITY 1
)
ENGINE = ${MERGETREE}
PARTITION BY toDate(timestamp)
ORDER BY (agentId, timestamp)
TTL toDateTime(timestamp) + toIntervalDay(${RETENTION_AGENT_LOG_DAYS})
SETTINGS ttl_only_drop_parts = 1, string_serialization_version = 'single_stream', min_bytes_for_wide_part = 134217728, merge_selector_base = 12${DEDUP_SETTINGS}
COMMENT 'One row per log record';

CREATE TABLE IF NOT EXISTS ${DATABASE}.RequestLog${LOCAL} ${ON_CLUSTER}
(
    id              UUID                   COMMENT 'Id of the request, computed from its trace and span id' CODEC(NONE),
    timestamp       DateTime64(9, 'UTC')   COMMENT 'When the request arrived' CODEC(Delta(8), ZSTD(1)),
    method          LowCardinality(String) COMMENT 'HTTP method' CODEC(ZSTD(1)),
    url             String                 COMMENT 'Whole address, rebuilt from scheme, host, path and query where the emitter gives parts' CODEC(ZSTD(1)),
    path            String                 COMMENT 'Path of the address' CODEC(ZSTD(1)),
    route           LowCardinality(String) COMMENT 'Route template that matched, empty when unknown' CODEC(ZSTD(1)),
    httpStatus      UInt16                 COMMENT 'HTTP status of the response, 0 when none was sent' CODEC(ZSTD(1)),
    duration        Float64                COMMENT 'From the arrival of the request to the end of the response, ms' CODEC(ZSTD(1)),
    requestHeaders  Map(LowCardinality(String), String) COMMENT 'Captured request headers, several values joined by a comma and a space' CODEC(ZSTD(1)),
    requestBody     String                 COMMENT 'Captured request body' CODEC(ZSTD(1)),
    responseHeaders Map(LowCardinality(String), String) COMMENT 'Captured response headers' CODEC(ZSTD(1)),
    responseBody    String                 COMMENT 'Captured response body' CODEC(ZSTD(1)),
    errorCode       LowCardinality(String) COMMENT 'error.type of the request, else the status when it is 5xx' CODEC(ZSTD(1)),
    errorMessage    String                 COMMENT 'Message of the error' CODEC(ZSTD(1)),
    agentId         LowCardinality(String) COMMENT 'Agent that the request asked for, where its request tells' CODEC(ZSTD(1)),
    executionId     String                 COMMENT 'Run that the request started, where its request tells; else joined by traceId' CODEC(ZSTD(1)),
    userId          String                 COMMENT 'User who sent it, where the span tells' CODEC(ZSTD(1)),
    sessionId       String                 COMMENT 'Session, where the span tells' CODEC(ZSTD(1)),
    ipAddress       String                 COMMENT 'client.address, else the peer''s address' CODEC(ZSTD(1)),
    userAgent       String                 COMMENT 'user_agent.original' CODEC(ZSTD(1)),
    traceId         String                 COMMENT 'W3C trace id, 32 hex digits' CODEC(ZSTD(1)),
    spanId          String                 COMMENT 'Id of the server span, 16 hex digits' CODEC(ZSTD(1)),
    serviceName     LowCardinality(String) COMMENT 'service.name of the resource' CODEC(ZSTD(1)),
    environment     LowCardinality(String) COMMENT 'deployment.environment.name of the resource' CODEC(ZSTD(1)),
    ingestedAt      DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When the row was stored' CODEC(Delta(8), ZSTD(1)),
    INDEX idx_traceId traceId TYPE bloom_filter(0.00001) GRANULARITY 1,
    INDEX idx_executionId executionId TYPE bloom_filter(0.00001) GRANULARITY 1,
    INDEX idx_userId userId TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ${MERGETREE}
PARTITION BY toDate(timestamp)
ORDER BY (serviceName, route, timestamp)
TTL toDateTime(timestamp) + toIntervalDay(${RETENTION_REQUEST_LOG_DAYS})
SETTINGS ttl_only_drop_parts = 1, string_serialization_version = 'single_stream', min_bytes_for_wide_part = 134217728, merge_selector_base = 12${DEDUP_SETTINGS}
COMMENT 'One row per HTTP request that a service answered';

CREATE TABLE IF NOT EXISTS ${DATABASE}.SystemErrors${LOCAL} ${ON_CLUSTER}
(
    id          UUID                   COMMENT 'Id of the error, computed from its content' CODEC(NONE),
    timestamp   DateTime64(9, 'UTC')   COMMENT 'When it happened' CODEC(Delta(8), ZSTD(1)),
    errorCode   LowCardinality(String) COMMENT 'Low-cardinality reason: error.type, else the exception type' CODEC(ZSTD(1)),
    errorType   LowCardinality(String) COMMENT 'exception.type, else empty' CODEC(ZSTD(1)),
    severity    Enum8('warning' = 1, 'error' = 2, 'critical' = 3) COMMENT 'How bad: critical for FATAL, warning below ERROR',
    component   LowCardinality(String) COMMENT 'Where it happened: the service name' CODEC(ZSTD(1)),
    agentId     LowCardinality(String) COMMENT 'Agent, where its request tells' CODEC(ZSTD(1)),
    userId      String                 COMMENT 'User, where its request tells' CODEC(ZSTD(1)),
    executionId String                 COMMENT 'Run, where its request tells; else joined by traceId' CODEC(ZSTD(1)),
    traceId     String                 COMMENT 'Trace in which it happened' CODEC(ZSTD(1)),
    spanId      String                 COMMENT 'Span in which it happened, the innermost one' CODEC(ZSTD(1)),
    fingerprint UInt64                 COMMENT 'Equal for errors that differ only in ids, numbers and addresses' CODEC(ZSTD(1)),
    message     String                 COMMENT 'Message of the error' CODEC(ZSTD(1)),
    details     Map(LowCardinality(String), String) COMMENT 'Stack trace and what else the emitter told' CODEC(ZSTD(4)),
    environment LowCardinality(String) COMMENT 'deployment.environment.name of the resource' CODEC(ZSTD(1)),
    ingestedAt  DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When the row was stored' CODEC(Delta(8), ZSTD(1)),
    INDEX idx_traceId traceId TYPE bloom_filter(0.00001) GRANULARITY 1,
    INDEX idx_executionId executionId TYPE bloom_filter(0.00001) GRANULARITY 1
)
ENGINE = ${REPLACINGMERGETREE}
PARTITION BY toDate(timestamp)
ORDER BY (fingerprint, id)
TTL toDateTime(timestamp) + toIntervalDay(${RETENTION_SYSTEM_ERRORS_DAYS})
SETTINGS ttl_only_drop_parts = 1, string_serialization_version = 'single_stream', min_bytes_for_wide_part = 134217728, merge_selector_base = 12${DEDUP_SETTINGS}
COMMENT 'One row per error, wherever it was reported; the same error told twice, by a span and by a log record, has one id and becomes one row when parts merge: add FINAL, or count distinct ids';
