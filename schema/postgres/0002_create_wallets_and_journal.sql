-- +goose Up
-- Why: credits, by double entry. Balances of users are rows that are locked; all other accounts have no balance row, for
-- one row that every run changes would make all runs wait for each other.
-- Locks: users and agents for as long as it takes to add columns with constant defaults and one wallet for each user.

ALTER TABLE ledger.users
    ADD COLUMN profile            jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(profile) = 'object'),
    ADD COLUMN stripe_customer_id text  UNIQUE,
    ADD COLUMN row_version        int   NOT NULL DEFAULT 1;
COMMENT ON COLUMN ledger.users.display_name IS 'What others see; may be empty';
COMMENT ON COLUMN ledger.users.status IS 'closed is final';
COMMENT ON COLUMN ledger.users.created_at IS 'When the account was opened';
COMMENT ON COLUMN ledger.users.updated_at IS 'When the row last changed';
COMMENT ON COLUMN ledger.users.profile IS 'What the platform knows of the user; a JSON object';
COMMENT ON COLUMN ledger.users.stripe_customer_id IS 'The customer at Stripe, if there is one';
COMMENT ON COLUMN ledger.users.row_version IS 'Counts changes of the row; its ETag';

ALTER TABLE ledger.agents
    ADD COLUMN version     int NOT NULL DEFAULT 0 CHECK (version >= 0),
    ADD COLUMN row_version int NOT NULL DEFAULT 1;
CREATE INDEX agents_list_idx ON ledger.agents (created_at, id);
CREATE INDEX users_list_idx ON ledger.users (created_at, id);
COMMENT ON COLUMN ledger.agents.id IS 'UUID version 7';
COMMENT ON COLUMN ledger.agents.name IS 'What users see';
COMMENT ON COLUMN ledger.agents.category IS 'Mandates allow and deny by it';
COMMENT ON COLUMN ledger.agents.description IS 'What it does; may be empty';
COMMENT ON COLUMN ledger.agents.owner_user_id IS 'Who offers it';
COMMENT ON COLUMN ledger.agents.status IS 'Only active ones can be run; retired is final';
COMMENT ON COLUMN ledger.agents.created_at IS 'When it was registered';
COMMENT ON COLUMN ledger.agents.updated_at IS 'When the row last changed';
COMMENT ON COLUMN ledger.agents.version IS 'The newest version; 0 until one is published';
COMMENT ON COLUMN ledger.agents.row_version IS 'Counts changes of the row and new versions; its ETag';

CREATE TABLE ledger.agent_versions (
    agent_id      uuid        NOT NULL REFERENCES ledger.agents (id),
    version       int         NOT NULL CHECK (version > 0),
    provider      text        NOT NULL DEFAULT '',
    config        jsonb       NOT NULL DEFAULT '{}',
    pricing       jsonb       NOT NULL,
    input_schema  jsonb       NOT NULL DEFAULT '{}',
    output_schema jsonb       NOT NULL DEFAULT '{}',
    created_at    timestamptz NOT NULL DEFAULT now(),
    created_by    text        NOT NULL,
    PRIMARY KEY (agent_id, version)
);
COMMENT ON TABLE ledger.agent_versions IS 'What runs were priced against; rows never change';
COMMENT ON COLUMN ledger.agent_versions.agent_id IS 'Whose version';
COMMENT ON COLUMN ledger.agent_versions.version IS '1, 2 and so on, without gaps';
COMMENT ON COLUMN ledger.agent_versions.provider IS 'Of the model; mandates allow and deny by it';
COMMENT ON COLUMN ledger.agent_versions.config IS 'The platform''s own';
COMMENT ON COLUMN ledger.agent_versions.pricing IS 'perExecution and perThousandTokens, decimal strings of credits';
COMMENT ON COLUMN ledger.agent_versions.input_schema IS 'JSON Schema of what the agent takes';
COMMENT ON COLUMN ledger.agent_versions.output_schema IS 'JSON Schema of what the agent gives';
COMMENT ON COLUMN ledger.agent_versions.created_at IS 'When it was published';
COMMENT ON COLUMN ledger.agent_versions.created_by IS 'The actor who published it';

CREATE TABLE ledger.accounts (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner_type text        NOT NULL CHECK (owner_type IN ('user', 'agent', 'platform')),
    owner_id   uuid        CHECK ((owner_id IS NULL) = (owner_type = 'platform')),
    purpose    text        NOT NULL CHECK (purpose ~ '^[a-z_]{1,40}$'),
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE NULLS NOT DISTINCT (owner_type, owner_id, purpose)
);
COMMENT ON TABLE ledger.accounts IS 'Where credits are; rows never change';
COMMENT ON COLUMN ledger.accounts.id IS 'What entries refer to';
COMMENT ON COLUMN ledger.accounts.owner_type IS 'user, agent or platform';
COMMENT ON COLUMN ledger.accounts.owner_id IS 'The user or agent';
COMMENT ON COLUMN ledger.accounts.purpose IS 'wallet of a user, revenue of an agent; of the platform: what credits come from and go to';
COMMENT ON COLUMN ledger.accounts.created_at IS 'When it was opened';
INSERT INTO ledger.accounts (owner_type, purpose)
VALUES ('platform', 'granted_paid'), ('platform', 'granted_promo'), ('platform', 'granted_goodwill'), ('platform', 'expired'), ('platform', 'voided');

