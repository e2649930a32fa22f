package pgstore_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
)

// Many workers on two instances do anything to the same few users at once. After that the books agree; no limit was
// exceeded at any moment, by a replay of all holds in the order of their times; each idempotency key had one effect; and
// the audit trails make the rows that are there.
func TestStorm(t *testing.T) {
	t.Parallel()
	b := setup(t, pgstore.Settings{})
	st := &storm{bundle: b, t: t, stores: []*pgstore.Store{b.Store, open(t, pgstore.Settings{URL: b.url})}, counts: map[string]int{}}
	rng := rand.New(rand.NewPCG(seed(t), 0))
	for i := range 3 {
		u := b.newUser(t, fmt.Sprintf("storm%d@example.com", i))
		st.users = append(st.users, u)
		b.grant(t, u.ID, 40*ledger.Credit)
		for range 2 {
			st.mandates = append(st.mandates, b.mandate(t, u.ID, stormRules(rng)))
		}
	}
	begin := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), duration())
	defer cancel()
	var wg sync.WaitGroup
	for worker := range 12 {
		own := rand.New(rand.NewPCG(rng.Uint64(), uint64(worker)))
		wg.Go(func() {
			for ctx.Err() == nil || !st.sawEnough() && time.Since(begin) < duration()+patience {
				st.step(own)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	t.Logf("%v", st.counts)
	b.settled(t)
	b.replays(t)
	b.sealed(t)
	st.limitsHeld()
	st.oneEffectPerKey()
	require.True(t, st.sawEnough(), "%v", st.counts)
}

// sawEnough tells whether what a storm is about has happened. On a machine that is busy that takes longer than asked for.
func (st *storm) sawEnough() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.counts["authorize ok"] > 0 && st.counts["authorize mandate-denied"] > 0 && st.counts["capture ok"] > 0
}

type storm struct {
	*bundle
	t        *testing.T
	stores   []*pgstore.Store
	users    []ledger.User
	mandates []ledger.Mandate

	mu     sync.Mutex
	holds  []uuid.UUID
	done   []uuid.UUID
	counts map[string]int
}

// stormRules permit little enough that most of what is asked for is refused.
func stormRules(rng *rand.Rand) ledger.Rules {
	r := ledger.Rules{TimeZone: pick(rng, "", "Asia/Kathmandu", "America/St_Johns")}
	some := func(most int64) *ledger.Credits {
		if rng.IntN(2) == 0 {
			return nil
		}
		return credits(1 + rng.Int64N(most))
	}
	r.MaxPerExecution, r.MaxPerDay, r.MaxPerWeek, r.MaxPerMonth, r.MaxTotal = some(4), some(60), some(80), some(100), some(1000)
	if rng.IntN(2) == 0 {
		r.MaxConcurrent = new(1 + rng.Int64N(4))
	}
	if rng.IntN(3) == 0 {
		r.MaxCountPerDay = new(1 + rng.Int64N(40))
	}
	return r
}

func pick[T any](rng *rand.Rand, values ...T) T { return values[rng.IntN(len(values))] }

// take takes a hold away from the others, mostly; sometimes it stays, so that two settle the same.
func (st *storm) take(rng *rand.Rand, from *[]uuid.UUID) (uuid.UUID, bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if len(*from) == 0 {
		return uuid.Nil, false
	}
	i := rng.IntN(len(*from))
	id := (*from)[i]
	if rng.IntN(4) > 0 {
		*from = slices.Delete(*from, i, i+1)
	}
	return id, true
}

func (st *storm) anyMandate(rng *rand.Rand) ledger.Mandate {
	st.mu.Lock()
	defer st.mu.Unlock()
	return pick(rng, st.mandates...)
}

func (st *storm) note(what string, err error) {
	code := string(ledger.CodeOf(err))
	if err == nil {
		code = "ok"
	}
	st.mu.Lock()
	st.counts[what+" "+code]++
	st.mu.Unlock()
	switch ledger.CodeOf(err) {
	case ledger.CodeInternal, ledger.CodeUnavailable, ledger.CodeInvalid, ledger.CodeNotFound, ledger.CodeOverflow, ledger.CodeKeyReused:
		st.t.Errorf("%s: %v", what, err)
	}
}

func (st *storm) step(rng *rand.Rand) {
	// What has begun is to end, so that its effect is known.
	ctx, store := context.Background(), pick(rng, st.stores...)
	switch n := rng.IntN(100); {
	case n < 45:
		st.authorize(rng)
	case n < 65:
		if id, ok := st.take(rng, &st.holds); ok {
			st.capture(rng, id)
		}
	case n < 72:
		if id, ok := st.take(rng, &st.holds); ok {
			_, err := insist(st.call(runner), func(c *ledger.Call) (ledger.Settlement, error) { return store.Release(ctx, c, id) })
			st.note("release", err)
		}
	case n < 77:
		if id, ok := st.take(rng, &st.done); ok {
			_, err := insist(st.call(operator), func(c *ledger.Call) (ledger.Transaction, error) {
				return store.Refund(ctx, c, id, ledger.RefundInput{Amount: credits(1)})
			})
			st.note("refund", err)
		}
	case n < 82:
		st.give(rng, store)
	case n < 90:
		id, rules := st.anyMandate(rng).ID, stormRules(rng)
		_, err := insist(st.call(operator), func(c *ledger.Call) (ledger.Mandate, error) {
			return store.ReplaceRules(ctx, c, id, ledger.MandateVersionInput{Rules: rules})
		})
		st.note("rules", err)
	case n < 94:
		m := st.anyMandate(rng)
		_, err := insist(st.call(operator), func(c *ledger.Call) (ledger.Mandate, error) {
			return store.SuspendMandate(ctx, c, m.ID, ledger.MandateChange{})
		})
		st.note("suspend", err)
		_, err = insist(st.call(operator), func(c *ledger.Call) (ledger.Mandate, error) {
			return store.ResumeMandate(ctx, c, m.ID, ledger.MandateChange{})
		})
		st.note("resume", err)
	case n < 95:
		st.revoke(rng)
	case n < 97:
		price := ledger.Pricing{PerExecution: *credits(1 + rng.Int64N(3))}
		_, err := insist(st.call(operator), func(c *ledger.Call) (ledger.Agent, error) {
			return store.ChangePrice(ctx, c, st.agent.ID, 0, price)
		})
		st.note("price", err)
	case n < 99:
		_, err := insist(nil, func(*ledger.Call) (ledger.Expired, error) { return store.ExpireDue(ctx, 10) })
		st.note("expire", err)
	default:
		_, err := insist(nil, func(*ledger.Call) (struct{}, error) { return struct{}{}, store.SealAudit(ctx) })
		st.note("seal", err)
	}
}

// give grants credits, some of which expire soon, and sometimes takes them back at once.
func (st *storm) give(rng *rand.Rand, store *pgstore.Store) {
	in := ledger.GrantInput{UserID: pick(rng, st.users...).ID, Category: ledger.GrantPromo, Amount: *credits(1 + rng.Int64N(5))}
	if rng.IntN(2) == 0 {
		soon := time.Now().Add(time.Second + time.Duration(rng.IntN(2000))*time.Millisecond)
		in.ExpiresAt = &soon
	}
	g, err := insist(st.call(operator), func(c *ledger.Call) (ledger.Grant, error) { return store.Grant(context.Background(), c, in) })
	if ledger.CodeOf(err) == ledger.CodeInvalid && in.ExpiresAt != nil && !time.Now().Before(*in.ExpiresAt) {
		err = errTooLate
	}
	st.note("grant", err)
	if err == nil && rng.IntN(3) == 0 {
		_, err := insist(st.call(operator), func(c *ledger.Call) (ledger.Grant, error) {
			return store.VoidGrant(context.Background(), c, g.ID, ledger.VoidInput{})
		})
		st.note("void", err)
	}
}

// errTooLate is that of a grant which had expired before it was its turn, on a machine that is busy: rightly refused.
var errTooLate = ledger.Errorf("too-late", "the grant had expired before")

// patience is for how long something is tried that the store is too busy for.
const patience = 3 * time.Minute

// insist does something again for as long as the store is too busy for it, as clients do. The call's key gives it one effect.
func insist[T any](c *ledger.Call, f func(c *ledger.Call) (T, error)) (T, error) {
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		out, err := f(c)
		if ledger.CodeOf(err) != ledger.CodeUnavailable || time.Since(begin) > patience {
			return out, err
		}
	}
}

// twice sends the same request to both instances at once and compares the answers.
func twice[T any](st *storm, what string, call func() *ledger.Call, f func(s *pgstore.Store, c *ledger.Call) (T, error)) (T, error) {
	var answers [2]T
	var errs [2]error
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() {
			answers[i], errs[i] = insist(call(), func(c *ledger.Call) (T, error) { return f(st.stores[i], c) })
		})
	}
	wg.Wait()
	first, err := json.Marshal(answers[0])
	require.NoError(st.t, err)
	second, err := json.Marshal(answers[1])
	require.NoError(st.t, err)
	if string(first) != string(second) || ledger.CodeOf(errs[0]) != ledger.CodeOf(errs[1]) {
		st.t.Errorf("%s: the same request was answered by %s, %v and by %s, %v", what, first, errs[0], second, errs[1])
	}
	return answers[0], errs[0]
}

