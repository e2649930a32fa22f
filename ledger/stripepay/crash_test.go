package stripepay_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/stripetest"
	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/stripepay"
)

var errCrash = errors.New("the process has crashed")

// life is that of a process, which ends at a point: just before or just after something was written at Stripe or in the
// ledger. From then on nothing that it does has an effect.
type life struct {
	mu     sync.Mutex
	point  int // at which it ends; 0 for never
	passed []string
	dead   bool
	end    context.CancelFunc
}

// pass goes by a point and tells whether the process is dead there.
func (l *life) pass(what string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		return true
	}
	l.passed = append(l.passed, what)
	if len(l.passed) == l.point {
		l.dead = true
		l.end()
	}
	return l.dead
}

// mortalBook is the ledger as a process has it that can crash.
type mortalBook struct {
	stripepay.Book

	life *life
}

func mortal[T any](l *life, what string, f func() (T, error)) (T, error) {
	var none T
	if l.pass("before " + what) {
		return none, errCrash
	}
	v, err := f()
	if l.pass("after " + what) {
		return none, errCrash
	}
	return v, err
}

func (m mortalBook) OpenTopUp(_ context.Context, call *ledger.Call, in ledger.NewTopUp) (ledger.TopUp, error) {
	return mortal(m.life, "the top-up is written down", func() (ledger.TopUp, error) { return m.Book.OpenTopUp(context.Background(), call, in) })
}

func (m mortalBook) OpenCardRefund(_ context.Context, call *ledger.Call, id uuid.UUID, in ledger.NewCardRefund) (ledger.Reversal, error) {
	return mortal(m.life, "the refund is written down", func() (ledger.Reversal, error) {
		return m.Book.OpenCardRefund(context.Background(), call, id, in)
	})
}

func (m mortalBook) ApplyPayment(_ context.Context, id uuid.UUID, checks int64, r ledger.PaymentReport) (ledger.TopUp, error) {
	return mortal(m.life, "the payment is applied", func() (ledger.TopUp, error) { return m.Book.ApplyPayment(context.Background(), id, checks, r) })
}

func (m mortalBook) SetStripeCustomer(_ context.Context, user uuid.UUID, customer string) (string, error) {
	return mortal(m.life, "the customer is written down", func() (string, error) { return m.Book.SetStripeCustomer(context.Background(), user, customer) })
}

func (m mortalBook) SaveEvent(_ context.Context, e ledger.Event, then func(ctx context.Context, tx pgx.Tx) error) (bool, error) {
	return mortal(m.life, "the event is stored", func() (bool, error) { return m.Book.SaveEvent(context.Background(), e, then) })
}

func (m mortalBook) EndEvent(_ context.Context, id string, state ledger.EventState, why string) error {
	_, err := mortal(m.life, "the event is done with", func() (any, error) { return nil, m.Book.EndEvent(context.Background(), id, state, why) })
	return err
}

// shop is one go through everything that moves money: a user buys and pays, the events arrive, and a part is given back.
// What the caller asks for, and the user does, is what they do again until it has worked.
type shop struct {
	buy, refund *ledger.Call
	method      string // one that is saved, or none: then the user pays in the browser
	paid        bool
}

func (s *shop) goThrough(ctx context.Context, b *bundle, p *stripepay.Service) error {
	top, err := p.TopUp(ctx, s.buy, ledger.TopUpInput{UserID: b.user.ID, Package: "starter", PaymentMethod: s.method})
	if err != nil {
		return err
	}
	if !s.paid && s.method == "" {
		b.fake.Pay(top.StripePI, stripetest.CardPays)
		s.paid = true
	}
	if err := takeEvents(ctx, b, p); err != nil {
		return err
	}
	cents := int64(400)
	if _, err := p.RefundTopUp(ctx, s.refund, top.ID, ledger.CardRefundInput{AmountCents: &cents}); err != nil {
		return err
	}
	return takeEvents(ctx, b, p)
}

func takeEvents(ctx context.Context, b *bundle, p *stripepay.Service) error {
	for _, e := range b.fake.Events() {
		if e.Delivered {
			continue
		}
		if err := b.deliver(ctx, p, e); err != nil {
			return err
		}
		if err := p.Process(ctx, e.ID); err != nil {
			return err
		}
	}
	return nil
}

