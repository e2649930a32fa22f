package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/internal/stripetest"
)

// killing is one way to end the ledger with kill -9 between what Stripe has and what the ledger has.
type killing struct {
	name string
	// on is the request to Stripe during which it is killed; empty if it is none.
	on string
	// before has Stripe not do it.
	before bool
	// lock is taken before Stripe answers, or before an event is sent, and holds up the ledger where it wants to write
	// down what it knows; then it is killed.
	lock string
	// event is sent instead of waiting for a request.
	event bool
}

const (
	lockWallet = "SELECT FROM ledger.wallets WHERE user_id = '%s' FOR UPDATE"
	lockEvents = "LOCK TABLE ledger.stripe_events IN EXCLUSIVE MODE /* %s */"
)

var killings = []killing{
	{name: "before Stripe has the customer", on: "/v1/customers", before: true},
	{name: "when Stripe has the customer", on: "/v1/customers"},
	{name: "before the customer is written down", on: "/v1/customers", lock: lockWallet},
	{name: "before Stripe has the payment", on: "/v1/payment_intents", before: true},
	{name: "when Stripe has the payment", on: "/v1/payment_intents"},
	{name: "before the payment is written down", on: "/v1/payment_intents", lock: lockWallet},
	{name: "before the event is stored", event: true, lock: lockEvents},
	{name: "before the event is worked on", event: true, lock: lockWallet},
	{name: "before Stripe has the refund", on: "/v1/refunds", before: true},
	{name: "when Stripe has the refund", on: "/v1/refunds"},
	{name: "before the refund is written down", on: "/v1/refunds", lock: lockWallet},
}

// TestKilledBetweenStripeAndLedger kills the ledger at each of these points, starts it again, lets it sweep, and has the
// caller ask again: always one charge, one grant and one refund.
func TestKilledBetweenStripeAndLedger(t *testing.T) { //nolint:tparallel // The group ends when all below it have.
	t.Parallel()
	pg := enginetest.StartPostgres(t)
	t.Run("killed", func(t *testing.T) {
		for _, k := range killings {
			t.Run(k.name, func(t *testing.T) {
				t.Parallel()
				db := newLedgerDBOn(t, pg)
				db.killAt(t, k)
				db.checkBooks(t)
			})
		}
	})
	require.False(t, t.Failed())
	t.Logf("killed at each of %d points: always one charge, one grant and one refund after restart and sweep", len(killings))
}

// paying is a ledger process that sells at a fake Stripe.
type paying struct {
	db     *ledgerDB
	fake   *stripetest.Fake
	config string
	user   string
	killed sync.Once
}

func (db *ledgerDB) killAt(t *testing.T, k killing) {
	t.Helper()
	p := &paying{db: db, fake: stripetest.New(t)}
	p.config = "stripe: {api_key: " + stripetest.Key + ", api_url: '" + p.fake.URL + "', webhook_secrets: [" + stripetest.Secret + "], sweep_every: 1s, events_every: 1s}\n" +
		"packages: [{id: starter, amount_cents: 1000, currency: EUR, credits: \"100\"}]\n"
	first := startLedger(t, db.url, p.config)
	p.user = newBuyer(t, first.addr, db.admin)
	conn, err := pgx.Connect(t.Context(), db.url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()

	die := func() { p.killed.Do(first.kill) }
	p.fake.OnRequest(func(r *http.Request) stripetest.Fault {
		if k.on == "" || r.Method != http.MethodPost || r.URL.Path != k.on {
			return stripetest.Fault{}
		}
		if k.lock == "" {
			die()
			return stripetest.Fault{Drop: k.before, Lose: !k.before}
		}
		p.lockThenKill(t, conn, k.lock, die)
		return stripetest.Fault{}
	})
	err = p.goThrough(t, first.addr, func(e stripetest.Event) {
		if k.event {
			p.lockThenKill(t, conn, k.lock, die)
		}
	})
	require.Error(t, err, "%s: it was not killed", k.name)
	<-first.done
	p.fake.OnRequest(nil)
	require.NoError(t, conn.Close(context.Background())) // That gives up the lock.

	second := startLedger(t, db.url, p.config)
	p.sweep(t)
	charges, cents := p.fake.Charged()
	require.LessOrEqual(t, charges, 1, k.name)
	require.Eventually(t, func() bool {
		return balanceOf(t, second.addr, db.admin, p.user) == fmt.Sprint(10*(cents-p.refunded())/100)
	}, startTimeout, 50*time.Millisecond, "%s: after restart and sweep, %d cents were charged and %d refunded, and the balance is another", k.name, cents, p.refunded())
	require.NoError(t, p.goThrough(t, second.addr, func(stripetest.Event) {}), k.name)
	charges, cents = p.fake.Charged()
	require.Equal(t, []int64{1, 1000, 400}, []int64{int64(charges), cents, p.refunded()}, k.name)
	require.Equal(t, 1, p.fake.Count("re_"), k.name)
	require.Equal(t, "60", balanceOf(t, second.addr, db.admin, p.user), k.name)
	list, err := askPatiently(t.Context(), second.addr, db.admin, http.MethodGet, "/v1/grants?category=paid&userId="+p.user, "", nil)
	require.NoError(t, err)
	require.Len(t, list.json["items"], 1, k.name)
	second.kill()
}

func (p *paying) refunded() (cents int64) {
	for _, pi := range p.fake.Intents() {
		cents += pi.Refunded
	}
	return cents
}

// lockThenKill takes a lock and kills the ledger once it waits for it.
func (p *paying) lockThenKill(t *testing.T, conn *pgx.Conn, lock string, die func()) {
	t.Helper()
	if _, err := conn.Exec(context.Background(), "BEGIN"); err != nil {
		t.Errorf("begin: %v", err)
	}
	if _, err := conn.Exec(context.Background(), fmt.Sprintf(lock, p.user)); err != nil {
		t.Errorf("take lock: %v", err)
	}
	go func() {
		beside, err := pgx.Connect(context.Background(), p.db.url)
		if err != nil {
			t.Errorf("connect: %v", err)
			return
		}
		defer func() { _ = beside.Close(context.Background()) }()
		for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			var waiting bool
			err := beside.QueryRow(context.Background(), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'agenttrail-ledger' AND datname = current_database() AND wait_event_type = 'Lock')").Scan(&waiting)
			if err != nil || waiting {
				break
			}
		}
		die()
	}()
}

