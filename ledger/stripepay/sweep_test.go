package stripepay_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/stripetest"
	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/stripepay"
)

func TestSweepNeedsNoEvents(t *testing.T) {
	t.Parallel()
	b := setup(t)
	paid, open := b.buy(t, ""), b.buy(t, "")
	b.fake.Pay(paid.StripePI, stripetest.CardPays)
	require.NoError(t, b.sweep(t.Context(), b.Service), "undelivered events are asked for")
	require.Zero(t, b.available(t, b.user.ID), "their jobs have a minute")
	b.pass(2 * time.Minute)
	require.NoError(t, b.sweep(t.Context(), b.Service))
	require.Equal(t, bought, b.available(t, b.user.ID))
	require.Equal(t, ledger.StatusCreated, b.topUp(t, open.ID).Status)
	for _, e := range b.fake.Events() {
		b.fake.MarkDelivered(e.ID) // Or there is no endpoint at all.
	}
	b.fake.Pay(open.StripePI, stripetest.CardPays)
	b.fake.MarkDelivered(b.fake.Events()[len(b.fake.Events())-1].ID)
	before := len(b.fake.Requests())
	require.NoError(t, b.sweep(t.Context(), b.Service))
	require.Equal(t, ledger.StatusCreated, b.topUp(t, open.ID).Status, "it is not due")
	require.Less(t, len(b.fake.Requests())-before, 5)
	b.pass(5 * time.Minute)
	require.NoError(t, b.sweep(t.Context(), b.Service))
	require.Equal(t, 2*bought, b.available(t, b.user.ID))

	// What people do in the dashboard.
	b.fake.Refund(paid.StripePI, 500)
	dispute := b.fake.Dispute(open.StripePI, 1000)
	for _, e := range b.fake.Events() {
		b.fake.MarkDelivered(e.ID)
	}
	require.NoError(t, b.sweep(t.Context(), b.Service))
	require.Equal(t, bought/2, b.available(t, b.user.ID))
	b.fake.Decide(dispute, true)
	b.pass(time.Hour)
	require.NoError(t, b.sweep(t.Context(), b.Service), "an open dispute is looked at")
	require.Equal(t, bought+bought/2, b.available(t, b.user.ID))
	b.settled(t)
}

func TestSweepFindsWhatStripeHas(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fake.OnRequest(func(r *http.Request) stripetest.Fault {
		return stripetest.Fault{Lose: r.Method == http.MethodPost && r.URL.Path == "/v1/payment_intents"}
	})
	_, err := b.TopUp(t.Context(), b.call("buy"), ledger.TopUpInput{UserID: b.user.ID, Package: "starter", PaymentMethod: stripetest.CardPays})
	refused(t, err, ledger.CodeUnavailable)
	b.fake.OnRequest(nil)
	b.fake.ForgetKeys() // Days later the key would make a second payment.
	for _, e := range b.fake.Events() {
		b.fake.MarkDelivered(e.ID) // There is no endpoint.
	}
	b.pass(3 * 24 * time.Hour)
	require.NoError(t, b.sweep(t.Context(), b.Service))
	times, _ := b.fake.Charged()
	require.Equal(t, 1, times)
	require.Equal(t, bought, b.available(t, b.user.ID))
	b.settled(t)
}

func TestSweepAsksAgainWhileTheKeyIsSafe(t *testing.T) {
	t.Parallel()
	b := setup(t)
	buy := func() {
		b.fake.OnRequest(func(r *http.Request) stripetest.Fault {
			return stripetest.Fault{Drop: r.Method == http.MethodPost && r.URL.Path == "/v1/payment_intents"}
		})
		_, err := b.TopUp(t.Context(), b.call("buy"), ledger.TopUpInput{UserID: b.user.ID, Package: "starter", PaymentMethod: stripetest.CardPays})
		refused(t, err, ledger.CodeUnavailable)
		b.fake.OnRequest(nil)
	}
	buy()
	b.pass(2 * time.Minute)
	require.NoError(t, b.sweep(t.Context(), b.Service))
	require.Equal(t, bought, b.available(t, b.user.ID))
	buy()
	b.pass(24 * time.Hour)
	require.NoError(t, b.sweep(t.Context(), b.Service))
	list, err := b.TopUps(t.Context(), operator, ledger.TopUpFilter{Status: ledger.StatusCanceled}, ledger.Page{})
	require.NoError(t, err)
	require.Len(t, list.Items, 1)
	require.Equal(t, "not_at_stripe", list.Items[0].Failure.Code)
	times, _ := b.fake.Charged()
	require.Equal(t, 1, times)
	b.settled(t)
}

func TestSweepEndsRefundsThatWereBegun(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]stripetest.Fault{"Stripe has it": {Lose: true}, "Stripe does not have it": {Drop: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			top := b.buy(t, stripetest.CardPays)
			b.fake.OnRequest(func(r *http.Request) stripetest.Fault {
				if r.Method == http.MethodPost {
					return fault
				}
				return stripetest.Fault{}
			})
			cents := int64(200)
			_, err := b.RefundTopUp(t.Context(), b.call("refund"), top.ID, ledger.CardRefundInput{AmountCents: &cents})
			refused(t, err, ledger.CodeUnavailable)
			require.Equal(t, 88*ledger.Credit, b.available(t, b.user.ID), "the credits are taken before the money goes")
			b.fake.OnRequest(nil)
			b.fake.ForgetKeys()
			b.pass(2 * time.Minute)
			require.NoError(t, b.sweep(t.Context(), b.Service))
			top = b.topUp(t, top.ID)
			require.Len(t, top.Refunds, 1)
			require.Equal(t, ledger.StatusSucceeded, top.Refunds[0].Status)
			require.Equal(t, 1, b.fake.Count("re_"))
			require.EqualValues(t, 200, b.fake.Intent(top.StripePI).Refunded)
			require.Equal(t, 88*ledger.Credit, b.available(t, b.user.ID))
			b.settled(t)
		})
	}
}

