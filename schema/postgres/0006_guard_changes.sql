-- +goose Up
-- Why: changes that must not be are refused here, whoever asks for them, and what must happen together does: wallets follow
-- holds and entries, transactions follow holds, postings follow captures and grants.
-- Locks: none but for the moment in which triggers are added. Users and agents that are there get a wallet or an account.
-- Errors: LA001 no actor, LA002 rows stay, LL001 legs do not sum to zero, LL002 what is referred to does not fit, LL003
-- credits would move without a reason, 23514 a row is not as rows of its table are, LL004 a column that never changes, LL005 a change of state that is not permitted.

-- +goose StatementBegin

-- An id of version 7.
CREATE FUNCTION ledger.new_id() RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) PLACING
        substring(int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid
$$;

CREATE FUNCTION ledger.user_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    account bigint;
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO ledger.accounts (owner_type, owner_id, purpose) VALUES ('user', NEW.id, 'wallet') RETURNING id INTO account;
        INSERT INTO ledger.wallets (user_id, account_id) VALUES (NEW.id, account);
        RETURN NULL;
    END IF;
    IF (NEW.id, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.created_at) THEN
        RAISE EXCEPTION 'user %: id and creation never change', OLD.id USING ERRCODE = 'LL004';
    END IF;
    IF NEW.status <> OLD.status THEN
        IF OLD.status = 'closed' THEN
            RAISE EXCEPTION 'user %: closed is final', OLD.id USING ERRCODE = 'LL005';
        END IF;
        UPDATE ledger.wallets SET closed = true WHERE user_id = NEW.id AND held = 0;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'user %: credits are on hold', OLD.id USING ERRCODE = 'LL005';
        END IF;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION ledger.agent_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.version <> 0 THEN
            RAISE EXCEPTION 'agent %: it has no version yet', NEW.id USING ERRCODE = 'LL005';
        END IF;
        INSERT INTO ledger.accounts (owner_type, owner_id, purpose) VALUES ('agent', NEW.id, 'revenue');
        RETURN NULL;
    END IF;
    IF (NEW.id, NEW.slug, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.slug, OLD.created_at) THEN
        RAISE EXCEPTION 'agent %: id, slug and creation never change', OLD.id USING ERRCODE = 'LL004';
    END IF;
    IF OLD.status = 'retired' AND NEW.status <> 'retired' THEN
        RAISE EXCEPTION 'agent %: retired is final', OLD.id USING ERRCODE = 'LL005';
    END IF;
    IF NEW.version <> OLD.version AND pg_trigger_depth() < 2 THEN
        RAISE EXCEPTION 'agent %: publish a version instead', OLD.id USING ERRCODE = 'LL005';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION ledger.agent_version_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE ledger.agents SET version = NEW.version, updated_at = clock_timestamp(), row_version = row_version + 1
    WHERE id = NEW.agent_id AND version = NEW.version - 1 AND status <> 'retired';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'agent %: version % is not the next one, or the agent is retired', NEW.agent_id, NEW.version USING ERRCODE = 'LL005';
    END IF;
    RETURN NULL;
END $$;

-- Wallets change by what holds, entries and users do, never by themselves.
CREATE FUNCTION ledger.deny_direct() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%: % by itself is not permitted', TG_TABLE_NAME, TG_OP USING ERRCODE = 'LL003',
        HINT = 'Balances and usage follow holds and grants; change those.';
END $$;

CREATE FUNCTION ledger.wallet_guarded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.user_id, NEW.account_id, NEW.posted, NEW.held, NEW.closed) IS DISTINCT FROM (OLD.user_id, OLD.account_id, OLD.posted, OLD.held, OLD.closed) THEN
        RAISE EXCEPTION 'wallet %: it follows its holds and entries', OLD.user_id USING ERRCODE = 'LL003';
    END IF;
    RETURN NEW;
END $$;

