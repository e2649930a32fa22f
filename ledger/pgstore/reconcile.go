package pgstore

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/agenttrail/agenttrail/ledger"
)

// selectCharge gives runs with what was captured for them and what corrections added.
const selectCharge = `SELECT t.execution_id, t.id, t.user_id, a.slug, coalesce(h.captured, 0), coalesce(d.adjusted, 0), t.created_at, coalesce(h.resolved_at, t.updated_at), coalesce(h.status = 'expired', false)
	FROM ledger.transactions t JOIN ledger.agents a ON a.id = t.agent_id LEFT JOIN ledger.holds h ON h.id = t.id
	LEFT JOIN (SELECT execution_id, sum(amount)::bigint AS adjusted FROM ledger.reconciliation_decisions WHERE kind = 'adjust' AND status = 'done' GROUP BY 1) d ON d.execution_id = t.execution_id`

func scanCharge(row pgx.CollectableRow) (ledger.Charge, error) {
	var c ledger.Charge
	return c, row.Scan(&c.ExecutionID, &c.TransactionID, &c.UserID, &c.Agent, (*int64)(&c.Captured), (*int64)(&c.Adjusted), &c.From, &c.Until, &c.Expired)
}

// Charges gives the runs that were settled in a time, in the order of the bytes of their ids. They are read as they are
// asked for, on a connection of their own.
func (s *Store) Charges(ctx context.Context, since, until time.Time) iter.Seq2[ledger.Charge, error] {
	return func(yield func(ledger.Charge, error) bool) {
		stopped := false
		err := s.once(ctx, func(conn *pgxpool.Conn) error {
			tx, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
			if err != nil {
				return err
			}
			defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // There is nothing to commit.
			// The statement lasts for as long as the other side takes to be read.
			if _, err := tx.Exec(ctx, "SELECT set_config('statement_timeout', '0', true)"); err != nil {
				return err
			}
			rows, err := tx.Query(ctx, selectCharge+` WHERE h.resolved_at >= $1 AND h.resolved_at < $2 ORDER BY t.execution_id COLLATE "C"`, since, until)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				c, err := scanCharge(rows)
				if err != nil {
					return err
				}
				if !yield(c, nil) {
					stopped = true
					return nil
				}
			}
			return rows.Err()
		})
		if err != nil && !stopped {
			yield(ledger.Charge{}, translate(ctx, err))
		}
	}
}

// ChargesOf finds runs, settled or not, and those that were charged by a correction alone.
func (s *Store) ChargesOf(ctx context.Context, executions []string) ([]ledger.Charge, error) {
	return read(ctx, s, selectCharge+` WHERE t.execution_id = ANY ($1)
		UNION ALL SELECT r.execution_id, NULL, x.user_id, a.slug, 0, r.adjusted, r.first_seen - interval '31 days', r.first_seen, false
		FROM ledger.reconciliation r JOIN LATERAL (SELECT x.user_id, x.agent_id FROM ledger.reconciliation_decisions d JOIN ledger.transactions x ON x.id = d.transaction_id
			WHERE d.execution_id = r.execution_id LIMIT 1) x ON true JOIN ledger.agents a ON a.id = x.agent_id
		WHERE r.execution_id = ANY ($1) AND NOT EXISTS (SELECT FROM ledger.transactions t WHERE t.execution_id = r.execution_id)`, []any{executions}, scanCharge)
}

// OpenItems lists runs that do not agree and have not been compared since a moment, in the order of the bytes of their
// ids, after one of them.
func (s *Store) OpenItems(ctx context.Context, before time.Time, after string, limit int) ([]ledger.ReconItem, error) {
	return read(ctx, s, selectReconItem+` WHERE r.resolved_at IS NULL AND r.checked_at < $1 AND r.execution_id COLLATE "C" > $2 ORDER BY r.execution_id COLLATE "C" LIMIT $3`,
		[]any{before, after, limit}, scanReconItem)
}

