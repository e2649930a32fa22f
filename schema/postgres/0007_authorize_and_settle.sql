-- +goose Up
-- Why: a run is authorized by one statement and settled by one, so the row that all runs of a user share is locked for as
-- short as can be.
-- Locks: none.

-- +goose StatementBegin

-- The credits that have expired or were voided and that no hold stands for. Holds stand for the credits that would be used
-- next.
CREATE FUNCTION ledger.due_credits(p_user uuid, p_now timestamptz) RETURNS TABLE (grant_id uuid, amount bigint, voided boolean) LANGUAGE sql STABLE AS $$
    SELECT g.id, g.remaining - g.covered, g.voided_at IS NOT NULL
    FROM (SELECT c.*, least(c.remaining, greatest(0, w.held - sum(c.remaining) OVER burn + c.remaining))::bigint AS covered
        FROM ledger.credit_grants c JOIN ledger.wallets w ON w.user_id = c.user_id
        WHERE c.user_id = p_user AND c.open
        WINDOW burn AS (ORDER BY c.priority, c.expires_at, c.created_at, c.id)) g
    WHERE (g.expires_at <= p_now OR g.voided_at IS NOT NULL) AND g.remaining > g.covered
$$;

-- Takes credits away that are due. The caller has locked the wallet, and set app.reason for those that were voided.
CREATE FUNCTION ledger.sweep(p_user uuid, p_now timestamptz) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    due record;
    actor text := current_setting('app.actor', true);
    taken int := 0;
BEGIN
    FOR due IN SELECT * FROM ledger.due_credits(p_user, p_now) LOOP
        PERFORM set_config('app.actor', CASE WHEN due.voided THEN coalesce(nullif(actor, ''), 'system:expiry') ELSE 'system:expiry' END, true);
        INSERT INTO ledger.transactions (id, user_id, kind, status, credits, settled, source_grant_id, reason, created_at, updated_at)
        VALUES (ledger.new_id(), p_user, CASE WHEN due.voided THEN 'void' ELSE 'expiry' END, 'succeeded', due.amount, due.amount, due.grant_id,
            CASE WHEN due.voided THEN coalesce(current_setting('app.reason', true), '') ELSE '' END, p_now, p_now);
        taken := taken + 1;
    END LOOP;
    PERFORM set_config('app.actor', coalesce(actor, ''), true);
    UPDATE ledger.wallets w SET next_expiry = (SELECT min(CASE WHEN g.voided_at IS NOT NULL THEN '-infinity' ELSE g.expires_at END)
        FROM ledger.credit_grants g WHERE g.user_id = p_user AND g.open)
    WHERE w.user_id = p_user;
    RETURN taken;
END $$;

-- What counts against a mandate in the windows that begin at these moments.
CREATE FUNCTION ledger.usage_at(p_mandate uuid, p_tz text, p_day timestamptz, p_week timestamptz, p_month timestamptz) RETURNS ledger.mandate_usage LANGUAGE plpgsql STABLE AS $$
DECLARE
    u ledger.mandate_usage;
BEGIN
    SELECT * INTO u FROM ledger.mandate_usage WHERE mandate_id = p_mandate;
    IF u.tz <> p_tz OR u.day_start <> p_day THEN
        SELECT coalesce(sum(CASE status WHEN 'active' THEN amount ELSE captured END), 0), count(*) INTO u.day_used, u.day_count
        FROM ledger.holds WHERE mandate_id = p_mandate AND authorized_at >= p_day AND status IN ('active', 'captured');
    END IF;
    IF u.tz <> p_tz OR u.week_start <> p_week THEN
        SELECT coalesce(sum(CASE status WHEN 'active' THEN amount ELSE captured END), 0) INTO u.week_used
        FROM ledger.holds WHERE mandate_id = p_mandate AND authorized_at >= p_week AND status IN ('active', 'captured');
    END IF;
    IF u.tz <> p_tz OR u.month_start <> p_month THEN
        SELECT coalesce(sum(CASE status WHEN 'active' THEN amount ELSE captured END), 0) INTO u.month_used
        FROM ledger.holds WHERE mandate_id = p_mandate AND authorized_at >= p_month AND status IN ('active', 'captured');
    END IF;
    u.tz := p_tz;
    u.day_start := p_day;
    u.week_start := p_week;
    u.month_start := p_month;
    RETURN u;
END $$;

-- Moves a mandate's usage to other windows. The caller has locked the wallet of the mandate's user.
CREATE FUNCTION ledger.roll_usage(p_mandate uuid, p_tz text, p_day timestamptz, p_week timestamptz, p_month timestamptz) RETURNS ledger.mandate_usage LANGUAGE plpgsql AS $$
DECLARE
    u ledger.mandate_usage := ledger.usage_at(p_mandate, p_tz, p_day, p_week, p_month);
BEGIN
    UPDATE ledger.mandate_usage SET tz = u.tz, day_start = u.day_start, week_start = u.week_start, month_start = u.month_start,
        day_used = u.day_used, day_count = u.day_count, week_used = u.week_used, month_used = u.month_used
    WHERE mandate_id = p_mandate;
    RETURN u;
