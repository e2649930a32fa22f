package pgstore

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/agenttrail/agenttrail/ledger"
)

// ApplyPayment brings a top-up to where Stripe says that its payment is, and no step back. It is refused with
// CodeVersionMismatch if the top-up was compared by somebody else since it was read with these checks: what they read may
// be newer.
func (s *Store) ApplyPayment(ctx context.Context, id uuid.UUID, checks int64, r ledger.PaymentReport) (ledger.TopUp, error) {
	return s.onTopUp(ctx, paymentCall(), id, func(ctx context.Context, w *work, t ledger.TopUp, at time.Time) error {
		if t.Checks != checks {
			return ledger.Errorf(ledger.CodeVersionMismatch, "the top-up was compared with Stripe by others")
		}
		if err := fits(t, r); err != nil {
			return err
		}
		if err := w.settlePayment(ctx, t, r, at); err != nil {
			return err
		}
		if _, err := w.Exec(ctx, `UPDATE ledger.payments SET stripe_id = coalesce(stripe_id, $2), stripe_status = $3, failure_code = $4, failure_message = $5,
			receipt = coalesce($6, receipt), checks = checks + 1,
			next_check = CASE WHEN (SELECT status FROM ledger.transactions WHERE id = $1) <> 'canceled' THEN next_check END WHERE transaction_id = $1`,
			id, orNull(r.StripePI), r.StripeStatus, failureCode(r.Failure), failureMessage(r.Failure), orNullDoc(r.Receipt)); err != nil {
			return err
		}
		t, err := readTopUp(ctx, w, id)
		if err != nil || !t.Paid() {
			return err
		}
		slices.SortFunc(r.Refunds, byStripeID)
		slices.SortFunc(r.Disputes, byStripeID)
		for _, one := range r.Refunds {
			if err := w.applyReversal(ctx, t, ledger.KindCardRefund, t.Refunds, one, at); err != nil {
				return err
			}
		}
		for _, one := range r.Disputes {
			if err := w.applyReversal(ctx, t, ledger.KindDispute, t.Disputes, one, at); err != nil {
				return err
			}
		}
		return w.rebalance(ctx, id, at)
	})
}

func byStripeID(a, b ledger.ReversalReport) int { return strings.Compare(a.StripeID, b.StripeID) }

func failureCode(f *ledger.PaymentFailure) string {
	if f == nil {
		return ""
	}
	return clipText(f.Code)
}

func failureMessage(f *ledger.PaymentFailure) string {
	if f == nil {
		return ""
	}
	return clipText(f.Message)
}

// clipText keeps what others say to a bound.
func clipText(s string) string {
	if len(s) > ledger.MaxReason {
		s = s[:ledger.MaxReason]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "")
}

// fits refuses a report of another payment than the top-up's.
func fits(t ledger.TopUp, r ledger.PaymentReport) error {
	switch {
	case t.StripePI != "" && t.StripePI != r.StripePI:
		return ledger.Errorf(ledger.CodeConflict, "the top-up is paid by %s, not by %s", t.StripePI, r.StripePI)
	case r.Status == ledger.StatusSucceeded && (r.Amount != ledger.Money{AmountCents: t.AmountCents, Currency: t.Currency} || r.Received < t.AmountCents):
		return ledger.Errorf(ledger.CodeConflict, "the top-up costs %d %s cents, but %s is about %s of which %d were received", t.AmountCents, t.Currency, r.StripePI, r.Amount, r.Received)
	default:
		return nil
	}
}

// onTopUp runs f with a top-up whose user's wallet is locked, and reads it again.
func (s *Store) onTopUp(ctx context.Context, call *ledger.Call, id uuid.UUID, f func(ctx context.Context, w *work, t ledger.TopUp, at time.Time) error) (ledger.TopUp, error) {
	return write(ctx, s, call, func(ctx context.Context, w *work) (ledger.TopUp, error) {
		t, err := readTopUp(ctx, w, id)
		if err == nil && call.Actor.MayTouch(t.UserID) != nil {
			err = notFound("top-up")
		}
		if err == nil {
			_, err = w.lockWallet(ctx, t.UserID)
		}
		if err == nil {
			t, err = readTopUp(ctx, w, id)
		}
		if err != nil {
			return t, err
		}
		at, err := w.clock(ctx)
		if err != nil {
			return t, err
		}
		if err := f(ctx, w, t, at); err != nil {
			return t, err
		}
		return readTopUp(ctx, w, id)
	})
}

