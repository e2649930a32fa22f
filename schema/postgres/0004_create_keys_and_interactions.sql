-- +goose Up
-- Why: keys of the HTTP API, answers to requests that may come again, what users say of agents, and events for others.
-- Locks: none, all tables are new.

CREATE TABLE ledger.api_keys (
    id           uuid        PRIMARY KEY,
    name         text        NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    prefix       text        NOT NULL,
    secret_hash  bytea       NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
    scopes       text[]      NOT NULL CHECK (cardinality(scopes) > 0 AND scopes <@ ARRAY['execute', 'manage', 'approve', 'admin']),
    user_id      uuid        REFERENCES ledger.users (id),
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by   text        NOT NULL,
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz,
    replaced_by  uuid        REFERENCES ledger.api_keys (id),
    row_version  int         NOT NULL DEFAULT 1
);
CREATE INDEX api_keys_list_idx ON ledger.api_keys (created_at, id);
COMMENT ON TABLE ledger.api_keys IS 'Keys of the HTTP API';
COMMENT ON COLUMN ledger.api_keys.id IS 'UUID version 7; the principal in audit trails';
COMMENT ON COLUMN ledger.api_keys.name IS 'What it is for';
COMMENT ON COLUMN ledger.api_keys.prefix IS 'The first characters of the secret, to recognize it';
COMMENT ON COLUMN ledger.api_keys.secret_hash IS 'SHA-256 of the secret, which has 256 random bits and so needs no salt';
COMMENT ON COLUMN ledger.api_keys.scopes IS 'What it may do';
COMMENT ON COLUMN ledger.api_keys.user_id IS 'The user it acts for; null for the platform';
COMMENT ON COLUMN ledger.api_keys.created_at IS 'When it was made';
COMMENT ON COLUMN ledger.api_keys.created_by IS 'The actor who made it';
COMMENT ON COLUMN ledger.api_keys.expires_at IS 'From then on it does not work; never if null';
COMMENT ON COLUMN ledger.api_keys.last_used_at IS 'When it was last used, to about a minute; not audited';
COMMENT ON COLUMN ledger.api_keys.revoked_at IS 'From then on it does not work; ahead for one that was rotated with grace';
COMMENT ON COLUMN ledger.api_keys.replaced_by IS 'The key that it was rotated to';
COMMENT ON COLUMN ledger.api_keys.row_version IS 'Counts changes of the row; its ETag';

CREATE TABLE ledger.idempotency_keys (
    principal   text        NOT NULL,
    key         text        NOT NULL,
    fingerprint bytea       NOT NULL,
    resource    uuid,
    code        text,
    response    jsonb,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (principal, key)
);
CREATE INDEX idempotency_keys_created_idx ON ledger.idempotency_keys USING brin (created_at);
COMMENT ON TABLE ledger.idempotency_keys IS 'Answers to requests that may come again; a job removes old ones';
COMMENT ON COLUMN ledger.idempotency_keys.principal IS 'Who sent the request';
COMMENT ON COLUMN ledger.idempotency_keys.key IS 'The key that the request carried';
COMMENT ON COLUMN ledger.idempotency_keys.fingerprint IS 'Hash of what was asked for';
COMMENT ON COLUMN ledger.idempotency_keys.resource IS 'The run whose rows tell the answer, where they do';
COMMENT ON COLUMN ledger.idempotency_keys.code IS 'Code of the error that was the answer; null for success';
COMMENT ON COLUMN ledger.idempotency_keys.response IS 'The answer, where no resource tells it';
COMMENT ON COLUMN ledger.idempotency_keys.created_at IS 'When the request was first answered';

CREATE TABLE ledger.user_agent_interactions (
    user_id     uuid        NOT NULL REFERENCES ledger.users (id),
    agent_id    uuid        NOT NULL REFERENCES ledger.agents (id),
    rating      smallint    CHECK (rating BETWEEN 1 AND 5),
    feedback    text        NOT NULL DEFAULT '' CHECK (length(feedback) <= 4000),
    is_favorite boolean     NOT NULL DEFAULT false,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    row_version int         NOT NULL DEFAULT 1,
    PRIMARY KEY (user_id, agent_id)
);
COMMENT ON TABLE ledger.user_agent_interactions IS 'What users say of agents';
COMMENT ON COLUMN ledger.user_agent_interactions.user_id IS 'Who says it';
COMMENT ON COLUMN ledger.user_agent_interactions.agent_id IS 'Of which agent';
COMMENT ON COLUMN ledger.user_agent_interactions.rating IS '1 to 5; null for none';
COMMENT ON COLUMN ledger.user_agent_interactions.feedback IS 'In the user''s words';
COMMENT ON COLUMN ledger.user_agent_interactions.is_favorite IS 'Shown first to the user';
COMMENT ON COLUMN ledger.user_agent_interactions.created_at IS 'When the user first said something';
COMMENT ON COLUMN ledger.user_agent_interactions.updated_at IS 'When the row last changed';
COMMENT ON COLUMN ledger.user_agent_interactions.row_version IS 'Counts changes of the row; its ETag';

CREATE TABLE ledger.outbox (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid        xid8        NOT NULL DEFAULT pg_current_xact_id(),
    topic      text        NOT NULL,
    key        uuid        NOT NULL,
    payload    jsonb       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE ledger.outbox IS 'What came of transactions, for other systems; a job removes old ones';
COMMENT ON COLUMN ledger.outbox.id IS 'In the order of events of one key';
COMMENT ON COLUMN ledger.outbox.xid IS 'The transaction of the database that wrote it. Read those below pg_snapshot_xmin(pg_current_snapshot()): no older one is still to come';
COMMENT ON COLUMN ledger.outbox.topic IS 'transaction. and its new status';
COMMENT ON COLUMN ledger.outbox.key IS 'The transaction of the ledger';
COMMENT ON COLUMN ledger.outbox.payload IS 'Its kind, user, credits and what was settled and refunded, in micro-credits';
COMMENT ON COLUMN ledger.outbox.created_at IS 'When it happened';
