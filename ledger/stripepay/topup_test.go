package stripepay_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/stripetest"
	"github.com/agenttrail/agenttrail/ledger"
)

const bought = 110 * ledger.Credit

func TestUserPaysInTheBrowser(t *testing.T) {
	t.Parallel()
	b := setup(t)
	top := b.buy(t, "")
	require.Equal(t, ledger.StatusCreated, top.Status)
	require.NotEmpty(t, top.StripePI)
	require.Contains(t, top.ClientSecret, top.StripePI+"_secret_")
	require.Zero(t, b.available(t, b.user.ID))
	intent := b.fake.Intent(top.StripePI)
	require.Equal(t, top.ID.String(), intent.Metadata["agenttrail_transaction"])
	user, err := b.store.User(t.Context(), operator, b.user.ID)
	require.NoError(t, err)
	require.Equal(t, user.StripeCustomerID, intent.Customer)

	b.fake.Pay(top.StripePI, stripetest.CardDeclined)
	b.receiveAll(t)
	top = b.topUp(t, top.ID)
	require.Equal(t, ledger.StatusFailed, top.Status)
	require.Equal(t, "generic_decline", top.Failure.Code)
	b.fake.Pay(top.StripePI, stripetest.CardNeedsProof)
	b.receiveAll(t)
	require.Equal(t, ledger.StatusProcessing, b.topUp(t, top.ID).Status)
	b.fake.Prove(top.StripePI, true)
	b.receiveAll(t)
	top = b.topUp(t, top.ID)
	require.Equal(t, ledger.StatusSucceeded, top.Status)
	require.Nil(t, top.Failure)
	require.Equal(t, bought, b.available(t, b.user.ID))

	// What was asked for and what came of it, without secrets.
	require.JSONEq(t, `{"amount":1000,"currency":"eur","customer":"`+intent.Customer+`","description":"100 credits","metadata":{"agenttrail_transaction":"`+top.ID.String()+`","agenttrail_user":"`+b.user.ID.String()+`"}}`, string(top.RequestJSON))
	require.Contains(t, string(top.ReceiptJSON), `"succeeded"`)
	rows, err := b.pool(t).Query(t.Context(), "SELECT to_jsonb(p)::text FROM ledger.payments p UNION ALL SELECT to_jsonb(e)::text FROM ledger.stripe_events e UNION ALL SELECT to_jsonb(i)::text FROM ledger.idempotency_keys i UNION ALL SELECT to_jsonb(a)::text FROM ledger.audit_logs a")
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Greater(t, len(all), 5)
	for _, row := range all {
		require.NotContains(t, row, "_secret_", "a secret is in the database")
	}
	again := b.buy(t, "")
	require.Equal(t, intent.Customer, b.fake.Intent(again.StripePI).Customer, "one customer for all top-ups")
	require.Equal(t, 1, b.fake.Count("cus_"))
	b.settled(t)
}

func TestSavedCardIsChargedAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	top := b.buy(t, stripetest.CardPays)
	require.Equal(t, ledger.StatusSucceeded, top.Status, "without any event")
	require.Empty(t, top.ClientSecret)
	require.Equal(t, bought, b.available(t, b.user.ID))
	declined := b.buy(t, stripetest.CardDeclined)
	require.Equal(t, ledger.StatusFailed, declined.Status)
	require.Equal(t, "Your card was declined.", declined.Failure.Message)
	require.NotEmpty(t, declined.ClientSecret, "the user can pay with another card")
	slow := b.buy(t, stripetest.SlowTransfer)
	require.Equal(t, ledger.StatusProcessing, slow.Status)
	require.Equal(t, bought, b.available(t, b.user.ID))
	b.fake.Clear(slow.StripePI, false)
	b.receiveAll(t)
	require.Equal(t, ledger.StatusFailed, b.topUp(t, slow.ID).Status)
	b.fake.Pay(slow.StripePI, stripetest.CardPays)
	b.receiveAll(t)
	require.Equal(t, 2*bought, b.available(t, b.user.ID))
	b.settled(t)
}

func TestSameKeyIsTheSameTopUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	in := ledger.TopUpInput{UserID: b.user.ID, Package: "starter", PaymentMethod: stripetest.CardPays}
	first, err := b.TopUp(t.Context(), keyed("k", "buy"), in)
	require.NoError(t, err)
	second, err := b.TopUp(t.Context(), keyed("k", "buy"), in)
	require.NoError(t, err)
	require.Equal(t, first.ID, second.ID)
	_, err = b.TopUp(t.Context(), keyed("k", "buy something else"), in)
	refused(t, err, ledger.CodeKeyReused)
	times, cents := b.fake.Charged()
	require.Equal(t, 1, times)
	require.EqualValues(t, 1000, cents)
	require.Equal(t, bought, b.available(t, b.user.ID))
}

func TestAnswerThatGetsLost(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]stripetest.Fault{
		"Stripe has it":             {Lose: true},
		"Stripe does not have it":   {Drop: true},
		"Stripe fails":              {Status: http.StatusInternalServerError},
		"Stripe fails and keeps it": {Status: http.StatusInternalServerError, Save: true},
		"Stripe is busy":            {Status: http.StatusTooManyRequests},
		"another one is at it":      {Status: http.StatusConflict},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.fake.OnRequest(func(r *http.Request) stripetest.Fault {
				if r.Method == http.MethodPost && r.URL.Path == "/v1/payment_intents" {
					return fault
				}
				return stripetest.Fault{}
			})
			in := ledger.TopUpInput{UserID: b.user.ID, Package: "starter", PaymentMethod: stripetest.CardPays}
			_, err := b.TopUp(t.Context(), keyed("k", "buy"), in)
			require.NotZero(t, refusal(t, err, ledger.CodeUnavailable).RetryAfter)
			b.fake.OnRequest(nil)
			if fault.Save {
				// The key gives the failure again until Stripe forgets it; only the sweep can tell then.
				_, err := b.TopUp(t.Context(), keyed("k", "buy"), in)
				refused(t, err, ledger.CodeUnavailable)
				b.pass(2 * time.Minute)
				require.Error(t, b.sweep(t.Context(), b.Service))
				b.fake.ForgetKeys()
			}
			top, err := b.TopUp(t.Context(), keyed("k", "buy"), in)
			require.NoError(t, err)
			require.Equal(t, ledger.StatusSucceeded, top.Status)
			times, _ := b.fake.Charged()
			require.Equal(t, 1, times)
			require.Equal(t, bought, b.available(t, b.user.ID))
			b.settled(t)
		})
	}
}

func TestWhatStripeRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	in := ledger.TopUpInput{UserID: b.user.ID, Package: "tiny"}
	_, err := b.TopUp(t.Context(), keyed("k", "buy"), in)
	require.ErrorContains(t, refusal(t, err, ledger.CodePaymentRefused), "at least 50 cents")
	_, err = b.TopUp(t.Context(), keyed("k", "buy"), in)
	require.ErrorContains(t, refusal(t, err, ledger.CodePaymentRefused), "at least 50 cents")
	list, err := b.TopUps(t.Context(), operator, ledger.TopUpFilter{UserID: b.user.ID, Status: ledger.StatusCanceled}, ledger.Page{})
	require.NoError(t, err)
	require.Len(t, list.Items, 1)
	require.Equal(t, "amount_too_small", list.Items[0].Failure.Code)
	_, err = b.TopUp(t.Context(), b.call("x"), ledger.TopUpInput{UserID: b.user.ID, Package: "gold"})
	refused(t, err, ledger.CodeInvalid)
	_, err = b.TopUp(t.Context(), b.call("x"), ledger.TopUpInput{UserID: list.Items[0].ID, Package: "starter"})
	refused(t, err, ledger.CodeNotFound)
	other := b.newUser(t, "eve@example.com")
	_, err = b.TopUp(t.Context(), &ledger.Call{Actor: ledger.Actor{Principal: "key:eve", UserID: other.ID, Scopes: []ledger.Scope{ledger.ScopeManage}}}, ledger.TopUpInput{UserID: b.user.ID, Package: "starter"})
	refused(t, err, ledger.CodeNotFound)
	_, err = b.TopUp(t.Context(), &ledger.Call{Actor: ledger.Actor{Principal: "key:run", Scopes: []ledger.Scope{ledger.ScopeExecute}}}, ledger.TopUpInput{UserID: b.user.ID, Package: "starter"})
	refused(t, err, ledger.CodeForbidden)
}