// settlePayment moves the top-up to where its payment is. What has succeeded stays so.
func (w *work) settlePayment(ctx context.Context, t ledger.TopUp, r ledger.PaymentReport, at time.Time) error {
	to, settled := r.Status, int64(0)
	switch {
	case t.Paid():
		to, settled = t.Status, int64(t.Credits)
	case r.Status == ledger.StatusSucceeded:
		settled = int64(t.Credits)
	case t.Status == ledger.StatusCanceled:
		to = t.Status
	}
	if to == t.Status && (t.StripePI == r.StripePI || r.StripePI == "") {
		return nil
	}
	_, err := w.Exec(ctx, "UPDATE ledger.transactions SET status = $2, settled = $3, stripe_pi = coalesce(stripe_pi, $4), updated_at = $5, row_version = row_version + 1 WHERE id = $1",
		t.ID, string(to), settled, orNull(r.StripePI), latest(at, t.CreatedAt))
	return err
}

// applyReversal writes down what Stripe says of a refund or dispute: of one that it has told of before, of one that we
// have asked for, or of a new one.
func (w *work) applyReversal(ctx context.Context, t ledger.TopUp, kind ledger.TransactionKind, known []ledger.Reversal, r ledger.ReversalReport, at time.Time) error {
	find := func(is func(k ledger.Reversal) bool) *ledger.Reversal {
		if i := slices.IndexFunc(known, is); i >= 0 {
			return &known[i]
		}
		return nil
	}
	own := find(func(k ledger.Reversal) bool { return k.StripeID == r.StripeID })
	if own == nil {
		own = find(func(k ledger.Reversal) bool { return k.ID == r.TransactionID && k.StripeID == "" && k.Counts() })
	}
	if own == nil {
		var err error
		if own, err = w.addReversal(ctx, t, kind, min(r.AmountCents, t.AmountCents), r.Reason, nil, at); err != nil {
			return err
		}
	}
	if _, err := w.Exec(ctx, `UPDATE ledger.payments SET stripe_id = $2, stripe_status = $3, failure_code = $4, failure_message = $5, receipt = coalesce($6, receipt), checks = checks + 1 WHERE transaction_id = $1`,
		own.ID, r.StripeID, r.StripeStatus, failureCode(r.Failure), failureMessage(r.Failure), orNullDoc(r.Receipt)); err != nil {
		return err
	}
	return w.moveReversal(ctx, own.ID, own.Status, r.Status, at)
}

// moveReversal changes the status of a refund or dispute where that is a step ahead.
func (w *work) moveReversal(ctx context.Context, id uuid.UUID, from, to ledger.TransactionStatus, at time.Time) error {
	_, err := w.Exec(ctx, `UPDATE ledger.transactions SET status = $3, updated_at = greatest(created_at, $4), row_version = row_version + 1
		WHERE id = $1 AND status = $2 AND status <> $3 AND ledger.may_become(kind, status, $3)`, id, string(from), string(to), at)
	return err
}

// addReversal makes a refund or dispute. Its credits are those that the money stands for.
func (w *work) addReversal(ctx context.Context, t ledger.TopUp, kind ledger.TransactionKind, cents int64, reason string, request func(id uuid.UUID) ([]byte, error), at time.Time) (*ledger.Reversal, error) {
	r := ledger.Reversal{ID: newID(), Status: ledger.StatusProcessing, AmountCents: cents, Reason: reason, CreatedAt: at}
	if kind == ledger.KindDispute {
		r.Status = ledger.StatusDisputed
	}
	doc := []byte("{}")
	if request != nil {
		var err error
		if doc, err = request(r.ID); err != nil {
			return nil, err
		}
		r.RequestJSON = doc
	}
	if _, err := w.Exec(ctx, `INSERT INTO ledger.transactions (id, user_id, kind, status, credits, amount_cents, currency, parent_id, reason, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)`,
		r.ID, t.UserID, string(kind), string(r.Status), max(1, int64(ledger.Share(t.Credits, cents, t.AmountCents))), cents, t.Currency, t.ID, clipText(reason), at); err != nil {
		return nil, err
	}
	_, err := w.Exec(ctx, "INSERT INTO ledger.payments (transaction_id, parent_id, request, created_at) VALUES ($1, $2, $3, $4)", r.ID, t.ID, doc, at)
	return &r, err
}

// purchase is a top-up or its bonus: credits that money was paid for.
type purchase struct {
	id             uuid.UUID
	settled, taken ledger.Credits
}

