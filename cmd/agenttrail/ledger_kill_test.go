package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/ledger"
)

var ledgerKills = flag.Int("ledger-kills", 3, "how often TestLedgerKilledUnderLoad kills the service")

var ledgerKeys atomic.Int64

// TestLedgerKilledUnderLoad kills the service with SIGKILL while clients authorize, capture, release, refund and grant, and
// starts it again. After each start the books must agree and the audit trails must be whole. Clients repeat what was not
// answered, under the same idempotency key, so at the end each request must have had exactly one effect.
func TestLedgerKilledUnderLoad(t *testing.T) {
	t.Parallel()
	db := newLedgerDB(t)
	const config = "jobs: {expire_every: 200ms, seal_every: 300ms}\npool: {max_connections: 10}\n"
	process := startLedger(t, db.url, config)
	l := &killLoad{db: db, config: config}
	l.addr.Store(&process.addr)
	for i := range 3 {
		l.users = append(l.users, newPayer(t, process.addr, db.admin, fmt.Sprintf("payer-%d", i)))
	}
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() { l.run(ctx, t, rand.New(rand.NewPCG(uint64(i), 1))) })
	}
	began := time.Now()
	for kill := range *ledgerKills {
		before := l.answered.Load()
		require.Eventually(t, func() bool { return l.answered.Load() > before+50 }, startTimeout, 5*time.Millisecond, "clients get no answers")
		time.Sleep(rand.N(150 * time.Millisecond)) // Anywhere within what the service does.
		process.kill()
		l.gate.Lock() // No client has a request on its way.
		process = startLedger(t, db.url, config)
		db.checkBooks(t)
		l.addr.Store(&process.addr)
		l.gate.Unlock()
		if t.Failed() {
			t.Logf("after kill %d", kill+1)
			break
		}
	}
	before := l.answered.Load()
	require.Eventually(t, func() bool { return l.answered.Load() > before+50 }, startTimeout, 5*time.Millisecond, "clients get no answers")
	cancel()
	clients.Wait()
	db.checkBooks(t)
	for _, p := range l.users {
		a, err := askLedger(t.Context(), process.addr, db.admin, http.MethodGet, "/v1/users/"+p.user+"/balance", "", nil)
		require.NoError(t, err)
		require.Equal(t, ledger.Credits(p.posted.Load()).String(), a.at("posted"), "what the clients were told adds up")
		require.Equal(t, "0", a.at("held"))
	}
	t.Logf("%d kills in %.0f s, %d requests answered, %d of them sent more than once, %d replays", *ledgerKills, time.Since(began).Seconds(), l.answered.Load(), l.repeated.Load(), l.replayed.Load())
	if *ledgerKills > 0 {
		require.Positive(t, l.repeated.Load(), "no kill has hit a request")
	}
}

// payer is a user with all that a run needs, and what the clients know of its credits.
type payer struct {
	user, mandate, agent string
	posted               atomic.Int64 // micro-credits, of what was answered
}

func newPayer(t *testing.T, addr, secret, name string) *payer {
	t.Helper()
	p := &payer{agent: name}
	p.user = mustAsk(t, addr, secret, "/v1/users", map[string]any{"email": name + "@example.com"}).at("id")
	mustAsk(t, addr, secret, "/v1/agents", map[string]any{"slug": p.agent, "name": name, "category": "test", "ownerId": p.user, "version": map[string]any{"pricing": map[string]any{"perExecution": "1"}}})
	mustAsk(t, addr, secret, "/v1/grants", map[string]any{"userId": p.user, "category": "paid", "amount": "1000000"})
	p.posted.Store(int64(1_000_000 * ledger.Credit))
	p.mandate = mustAsk(t, addr, secret, "/v1/mandates", map[string]any{"userId": p.user, "rules": map[string]any{"maxPerDay": "1000000"}}).at("id")
	return p
}

// killLoad is what the clients share.
type killLoad struct {
	db     *ledgerDB
	config string
	addr   atomic.Pointer[string]
	gate   sync.RWMutex // Held for reading while a request is on its way.
	users  []*payer

	answered, repeated, replayed atomic.Int64
}

// run settles runs until ctx is done. What it has begun it ends.
func (l *killLoad) run(ctx context.Context, t *testing.T, rng *rand.Rand) {
	t.Helper()
	for ctx.Err() == nil && !t.Failed() {
		p := l.users[rng.IntN(len(l.users))]
		amount := ledger.Credits(1+rng.IntN(3_000_000)) * ledger.MicroCredit
		a := l.post(t, "/v1/authorizations", map[string]any{"userId": p.user, "mandateId": p.mandate, "agent": p.agent, "amount": amount.String()})
		if a.status != http.StatusCreated {
			t.Errorf("authorize: %d %s", a.status, a.text)
			return
		}
		hold := "/v1/holds/" + a.at("hold", "id")
		if rng.IntN(4) == 0 {
			l.expect(t, l.post(t, hold+"/release", nil), http.StatusOK)
			continue
		}
		taken := ledger.Credits(rng.Int64N(int64(amount) + 1))
		a = l.post(t, hold+"/capture", map[string]any{"amount": taken.String()})
		l.expect(t, a, http.StatusOK)
		p.posted.Add(-int64(taken))
		if taken > 0 && rng.IntN(4) == 0 {
			l.expect(t, l.post(t, "/v1/transactions/"+a.at("transaction", "id")+"/refunds", nil), http.StatusCreated)
			p.posted.Add(int64(taken))
		}
		if rng.IntN(10) == 0 {
			l.expect(t, l.post(t, "/v1/grants", map[string]any{"userId": p.user, "category": "promo", "amount": "0.5"}), http.StatusCreated)
			p.posted.Add(int64(ledger.Credit / 2))
		}
	}
}

func (l *killLoad) expect(t *testing.T, a ledgerAnswer, status int) {
	t.Helper()
	if a.status != status {
		t.Errorf("want %d, got %d %s", status, a.status, a.text)
	}
}

// post sends a request until it is answered, always under the same key.
func (l *killLoad) post(t *testing.T, path string, body any) ledgerAnswer {
	t.Helper()
	key := fmt.Sprintf("load-%d", ledgerKeys.Add(1))
	for attempt := 1; ; attempt++ {
		l.gate.RLock()
		a, err := askLedger(context.WithoutCancel(t.Context()), *l.addr.Load(), l.db.admin, http.MethodPost, path, key, body)
		l.gate.RUnlock()
		switch {
		case err != nil: // Killed.
			time.Sleep(2 * time.Millisecond) // Lets the test take the gate.
		case a.status == http.StatusServiceUnavailable, a.status == http.StatusConflict && a.at("type") == "/problems/request-in-progress":
			time.Sleep(20 * time.Millisecond)
		default:
			l.answered.Add(1)
			if attempt > 1 {
				l.repeated.Add(1)
			}
			if a.header.Get("Idempotency-Replayed") == "true" {
				l.replayed.Add(1)
			}
			return a
		}
		if t.Failed() {
			return a
		}
	}
}