// SaveCompared writes down how runs compare, and returns in which states they are then, in the same order: one that was
// waived stays so for as long as the difference is the same. Saving the same again changes nothing.
func (s *Store) SaveCompared(ctx context.Context, at time.Time, list []ledger.Compared) ([]ledger.ReconState, error) {
	n := len(list)
	ids, transactions, users, agents, states := make([]string, n), make([]*uuid.UUID, n), make([]string, n), make([]string, n), make([]string, n)
	captured, adjusted, consumed, rows, closed := make([]int64, n), make([]int64, n), make([]*int64, n), make([]int, n), make([]bool, n)
	for i, c := range list {
		state := c.State()
		// Ids of telemetry may have what text in Postgres may not.
		ids[i], users[i], agents[i] = c.ExecutionID, clean(c.UserID), clean(c.Agent)
		transactions[i], states[i], closed[i] = c.TransactionID, string(state), !state.Open()
		captured[i], adjusted[i], consumed[i], rows[i] = int64(c.Captured), int64(c.Adjusted), (*int64)(c.Consumed), c.Rows
	}
	type saved struct{ id, state string }
	all, err := read(ctx, s, `INSERT INTO ledger.reconciliation AS r (execution_id, transaction_id, user_id, agent, state, captured, adjusted, consumed, telemetry_rows, first_seen, checked_at, changed_at, resolved_at)
		SELECT n.*, $10, $10, $10, CASE WHEN closed THEN $10::timestamptz END
		FROM (SELECT execution_id, transaction_id, user_id, agent, state, captured, adjusted, consumed, telemetry_rows
			FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], $9::int[])
				AS u (execution_id, transaction_id, user_id, agent, state, captured, adjusted, consumed, telemetry_rows) ORDER BY 1) n,
			LATERAL (SELECT n.state IN ('matched', 'adjusted') AS closed) c
		ON CONFLICT (execution_id) DO UPDATE SET
			(transaction_id, user_id, agent, captured, adjusted, consumed, telemetry_rows, checked_at) =
				(excluded.transaction_id, excluded.user_id, excluded.agent, excluded.captured, excluded.adjusted, excluded.consumed, excluded.telemetry_rows, excluded.checked_at),
			(state, resolved_at) = (SELECT x.state, CASE WHEN x.state IN ('matched', 'adjusted', 'waived') THEN coalesce(r.resolved_at, excluded.checked_at) END FROM ledger.recon_next(r, excluded) x),
			(published, row_version, changed_at) = (SELECT r.published AND NOT x.changed, r.row_version + x.changed::int, CASE WHEN x.changed THEN excluded.checked_at ELSE r.changed_at END FROM ledger.recon_next(r, excluded) x)
		RETURNING execution_id, state`,
		[]any{ids, transactions, users, agents, states, captured, adjusted, consumed, rows, at},
		func(row pgx.CollectableRow) (saved, error) {
			var r saved
			return r, row.Scan(&r.id, &r.state)
		})
	if err != nil {
		return nil, err
	}
	byID := make(map[string]ledger.ReconState, len(all))
	for _, r := range all {
		byID[r.id] = ledger.ReconState(r.state)
	}
	result := make([]ledger.ReconState, n)
	for i, id := range ids {
		result[i] = byID[id]
	}
	return result, nil
}