// rebalance takes back, or gives back again, so many credits of a top-up and of its bonus as the money says that went
// back. What was spent or has expired cannot be taken; what is on hold is taken when it is free. Then it sets the status
// of the top-up and when to look at it again.
func (w *work) rebalance(ctx context.Context, id uuid.UUID, at time.Time) error {
	t, err := readTopUp(ctx, w, id)
	if err != nil {
		return err
	}
	purchases := []purchase{{id: t.ID, settled: t.Credits, taken: t.CreditsTaken}}
	if t.BonusCredits > 0 {
		b := purchase{settled: t.BonusCredits, taken: t.BonusTaken}
		if err := w.QueryRow(ctx, "SELECT bonus_id FROM ledger.payments WHERE transaction_id = $1", t.ID).Scan(&b.id); err != nil {
			return err
		}
		purchases = append(purchases, b)
	}
	owed := false
	for _, p := range purchases {
		target := ledger.Share(p.settled, t.ReturnedCents, t.AmountCents)
		var rest ledger.Credits
		if p.taken <= target {
			rest, err = w.takeBack(ctx, t.UserID, p, target-p.taken, at)
		} else {
			err = w.giveBack(ctx, t.UserID, p, p.taken-target, at)
		}
		if err != nil {
			return err
		}
		owed = owed || rest > 0
	}
	to, open := standing(t)
	if owed && !open {
		// Credits on hold become free; then they are taken.
		if open, err = w.holdsCredits(ctx, t.UserID); err != nil {
			return err
		}
	}
	if to != t.Status {
		if _, err := w.Exec(ctx, "UPDATE ledger.transactions SET status = $2, updated_at = greatest(created_at, $3), row_version = row_version + 1 WHERE id = $1", t.ID, string(to), at); err != nil {
			return err
		}
	}
	_, err = w.Exec(ctx, "UPDATE ledger.payments SET next_check = CASE WHEN $2 THEN coalesce(next_check, $3) END WHERE transaction_id = $1", t.ID, open, at.Add(firstCheck))
	return err
}

// standing is the status of a top-up that was paid, by what became of the money, and whether that can still change.
func standing(t ledger.TopUp) (to ledger.TransactionStatus, open bool) {
	disputed := false
	for _, d := range t.Disputes {
		disputed = disputed || d.Status == ledger.StatusDisputed
	}
	refunding := slices.ContainsFunc(t.Refunds, func(r ledger.Reversal) bool { return r.Status == ledger.StatusProcessing })
	switch {
	case disputed:
		to = ledger.StatusDisputed
	case t.ReturnedCents == t.AmountCents:
		to = ledger.StatusRefunded
	case t.ReturnedCents > 0:
		to = ledger.StatusPartiallyRefunded
	default:
		to = ledger.StatusSucceeded
	}
	return to, disputed || refunding
}

func (w *work) holdsCredits(ctx context.Context, user uuid.UUID) (holds bool, err error) {
	err = w.QueryRow(ctx, "SELECT held > 0 FROM ledger.wallets WHERE user_id = $1", user).Scan(&holds)
	return holds, err
}

// freeOf are the credits of a purchase's grants that can be taken.
func (w *work) freeOf(ctx context.Context, user, purchase uuid.UUID) (grants []freeGrant, sum ledger.Credits, err error) {
	rows, err := w.Query(ctx, `SELECT f.grant_id, f.amount FROM ledger.free_credits($1) f JOIN ledger.credit_grants g ON g.id = f.grant_id JOIN ledger.transactions o ON o.id = g.transaction_id
		WHERE o.id = $2 OR o.kind = 'restore' AND o.parent_id = $2 ORDER BY g.created_at, g.id`, user, purchase)
	if err != nil {
		return nil, 0, err
	}
	grants, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (freeGrant, error) {
		var g freeGrant
		return g, row.Scan(&g.id, (*int64)(&g.amount))
	})
	for _, g := range grants {
		sum += g.amount
	}
	return grants, sum, err
}

type freeGrant struct {
	id     uuid.UUID
	amount ledger.Credits
}

// takeBack takes credits of a purchase and returns how many were not there to be taken.
func (w *work) takeBack(ctx context.Context, user uuid.UUID, p purchase, amount ledger.Credits, at time.Time) (rest ledger.Credits, err error) {
	if amount == 0 {
		return 0, nil
	}
	grants, _, err := w.freeOf(ctx, user, p.id)
	if err != nil {
		return amount, err
	}
	for _, g := range grants {
		part := min(amount, g.amount)
		if part == 0 {
			break
		}
		if err := w.move(ctx, user, ledger.KindClawback, p.id, g.id, part, at); err != nil {
			return amount, err
		}
		amount -= part
	}
	return amount, nil
}

// giveBack gives credits of a purchase again, as they were: for as long as those that were bought would have lasted.
func (w *work) giveBack(ctx context.Context, user uuid.UUID, p purchase, amount ledger.Credits, at time.Time) error {
	var grant uuid.UUID
	if err := w.QueryRow(ctx, "SELECT id FROM ledger.credit_grants WHERE transaction_id = $1", p.id).Scan(&grant); err != nil {
		return err
	}
	return w.move(ctx, user, ledger.KindRestore, p.id, grant, amount, at)
}

