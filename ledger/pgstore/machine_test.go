package pgstore_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
)

// The store does what the model does, whatever is done in whatever order. It goes on until its time is up, in rounds of
// which each has a seed of its own; -rapid.seed with it plays one again. Workers do the same to other users meanwhile.
func TestModel(t *testing.T) {
	t.Parallel()
	first := seed(t)
	deadline := time.Now().Add(duration())
	require.NoError(t, flag.Set("rapid.nofailfile", "true"))
	require.NoError(t, flag.Set("rapid.checks", "4"))
	clock := &manual{}
	b := setup(t, pgstore.Settings{Now: clock.now})
	var others sync.WaitGroup
	defer others.Wait()
	others.Go(func() { b.others(t, deadline) })
	rounds := 0
	for ; rounds == 0 || time.Now().Before(deadline) && !t.Failed(); rounds++ {
		if f := flag.Lookup("rapid.seed"); f.Value.String() == "0" || rounds > 0 {
			require.NoError(t, f.Value.Set(strconv.FormatUint((first|1)+2*uint64(rounds), 10)))
		}
		t.Logf("round %d: -rapid.seed %s", rounds+1, flag.Lookup("rapid.seed").Value)
		rapid.Check(t, func(rt *rapid.T) { newMachine(rt, b, clock).play(rt) })
	}
	others.Wait() // The trails are read one after the other.
	if !t.Failed() {
		b.settled(t)
		b.replays(t)
	}
}

// others keeps the tables busy with runs of other users, until it is time.
func (b *bundle) others(t *testing.T, deadline time.Time) {
	t.Helper()
	u, err := b.CreateUser(context.Background(), keyed(operator, "others", ""), ledger.UserInput{Email: "others@example.com"})
	if err != nil {
		t.Error(err)
		return
	}
	_, err = b.Grant(context.Background(), keyed(operator, "others grant", ""), ledger.GrantInput{UserID: u.ID, Category: ledger.GrantPromo, Amount: 1000 * ledger.Credit})
	if err != nil {
		t.Error(err)
		return
	}
	m, err := b.CreateMandate(context.Background(), keyed(operator, "others mandate", ""), ledger.MandateInput{UserID: u.ID})
	for i := 0; err == nil && time.Now().Before(deadline) && !t.Failed(); i++ {
		var a ledger.Authorization
		a, err = b.Authorize(context.Background(), keyed(runner, fmt.Sprint("others ", i), ""), ledger.AuthorizeInput{UserID: u.ID, MandateID: m.ID, Agent: "planner"})
		if err == nil {
			_, err = b.Release(context.Background(), keyed(runner, fmt.Sprint("others release ", i), ""), a.Hold.ID)
		}
	}
}

// machine is the store and the model, side by side.
type machine struct {
	*bundle
	clock    *manual
	model    model
	user     uuid.UUID
	mandates []ledger.Mandate
	grants   []ledger.Grant
	runs     []ledger.Authorization
	past     []pastCall
}

// pastCall is a request that can come again.
type pastCall struct {
	key    string
	actor  ledger.Actor
	again  func(c *ledger.Call) (any, error)
	answer string
}

func newMachine(t *rapid.T, b *bundle, clock *manual) *machine {
	m := &machine{bundle: b, clock: clock}
	// Near the end of winter time in Europe.
	m.model.now = time.Date(2026, 3, 27, 0, 0, 0, 0, time.UTC)
	clock.set(m.model.now)
	u, err := b.CreateUser(context.Background(), b.call(operator), ledger.UserInput{Email: uuid.NewString() + "@example.com"})
	require.NoError(t, err)
	m.user = u.ID
	return m
}

func (m *machine) play(t *rapid.T) {
	m.giveCredits(t)
	m.makeMandate(t)
	t.Repeat(map[string]func(*rapid.T){
		"":          m.agree,
		"authorize": m.authorize, "authorize more": m.authorize, "authorize still more": m.authorize,
		"capture": m.capture, "release": m.release, "refund": m.refund, "decide": m.decide,
		"grant": m.giveCredits, "void": m.void, "mandate": m.makeMandate, "rules": m.replaceRules, "switch": m.switchMandate,
		"time": m.passTime, "expire": m.expire, "again": m.again,
	})
}

// did compares the code of an answer with what the model says, and keeps the request.
func (m *machine) did(t *rapid.T, want ledger.Code, key string, f func(c *ledger.Call) (any, error), actor ledger.Actor) any {
	answer, err := f(keyed(actor, key, key))
	require.Equal(t, want, ledger.CodeOf(err), "%v", err)
	if err == nil || ledger.Remembered(ledger.CodeOf(err)) {
		m.past = append(m.past, pastCall{key: key, actor: actor, answer: asText(t, answer, err), again: f})
	}
	return answer
}

