package pgstore

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/agenttrail/agenttrail/ledger"
)

// firstCheck is when to look at Stripe although no event has come.
const firstCheck = time.Minute

const selectTopUp = `SELECT t.id, t.user_id, t.status, p.package, t.amount_cents, t.currency, t.credits, p.bonus, t.refunded, coalesce(b.refunded, 0),
	coalesce(t.stripe_pi, ''), p.stripe_status, p.failure_code, p.failure_message, p.request, p.receipt, t.created_at, t.updated_at, t.row_version, p.checks
	FROM ledger.transactions t JOIN ledger.payments p ON p.transaction_id = t.id AND t.kind = 'topup' LEFT JOIN ledger.transactions b ON b.id = p.bonus_id`

func scanTopUp(row pgx.CollectableRow) (ledger.TopUp, error) {
	t := ledger.TopUp{Refunds: []ledger.Reversal{}, Disputes: []ledger.Reversal{}}
	var failure ledger.PaymentFailure
	err := row.Scan(&t.ID, &t.UserID, &t.Status, &t.Package, &t.AmountCents, &t.Currency, (*int64)(&t.Credits), (*int64)(&t.BonusCredits), (*int64)(&t.CreditsTaken), (*int64)(&t.BonusTaken),
		&t.StripePI, &t.StripeStatus, &failure.Code, &failure.Message, (*[]byte)(&t.RequestJSON), (*[]byte)(&t.ReceiptJSON), &t.CreatedAt, &t.UpdatedAt, &t.RowVersion, &t.Checks)
	t.Failure = orNull(failure)
	return t, err
}

// childOf is a refund or dispute with its top-up.
type childOf struct {
	parent uuid.UUID
	kind   ledger.TransactionKind
	ledger.Reversal
}

const selectReversals = `SELECT t.parent_id, t.kind, t.id, t.status, t.amount_cents, coalesce(p.stripe_id, ''), t.reason, p.failure_code, p.failure_message, p.request, p.receipt, t.created_at
	FROM ledger.payments p JOIN ledger.transactions t ON t.id = p.transaction_id WHERE p.parent_id = ANY ($1) ORDER BY t.id`

func scanReversal(row pgx.CollectableRow) (childOf, error) {
	var c childOf
	var failure ledger.PaymentFailure
	var request []byte
	err := row.Scan(&c.parent, &c.kind, &c.ID, &c.Status, &c.AmountCents, &c.StripeID, &c.Reason, &failure.Code, &failure.Message, &request, (*[]byte)(&c.ReceiptJSON), &c.CreatedAt)
	c.Failure = orNull(failure)
	if string(request) != "{}" {
		c.RequestJSON = request
	}
	return c, err
}

// withReversals adds what went back to top-ups.
func withReversals(ctx context.Context, q querier, topUps []ledger.TopUp) error {
	index := map[uuid.UUID]*ledger.TopUp{}
	ids := make([]uuid.UUID, len(topUps))
	for i := range topUps {
		ids[i] = topUps[i].ID
		index[topUps[i].ID] = &topUps[i]
	}
	rows, err := q.Query(ctx, selectReversals, ids)
	if err != nil {
		return err
	}
	children, err := pgx.CollectRows(rows, scanReversal)
	if err != nil {
		return err
	}
	for _, c := range children {
		t := index[c.parent]
		if c.kind == ledger.KindDispute {
			t.Disputes = append(t.Disputes, c.Reversal)
		} else {
			t.Refunds = append(t.Refunds, c.Reversal)
		}
	}
	for i := range topUps {
		topUps[i].ReturnedCents = ledger.Returned(topUps[i].AmountCents, append(topUps[i].Refunds, topUps[i].Disputes...)...)
	}
	return nil
}

func readTopUp(ctx context.Context, q querier, id uuid.UUID) (ledger.TopUp, error) {
	t, err := queryOne(ctx, q, "top-up", selectTopUp+" WHERE t.id = $1", []any{id}, scanTopUp)
	if err != nil {
		return t, err
	}
	one := []ledger.TopUp{t}
	err = withReversals(ctx, q, one)
	return one[0], err
}