func clean(s string) string { return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\ufffd") }

// AddReconRun writes down a comparison and removes those of more than the time that they are kept.
func (s *Store) AddReconRun(ctx context.Context, r ledger.ReconRun) error {
	return s.unit(ctx, false, func(conn *pgxpool.Conn) error {
		_, err := conn.Exec(ctx, `WITH old AS (DELETE FROM ledger.reconciliation_runs WHERE finished_at < $4::timestamptz - make_interval(days => $14))
			INSERT INTO ledger.reconciliation_runs (since, until, started_at, finished_at, executions, matched, drift, missing_in_ledger, missing_in_telemetry, adjusted, waived, captured, consumed)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
			r.Since, r.Until, r.StartedAt, r.FinishedAt, r.Executions, r.Matched, r.Drift, r.MissingInLedger, r.MissingInTelemetry, r.Adjusted, r.Waived,
			int64(r.Captured), int64(r.Consumed), reconRunDays)
		return err
	})
}

// reconRunDays is how long comparisons are kept here; ClickHouse keeps them for longer.
const reconRunDays = 30

const selectReconItem = `SELECT r.execution_id, r.transaction_id, r.user_id, r.agent, r.state, r.captured, r.adjusted, r.consumed, r.telemetry_rows, r.drift,
	r.first_seen, r.checked_at, r.changed_at, r.resolved_at, r.row_version FROM ledger.reconciliation r`

func scanReconItem(row pgx.CollectableRow) (ledger.ReconItem, error) {
	var i ledger.ReconItem
	var consumed *int64
	err := row.Scan(&i.ExecutionID, &i.TransactionID, &i.UserID, &i.Agent, &i.State, (*int64)(&i.Captured), (*int64)(&i.Adjusted), &consumed, &i.Rows, (*int64)(&i.Drift),
		&i.FirstSeen, &i.CheckedAt, &i.ChangedAt, &i.ResolvedAt, &i.RowVersion)
	i.Consumed = (*ledger.Credits)(consumed)
	return i, err
}

const selectReconRun = `SELECT r.id, r.since, r.until, r.started_at, r.finished_at, r.executions, r.matched, r.drift, r.missing_in_ledger, r.missing_in_telemetry, r.adjusted, r.waived,
	r.captured::bigint, r.consumed::bigint FROM ledger.reconciliation_runs r`

// numberedRun is a comparison with its number.
type numberedRun struct {
	id int64
	ledger.ReconRun
}

func scanReconRun(row pgx.CollectableRow) (numberedRun, error) {
	var r numberedRun
	return r, row.Scan(&r.id, &r.Since, &r.Until, &r.StartedAt, &r.FinishedAt, &r.Executions, &r.Matched, &r.Drift, &r.MissingInLedger, &r.MissingInTelemetry, &r.Adjusted, &r.Waived,
		(*int64)(&r.Captured), (*int64)(&r.Consumed))
}

// Publish gives what has changed since it was last given to f, oldest change first, at most limit of each kind, and
// remembers it once f has succeeded. It returns how many there were.
func (s *Store) Publish(ctx context.Context, limit int, f func(ctx context.Context, items []ledger.ReconItem, runs []ledger.ReconRun) error) (int, error) {
	items, err := read(ctx, s, selectReconItem+" WHERE NOT r.published ORDER BY r.changed_at LIMIT $1", []any{limit}, scanReconItem)
	if err != nil {
		return 0, err
	}
	numbered, err := read(ctx, s, selectReconRun+" WHERE NOT r.published ORDER BY r.id LIMIT $1", []any{limit}, scanReconRun)
	if err != nil || len(items)+len(numbered) == 0 {
		return 0, err
	}
	ids, versions, numbers, runs := make([]string, len(items)), make([]int, len(items)), make([]int64, len(numbered)), make([]ledger.ReconRun, len(numbered))
	for i, item := range items {
		ids[i], versions[i] = item.ExecutionID, item.RowVersion
	}
	for i, r := range numbered {
		numbers[i], runs[i] = r.id, r.ReconRun
	}
	if err := f(ctx, items, runs); err != nil {
		return 0, err
	}
	return len(items) + len(runs), s.unit(ctx, true, func(conn *pgxpool.Conn) error {
		if _, err := conn.Exec(ctx, "UPDATE ledger.reconciliation_runs SET published = true WHERE id = ANY ($1)", numbers); err != nil {
			return err
		}
		// What has changed meanwhile stays to be given.
		_, err := conn.Exec(ctx, `UPDATE ledger.reconciliation r SET published = true FROM unnest($1::text[], $2::int[]) AS p (execution_id, row_version)
			WHERE r.execution_id = p.execution_id AND r.row_version = p.row_version`, ids, versions)
		return err
	})
}

// ReconItems implements [ledger.Reconciliations].
func (s *Store) ReconItems(ctx context.Context, actor ledger.Actor, f ledger.ReconFilter, p ledger.Page) (ledger.List[ledger.ReconItem], error) {
	if err := platformAdmin(actor); err != nil {
		return ledger.List[ledger.ReconItem]{}, err
	}
	q := query{}
	q.whereText("r.state", string(f.State))
	q.whereText("r.execution_id", f.ExecutionID)
	q.whereTime("r.changed_at", f.From, f.Until)
	if f.Open {
		q.conditions = append(q.conditions, "r.resolved_at IS NULL")
	}
	return list(ctx, s, selectReconItem, q, byTimeAndText{"r.changed_at", "r.execution_id"}, p, scanReconItem, func(i ledger.ReconItem) string { return timeTextCursor(i.ChangedAt, i.ExecutionID) })
}

// ReconRuns implements [ledger.Reconciliations].
func (s *Store) ReconRuns(ctx context.Context, actor ledger.Actor, p ledger.Page) (ledger.List[ledger.ReconRun], error) {
	if err := platformAdmin(actor); err != nil {
		return ledger.List[ledger.ReconRun]{}, err
	}
	numbered, err := list(ctx, s, selectReconRun, query{}, byNumber{"r.id"}, p, scanReconRun, func(r numberedRun) string { return numberCursor(r.id) })
	runs := ledger.List[ledger.ReconRun]{Items: make([]ledger.ReconRun, len(numbered.Items)), Next: numbered.Next}
	for i, r := range numbered.Items {
		runs.Items[i] = r.ReconRun
	}
	return runs, err
}

// ReconTotals implements [ledger.Reconciliations].
func (s *Store) ReconTotals(ctx context.Context) (ledger.ReconTotals, error) {
	t := ledger.ReconTotals{Open: map[ledger.ReconState]int64{}, Drift: map[ledger.ReconState]ledger.Credits{}}
	err := s.inTx(ctx, func(q querier) error {
		rows, err := q.Query(ctx, "SELECT state, count(*), sum(abs(drift))::bigint, clock_timestamp() - min(first_seen) FROM ledger.reconciliation WHERE resolved_at IS NULL GROUP BY 1")
		if err != nil {
			return err
		}
		var state ledger.ReconState
		var n, drift int64
		var age time.Duration
		if _, err := pgx.ForEachRow(rows, []any{&state, &n, &drift, &age}, func() error {
			t.Open[state], t.Drift[state], t.Oldest = n, ledger.Credits(drift), max(t.Oldest, age)
			return nil
		}); err != nil {
			return err
		}
		return q.QueryRow(ctx, "SELECT max(finished_at) FROM ledger.reconciliation_runs").Scan(&t.Last)
	})
	return t, err
}
