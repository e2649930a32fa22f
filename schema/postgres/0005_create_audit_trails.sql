-- +goose Up
-- Why: who changed what, and when. Triggers write it, so nothing that changes rows can forget to, and they refuse to run
-- without an actor: SELECT set_config('app.actor', …, true) within the transaction.
-- Locks: none but for the moment in which triggers are added to tables that are there.

-- +goose StatementBegin
DO $$
DECLARE
    trail text;
BEGIN
    FOREACH trail IN ARRAY ARRAY['audit_logs', 'agent_audit_logs', 'user_audit_logs', 'mandate_audit_logs'] LOOP
        EXECUTE format('CREATE SEQUENCE ledger.%I', trail || '_id_seq');
        EXECUTE format('CREATE TABLE ledger.%I (
            id          bigint      NOT NULL DEFAULT nextval(%L),
            entity      text        NOT NULL,
            entity_id   uuid        NOT NULL,
            field       text        NOT NULL,
            old_value   jsonb,
            new_value   jsonb,
            changed_by  text        NOT NULL,
            request_id  text,
            "timestamp" timestamptz NOT NULL DEFAULT clock_timestamp(),
            PRIMARY KEY (id, "timestamp")) PARTITION BY RANGE ("timestamp")', trail, 'ledger.' || trail || '_id_seq');
        EXECUTE format('ALTER SEQUENCE ledger.%I OWNED BY ledger.%I.id', trail || '_id_seq', trail);
        EXECUTE format('CREATE INDEX %I ON ledger.%I (entity_id, id)', trail || '_entity_idx', trail);
        EXECUTE format('CREATE TABLE ledger.%I PARTITION OF ledger.%I DEFAULT', trail || '_default', trail);
        EXECUTE format('COMMENT ON COLUMN ledger.%I.id IS %L', trail, 'In the order of changes of one entity; gaps are transactions that were rolled back');
        EXECUTE format('COMMENT ON COLUMN ledger.%I.entity IS %L', trail, 'The table of what was changed');
        EXECUTE format('COMMENT ON COLUMN ledger.%I.entity_id IS %L', trail, 'What was changed');
        EXECUTE format('COMMENT ON COLUMN ledger.%I.field IS %L', trail, 'The column; * is the whole row when it was made; rules. and a name is a rule of a mandate; an agent''s id and a column is what a user says of it');
        EXECUTE format('COMMENT ON COLUMN ledger.%I.old_value IS %L', trail, 'Before; null if there was none');
        EXECUTE format('COMMENT ON COLUMN ledger.%I.new_value IS %L', trail, 'After; null if there is none');
        EXECUTE format('COMMENT ON COLUMN ledger.%I.changed_by IS %L', trail, 'The actor: key:, user: or system:, and which');
        EXECUTE format('COMMENT ON COLUMN ledger.%I.request_id IS %L', trail, 'The request that did it, to find it in the logs');
        EXECUTE format('COMMENT ON COLUMN ledger.%I."timestamp" IS %L', trail, 'When; rows are kept in a table for each month');
    END LOOP;
END $$;
-- +goose StatementEnd
COMMENT ON TABLE ledger.audit_logs IS 'Changes of transactions, grants, approvals and API keys; append-only';
COMMENT ON TABLE ledger.agent_audit_logs IS 'Changes of agents, their versions and prices; append-only';
COMMENT ON TABLE ledger.user_audit_logs IS 'Changes of users and of what they say of agents; append-only';
COMMENT ON TABLE ledger.mandate_audit_logs IS 'Changes of mandates and their rules; append-only';

CREATE TABLE ledger.audit_blocks (
    trail      text        NOT NULL,
    seq        bigint      NOT NULL CHECK (seq > 0),
    after_id   bigint      NOT NULL,
    upto_id    bigint      NOT NULL,
    rows       bigint      NOT NULL CHECK (rows > 0),
    prev       bytea       NOT NULL,
    hash       bytea       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (trail, seq),
    CHECK (upto_id > after_id)
);
COMMENT ON TABLE ledger.audit_blocks IS 'Hashes over the rows of a trail, each over the one before too; append-only';
COMMENT ON COLUMN ledger.audit_blocks.trail IS 'The table whose rows it covers';
COMMENT ON COLUMN ledger.audit_blocks.seq IS '1, 2 and so on, without gaps';
COMMENT ON COLUMN ledger.audit_blocks.after_id IS 'It covers the rows above this id; upto_id of the block before, 0 in the first';
COMMENT ON COLUMN ledger.audit_blocks.upto_id IS 'The last id that it covers';
COMMENT ON COLUMN ledger.audit_blocks.rows IS 'How many rows that is';
COMMENT ON COLUMN ledger.audit_blocks.prev IS 'Hash of the block before; empty in the first';
COMMENT ON COLUMN ledger.audit_blocks.hash IS 'SHA-256 over prev and the rows in the order of their ids';
COMMENT ON COLUMN ledger.audit_blocks.created_at IS 'When it was made';

