package pgstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/agenttrail/agenttrail/ledger"
)

// Capture implements [ledger.Runs].
func (s *Store) Capture(ctx context.Context, call *ledger.Call, hold uuid.UUID, in ledger.CaptureInput) (ledger.Settlement, error) {
	if err := in.Validate(); err != nil {
		return ledger.Settlement{}, err
	}
	return s.settle(ctx, call, hold, "capture", in.Amount)
}

// Release implements [ledger.Runs].
func (s *Store) Release(ctx context.Context, call *ledger.Call, hold uuid.UUID) (ledger.Settlement, error) {
	return s.settle(ctx, call, hold, "release", nil)
}

// Columns of the composite results of ledger.settle, in the order of their scanners.
const settleSQL = `SELECT r.outcome, r.code, r.resource, r.response, ` + holdColumns + `, ` + runColumns + `
	FROM ledger.settle($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) r
	LEFT JOIN LATERAL (SELECT (r.hold).*) h ON true LEFT JOIN LATERAL (SELECT (r.run).*) t ON true`

func (s *Store) settle(ctx context.Context, call *ledger.Call, hold uuid.UUID, action string, amount *ledger.Credits) (answer ledger.Settlement, err error) {
	if err := call.Actor.Require(ledger.ScopeExecute); err != nil {
		return answer, err
	}
	if err := checkKey(call); err != nil {
		return answer, err
	}
	var answered error
	err = s.unit(ctx, call.Key != "", func(conn *pgxpool.Conn) (err error) {
		answer, answered, err = s.settleOnce(ctx, conn, call, hold, action, amount)
		return err
	})
	if err != nil {
		return ledger.Settlement{}, err
	}
	return answer, answered
}

func (s *Store) settleOnce(ctx context.Context, q querier, call *ledger.Call, hold uuid.UUID, action string, amount *ledger.Credits) (answer ledger.Settlement, answered, err error) {
	_, tell := s.now()
	outcome, r, settlement, err := callSettle(ctx, q, []any{
		call.Actor.String(), call.RequestID, call.Actor.Principal, call.Key, call.Fingerprint, hold, optionalID(call.Actor.UserID), action, (*int64)(amount), tell,
	})
	if err != nil {
		return answer, nil, err
	}
	r.fingerprint = call.Fingerprint
	switch outcome {
	case "ok":
		return settlement, nil, nil
	case "refused":
		return answer, refusedBecause(ledger.Code(*r.code)), nil
	case "missing":
		return answer, notFound("hold"), nil
	case "early":
		return answer, ledger.Errorf(ledger.CodeConflict, "the hold is not due"), nil
	case "reused":
		return answer, errReused(), nil
	case "replay":
		if r.resource == nil || r.code != nil {
			return replay[ledger.Settlement](call, r)
		}
		call.Replayed = true
		answer = settlement
		// The hold is final. Of the transaction, refunds may have followed.
		t := &answer.Transaction
		t.Refunded, t.UpdatedAt, t.RowVersion = 0, *answer.Hold.ResolvedAt, 2
		if !answer.Hold.AuthorizedAt.Equal(t.CreatedAt) {
			t.RowVersion++ // It had waited for an approval.
		}
		if t.Status != ledger.StatusCanceled {
			t.Status = ledger.StatusSucceeded
		}
		return answer, nil, nil
	default:
		return answer, nil, fmt.Errorf("BUG: settle said %q", outcome)
	}
}

// callSettle runs the function. There is a settlement if it succeeded, now or before.
func callSettle(ctx context.Context, q querier, args []any) (outcome string, r record, settlement ledger.Settlement, err error) {
	rows, err := q.Query(ctx, settleSQL, args...)
	if err != nil {
		return "", r, settlement, err
	}
	defer rows.Close()
	if !rows.Next() {
		return "", r, settlement, cmp.Or(rows.Err(), pgx.ErrNoRows)
	}
	var receipt []byte
	fields := append(holdFields(&settlement.Hold), transactionFields(&settlement.Transaction, &receipt)...)
	raw := rows.RawValues()
	settled := raw[1] == nil && (string(raw[0]) == "ok" || string(raw[0]) == "replay")
	if !settled {
		clear(fields) // There may be no hold.
	}
	if err := rows.Scan(append([]any{&outcome, &r.code, &r.resource, &r.response}, fields...)...); err != nil {
		return "", r, settlement, err
	}
	rows.Close()
	if err := rows.Err(); err != nil || !settled {
		return outcome, r, settlement, err
	}
	if err := finishTransaction(&settlement.Transaction, receipt); err != nil {
		return "", r, settlement, err
	}
	finishHold(&settlement.Hold, settlement.Transaction)
	return outcome, r, settlement, nil
}

const selectSettlement = `SELECT ` + holdColumns + `, ` + runColumns + ` FROM ledger.holds h JOIN ledger.transactions t ON t.id = h.id`

func readSettlement(ctx context.Context, q querier, id uuid.UUID) (ledger.Settlement, error) {
	return queryOne(ctx, q, "hold", selectSettlement+" WHERE h.id = $1", []any{id}, scanSettlement)
}