// OpenTopUp writes a top-up down before Stripe hears of it. A replayed call gives the top-up that it made, as it is now.
func (s *Store) OpenTopUp(ctx context.Context, call *ledger.Call, in ledger.NewTopUp) (ledger.TopUp, error) {
	if err := cmp.Or(call.Actor.Require(ledger.ScopeManage), call.Actor.MayTouch(in.UserID)); err != nil {
		return ledger.TopUp{}, err
	}
	id, err := write(ctx, s, call, func(ctx context.Context, w *work) (uuid.UUID, error) {
		own, err := w.lockWallet(ctx, in.UserID)
		if err != nil {
			return uuid.Nil, err
		}
		if own.closed {
			return uuid.Nil, refusedBecause(ledger.CodeUserClosed)
		}
		at, err := w.clock(ctx)
		if err != nil {
			return uuid.Nil, err
		}
		id := newID()
		request, err := in.Request(id)
		if err != nil {
			return uuid.Nil, err
		}
		p := in.Package
		if _, err := w.Exec(ctx, `INSERT INTO ledger.transactions (id, user_id, kind, status, credits, amount_cents, currency, reason, created_at, updated_at)
			VALUES ($1, $2, 'topup', 'created', $3, $4, $5, $6, $7, $7)`, id, in.UserID, int64(p.Credits), p.AmountCents, p.Currency, "package "+p.ID, at); err != nil {
			return uuid.Nil, err
		}
		_, err = w.Exec(ctx, `INSERT INTO ledger.payments (transaction_id, package, bonus, valid_seconds, bonus_valid_seconds, request, next_check, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			id, p.ID, int64(p.BonusCredits), seconds(p.ValidDays), seconds(p.BonusDays), []byte(request), at.Add(firstCheck), at)
		return id, err
	})
	if err != nil {
		return ledger.TopUp{}, err
	}
	return s.TopUpByID(ctx, call.Actor, id)
}

// OpenCancel looks whether a top-up can be canceled, before Stripe is asked to. A replayed call gives the top-up as it is
// now.
func (s *Store) OpenCancel(ctx context.Context, call *ledger.Call, id uuid.UUID) (ledger.TopUp, error) {
	if err := call.Actor.Require(ledger.ScopeManage); err != nil {
		return ledger.TopUp{}, err
	}
	_, err := write(ctx, s, call, func(ctx context.Context, w *work) (uuid.UUID, error) {
		t, err := readTopUp(ctx, w, id)
		if err == nil && call.Actor.MayTouch(t.UserID) != nil {
			err = notFound("top-up")
		}
		if err == nil && t.Paid() {
			err = ledger.Errorf(ledger.CodeConflict, "the top-up is %s and cannot be canceled", t.Status)
		}
		return id, err
	})
	if err != nil {
		return ledger.TopUp{}, err
	}
	return s.TopUpByID(ctx, call.Actor, id)
}

// seconds of so many days; null for none.
func seconds(days int) *int64 { return orNull(int64(days) * 24 * 60 * 60) }

// TopUpByID reads a top-up.
func (s *Store) TopUpByID(ctx context.Context, actor ledger.Actor, id uuid.UUID) (t ledger.TopUp, err error) {
	err = s.inTx(ctx, func(q querier) error {
		t, err = readTopUp(ctx, q, id)
		if err == nil && actor.MayTouch(t.UserID) != nil {
			err = notFound("top-up")
		}
		return err
	})
	return t, err
}

// TopUps lists top-ups.
func (s *Store) TopUps(ctx context.Context, actor ledger.Actor, f ledger.TopUpFilter, p ledger.Page) (ledger.List[ledger.TopUp], error) {
	q := query{}
	q.owner("t.user_id", actor)
	q.whereUser("t.user_id", f.UserID)
	q.whereText("t.status", string(f.Status))
	page, err := list(ctx, s, selectTopUp, q, byID{"t.id"}, p, scanTopUp, func(t ledger.TopUp) string { return t.ID.String() })
	if err != nil {
		return page, err
	}
	err = s.unit(ctx, true, func(conn *pgxpool.Conn) error { return withReversals(ctx, conn, page.Items) })
	return page, err
}

// TopUpByPayment finds the top-up of a PaymentIntent.
func (s *Store) TopUpByPayment(ctx context.Context, paymentIntent string) (uuid.UUID, error) {
	return readOne(ctx, s, "top-up", "SELECT id FROM ledger.transactions WHERE stripe_pi = $1 AND kind = 'topup'", []any{paymentIntent}, pgx.RowTo[uuid.UUID])
}

// SetStripeCustomer keeps the customer of a user unless there is one, and returns the one that counts.
func (s *Store) SetStripeCustomer(ctx context.Context, user uuid.UUID, customer string) (string, error) {
	return write(ctx, s, paymentCall(), func(ctx context.Context, w *work) (string, error) {
		if _, err := w.lockWallet(ctx, user); err != nil {
			return "", err
		}
		u, err := readUser(ctx, w, user)
		if err != nil || u.StripeCustomerID != "" {
			return u.StripeCustomerID, err
		}
		_, err = w.Exec(ctx, "UPDATE ledger.users SET stripe_customer_id = $2, updated_at = now(), row_version = row_version + 1 WHERE id = $1", user, customer)
		return customer, err
	})
}

// paymentCall is a call of the part that listens to Stripe.
func paymentCall() *ledger.Call { return &ledger.Call{Actor: ledger.System("stripe")} }

// ClaimPayments gives top-ups that are due to be compared with Stripe, and puts them off: those that were paid, of which
// a refund or dispute is open, for a quarter of an hour, the others for half of their age, a day at most.
func (s *Store) ClaimPayments(ctx context.Context, limit int) ([]uuid.UUID, error) {
	at, _ := s.now()
	return read(ctx, s, `UPDATE ledger.payments p SET next_check = $1 + CASE WHEN t.settled > 0 THEN interval '15 minutes' ELSE least(interval '1 day', greatest(interval '1 minute', ($1 - p.created_at) / 2)) END
		FROM ledger.transactions t WHERE t.id = p.transaction_id AND p.transaction_id IN (SELECT transaction_id FROM ledger.payments WHERE next_check <= $1 ORDER BY next_check LIMIT $2 FOR UPDATE SKIP LOCKED)
		RETURNING p.transaction_id`, []any{at, limit}, pgx.RowTo[uuid.UUID])
}

// UnknownReversals are the refunds and disputes among these that are not written down.
func (s *Store) UnknownReversals(ctx context.Context, ids []string) ([]string, error) {
	return read(ctx, s, "SELECT id.id FROM unnest($1::text[]) AS id (id) WHERE NOT EXISTS (SELECT FROM ledger.payments p WHERE p.stripe_id = id.id)", []any{ids}, pgx.RowTo[string])
}

// PaymentTotals are figures for metrics.
func (s *Store) PaymentTotals(ctx context.Context) (ledger.PaymentTotals, error) {
	t := ledger.PaymentTotals{TopUps: map[ledger.TransactionStatus]int64{}, Events: map[ledger.EventState]int64{}}
	err := s.inTx(ctx, func(q querier) error {
		if err := counts(ctx, q, t.TopUps, "SELECT status, count(*) FROM ledger.transactions WHERE kind = 'topup' GROUP BY 1"); err != nil {
			return err
		}
		if err := counts(ctx, q, t.Events, "SELECT state, count(*) FROM ledger.stripe_events WHERE state IN ('pending', 'failed') GROUP BY 1"); err != nil {
			return err
		}
		var oldest *time.Duration
		err := q.QueryRow(ctx, `SELECT (SELECT clock_timestamp() - min(received_at) FROM ledger.stripe_events WHERE state = 'pending'),
			(SELECT count(*) FROM ledger.payments WHERE next_check < clock_timestamp() - interval '10 minutes')`).Scan(&oldest, &t.Overdue)
		if oldest != nil {
			t.OldestPending = *oldest
		}
		return err
	})
	return t, err
}

func counts[K ~string](ctx context.Context, q querier, into map[K]int64, sql string) error {
	rows, err := q.Query(ctx, sql)
	if err != nil {
		return err
	}
	var k K
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&k, &n}, func() error { into[k] = n; return nil })
	if err != nil {
		return fmt.Errorf("count: %w", err)
	}
	return nil
}