// insist does something again as jobs do, where others were at the same payment each time that it was read.
func insist(f func() error) error {
	for begin := time.Now(); ; {
		if err := f(); ledger.CodeOf(err) != ledger.CodeUnavailable || time.Since(begin) > 2*time.Minute {
			return err
		}
	}
}

// Two instances work on the same at the same time: both are told of every event and sweep.
func TestTwoInstances(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var tops []ledger.TopUp
	for range 5 {
		top := b.buy(t, "")
		b.fake.Pay(top.StripePI, stripetest.CardPays)
		b.fake.Refund(top.StripePI, 500)
		tops = append(tops, top)
	}
	b.pass(2 * time.Minute)
	services := []*stripepay.Service{b.restart(t, b.store), b.restart(t, b.store)}
	var work sync.WaitGroup
	for i := range 8 {
		p := services[i%2]
		work.Go(func() {
			for _, e := range b.fake.Events() {
				if err := b.deliver(t.Context(), p, e); err != nil {
					t.Errorf("deliver %s: %v", e.ID, err)
				}
				if err := insist(func() error { return p.Process(t.Context(), e.ID) }); err != nil {
					t.Errorf("process %s: %v", e.ID, err)
				}
			}
			if err := insist(func() error { return b.sweep(t.Context(), p) }); err != nil {
				t.Errorf("sweep: %v", err)
			}
		})
	}
	work.Wait()
	for _, top := range tops {
		now := b.topUp(t, top.ID)
		require.Equal(t, ledger.StatusPartiallyRefunded, now.Status)
		require.Len(t, now.Refunds, 1)
	}
	require.Equal(t, 5*bought/2, b.available(t, b.user.ID))
	b.settled(t)
}

func TestEventsOfOthersAreIgnored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	body := []byte(`{"object":"event","id":"evt_others","type":"payment_intent.succeeded","created":1,"livemode":false,"data":{"object":{"id":"pi_of_a_shop"}}}`)
	b.receive(t, stripetest.Event{ID: "evt_others", Body: body})
	top := b.buy(t, "")
	b.fake.Pay(top.StripePI, stripetest.CardPays)
	live := []byte(`{"object":"event","id":"evt_live","type":"payment_intent.succeeded","created":1,"livemode":true,"data":{"object":{"id":"` + top.StripePI + `"}}}`)
	b.receive(t, stripetest.Event{ID: "evt_live", Body: live})
	require.Zero(t, b.available(t, b.user.ID), "an event of the account's other mode")
	for _, id := range []string{"evt_others", "evt_live"} {
		e, err := b.store.Event(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, ledger.EventIgnored, e.State)
	}
	refused(t, b.ReceiveEvent(t.Context(), http.Header{"Stripe-Signature": {stripetest.Sign(body, b.now(), "whsec_of_somebody_else")}}, body), ledger.CodeBadSignature)
	refused(t, b.ReceiveEvent(t.Context(), http.Header{"Stripe-Signature": {stripetest.Sign([]byte("[]"), b.now(), stripetest.Secret)}}, []byte("[]")), ledger.CodeInvalid)
}

func TestStripeAwayWhileEventsArrive(t *testing.T) {
	t.Parallel()
	b := setup(t)
	top := b.buy(t, "")
	b.fake.Pay(top.StripePI, stripetest.CardPays)
	b.fake.OnRequest(func(*http.Request) stripetest.Fault { return stripetest.Fault{Status: http.StatusServiceUnavailable} })
	for _, e := range b.fake.Events() {
		require.NoError(t, b.deliver(t.Context(), b.Service, e), "events are taken whether or not Stripe answers")
		require.Error(t, b.Process(t.Context(), e.ID), "the job is tried again")
	}
	b.fake.OnRequest(nil)
	b.pass(2 * time.Minute)
	require.NoError(t, b.sweep(t.Context(), b.Service))
	require.Equal(t, bought, b.available(t, b.user.ID))
}

func TestEventIsStoredWithItsJob(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.buy(t, "")
	var jobs []string
	var broken error
	b.settings.Enqueue = func(_ context.Context, _ pgx.Tx, event string) error {
		jobs = append(jobs, event)
		return broken
	}
	p := b.restart(t, b.store)
	e := b.fake.Events()[0]
	broken = errors.New("no queue")
	require.Error(t, b.deliver(t.Context(), p, e), "so Stripe sends it again")
	_, err := b.store.Event(t.Context(), e.ID)
	refused(t, err, ledger.CodeNotFound)
	broken = nil
	require.NoError(t, b.deliver(t.Context(), p, e))
	require.NoError(t, b.deliver(t.Context(), p, e))
	require.Equal(t, []string{e.ID, e.ID}, jobs, "one that was rolled back, and one for both deliveries")
}
