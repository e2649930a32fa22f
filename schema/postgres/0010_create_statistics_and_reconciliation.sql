-- +goose Up
-- Why: what telemetry knows of agents and of how users use them, how fast credits are spent, and whether what was charged
-- agrees with telemetry.
-- Statistics have tables of their own, without an audit trail: they are no rule, price or profile, they follow from
-- telemetry and can be made anew from it, and at one change a minute for each agent they would bury what people changed.
-- Locks: transactions while a trigger is replaced, holds while an index of a few pages is made, interactions while one of
-- their ratings is.

CREATE TABLE ledger.sync_marks (
    name      text        PRIMARY KEY,
    upto      timestamptz NOT NULL,
    full_at   timestamptz NOT NULL,
    synced_at timestamptz NOT NULL
);
COMMENT ON TABLE ledger.sync_marks IS 'How far what comes from elsewhere has been read';
COMMENT ON COLUMN ledger.sync_marks.name IS 'What is read';
COMMENT ON COLUMN ledger.sync_marks.upto IS 'What was stored there before then has been read; by the clock of that place, and earlier by so much as writing may take there';
COMMENT ON COLUMN ledger.sync_marks.full_at IS 'When all of it was last read anew';
COMMENT ON COLUMN ledger.sync_marks.synced_at IS 'When it was last read';

CREATE TABLE ledger.agent_statistics (
    agent       text        PRIMARY KEY,
    executions  bigint      NOT NULL CHECK (executions > 0),
    successful  bigint      NOT NULL CHECK (successful BETWEEN 0 AND executions),
    failed      bigint      NOT NULL,
    timeouts    bigint      NOT NULL,
    duration_ns numeric     NOT NULL CHECK (duration_ns >= 0),
    credits     numeric     NOT NULL,
    synced_at   timestamptz NOT NULL
);
COMMENT ON TABLE ledger.agent_statistics IS 'What telemetry says of agents, by AgentMetrics; a job writes it, and nobody is audited';
COMMENT ON COLUMN ledger.agent_statistics.agent IS 'Slug. No foreign key: telemetry may know an agent before the ledger does';
COMMENT ON COLUMN ledger.agent_statistics.executions IS 'Runs';
COMMENT ON COLUMN ledger.agent_statistics.successful IS 'Runs with status success';
COMMENT ON COLUMN ledger.agent_statistics.failed IS 'Runs with status failed or error';
COMMENT ON COLUMN ledger.agent_statistics.timeouts IS 'Runs with status timeout';
COMMENT ON COLUMN ledger.agent_statistics.duration_ns IS 'Sum of durations, ns';
COMMENT ON COLUMN ledger.agent_statistics.credits IS 'Micro-credits, as telemetry counts them';
COMMENT ON COLUMN ledger.agent_statistics.synced_at IS 'When the row was last read';

CREATE TABLE ledger.user_agent_statistics (
    user_id        uuid        NOT NULL,
    agent          text        NOT NULL,
    executions     bigint      NOT NULL CHECK (executions > 0),
    successful     bigint      NOT NULL CHECK (successful BETWEEN 0 AND executions),
    credits        numeric     NOT NULL,
    days           int         NOT NULL CHECK (days > 0),
    preferred_hour smallint    NOT NULL CHECK (preferred_hour BETWEEN 0 AND 23),
    last_used_at   timestamptz NOT NULL,
    synced_at      timestamptz NOT NULL,
    PRIMARY KEY (user_id, agent)
);
COMMENT ON TABLE ledger.user_agent_statistics IS 'What telemetry says of how users use agents, by UserAgentUsage; a job writes it, and nobody is audited';
COMMENT ON COLUMN ledger.user_agent_statistics.user_id IS 'User. No foreign key: telemetry may know a user before the ledger does';
COMMENT ON COLUMN ledger.user_agent_statistics.agent IS 'Slug';
COMMENT ON COLUMN ledger.user_agent_statistics.executions IS 'Runs';
COMMENT ON COLUMN ledger.user_agent_statistics.successful IS 'Runs with status success';
COMMENT ON COLUMN ledger.user_agent_statistics.credits IS 'Micro-credits, as telemetry counts them';
COMMENT ON COLUMN ledger.user_agent_statistics.days IS 'Days, UTC, with at least one run; averages per day are by these';
COMMENT ON COLUMN ledger.user_agent_statistics.preferred_hour IS 'Hour of the day, UTC, in which most runs started, the earlier one of equals';
COMMENT ON COLUMN ledger.user_agent_statistics.last_used_at IS 'Start of the last run';
COMMENT ON COLUMN ledger.user_agent_statistics.synced_at IS 'When the row was last read';