func asText(t require.TestingT, answer any, err error) string {
	text, jsonErr := json.Marshal([]any{answer, err})
	require.NoError(t, jsonErr)
	return string(text)
}

func (m *machine) key() string { return fmt.Sprintf("%s %d", m.user, m.calls.Add(1)) }

func amount(t *rapid.T, most int) *ledger.Credits {
	c := ledger.Credits(rapid.IntRange(1, 2*most).Draw(t, "half credits")) * ledger.Credit / 2
	return &c
}

func (m *machine) authorize(t *rapid.T) {
	i := rapid.IntRange(0, len(m.mandates)-1).Draw(t, "mandate")
	asked, ttl := amount(t, 6), time.Duration(rapid.IntRange(1, 3000).Draw(t, "minutes"))*time.Minute
	in := ledger.AuthorizeInput{UserID: m.user, MandateID: m.mandates[i].ID, Agent: "planner", Amount: asked, TTL: ttl}
	own := m.model.mandates[i]
	usage, available := m.model.usage(own), m.model.available()
	dry, err := m.EvaluateMandate(context.Background(), runner, in)
	require.NoError(t, err)
	run, d := m.model.authorize(own, *asked, ttl)
	want := ledger.Code("")
	if run == nil {
		want = codeOf(d)
	}
	var receipt ledger.Receipt
	answer := m.did(t, want, m.key(), func(c *ledger.Call) (any, error) {
		a, err := m.Authorize(context.Background(), c, in)
		if e, ok := err.(*ledger.Error); ok && e.Receipt != nil { //nolint:errorlint // Ours, and not wrapped.
			receipt = *e.Receipt
		} else {
			receipt = a.Receipt
		}
		return a, err
	}, runner)
	told := ledger.Decision{Outcome: receipt.Outcome, Rule: receipt.Rule, Violations: inUTC(receipt.Violations)}
	require.Equal(t, d, told)
	require.Equal(t, usage, receipt.Usage)
	require.Equal(t, available, receipt.Available)
	require.Equal(t, dry, receipt, "the dry run says the same")
	if a, ok := answer.(ledger.Authorization); ok && run != nil {
		m.runs = append(m.runs, a)
		require.Equal(t, run.approval == "", a.Hold != nil)
	}
}

func inUTC(violations []ledger.Violation) []ledger.Violation {
	for i := range violations {
		if at := violations[i].ResetsAt; at != nil {
			u := at.UTC()
			violations[i].ResetsAt = &u
		}
	}
	return violations
}

// anyRun chooses a run that the model knows to have a hold, or to wait for an approval.
func (m *machine) anyRun(t *rapid.T, with func(r *modelRun) bool) int {
	var which []int
	for i, r := range m.model.runs {
		if with(r) {
			which = append(which, i)
		}
	}
	if len(which) == 0 {
		t.Skip("none")
	}
	return rapid.SampledFrom(which).Draw(t, "run")
}

func held(r *modelRun) bool { return r.status != "" }

func (m *machine) capture(t *rapid.T) {
	i := m.anyRun(t, held)
	var in ledger.CaptureInput
	if rapid.Bool().Draw(t, "in part") {
		in.Amount = amount(t, 6)
	}
	want := m.model.settle(m.model.runs[i], true, in.Amount)
	m.did(t, want, m.key(), func(c *ledger.Call) (any, error) {
		return m.Capture(context.Background(), c, m.runs[i].Transaction.ID, in)
	}, runner)
}

func (m *machine) release(t *rapid.T) {
	i := m.anyRun(t, held)
	want := m.model.settle(m.model.runs[i], false, nil)
	m.did(t, want, m.key(), func(c *ledger.Call) (any, error) {
		return m.Release(context.Background(), c, m.runs[i].Transaction.ID)
	}, runner)
}

func (m *machine) refund(t *rapid.T) {
	i := m.anyRun(t, held)
	in := ledger.RefundInput{Amount: amount(t, 3)}
	want := m.model.refund(m.model.runs[i], *in.Amount)
	m.did(t, want, m.key(), func(c *ledger.Call) (any, error) {
		return m.Refund(context.Background(), c, m.runs[i].Transaction.ID, in)
	}, operator)
}

