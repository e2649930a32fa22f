-- Why: metric points of services and of our own parts, and security events, as rows of their own.
-- Locks: none, all tables are new.

CREATE TABLE IF NOT EXISTS ${DATABASE}.SystemMetrics${LOCAL} ${ON_CLUSTER}
(
    id                 UUID                   COMMENT 'Id of the point, computed from its content' CODEC(NONE),
    timestamp          DateTime64(9, 'UTC')   COMMENT 'When the value held' CODEC(Delta(8), ZSTD(1)),
    startedAt          DateTime64(9, 'UTC')   COMMENT 'Since when a sum or histogram counts; the epoch when not given' CODEC(Delta(8), ZSTD(1)),
    metric             LowCardinality(String) COMMENT 'Name of the metric' CODEC(ZSTD(1)),
    kind               Enum8('gauge' = 1, 'sum' = 2, 'histogram' = 3, 'exponential_histogram' = 4, 'summary' = 5) COMMENT 'Kind of the point',
    temporality        Enum8('unspecified' = 0, 'delta' = 1, 'cumulative' = 2) COMMENT 'Whether a sum or histogram counts since the last point or since startedAt',
    monotonic          Bool                   COMMENT 'Whether a sum only ever grows' CODEC(ZSTD(1)),
    value              Float64                COMMENT 'Value of a gauge or sum; mean of a histogram or summary, 0 when it is empty' CODEC(ZSTD(1)),
    unit               LowCardinality(String) COMMENT 'Unit of the value, UCUM' CODEC(ZSTD(1)),
    component          LowCardinality(String) COMMENT 'What reported it: the service name' CODEC(ZSTD(1)),
    count              UInt64                 COMMENT 'Values in a histogram or summary' CODEC(T64, ZSTD(1)),
    sum                Float64                COMMENT 'Sum of the values in a histogram or summary' CODEC(ZSTD(1)),
    min                Nullable(Float64)      COMMENT 'Smallest value in a histogram, where given' CODEC(ZSTD(1)),
    max                Nullable(Float64)      COMMENT 'Largest value in a histogram, where given' CODEC(ZSTD(1)),
    bounds             Array(Float64)         COMMENT 'Upper bounds of the buckets; of a summary, its quantiles' CODEC(ZSTD(1)),
    counts             Array(UInt64)          COMMENT 'Values in each bucket, one more than bounds; empty for a summary' CODEC(ZSTD(1)),
    quantileValues     Array(Float64)         COMMENT 'Values at the quantiles of a summary' CODEC(ZSTD(1)),
    attributes         Map(LowCardinality(String), String) COMMENT 'Attributes of the point, values as text' CODEC(ZSTD(1)),
    resourceAttributes Map(LowCardinality(String), String) COMMENT 'Resource attributes, values as text' CODEC(ZSTD(1)),
    scopeName          LowCardinality(String) COMMENT 'Instrumentation scope' CODEC(ZSTD(1)),
    environment        LowCardinality(String) COMMENT 'deployment.environment.name of the resource' CODEC(ZSTD(1)),
    ingestedAt         DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When the row was stored' CODEC(Delta(8), ZSTD(1))
)
ENGINE = ${MERGETREE}
PARTITION BY toDate(timestamp)
ORDER BY (component, metric, timestamp)
TTL toDateTime(timestamp) + toIntervalDay(${RETENTION_SYSTEM_METRICS_DAYS})
SETTINGS ttl_only_drop_parts = 1, string_serialization_version = 'single_stream', min_bytes_for_wide_part = 134217728, merge_selector_base = 12${DEDUP_SETTINGS}
COMMENT 'One row per metric point';

CREATE TABLE IF NOT EXISTS ${DATABASE}.SecurityEvents${LOCAL} ${ON_CLUSTER}
(
    id          UUID                   COMMENT 'Id of the event, computed from its content' CODEC(NONE),
    timestamp   DateTime64(9, 'UTC')   COMMENT 'When it happened' CODEC(Delta(8), ZSTD(1)),
    type        LowCardinality(String) COMMENT 'What happened, such as auth.login, auth.denied, key.revoked, policy.violation' CODEC(ZSTD(1)),
    severity    Enum8('info' = 0, 'warning' = 1, 'error' = 2, 'critical' = 3) COMMENT 'How bad it is',
    outcome     Enum8('unknown' = 0, 'success' = 1, 'failure' = 2, 'denied' = 3) COMMENT 'How it ended',
    actor       String                 COMMENT 'Who did it: user, key or service' CODEC(ZSTD(1)),
    userId      String                 COMMENT 'User whom it concerns, where the event tells' CODEC(ZSTD(1)),
    ipAddress   String                 COMMENT 'Address it came from' CODEC(ZSTD(1)),
    userAgent   String                 COMMENT 'User agent it came from' CODEC(ZSTD(1)),
    resource    String                 COMMENT 'What was acted on' CODEC(ZSTD(1)),
    message     String                 COMMENT 'Text of the event' CODEC(ZSTD(1)),
    details     Map(LowCardinality(String), String) COMMENT 'Attributes of the event, values as text' CODEC(ZSTD(1)),
    traceId     String                 COMMENT 'Trace in which it happened' CODEC(ZSTD(1)),
    spanId      String                 COMMENT 'Span in which it happened' CODEC(ZSTD(1)),
    executionId String                 COMMENT 'Run in which it happened, where the event tells; else joined by traceId' CODEC(ZSTD(1)),
    component   LowCardinality(String) COMMENT 'Where it happened: the service name' CODEC(ZSTD(1)),
    environment LowCardinality(String) COMMENT 'deployment.environment.name of the resource' CODEC(ZSTD(1)),
    ingestedAt  DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When the row was stored' CODEC(Delta(8), ZSTD(1)),
    INDEX idx_userId userId TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_traceId traceId TYPE bloom_filter(0.00001) GRANULARITY 1
)
ENGINE = ${MERGETREE}
PARTITION BY toYYYYMM(timestamp)
ORDER BY (type, timestamp)
TTL toDateTime(timestamp) + toIntervalDay(${RETENTION_SECURITY_EVENTS_DAYS})
SETTINGS ttl_only_drop_parts = 1, string_serialization_version = 'single_stream'${DEDUP_SETTINGS}
COMMENT 'One row per security event';
