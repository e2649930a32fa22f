package stripepay_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/internal/stripetest"
	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
	"github.com/agenttrail/agenttrail/ledger/stripepay"
	"github.com/agenttrail/agenttrail/schema"
)

var operator = ledger.Actor{Principal: "key:operator", Scopes: []ledger.Scope{ledger.ScopeAdmin}}

// starter is 100 credits for 10 euros, and 10 credits on top.
var starter = ledger.Package{ID: "starter", Name: "Starter", AmountCents: 1000, Currency: "EUR", Credits: 100 * ledger.Credit, BonusCredits: 10 * ledger.Credit, ValidDays: 365, BonusDays: 30}

// tiny costs less than Stripe takes.
var tiny = ledger.Package{ID: "tiny", AmountCents: 1, Currency: "EUR", Credits: ledger.Credit}

// patience is how long the database may take: on a machine that is busy nothing is to fail for that.
const patience = time.Minute

// bundle is a ledger of one test that sells credits at a fake Stripe.
type bundle struct {
	*stripepay.Service
	store    *pgstore.Store
	fake     *stripetest.Fake
	url      string
	user     ledger.User
	settings stripepay.Settings
	ahead    atomic.Int64 // of the clocks, in nanoseconds
	calls    atomic.Int64
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{url: enginetest.Postgres(t).Database(t), fake: stripetest.New(t)}
	_, err := schema.MigratePostgres(t.Context(), b.url)
	require.NoError(t, err)
	b.fake.SetClock(b.now)
	b.store, err = pgstore.Open(t.Context(), pgstore.Settings{URL: b.url, Now: b.now, AcquireTimeout: patience, LockTimeout: patience, StatementTimeout: patience})
	require.NoError(t, err)
	t.Cleanup(b.store.Close)
	b.settings = stripepay.Settings{
		Book: b.store, Logger: slog.New(slog.DiscardHandler), APIKey: stripetest.Key, APIURL: b.fake.URL, WebhookSecrets: []string{stripetest.Secret},
		Packages: []ledger.Package{starter, tiny}, Now: b.now,
	}
	b.Service = b.restart(t, b.store)
	b.user = b.newUser(t, "ada@example.com")
	return b
}

// restart makes a service as a process that has just been started has it.
func (b *bundle) restart(t *testing.T, book stripepay.Book) *stripepay.Service {
	t.Helper()
	s := b.settings
	s.Book, s.Registry = book, prometheus.NewRegistry()
	p, err := stripepay.New(s)
	require.NoError(t, err)
	return p
}

func (b *bundle) now() time.Time { return time.Now().Add(time.Duration(b.ahead.Load())) }

func (b *bundle) pass(d time.Duration) { b.ahead.Add(int64(d)) }

func (b *bundle) newUser(t *testing.T, email string) ledger.User {
	t.Helper()
	u, err := b.store.CreateUser(t.Context(), b.call("any"), ledger.UserInput{Email: email})
	require.NoError(t, err)
	return u
}

// call is a request that has not come before.
func (b *bundle) call(what string) *ledger.Call {
	return keyed(fmt.Sprintf("call-%d", b.calls.Add(1)), what)
}

func keyed(key, what string) *ledger.Call {
	sum := sha256.Sum256([]byte(what))
	return &ledger.Call{Actor: operator, Key: key, Fingerprint: sum[:]}
}

// buy tops the user up, with a payment method or none.
func (b *bundle) buy(t *testing.T, method string) ledger.TopUp {
	t.Helper()
	top, err := b.TopUp(t.Context(), b.call("buy"), ledger.TopUpInput{UserID: b.user.ID, Package: "starter", PaymentMethod: method})
	require.NoError(t, err)
	return top
}

func (b *bundle) topUp(t *testing.T, id uuid.UUID) ledger.TopUp {
	t.Helper()
	top, err := b.store.TopUpByID(t.Context(), operator, id)
	require.NoError(t, err)
	return top
}