-- Windows may move, and what is in them with them.
CREATE FUNCTION ledger.usage_guarded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.mandate_id, NEW.user_id, NEW.mandate_row, NEW.total_used, NEW.total_count, NEW.active)
        IS DISTINCT FROM (OLD.mandate_id, OLD.user_id, OLD.mandate_row, OLD.total_used, OLD.total_count, OLD.active)
        OR NEW.tz = OLD.tz AND NEW.day_start = OLD.day_start AND (NEW.day_used, NEW.day_count) IS DISTINCT FROM (OLD.day_used, OLD.day_count)
        OR NEW.tz = OLD.tz AND NEW.week_start = OLD.week_start AND NEW.week_used <> OLD.week_used
        OR NEW.tz = OLD.tz AND NEW.month_start = OLD.month_start AND NEW.month_used <> OLD.month_used THEN
        RAISE EXCEPTION 'usage of mandate %: it follows its holds', OLD.mandate_id USING ERRCODE = 'LL003';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION ledger.transaction_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    actor text := ledger.actor();
    request text := nullif(current_setting('app.request_id', true), '');
BEGIN
    IF NOT (NEW.credits > 0 AND NEW.settled >= 0 AND NEW.settled <= NEW.credits AND NEW.refunded >= 0 AND NEW.refunded <= NEW.settled) THEN
        RAISE EXCEPTION 'transaction %: amounts do not fit', NEW.id USING ERRCODE = 'check_violation', CONSTRAINT = 'transactions_amounts_check';
    END IF;
    IF NEW.kind IN ('topup', 'bonus', 'card_refund', 'dispute', 'clawback', 'restore') THEN
        PERFORM ledger.purchase_changed(OLD, NEW); -- Of a later migration.
        RETURN NULL;
    END IF;
    IF TG_OP = 'INSERT' THEN
        IF NEW.kind NOT IN ('execution', 'grant', 'refund', 'expiry', 'void') OR (NEW.amount_cents IS NULL) <> (NEW.currency IS NULL)
            OR NEW.amount_cents < 0 OR NEW.currency !~ '^[A-Z]{3}$'
            OR (NEW.kind = 'execution') <> (NEW.execution_id IS NOT NULL) OR (NEW.kind = 'execution') <> (NEW.mandate_id IS NOT NULL)
            OR (NEW.kind = 'refund') <> (NEW.parent_id IS NOT NULL) OR (NEW.kind IN ('expiry', 'void')) <> (NEW.source_grant_id IS NOT NULL) THEN
            RAISE EXCEPTION 'transaction %: its columns do not fit its kind', NEW.id USING ERRCODE = 'check_violation', CONSTRAINT = 'transactions_kind_check';
        END IF;
        IF NEW.refunded <> 0 OR (NEW.kind = 'execution') IS DISTINCT FROM (NEW.status IN ('requires_approval', 'authorized') AND NEW.settled = 0)
            OR NEW.kind <> 'execution' AND (NEW.status <> 'succeeded' OR NEW.settled <> NEW.credits) THEN
            RAISE EXCEPTION 'transaction %: a % cannot begin as %', NEW.id, NEW.kind, NEW.status USING ERRCODE = 'LL005';
        END IF;
        -- The mandate's user has a wallet, by its foreign key. What ledger.authorize has just looked at need not be looked at again.
        IF NEW.kind = 'execution' AND current_setting('app.checked', true) IS DISTINCT FROM NEW.id::text AND NOT EXISTS (SELECT FROM ledger.agent_versions a, ledger.mandates m, ledger.mandate_versions v
            WHERE a.agent_id = NEW.agent_id AND a.version = NEW.agent_version AND m.id = NEW.mandate_id AND m.user_id = NEW.user_id AND v.mandate_id = NEW.mandate_id AND v.version = NEW.mandate_version)
            OR NEW.kind <> 'execution' AND NOT EXISTS (SELECT FROM ledger.wallets WHERE user_id = NEW.user_id) THEN
            RAISE EXCEPTION 'transaction %: no such user, agent or mandate', NEW.id USING ERRCODE = 'LL002';
        END IF;
        INSERT INTO ledger.audit_logs (entity, entity_id, field, new_value, changed_by, request_id)
        VALUES ('transactions', NEW.id, '*', CASE NEW.kind WHEN 'execution' THEN
            -- Its other columns are null. Much the same as the line below, in a third of the time.
            jsonb_build_object('id', NEW.id, 'user_id', NEW.user_id, 'kind', NEW.kind, 'status', NEW.status, 'credits', NEW.credits, 'settled', NEW.settled, 'refunded', NEW.refunded,
                'agent_id', NEW.agent_id, 'agent_version', NEW.agent_version, 'mandate_id', NEW.mandate_id, 'mandate_version', NEW.mandate_version,
                'execution_id', NEW.execution_id, 'reason', NEW.reason, 'created_at', NEW.created_at)
            ELSE to_jsonb(NEW) - ARRAY['metadata', 'receipt', 'updated_at', 'row_version'] END, actor, request);
        IF NEW.kind = 'refund' THEN
            UPDATE ledger.transactions SET refunded = refunded + NEW.credits, row_version = row_version + 1, updated_at = clock_timestamp(),
                status = CASE WHEN refunded + NEW.credits = settled THEN 'refunded' ELSE 'partially_refunded' END
            WHERE id = NEW.parent_id AND user_id = NEW.user_id AND kind = 'execution';
            IF NOT FOUND THEN
                RAISE EXCEPTION 'transaction %: no such run', NEW.id USING ERRCODE = 'LL002';
            END IF;
        ELSIF NEW.kind IN ('expiry', 'void') THEN
            PERFORM ledger.debit(NEW.user_id, NEW.id, NEW.credits, 'platform', NULL, CASE NEW.kind WHEN 'void' THEN 'voided' ELSE 'expired' END, NEW.source_grant_id);
        END IF;
    ELSE
        IF (NEW.id, NEW.user_id, NEW.kind, NEW.credits, NEW.amount_cents, NEW.currency, NEW.stripe_pi, NEW.agent_id, NEW.mandate_id, NEW.execution_id, NEW.parent_id, NEW.source_grant_id, NEW.metadata, NEW.created_at)
            IS DISTINCT FROM (OLD.id, OLD.user_id, OLD.kind, OLD.credits, OLD.amount_cents, OLD.currency, OLD.stripe_pi, OLD.agent_id, OLD.mandate_id, OLD.execution_id, OLD.parent_id, OLD.source_grant_id, OLD.metadata, OLD.created_at)
            OR OLD.status <> 'requires_approval' AND (NEW.agent_version, NEW.mandate_version, NEW.receipt) IS DISTINCT FROM (OLD.agent_version, OLD.mandate_version, OLD.receipt)
            OR NEW.row_version <> OLD.row_version + 1 THEN
            RAISE EXCEPTION 'transaction %: what it is about never changes', OLD.id USING ERRCODE = 'LL004';
        END IF;
        IF NEW.status <> OLD.status AND (OLD.status, NEW.status) NOT IN (('requires_approval', 'authorized'), ('requires_approval', 'canceled'), ('requires_approval', 'expired'),
            ('requires_approval', 'failed'), ('authorized', 'succeeded'), ('authorized', 'canceled'), ('authorized', 'expired'),
            ('succeeded', 'partially_refunded'), ('succeeded', 'refunded'), ('partially_refunded', 'refunded')) THEN
            RAISE EXCEPTION 'transaction %: % does not become %', OLD.id, OLD.status, NEW.status USING ERRCODE = 'LL005';
        END IF;
        IF pg_trigger_depth() < 2 AND (OLD.status <> 'requires_approval' OR NEW.settled <> OLD.settled OR NEW.refunded <> OLD.refunded) THEN
            RAISE EXCEPTION 'transaction %: it follows its hold and its refunds', OLD.id USING ERRCODE = 'LL005';
        END IF;
        WITH audited AS (INSERT INTO ledger.audit_logs (entity, entity_id, field, old_value, new_value, changed_by, request_id)
            SELECT 'transactions', NEW.id, c.field, c.old_value, c.new_value, actor, request
            FROM (VALUES ('status', to_jsonb(OLD.status), to_jsonb(NEW.status)), ('settled', to_jsonb(OLD.settled), to_jsonb(NEW.settled)),
                ('refunded', to_jsonb(OLD.refunded), to_jsonb(NEW.refunded)), ('reason', to_jsonb(OLD.reason), to_jsonb(NEW.reason)),
                ('agent_version', to_jsonb(OLD.agent_version), to_jsonb(NEW.agent_version)), ('mandate_version', to_jsonb(OLD.mandate_version), to_jsonb(NEW.mandate_version))
            ) AS c (field, old_value, new_value) WHERE c.old_value IS DISTINCT FROM c.new_value)
        INSERT INTO ledger.outbox (topic, key, payload)
        SELECT 'transaction.' || NEW.status, NEW.id, jsonb_build_object('kind', NEW.kind, 'userId', NEW.user_id, 'credits', NEW.credits, 'settled', NEW.settled, 'refunded', NEW.refunded)
        WHERE NEW.status <> 'authorized';
        RETURN NULL;
    END IF;
    -- An authorization is of interest to nobody else: the caller has the answer, and what comes of it is told.
    IF NEW.status <> 'authorized' THEN
        INSERT INTO ledger.outbox (topic, key, payload) VALUES ('transaction.' || NEW.status, NEW.id,
            jsonb_build_object('kind', NEW.kind, 'userId', NEW.user_id, 'credits', NEW.credits, 'settled', NEW.settled, 'refunded', NEW.refunded));
    END IF;
    RETURN NULL;