CREATE INDEX user_agent_interactions_ratings_idx ON ledger.user_agent_interactions (agent_id) INCLUDE (rating) WHERE rating IS NOT NULL;

CREATE INDEX holds_resolved_idx ON ledger.holds USING brin (resolved_at) WITH (pages_per_range = 32, autosummarize = on);

CREATE TABLE ledger.spending_hours (
    user_id    uuid        NOT NULL,
    hour       timestamptz NOT NULL,
    agent_id   uuid        NOT NULL,
    mandate_id uuid        NOT NULL,
    executions bigint      NOT NULL CHECK (executions > 0),
    captured   bigint      NOT NULL CHECK (captured >= 0),
    PRIMARY KEY (user_id, hour, agent_id, mandate_id)
);
CREATE INDEX spending_hours_agent_idx ON ledger.spending_hours (agent_id, hour);
CREATE INDEX spending_hours_old_idx ON ledger.spending_hours USING brin (hour);
COMMENT ON TABLE ledger.spending_hours IS 'What runs captured, by hour; a job adds it up from the holds and removes old rows';
COMMENT ON COLUMN ledger.spending_hours.user_id IS 'Whose credits';
COMMENT ON COLUMN ledger.spending_hours.hour IS 'Beginning of the hour, UTC, in which the runs were captured';
COMMENT ON COLUMN ledger.spending_hours.agent_id IS 'The agent that ran';
COMMENT ON COLUMN ledger.spending_hours.mandate_id IS 'The mandate that permitted it';
COMMENT ON COLUMN ledger.spending_hours.executions IS 'Runs captured';
COMMENT ON COLUMN ledger.spending_hours.captured IS 'Micro-credits captured';

CREATE TABLE ledger.mandate_guards (
    mandate_id   uuid        PRIMARY KEY REFERENCES ledger.mandates (id),
    left_seconds bigint      CHECK (left_seconds > 0),
    tripped_at   timestamptz,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    row_version  int         NOT NULL DEFAULT 1
);
COMMENT ON TABLE ledger.mandate_guards IS 'Mandates that are suspended when the credits would run out too soon';
COMMENT ON COLUMN ledger.mandate_guards.mandate_id IS 'The mandate';
COMMENT ON COLUMN ledger.mandate_guards.left_seconds IS 'It is suspended once the credits are forecast to last for less than this; null for never';
COMMENT ON COLUMN ledger.mandate_guards.tripped_at IS 'When it was suspended; null again once the forecast is above the threshold, so that a mandate that somebody resumed is not suspended for the same reason';
COMMENT ON COLUMN ledger.mandate_guards.created_at IS 'When it was set';
COMMENT ON COLUMN ledger.mandate_guards.updated_at IS 'When it was last changed';
COMMENT ON COLUMN ledger.mandate_guards.row_version IS 'Counts changes of the row; its ETag';
CREATE TRIGGER audit AFTER INSERT OR UPDATE ON ledger.mandate_guards
    FOR EACH ROW EXECUTE FUNCTION ledger.audit_row('mandate_audit_logs', 'mandate_id', '', 'created_at');