CREATE TABLE ledger.wallets (
    user_id     uuid        PRIMARY KEY REFERENCES ledger.users (id),
    account_id  bigint      NOT NULL UNIQUE REFERENCES ledger.accounts (id),
    posted      bigint      NOT NULL DEFAULT 0,
    held        bigint      NOT NULL DEFAULT 0,
    closed      boolean     NOT NULL DEFAULT false,
    next_expiry timestamptz,
    CONSTRAINT wallets_available_check CHECK (held >= 0 AND posted >= held)
) WITH (fillfactor = 70);
CREATE INDEX wallets_next_expiry_idx ON ledger.wallets (next_expiry) WHERE next_expiry IS NOT NULL;
COMMENT ON TABLE ledger.wallets IS 'Balances of users in micro-credits. Whatever changes credits, mandates or usage of a user locks this row first';
COMMENT ON COLUMN ledger.wallets.user_id IS 'Whose wallet';
COMMENT ON COLUMN ledger.wallets.account_id IS 'The account that its entries are in';
COMMENT ON COLUMN ledger.wallets.posted IS 'Sum of the account''s entries, and of what is left of the grants; changes with entries only';
COMMENT ON COLUMN ledger.wallets.held IS 'Sum of the active holds; changes with holds only';
COMMENT ON COLUMN ledger.wallets.closed IS 'The user''s account is closed';
COMMENT ON COLUMN ledger.wallets.next_expiry IS 'No grant with credits left has expired before this';