END $$;

-- Uses credits of grants, in their order or of one of them, and posts them to another account.
CREATE FUNCTION ledger.debit(p_user uuid, p_transaction uuid, p_amount bigint, p_owner_type text, p_owner uuid, p_purpose text, p_grant uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    rest bigint := p_amount;
    source record;
BEGIN
    WHILE rest > 0 LOOP
        IF p_grant IS NULL THEN
            SELECT id, remaining INTO source FROM ledger.credit_grants WHERE user_id = p_user AND open ORDER BY priority, expires_at, created_at, id LIMIT 1;
        ELSE
            SELECT id, remaining INTO source FROM ledger.credit_grants WHERE id = p_grant AND user_id = p_user AND open;
        END IF;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'transaction %: the grants have % less than it takes', p_transaction, rest USING ERRCODE = 'LL003';
        END IF;
        -- A trigger takes it from the grant, so the next one found is another.
        INSERT INTO ledger.grant_uses (transaction_id, grant_id, amount) VALUES (p_transaction, source.id, least(rest, source.remaining));
        rest := rest - least(rest, source.remaining);
    END LOOP;
    IF p_owner IS NULL THEN
        INSERT INTO ledger.entries (transaction_id, account_id, amount) VALUES (p_transaction, (SELECT account_id FROM ledger.wallets WHERE user_id = p_user), -p_amount),
            (p_transaction, (SELECT id FROM ledger.accounts WHERE owner_type = p_owner_type AND owner_id IS NULL AND purpose = p_purpose), p_amount);
    ELSE
        INSERT INTO ledger.entries (transaction_id, account_id, amount) VALUES (p_transaction, (SELECT account_id FROM ledger.wallets WHERE user_id = p_user), -p_amount),
            (p_transaction, (SELECT id FROM ledger.accounts WHERE owner_type = p_owner_type AND owner_id = p_owner AND purpose = p_purpose), p_amount);
    END IF;
END $$;

CREATE FUNCTION ledger.grant_used() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.amount <= 0 THEN
        RAISE EXCEPTION 'transaction %: it uses nothing', NEW.transaction_id USING ERRCODE = 'check_violation', CONSTRAINT = 'grant_uses_amount_check';
    END IF;
    UPDATE ledger.credit_grants SET remaining = remaining - NEW.amount, open = remaining > NEW.amount, row_version = row_version + 1 WHERE id = NEW.grant_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'transaction %: no such grant', NEW.transaction_id USING ERRCODE = 'LL002';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION ledger.grant_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    source record;
BEGIN
    IF NEW.remaining < 0 OR NEW.remaining > NEW.amount OR NEW.open <> (NEW.remaining > 0) THEN
        RAISE EXCEPTION 'grant %: % cannot be left of %', NEW.id, NEW.remaining, NEW.amount USING ERRCODE = 'check_violation', CONSTRAINT = 'credit_grants_remaining_check';
    END IF;
    IF TG_OP = 'UPDATE' THEN
        IF (NEW.id, NEW.user_id, NEW.transaction_id, NEW.category, NEW.amount, NEW.priority, NEW.expires_at, NEW.created_at)
            IS DISTINCT FROM (OLD.id, OLD.user_id, OLD.transaction_id, OLD.category, OLD.amount, OLD.priority, OLD.expires_at, OLD.created_at) THEN
            RAISE EXCEPTION 'grant %: what was given never changes', OLD.id USING ERRCODE = 'LL004';
        END IF;
        IF NEW.remaining > OLD.remaining OR NEW.remaining <> OLD.remaining AND pg_trigger_depth() < 2 OR OLD.voided_at IS NOT NULL AND NEW.voided_at IS DISTINCT FROM OLD.voided_at THEN
            RAISE EXCEPTION 'grant %: credits leave it by being used, and it is voided once', OLD.id USING ERRCODE = 'LL005';
        END IF;
        RETURN NULL;
    END IF;
    IF NEW.category NOT IN ('paid', 'promo', 'goodwill', 'refund') OR NEW.priority NOT BETWEEN 0 AND 1000 OR NEW.expires_at <= NEW.created_at THEN
        RAISE EXCEPTION 'grant %: no such category or priority, or it ends before it begins', NEW.id USING ERRCODE = 'check_violation', CONSTRAINT = 'credit_grants_check';
    END IF;
    SELECT t.kind, coalesce(p.agent_id, t.agent_id) AS agent_id INTO source FROM ledger.transactions t LEFT JOIN ledger.transactions p ON p.id = t.parent_id
    WHERE t.id = NEW.transaction_id AND t.user_id = NEW.user_id AND t.credits = NEW.amount
        AND (t.kind = CASE NEW.category WHEN 'refund' THEN 'refund' ELSE 'grant' END
            OR t.kind IN (CASE NEW.category WHEN 'paid' THEN 'topup' WHEN 'promo' THEN 'bonus' END, 'restore') AND t.settled = NEW.amount);
    IF NOT FOUND OR NEW.remaining <> NEW.amount OR NEW.voided_at IS NOT NULL THEN
        RAISE EXCEPTION 'grant %: its transaction does not give these credits', NEW.id USING ERRCODE = 'LL003';
    END IF;
    INSERT INTO ledger.entries (transaction_id, account_id, amount)
    SELECT NEW.transaction_id, a.id, CASE a.owner_type WHEN 'user' THEN NEW.amount ELSE -NEW.amount END
    FROM ledger.accounts a WHERE a.owner_type = 'user' AND a.owner_id = NEW.user_id AND a.purpose = 'wallet'
        OR source.kind = 'refund' AND a.owner_type = 'agent' AND a.owner_id = source.agent_id AND a.purpose = 'revenue'
        OR source.kind = 'restore' AND a.owner_type = 'platform' AND a.owner_id IS NULL AND a.purpose = 'clawed_back'
        OR source.kind IN ('grant', 'topup', 'bonus') AND a.owner_type = 'platform' AND a.owner_id IS NULL AND a.purpose = 'granted_' || NEW.category;
    IF NEW.expires_at IS NOT NULL THEN
        UPDATE ledger.wallets SET next_expiry = least(next_expiry, NEW.expires_at) WHERE user_id = NEW.user_id;
    END IF;
    RETURN NULL;
END $$;

-- All entries of a transaction come by one statement, which this checks and books.
CREATE FUNCTION ledger.entries_posted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    posting record;
    booked bigint;
    wallets bigint := 0;
BEGIN
    FOR posting IN SELECT e.transaction_id, count(*) AS legs, sum(e.amount) AS sum, sum(e.amount) FILTER (WHERE e.amount > 0) AS moved, bool_or(e.amount = 0) AS empty,
            count(a.id) AS known, count(*) FILTER (WHERE a.owner_type = 'user') AS wallets
        FROM added e LEFT JOIN ledger.accounts a ON a.id = e.account_id GROUP BY e.transaction_id LOOP
        IF posting.sum <> 0 OR posting.legs < 2 OR posting.empty THEN
            RAISE EXCEPTION 'transaction %: its entries do not sum to zero', posting.transaction_id USING ERRCODE = 'LL001';
        END IF;
        IF posting.known <> posting.legs THEN
            RAISE EXCEPTION 'transaction %: entries of no account', posting.transaction_id USING ERRCODE = 'LL002';
        END IF;
        INSERT INTO ledger.journal (transaction_id, legs) SELECT id, posting.legs FROM ledger.transactions WHERE id = posting.transaction_id AND settled = posting.moved;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'transaction %: it does not settle so much', posting.transaction_id USING ERRCODE = 'LL003';
        END IF;
        wallets := wallets + posting.wallets;
    END LOOP;
    UPDATE ledger.wallets w SET posted = w.posted + e.amount FROM added e WHERE w.account_id = e.account_id AND e.amount
        = coalesce((SELECT sum(g.amount) FROM ledger.credit_grants g WHERE g.transaction_id = e.transaction_id AND g.user_id = w.user_id), 0)
        - coalesce((SELECT sum(u.amount) FROM ledger.grant_uses u WHERE u.transaction_id = e.transaction_id), 0);
    GET DIAGNOSTICS booked = ROW_COUNT;
    IF booked <> wallets THEN
        RAISE EXCEPTION 'entries of a wallet without as much of grants' USING ERRCODE = 'LL003';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION ledger.mandate_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status <> 'active' THEN
            RAISE EXCEPTION 'mandate %: it begins as active', NEW.id USING ERRCODE = 'LL005';
        END IF;
        INSERT INTO ledger.mandate_usage (mandate_id, user_id, mandate_row) VALUES (NEW.id, NEW.user_id, NEW.row_version);
        RETURN NULL;
    END IF;
    IF (NEW.id, NEW.user_id, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.user_id, OLD.created_at) THEN
        RAISE EXCEPTION 'mandate %: id, user and creation never change', OLD.id USING ERRCODE = 'LL004';
    END IF;
    IF OLD.status = 'revoked' THEN
        RAISE EXCEPTION 'mandate %: revoked is final', OLD.id USING ERRCODE = 'LL005';
    END IF;
    UPDATE ledger.mandate_usage SET mandate_row = NEW.row_version WHERE mandate_id = NEW.id;
    RETURN NULL;
END $$;

CREATE FUNCTION ledger.mandate_version_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.version <> 1 + coalesce((SELECT max(v.version) FROM ledger.mandate_versions v WHERE v.mandate_id = NEW.mandate_id AND v.version <> NEW.version), 0) THEN
        RAISE EXCEPTION 'mandate %: version % is not the next one', NEW.mandate_id, NEW.version USING ERRCODE = 'LL005';
    END IF;
    -- Also refuses new rules of a mandate that is revoked.
    UPDATE ledger.mandates SET updated_at = clock_timestamp(), row_version = row_version + 1 WHERE id = NEW.mandate_id;
    RETURN NULL;
END $$;

-- Everything that follows from a hold.
CREATE FUNCTION ledger.hold_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    back bigint;
    gone int;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status <> 'active' OR NEW.captured <> 0 OR NEW.resolved_at IS NOT NULL THEN
            RAISE EXCEPTION 'hold %: it begins as active', NEW.id USING ERRCODE = 'LL005';
        END IF;
        IF NEW.expires_at <= NEW.authorized_at THEN
            RAISE EXCEPTION 'hold %: it ends before it begins', NEW.id USING ERRCODE = 'check_violation', CONSTRAINT = 'holds_expires_check';
        END IF;
        IF current_setting('app.checked', true) IS DISTINCT FROM NEW.id::text AND NOT EXISTS (SELECT FROM ledger.transactions t
            WHERE t.id = NEW.id AND t.user_id = NEW.user_id AND t.agent_id = NEW.agent_id AND t.mandate_id = NEW.mandate_id AND t.credits = NEW.amount AND t.status = 'authorized') THEN
            RAISE EXCEPTION 'hold %: its transaction does not ask for it', NEW.id USING ERRCODE = 'LL002';
        END IF;
        WITH wallet AS (UPDATE ledger.wallets SET held = held + NEW.amount WHERE user_id = NEW.user_id)
        UPDATE ledger.mandate_usage SET
            active = active + 1, total_count = total_count + 1, total_used = total_used + NEW.amount,
            day_count = day_count + CASE WHEN NEW.authorized_at >= day_start THEN 1 ELSE 0 END,
            day_used = day_used + CASE WHEN NEW.authorized_at >= day_start THEN NEW.amount ELSE 0 END,
            week_used = week_used + CASE WHEN NEW.authorized_at >= week_start THEN NEW.amount ELSE 0 END,
            month_used = month_used + CASE WHEN NEW.authorized_at >= month_start THEN NEW.amount ELSE 0 END,
            last_at = greatest(last_at, NEW.authorized_at)
        WHERE mandate_id = NEW.mandate_id;
        RETURN NULL;
    END IF;
    IF OLD.status <> 'active' OR NEW.status NOT IN ('captured', 'released', 'expired') THEN
        RAISE EXCEPTION 'hold %: % does not become %', OLD.id, OLD.status, NEW.status USING ERRCODE = 'LL005';
    END IF;
    IF (NEW.id, NEW.user_id, NEW.agent_id, NEW.mandate_id, NEW.amount, NEW.authorized_at, NEW.expires_at)
        IS DISTINCT FROM (OLD.id, OLD.user_id, OLD.agent_id, OLD.mandate_id, OLD.amount, OLD.authorized_at, OLD.expires_at) OR NEW.row_version <> OLD.row_version + 1 THEN
        RAISE EXCEPTION 'hold %: what is held never changes', OLD.id USING ERRCODE = 'LL004';
    END IF;
    IF NEW.captured < 0 OR NEW.captured > NEW.amount OR NEW.captured > 0 AND NEW.status <> 'captured' OR NEW.resolved_at IS NULL THEN
        RAISE EXCEPTION 'hold %: it cannot be captured like this', OLD.id USING ERRCODE = 'check_violation', CONSTRAINT = 'holds_captured_check';
    END IF;
    back := NEW.amount - NEW.captured;
    gone := CASE NEW.status WHEN 'captured' THEN 0 ELSE 1 END;
    WITH wallet AS (UPDATE ledger.wallets SET held = held - NEW.amount WHERE user_id = NEW.user_id),
    usage AS (UPDATE ledger.mandate_usage SET
        active = active - 1, total_count = total_count - gone, total_used = total_used - back,
        day_count = day_count - CASE WHEN NEW.authorized_at >= day_start THEN gone ELSE 0 END,
        day_used = day_used - CASE WHEN NEW.authorized_at >= day_start THEN back ELSE 0 END,
        week_used = week_used - CASE WHEN NEW.authorized_at >= week_start THEN back ELSE 0 END,
        month_used = month_used - CASE WHEN NEW.authorized_at >= month_start THEN back ELSE 0 END
    WHERE mandate_id = NEW.mandate_id)
    UPDATE ledger.transactions SET settled = NEW.captured, row_version = row_version + 1, updated_at = NEW.resolved_at,
        status = CASE NEW.status WHEN 'captured' THEN 'succeeded' WHEN 'released' THEN 'canceled' ELSE 'expired' END
    WHERE id = NEW.id;
    IF NEW.captured > 0 THEN
        PERFORM ledger.debit(NEW.user_id, NEW.id, NEW.captured, 'agent', NEW.agent_id, 'revenue', NULL);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION ledger.approval_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status <> 'pending' OR NEW.status = 'pending' THEN
        RAISE EXCEPTION 'approval %: % does not become %', OLD.id, OLD.status, NEW.status USING ERRCODE = 'LL005';
    END IF;
    IF (NEW.id, NEW.transaction_id, NEW.user_id, NEW.amount, NEW.hold_seconds, NEW.principal, NEW.requested_by, NEW.requested_at, NEW.expires_at)
        IS DISTINCT FROM (OLD.id, OLD.transaction_id, OLD.user_id, OLD.amount, OLD.hold_seconds, OLD.principal, OLD.requested_by, OLD.requested_at, OLD.expires_at) THEN
        RAISE EXCEPTION 'approval %: what was asked never changes', OLD.id USING ERRCODE = 'LL004';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION ledger.key_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.secret_hash, NEW.prefix, NEW.scopes, NEW.user_id, NEW.created_at, NEW.created_by, NEW.expires_at)
        IS DISTINCT FROM (OLD.id, OLD.secret_hash, OLD.prefix, OLD.scopes, OLD.user_id, OLD.created_at, OLD.created_by, OLD.expires_at) THEN
        RAISE EXCEPTION 'key %: what it is and may do never changes', OLD.id USING ERRCODE = 'LL004';
    END IF;
    IF OLD.revoked_at IS NOT NULL AND (NEW.revoked_at IS NULL OR NEW.revoked_at > OLD.revoked_at) THEN
        RAISE EXCEPTION 'key %: revoked is final', OLD.id USING ERRCODE = 'LL005';
    END IF;
    RETURN NULL;