func (b *bundle) available(t *testing.T, user uuid.UUID) ledger.Credits {
	t.Helper()
	balance, err := b.store.Balance(t.Context(), operator, user)
	require.NoError(t, err)
	return balance.Available
}

// receive delivers an event, and processes it as a job would.
func (b *bundle) receive(t *testing.T, e stripetest.Event) {
	t.Helper()
	require.NoError(t, b.deliver(t.Context(), b.Service, e))
	require.NoError(t, b.Process(t.Context(), e.ID))
}

func (b *bundle) deliver(ctx context.Context, p *stripepay.Service, e stripetest.Event) error {
	header := http.Header{"Stripe-Signature": {stripetest.Sign(e.Body, b.now(), stripetest.Secret)}}
	err := p.ReceiveEvent(ctx, header, e.Body)
	if err == nil {
		b.fake.MarkDelivered(e.ID)
	}
	return err
}

// receiveAll delivers every event that has not been delivered.
func (b *bundle) receiveAll(t *testing.T) {
	t.Helper()
	for _, e := range b.fake.Events() {
		if !e.Delivered {
			b.receive(t, e)
		}
	}
}

// sweep does what the jobs do when nothing else does.
func (b *bundle) sweep(ctx context.Context, p *stripepay.Service) error {
	if _, _, err := p.SweepEvents(ctx); err != nil {
		return err
	}
	_, _, err := p.SweepPayments(ctx)
	return err
}

// settled fails unless the books agree.
func (b *bundle) settled(t *testing.T) {
	t.Helper()
	problems, err := b.store.VerifyBooks(context.Background(), operator)
	require.NoError(t, err)
	require.Empty(t, problems)
}

func refused(t *testing.T, err error, code ledger.Code) {
	t.Helper()
	_ = refusal(t, err, code)
}

func refusal(t *testing.T, err error, code ledger.Code) *ledger.Error {
	t.Helper()
	var e *ledger.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, code, e.Code, "%v", err)
	return e
}

// pool is a way to the database beside the store.
func (b *bundle) pool(t *testing.T) *pgxpool.Pool {
	t.Helper()
	p, err := pgxpool.New(t.Context(), b.url)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}

// state is what must be the same whatever happened on the way.
type state struct {
	Status    ledger.TransactionStatus
	Returned  int64
	Taken     ledger.Credits
	Bonus     ledger.Credits
	Available ledger.Credits
	Refunds   []string
	Disputes  []string
	Grants    map[string]int64 // what is left, by category
	Given     int              // grants of the top-up and its bonus themselves
}

func (b *bundle) state(t *testing.T, pool *pgxpool.Pool, top ledger.TopUp) string {
	t.Helper()
	now := b.topUp(t, top.ID)
	s := state{
		Status: now.Status, Returned: now.ReturnedCents, Taken: now.CreditsTaken, Bonus: now.BonusTaken, Available: b.available(t, top.UserID), Grants: map[string]int64{},
	}
	for _, r := range now.Refunds {
		s.Refunds = append(s.Refunds, fmt.Sprint(r.Status, " ", r.AmountCents))
	}
	for _, r := range now.Disputes {
		s.Disputes = append(s.Disputes, fmt.Sprint(r.Status, " ", r.AmountCents))
	}
	rows, err := pool.Query(t.Context(), `SELECT g.category, sum(g.remaining)::bigint, count(*) FILTER (WHERE t.kind IN ('topup', 'bonus')) FROM ledger.credit_grants g
		JOIN ledger.transactions t ON t.id = g.transaction_id WHERE g.user_id = $1 GROUP BY 1`, top.UserID)
	require.NoError(t, err)
	var category string
	var left int64
	var given int
	_, err = pgx.ForEachRow(rows, []any{&category, &left, &given}, func() error {
		s.Grants[category], s.Given = left, s.Given+given
		return nil
	})
	require.NoError(t, err)
	text, err := json.Marshal(s)
	require.NoError(t, err)
	return string(text)
}