func (st *storm) authorize(rng *rand.Rand) {
	m := st.anyMandate(rng)
	key := fmt.Sprintf("run-%d", rng.Uint64())
	in := ledger.AuthorizeInput{UserID: m.UserID, MandateID: m.ID, Agent: "planner", TTL: time.Second, Metadata: json.RawMessage(`{"key":"` + key + `"}`)}
	if rng.IntN(3) > 0 {
		in.Amount = credits(1 + rng.Int64N(4))
	}
	if rng.IntN(2) == 0 {
		in.TTL = time.Minute
	}
	f := func(s *pgstore.Store, c *ledger.Call) (ledger.Authorization, error) {
		return s.Authorize(context.Background(), c, in)
	}
	var a ledger.Authorization
	var err error
	if rng.IntN(4) == 0 {
		a, err = twice(st, "authorize", func() *ledger.Call { return keyed(runner, key, key) }, f)
	} else {
		store := pick(rng, st.stores...)
		a, err = insist(keyed(runner, key, key), func(c *ledger.Call) (ledger.Authorization, error) { return f(store, c) })
	}
	st.note("authorize", err)
	if err == nil {
		st.mu.Lock()
		st.holds = append(st.holds, a.Hold.ID)
		st.mu.Unlock()
	}
}

func (st *storm) capture(rng *rand.Rand, id uuid.UUID) {
	var in ledger.CaptureInput
	if rng.IntN(2) == 0 {
		in.Amount = credits(rng.Int64N(3))
	}
	key := fmt.Sprintf("capture-%d", rng.Uint64())
	f := func(s *pgstore.Store, c *ledger.Call) (ledger.Settlement, error) {
		return s.Capture(context.Background(), c, id, in)
	}
	var err error
	if rng.IntN(4) == 0 {
		_, err = twice(st, "capture", func() *ledger.Call { return keyed(runner, key, key) }, f)
	} else {
		store := pick(rng, st.stores...)
		_, err = insist(keyed(runner, key, key), func(c *ledger.Call) (ledger.Settlement, error) { return f(store, c) })
	}
	st.note("capture", err)
	if err == nil {
		st.mu.Lock()
		st.done = append(st.done, id)
		st.mu.Unlock()
	}
}