END $$;

-- Authorizes a run that the rules of its mandate permit as far as they can be judged without what was spent: by these rows
-- of mandate and agent, from p_from until before p_until. p_caps are the limits per execution, day, week, month and in
-- total, of the count of the day, of those under way, and of the count in total; null does not limit. p_now is for tests.
-- Outcomes: ok; refused, by a limit or the credits; stale, the rows or the time are others; replay and reused, the
-- idempotency key came before, with the same or another request; missing, there is no such user; closed.
CREATE FUNCTION ledger.authorize(
    p_actor text, p_request text, p_principal text, p_key text, p_fingerprint bytea,
    p_id uuid, p_user uuid, p_mandate uuid, p_mandate_row int, p_mandate_version int, p_agent uuid, p_agent_row int, p_agent_version int,
    p_amount bigint, p_execution text, p_hold_seconds bigint, p_metadata jsonb,
    p_from timestamptz, p_until timestamptz, p_tz text, p_day timestamptz, p_week timestamptz, p_month timestamptz,
    p_caps bigint[], p_now timestamptz,
    OUT outcome text, OUT at timestamptz, OUT rule text, OUT available bigint, OUT day_used bigint, OUT week_used bigint, OUT month_used bigint,
    OUT total_used bigint, OUT day_count bigint, OUT total_count bigint, OUT active bigint, OUT resource uuid, OUT code text, OUT response jsonb
) LANGUAGE plpgsql AS $$
DECLARE
    w record;
    r record;
    u ledger.mandate_usage;
    room bigint;
BEGIN
    outcome := set_config('app.actor', p_actor, true);
    outcome := set_config('app.request_id', p_request, true);
    SELECT posted, held, closed, next_expiry INTO w FROM ledger.wallets WHERE user_id = p_user FOR UPDATE;
    IF NOT FOUND THEN
        outcome := 'missing';
        RETURN;
    END IF;
    SELECT mu.mandate_row, a.row_version AS agent_row, a.version AS agent_version, k.fingerprint, k.resource, k.code, k.response,
        mu.tz, mu.last_at, mu.day_start, mu.week_start, mu.month_start,
        mu.day_used, mu.week_used, mu.month_used, mu.total_used, mu.day_count, mu.total_count, mu.active
    INTO r
    FROM ledger.mandate_usage mu CROSS JOIN ledger.agents a
        LEFT JOIN ledger.idempotency_keys k ON k.principal = p_principal AND k.key = p_key
    WHERE mu.mandate_id = p_mandate AND mu.user_id = p_user AND a.id = p_agent;
    IF r.fingerprint IS NOT NULL THEN
        outcome := CASE WHEN r.fingerprint = p_fingerprint THEN 'replay' ELSE 'reused' END;
        resource := r.resource;
        code := r.code;
        response := r.response;
        RETURN;
    END IF;
    at := greatest(coalesce(p_now, clock_timestamp()), r.last_at);
    -- A row of the same count has the same versions.
    IF r.mandate_row IS DISTINCT FROM p_mandate_row OR r.agent_row IS DISTINCT FROM p_agent_row OR r.agent_version <> p_agent_version OR at < p_from OR at >= p_until THEN
        outcome := 'stale';
        RETURN;
    END IF;
    IF w.closed THEN
        outcome := 'closed';
        RETURN;
    END IF;
    IF w.next_expiry <= at THEN
        PERFORM ledger.sweep(p_user, at);
        SELECT posted, held INTO w.posted, w.held FROM ledger.wallets WHERE user_id = p_user;
    END IF;
    IF r.day_start <> p_day OR r.week_start <> p_week OR r.month_start <> p_month OR r.tz <> p_tz THEN
        u := ledger.roll_usage(p_mandate, p_tz, p_day, p_week, p_month);
        r.day_used := u.day_used;
        r.day_count := u.day_count;
        r.week_used := u.week_used;
        r.month_used := u.month_used;
    END IF;
    available := w.posted - w.held;
    day_used := r.day_used;
    week_used := r.week_used;
    month_used := r.month_used;
    total_used := r.total_used;
    day_count := r.day_count;
    total_count := r.total_count;
    active := r.active;

    -- Of several limits that leave the same room, the first decides.
    room := available;
    rule := 'credits';
    IF p_caps[1] < room THEN
        room := p_caps[1];
        rule := 'maxPerExecution';
    END IF;
    IF p_caps[2] - day_used < room THEN
        room := p_caps[2] - day_used;
        rule := 'maxPerDay';
    END IF;
    IF p_caps[3] - week_used < room THEN
        room := p_caps[3] - week_used;
        rule := 'maxPerWeek';
    END IF;
    IF p_caps[4] - month_used < room THEN
        room := p_caps[4] - month_used;
        rule := 'maxPerMonth';
    END IF;
    IF p_caps[5] - total_used < room THEN
        room := p_caps[5] - total_used;
        rule := 'maxTotal';
    END IF;
    IF room < p_amount OR day_count >= p_caps[6] OR active >= p_caps[7] OR total_count >= p_caps[8] THEN
        outcome := 'refused';
        RETURN;
    END IF;

    outcome := set_config('app.checked', p_id::text, true);
    WITH key AS (INSERT INTO ledger.idempotency_keys (principal, key, fingerprint, resource) SELECT p_principal, p_key, p_fingerprint, p_id WHERE p_key <> ''),
    run AS (INSERT INTO ledger.transactions (id, user_id, kind, status, credits, agent_id, agent_version, mandate_id, mandate_version, execution_id, metadata, created_at, updated_at, receipt)
        VALUES (p_id, p_user, 'execution', 'authorized', p_amount, p_agent, p_agent_version, p_mandate, p_mandate_version, p_execution, p_metadata, at, at,
            jsonb_build_object('outcome', 'allowed', 'rule', rule, 'available', available, 'day', day_used, 'week', week_used, 'month', month_used,
                'total', total_used, 'dayCount', day_count, 'count', total_count, 'active', active, 'at', at)))
    INSERT INTO ledger.holds (id, user_id, agent_id, mandate_id, amount, authorized_at, expires_at)
    VALUES (p_id, p_user, p_agent, p_mandate, p_amount, at, at + make_interval(secs => p_hold_seconds));
    response := p_metadata;
    outcome := 'ok';
