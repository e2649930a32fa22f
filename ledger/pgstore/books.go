package pgstore

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/agenttrail/agenttrail/ledger"
)

// books are what must hold between the tables at any moment. Each query gives what does not agree.
var books = []struct{ rule, query string }{
	{"entries of a transaction sum to zero", `SELECT e.transaction_id::text FROM ledger.entries e GROUP BY e.transaction_id HAVING sum(e.amount) <> 0 OR count(*) < 2`},
	{"a transaction is in the journal as often as its entries say", `SELECT coalesce(j.transaction_id, e.transaction_id)::text FROM ledger.journal j
		FULL JOIN (SELECT transaction_id, count(*) AS legs FROM ledger.entries GROUP BY 1) e ON e.transaction_id = j.transaction_id WHERE j.legs IS DISTINCT FROM e.legs`},
	{"what a transaction settled was posted", `SELECT t.id::text FROM ledger.transactions t
		LEFT JOIN (SELECT transaction_id, sum(amount) FILTER (WHERE amount > 0) AS moved FROM ledger.entries GROUP BY 1) e ON e.transaction_id = t.id WHERE t.settled <> coalesce(e.moved, 0)`},
	{"a wallet has what its entries say", `SELECT w.user_id::text FROM ledger.wallets w
		LEFT JOIN (SELECT account_id, sum(amount) AS amount FROM ledger.entries GROUP BY 1) e ON e.account_id = w.account_id WHERE w.posted <> coalesce(e.amount, 0)`},
	{"a wallet holds what its active holds say", `SELECT w.user_id::text FROM ledger.wallets w
		LEFT JOIN (SELECT user_id, sum(amount) AS amount FROM ledger.holds WHERE status = 'active' GROUP BY 1) h ON h.user_id = w.user_id WHERE w.held <> coalesce(h.amount, 0)`},
	{"a wallet has what is left of its grants", `SELECT w.user_id::text FROM ledger.wallets w
		LEFT JOIN (SELECT user_id, sum(remaining) AS amount FROM ledger.credit_grants GROUP BY 1) g ON g.user_id = w.user_id WHERE w.posted <> coalesce(g.amount, 0)`},
	{"a grant has what was not used of it", `SELECT g.id::text FROM ledger.credit_grants g
		LEFT JOIN (SELECT grant_id, sum(amount) AS amount FROM ledger.grant_uses GROUP BY 1) u ON u.grant_id = g.id WHERE g.remaining <> g.amount - coalesce(u.amount, 0)`},
	{"no wallet has less than nothing", `SELECT user_id::text FROM ledger.wallets WHERE held < 0 OR posted < held`},
	{"usage of a mandate is what its holds say", `SELECT u.mandate_id::text FROM ledger.mandate_usage u LEFT JOIN (
			SELECT h.mandate_id, count(*) FILTER (WHERE h.status = 'active') AS active, count(*) AS n, sum(h.counts) AS total,
				sum(h.counts) FILTER (WHERE h.authorized_at >= u.day_start) AS day, count(*) FILTER (WHERE h.authorized_at >= u.day_start) AS day_n,
				sum(h.counts) FILTER (WHERE h.authorized_at >= u.week_start) AS week, sum(h.counts) FILTER (WHERE h.authorized_at >= u.month_start) AS month
			FROM (SELECT *, CASE status WHEN 'active' THEN amount ELSE captured END AS counts FROM ledger.holds WHERE status IN ('active', 'captured')) h
				JOIN ledger.mandate_usage u ON u.mandate_id = h.mandate_id GROUP BY 1) h ON h.mandate_id = u.mandate_id
		WHERE (u.active, u.total_count, u.total_used, u.day_used, u.day_count, u.week_used, u.month_used)
			IS DISTINCT FROM (coalesce(h.active, 0), coalesce(h.n, 0), coalesce(h.total, 0), coalesce(h.day, 0), coalesce(h.day_n, 0), coalesce(h.week, 0), coalesce(h.month, 0))`},
	{"a run is as far as its hold", `SELECT t.id::text FROM ledger.transactions t LEFT JOIN ledger.holds h ON h.id = t.id WHERE t.kind = 'execution' AND CASE h.status
		WHEN 'active' THEN t.status = 'authorized' AND t.settled = 0 WHEN 'captured' THEN t.status IN ('succeeded', 'partially_refunded', 'refunded') AND t.settled = h.captured
		WHEN 'released' THEN t.status = 'canceled' WHEN 'expired' THEN t.status = 'expired'
		ELSE t.status IN ('requires_approval', 'canceled', 'expired', 'failed') END IS NOT TRUE`},
	{"a run was refunded what its refunds say", `SELECT t.id::text FROM ledger.transactions t
		LEFT JOIN (SELECT parent_id, sum(credits) AS credits FROM ledger.transactions WHERE kind = 'refund' GROUP BY 1) r ON r.parent_id = t.id WHERE t.kind NOT IN ('topup', 'bonus') AND t.refunded <> coalesce(r.credits, 0)`},
	{"of what was bought, as much was taken back as its transactions say", `SELECT t.id::text FROM ledger.transactions t
		LEFT JOIN (SELECT parent_id, sum(CASE kind WHEN 'clawback' THEN credits ELSE -credits END) AS credits FROM ledger.transactions WHERE kind IN ('clawback', 'restore') GROUP BY 1) r
		ON r.parent_id = t.id WHERE t.kind IN ('topup', 'bonus') AND t.refunded <> coalesce(r.credits, 0)`},
	{"a top-up gave its credits and its bonus once, if it was paid", `SELECT t.id::text FROM ledger.transactions t JOIN ledger.payments p ON p.transaction_id = t.id
		LEFT JOIN (SELECT transaction_id, sum(amount) AS amount, count(*) AS n FROM ledger.credit_grants GROUP BY 1) g ON g.transaction_id = t.id
		LEFT JOIN (SELECT parent_id, sum(credits) AS credits FROM ledger.transactions WHERE kind = 'bonus' GROUP BY 1) b ON b.parent_id = t.id
		WHERE t.kind = 'topup' AND (coalesce(g.n, 0), coalesce(g.amount, 0), coalesce(b.credits, 0))
			IS DISTINCT FROM CASE WHEN t.status IN ('succeeded', 'partially_refunded', 'refunded', 'disputed') THEN (1::bigint, t.credits::numeric, p.bonus::numeric) ELSE (0::bigint, 0::numeric, 0::numeric) END`},
	{"no more was taken back than money went back", `SELECT t.id::text FROM ledger.transactions t JOIN ledger.transactions top ON top.id = CASE t.kind WHEN 'bonus' THEN t.parent_id ELSE t.id END
		LEFT JOIN (SELECT parent_id, sum(amount_cents) AS cents FROM ledger.transactions WHERE (kind, status) IN (('card_refund', 'processing'), ('card_refund', 'succeeded'), ('dispute', 'disputed'), ('dispute', 'lost')) GROUP BY 1) m
		ON m.parent_id = top.id WHERE t.kind IN ('topup', 'bonus') AND t.refunded > floor(t.credits::numeric * least(top.amount_cents, coalesce(m.cents, 0)) / top.amount_cents)`},
	{"a run that waits has a pending approval", `SELECT t.id::text FROM ledger.transactions t LEFT JOIN ledger.approvals a ON a.transaction_id = t.id
		WHERE (t.status = 'requires_approval') IS DISTINCT FROM (a.status IS NOT DISTINCT FROM 'pending')`},
}

// shownProblems is the most of one rule that a report names.
const shownProblems = 10

// VerifyBooks implements [ledger.Audits].
func (s *Store) VerifyBooks(ctx context.Context, actor ledger.Actor) (problems []string, err error) {
	if err := platformAdmin(actor); err != nil {
		return nil, err
	}
	err = s.inTx(ctx, func(q querier) error {
		problems = nil
		// All tables are read in full.
		if _, err := q.Exec(ctx, "SELECT set_config('statement_timeout', '0', true)"); err != nil {
			return err
		}
		for _, b := range books {
			rows, err := q.Query(ctx, fmt.Sprintf("%s LIMIT %d", b.query, shownProblems))
			if err != nil {
				return err
			}
			ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				return err
			}
			for _, id := range ids {
				problems = append(problems, b.rule+": not "+id)
			}
		}
		return nil
	})
	return problems, err
}
