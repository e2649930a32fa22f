package pgstore_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
)

var starter = ledger.Package{ID: "starter", AmountCents: 1000, Currency: "EUR", Credits: 100 * ledger.Credit, BonusCredits: 10 * ledger.Credit, ValidDays: 365, BonusDays: 30}

// topUp opens one and says that it was paid by a payment of the same name.
func (b *bundle) topUp(t *testing.T, pi string) ledger.TopUp {
	t.Helper()
	top, err := b.OpenTopUp(t.Context(), b.call(operator), ledger.NewTopUp{UserID: b.user.ID, Package: starter, Request: func(id uuid.UUID) (json.RawMessage, error) {
		return json.RawMessage(`{"metadata":{"transaction_id":"` + id.String() + `"}}`), nil
	}})
	require.NoError(t, err)
	require.Equal(t, ledger.StatusCreated, top.Status)
	return b.apply(t, top, succeeded(pi))
}

func succeeded(pi string) ledger.PaymentReport {
	return ledger.PaymentReport{StripePI: pi, Status: ledger.StatusSucceeded, StripeStatus: "succeeded", Amount: starter.Price(), Received: starter.AmountCents}
}

func (b *bundle) apply(t *testing.T, top ledger.TopUp, r ledger.PaymentReport) ledger.TopUp {
	t.Helper()
	now, err := b.TopUpByID(t.Context(), operator, top.ID)
	require.NoError(t, err)
	top, err = b.ApplyPayment(t.Context(), top.ID, now.Checks, r)
	require.NoError(t, err)
	b.settled(t)
	return top
}

func refundRequest(id uuid.UUID, pi string, cents int64) (json.RawMessage, error) {
	return json.Marshal(map[string]any{"id": id, "payment_intent": pi, "amount": cents})
}

func (b *bundle) cardRefund(t *testing.T, top ledger.TopUp, cents int64) (ledger.Reversal, error) {
	t.Helper()
	return b.OpenCardRefund(t.Context(), b.call(operator), top.ID, ledger.NewCardRefund{CardRefundInput: ledger.CardRefundInput{AmountCents: &cents}, Request: refundRequest})
}

func TestTopUpGrantsPaidAndPromotionalCreditsApart(t *testing.T) {
	t.Parallel()
	b := setup(t, pgstore.Settings{})
	top := b.topUp(t, "pi_1")
	require.Equal(t, ledger.StatusSucceeded, top.Status)
	require.Equal(t, "pi_1", top.StripePI)
	require.Equal(t, 110*ledger.Credit, b.balance(t, b.user.ID).Available)
	grants, err := b.Grants(t.Context(), operator, ledger.GrantFilter{UserID: b.user.ID}, ledger.Page{})
	require.NoError(t, err)
	require.Len(t, grants.Items, 2)
	byCategory := map[ledger.GrantCategory]ledger.Grant{}
	for _, g := range grants.Items {
		byCategory[g.Category] = g
	}
	paid, promo := byCategory[ledger.GrantPaid], byCategory[ledger.GrantPromo]
	require.Equal(t, starter.Credits, paid.Amount)
	require.Equal(t, starter.BonusCredits, promo.Amount)
	require.Less(t, promo.Priority, paid.Priority, "promotional credits are spent first")
	require.Equal(t, paid.CreatedAt.UTC().AddDate(0, 0, 365), paid.ExpiresAt.UTC())
	require.Equal(t, promo.CreatedAt.UTC().AddDate(0, 0, 30), promo.ExpiresAt.UTC())
	again := b.apply(t, top, succeeded("pi_1"))
	again.Checks = top.Checks
	require.Equal(t, top, again, "told twice")

	// The run takes the bonus first; 95 credits of what was paid are left to give back.
	a, err := b.authorize(t.Context(), b.mandate(t, b.user.ID, ledger.Rules{}), 15*ledger.Credit)
	require.NoError(t, err)
	_, err = b.Capture(t.Context(), b.call(runner), a.Hold.ID, ledger.CaptureInput{})
	require.NoError(t, err)
	_, err = b.cardRefund(t, top, 960)
	refused(t, err, ledger.CodeRefundExceeds)
	_, err = b.cardRefund(t, top, 950)
	require.NoError(t, err)
	b.settled(t)
	require.Zero(t, b.balance(t, b.user.ID).Available)
	top, err = b.TopUpByID(t.Context(), operator, top.ID)
	require.NoError(t, err)
	require.Equal(t, ledger.StatusPartiallyRefunded, top.Status)
	require.EqualValues(t, 950, top.ReturnedCents)
	require.Equal(t, 95*ledger.Credit, top.CreditsTaken)
	require.Zero(t, top.BonusTaken, "it was spent")
}