func TestKeyThatStripeDoesNotTake(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.settings.APIKey = "sk_test_of_somebody_else"
	wrong := b.restart(t, b.store)
	_, err := wrong.TopUp(t.Context(), b.call("buy"), ledger.TopUpInput{UserID: b.user.ID, Package: "starter"})
	require.NotContains(t, refusal(t, err, ledger.CodePaymentsDisabled).Message, "sk_test")
}

func TestWithoutKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	top := b.buy(t, stripetest.CardPays)
	b.settings.APIKey, b.settings.WebhookSecrets = "", nil
	none := b.restart(t, b.store)
	require.False(t, none.Enabled())
	_, err := none.TopUp(t.Context(), b.call("buy"), ledger.TopUpInput{UserID: b.user.ID, Package: "starter"})
	refused(t, err, ledger.CodePaymentsDisabled)
	_, err = none.RefundTopUp(t.Context(), b.call("refund"), top.ID, ledger.CardRefundInput{})
	refused(t, err, ledger.CodePaymentsDisabled)
	_, err = none.CancelTopUp(t.Context(), b.call("cancel"), top.ID)
	refused(t, err, ledger.CodePaymentsDisabled)
	refused(t, none.ReceiveEvent(t.Context(), http.Header{}, nil), ledger.CodePaymentsDisabled)
	require.NoError(t, b.sweep(t.Context(), none))
	seen, err := none.TopUpByID(t.Context(), operator, top.ID)
	require.NoError(t, err)
	require.Equal(t, top.ID, seen.ID, "what was bought before can be seen")
}

func TestCancel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	top := b.buy(t, "")
	canceled, err := b.CancelTopUp(t.Context(), b.call("cancel"), top.ID)
	require.NoError(t, err)
	require.Equal(t, ledger.StatusCanceled, canceled.Status)
	require.Equal(t, "canceled", b.fake.Intent(top.StripePI).Status)
	again, err := b.CancelTopUp(t.Context(), b.call("cancel"), top.ID)
	require.NoError(t, err)
	require.Equal(t, ledger.StatusCanceled, again.Status)
	paid := b.buy(t, stripetest.CardPays)
	_, err = b.CancelTopUp(t.Context(), b.call("cancel"), paid.ID)
	refused(t, err, ledger.CodeConflict)
	b.settled(t)
}

func TestRefundToTheCard(t *testing.T) {
	t.Parallel()
	b := setup(t)
	top := b.buy(t, stripetest.CardPays)
	cents := int64(300)
	call := keyed("refund", "300")
	top, err := b.RefundTopUp(t.Context(), call, top.ID, ledger.CardRefundInput{AmountCents: &cents, Reason: "asked for"})
	require.NoError(t, err)
	require.Equal(t, ledger.StatusPartiallyRefunded, top.Status)
	require.Len(t, top.Refunds, 1)
	require.Equal(t, ledger.StatusSucceeded, top.Refunds[0].Status)
	require.Equal(t, "asked for", top.Refunds[0].Reason)
	require.Contains(t, string(top.Refunds[0].RequestJSON), top.Refunds[0].ID.String())
	require.Contains(t, string(top.Refunds[0].ReceiptJSON), `"succeeded"`)
	require.Equal(t, 77*ledger.Credit, b.available(t, b.user.ID))
	replayed, err := b.RefundTopUp(t.Context(), keyed("refund", "300"), top.ID, ledger.CardRefundInput{AmountCents: &cents, Reason: "asked for"})
	require.NoError(t, err)
	require.Len(t, replayed.Refunds, 1)
	require.EqualValues(t, 300, b.fake.Intent(top.StripePI).Refunded)
	b.receiveAll(t)
	require.Len(t, b.topUp(t, top.ID).Refunds, 1, "the event is about the refund that we know of")

	b.fake.FailRefund(top.Refunds[0].StripeID)
	b.receiveAll(t)
	top = b.topUp(t, top.ID)
	require.Equal(t, ledger.StatusSucceeded, top.Status)
	require.Equal(t, ledger.StatusFailed, top.Refunds[0].Status)
	require.Equal(t, bought, b.available(t, b.user.ID), "the money did not go back, so the credits are there again")

	// Stripe knows of a refund that we do not, and refuses to give back more.
	b.fake.Refund(top.StripePI, 800)
	_, err = b.RefundTopUp(t.Context(), b.call("refund"), top.ID, ledger.CardRefundInput{})
	refused(t, err, ledger.CodePaymentRefused)
	require.Equal(t, bought, b.available(t, b.user.ID), "nothing was taken for a refund that was refused")
	b.receiveAll(t)
	require.Equal(t, 22*ledger.Credit, b.available(t, b.user.ID))
	top, err = b.RefundTopUp(t.Context(), b.call("refund"), top.ID, ledger.CardRefundInput{})
	require.NoError(t, err)
	require.Equal(t, ledger.StatusRefunded, top.Status)
	require.Zero(t, b.available(t, b.user.ID))
	_, err = b.RefundTopUp(t.Context(), b.call("refund"), top.ID, ledger.CardRefundInput{})
	refused(t, err, ledger.CodeRefundExceeds)
	b.settled(t)
}