CREATE TABLE ledger.audit_marks (
    trail   text   PRIMARY KEY,
    upto_id bigint NOT NULL,
    horizon xid8   NOT NULL
);
COMMENT ON TABLE ledger.audit_marks IS 'How far each trail can be sealed once the transactions of that moment have ended';
COMMENT ON COLUMN ledger.audit_marks.trail IS 'The trail';
COMMENT ON COLUMN ledger.audit_marks.upto_id IS 'The last id that had been given out';
COMMENT ON COLUMN ledger.audit_marks.horizon IS 'No row up to that id is from this transaction of the database or a later one';

-- Denies all changes of rows that are there to stay.
-- +goose StatementBegin
CREATE FUNCTION ledger.deny_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is not permitted', TG_OP, TG_TABLE_NAME USING ERRCODE = 'LA002';
END $$;

-- Makes the tables of this month and of so many months ahead for every trail; those that are there stay. A month of which
-- rows have come to the default table keeps to that one.
CREATE FUNCTION ledger.make_audit_partitions(ahead int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    trail text;
    begins timestamptz;
    ends timestamptz;
    name text;
    late boolean;
    made int := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('ledger.make_audit_partitions', 0));
    FOREACH trail IN ARRAY ARRAY['audit_logs', 'agent_audit_logs', 'user_audit_logs', 'mandate_audit_logs'] LOOP
        FOR i IN 0..ahead LOOP
            begins := (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => i)) AT TIME ZONE 'UTC';
            ends := (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => i + 1)) AT TIME ZONE 'UTC';
            name := trail || to_char(begins AT TIME ZONE 'UTC', '_YYYY_MM');
            CONTINUE WHEN to_regclass('ledger.' || quote_ident(name)) IS NOT NULL;
            EXECUTE format('SELECT EXISTS (SELECT FROM ledger.%I WHERE "timestamp" >= $1 AND "timestamp" < $2)', trail || '_default') INTO late USING begins, ends;
            CONTINUE WHEN late;
            EXECUTE format('CREATE TABLE ledger.%I (LIKE ledger.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS)', name, trail);
            EXECUTE format('ALTER TABLE ledger.%I ATTACH PARTITION ledger.%I FOR VALUES FROM (%L) TO (%L)', trail, name, begins, ends);
            EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON ledger.%I FOR EACH STATEMENT EXECUTE FUNCTION ledger.deny_change()', name);
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;

-- Who is changing rows in this transaction.
CREATE FUNCTION ledger.actor() RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    actor text := current_setting('app.actor', true);
BEGIN
    IF actor IS NULL OR actor = '' THEN
        RAISE EXCEPTION 'app.actor is not set' USING ERRCODE = 'LA001',
            HINT = 'Say who is changing this: SELECT set_config(''app.actor'', ''system:…'', true) within the transaction.';
    END IF;
    RETURN actor;
END $$;

-- Writes what has changed of a row. Arguments: the trail, the column with the entity's id, a column whose value goes before
-- the field or empty for none, and columns to leave out.
CREATE FUNCTION ledger.audit_row() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    actor text := ledger.actor();
    request text := nullif(current_setting('app.request_id', true), '');
    skip text[] := TG_ARGV[3:] || ARRAY['updated_at', 'row_version'];
    old_row jsonb := CASE WHEN TG_OP = 'UPDATE' THEN to_jsonb(OLD) - skip END;
    new_row jsonb := to_jsonb(NEW);
    entity_id uuid := (new_row ->> TG_ARGV[1])::uuid;
    before text := coalesce(new_row ->> TG_ARGV[2] || '.', '');
