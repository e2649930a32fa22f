-- +goose Up
-- Why: credits that are bought with money. A top-up is a transaction whose status follows the payment at Stripe; when it
-- has succeeded its credits are granted, and a bonus apart from them. Refunds to the card and disputes are transactions of
-- their own; credits are taken back, and given back again, by so much as the money says.
-- Locks: none, all tables are new.

COMMENT ON COLUMN ledger.transactions.kind IS 'execution: a run; grant: credits given; refund: of a run; expiry and void: of a grant; topup: credits bought; bonus: given with them; card_refund and dispute: money of a top-up that goes back; clawback and restore: credits of a top-up or bonus that are taken back, or given back again';
COMMENT ON COLUMN ledger.transactions.status IS 'Follows the hold of a run, or the payment of a top-up; a trigger knows which changes are permitted';
COMMENT ON COLUMN ledger.transactions.refunded IS 'Of a run: given back so far. Of a top-up or bonus: taken back so far';
COMMENT ON COLUMN ledger.transactions.amount_cents IS 'What was paid for the credits, or went back, in minor units of currency';
COMMENT ON COLUMN ledger.transactions.stripe_pi IS 'PaymentIntent that paid for the credits; of a top-up, null until Stripe has made it';
COMMENT ON COLUMN ledger.transactions.parent_id IS 'Of a refund: the run. Of a bonus, card_refund or dispute: the top-up. Of a clawback or restore: the top-up or bonus';
COMMENT ON COLUMN ledger.transactions.source_grant_id IS 'Of an expiry, void, clawback or restore: the grant';

INSERT INTO ledger.accounts (owner_type, purpose) VALUES ('platform', 'clawed_back');