// crashAt goes through the shop with a process that ends at a point, starts another one that does nothing but sweep, and
// then has the callers ask again. It returns the points that were passed.
func crashAt(t *testing.T, b *bundle, method string, point int) []string {
	t.Helper()
	n := b.calls.Add(1)
	b.user = b.newUser(t, fmt.Sprintf("%d@example.com", n))
	s := &shop{method: method, buy: keyed(fmt.Sprintf("buy-%d", n), "buy"), refund: keyed(fmt.Sprintf("refund-%d", n), "refund")}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l := &life{point: point, end: cancel}
	b.fake.OnRequest(func(r *http.Request) stripetest.Fault {
		if r.Method == http.MethodGet {
			return stripetest.Fault{}
		}
		what := "Stripe has " + r.URL.Path
		if l.pass("before " + what) {
			return stripetest.Fault{Drop: true}
		}
		return stripetest.Fault{Lose: l.pass("after " + what)}
	})
	first := b.restart(t, mortalBook{b.store, l})
	err := s.goThrough(ctx, b, first)
	b.fake.OnRequest(nil)
	if !l.dead {
		require.NoError(t, err)
	}

	second := b.restart(t, b.store)
	b.pass(2 * time.Minute)
	for range 3 { // Events that the first sweep finds are worked on once their jobs had time to.
		require.NoError(t, b.sweep(t.Context(), second))
		b.pass(20 * time.Minute)
	}
	where := "no crash"
	if l.dead {
		where = l.passed[len(l.passed)-1]
	}
	charges, cents, grants := b.sums(t)
	refunds := b.topUpRefunds(t)
	require.Equal(t, charges, grants, "%s: after restart and sweep, charges and grants", where)
	require.LessOrEqual(t, charges, 1, where)
	require.Equal(t, b.fakeRefunded(t), refunds, "%s: after restart and sweep, the money that was given back", where)
	require.Equal(t, ledger.Credits(cents-refunds)*bought/1000, b.available(t, b.user.ID), where)

	require.NoError(t, s.goThrough(t.Context(), b, second), where)
	charges, cents, grants = b.sums(t)
	require.Equal(t, []int64{1, 1000, 1}, []int64{int64(charges), cents, int64(grants)}, "%s: in the end, charges, cents and grants", where)
	require.EqualValues(t, 400, b.topUpRefunds(t), where)
	require.EqualValues(t, 400, b.fakeRefunded(t), where)
	require.Equal(t, 66*ledger.Credit, b.available(t, b.user.ID), where)
	return l.passed
}

// sums are the charges and what they took of the user at Stripe, and the user's grants of what was bought.
func (b *bundle) sums(t *testing.T) (charges int, cents int64, grants int) {
	t.Helper()
	for _, pi := range b.fake.Intents() {
		if pi.Metadata["agenttrail_user"] == b.user.ID.String() && pi.Status == "succeeded" {
			charges++
			cents += pi.Amount
		}
	}
	list, err := b.TopUps(t.Context(), operator, ledger.TopUpFilter{UserID: b.user.ID}, ledger.Page{})
	require.NoError(t, err)
	all, err := b.store.Grants(t.Context(), operator, ledger.GrantFilter{UserID: b.user.ID, Category: ledger.GrantPaid}, ledger.Page{})
	require.NoError(t, err)
	for _, g := range all.Items {
		for _, top := range list.Items {
			if g.TransactionID == top.ID {
				grants++
			}
		}
	}
	return charges, cents, grants
}

func (b *bundle) topUpRefunds(t *testing.T) (cents int64) {
	t.Helper()
	list, err := b.TopUps(t.Context(), operator, ledger.TopUpFilter{UserID: b.user.ID}, ledger.Page{})
	require.NoError(t, err)
	for _, top := range list.Items {
		cents += top.ReturnedCents
	}
	return cents
}

func (b *bundle) fakeRefunded(t *testing.T) (cents int64) {
	t.Helper()
	for _, pi := range b.fake.Intents() {
		if pi.Metadata["agenttrail_user"] == b.user.ID.String() {
			cents += pi.Refunded
		}
	}
	return cents
}

// TestCrashAtEveryPoint ends the process at each point between "Stripe has it" and "we have it", in both directions.
func TestCrashAtEveryPoint(t *testing.T) {
	t.Parallel()
	for name, method := range map[string]string{"paid in the browser": "", "paid with a saved card": stripetest.CardPays} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			points := crashAt(t, b, method, 0)
			require.Greater(t, len(points), 20)
			for point := 1; point <= len(points); point++ {
				passed := crashAt(t, b, method, point)
				require.Equal(t, points[:point], passed)
				t.Logf("crash %2d, %s: one charge, one grant, one refund", point, passed[point-1])
			}
			b.settled(t)
			t.Logf("crashed at each of %d points: always one charge, one grant and one refund after restart and sweep", len(points))
		})
	}
}