// move makes the transaction; its posting follows.
func (w *work) move(ctx context.Context, user uuid.UUID, kind ledger.TransactionKind, parent, grant uuid.UUID, amount ledger.Credits, at time.Time) error {
	_, err := w.Exec(ctx, `INSERT INTO ledger.transactions (id, user_id, kind, status, credits, settled, parent_id, source_grant_id, created_at, updated_at) VALUES ($1, $2, $3, 'succeeded', $4, $4, $5, $6, $7, $7)`,
		newID(), user, string(kind), int64(amount), parent, grant, at)
	return err
}

// OpenCardRefund writes a refund down, and takes the credits for it, before Stripe hears of it.
func (s *Store) OpenCardRefund(ctx context.Context, call *ledger.Call, topUp uuid.UUID, in ledger.NewCardRefund) (ledger.Reversal, error) {
	if err := cmp.Or(call.Actor.Require(ledger.ScopeAdmin), in.Validate()); err != nil {
		return ledger.Reversal{}, err
	}
	return write(ctx, s, call, func(ctx context.Context, w *work) (ledger.Reversal, error) {
		var none ledger.Reversal
		t, err := readTopUp(ctx, w, topUp)
		if err == nil && call.Actor.MayTouch(t.UserID) != nil {
			err = notFound("top-up")
		}
		if err == nil {
			_, err = w.lockWallet(ctx, t.UserID)
		}
		if err == nil {
			t, err = readTopUp(ctx, w, topUp)
		}
		if err != nil {
			return none, err
		}
		at, err := w.clock(ctx)
		if err != nil {
			return none, err
		}
		cents, err := w.refundable(ctx, t, in.AmountCents)
		if err != nil {
			return none, err
		}
		r, err := w.addReversal(ctx, t, ledger.KindCardRefund, cents, in.Reason, func(id uuid.UUID) ([]byte, error) { return in.Request(id, t.StripePI, cents) }, at)
		if err != nil {
			return none, err
		}
		return *r, w.rebalance(ctx, topUp, at)
	})
}

// refundable is the money to give back, if the credits for it are there.
func (w *work) refundable(ctx context.Context, t ledger.TopUp, asked *int64) (int64, error) {
	rest := t.AmountCents - t.ReturnedCents
	cents := rest
	if asked != nil {
		cents = *asked
	}
	switch {
	case !t.Paid():
		return 0, ledger.Errorf(ledger.CodeConflict, "the top-up is %s: nothing was paid that could be given back", t.Status)
	case t.Status == ledger.StatusDisputed:
		return 0, ledger.Errorf(ledger.CodeConflict, "the payment is disputed: the bank decides about the money")
	case cents > rest || cents == 0:
		return 0, ledger.Errorf(ledger.CodeRefundExceeds, "%d %s cents can be refunded: %d were paid and %d went back before", rest, t.Currency, t.AmountCents, t.ReturnedCents)
	}
	_, free, err := w.freeOf(ctx, t.UserID, t.ID)
	if err != nil {
		return 0, err
	}
	if need := ledger.Share(t.Credits, t.ReturnedCents+cents, t.AmountCents) - t.CreditsTaken; need > free {
		return 0, ledger.Errorf(ledger.CodeRefundExceeds, "%s credits of the top-up would have to be there, and %s are: the others are on hold, spent or expired", need, free)
	}
	return cents, nil
}

// FailCardRefund says that Stripe will not make a refund that it has not made. The credits are given back.
func (s *Store) FailCardRefund(ctx context.Context, topUp, refund uuid.UUID, why ledger.PaymentFailure) (ledger.TopUp, error) {
	return s.onTopUp(ctx, paymentCall(), topUp, func(ctx context.Context, w *work, t ledger.TopUp, at time.Time) error {
		i := slices.IndexFunc(t.Refunds, func(r ledger.Reversal) bool { return r.ID == refund })
		if i < 0 {
			return notFound("refund")
		}
		if r := t.Refunds[i]; r.StripeID != "" || r.Status != ledger.StatusProcessing {
			return nil // It was made after all, or has failed before.
		}
		if _, err := w.Exec(ctx, "UPDATE ledger.payments SET failure_code = $2, failure_message = $3, checks = checks + 1 WHERE transaction_id = $1", refund, clipText(why.Code), clipText(why.Message)); err != nil {
			return err
		}
		if err := w.moveReversal(ctx, refund, ledger.StatusProcessing, ledger.StatusFailed, at); err != nil {
			return err
		}
		return w.rebalance(ctx, topUp, at)
	})
}