BEGIN
    new_row := new_row - skip;
    IF TG_OP = 'INSERT' THEN
        EXECUTE format('INSERT INTO ledger.%I (entity, entity_id, field, new_value, changed_by, request_id) VALUES ($1, $2, $3, $4, $5, $6)', TG_ARGV[0])
            USING TG_TABLE_NAME, entity_id, before || '*', new_row, actor, request;
    ELSE
        EXECUTE format('INSERT INTO ledger.%I (entity, entity_id, field, old_value, new_value, changed_by, request_id)
            SELECT $1, $2, $3 || k, nullif($4 -> k, ''null''), nullif($5 -> k, ''null''), $6, $7 FROM jsonb_object_keys($5) AS k WHERE $4 -> k IS DISTINCT FROM $5 -> k ORDER BY k', TG_ARGV[0])
            USING TG_TABLE_NAME, entity_id, before, old_row, new_row, actor, request;
    END IF;
    RETURN NULL;
END $$;

-- Writes how a new version of an agent differs from the one before.
CREATE FUNCTION ledger.audit_agent_version() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    skip text[] := ARRAY['agent_id', 'created_at', 'created_by'];
    old_row jsonb := coalesce((SELECT to_jsonb(v) - skip FROM ledger.agent_versions v WHERE v.agent_id = NEW.agent_id AND v.version = NEW.version - 1), '{}');
    new_row jsonb := to_jsonb(NEW) - skip;
BEGIN
    INSERT INTO ledger.agent_audit_logs (entity, entity_id, field, old_value, new_value, changed_by, request_id)
    SELECT TG_TABLE_NAME, NEW.agent_id, k, old_row -> k, new_row -> k, ledger.actor(), nullif(current_setting('app.request_id', true), '')
    FROM jsonb_object_keys(new_row) AS k WHERE old_row -> k IS DISTINCT FROM new_row -> k ORDER BY k;
    RETURN NULL;
END $$;

-- Writes how a new version of a mandate differs from the one before, rule by rule.
CREATE FUNCTION ledger.audit_mandate_version() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    prior ledger.mandate_versions;
    actor text := ledger.actor();
    request text := nullif(current_setting('app.request_id', true), '');
BEGIN
    SELECT * INTO prior FROM ledger.mandate_versions v WHERE v.mandate_id = NEW.mandate_id AND v.version = NEW.version - 1;
    INSERT INTO ledger.mandate_audit_logs (entity, entity_id, field, old_value, new_value, changed_by, request_id)
    VALUES (TG_TABLE_NAME, NEW.mandate_id, 'version', to_jsonb(prior.version), to_jsonb(NEW.version), actor, request),
           (TG_TABLE_NAME, NEW.mandate_id, 'effective_at', to_jsonb(prior.effective_at), to_jsonb(NEW.effective_at), actor, request);
    INSERT INTO ledger.mandate_audit_logs (entity, entity_id, field, old_value, new_value, changed_by, request_id)
    SELECT TG_TABLE_NAME, NEW.mandate_id, 'rules.' || k, prior.rules -> k, NEW.rules -> k, actor, request
    FROM jsonb_object_keys(coalesce(prior.rules, '{}') || NEW.rules) AS k WHERE prior.rules -> k IS DISTINCT FROM NEW.rules -> k ORDER BY k;
    RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER audit AFTER INSERT OR UPDATE ON ledger.users
    FOR EACH ROW EXECUTE FUNCTION ledger.audit_row('user_audit_logs', 'id', '');
CREATE TRIGGER audit AFTER INSERT OR UPDATE ON ledger.user_agent_interactions
    FOR EACH ROW EXECUTE FUNCTION ledger.audit_row('user_audit_logs', 'user_id', 'agent_id');
CREATE TRIGGER audit AFTER INSERT OR UPDATE ON ledger.agents
    FOR EACH ROW EXECUTE FUNCTION ledger.audit_row('agent_audit_logs', 'id', '');
CREATE TRIGGER audit AFTER INSERT ON ledger.agent_versions
    FOR EACH ROW EXECUTE FUNCTION ledger.audit_agent_version();
CREATE TRIGGER audit AFTER INSERT OR UPDATE ON ledger.mandates
    FOR EACH ROW EXECUTE FUNCTION ledger.audit_row('mandate_audit_logs', 'id', '');
CREATE TRIGGER audit AFTER INSERT ON ledger.mandate_versions
    FOR EACH ROW EXECUTE FUNCTION ledger.audit_mandate_version();
CREATE TRIGGER audit AFTER INSERT OR UPDATE ON ledger.approvals
    FOR EACH ROW EXECUTE FUNCTION ledger.audit_row('audit_logs', 'id', '');
CREATE TRIGGER audit AFTER INSERT OR UPDATE ON ledger.api_keys
    FOR EACH ROW EXECUTE FUNCTION ledger.audit_row('audit_logs', 'id', '', 'secret_hash', 'last_used_at');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OF voided_at ON ledger.credit_grants
    FOR EACH ROW EXECUTE FUNCTION ledger.audit_row('audit_logs', 'id', '', 'remaining', 'open');

-- +goose StatementBegin
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['accounts', 'journal', 'entries', 'grant_uses', 'agent_versions', 'mandate_versions',
        'audit_logs', 'agent_audit_logs', 'user_audit_logs', 'mandate_audit_logs', 'audit_blocks'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger.%I FOR EACH ROW EXECUTE FUNCTION ledger.deny_change()', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['users', 'agents', 'wallets', 'transactions', 'credit_grants', 'mandates', 'mandate_usage',
        'holds', 'approvals', 'api_keys', 'user_agent_interactions'] LOOP
        EXECUTE format('CREATE TRIGGER no_delete BEFORE DELETE ON ledger.%I FOR EACH ROW EXECUTE FUNCTION ledger.deny_change()', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['accounts', 'journal', 'entries', 'grant_uses', 'agent_versions', 'mandate_versions',
        'audit_logs', 'agent_audit_logs', 'user_audit_logs', 'mandate_audit_logs', 'audit_blocks',
        'audit_logs_default', 'agent_audit_logs_default', 'user_audit_logs_default', 'mandate_audit_logs_default',
        'users', 'agents', 'wallets', 'transactions', 'credit_grants', 'mandates', 'mandate_usage', 'holds', 'approvals',
        'api_keys', 'user_agent_interactions'] LOOP
        EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON ledger.%I FOR EACH STATEMENT EXECUTE FUNCTION ledger.deny_change()', name);
    END LOOP;
END $$;
-- +goose StatementEnd

SELECT ledger.make_audit_partitions(3);