func (m *machine) decide(t *rapid.T) {
	i := m.anyRun(t, func(r *modelRun) bool { return r.approval != "" })
	yes := rapid.IntRange(0, 3).Draw(t, "yes") > 0
	want, _ := m.model.approve(m.model.runs[i], yes)
	m.did(t, want, m.key(), func(c *ledger.Call) (any, error) {
		if yes {
			return m.Approve(context.Background(), c, m.runs[i].Approval.ID, ledger.DecisionInput{})
		}
		return m.Reject(context.Background(), c, m.runs[i].Approval.ID, ledger.DecisionInput{})
	}, approver)
}

func (m *machine) giveCredits(t *rapid.T) {
	in := ledger.GrantInput{UserID: m.user, Category: ledger.GrantPromo, Amount: *amount(t, 12)}
	priority := rapid.IntRange(99, 101).Draw(t, "priority")
	in.Priority = &priority
	if rapid.Bool().Draw(t, "expires") {
		at := m.model.now.Add(time.Duration(rapid.IntRange(1, 72).Draw(t, "hours")) * time.Hour)
		in.ExpiresAt = &at
	}
	m.model.grants = append(m.model.grants, &modelGrant{left: in.Amount, priority: priority, expires: in.ExpiresAt})
	g, err := m.Grant(context.Background(), m.call(operator), in)
	require.NoError(t, err)
	m.grants = append(m.grants, g)
	m.tick()
}

// tick lets a microsecond pass, so that of two grants one is older.
func (m *machine) tick() {
	m.model.now = m.model.now.Add(time.Microsecond)
	m.clock.set(m.model.now)
}

// void voids a grant that the platform made. Refunds of the model's list are skipped by their place.
func (m *machine) void(t *rapid.T) {
	i := rapid.IntRange(0, len(m.grants)-1).Draw(t, "grant")
	g := m.modelGrant(i)
	want := ledger.Code("")
	if g.voided {
		want = ledger.CodeConflict
	}
	g.voided = true
	m.model.sweep()
	m.did(t, want, m.key(), func(c *ledger.Call) (any, error) {
		return m.VoidGrant(context.Background(), c, m.grants[i].ID, ledger.VoidInput{})
	}, operator)
}

// modelGrant is the model's side of a grant that was given, which is the i-th that is no refund.
func (m *machine) modelGrant(i int) *modelGrant {
	for _, g := range m.model.grants {
		if !g.refund {
			if i == 0 {
				return g
			}
			i--
		}
	}
	panic("BUG: no such grant")
}

func drawRules(t *rapid.T, now time.Time) ledger.Rules {
	r := ledger.Rules{TimeZone: rapid.SampledFrom([]string{"", "Europe/Berlin", "Asia/Kathmandu", "America/Havana"}).Draw(t, "zone")}
	some := func(name string, most int) *ledger.Credits {
		if rapid.IntRange(0, 2).Draw(t, name) > 0 {
			return nil
		}
		return amount(t, most)
	}
	r.MaxPerExecution, r.MaxPerDay, r.MaxPerWeek, r.MaxPerMonth, r.MaxTotal = some("execution", 6), some("day", 10), some("week", 12), some("month", 14), some("total", 16)
	r.ApprovalOver = some("approval", 6)
	if rapid.IntRange(0, 3).Draw(t, "concurrent") == 0 {
		r.MaxConcurrent = new(int64(rapid.IntRange(0, 3).Draw(t, "holds")))
	}
	if rapid.IntRange(0, 3).Draw(t, "count") == 0 {
		r.MaxCountPerDay = new(int64(rapid.IntRange(0, 4).Draw(t, "runs")))
	}
	r.SingleUse = rapid.IntRange(0, 9).Draw(t, "single use") == 0
	if rapid.IntRange(0, 4).Draw(t, "ends") == 0 {
		at := now.Add(time.Duration(rapid.IntRange(1, 60).Draw(t, "hours")) * time.Hour)
		r.ValidUntil = &at
	}
	if rapid.IntRange(0, 6).Draw(t, "begins") == 0 {
		at := now.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "hours")) * 59 * time.Minute)
		if r.ValidUntil == nil || at.Before(*r.ValidUntil) {
			r.ValidFrom = &at
		}
	}
	switch rapid.IntRange(0, 9).Draw(t, "lists") {
	case 0:
		r.AllowAgents = []string{"planner", "other"}
	case 1:
		r.DenyProviders = []string{"openai"}
	}
	return r
}

func effective(t *rapid.T, now time.Time) time.Time {
	if rapid.IntRange(0, 3).Draw(t, "later") > 0 {
		return now
	}
	return now.Add(time.Duration(rapid.IntRange(1, 30).Draw(t, "hours")) * time.Hour)
}