-- What rows of the tables below must be like is checked by their triggers, not by CHECK constraints: Postgres reads the
-- expressions of those anew from the catalog for each statement, which took most of the time of a run.
CREATE TABLE ledger.transactions (
    id              uuid        PRIMARY KEY,
    user_id         uuid        NOT NULL,
    kind            text        NOT NULL,
    status          text        NOT NULL,
    credits         bigint      NOT NULL,
    settled         bigint      NOT NULL DEFAULT 0,
    refunded        bigint      NOT NULL DEFAULT 0,
    amount_cents    bigint,
    currency        text,
    stripe_pi       text,
    agent_id        uuid,
    agent_version   int,
    mandate_id      uuid,
    mandate_version int,
    execution_id    text,
    parent_id       uuid,
    source_grant_id uuid,
    reason          text        NOT NULL DEFAULT '',
    metadata        jsonb,
    receipt         jsonb,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    row_version     int         NOT NULL DEFAULT 1
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX transactions_execution_id_key ON ledger.transactions (execution_id);
CREATE UNIQUE INDEX transactions_stripe_pi_key ON ledger.transactions (stripe_pi) WHERE stripe_pi IS NOT NULL;
CREATE INDEX transactions_user_idx ON ledger.transactions (user_id, id);
COMMENT ON TABLE ledger.transactions IS 'What happened, or is about to, to a user''s credits. What it is about never changes, its status does. Amounts are micro-credits';
COMMENT ON COLUMN ledger.transactions.id IS 'UUID version 7 made by the ledger, so ids are in the order of creation';
COMMENT ON COLUMN ledger.transactions.user_id IS 'Whose credits. No foreign key: its check would lock the user''s row; a trigger looks instead';
COMMENT ON COLUMN ledger.transactions.kind IS 'execution: a run; grant: credits given; refund: of a run; expiry and void: of a grant';
COMMENT ON COLUMN ledger.transactions.status IS 'Follows the hold of a run; a trigger knows which changes are permitted';
COMMENT ON COLUMN ledger.transactions.credits IS 'Asked for';
COMMENT ON COLUMN ledger.transactions.settled IS 'Moved';
COMMENT ON COLUMN ledger.transactions.refunded IS 'Of a run: given back so far';
COMMENT ON COLUMN ledger.transactions.amount_cents IS 'What was paid for the credits, in minor units of currency';
COMMENT ON COLUMN ledger.transactions.currency IS 'ISO 4217';
COMMENT ON COLUMN ledger.transactions.stripe_pi IS 'PaymentIntent that paid for the credits';
COMMENT ON COLUMN ledger.transactions.agent_id IS 'The agent that was to run';
COMMENT ON COLUMN ledger.transactions.agent_version IS 'The version that the run was priced against';
COMMENT ON COLUMN ledger.transactions.mandate_id IS 'The mandate that the run was judged by';
COMMENT ON COLUMN ledger.transactions.mandate_version IS 'Its version';
COMMENT ON COLUMN ledger.transactions.execution_id IS 'The run''s id in telemetry';
COMMENT ON COLUMN ledger.transactions.parent_id IS 'Of a refund: the run';
COMMENT ON COLUMN ledger.transactions.source_grant_id IS 'Of an expiry or a void: the grant';
COMMENT ON COLUMN ledger.transactions.reason IS 'Why, in somebody''s words';
COMMENT ON COLUMN ledger.transactions.metadata IS 'What the platform said about the run';
COMMENT ON COLUMN ledger.transactions.receipt IS 'Which rule decided about a run, and what counted at that moment';
COMMENT ON COLUMN ledger.transactions.created_at IS 'When it was made';
COMMENT ON COLUMN ledger.transactions.updated_at IS 'When the row last changed';
COMMENT ON COLUMN ledger.transactions.row_version IS 'Counts changes of the row; its ETag';

CREATE TABLE ledger.journal (
    transaction_id uuid        PRIMARY KEY,
    legs           int         NOT NULL,
    posted_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE ledger.journal IS 'Transactions that have been posted, each once; rows are made with the entries and never change';
COMMENT ON COLUMN ledger.journal.transaction_id IS 'What was posted';
COMMENT ON COLUMN ledger.journal.legs IS 'How many entries it has';
COMMENT ON COLUMN ledger.journal.posted_at IS 'When';

CREATE TABLE ledger.entries (
    id             bigint      GENERATED ALWAYS AS IDENTITY,
    transaction_id uuid        NOT NULL,
    account_id     bigint      NOT NULL,
    amount         bigint      NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (transaction_id, account_id)
);
CREATE INDEX entries_account_idx ON ledger.entries (account_id, id);
COMMENT ON TABLE ledger.entries IS 'Legs of postings. All legs of a transaction are inserted by one statement and sum to zero; rows never change';
COMMENT ON COLUMN ledger.entries.id IS 'In the order of posting within an account';
COMMENT ON COLUMN ledger.entries.transaction_id IS 'What was posted';
COMMENT ON COLUMN ledger.entries.account_id IS 'No foreign key: its check would lock a row that all runs share; a trigger looks instead';
COMMENT ON COLUMN ledger.entries.amount IS 'Micro-credits; more than zero adds to the account';
COMMENT ON COLUMN ledger.entries.created_at IS 'When it was posted';

CREATE TABLE ledger.credit_grants (
    id             uuid        PRIMARY KEY,
    user_id        uuid        NOT NULL REFERENCES ledger.wallets (user_id),
    transaction_id uuid        NOT NULL UNIQUE REFERENCES ledger.transactions (id),
    category       text        NOT NULL,
    amount         bigint      NOT NULL,
    remaining      bigint      NOT NULL,
    open           boolean     NOT NULL DEFAULT true,
    priority       smallint    NOT NULL DEFAULT 100,
    expires_at     timestamptz,
    voided_at      timestamptz,
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    row_version    int         NOT NULL DEFAULT 1
) WITH (fillfactor = 70);
CREATE INDEX credit_grants_burn_idx ON ledger.credit_grants (user_id, priority, expires_at, created_at, id) WHERE open;
CREATE INDEX credit_grants_due_idx ON ledger.credit_grants (expires_at) WHERE open;
CREATE INDEX credit_grants_list_idx ON ledger.credit_grants (created_at, id);
COMMENT ON TABLE ledger.credit_grants IS 'Credits that users were given. They are used in the order of priority, expiry and age; holds stand for those that would be used next';
COMMENT ON COLUMN ledger.credit_grants.id IS 'UUID version 7';
COMMENT ON COLUMN ledger.credit_grants.user_id IS 'Who got them';
COMMENT ON COLUMN ledger.credit_grants.transaction_id IS 'What gave them: a grant or a refund';
COMMENT ON COLUMN ledger.credit_grants.category IS 'Where they come from: paid, promo, goodwill, or refund of a run';
COMMENT ON COLUMN ledger.credit_grants.amount IS 'Micro-credits given';
COMMENT ON COLUMN ledger.credit_grants.remaining IS 'Micro-credits left; changes with grant_uses only';
COMMENT ON COLUMN ledger.credit_grants.open IS 'Some are left. A column of its own, so that indexes need not change with each use';
COMMENT ON COLUMN ledger.credit_grants.priority IS '0 to 1000; lower numbers are used first';
COMMENT ON COLUMN ledger.credit_grants.expires_at IS 'The first moment at which they are no longer there; never if null';
COMMENT ON COLUMN ledger.credit_grants.voided_at IS 'When they were taken back; what was on hold then goes when it is released';
COMMENT ON COLUMN ledger.credit_grants.created_at IS 'When they were given';
COMMENT ON COLUMN ledger.credit_grants.row_version IS 'Counts changes of the row; its ETag';

CREATE TABLE ledger.grant_uses (
    transaction_id uuid   NOT NULL,
    grant_id       uuid   NOT NULL,
    amount         bigint NOT NULL,
    PRIMARY KEY (transaction_id, grant_id)
);
CREATE INDEX grant_uses_grant_idx ON ledger.grant_uses (grant_id);
COMMENT ON TABLE ledger.grant_uses IS 'Which grants the credits of a transaction came from; rows never change';
COMMENT ON COLUMN ledger.grant_uses.transaction_id IS 'A run, an expiry or a void';
COMMENT ON COLUMN ledger.grant_uses.grant_id IS 'Where the credits came from. No foreign key: the trigger that lowers remaining finds it';
COMMENT ON COLUMN ledger.grant_uses.amount IS 'Micro-credits';
