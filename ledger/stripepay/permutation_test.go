package stripepay_test

import (
	"flag"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/stripetest"
	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/stripepay"
)

var allOrders = flag.Bool("all-orders", false, "deliver events twice in every order there is, also where these are thousands (minutes)")

// story is what happens at Stripe to one payment.
type story struct {
	name   string
	happen func(f *stripetest.Fake, pi string)
	want   ledger.TransactionStatus
}

var stories = []story{
	{"a top-up", func(f *stripetest.Fake, pi string) {
		f.Pay(pi, stripetest.SlowTransfer)
		f.Clear(pi, true)
	}, ledger.StatusSucceeded},
	{"a failed, then a successful attempt", func(f *stripetest.Fake, pi string) {
		f.Pay(pi, stripetest.CardDeclined)
		f.Pay(pi, stripetest.CardPays)
	}, ledger.StatusSucceeded},
	{"a partial refund", func(f *stripetest.Fake, pi string) {
		f.Pay(pi, stripetest.CardPays)
		f.Refund(pi, 300)
	}, ledger.StatusPartiallyRefunded},
	{"a refund that fails", func(f *stripetest.Fake, pi string) {
		f.Pay(pi, stripetest.CardPays)
		f.FailRefund(f.Refund(pi, 1000))
	}, ledger.StatusSucceeded},
	{"a dispute that is lost", func(f *stripetest.Fake, pi string) {
		f.Pay(pi, stripetest.CardPays)
		f.Decide(f.Dispute(pi, 1000), false)
	}, ledger.StatusRefunded},
	{"a dispute that is won after a partial refund", func(f *stripetest.Fake, pi string) {
		f.Pay(pi, stripetest.CardPays)
		f.Refund(pi, 400)
		f.Decide(f.Dispute(pi, 600), true)
	}, ledger.StatusPartiallyRefunded},
}

// relevant are the types of events that tell these stories.
var relevant = []string{
	"payment_intent.created", "payment_intent.processing", "payment_intent.payment_failed", "payment_intent.succeeded",
	"charge.refunded", "charge.refund.updated", "charge.dispute.created", "charge.dispute.closed",
}

// TestEveryOrderOfEventsGivesOneState tells each story over and over, with its events delivered twice in another order
// each time, and compares what the ledger has in the end. Each order is tried with Stripe as it is at the end, and with
// readings at Stripe that lag: as if each had been made when its event was.
func TestEveryOrderOfEventsGivesOneState(t *testing.T) { //nolint:tparallel // The group ends when all below it have.
	t.Parallel()
	var orders, deliveries atomic.Int64
	t.Run("stories", func(t *testing.T) {
		for _, s := range stories {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				tellInEveryOrder(t, s, &orders, &deliveries)
			})
		}
	})
	require.False(t, t.Failed())
	t.Logf("tried %d orders of events (%d deliveries) in %d stories: all orders of a story reached one state", orders.Load(), deliveries.Load(), len(stories))
}

func tellInEveryOrder(t *testing.T, s story, orders, deliveries *atomic.Int64) {
	t.Helper()
	b := setup(t)
	pool := b.pool(t)
	n := len(b.tell(t, s).events)
	all, how := twice(n), "all orders in which each comes twice"
	if len(all) > fewOrders && !*allOrders {
		all, how = thenAgain(n), "all orders, each followed by its reverse"
	}
	states := map[string][]int{} // Each with an order that leads to it.
	for _, order := range all {
		for _, lag := range []bool{false, true} {
			states[b.play(t, pool, s, order, lag)] = order
			orders.Add(1)
			deliveries.Add(int64(len(order)))
		}
	}
	require.Len(t, states, 1, "orders lead to different states")
	for got := range states {
		require.Contains(t, got, fmt.Sprintf("%q", s.want))
		t.Logf("%d events, %s: %d orders, with readings as of the end and as of each event, reached one state: %s", n, how, len(all), got)
	}
	b.settled(t)
}

// fewOrders is how many orders are tried without being asked to.
const fewOrders = 100

// told is a story that has happened at Stripe.
type told struct {
	fake    *stripetest.Fake
	service *stripepay.Service
	topUp   ledger.TopUp
	events  []stripetest.Event
}

func (b *bundle) tell(t *testing.T, s story) told {
	t.Helper()
	own := told{fake: stripetest.New(t)}
	own.fake.Remember()
	settings := b.settings
	settings.APIURL, settings.Registry = own.fake.URL, prometheus.NewRegistry()
	var err error
	own.service, err = stripepay.New(settings)
	require.NoError(t, err)
	user := b.newUser(t, fmt.Sprintf("%d@example.com", b.calls.Add(1)))
	own.topUp, err = own.service.TopUp(t.Context(), b.call("buy"), ledger.TopUpInput{UserID: user.ID, Package: "starter"})
	require.NoError(t, err)
	s.happen(own.fake, own.topUp.StripePI)
	for _, e := range own.fake.Events() {
		if slices.Contains(relevant, e.Type) {
			own.events = append(own.events, e)
		}
	}
	return own
}

// play delivers the events of a story in an order, has each delivery worked on, and returns what came of it.
func (b *bundle) play(t *testing.T, pool *pgxpool.Pool, s story, order []int, lag bool) string {
	t.Helper()
	own := b.tell(t, s)
	for _, i := range order {
		e := own.events[i]
		if lag {
			own.fake.Lag(e.ID)
		}
		header := http.Header{"Stripe-Signature": {stripetest.Sign(e.Body, b.now(), stripetest.Secret)}}
		require.NoError(t, own.service.ReceiveEvent(t.Context(), header, e.Body))
		// Its job runs again for the second delivery, as after a crash.
		_, err := pool.Exec(t.Context(), "UPDATE ledger.stripe_events SET state = 'pending', processed_at = NULL WHERE id = $1", e.ID)
		require.NoError(t, err)
		require.NoError(t, own.service.Process(t.Context(), e.ID))
	}
	ids := make([]string, len(own.events))
	for i, e := range own.events {
		ids[i] = e.ID
	}
	var processed int
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM ledger.stripe_events WHERE id = ANY ($1) AND state = 'processed'", ids).Scan(&processed))
	require.Equal(t, len(ids), processed, "an event was not processed in the order %v", order)
	return b.state(t, pool, own.topUp)
}

// permutations are all orders of 0 to n-1.
func permutations(n int) (all [][]int) {
	return arrange(make([]int, 0, n), slices.Repeat([]int{1}, n))
}

// twice are all different orders in which each of 0 to n-1 comes twice.
func twice(n int) (all [][]int) {
	return arrange(make([]int, 0, 2*n), slices.Repeat([]int{2}, n))
}

// arrange completes an order with what is left of each number.
func arrange(begun, left []int) (all [][]int) {
	complete := true
	for i := range left {
		if left[i] == 0 {
			continue
		}
		complete = false
		left[i]--
		all = append(all, arrange(append(slices.Clone(begun), i), left)...)
		left[i]++
	}
	if complete {
		return [][]int{begun}
	}
	return all
}

// thenAgain are all orders of 0 to n-1, each followed by its reverse.
func thenAgain(n int) (all [][]int) {
	for _, p := range permutations(n) {
		reverse := slices.Clone(p)
		slices.Reverse(reverse)
		all = append(all, slices.Concat(p, reverse))
	}
	return all
}