// The caller asks again before any sweep has looked.
func TestRefundWhoseAnswerGetsLost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	top := b.buy(t, stripetest.CardPays)
	b.fake.OnRequest(func(r *http.Request) stripetest.Fault { return stripetest.Fault{Lose: r.Method == http.MethodPost} })
	cents := int64(300)
	_, err := b.RefundTopUp(t.Context(), keyed("refund", "300"), top.ID, ledger.CardRefundInput{AmountCents: &cents})
	refused(t, err, ledger.CodeUnavailable)
	b.fake.OnRequest(nil)
	top, err = b.RefundTopUp(t.Context(), keyed("refund", "300"), top.ID, ledger.CardRefundInput{AmountCents: &cents})
	require.NoError(t, err)
	require.Equal(t, ledger.StatusSucceeded, top.Refunds[0].Status)
	require.Equal(t, 1, b.fake.Count("re_"))
	require.Equal(t, 77*ledger.Credit, b.available(t, b.user.ID))
	b.settled(t)
}

func TestDispute(t *testing.T) {
	t.Parallel()
	b := setup(t)
	lost, won := b.buy(t, stripetest.CardPays), b.buy(t, stripetest.CardPays)
	dl, dw := b.fake.Dispute(lost.StripePI, 1000), b.fake.Dispute(won.StripePI, 1000)
	b.receiveAll(t)
	require.Equal(t, ledger.StatusDisputed, b.topUp(t, lost.ID).Status)
	require.Zero(t, b.available(t, b.user.ID), "disputed credits cannot be spent")
	_, err := b.RefundTopUp(t.Context(), b.call("refund"), lost.ID, ledger.CardRefundInput{})
	refused(t, err, ledger.CodeConflict)
	b.fake.Answer(dw)
	b.fake.Decide(dl, false)
	b.fake.Decide(dw, true)
	b.receiveAll(t)
	require.Equal(t, ledger.StatusRefunded, b.topUp(t, lost.ID).Status)
	top := b.topUp(t, won.ID)
	require.Equal(t, ledger.StatusSucceeded, top.Status)
	require.Equal(t, ledger.StatusWon, top.Disputes[0].Status)
	require.Equal(t, "fraudulent", top.Disputes[0].Reason)
	require.Equal(t, bought, b.available(t, b.user.ID))
	b.settled(t)
}

func TestStripeIsGivenUpOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	release := make(chan struct{})
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b.fake.OnRequest(func(r *http.Request) stripetest.Fault {
		if strings.HasPrefix(r.URL.Path, "/v1/payment_intents") {
			cancel() // Not before it has got as far.
			<-release
		}
		return stripetest.Fault{}
	})
	_, err := b.TopUp(ctx, b.call("buy"), ledger.TopUpInput{UserID: b.user.ID, Package: "starter"})
	refused(t, err, ledger.CodeUnavailable)
	list, err := b.TopUps(t.Context(), operator, ledger.TopUpFilter{}, ledger.Page{})
	require.NoError(t, err)
	require.Equal(t, ledger.StatusCreated, list.Items[0].Status, "nobody knows, so it has not failed")
}