func TestReversalsTakeCreditsAndGiveThemBack(t *testing.T) {
	t.Parallel()
	b := setup(t, pgstore.Settings{})
	top := b.topUp(t, "pi_1")
	ours, err := b.cardRefund(t, top, 250)
	require.NoError(t, err)
	require.Equal(t, 825*ledger.Credit/10, b.balance(t, b.user.ID).Available, "three quarters of credits and bonus")
	top, err = b.FailCardRefund(t.Context(), top.ID, ours.ID, ledger.PaymentFailure{Code: "charge_disputed", Message: "no"})
	require.NoError(t, err)
	require.Equal(t, ledger.StatusSucceeded, top.Status)
	require.Equal(t, 110*ledger.Credit, b.balance(t, b.user.ID).Available)

	// A refund and a dispute that Stripe alone knows of.
	report := succeeded("pi_1")
	report.Refunds = []ledger.ReversalReport{{StripeID: "re_1", Status: ledger.StatusSucceeded, AmountCents: 300}}
	report.Disputes = []ledger.ReversalReport{{StripeID: "dp_1", Status: ledger.StatusDisputed, AmountCents: 700}}
	top = b.apply(t, top, report)
	require.Equal(t, ledger.StatusDisputed, top.Status)
	require.Zero(t, b.balance(t, b.user.ID).Available)
	require.Len(t, top.Refunds, 2)
	report.Disputes[0].Status = ledger.StatusWon
	top = b.apply(t, top, report)
	require.Equal(t, ledger.StatusPartiallyRefunded, top.Status)
	require.Equal(t, 77*ledger.Credit, b.balance(t, b.user.ID).Available)
	report.Disputes[0].Status = ledger.StatusDisputed // Read before.
	top = b.apply(t, top, report)
	require.Equal(t, ledger.StatusPartiallyRefunded, top.Status, "a dispute that was won stays so")
	report.Refunds[0].Status = ledger.StatusFailed
	top = b.apply(t, top, report)
	require.Equal(t, ledger.StatusSucceeded, top.Status)
	require.Equal(t, 110*ledger.Credit, b.balance(t, b.user.ID).Available)
	require.Zero(t, top.ReturnedCents)
}

func TestCreditsOnHoldAreTakenWhenTheyAreFree(t *testing.T) {
	t.Parallel()
	b := setup(t, pgstore.Settings{})
	top := b.topUp(t, "pi_1")
	a, err := b.authorize(t.Context(), b.mandate(t, b.user.ID, ledger.Rules{}), 60*ledger.Credit)
	require.NoError(t, err)
	report := succeeded("pi_1")
	report.Refunds = []ledger.ReversalReport{{StripeID: "re_1", Status: ledger.StatusSucceeded, AmountCents: 1000}}
	top = b.apply(t, top, report)
	require.Equal(t, ledger.StatusRefunded, top.Status)
	require.Equal(t, 50*ledger.Credit, top.CreditsTaken)
	balance := b.balance(t, b.user.ID)
	require.Equal(t, 60*ledger.Credit, balance.Posted)
	require.Zero(t, balance.Available)
	_, err = b.Release(t.Context(), b.call(runner), a.Hold.ID)
	require.NoError(t, err)
	top = b.apply(t, top, report)
	require.Equal(t, starter.Credits, top.CreditsTaken)
	require.Equal(t, starter.BonusCredits, top.BonusTaken)
	require.Zero(t, b.balance(t, b.user.ID).Posted)
}

