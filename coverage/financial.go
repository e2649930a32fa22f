package coverage

// made narrows a table whose ids are UUIDs of version 7 to what was made in the window: they begin with the time in
// milliseconds, so the primary key finds them. Ids that somebody else made may be greater, hence no upper bound.
func made(id, at string) string {
	return id + " >= (lpad(to_hex((extract(epoch FROM {since}) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid AND " + at + " >= {since} AND " + at + " < {until}"
}

const transactionsList = "t.id, t.kind, t.status, t.credits, t.settled, t.user_id, t.execution_id, t.created_at"

var financialChecks = []Check{
	{
		Name: "transactions_recorded", Category: FinancialTracking, Weight: presence, Target: 1, Database: Postgres,
		Requires: "There are transactions.", Of: "transactions",
		From: "(SELECT EXISTS (SELECT FROM ledger.transactions t WHERE " + made("t.id", "t.created_at") + ") AS found) AS t", Bad: "NOT t.found",
		Offenders: "SELECT count(*) AS rows, max(created_at) AS newest FROM ledger.transactions",
		Remedy:    "Authorize paid runs before they start and settle them after: docs/ledger.md, or PaidRun of sdk/ledgerclient. Without paid runs, leave the category out with --category.",
	},
	{
		Name: "transactions_have_trail", Category: FinancialTracking, Weight: 3, Target: 1, Database: Postgres,
		Requires: "Every transaction has its trail: in audit_logs how it began and its present status, and once credits have moved a posting; a run that was authorized has its hold.",
		Of:       "transactions", Lacks: "without a complete trail",
		From:  "ledger.transactions t",
		Where: made("t.id", "t.created_at"),
		Bad: `NOT EXISTS (SELECT FROM ledger.audit_logs a WHERE a.entity_id = t.id AND a.entity = 'transactions' AND a.field = '*')
        OR t.status IS DISTINCT FROM (SELECT CASE a.field WHEN '*' THEN a.new_value ->> 'status' ELSE a.new_value #>> '{}' END
            FROM ledger.audit_logs a WHERE a.entity_id = t.id AND a.entity = 'transactions' AND a.field IN ('*', 'status') ORDER BY a.id DESC LIMIT 1)
        OR t.settled > 0 AND NOT EXISTS (SELECT FROM ledger.journal j WHERE j.transaction_id = t.id)
        OR t.kind = 'execution' AND t.status IN ('authorized', 'succeeded', 'partially_refunded', 'refunded') AND NOT EXISTS (SELECT FROM ledger.holds h WHERE h.id = t.id)`,
		List: transactionsList, Order: "t.created_at DESC",
		Remedy: "Rows were written with the ledger's triggers off, or removed: run agenttrail verify, which also adds up the books, and compare with a backup.",
	},
	{
		Name: "postings_balance", Category: FinancialTracking, Weight: 2, Target: 1, Database: Postgres,
		Requires: "Every posting has all its legs, and they sum to zero.",
		Of:       "postings", Lacks: "that do not balance",
		From:  "ledger.journal j LEFT JOIN LATERAL (SELECT count(*) AS legs, coalesce(sum(e.amount), 0) AS amount FROM ledger.entries e WHERE e.transaction_id = j.transaction_id) e ON true",
		Where: made("j.transaction_id", "j.posted_at"), Bad: "e.legs <> j.legs OR e.amount <> 0",
		List: "j.transaction_id, j.legs, e.legs AS found, e.amount, j.posted_at", Order: "j.posted_at DESC",
		Remedy: "Entries were changed or removed with the ledger's triggers off: run agenttrail verify and compare with a backup.",
	},
	{
		Name: "holds_settled", Category: FinancialTracking, Weight: 1, Target: 1, Database: Postgres, Settle: inTransit,
		Requires: "Every hold whose end has come is settled: captured, released or expired.",
		Of:       "holds", Lacks: "that are past their end and still active",
		From: "ledger.holds h", Where: made("h.id", "h.authorized_at"), Bad: "h.status = 'active' AND h.expires_at < {settled}",
		List: "h.id, h.user_id, h.agent_id, h.amount, h.authorized_at, h.expires_at", Order: "h.expires_at",
		Remedy: "The ledger's job expire does not run: look at agenttrail_ledger_holds_due_oldest_seconds and the ledger's log.",
	},
	{
		Name: "charges_agree", Category: FinancialTracking, Weight: 3, Target: 0.999, Database: Postgres,
		Requires: "What each run was charged is what telemetry says it used, as of the last comparison.",
		Of:       "runs compared", Lacks: "whose charge and telemetry differ",
		Count: `SELECT coalesce(max(r.executions), 0) AS total, coalesce(max(r.drift + r.missing_in_ledger + r.missing_in_telemetry), 0) AS offenders
FROM (SELECT * FROM ledger.reconciliation_runs WHERE finished_at >= {since} AND finished_at < {until} ORDER BY id DESC LIMIT 1) AS r`,
		Offenders: "SELECT execution_id, state, captured, adjusted, consumed, drift, agent, user_id, first_seen\nFROM ledger.reconciliation\nWHERE resolved_at IS NULL\nORDER BY changed_at DESC\nLIMIT 100",
		Remedy:    "docs/reconciliation.md: agenttrail reconcile lists each; correct it with an adjustment, or waive it.",
	},
	{
		Name: "purchases_have_receipt", Category: FinancialTracking, Weight: 1, Target: 1, Database: Postgres,
		Requires: "Every purchase that was paid has Stripe's payment and its receipt.",
		Of:       "paid purchases", Lacks: "without a payment or a receipt",
		From: "ledger.transactions t LEFT JOIN ledger.payments p ON p.transaction_id = t.id", Where: made("t.id", "t.created_at") + " AND t.kind = 'topup' AND t.settled > 0",
		Bad: "t.stripe_pi IS NULL OR p.receipt IS NULL", List: "t.id, t.status, t.amount_cents, t.currency, t.stripe_pi, t.created_at", Order: "t.created_at DESC",
		Remedy: "Compare with Stripe's list of payments; the job stripe_payments fills in receipts once Stripe answers. docs/payments.md.",
	},
	{
		Name: "model_calls_have_cost", Category: FinancialTracking, Weight: 2, Target: 0.95, Database: ClickHouse,
		Requires: "Every call of a model that tells tokens has a cost.",
		Of:       "model calls with tokens", Lacks: "without a cost",
		From: "{db}.Span", Where: runsWhere + " AND operation IN ('inference', 'embedding') AND inputTokens + outputTokens > 0", Bad: "cost IS NULL",
		List: "provider, model, count() OVER (PARTITION BY provider, model) AS calls, traceId, spanId, startedAt", Order: "calls DESC, startedAt DESC",
		Remedy: "The list of prices does not know the model: add it (docs/prices.md) and run agenttrail reprice, or let the emitter send agenttrail.cost_usd.",
	},
}
