-- Why: where what users were charged and what telemetry says they used do not agree, for dashboards and alerts.
-- Locks: none.

CREATE TABLE IF NOT EXISTS ${DATABASE}.Reconciliation${LOCAL} ${ON_CLUSTER}
(
    executionId     String                 COMMENT 'Run; AgentExecution.id' CODEC(ZSTD(1)),
    transactionId   String                 COMMENT 'Its transaction in the ledger, empty when there is none' CODEC(ZSTD(1)),
    userId          String                 COMMENT 'User who was charged, else the one telemetry names' CODEC(ZSTD(1)),
    agentId         LowCardinality(String) COMMENT 'Agent that was paid, else the one telemetry names' CODEC(ZSTD(1)),
    state           Enum8('matched' = 0, 'drift' = 1, 'missing_in_ledger' = 2, 'missing_in_telemetry' = 3, 'adjusted' = 4, 'waived' = 5) COMMENT 'drift: the amounts differ; missing_in_ledger: used and not captured; missing_in_telemetry: captured and unknown to telemetry; adjusted: corrected by a posting; waived: somebody decided to leave it; matched: it agrees by now',
    captured        Decimal(18, 6)         COMMENT 'Credits that the ledger captured' CODEC(ZSTD(1)),
    adjusted        Decimal(18, 6)         COMMENT 'Credits that corrections added, less than zero for those given back' CODEC(ZSTD(1)),
    creditsConsumed Nullable(Decimal(18, 6)) COMMENT 'Sum of creditsConsumed over the rows of the run, NULL when there is none' CODEC(ZSTD(1)),
    telemetryRows   UInt32                 COMMENT 'Rows of AgentExecution with the id; each counts, here as in AgentMetrics and UserAgentUsage' CODEC(ZSTD(1)),
    drift           Decimal(18, 6)         COMMENT 'creditsConsumed less captured and adjusted' CODEC(ZSTD(1)),
    firstSeen       DateTime64(3, 'UTC')   COMMENT 'When it was first found' CODEC(ZSTD(1)),
    resolvedAt      Nullable(DateTime64(3, 'UTC')) COMMENT 'Since when it agrees, or was decided on; NULL while it is open' CODEC(ZSTD(1)),
    version         UInt32                 COMMENT 'Counts changes; the newest row of an execution counts' CODEC(ZSTD(1)),
    checkedAt       DateTime64(3, 'UTC')   COMMENT 'When it was last compared and had changed' CODEC(ZSTD(1))
)
ENGINE = ${REPLACINGMERGETREE_VERSION}
PARTITION BY toYYYYMM(firstSeen)
ORDER BY executionId
TTL toDateTime(firstSeen) + toIntervalDay(${RETENTION_RECONCILIATION_DAYS})
SETTINGS ttl_only_drop_parts = 1${DEDUP_SETTINGS}
COMMENT 'One row per run whose charge and telemetry did not agree when they were compared, replaced when that changes: add FINAL. Runs that always agreed have none';

CREATE TABLE IF NOT EXISTS ${DATABASE}.ReconciliationRun${LOCAL} ${ON_CLUSTER}
(
    finishedAt         DateTime64(3, 'UTC') COMMENT 'When the comparison was done' CODEC(ZSTD(1)),
    since              DateTime64(3, 'UTC') COMMENT 'Charges settled and telemetry stored from then on were compared' CODEC(ZSTD(1)),
    until              DateTime64(3, 'UTC') COMMENT 'And before then' CODEC(ZSTD(1)),
    duration           Float64              COMMENT 'How long it took, ms' CODEC(ZSTD(1)),
    executions         UInt64               COMMENT 'Runs that were compared' CODEC(ZSTD(1)),
    matched            UInt64               COMMENT 'Of them: charge and telemetry agree' CODEC(ZSTD(1)),
    drift              UInt64               COMMENT 'The amounts differ' CODEC(ZSTD(1)),
    missingInLedger    UInt64               COMMENT 'Used and not captured' CODEC(ZSTD(1)),
    missingInTelemetry UInt64               COMMENT 'Captured and unknown to telemetry' CODEC(ZSTD(1)),
    adjusted           UInt64               COMMENT 'They agree since a correction' CODEC(ZSTD(1)),
    waived             UInt64               COMMENT 'They differ, and somebody decided to leave it' CODEC(ZSTD(1)),
    captured           Decimal(38, 6)       COMMENT 'Credits captured for the runs compared, corrections among them' CODEC(ZSTD(1)),
    creditsConsumed    Decimal(38, 6)       COMMENT 'Credits consumed by the runs compared, as telemetry says' CODEC(ZSTD(1))
)
ENGINE = ${MERGETREE}
PARTITION BY toYYYYMM(finishedAt)
ORDER BY finishedAt
TTL toDateTime(finishedAt) + toIntervalDay(${RETENTION_RECONCILIATION_RUN_DAYS})
SETTINGS ttl_only_drop_parts = 1${DEDUP_SETTINGS}
COMMENT 'One row per comparison of charges with telemetry';