// revoke revokes a mandate and makes another in its place.
func (st *storm) revoke(rng *rand.Rand) {
	st.mu.Lock()
	i := rng.IntN(len(st.mandates))
	old := st.mandates[i]
	st.mu.Unlock()
	store, change, rules := pick(rng, st.stores...), ledger.MandateChange{ReleaseHolds: rng.IntN(2) == 0}, stormRules(rng)
	_, err := insist(st.call(operator), func(c *ledger.Call) (ledger.Mandate, error) {
		return store.RevokeMandate(context.Background(), c, old.ID, change)
	})
	st.note("revoke", err)
	m, err := insist(st.call(operator), func(c *ledger.Call) (ledger.Mandate, error) {
		return st.CreateMandate(context.Background(), c, ledger.MandateInput{UserID: old.UserID, Rules: rules})
	})
	st.note("mandate", err)
	if err == nil {
		st.mu.Lock()
		st.mandates[i] = m
		st.mu.Unlock()
	}
}

// oneEffectPerKey looks for runs that were authorized twice for one key. Captures cannot be: a hold is settled once.
func (st *storm) oneEffectPerKey() {
	var n int
	err := st.connect(st.t).QueryRow(st.t.Context(), `SELECT count(*) FROM (SELECT FROM ledger.transactions WHERE kind = 'execution' GROUP BY metadata ->> 'key' HAVING count(*) > 1) twice`).Scan(&n)
	require.NoError(st.t, err)
	require.Zero(st.t, n, "runs that were authorized twice")
}