// sweep makes due what is due after some minutes, and waits until it is done.
func (p *paying) sweep(t *testing.T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), p.db.url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	require.Eventually(t, func() bool {
		for _, sql := range []string{ // One after the other: together they could wait for the ledger, which waits for them.
			`UPDATE ledger.payments SET next_check = now() - interval '1 second' WHERE next_check > now() AND transaction_id IN (SELECT coalesce(parent_id, transaction_id) FROM ledger.payments WHERE stripe_id IS NULL)`,
			`UPDATE ledger.stripe_events SET received_at = now() - interval '2 minutes' WHERE state = 'pending'`,
		} {
			_, err := conn.Exec(t.Context(), sql)
			require.NoError(t, err)
		}
		var open int
		require.NoError(t, conn.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM ledger.stripe_events WHERE state = 'pending')
			+ (SELECT count(*) FROM ledger.payments p JOIN ledger.transactions t ON t.id = p.transaction_id WHERE p.stripe_id IS NULL AND t.status IN ('created', 'processing'))`).Scan(&open))
		return open == 0
	}, startTimeout, 100*time.Millisecond, "the sweep does not end")
}

// goThrough buys, pays, takes the events and gives a part back, as often as it is asked with one result.
func (p *paying) goThrough(t *testing.T, addr string, before func(e stripetest.Event)) error {
	t.Helper()
	ask := func(method, path, key string, body any) (ledgerAnswer, error) {
		a, err := askPatiently(t.Context(), addr, p.db.admin, method, path, key, body)
		if err == nil && a.status >= http.StatusMultipleChoices {
			err = fmt.Errorf("%s: %d %s", path, a.status, a.text)
		}
		return a, err
	}
	top, err := ask(http.MethodPost, "/v1/topups", "buy-"+p.user, map[string]any{"userId": p.user, "package": "starter"})
	if err != nil {
		return err
	}
	if times, _ := p.fake.Charged(); times == 0 {
		p.fake.Pay(top.at("stripePi"), stripetest.CardPays)
	}
	for _, e := range p.fake.Events() {
		if e.Type != "payment_intent.succeeded" || e.Delivered {
			continue
		}
		before(e)
		status, err := p.fake.Deliver(t.Context(), "http://"+addr+"/webhooks/stripe", e)
		if err != nil || status != http.StatusNoContent {
			return fmt.Errorf("event: %d, %w", status, err)
		}
	}
	for deadline := time.Now().Add(startTimeout); top.at("status") != "succeeded" && top.at("status") != "partially_refunded"; time.Sleep(20 * time.Millisecond) {
		if top, err = ask(http.MethodGet, "/v1/topups/"+top.at("id"), "", nil); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the top-up is %s", top.at("status"))
		}
	}
	_, err = ask(http.MethodPost, "/v1/topups/"+top.at("id")+"/refunds", "refund-"+p.user, map[string]any{"amountCents": 400})
	return err
}
