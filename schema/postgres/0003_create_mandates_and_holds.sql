-- +goose Up
-- Why: what agents may spend, and the credits that are kept back for runs that are under way.
-- Locks: none, all tables are new.

CREATE TABLE ledger.mandates (
    id            uuid        PRIMARY KEY,
    user_id       uuid        NOT NULL REFERENCES ledger.wallets (user_id),
    name          text        NOT NULL DEFAULT '' CHECK (length(name) <= 200),
    status        text        NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'revoked')),
    revoked_at    timestamptz,
    revoked_by    text,
    revoke_reason text,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    row_version   int         NOT NULL DEFAULT 1,
    CONSTRAINT mandates_revoked_check CHECK ((status = 'revoked') = (revoked_at IS NOT NULL) AND (revoked_at IS NULL) = (revoked_by IS NULL))
);
CREATE INDEX mandates_user_idx ON ledger.mandates (user_id, created_at, id);
CREATE INDEX mandates_list_idx ON ledger.mandates (created_at, id);
COMMENT ON TABLE ledger.mandates IS 'What users permit agents to spend';
COMMENT ON COLUMN ledger.mandates.id IS 'UUID version 7';
COMMENT ON COLUMN ledger.mandates.user_id IS 'Whose credits';
COMMENT ON COLUMN ledger.mandates.name IS 'What the user calls it';
COMMENT ON COLUMN ledger.mandates.status IS 'revoked is final';
COMMENT ON COLUMN ledger.mandates.revoked_at IS 'When it was revoked';
COMMENT ON COLUMN ledger.mandates.revoked_by IS 'The actor who revoked it';
COMMENT ON COLUMN ledger.mandates.revoke_reason IS 'Why, in that one''s words';
COMMENT ON COLUMN ledger.mandates.created_at IS 'When it was made';
COMMENT ON COLUMN ledger.mandates.updated_at IS 'When the row or its rules last changed';
COMMENT ON COLUMN ledger.mandates.row_version IS 'Counts changes of the row and new versions; its ETag';

CREATE TABLE ledger.mandate_versions (
    mandate_id   uuid        NOT NULL REFERENCES ledger.mandates (id),
    version      int         NOT NULL CHECK (version > 0),
    rules        jsonb       NOT NULL CHECK (jsonb_typeof(rules) = 'object'),
    effective_at timestamptz NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by   text        NOT NULL,
    PRIMARY KEY (mandate_id, version),
    CONSTRAINT mandate_versions_effective_check CHECK (effective_at >= created_at)
);
COMMENT ON TABLE ledger.mandate_versions IS 'Rules of mandates; rows never change. Of the versions that are in effect the newest counts';
COMMENT ON COLUMN ledger.mandate_versions.mandate_id IS 'Whose rules';
COMMENT ON COLUMN ledger.mandate_versions.version IS '1, 2 and so on, without gaps';
COMMENT ON COLUMN ledger.mandate_versions.rules IS 'A JSON object; amounts are decimal strings of credits';
COMMENT ON COLUMN ledger.mandate_versions.effective_at IS 'From when they are in effect; not in the past';
COMMENT ON COLUMN ledger.mandate_versions.created_at IS 'When it was made';
COMMENT ON COLUMN ledger.mandate_versions.created_by IS 'The actor who made it';

