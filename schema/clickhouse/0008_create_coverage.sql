-- Why: how much of what runs do, cost and change is really recorded, kept over time so that a fall is seen.
-- Locks: none.

CREATE TABLE IF NOT EXISTS ${DATABASE}.CoverageScore${LOCAL} ${ON_CLUSTER}
(
    computedAt DateTime64(3, 'UTC')    COMMENT 'When it was computed, the same for all rows of one computation' CODEC(ZSTD(1)),
    since      DateTime64(3, 'UTC')    COMMENT 'What happened from then on and before computedAt was looked at' CODEC(ZSTD(1)),
    category   LowCardinality(String)  COMMENT 'Category, empty for the score of all' CODEC(ZSTD(1)),
    check      LowCardinality(String)  COMMENT 'Check, empty for the score of a category and of all' CODEC(ZSTD(1)),
    score      Nullable(Float64)       COMMENT '0 to 10; NULL when there was nothing to measure' CODEC(ZSTD(1)),
    value      Nullable(Float64)       COMMENT 'Share of what was looked at that is as it should be, 0 to 1; NULL when there was nothing to measure, and for a score of several checks' CODEC(ZSTD(1)),
    target     Float64                 COMMENT 'What value should reach, 0 for a score of several checks' CODEC(ZSTD(1)),
    weight     Float64                 COMMENT 'How much the check counts in its category, and the category in the score of all' CODEC(ZSTD(1)),
    total      UInt64                  COMMENT 'How many were looked at' CODEC(ZSTD(1)),
    offenders  UInt64                  COMMENT 'How many of them are not as they should be' CODEC(ZSTD(1)),
    evidence   String                  COMMENT 'What was found, in a sentence' CODEC(ZSTD(1)),
    query      String                  COMMENT 'SQL that lists what is not as it should be, ready to run' CODEC(ZSTD(1)),
    database   Enum8('clickhouse' = 0, 'postgres' = 1) COMMENT 'Where that SQL runs' CODEC(ZSTD(1)),
    remedy     String                  COMMENT 'What to do about it' CODEC(ZSTD(1))
)
ENGINE = ${MERGETREE}
PARTITION BY toYYYYMM(computedAt)
ORDER BY (category, check, computedAt)
TTL toDateTime(computedAt) + toIntervalDay(${RETENTION_COVERAGE_SCORE_DAYS})
SETTINGS ttl_only_drop_parts = 1${DEDUP_SETTINGS}
COMMENT 'Coverage: one row per check, per category and for all, for each time that it was computed';
