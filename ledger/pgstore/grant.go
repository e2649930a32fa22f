package pgstore

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/agenttrail/agenttrail/ledger"
)

const selectGrant = `SELECT g.id, g.user_id, g.transaction_id, g.category, g.amount, g.remaining, g.priority, g.expires_at, g.voided_at, g.created_at, g.row_version FROM ledger.credit_grants g`

func scanGrant(row pgx.CollectableRow) (ledger.Grant, error) {
	var g ledger.Grant
	return g, row.Scan(&g.ID, &g.UserID, &g.TransactionID, &g.Category, (*int64)(&g.Amount), (*int64)(&g.Remaining), &g.Priority, &g.ExpiresAt, &g.VoidedAt, &g.CreatedAt, &g.RowVersion)
}

func readGrant(ctx context.Context, q querier, id uuid.UUID) (ledger.Grant, error) {
	return queryOne(ctx, q, "grant", selectGrant+" WHERE g.id = $1", []any{id}, scanGrant)
}

// Grant implements [ledger.Grants].
func (s *Store) Grant(ctx context.Context, call *ledger.Call, in ledger.GrantInput) (ledger.Grant, error) {
	if err := call.Actor.Require(ledger.ScopeAdmin); err != nil {
		return ledger.Grant{}, err
	}
	if err := call.Actor.MayTouch(in.UserID); err != nil {
		return ledger.Grant{}, err
	}
	if err := in.Validate(); err != nil {
		return ledger.Grant{}, err
	}
	return write(ctx, s, call, func(ctx context.Context, w *work) (ledger.Grant, error) {
		own, err := w.lockWallet(ctx, in.UserID)
		if err != nil {
			return ledger.Grant{}, err
		}
		if own.closed {
			return ledger.Grant{}, refusedBecause(ledger.CodeUserClosed)
		}
		at, err := w.clock(ctx)
		if err != nil {
			return ledger.Grant{}, err
		}
		if in.ExpiresAt != nil && !in.ExpiresAt.After(at) {
			return ledger.Grant{}, ledger.Invalid("expiresAt", "must not be in the past")
		}
		transaction, cents, currency := newID(), (*int64)(nil), (*string)(nil)
		if in.Paid != nil {
			cents, currency = &in.Paid.AmountCents, &in.Paid.Currency
		}
		if _, err := w.Exec(ctx, `INSERT INTO ledger.transactions (id, user_id, kind, status, credits, settled, amount_cents, currency, stripe_pi, reason, created_at, updated_at)
			VALUES ($1, $2, 'grant', 'succeeded', $3, $3, $4, $5, $6, $7, $8, $8)`,
			transaction, in.UserID, int64(in.Amount), cents, currency, orNull(in.StripePI), in.Reason, at); err != nil {
			return ledger.Grant{}, err
		}
		priority := ledger.DefaultPriority
		if in.Priority != nil {
			priority = *in.Priority
		}
		return w.give(ctx, in.UserID, transaction, in.Category, in.Amount, priority, in.ExpiresAt, at)
	})
}

// give makes the grant of a transaction; its posting follows.
func (w *work) give(ctx context.Context, user, transaction uuid.UUID, category ledger.GrantCategory, amount ledger.Credits, priority int, expires *time.Time, at time.Time) (ledger.Grant, error) {
	id := newID()
	if _, err := w.Exec(ctx, `INSERT INTO ledger.credit_grants (id, user_id, transaction_id, category, amount, remaining, priority, expires_at, created_at) VALUES ($1, $2, $3, $4, $5, $5, $6, $7, $8)`,
		id, user, transaction, string(category), int64(amount), priority, expires, at); err != nil {
		return ledger.Grant{}, err
	}
	return readGrant(ctx, w, id)
}

// clock is the time of an operation, read after what it had to wait for.
func (w *work) clock(ctx context.Context) (time.Time, error) {
	at, tell := w.store.now()
	if tell != nil {
		return at, nil
	}
	err := w.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&at)
	return at, err
}

// VoidGrant implements [ledger.Grants].
func (s *Store) VoidGrant(ctx context.Context, call *ledger.Call, id uuid.UUID, in ledger.VoidInput) (ledger.Grant, error) {
	if err := call.Actor.Require(ledger.ScopeAdmin); err != nil {
		return ledger.Grant{}, err
	}
	if err := ledger.ValidateReason(in.Reason); err != nil {
		return ledger.Grant{}, err
	}
	return write(ctx, s, call, func(ctx context.Context, w *work) (ledger.Grant, error) {
		g, err := readGrant(ctx, w, id)
		if err == nil {
			err = call.Actor.MayTouch(g.UserID)
		}
		if err == nil {
			_, err = w.lockWallet(ctx, g.UserID)
		}
		if err == nil {
			g, err = readGrant(ctx, w, id)
		}
		if err == nil {
			err = ifVersion(in.IfVersion, g.RowVersion)
		}
		if err != nil {
			return g, err
		}
		if g.VoidedAt != nil {
			return g, ledger.Errorf(ledger.CodeConflict, "the grant was voided before")
		}
		at, err := w.clock(ctx)
		if err != nil {
			return g, err
		}
		if _, err := w.Exec(ctx, "UPDATE ledger.credit_grants SET voided_at = $2, row_version = row_version + 1 WHERE id = $1", id, at); err != nil {
			return g, err
		}
		if _, err := w.Exec(ctx, "SELECT set_config('app.reason', $3, true), ledger.sweep($1, $2)", g.UserID, at, in.Reason); err != nil {
			return g, err
		}
		return readGrant(ctx, w, id)
	})
}

