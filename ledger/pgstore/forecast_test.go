package pgstore_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
)

// capture runs an agent and captures what it cost.
func (b *bundle) capture(t *testing.T, m ledger.Mandate, agent string, amount ledger.Credits) {
	t.Helper()
	a, err := b.Authorize(t.Context(), b.call(runner), ledger.AuthorizeInput{UserID: m.UserID, MandateID: m.ID, Agent: agent, Amount: &amount})
	require.NoError(t, err)
	_, err = b.Capture(t.Context(), b.call(runner), a.Hold.ID, ledger.CaptureInput{})
	require.NoError(t, err)
}

func (b *bundle) addUp(t *testing.T) {
	t.Helper()
	_, err := b.AddUpSpending(t.Context())
	require.NoError(t, err)
	n, err := b.AddUpSpending(t.Context())
	require.NoError(t, err)
	require.Zero(t, n, "the second time finds nothing new")
}

func TestForecast(t *testing.T) {
	t.Parallel()
	clock := &manual{at: time.Now().UTC().Truncate(time.Hour).Add(time.Minute)}
	b := setup(t, pgstore.Settings{Now: clock.now})
	begin := clock.now()
	b.newAgent(t, "painter", "art", "openai", ledger.Credit)
	b.grant(t, b.user.ID, 100*ledger.Credit)
	m := b.mandate(t, b.user.ID, ledger.Rules{MaxTotal: credits(40)})
	other := b.mandate(t, b.user.ID, ledger.Rules{})
	f, err := b.UserForecast(t.Context(), operator, b.user.ID, 0)
	require.NoError(t, err)
	require.Nil(t, f.RunsOutAt, "who spends nothing keeps it")
	require.Empty(t, f.Agents)
	for day := range 3 {
		clock.set(begin.Add(time.Duration(day) * 24 * time.Hour))
		b.capture(t, m, "planner", 6*ledger.Credit)
		b.capture(t, other, "painter", 4*ledger.Credit)
		b.addUp(t)
	}
	ten := 10 * ledger.Credit
	held, err := b.Authorize(t.Context(), b.call(runner), ledger.AuthorizeInput{UserID: b.user.ID, MandateID: other.ID, Agent: "planner", Amount: &ten, TTL: ledger.MaxHold})
	require.NoError(t, err)
	clock.set(begin.Truncate(time.Hour).Add(72 * time.Hour)) // Three days since the beginning of the first hour.
	f, err = b.UserForecast(t.Context(), operator, b.user.ID, 0)
	require.NoError(t, err)
	day := func(n int) *time.Time { at := clock.now().Add(time.Duration(n) * 24 * time.Hour); return &at }
	require.Equal(t, ledger.Burn{Executions: 6, Captured: 30 * ledger.Credit, PerDay: 10 * ledger.Credit}, f.Burn)
	require.Equal(t, 60*ledger.Credit, f.Available)
	require.Equal(t, 10*ledger.Credit, f.Held)
	require.Equal(t, day(6), f.RunsOutAt)
	require.Len(t, f.Agents, 2)
	require.Equal(t, "planner", f.Agents[0].Agent)
	require.Equal(t, day(10), f.Agents[0].RunsOutAt, "60 credits at 6 a day")
	require.Equal(t, day(15), f.Agents[1].RunsOutAt)
	require.Len(t, f.Mandates, 2)
	require.Equal(t, 22*ledger.Credit, *f.Mandates[0].Left)
	require.WithinDuration(t, clock.now().Add(88*time.Hour), *f.Mandates[0].RunsOutAt, time.Second, "22 credits at 6 a day, before the user's credits")
	require.Equal(t, day(6), f.Mandates[1].RunsOutAt)
	_, err = b.Release(t.Context(), b.call(runner), held.Hold.ID)
	require.NoError(t, err)

	short, err := b.UserForecast(t.Context(), operator, b.user.ID, time.Hour)
	require.NoError(t, err)
	require.Zero(t, short.Burn, "nothing was captured in the last hour")
	for _, window := range []time.Duration{time.Minute, 31 * 24 * time.Hour, -time.Hour} {
		_, err = b.UserForecast(t.Context(), operator, b.user.ID, window)
		require.Equal(t, ledger.CodeInvalid, ledger.CodeOf(err))
	}
	stranger := b.newUser(t, "eve@example.com")
	_, err = b.UserForecast(t.Context(), ledger.Actor{Principal: "key:eve", UserID: stranger.ID, Scopes: []ledger.Scope{ledger.ScopeManage}}, b.user.ID, 0)
	require.Equal(t, ledger.CodeNotFound, ledger.CodeOf(err))

	a, err := b.AgentForecast(t.Context(), operator, "planner", 0)
	require.NoError(t, err)
	require.Equal(t, ledger.Burn{Executions: 3, Captured: 18 * ledger.Credit, PerDay: 6 * ledger.Credit}, a.Burn)
	require.EqualValues(t, 1, a.Users)
	require.Equal(t, day(7), a.RunsOutAt, "of the user, by all that the user spends: 70 credits at 10 a day")

	// What is older than any window goes.
	clock.add(40 * 24 * time.Hour)
	b.addUp(t)
	var left int
	require.NoError(t, b.connect(t).QueryRow(t.Context(), "SELECT count(*) FROM ledger.spending_hours").Scan(&left))
	require.Zero(t, left)
}