func TestWhatWasBoughtExpires(t *testing.T) {
	t.Parallel()
	clock := &manual{at: time.Now().UTC()}
	b := setup(t, pgstore.Settings{Now: clock.now})
	top := b.topUp(t, "pi_1")
	report := succeeded("pi_1")
	report.Disputes = []ledger.ReversalReport{{StripeID: "dp_1", Status: ledger.StatusDisputed, AmountCents: 1000}}
	clock.add(24 * time.Hour)
	b.apply(t, top, report)
	require.Zero(t, b.balance(t, b.user.ID).Posted)
	clock.add(60 * 24 * time.Hour)
	report.Disputes[0].Status = ledger.StatusWon
	b.apply(t, top, report)
	clock.add(time.Millisecond)
	require.Equal(t, starter.Credits, b.balance(t, b.user.ID).Available, "the bonus has expired while the bank had the money")
	_, err := b.ExpireDue(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, starter.Credits, b.balance(t, b.user.ID).Posted)
	clock.add(365 * 24 * time.Hour)
	require.Zero(t, b.balance(t, b.user.ID).Available)
	_, err = b.ExpireDue(t.Context(), 10)
	require.NoError(t, err)
	require.Zero(t, b.balance(t, b.user.ID).Posted)
	b.settled(t)
	// Money that goes back now finds no credits, and takes none from what else the user has.
	b.grant(t, b.user.ID, 7*ledger.Credit)
	report.Refunds = []ledger.ReversalReport{{StripeID: "re_1", Status: ledger.StatusSucceeded, AmountCents: 1000}}
	top = b.apply(t, top, report)
	require.Equal(t, ledger.StatusRefunded, top.Status)
	require.Zero(t, top.CreditsTaken)
	require.Equal(t, 7*ledger.Credit, b.balance(t, b.user.ID).Available)
}

func TestPaymentsThatDoNotFit(t *testing.T) {
	t.Parallel()
	b := setup(t, pgstore.Settings{})
	open := func() ledger.TopUp {
		top, err := b.OpenTopUp(t.Context(), b.call(operator), ledger.NewTopUp{UserID: b.user.ID, Package: starter, Request: func(uuid.UUID) (json.RawMessage, error) { return json.RawMessage(`{}`), nil }})
		require.NoError(t, err)
		return top
	}
	top := open()
	cheap := succeeded("pi_1")
	cheap.Amount.AmountCents = 1
	_, err := b.ApplyPayment(t.Context(), top.ID, 0, cheap)
	refused(t, err, ledger.CodeConflict)
	short := succeeded("pi_1")
	short.Received = 999
	_, err = b.ApplyPayment(t.Context(), top.ID, 0, short)
	refused(t, err, ledger.CodeConflict)
	_, err = b.ApplyPayment(t.Context(), top.ID, 7, succeeded("pi_1"))
	refused(t, err, ledger.CodeVersionMismatch)
	top, err = b.ApplyPayment(t.Context(), top.ID, 0, ledger.PaymentReport{StripePI: "pi_1", Status: ledger.StatusFailed, Failure: &ledger.PaymentFailure{Code: "card_declined", Message: "no"}})
	require.NoError(t, err)
	require.Equal(t, ledger.StatusFailed, top.Status)
	require.Equal(t, "card_declined", top.Failure.Code)
	_, err = b.cardRefund(t, top, 1)
	refused(t, err, ledger.CodeConflict)
	_, err = b.ApplyPayment(t.Context(), top.ID, 1, succeeded("pi_2"))
	refused(t, err, ledger.CodeConflict)
	top = b.apply(t, top, succeeded("pi_1"))
	require.Equal(t, ledger.StatusSucceeded, top.Status, "a failed attempt is not the end")
	require.Nil(t, top.Failure)
	top = b.apply(t, top, ledger.PaymentReport{StripePI: "pi_1", Status: ledger.StatusProcessing})
	require.Equal(t, ledger.StatusSucceeded, top.Status, "what was read before does not undo it")
	other := open()
	_, err = b.ApplyPayment(t.Context(), other.ID, 0, succeeded("pi_1"))
	refused(t, err, ledger.CodeAlreadyExists)
	b.settled(t)
}