// Refund implements [ledger.Runs].
func (s *Store) Refund(ctx context.Context, call *ledger.Call, transaction uuid.UUID, in ledger.RefundInput) (ledger.Transaction, error) {
	if err := call.Actor.Require(ledger.ScopeAdmin); err != nil {
		return ledger.Transaction{}, err
	}
	if err := in.Validate(); err != nil {
		return ledger.Transaction{}, err
	}
	return write(ctx, s, call, func(ctx context.Context, w *work) (ledger.Transaction, error) {
		run, err := readTransaction(ctx, w, transaction)
		if err == nil {
			err = call.Actor.MayTouch(run.UserID)
		}
		if err == nil {
			_, err = w.lockWallet(ctx, run.UserID)
		}
		if err == nil {
			run, err = readTransaction(ctx, w, transaction)
		}
		if err != nil {
			return run, err
		}
		rest := run.Settled - run.Refunded
		amount := rest
		if in.Amount != nil {
			amount = *in.Amount
		}
		if run.Kind != ledger.KindExecution {
			return run, ledger.Errorf(ledger.CodeConflict, "a transaction of kind %s cannot be refunded", run.Kind)
		}
		if amount > rest || amount == 0 {
			return run, ledger.Errorf(ledger.CodeRefundExceeds, "%s can be refunded: %s were captured and %s refunded before", rest, run.Settled, run.Refunded)
		}
		at, err := w.clock(ctx)
		if err != nil {
			return run, err
		}
		id := newID()
		if _, err := w.Exec(ctx, `INSERT INTO ledger.transactions (id, user_id, kind, status, credits, settled, agent_id, parent_id, reason, created_at, updated_at)
			VALUES ($1, $2, 'refund', 'succeeded', $3, $3, $4, $5, $6, $7, $7)`, id, run.UserID, int64(amount), run.AgentID, transaction, in.Reason, at); err != nil {
			return run, err
		}
		if _, err := w.give(ctx, run.UserID, id, ledger.GrantRefund, amount, ledger.DefaultPriority, nil, at); err != nil {
			return run, err
		}
		return readTransaction(ctx, w, id)
	})
}

// GrantByID implements [ledger.Grants].
func (s *Store) GrantByID(ctx context.Context, actor ledger.Actor, id uuid.UUID) (ledger.Grant, error) {
	q := query{}
	q.where("g.id = $", id)
	q.owner("g.user_id", actor)
	return readOne(ctx, s, "grant", selectGrant+q.conditionsSQL(), q.args, scanGrant)
}

// Grants implements [ledger.Grants].
func (s *Store) Grants(ctx context.Context, actor ledger.Actor, f ledger.GrantFilter, p ledger.Page) (ledger.List[ledger.Grant], error) {
	q := query{}
	q.owner("g.user_id", actor)
	q.whereUser("g.user_id", f.UserID)
	q.whereText("g.category", string(f.Category))
	if f.Open {
		q.where("g.open = $", true)
	}
	return list(ctx, s, selectGrant, q, byTime{"g.created_at", "g.id"}, p, scanGrant, func(g ledger.Grant) string { return timeCursor(g.CreatedAt, g.ID) })
}

// Balance implements [ledger.Grants].
func (s *Store) Balance(ctx context.Context, actor ledger.Actor, user uuid.UUID) (ledger.Balance, error) {
	if err := actor.MayTouch(user); err != nil {
		return ledger.Balance{}, err
	}
	_, tell := s.now()
	return readOne(ctx, s, "user", `SELECT w.user_id, w.posted, w.held, w.posted - w.held - (SELECT coalesce(sum(d.amount), 0) FROM ledger.due_credits(w.user_id, coalesce($2, clock_timestamp())) d)::bigint
		FROM ledger.wallets w WHERE w.user_id = $1`, []any{user, tell}, func(row pgx.CollectableRow) (ledger.Balance, error) {
		var b ledger.Balance
		return b, row.Scan(&b.UserID, (*int64)(&b.Posted), (*int64)(&b.Held), (*int64)(&b.Available))
	})
}