CREATE TRIGGER no_delete BEFORE DELETE ON ledger.mandate_guards FOR EACH ROW EXECUTE FUNCTION ledger.deny_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON ledger.mandate_guards FOR EACH STATEMENT EXECUTE FUNCTION ledger.deny_change();

CREATE TABLE ledger.reconciliation (
    execution_id   text        PRIMARY KEY,
    transaction_id uuid,
    user_id        text        NOT NULL,
    agent          text        NOT NULL,
    state          text        NOT NULL CHECK (state IN ('matched', 'drift', 'missing_in_ledger', 'missing_in_telemetry', 'adjusted', 'waived')),
    captured       bigint      NOT NULL,
    adjusted       bigint      NOT NULL DEFAULT 0,
    consumed       bigint,
    telemetry_rows int         NOT NULL,
    drift          bigint      NOT NULL GENERATED ALWAYS AS (coalesce(consumed, 0) - captured - adjusted) STORED,
    first_seen     timestamptz NOT NULL,
    checked_at     timestamptz NOT NULL,
    changed_at     timestamptz NOT NULL,
    resolved_at    timestamptz,
    published      boolean     NOT NULL DEFAULT false,
    row_version    int         NOT NULL DEFAULT 1,
    CONSTRAINT reconciliation_resolved_check CHECK ((state IN ('matched', 'adjusted', 'waived')) = (resolved_at IS NOT NULL))
);
CREATE INDEX reconciliation_open_idx ON ledger.reconciliation (execution_id COLLATE "C") WHERE resolved_at IS NULL;
CREATE INDEX reconciliation_list_idx ON ledger.reconciliation (changed_at, execution_id);
CREATE INDEX reconciliation_unpublished_idx ON ledger.reconciliation (changed_at) WHERE NOT published;
COMMENT ON TABLE ledger.reconciliation IS 'Runs whose charge and telemetry did not agree when they were compared; those that always agreed have no row';
COMMENT ON COLUMN ledger.reconciliation.execution_id IS 'The run, in telemetry and in its transaction';
COMMENT ON COLUMN ledger.reconciliation.transaction_id IS 'The run''s transaction; null where the ledger has none';
COMMENT ON COLUMN ledger.reconciliation.user_id IS 'Who was charged, else whom telemetry names';
COMMENT ON COLUMN ledger.reconciliation.agent IS 'Slug of the agent that was paid, else the one that telemetry names';
COMMENT ON COLUMN ledger.reconciliation.state IS 'drift: the amounts differ; missing_in_ledger: used and not captured; missing_in_telemetry: captured and unknown to telemetry; adjusted: it agrees since a correction; waived: somebody decided to leave it; matched: it agrees by now';
COMMENT ON COLUMN ledger.reconciliation.captured IS 'Micro-credits captured for the run';
COMMENT ON COLUMN ledger.reconciliation.adjusted IS 'Micro-credits that corrections added, less than zero for those given back';
COMMENT ON COLUMN ledger.reconciliation.consumed IS 'Micro-credits that telemetry says it used, over all rows; null where it has none';
COMMENT ON COLUMN ledger.reconciliation.telemetry_rows IS 'Rows of telemetry with the id';
COMMENT ON COLUMN ledger.reconciliation.drift IS 'Micro-credits used and not charged; less than zero for charged and not used';
COMMENT ON COLUMN ledger.reconciliation.first_seen IS 'When it was first found';
COMMENT ON COLUMN ledger.reconciliation.checked_at IS 'When it was last compared';
COMMENT ON COLUMN ledger.reconciliation.changed_at IS 'When figures or state last changed';
COMMENT ON COLUMN ledger.reconciliation.resolved_at IS 'Since when it is closed; null while it is open';
COMMENT ON COLUMN ledger.reconciliation.published IS 'ClickHouse has it as it is';
COMMENT ON COLUMN ledger.reconciliation.row_version IS 'Counts changes of figures and state';