func TestSQLRefusesMoneyFromNowhere(t *testing.T) {
	t.Parallel()
	b := setup(t, pgstore.Settings{})
	top := b.topUp(t, "pi_1")
	conn := b.connect(t)
	_, err := conn.Exec(t.Context(), "SELECT set_config('app.actor', 'system:test', false)")
	require.NoError(t, err)
	const row = "INSERT INTO ledger.transactions (id, user_id, kind, status, credits, settled, amount_cents, currency, parent_id, source_grant_id) "
	for name, sql := range map[string]string{
		"a top-up that begins as paid":         row + "SELECT gen_random_uuid(), user_id, 'topup', 'succeeded', 5, 5, 5, 'EUR', NULL, NULL FROM ledger.transactions WHERE id = $1",
		"a top-up without a price":             row + "SELECT gen_random_uuid(), user_id, 'topup', 'created', 5, 0, 0, 'EUR', NULL, NULL FROM ledger.transactions WHERE id = $1",
		"a refund of more than was paid":       row + "SELECT gen_random_uuid(), user_id, 'card_refund', 'processing', 5, 0, 1001, 'EUR', id, NULL FROM ledger.transactions WHERE id = $1",
		"a refund in another currency":         row + "SELECT gen_random_uuid(), user_id, 'card_refund', 'processing', 5, 0, 10, 'USD', id, NULL FROM ledger.transactions WHERE id = $1",
		"a restore of what was not taken":      row + "SELECT gen_random_uuid(), t.user_id, 'restore', 'succeeded', 5, 5, NULL, NULL, t.id, g.id FROM ledger.transactions t JOIN ledger.credit_grants g ON g.transaction_id = t.id WHERE t.id = $1",
		"a clawback from a grant of others":    row + "SELECT gen_random_uuid(), t.user_id, 'clawback', 'succeeded', 5, 5, NULL, NULL, t.id, g.id FROM ledger.transactions t, ledger.credit_grants g WHERE g.category = 'promo' AND t.id = $1",
		"a paid top-up that is canceled":       "UPDATE ledger.transactions SET status = 'canceled', settled = 0, row_version = row_version + 1 WHERE id = $1",
		"a status without the credits":         "UPDATE ledger.transactions SET status = 'succeeded', settled = 1, row_version = row_version + 1 WHERE id = $1",
		"credits that are said to be back":     "UPDATE ledger.transactions SET refunded = 1, row_version = row_version + 1 WHERE id = $1",
		"another payment":                      "UPDATE ledger.transactions SET stripe_pi = 'pi_2', row_version = row_version + 1 WHERE id = $1",
		"another payment in the other table":   "UPDATE ledger.payments SET stripe_id = 'pi_2' WHERE transaction_id = $1",
		"other terms":                          "UPDATE ledger.payments SET bonus = bonus + 1 WHERE transaction_id = $1",
		"a payment that is removed":            "DELETE FROM ledger.payments WHERE transaction_id = $1",
		"a grant of credits that were granted": "INSERT INTO ledger.credit_grants (id, user_id, transaction_id, category, amount, remaining) SELECT gen_random_uuid(), user_id, id, 'paid', credits, credits FROM ledger.transactions WHERE id = $1",
	} {
		_, err := conn.Exec(t.Context(), sql, top.ID)
		var refusal *pgconn.PgError
		require.ErrorAs(t, err, &refusal, name)
		require.Regexp(t, "^(LA|LL|23)", refusal.Code, "%s: %s", name, refusal.Message)
	}
	b.settled(t)
}

func TestReplayedTopUpIsTheSame(t *testing.T) {
	t.Parallel()
	b := setup(t, pgstore.Settings{})
	in := ledger.NewTopUp{UserID: b.user.ID, Package: starter, Request: func(uuid.UUID) (json.RawMessage, error) { return json.RawMessage(`{}`), nil }}
	first, err := b.OpenTopUp(t.Context(), keyed(operator, "k", "buy"), in)
	require.NoError(t, err)
	b.apply(t, first, succeeded("pi_1"))
	call := keyed(operator, "k", "buy")
	again, err := b.OpenTopUp(t.Context(), call, in)
	require.NoError(t, err)
	require.True(t, call.Replayed)
	require.Equal(t, first.ID, again.ID)
	require.Equal(t, ledger.StatusSucceeded, again.Status, "as it is now")
	_, err = b.OpenTopUp(t.Context(), keyed(operator, "k", "buy more"), in)
	refused(t, err, ledger.CodeKeyReused)
}

func TestClaimedPaymentsArePutOff(t *testing.T) {
	t.Parallel()
	clock := &manual{}
	b := setup(t, pgstore.Settings{})
	paid := b.topUp(t, "pi_1")
	pending, err := b.OpenTopUp(t.Context(), b.call(operator), ledger.NewTopUp{UserID: b.user.ID, Package: starter, Request: func(uuid.UUID) (json.RawMessage, error) { return json.RawMessage(`{}`), nil }})
	require.NoError(t, err)
	later := open(t, pgstore.Settings{URL: b.url, Now: clock.now})
	clock.set(pending.CreatedAt.Add(2 * time.Minute))
	due, err := later.ClaimPayments(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{pending.ID}, due, "nothing is open of %s", paid.ID)
	due, err = later.ClaimPayments(t.Context(), 10)
	require.NoError(t, err)
	require.Empty(t, due)
	unknown, err := b.UnknownReversals(t.Context(), []string{"pi_1", "re_9"})
	require.NoError(t, err)
	require.Equal(t, []string{"re_9"}, unknown)
}