func readTransaction(ctx context.Context, q querier, id uuid.UUID) (ledger.Transaction, error) {
	return queryOne(ctx, q, "transaction", "SELECT "+runColumns+" FROM ledger.transactions t WHERE t.id = $1", []any{id}, scanTransaction)
}

// queryOne is the one row of a query, CodeNotFound if there is none.
func queryOne[T any](ctx context.Context, q querier, what, sql string, args []any, scan pgx.RowToFunc[T]) (T, error) {
	var none T
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return none, err
	}
	item, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		err = notFound(what)
	}
	return item, err
}

// Hold implements [ledger.Runs].
func (s *Store) Hold(ctx context.Context, actor ledger.Actor, id uuid.UUID) (ledger.Hold, error) {
	q := query{}
	q.where("h.id = $", id)
	q.owner("h.user_id", actor)
	one, err := readOne(ctx, s, "hold", selectSettlement+q.conditionsSQL(), q.args, scanSettlement)
	return one.Hold, err
}

// Holds implements [ledger.Runs].
func (s *Store) Holds(ctx context.Context, actor ledger.Actor, f ledger.HoldFilter, p ledger.Page) (ledger.List[ledger.Hold], error) {
	q := query{}
	q.owner("t.user_id", actor)
	q.whereUser("t.user_id", f.UserID)
	q.whereUser("h.mandate_id", f.MandateID)
	q.whereText("h.status", string(f.Status))
	page, err := list(ctx, s, selectSettlement, q, byID{"t.id"}, p, scanSettlement, func(s ledger.Settlement) string { return s.Hold.ID.String() })
	if err != nil {
		return ledger.List[ledger.Hold]{}, err
	}
	holds := ledger.List[ledger.Hold]{Items: make([]ledger.Hold, len(page.Items)), Next: page.Next}
	for i, one := range page.Items {
		holds.Items[i] = one.Hold
	}
	return holds, nil
}

// Transaction implements [ledger.Runs].
func (s *Store) Transaction(ctx context.Context, actor ledger.Actor, id uuid.UUID) (ledger.Transaction, error) {
	q := query{}
	q.where("t.id = $", id)
	q.owner("t.user_id", actor)
	return readOne(ctx, s, "transaction", "SELECT "+runColumns+" FROM ledger.transactions t"+q.conditionsSQL(), q.args, scanTransaction)
}

// Transactions implements [ledger.Runs].
func (s *Store) Transactions(ctx context.Context, actor ledger.Actor, f ledger.TransactionFilter, p ledger.Page) (ledger.List[ledger.Transaction], error) {
	q := query{}
	q.owner("t.user_id", actor)
	q.whereUser("t.user_id", f.UserID)
	q.whereUser("t.agent_id", f.AgentID)
	q.whereUser("t.mandate_id", f.MandateID)
	q.whereText("t.kind", string(f.Kind))
	q.whereText("t.status", string(f.Status))
	q.whereText("t.execution_id", f.ExecutionID)
	q.whereTime("t.created_at", f.From, f.Until)
	return list(ctx, s, "SELECT "+runColumns+" FROM ledger.transactions t", q, byID{"t.id"}, p, scanTransaction, func(t ledger.Transaction) string { return t.ID.String() })
}

// Entries implements [ledger.Runs].
func (s *Store) Entries(ctx context.Context, actor ledger.Actor, f ledger.EntryFilter, p ledger.Page) (ledger.List[ledger.Entry], error) {
	if f.UserID == uuid.Nil && f.TransactionID == uuid.Nil && actor.UserID != uuid.Nil {
		f.UserID = actor.UserID
	}
	if f.UserID == uuid.Nil && f.TransactionID == uuid.Nil {
		return ledger.List[ledger.Entry]{}, ledger.Invalid("userId", "is needed, or a transactionId")
	}
	q := query{}
	q.owner("t.user_id", actor)
	if f.UserID != uuid.Nil {
		q.where("e.account_id = (SELECT w.account_id FROM ledger.wallets w WHERE w.user_id = $)", f.UserID)
	}
	q.whereUser("e.transaction_id", f.TransactionID)
	q.whereTime("e.created_at", f.From, f.Until)
	return list(ctx, s, `SELECT e.id, e.transaction_id, t.kind, concat_ws(':', a.owner_type, a.owner_id, a.purpose), e.amount, e.created_at
		FROM ledger.entries e JOIN ledger.transactions t ON t.id = e.transaction_id JOIN ledger.accounts a ON a.id = e.account_id`, q, byNumber{"e.id"}, p,
		func(row pgx.CollectableRow) (ledger.Entry, error) {
			var e ledger.Entry
			return e, row.Scan(&e.ID, &e.TransactionID, &e.Kind, &e.Account, (*int64)(&e.Amount), &e.CreatedAt)
		}, func(e ledger.Entry) string { return strconv.FormatInt(e.ID, 10) })
}