END $$;

-- Settles a hold: p_action is capture, of p_amount or of all if that is null, release or expire. p_owner is the user that
-- the actor acts for, null for the platform. Outcomes: ok; refused, code says why, and the answer is remembered; early, the
-- hold is not due to expire; replay, reused and missing as for authorize.
CREATE FUNCTION ledger.settle(
    p_actor text, p_request text, p_principal text, p_key text, p_fingerprint bytea, p_hold uuid, p_owner uuid, p_action text, p_amount bigint, p_now timestamptz,
    OUT outcome text, OUT code text, OUT resource uuid, OUT response jsonb, OUT hold ledger.holds, OUT run ledger.transactions
) LANGUAGE plpgsql AS $$
DECLARE
    k record;
    at timestamptz;
BEGIN
    outcome := set_config('app.actor', p_actor, true);
    outcome := set_config('app.request_id', p_request, true);
    SELECT * INTO hold FROM ledger.holds WHERE id = p_hold AND (p_owner IS NULL OR user_id = p_owner);
    PERFORM FROM ledger.wallets WHERE user_id = hold.user_id FOR UPDATE;
    -- Now that nobody else can change it.
    IF p_key <> '' THEN
        SELECT i.fingerprint, i.code, i.resource, i.response INTO k FROM ledger.idempotency_keys i WHERE i.principal = p_principal AND i.key = p_key;
        IF FOUND THEN
            outcome := CASE WHEN k.fingerprint = p_fingerprint THEN 'replay' ELSE 'reused' END;
            code := k.code;
            resource := k.resource;
            response := k.response;
            SELECT * INTO hold FROM ledger.holds WHERE id = p_hold;
            SELECT * INTO run FROM ledger.transactions WHERE id = p_hold;
            RETURN;
        END IF;
    END IF;
    IF hold.id IS NULL THEN
        outcome := 'missing';
        RETURN;
    END IF;
    SELECT * INTO hold FROM ledger.holds WHERE id = p_hold;
    at := greatest(coalesce(p_now, clock_timestamp()), hold.authorized_at);
    outcome := 'refused';
    IF hold.status <> 'active' THEN
        code := 'hold-' || hold.status;
    ELSIF p_action = 'expire' AND at < hold.expires_at THEN
        outcome := 'early';
        RETURN;
    ELSIF at >= hold.expires_at THEN
        UPDATE ledger.holds SET status = 'expired', resolved_at = at, row_version = row_version + 1 WHERE id = p_hold RETURNING * INTO hold;
        IF p_action = 'expire' THEN
            SELECT * INTO run FROM ledger.transactions WHERE id = p_hold;
            outcome := 'ok';
            RETURN;
        END IF;
        code := 'hold-expired';
    ELSIF p_action = 'capture' AND p_amount > hold.amount THEN
        code := 'capture-exceeds-hold';
    ELSE
        UPDATE ledger.holds SET status = CASE p_action WHEN 'capture' THEN 'captured' ELSE 'released' END, resolved_at = at, row_version = row_version + 1,
            captured = CASE p_action WHEN 'capture' THEN coalesce(p_amount, hold.amount) ELSE 0 END
        WHERE id = p_hold RETURNING * INTO hold;
        SELECT * INTO run FROM ledger.transactions WHERE id = p_hold;
        outcome := 'ok';
    END IF;
    IF p_key <> '' THEN
        INSERT INTO ledger.idempotency_keys (principal, key, fingerprint, resource, code) VALUES (p_principal, p_key, p_fingerprint, p_hold, code);
    END IF;
END $$;
-- +goose StatementEnd
