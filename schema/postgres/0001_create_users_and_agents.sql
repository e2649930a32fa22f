-- +goose Up
-- Why: the people who run agents and the agents they run; telemetry refers to agents by slug and to users by id.
-- Locks: none, all tables are new.

CREATE TABLE ledger.users (
    id           uuid        PRIMARY KEY,
    email        text        NOT NULL CHECK (length(email) BETWEEN 3 AND 320 AND position('@' IN email) > 1),
    display_name text        NOT NULL DEFAULT '',
    status       text        NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'closed')),
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX users_email_key ON ledger.users (lower(email));
COMMENT ON TABLE ledger.users IS 'People who run agents';
COMMENT ON COLUMN ledger.users.id IS 'UUID version 7; the userId of telemetry';
COMMENT ON COLUMN ledger.users.email IS 'Unique without regard to case';

CREATE TABLE ledger.agents (
    id            uuid        PRIMARY KEY,
    slug          text        NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name          text        NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    category      text        NOT NULL CHECK (length(category) BETWEEN 1 AND 100),
    description   text        NOT NULL DEFAULT '',
    owner_user_id uuid        NOT NULL REFERENCES ledger.users (id),
    status        text        NOT NULL DEFAULT 'active' CHECK (status IN ('draft', 'active', 'suspended', 'retired')),
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX agents_owner_user_id_idx ON ledger.agents (owner_user_id);
COMMENT ON TABLE ledger.agents IS 'Agents that users can run';
COMMENT ON COLUMN ledger.agents.slug IS 'Stable name; the agentId of telemetry';