CREATE TABLE ledger.reconciliation_runs (
    id                   bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    since                timestamptz NOT NULL,
    until                timestamptz NOT NULL,
    started_at           timestamptz NOT NULL,
    finished_at          timestamptz NOT NULL,
    executions           bigint      NOT NULL,
    matched              bigint      NOT NULL,
    drift                bigint      NOT NULL,
    missing_in_ledger    bigint      NOT NULL,
    missing_in_telemetry bigint      NOT NULL,
    adjusted             bigint      NOT NULL,
    waived               bigint      NOT NULL,
    captured             numeric     NOT NULL,
    consumed             numeric     NOT NULL,
    published            boolean     NOT NULL DEFAULT false
);
COMMENT ON TABLE ledger.reconciliation_runs IS 'Comparisons of charges with telemetry; a job removes old ones';
COMMENT ON COLUMN ledger.reconciliation_runs.id IS 'In order';
COMMENT ON COLUMN ledger.reconciliation_runs.since IS 'Charges settled and telemetry stored from then on were compared';
COMMENT ON COLUMN ledger.reconciliation_runs.until IS 'And before then';
COMMENT ON COLUMN ledger.reconciliation_runs.started_at IS 'When it began';
COMMENT ON COLUMN ledger.reconciliation_runs.finished_at IS 'When it was done';
COMMENT ON COLUMN ledger.reconciliation_runs.executions IS 'Runs compared';
COMMENT ON COLUMN ledger.reconciliation_runs.matched IS 'Runs whose charge and telemetry agree';
COMMENT ON COLUMN ledger.reconciliation_runs.drift IS 'Runs whose amounts differ';
COMMENT ON COLUMN ledger.reconciliation_runs.missing_in_ledger IS 'Runs used and not captured';
COMMENT ON COLUMN ledger.reconciliation_runs.missing_in_telemetry IS 'Runs captured and unknown to telemetry';
COMMENT ON COLUMN ledger.reconciliation_runs.adjusted IS 'Runs that agree since a correction';
COMMENT ON COLUMN ledger.reconciliation_runs.waived IS 'Runs that differ and that somebody decided to leave';
COMMENT ON COLUMN ledger.reconciliation_runs.captured IS 'Micro-credits captured for the runs, corrections among them';
COMMENT ON COLUMN ledger.reconciliation_runs.consumed IS 'Micro-credits that telemetry says they used';
COMMENT ON COLUMN ledger.reconciliation_runs.published IS 'ClickHouse has it';

