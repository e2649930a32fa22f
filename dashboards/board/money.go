package board

// Money is credits, transactions and mandates: what the ledger knows.
func Money() Dashboard {
	b := newBoard("money", "Credits, transactions and mandates", "What users have, what is on hold, what was charged and refused, and what their mandates still permit.", postgres, clickHouse)
	b.choice(postgres, "user", "User", "The 200 users who spent most in the last 30 days; others can be typed", `
SELECT w.user_id::text AS "__value", coalesce(nullif(u.display_name, ''), u.email) AS "__text" FROM ledger.wallets w JOIN ledger.users u ON u.id = w.user_id
ORDER BY (SELECT coalesce(sum(s.captured), 0) FROM ledger.spending_hours s WHERE s.user_id = w.user_id AND s.hour > now() - interval '30 days') DESC, w.user_id LIMIT 200`)
	of := func(column string) string { return chosen("user", column+"::text") }
	inTime := "$__timeFilter(t.created_at)"

	b.heading("Now")
	b.stat("Credits", "What these users have, holds included.", postgres, `SELECT sum(posted) / 1e6 AS "credits" FROM ledger.wallets WHERE `+of("user_id"), unit("short"), decimals(1))
	b.stat("On hold", "Kept back for runs that are under way.", postgres, `SELECT sum(held) / 1e6 AS "credits" FROM ledger.wallets WHERE `+of("user_id"), unit("short"), decimals(1))
	b.stat("Active holds", "Runs that are authorized and not settled.", postgres, `SELECT count(*) AS "holds" FROM ledger.holds h WHERE h.status = 'active' AND `+of("h.user_id"), unit("short"))
	b.stat("Overdue holds", "Active holds past their end. The job that lets them expire should take them within seconds.", postgres, `SELECT count(*) AS "holds" FROM ledger.holds h WHERE h.status = 'active' AND h.expires_at < now() - interval '1 minute' AND `+of("h.user_id"), unit("short"), colors("green", 1., "red"))
	b.stat("Approvals pending", "Runs that wait for somebody to allow them.", postgres, `SELECT count(*) AS "approvals" FROM ledger.approvals a WHERE a.status = 'pending' AND `+of("a.user_id"), unit("short"), colors("green", 1., "orange"))
	b.stat("Differences open", "Runs whose charge and telemetry do not agree, and that nobody has corrected or waived.", postgres, `SELECT count(*) AS "runs" FROM ledger.reconciliation WHERE state IN ('drift', 'missing_in_ledger', 'missing_in_telemetry')`, unit("short"), colors("green", 1., "red"))

	b.heading("In this time range")
	b.stat("Captured", "What runs cost that were settled.", postgres, `SELECT coalesce(sum(h.captured), 0) / 1e6 AS "credits" FROM ledger.holds h WHERE $__timeFilter(h.resolved_at) AND h.status = 'captured' AND `+of("h.user_id"), unit("short"), decimals(1))
	b.stat("Granted", "Credits given: paid for, promised, or out of goodwill.", postgres, `SELECT coalesce(sum(g.amount), 0) / 1e6 AS "credits" FROM ledger.credit_grants g WHERE $__timeFilter(g.created_at) AND `+of("g.user_id"), unit("short"), decimals(1))
	b.stat("Given back", "Refunds of runs.", postgres, `SELECT coalesce(sum(t.settled), 0) / 1e6 AS "credits" FROM ledger.transactions t WHERE `+inTime+` AND t.kind = 'refund' AND `+of("t.user_id"), unit("short"), decimals(1))
	b.stat("Holds that expired", "Share of the holds that ended in the time range and that nobody settled.", postgres, `SELECT count(*) FILTER (WHERE h.status = 'expired')::float8 / nullif(count(*), 0) AS "expired" FROM ledger.holds h WHERE $__timeFilter(h.resolved_at) AND `+of("h.user_id"), unit("percentunit"), decimals(1), colors("green", 0.02, "orange", 0.1, "red"))
	b.stat("Top-ups", "Money that came in, by currency, of top-ups that succeeded.", postgres, `SELECT coalesce(sum(t.amount_cents), 0) / 100.0 AS "paid" FROM ledger.transactions t WHERE `+inTime+` AND t.kind = 'topup' AND t.status NOT IN ('created', 'processing', 'failed', 'canceled') AND `+of("t.user_id"), unit("short"), decimals(2))
	b.stat("Users who spent", "Users with a captured run.", postgres, `SELECT count(DISTINCT h.user_id) AS "users" FROM ledger.holds h WHERE $__timeFilter(h.resolved_at) AND h.status = 'captured' AND `+of("h.user_id"), unit("short"))

	b.heading("Over time")
	b.series("Credits captured and given", "What was charged, and what was granted, in each step of time.", postgres, `
SELECT $__timeGroupAlias(e.created_at, $__interval), CASE WHEN t.kind = 'execution' THEN 'captured' WHEN t.kind IN ('grant', 'topup', 'bonus') THEN 'granted' ELSE t.kind END AS metric, sum(abs(e.amount)) / 1e6 AS "value"
FROM ledger.entries e JOIN ledger.transactions t ON t.id = e.transaction_id JOIN ledger.wallets w ON w.account_id = e.account_id
WHERE $__timeFilter(e.created_at) AND `+of("t.user_id")+` GROUP BY 1, 2 ORDER BY 1`, unit("short"), every("1m"), stacked)
	b.series("Holds by how they ended", "captured: the run was charged; released: it was not; expired: nobody settled it, which is a runner that died or cannot reach the ledger.", postgres, `
SELECT $__timeGroupAlias(h.resolved_at, $__interval), h.status AS metric, count(*) AS "value"
FROM ledger.holds h WHERE $__timeFilter(h.resolved_at) AND `+of("h.user_id")+` GROUP BY 1, 2 ORDER BY 1`, unit("short"), every("1m"), stacked, column("captured", colored("green")), column("released", colored("blue")), column("expired", colored("red")))

	b.heading("Transactions")
	b.table("Transactions", "The latest of the time range. Click the run to see all of it.", postgres, `
SELECT t.created_at AS "when", t.kind, t.status, t.credits / 1e6 AS "asked for", t.settled / 1e6 AS "settled", t.refunded / 1e6 AS "refunded", coalesce(nullif(u.display_name, ''), u.email) AS "user", a.slug AS "agent", t.execution_id AS "run", m.name AS "mandate", t.receipt ->> 'rule' AS "decided by", t.amount_cents / 100.0 AS "paid", t.currency, t.reason, t.id AS "transaction"
FROM ledger.transactions t JOIN ledger.users u ON u.id = t.user_id LEFT JOIN ledger.agents a ON a.id = t.agent_id LEFT JOIN ledger.mandates m ON m.id = t.mandate_id
WHERE `+inTime+" AND "+of("t.user_id")+` ORDER BY t.id DESC LIMIT 200`, column("run", to("Open the run", address("execution", "execution", "${__value.raw:percentencode}"))), column("agent", to("Open the agent", address("agent", "agent", "${__value.raw:percentencode}"))), column("asked for", inDecimals(3)), column("settled", inDecimals(3)))
	b.table("Users", "What they have, what is on hold, and what they spent in the time range.", postgres, `
SELECT coalesce(nullif(u.display_name, ''), u.email) AS "user", w.posted / 1e6 AS "credits", w.held / 1e6 AS "on hold", (w.posted - w.held) / 1e6 AS "available", s.captured / 1e6 AS "spent", s.executions AS "runs", w.next_expiry AS "next to expire", u.id::text AS "id"
FROM ledger.wallets w JOIN ledger.users u ON u.id = w.user_id LEFT JOIN (SELECT user_id, sum(captured) AS captured, sum(executions) AS executions FROM ledger.spending_hours WHERE $__timeFilter(hour) GROUP BY user_id) s ON s.user_id = w.user_id
WHERE `+of("w.user_id")+` ORDER BY s.captured DESC NULLS LAST, w.posted DESC LIMIT 200`, size(12, 9), column("user", to("Open the user", address("users", "user", `${__data.fields["id"]:percentencode}`))), column("spent", bar()), column("id", hidden()))
	b.table("Agents", "What agents earned in the time range.", postgres, `
SELECT a.slug AS "agent", a.category, count(*) AS "runs", sum(h.captured) / 1e6 AS "earned", avg(h.captured) / 1e6 AS "of a run", count(DISTINCT h.user_id) AS "users"
FROM ledger.holds h JOIN ledger.agents a ON a.id = h.agent_id WHERE $__timeFilter(h.resolved_at) AND h.status = 'captured' AND `+of("h.user_id")+` GROUP BY 1, 2 ORDER BY 4 DESC LIMIT 100`, size(12, 9),
		column("agent", to("Open the agent", address("agent", "agent", "${__value.raw:percentencode}"))), column("earned", bar()), column("of a run", inDecimals(4)))
	b.table("Grants", "Credits that were given and are left, those that end first before others.", postgres, `
SELECT coalesce(nullif(u.display_name, ''), u.email) AS "user", g.category, g.amount / 1e6 AS "given", g.remaining / 1e6 AS "left", g.priority, g.expires_at AS "expires", g.created_at AS "since"
FROM ledger.credit_grants g JOIN ledger.users u ON u.id = g.user_id WHERE g.open AND `+of("g.user_id")+` ORDER BY g.expires_at NULLS LAST, g.created_at DESC LIMIT 100`, size(12, 9), empty("no credits are left"))
	b.table("Active holds", "Runs under way that are to be paid for, those that end first before others.", postgres, `
SELECT h.expires_at AS "ends", h.authorized_at AS "authorized", h.amount / 1e6 AS "held", coalesce(nullif(u.display_name, ''), u.email) AS "user", a.slug AS "agent", t.execution_id AS "run"
FROM ledger.holds h JOIN ledger.users u ON u.id = h.user_id JOIN ledger.agents a ON a.id = h.agent_id JOIN ledger.transactions t ON t.id = h.id WHERE h.status = 'active' AND `+of("h.user_id")+` ORDER BY h.expires_at LIMIT 100`,
		size(12, 9), empty("no paid run is under way"), column("run", to("Open the run", address("execution", "execution", "${__value.raw:percentencode}"))))

	b.heading("Mandates")
	b.table("Mandates", "What users permit, and how much of it is used: a run that would go beyond is refused. Those that are used up most come first.", postgres, `
SELECT coalesce(nullif(u.display_name, ''), u.email) AS "user", m.name AS "mandate", m.status, v.version, g.day_used / 1e6 AS "used today", (v.rules ->> 'maxPerDay')::numeric AS "of a day", g.month_used / 1e6 AS "this month", (v.rules ->> 'maxPerMonth')::numeric AS "of a month",
    g.total_used / 1e6 AS "in all", (v.rules ->> 'maxTotal')::numeric AS "of all", g.active AS "under way", g.last_at AS "last used", v.rules::text AS "rules"
FROM ledger.mandates m JOIN ledger.users u ON u.id = m.user_id JOIN LATERAL (SELECT version, rules FROM ledger.mandate_versions v WHERE v.mandate_id = m.id AND v.effective_at <= now() ORDER BY version DESC LIMIT 1) v ON true LEFT JOIN ledger.mandate_usage g ON g.mandate_id = m.id
WHERE `+of("m.user_id")+` ORDER BY m.status = 'active' DESC, g.day_used / nullif((v.rules ->> 'maxPerDay')::numeric * 1e6, 0) DESC NULLS LAST, g.total_used DESC NULLS LAST LIMIT 200`)
	b.series("Decisions", "Authorizations of paid runs, by the metrics of the ledger as telemetry keeps them: answers of POST /v1/authorizations by status. 201 is allowed, 202 waits for an approval, 402 and 403 are refused by credits or a mandate.", clickHouse, `
SELECT $__timeInterval(timestamp) AS time, toString(httpStatus) AS status, count() AS "Value" FROM ${database}.RequestLog
WHERE serviceName = 'agenttrail-ledger' AND route = '/v1/authorizations' AND $__timeFilter(timestamp) GROUP BY time, status ORDER BY time, status`, unit("short"), every("1m"), stacked)
	b.table("Comparison with telemetry", "The latest comparisons of charges with what telemetry says was used.", clickHouse, `
SELECT finishedAt AS "when", executions AS "runs", matched, drift, missingInLedger AS "not charged", missingInTelemetry AS "not told", adjusted, waived, toFloat64(captured) AS "captured", toFloat64(creditsConsumed) AS "used", duration
FROM ${database}.ReconciliationRun WHERE $__timeFilter(finishedAt) ORDER BY finishedAt DESC LIMIT 20`, size(12, 8), column("duration", inUnit("ms")))
	return b.d
}