CREATE TABLE ledger.payments (
    transaction_id      uuid        PRIMARY KEY REFERENCES ledger.transactions (id),
    parent_id           uuid        REFERENCES ledger.payments (transaction_id),
    bonus_id            uuid        REFERENCES ledger.transactions (id),
    stripe_id           text        UNIQUE,
    stripe_status       text        NOT NULL DEFAULT '',
    failure_code        text        NOT NULL DEFAULT '',
    failure_message     text        NOT NULL DEFAULT '',
    package             text        NOT NULL DEFAULT '',
    bonus               bigint      NOT NULL DEFAULT 0 CHECK (bonus >= 0),
    valid_seconds       bigint      CHECK (valid_seconds > 0),
    bonus_valid_seconds bigint      CHECK (bonus_valid_seconds > 0),
    request             jsonb       NOT NULL DEFAULT '{}',
    receipt             jsonb,
    checks              bigint      NOT NULL DEFAULT 0,
    next_check          timestamptz,
    created_at          timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX payments_parent_idx ON ledger.payments (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX payments_due_idx ON ledger.payments (next_check) WHERE next_check IS NOT NULL;
COMMENT ON TABLE ledger.payments IS 'What top-ups, refunds to the card and disputes are at Stripe';
COMMENT ON COLUMN ledger.payments.transaction_id IS 'The transaction of kind topup, card_refund or dispute';
COMMENT ON COLUMN ledger.payments.parent_id IS 'Of a card_refund or dispute: the top-up';
COMMENT ON COLUMN ledger.payments.bonus_id IS 'Of a top-up: the transaction of its bonus, once it is granted';
COMMENT ON COLUMN ledger.payments.stripe_id IS 'PaymentIntent, refund or dispute; null until Stripe has made it';
COMMENT ON COLUMN ledger.payments.stripe_status IS 'Its status at Stripe when it was last looked at';
COMMENT ON COLUMN ledger.payments.failure_code IS 'Why the last attempt to pay or refund failed, or why the user disputes; empty otherwise';
COMMENT ON COLUMN ledger.payments.failure_message IS 'The same in words';
COMMENT ON COLUMN ledger.payments.package IS 'Of a top-up: what was bought, as the configuration called it then';
COMMENT ON COLUMN ledger.payments.bonus IS 'Of a top-up: promotional micro-credits that come with it';
COMMENT ON COLUMN ledger.payments.valid_seconds IS 'Of a top-up: how long its credits can be spent; forever if null';
COMMENT ON COLUMN ledger.payments.bonus_valid_seconds IS 'Of a top-up: how long its bonus can be spent; forever if null';
COMMENT ON COLUMN ledger.payments.request IS 'What Stripe was asked for, written before it is asked, so that asking again is the same request';
COMMENT ON COLUMN ledger.payments.receipt IS 'The object as Stripe last showed it, without secrets';
COMMENT ON COLUMN ledger.payments.checks IS 'How often it was compared with Stripe. What was read there is applied only if nothing else was since';
COMMENT ON COLUMN ledger.payments.next_check IS 'Of a top-up: when to look again whether or not an event arrives; null when nothing is open';
COMMENT ON COLUMN ledger.payments.created_at IS 'When it was written';

CREATE TABLE ledger.stripe_events (
    id           text        PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 255),
    type         text        NOT NULL,
    api_version  text        NOT NULL DEFAULT '',
    livemode     boolean     NOT NULL,
    object_id    text        NOT NULL DEFAULT '',
    payment_id   text        NOT NULL DEFAULT '',
    created      timestamptz NOT NULL,
    payload      jsonb       NOT NULL,
    received_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    deliveries   int         NOT NULL DEFAULT 1,
    state        text        NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'processed', 'ignored', 'failed')),
    attempts     int         NOT NULL DEFAULT 0,
    last_error   text        NOT NULL DEFAULT '',
    processed_at timestamptz,
    CHECK ((state = 'pending') = (processed_at IS NULL))
);
CREATE INDEX stripe_events_pending_idx ON ledger.stripe_events (received_at) WHERE state = 'pending';
CREATE INDEX stripe_events_old_idx ON ledger.stripe_events USING brin (received_at);
COMMENT ON TABLE ledger.stripe_events IS 'Events of Stripe, each once. They say that something has changed, never what it is now: that is read at Stripe. A job removes old ones';
COMMENT ON COLUMN ledger.stripe_events.id IS 'Given by Stripe';
COMMENT ON COLUMN ledger.stripe_events.type IS 'Such as payment_intent.succeeded';
COMMENT ON COLUMN ledger.stripe_events.api_version IS 'In which Stripe has written the payload';
COMMENT ON COLUMN ledger.stripe_events.livemode IS 'Real money';
COMMENT ON COLUMN ledger.stripe_events.object_id IS 'What has changed';
COMMENT ON COLUMN ledger.stripe_events.payment_id IS 'The PaymentIntent that it belongs to, if it says so';
COMMENT ON COLUMN ledger.stripe_events.created IS 'When Stripe made it';
COMMENT ON COLUMN ledger.stripe_events.payload IS 'As it was sent, without secrets';
COMMENT ON COLUMN ledger.stripe_events.received_at IS 'When it first came, by a delivery or by asking for what was not delivered';
COMMENT ON COLUMN ledger.stripe_events.deliveries IS 'How often it came';
COMMENT ON COLUMN ledger.stripe_events.state IS 'ignored is not about us; failed needs a person, see last_error';
COMMENT ON COLUMN ledger.stripe_events.attempts IS 'How often it was worked on';
COMMENT ON COLUMN ledger.stripe_events.last_error IS 'Why that failed';
COMMENT ON COLUMN ledger.stripe_events.processed_at IS 'When it was done with';

-- +goose StatementBegin

-- The credits of each grant that no hold stands for. Holds stand for the credits that would be used next.
CREATE FUNCTION ledger.free_credits(p_user uuid) RETURNS TABLE (grant_id uuid, amount bigint) LANGUAGE sql STABLE AS $$
    SELECT g.id, g.remaining - g.covered
    FROM (SELECT c.*, least(c.remaining, greatest(0, w.held - sum(c.remaining) OVER burn + c.remaining))::bigint AS covered
        FROM ledger.credit_grants c JOIN ledger.wallets w ON w.user_id = c.user_id
        WHERE c.user_id = p_user AND c.open
        WINDOW burn AS (ORDER BY c.priority, c.expires_at, c.created_at, c.id)) g
    WHERE g.remaining > g.covered