CREATE TABLE ledger.mandate_usage (
    mandate_id  uuid        PRIMARY KEY REFERENCES ledger.mandates (id),
    user_id     uuid        NOT NULL,
    mandate_row int         NOT NULL DEFAULT 1,
    tz          text        NOT NULL DEFAULT 'UTC',
    last_at     timestamptz NOT NULL DEFAULT '-infinity',
    day_start   timestamptz NOT NULL DEFAULT '-infinity',
    week_start  timestamptz NOT NULL DEFAULT '-infinity',
    month_start timestamptz NOT NULL DEFAULT '-infinity',
    day_used    bigint      NOT NULL DEFAULT 0,
    week_used   bigint      NOT NULL DEFAULT 0,
    month_used  bigint      NOT NULL DEFAULT 0,
    total_used  bigint      NOT NULL DEFAULT 0,
    day_count   bigint      NOT NULL DEFAULT 0,
    total_count bigint      NOT NULL DEFAULT 0,
    active      bigint      NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
COMMENT ON TABLE ledger.mandate_usage IS 'What counts against limits in the windows around the last run. Holds change it; it can be made anew from them';
COMMENT ON COLUMN ledger.mandate_usage.mandate_id IS 'Whose usage';
COMMENT ON COLUMN ledger.mandate_usage.user_id IS 'The mandate''s user, who never changes; a copy, to read one row the less';
COMMENT ON COLUMN ledger.mandate_usage.mandate_row IS 'The mandate''s row_version; a copy too';
COMMENT ON COLUMN ledger.mandate_usage.tz IS 'The time zone of the windows';
COMMENT ON COLUMN ledger.mandate_usage.last_at IS 'When a run was last authorized; a mandate''s time never goes back';
COMMENT ON COLUMN ledger.mandate_usage.day_start IS 'Holds authorized since then are in the day';
COMMENT ON COLUMN ledger.mandate_usage.week_start IS 'Holds authorized since then are in the week';
COMMENT ON COLUMN ledger.mandate_usage.month_start IS 'Holds authorized since then are in the month';
COMMENT ON COLUMN ledger.mandate_usage.day_used IS 'Micro-credits held and captured in the day';
COMMENT ON COLUMN ledger.mandate_usage.week_used IS 'Micro-credits held and captured in the week';
COMMENT ON COLUMN ledger.mandate_usage.month_used IS 'Micro-credits held and captured in the month';
COMMENT ON COLUMN ledger.mandate_usage.total_used IS 'Micro-credits held and captured ever';
COMMENT ON COLUMN ledger.mandate_usage.day_count IS 'Holds of the day, active and captured';
COMMENT ON COLUMN ledger.mandate_usage.total_count IS 'Holds ever, active and captured';
COMMENT ON COLUMN ledger.mandate_usage.active IS 'Active holds';

CREATE TABLE ledger.holds (
    id              uuid        PRIMARY KEY,
    user_id         uuid        NOT NULL,
    agent_id        uuid        NOT NULL,
    mandate_id      uuid        NOT NULL,
    amount          bigint      NOT NULL,
    captured        bigint      NOT NULL DEFAULT 0,
    status          text        NOT NULL DEFAULT 'active',
    authorized_at   timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    resolved_at     timestamptz,
    row_version     int         NOT NULL DEFAULT 1
) WITH (fillfactor = 80);
CREATE INDEX holds_mandate_idx ON ledger.holds (mandate_id, authorized_at);
CREATE INDEX holds_due_idx ON ledger.holds (expires_at) WHERE status = 'active';
COMMENT ON TABLE ledger.holds IS 'Credits that are kept back for runs. A trigger makes everything follow from a change here: wallet, usage, transaction and posting';
COMMENT ON COLUMN ledger.holds.id IS 'That of its transaction';
COMMENT ON COLUMN ledger.holds.user_id IS 'Whose credits';
COMMENT ON COLUMN ledger.holds.agent_id IS 'Whose revenue they will be';
COMMENT ON COLUMN ledger.holds.mandate_id IS 'Whose limits they count against';
COMMENT ON COLUMN ledger.holds.amount IS 'Micro-credits kept back';
COMMENT ON COLUMN ledger.holds.captured IS 'Micro-credits that the run cost; the rest was given back';
COMMENT ON COLUMN ledger.holds.status IS 'active, captured, released or expired; all but active are final';
COMMENT ON COLUMN ledger.holds.authorized_at IS 'The moment whose windows the hold counts in';
COMMENT ON COLUMN ledger.holds.expires_at IS 'From then on it can no longer be captured, and a job lets it expire';
COMMENT ON COLUMN ledger.holds.resolved_at IS 'When it was settled';
COMMENT ON COLUMN ledger.holds.row_version IS 'Counts changes of the row; its ETag';

CREATE TABLE ledger.approvals (
    id             uuid        PRIMARY KEY,
    transaction_id uuid        NOT NULL UNIQUE REFERENCES ledger.transactions (id),
    user_id        uuid        NOT NULL,
    amount         bigint      NOT NULL CHECK (amount > 0),
    hold_seconds   bigint      NOT NULL CHECK (hold_seconds > 0),
    status         text        NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'approved', 'rejected', 'expired')),
    principal      text        NOT NULL,
    requested_by   text        NOT NULL,
    requested_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at     timestamptz NOT NULL,
    decided_by     text,
    decided_at     timestamptz,
    reason         text        NOT NULL DEFAULT '',
    row_version    int         NOT NULL DEFAULT 1,
    CONSTRAINT approvals_decided_check CHECK ((status = 'pending') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by IS NULL)),
    CONSTRAINT approvals_expires_check CHECK (expires_at > requested_at)
);
CREATE INDEX approvals_list_idx ON ledger.approvals (requested_at, id);
CREATE INDEX approvals_due_idx ON ledger.approvals (expires_at) WHERE status = 'pending';
COMMENT ON TABLE ledger.approvals IS 'Runs that wait for somebody to decide; nothing is held meanwhile';
COMMENT ON COLUMN ledger.approvals.id IS 'UUID version 7';
COMMENT ON COLUMN ledger.approvals.transaction_id IS 'The run';
COMMENT ON COLUMN ledger.approvals.user_id IS 'Whose credits';
COMMENT ON COLUMN ledger.approvals.amount IS 'Micro-credits asked for';
COMMENT ON COLUMN ledger.approvals.hold_seconds IS 'How long they will be held once it is approved';
COMMENT ON COLUMN ledger.approvals.status IS 'All but pending are final';
COMMENT ON COLUMN ledger.approvals.principal IS 'Who asked, and so may not decide';
COMMENT ON COLUMN ledger.approvals.requested_by IS 'The actor who asked';
COMMENT ON COLUMN ledger.approvals.requested_at IS 'When';
COMMENT ON COLUMN ledger.approvals.expires_at IS 'From then on it cannot be approved';
COMMENT ON COLUMN ledger.approvals.decided_by IS 'The actor who decided';
COMMENT ON COLUMN ledger.approvals.decided_at IS 'When';
COMMENT ON COLUMN ledger.approvals.reason IS 'Why, in that one''s words';
COMMENT ON COLUMN ledger.approvals.row_version IS 'Counts changes of the row; its ETag';