CREATE TABLE ledger.reconciliation_decisions (
    id             uuid        PRIMARY KEY,
    execution_id   text        NOT NULL REFERENCES ledger.reconciliation (execution_id),
    kind           text        NOT NULL CHECK (kind IN ('adjust', 'waive')),
    amount         bigint      NOT NULL CHECK (amount <> 0),
    status         text        NOT NULL CHECK (status IN ('pending', 'done', 'rejected')),
    reason         text        NOT NULL,
    principal      text        NOT NULL,
    requested_by   text        NOT NULL,
    requested_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    decided_by     text,
    decided_at     timestamptz,
    transaction_id uuid        UNIQUE REFERENCES ledger.transactions (id),
    row_version    int         NOT NULL DEFAULT 1,
    CONSTRAINT reconciliation_decisions_decided_check CHECK ((status = 'pending') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by IS NULL)),
    CONSTRAINT reconciliation_decisions_posting_check CHECK ((kind = 'adjust' AND status = 'done') = (transaction_id IS NOT NULL))
);
CREATE UNIQUE INDEX reconciliation_decisions_pending_key ON ledger.reconciliation_decisions (execution_id) WHERE status = 'pending';
CREATE INDEX reconciliation_decisions_execution_idx ON ledger.reconciliation_decisions (execution_id);
CREATE INDEX reconciliation_decisions_list_idx ON ledger.reconciliation_decisions (requested_at, id);
COMMENT ON TABLE ledger.reconciliation_decisions IS 'What people decided about runs that do not agree';
COMMENT ON COLUMN ledger.reconciliation_decisions.id IS 'UUID version 7';
COMMENT ON COLUMN ledger.reconciliation_decisions.execution_id IS 'The run';
COMMENT ON COLUMN ledger.reconciliation_decisions.kind IS 'adjust: by a posting; waive: leave it';
COMMENT ON COLUMN ledger.reconciliation_decisions.amount IS 'Micro-credits to charge, less than zero to give back; of a waiver, the drift that is left';
COMMENT ON COLUMN ledger.reconciliation_decisions.status IS 'pending waits for somebody to approve it; the others are final';
COMMENT ON COLUMN ledger.reconciliation_decisions.reason IS 'Why, in that one''s words';
COMMENT ON COLUMN ledger.reconciliation_decisions.principal IS 'Who asked, and so may not approve';
COMMENT ON COLUMN ledger.reconciliation_decisions.requested_by IS 'The actor who asked';
COMMENT ON COLUMN ledger.reconciliation_decisions.requested_at IS 'When';
COMMENT ON COLUMN ledger.reconciliation_decisions.decided_by IS 'The actor who decided; the same as asked where no approval was needed';
COMMENT ON COLUMN ledger.reconciliation_decisions.decided_at IS 'When';
COMMENT ON COLUMN ledger.reconciliation_decisions.transaction_id IS 'The posting: an adjustment whose parent is the run, or a refund of it';
COMMENT ON COLUMN ledger.reconciliation_decisions.row_version IS 'Counts changes of the row; its ETag';

-- +goose StatementBegin
CREATE FUNCTION ledger.decision_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.execution_id, NEW.kind, NEW.amount, NEW.reason, NEW.principal, NEW.requested_by, NEW.requested_at)
        IS DISTINCT FROM (OLD.id, OLD.execution_id, OLD.kind, OLD.amount, OLD.reason, OLD.principal, OLD.requested_by, OLD.requested_at) THEN
        RAISE EXCEPTION 'decision %: what was asked never changes', OLD.id USING ERRCODE = 'LL004';
    END IF;
    IF OLD.status <> 'pending' OR NEW.status = 'pending' THEN
        RAISE EXCEPTION 'decision %: % does not become %', OLD.id, OLD.status, NEW.status USING ERRCODE = 'LL005';
    END IF;
    RETURN NULL;
END $$;

-- Charges what a run used and the ledger had not captured. Its credits go where the run's would have gone.
CREATE FUNCTION ledger.adjustment_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    actor text := ledger.actor();
    request text := nullif(current_setting('app.request_id', true), '');
BEGIN
    IF TG_OP = 'UPDATE' THEN
        RAISE EXCEPTION 'transaction %: an adjustment never changes', OLD.id USING ERRCODE = 'LL004';
    END IF;
    IF NEW.status <> 'succeeded' OR NEW.credits <= 0 OR NEW.settled <> NEW.credits OR NEW.refunded <> 0 OR NEW.agent_id IS NULL
        OR num_nonnulls(NEW.amount_cents, NEW.currency, NEW.stripe_pi, NEW.mandate_id, NEW.mandate_version, NEW.execution_id, NEW.source_grant_id) > 0 THEN
        RAISE EXCEPTION 'transaction %: its columns do not fit its kind', NEW.id USING ERRCODE = 'check_violation', CONSTRAINT = 'transactions_kind_check';
    END IF;
    IF NOT EXISTS (SELECT FROM ledger.wallets WHERE user_id = NEW.user_id) OR NOT EXISTS (SELECT FROM ledger.agents WHERE id = NEW.agent_id)
        OR NEW.parent_id IS NOT NULL AND NOT EXISTS (SELECT FROM ledger.transactions p WHERE p.id = NEW.parent_id AND p.kind = 'execution' AND p.user_id = NEW.user_id AND p.agent_id = NEW.agent_id) THEN
        RAISE EXCEPTION 'transaction %: no such user, agent or run', NEW.id USING ERRCODE = 'LL002';
    END IF;
    INSERT INTO ledger.audit_logs (entity, entity_id, field, new_value, changed_by, request_id)
    VALUES ('transactions', NEW.id, '*', to_jsonb(NEW) - ARRAY['metadata', 'receipt', 'updated_at', 'row_version'], actor, request);
    PERFORM ledger.debit(NEW.user_id, NEW.id, NEW.credits, 'agent', NEW.agent_id, 'revenue', NULL);
    INSERT INTO ledger.outbox (topic, key, payload) VALUES ('transaction.' || NEW.status, NEW.id,
        jsonb_build_object('kind', NEW.kind, 'userId', NEW.user_id, 'credits', NEW.credits, 'settled', NEW.settled, 'refunded', NEW.refunded));
    RETURN NULL;