$$;

-- Which changes of a purchase's status are permitted. A payment that succeeds has succeeded, whatever was thought of it
-- before: also one that was canceled because Stripe seemed never to have heard of it.
CREATE FUNCTION ledger.may_become(p_kind text, p_from text, p_to text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE p_kind
        WHEN 'topup' THEN CASE
            WHEN p_from IN ('succeeded', 'partially_refunded', 'refunded', 'disputed') THEN p_to IN ('succeeded', 'partially_refunded', 'refunded', 'disputed')
            WHEN p_from = 'canceled' THEN p_to = 'succeeded'
            ELSE p_to IN ('created', 'processing', 'failed', 'canceled', 'succeeded') END
        WHEN 'bonus' THEN p_to IN ('succeeded', 'partially_refunded', 'refunded')
        WHEN 'card_refund' THEN (p_from, p_to) IN (('processing', 'succeeded'), ('processing', 'failed'), ('processing', 'canceled'), ('succeeded', 'failed'))
        WHEN 'dispute' THEN (p_from, p_to) IN (('disputed', 'won'), ('disputed', 'lost'), ('lost', 'won'))
        ELSE false END
$$;

-- What ledger.transaction_changed does for transactions of purchases.
CREATE FUNCTION ledger.purchase_changed(was ledger.transactions, t ledger.transactions) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    actor text := ledger.actor();
    request text := nullif(current_setting('app.request_id', true), '');
    money boolean := t.kind IN ('topup', 'card_refund', 'dispute');
BEGIN
    IF was.id IS NULL THEN
        IF money <> (t.amount_cents IS NOT NULL) OR money <> (t.currency IS NOT NULL) OR t.amount_cents <= 0 OR t.currency !~ '^[A-Z]{3}$'
            OR num_nonnulls(t.execution_id, t.mandate_id, t.agent_id, t.stripe_pi) > 0 OR (t.kind = 'topup') <> (t.parent_id IS NULL)
            OR (t.kind IN ('clawback', 'restore')) <> (t.source_grant_id IS NOT NULL) THEN
            RAISE EXCEPTION 'transaction %: its columns do not fit its kind', t.id USING ERRCODE = 'check_violation', CONSTRAINT = 'transactions_kind_check';
        END IF;
        IF t.refunded <> 0 OR t.settled <> (CASE WHEN money THEN 0 ELSE t.credits END)
            OR t.status <> (CASE t.kind WHEN 'topup' THEN 'created' WHEN 'card_refund' THEN 'processing' WHEN 'dispute' THEN 'disputed' ELSE 'succeeded' END) THEN
            RAISE EXCEPTION 'transaction %: a % cannot begin as %', t.id, t.kind, t.status USING ERRCODE = 'LL005';
        END IF;
        IF NOT EXISTS (SELECT FROM ledger.wallets WHERE user_id = t.user_id) THEN
            RAISE EXCEPTION 'transaction %: no such user', t.id USING ERRCODE = 'LL002';
        END IF;
        INSERT INTO ledger.audit_logs (entity, entity_id, field, new_value, changed_by, request_id)
        VALUES ('transactions', t.id, '*', to_jsonb(t) - ARRAY['metadata', 'receipt', 'updated_at', 'row_version'], actor, request);
        IF t.kind <> 'topup' THEN
            PERFORM ledger.purchase_followed(t);
        END IF;
    ELSE
        IF (t.id, t.user_id, t.kind, t.credits, t.amount_cents, t.currency, t.agent_id, t.agent_version, t.mandate_id, t.mandate_version, t.execution_id, t.parent_id, t.source_grant_id, t.metadata, t.receipt, t.created_at)
            IS DISTINCT FROM (was.id, was.user_id, was.kind, was.credits, was.amount_cents, was.currency, was.agent_id, was.agent_version, was.mandate_id, was.mandate_version, was.execution_id, was.parent_id, was.source_grant_id, was.metadata, was.receipt, was.created_at)
            OR t.stripe_pi IS DISTINCT FROM was.stripe_pi AND (t.kind <> 'topup' OR was.stripe_pi IS NOT NULL) OR t.row_version <> was.row_version + 1 THEN
            RAISE EXCEPTION 'transaction %: what it is about never changes', t.id USING ERRCODE = 'LL004';
        END IF;
        IF t.status <> was.status AND NOT ledger.may_become(t.kind, was.status, t.status) THEN
            RAISE EXCEPTION 'transaction %: % does not become %', t.id, was.status, t.status USING ERRCODE = 'LL005';
        END IF;
        IF pg_trigger_depth() < 2 AND (t.refunded <> was.refunded OR NOT money) THEN
            RAISE EXCEPTION 'transaction %: it follows what is taken back of it', t.id USING ERRCODE = 'LL005';
        END IF;
        IF money AND t.settled <> (CASE WHEN t.kind = 'topup' AND t.status IN ('succeeded', 'partially_refunded', 'refunded', 'disputed') THEN t.credits ELSE 0 END) THEN
            RAISE EXCEPTION 'transaction %: a % that is % does not settle %', t.id, t.kind, t.status, t.settled USING ERRCODE = 'LL005';
        END IF;
        INSERT INTO ledger.audit_logs (entity, entity_id, field, old_value, new_value, changed_by, request_id)
        SELECT 'transactions', t.id, c.field, c.old_value, c.new_value, actor, request
        FROM (VALUES ('status', to_jsonb(was.status), to_jsonb(t.status)), ('settled', to_jsonb(was.settled), to_jsonb(t.settled)),
            ('refunded', to_jsonb(was.refunded), to_jsonb(t.refunded)), ('reason', to_jsonb(was.reason), to_jsonb(t.reason)), ('stripe_pi', to_jsonb(was.stripe_pi), to_jsonb(t.stripe_pi))
        ) AS c (field, old_value, new_value) WHERE c.old_value IS DISTINCT FROM c.new_value;
        IF t.kind = 'topup' AND t.settled > was.settled THEN
            PERFORM ledger.topup_succeeded(t);
        END IF;
    END IF;
    INSERT INTO ledger.outbox (topic, key, payload) VALUES ('transaction.' || t.status, t.id,
        jsonb_build_object('kind', t.kind, 'userId', t.user_id, 'credits', t.credits, 'settled', t.settled, 'refunded', t.refunded));
END $$;

-- Grants what was bought, and the bonus apart from it. Promotional credits are spent first.
CREATE FUNCTION ledger.topup_succeeded(t ledger.transactions) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    terms record;
    gift uuid := ledger.new_id();
BEGIN
    SELECT p.bonus, p.valid_seconds, p.bonus_valid_seconds INTO terms FROM ledger.payments p WHERE p.transaction_id = t.id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'transaction %: it has no payment', t.id USING ERRCODE = 'LL002';
    END IF;
    INSERT INTO ledger.credit_grants (id, user_id, transaction_id, category, amount, remaining, expires_at, created_at)
    VALUES (ledger.new_id(), t.user_id, t.id, 'paid', t.credits, t.credits, t.updated_at + make_interval(secs => terms.valid_seconds), t.updated_at);
    IF terms.bonus > 0 THEN
        INSERT INTO ledger.transactions (id, user_id, kind, status, credits, settled, parent_id, created_at, updated_at)
        VALUES (gift, t.user_id, 'bonus', 'succeeded', terms.bonus, terms.bonus, t.id, t.updated_at, t.updated_at);
        UPDATE ledger.payments SET bonus_id = gift WHERE transaction_id = t.id;
        INSERT INTO ledger.credit_grants (id, user_id, transaction_id, category, amount, remaining, priority, expires_at, created_at)
        VALUES (ledger.new_id(), t.user_id, gift, 'promo', terms.bonus, terms.bonus, 50, t.updated_at + make_interval(secs => terms.bonus_valid_seconds), t.updated_at);
    END IF;
END $$;

-- Everything that follows from a transaction of a top-up.
CREATE FUNCTION ledger.purchase_followed(t ledger.transactions) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    taken bigint := CASE t.kind WHEN 'clawback' THEN t.credits WHEN 'restore' THEN -t.credits ELSE 0 END;
BEGIN
    IF t.kind IN ('bonus', 'card_refund', 'dispute') THEN
        IF NOT EXISTS (SELECT FROM ledger.transactions p WHERE p.id = t.parent_id AND p.user_id = t.user_id AND p.kind = 'topup' AND p.settled > 0
            AND (t.kind = 'bonus' OR p.currency = t.currency AND t.amount_cents <= p.amount_cents)) THEN
            RAISE EXCEPTION 'transaction %: no top-up of so much has succeeded', t.id USING ERRCODE = 'LL002';
        END IF;
        RETURN;
    END IF;
    IF NOT EXISTS (SELECT FROM ledger.credit_grants g JOIN ledger.transactions o ON o.id = g.transaction_id
        WHERE g.id = t.source_grant_id AND g.user_id = t.user_id AND (o.id = t.parent_id OR o.kind = 'restore' AND o.parent_id = t.parent_id)) THEN
        RAISE EXCEPTION 'transaction %: no such grant', t.id USING ERRCODE = 'LL002';
    END IF;
    UPDATE ledger.transactions p SET refunded = p.refunded + taken, row_version = p.row_version + 1, updated_at = clock_timestamp(),
        status = CASE WHEN p.kind = 'topup' THEN p.status WHEN p.refunded + taken = 0 THEN 'succeeded' WHEN p.refunded + taken = p.settled THEN 'refunded' ELSE 'partially_refunded' END
    WHERE p.id = t.parent_id AND p.user_id = t.user_id AND p.kind IN ('topup', 'bonus');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'transaction %: no such top-up or bonus', t.id USING ERRCODE = 'LL002';
    END IF;
    IF t.kind = 'clawback' THEN
        PERFORM ledger.debit(t.user_id, t.id, t.credits, 'platform', NULL, 'clawed_back', t.source_grant_id);
        RETURN;
    END IF;
    INSERT INTO ledger.credit_grants (id, user_id, transaction_id, category, amount, remaining, priority, expires_at, created_at)
    -- What has expired meanwhile expires at once.
    SELECT ledger.new_id(), t.user_id, t.id, g.category, t.credits, t.credits, g.priority, greatest(g.expires_at, t.created_at + interval '1 microsecond'), t.created_at
    FROM ledger.credit_grants g WHERE g.id = t.source_grant_id;
END $$;

CREATE FUNCTION ledger.payment_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NOT EXISTS (SELECT FROM ledger.transactions t WHERE t.id = NEW.transaction_id AND t.kind IN ('topup', 'card_refund', 'dispute') AND t.parent_id IS NOT DISTINCT FROM NEW.parent_id) THEN
            RAISE EXCEPTION 'payment %: its transaction is about no money', NEW.transaction_id USING ERRCODE = 'LL002';
        END IF;
        RETURN NULL;
    END IF;
    IF (NEW.transaction_id, NEW.parent_id, NEW.package, NEW.bonus, NEW.valid_seconds, NEW.bonus_valid_seconds, NEW.request, NEW.created_at)
        IS DISTINCT FROM (OLD.transaction_id, OLD.parent_id, OLD.package, OLD.bonus, OLD.valid_seconds, OLD.bonus_valid_seconds, OLD.request, OLD.created_at)
        OR OLD.stripe_id IS NOT NULL AND NEW.stripe_id IS DISTINCT FROM OLD.stripe_id OR OLD.bonus_id IS NOT NULL AND NEW.bonus_id IS DISTINCT FROM OLD.bonus_id OR NEW.checks < OLD.checks THEN
        RAISE EXCEPTION 'payment %: what was asked for never changes', OLD.transaction_id USING ERRCODE = 'LL004';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER follow AFTER INSERT OR UPDATE ON ledger.payments FOR EACH ROW EXECUTE FUNCTION ledger.payment_changed();
CREATE TRIGGER no_delete BEFORE DELETE ON ledger.payments FOR EACH ROW EXECUTE FUNCTION ledger.deny_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON ledger.payments FOR EACH STATEMENT EXECUTE FUNCTION ledger.deny_change();