func (m *machine) makeMandate(t *rapid.T) {
	if len(m.mandates) > 2 {
		t.Skip("enough")
	}
	in := ledger.MandateInput{UserID: m.user, Rules: drawRules(t, m.model.now), EffectiveAt: effective(t, m.model.now)}
	made, err := m.CreateMandate(context.Background(), m.call(operator), in)
	require.NoError(t, err)
	m.mandates = append(m.mandates, made)
	m.model.mandates = append(m.model.mandates, &modelMandate{status: ledger.MandateActive, versions: []ledger.MandateVersion{{Version: 1, Rules: in.Rules, EffectiveAt: in.EffectiveAt}}})
}

func (m *machine) replaceRules(t *rapid.T) {
	i := rapid.IntRange(0, len(m.mandates)-1).Draw(t, "mandate")
	own := m.model.mandates[i]
	in := ledger.MandateVersionInput{Rules: drawRules(t, m.model.now), EffectiveAt: effective(t, m.model.now)}
	want := ledger.Code("")
	if own.status == ledger.MandateRevoked {
		want = ledger.CodeConflict
	} else {
		own.versions = append(own.versions, ledger.MandateVersion{Version: len(own.versions) + 1, Rules: in.Rules, EffectiveAt: in.EffectiveAt})
	}
	m.did(t, want, m.key(), func(c *ledger.Call) (any, error) {
		return m.ReplaceRules(context.Background(), c, m.mandates[i].ID, in)
	}, operator)
}

func (m *machine) switchMandate(t *rapid.T) {
	i := rapid.IntRange(0, len(m.mandates)-1).Draw(t, "mandate")
	own := m.model.mandates[i]
	to := rapid.SampledFrom([]ledger.MandateStatus{ledger.MandateSuspended, ledger.MandateActive, ledger.MandateActive, ledger.MandateRevoked}).Draw(t, "to")
	change := ledger.MandateChange{ReleaseHolds: rapid.Bool().Draw(t, "release holds")}
	want := ledger.Code("")
	if own.status == ledger.MandateRevoked || own.status == to {
		want = ledger.CodeConflict
	} else {
		own.status = to
		for _, r := range m.model.runs {
			if to == ledger.MandateRevoked && change.ReleaseHolds && r.mandate == own && r.status == ledger.HoldActive {
				r.status = ledger.HoldReleased
			}
		}
	}
	f := map[ledger.MandateStatus]func(context.Context, *ledger.Call, uuid.UUID, ledger.MandateChange) (ledger.Mandate, error){
		ledger.MandateSuspended: m.SuspendMandate, ledger.MandateActive: m.ResumeMandate, ledger.MandateRevoked: m.RevokeMandate,
	}
	m.did(t, want, m.key(), func(c *ledger.Call) (any, error) {
		return f[to](context.Background(), c, m.mandates[i].ID, change)
	}, operator)
}

func (m *machine) passTime(t *rapid.T) {
	m.model.now = m.model.now.Add(time.Duration(rapid.SampledFrom([]int{1, 30, 60, 300, 700, 1440}).Draw(t, "minutes")) * time.Minute)
	m.clock.set(m.model.now)
}

func (m *machine) expire(t *rapid.T) {
	m.model.expire()
	_, err := m.ExpireDue(context.Background(), 1000)
	require.NoError(t, err)
}

// again sends a request that came before: the answer is the same, whatever happened since.
func (m *machine) again(t *rapid.T) {
	if len(m.past) == 0 {
		t.Skip("none")
	}
	p := rapid.SampledFrom(m.past).Draw(t, "past")
	c := keyed(p.actor, p.key, p.key)
	answer, err := p.again(c)
	require.True(t, c.Replayed)
	require.Equal(t, p.answer, asText(t, answer, err))
	_, err = p.again(keyed(p.actor, p.key, "something else"))
	require.Equal(t, ledger.CodeKeyReused, ledger.CodeOf(err))
}

// agree compares everything that can be seen.
func (m *machine) agree(t *rapid.T) {
	b, err := m.Balance(context.Background(), operator, m.user)
	require.NoError(t, err)
	require.Equal(t, m.model.available(), b.Available, "available")
	require.Equal(t, m.model.held(), b.Held, "held")
	for i, own := range m.model.mandates {
		u, err := m.MandateUsage(context.Background(), runner, m.mandates[i].ID)
		require.NoError(t, err)
		require.Equal(t, m.model.usage(own), u, "usage")
	}
	for i, r := range m.model.runs {
		if r.status != "" && i >= len(m.model.runs)-3 {
			h, err := m.Hold(context.Background(), runner, m.runs[i].Transaction.ID)
			require.NoError(t, err)
			require.Equal(t, r.status, h.Status)
			require.Equal(t, r.captured, h.Captured)
		}
	}
}