// TestSpendingIsAddedUpLate captures in an hour that was added up before, as a capture does whose commit takes long.
func TestSpendingIsAddedUpLate(t *testing.T) {
	t.Parallel()
	hour := time.Now().UTC().Truncate(time.Hour)
	clock := &manual{at: hour.Add(-time.Hour)}
	b := setup(t, pgstore.Settings{Now: clock.now})
	b.grant(t, b.user.ID, 10*ledger.Credit)
	m := b.mandate(t, b.user.ID, ledger.Rules{})
	amount := ledger.Credit
	a, err := b.Authorize(t.Context(), b.call(runner), ledger.AuthorizeInput{UserID: m.UserID, MandateID: m.ID, Agent: "planner", Amount: &amount, TTL: ledger.MaxHold})
	require.NoError(t, err)
	clock.set(hour.Add(time.Minute))
	b.addUp(t)
	clock.set(hour.Add(-time.Minute))
	_, err = b.Capture(t.Context(), b.call(runner), a.Hold.ID, ledger.CaptureInput{})
	require.NoError(t, err)
	clock.set(hour.Add(2 * time.Minute))
	b.addUp(t)
	f, err := b.UserForecast(t.Context(), operator, b.user.ID, 0)
	require.NoError(t, err)
	require.Equal(t, ledger.Credit, f.Burn.Captured)
}

func TestGuardSuspends(t *testing.T) {
	t.Parallel()
	clock := &manual{at: time.Now().UTC().Truncate(time.Hour).Add(time.Minute)}
	b := setup(t, pgstore.Settings{Now: clock.now})
	b.grant(t, b.user.ID, 100*ledger.Credit)
	m, idle := b.mandate(t, b.user.ID, ledger.Rules{}), b.mandate(t, b.user.ID, ledger.Rules{})
	manager := ledger.Actor{Principal: "key:manager", UserID: b.user.ID, Scopes: []ledger.Scope{ledger.ScopeManage}}
	days := func(n int) *ledger.Seconds { s := ledger.Seconds(n * 24 * 60 * 60); return &s }
	none, err := b.Guard(t.Context(), manager, m.ID)
	require.NoError(t, err)
	require.Zero(t, none.RowVersion)
	for _, id := range []ledger.Mandate{m, idle} {
		_, err := b.SetGuard(t.Context(), b.call(manager), id.ID, ledger.GuardInput{LeftSeconds: days(2)})
		require.NoError(t, err)
	}
	_, err = b.SetGuard(t.Context(), b.call(runner), m.ID, ledger.GuardInput{LeftSeconds: days(1)})
	require.Equal(t, ledger.CodeForbidden, ledger.CodeOf(err), "a key that may execute changes no mandate")
	check := func() int {
		t.Helper()
		b.addUp(t)
		n, err := b.CheckGuards(t.Context())
		require.NoError(t, err)
		again, err := b.CheckGuards(t.Context())
		require.NoError(t, err)
		require.Zero(t, again, "twice is once")
		return n
	}
	status := func(of ledger.Mandate) ledger.MandateStatus {
		t.Helper()
		now, err := b.Mandate(t.Context(), operator, of.ID)
		require.NoError(t, err)
		return now.Status
	}
	require.Zero(t, check(), "nothing is spent")
	b.capture(t, m, "planner", 20*ledger.Credit)
	clock.add(24*time.Hour - time.Minute)
	require.Zero(t, check(), "80 credits at 20 a day last for four days")
	b.capture(t, m, "planner", 40*ledger.Credit)
	require.Equal(t, 1, check(), "40 credits at 60 a day")
	require.Equal(t, ledger.MandateSuspended, status(m))
	require.Equal(t, ledger.MandateActive, status(idle), "nothing is spent by it")
	_, err = b.authorize(t.Context(), m, ledger.Credit)
	require.Equal(t, ledger.CodeMandateDenied, ledger.CodeOf(err))
	trail, err := b.Audit(t.Context(), operator, ledger.TrailMandates, ledger.AuditFilter{EntityID: m.ID, ChangedBy: "system:forecast"}, ledger.Page{})
	require.NoError(t, err)
	fields := map[string]string{}
	for _, e := range trail.Items {
		fields[e.Entity+"."+e.Field] = string(e.NewValue)
	}
	require.Equal(t, `"suspended"`, fields["mandates.status"])
	require.Contains(t, fields, "mandate_guards.tripped_at")

	// Who resumes it has seen the forecast.
	_, err = b.ResumeMandate(t.Context(), b.call(manager), m.ID, ledger.MandateChange{})
	require.NoError(t, err)
	require.Zero(t, check())
	require.Equal(t, ledger.MandateActive, status(m))
	// With more credits the threshold is armed again.
	b.grant(t, b.user.ID, 1000*ledger.Credit)
	require.Zero(t, check())
	g, err := b.Guard(t.Context(), manager, m.ID)
	require.NoError(t, err)
	require.Nil(t, g.TrippedAt)
	b.capture(t, m, "planner", 1000*ledger.Credit)
	require.Equal(t, 1, check())
	require.Equal(t, ledger.MandateSuspended, status(m))
	_, err = b.SetGuard(t.Context(), b.call(manager), m.ID, ledger.GuardInput{})
	require.NoError(t, err)
	for _, bad := range []ledger.Seconds{0, -1, 59, 1 << 40} {
		_, err = b.SetGuard(t.Context(), b.call(manager), m.ID, ledger.GuardInput{LeftSeconds: &bad})
		require.Equal(t, ledger.CodeInvalid, ledger.CodeOf(err))
	}
	b.settled(t)
}