END $$;

-- +goose StatementEnd

INSERT INTO ledger.accounts (owner_type, owner_id, purpose)
SELECT 'user', id, 'wallet' FROM ledger.users UNION ALL SELECT 'agent', id, 'revenue' FROM ledger.agents;
INSERT INTO ledger.wallets (user_id, account_id, closed)
SELECT u.id, a.id, u.status = 'closed' FROM ledger.users u JOIN ledger.accounts a ON a.owner_type = 'user' AND a.owner_id = u.id;

CREATE TRIGGER follow AFTER INSERT OR UPDATE ON ledger.users FOR EACH ROW EXECUTE FUNCTION ledger.user_changed();
CREATE TRIGGER follow AFTER INSERT OR UPDATE ON ledger.agents FOR EACH ROW EXECUTE FUNCTION ledger.agent_changed();
CREATE TRIGGER follow AFTER INSERT ON ledger.agent_versions FOR EACH ROW EXECUTE FUNCTION ledger.agent_version_added();
CREATE TRIGGER follow AFTER INSERT OR UPDATE ON ledger.transactions FOR EACH ROW EXECUTE FUNCTION ledger.transaction_changed();
CREATE TRIGGER follow AFTER INSERT ON ledger.grant_uses FOR EACH ROW EXECUTE FUNCTION ledger.grant_used();
CREATE TRIGGER follow AFTER INSERT OR UPDATE ON ledger.credit_grants FOR EACH ROW EXECUTE FUNCTION ledger.grant_changed();
CREATE TRIGGER follow AFTER INSERT ON ledger.entries REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger.entries_posted();
CREATE TRIGGER follow AFTER INSERT OR UPDATE ON ledger.mandates FOR EACH ROW EXECUTE FUNCTION ledger.mandate_changed();
CREATE TRIGGER follow AFTER INSERT ON ledger.mandate_versions FOR EACH ROW EXECUTE FUNCTION ledger.mandate_version_added();
CREATE TRIGGER follow AFTER INSERT OR UPDATE ON ledger.holds FOR EACH ROW EXECUTE FUNCTION ledger.hold_changed();
CREATE TRIGGER follow AFTER UPDATE ON ledger.approvals FOR EACH ROW EXECUTE FUNCTION ledger.approval_changed();
CREATE TRIGGER follow AFTER UPDATE ON ledger.api_keys FOR EACH ROW EXECUTE FUNCTION ledger.key_changed();

CREATE TRIGGER guard BEFORE UPDATE ON ledger.wallets FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION ledger.wallet_guarded();
CREATE TRIGGER guard BEFORE UPDATE ON ledger.mandate_usage FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION ledger.usage_guarded();
CREATE TRIGGER guard_new BEFORE INSERT ON ledger.wallets FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION ledger.deny_direct();
CREATE TRIGGER guard BEFORE INSERT ON ledger.grant_uses FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION ledger.deny_direct();
CREATE TRIGGER guard BEFORE INSERT ON ledger.journal FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION ledger.deny_direct();