END $$;

-- What becomes of a run's row when it is compared anew. One that was waived stays so while the difference is the same.
CREATE FUNCTION ledger.recon_next(was ledger.reconciliation, next ledger.reconciliation, OUT state text, OUT changed boolean) LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    drift bigint := coalesce(next.consumed, 0) - next.captured - next.adjusted;
BEGIN
    state := CASE WHEN was.state = 'waived' AND was.drift = drift THEN 'waived' ELSE next.state END;
    changed := (state, next.transaction_id, next.user_id, next.agent, next.captured, next.adjusted, next.consumed, next.telemetry_rows)
        IS DISTINCT FROM (was.state, was.transaction_id, was.user_id, was.agent, was.captured, was.adjusted, was.consumed, was.telemetry_rows);
END $$;

-- Adds up what was captured in the hours from p_from on, which is the beginning of one. Rows are set, not added to, so it may
-- be done again.
CREATE FUNCTION ledger.add_up_spending(p_from timestamptz) RETURNS bigint LANGUAGE sql AS $$
    WITH written AS (
        INSERT INTO ledger.spending_hours AS s (user_id, hour, agent_id, mandate_id, executions, captured)
        SELECT h.user_id, date_trunc('hour', h.resolved_at, 'UTC'), h.agent_id, h.mandate_id, count(*), sum(h.captured)
        FROM ledger.holds h WHERE h.resolved_at >= p_from AND h.status = 'captured'
        GROUP BY 1, 2, 3, 4
        ON CONFLICT (user_id, hour, agent_id, mandate_id) DO UPDATE SET executions = excluded.executions, captured = excluded.captured
            WHERE (s.executions, s.captured) <> (excluded.executions, excluded.captured)
        RETURNING 1)
    SELECT count(*) FROM written
$$;
-- +goose StatementEnd

CREATE TRIGGER follow AFTER UPDATE ON ledger.reconciliation_decisions FOR EACH ROW EXECUTE FUNCTION ledger.decision_changed();
CREATE TRIGGER audit AFTER INSERT OR UPDATE ON ledger.reconciliation_decisions
    FOR EACH ROW EXECUTE FUNCTION ledger.audit_row('audit_logs', 'id', '');
CREATE TRIGGER no_delete BEFORE DELETE ON ledger.reconciliation_decisions FOR EACH ROW EXECUTE FUNCTION ledger.deny_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON ledger.reconciliation_decisions FOR EACH STATEMENT EXECUTE FUNCTION ledger.deny_change();

DROP TRIGGER follow ON ledger.transactions;
CREATE TRIGGER follow AFTER INSERT OR UPDATE ON ledger.transactions FOR EACH ROW WHEN (NEW.kind <> 'adjustment') EXECUTE FUNCTION ledger.transaction_changed();
CREATE TRIGGER follow_adjustment AFTER INSERT OR UPDATE ON ledger.transactions FOR EACH ROW WHEN (NEW.kind = 'adjustment') EXECUTE FUNCTION ledger.adjustment_changed();
