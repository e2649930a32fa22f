package pgstore_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
)

// same compares as callers see it, ETags included.
func same(t *testing.T, want, got any) {
	t.Helper()
	w, err := json.Marshal(want)
	require.NoError(t, err)
	g, err := json.Marshal(got)
	require.NoError(t, err)
	require.Equal(t, string(w), string(g))
}

func refused(t *testing.T, err error, code ledger.Code) {
	t.Helper()
	_ = asRefusal(t, err, code)
}

// asRefusal is the error that was given, with this code.
func asRefusal(t *testing.T, err error, code ledger.Code) *ledger.Error {
	t.Helper()
	e := &ledger.Error{}
	require.ErrorAs(t, err, &e)
	require.Equal(t, code, e.Code, "%v", err)
	return e
}

func TestRun(t *testing.T) {
	t.Parallel()
	b := setup(t, pgstore.Settings{})
	b.grant(t, b.user.ID, 10*ledger.Credit)
	m := b.mandate(t, b.user.ID, ledger.Rules{MaxPerDay: credits(5), TimeZone: "Europe/Berlin"})

	call := keyed(runner, "first", "a run")
	in := ledger.AuthorizeInput{UserID: b.user.ID, MandateID: m.ID, Agent: "planner", Amount: credits(3), ExecutionID: "run-1", Metadata: json.RawMessage(`{"b":1,  "a":2}`)}
	a, err := b.Authorize(t.Context(), call, in)
	require.NoError(t, err)
	require.False(t, call.Replayed)
	require.Equal(t, ledger.RuleMaxPerDay, a.Receipt.Rule)
	require.Equal(t, 10*ledger.Credit, a.Receipt.Available)
	require.Equal(t, a.Hold.AuthorizedAt.Add(ledger.DefaultHold), a.Hold.ExpiresAt)
	require.Equal(t, ledger.Balance{UserID: b.user.ID, Posted: 10 * ledger.Credit, Held: 3 * ledger.Credit, Available: 7 * ledger.Credit}, b.balance(t, b.user.ID))
	stored, err := b.Transaction(t.Context(), runner, a.Transaction.ID)
	require.NoError(t, err)
	same(t, a.Transaction, stored)
	hold, err := b.Hold(t.Context(), runner, a.Hold.ID)
	require.NoError(t, err)
	same(t, a.Hold, hold)

	s, err := b.Capture(t.Context(), keyed(runner, "second", "settle"), a.Hold.ID, ledger.CaptureInput{Amount: credits(2)})
	require.NoError(t, err)
	require.Equal(t, ledger.HoldCaptured, s.Hold.Status)
	require.Equal(t, 2*ledger.Credit, s.Transaction.Settled)
	require.Equal(t, ledger.StatusSucceeded, s.Transaction.Status)
	usage, err := b.MandateUsage(t.Context(), runner, m.ID)
	require.NoError(t, err)
	require.Equal(t, ledger.Usage{Day: 2 * ledger.Credit, Week: 2 * ledger.Credit, Month: 2 * ledger.Credit, Total: 2 * ledger.Credit, DayCount: 1, Count: 1}, usage)

	refund, err := b.Refund(t.Context(), b.call(operator), a.Transaction.ID, ledger.RefundInput{Amount: credits(1), Reason: "slow"})
	require.NoError(t, err)
	require.Equal(t, &a.Transaction.ID, refund.ParentID)
	_, err = b.Refund(t.Context(), b.call(operator), a.Transaction.ID, ledger.RefundInput{Amount: credits(2)})
	refused(t, err, ledger.CodeRefundExceeds)
	require.Equal(t, 9*ledger.Credit, b.balance(t, b.user.ID).Posted)

	again := keyed(runner, "first", "a run")
	replayed, err := b.Authorize(t.Context(), again, in)
	require.NoError(t, err)
	require.True(t, again.Replayed)
	same(t, a, replayed)
	once := keyed(runner, "second", "settle")
	settled, err := b.Capture(t.Context(), once, a.Hold.ID, ledger.CaptureInput{Amount: credits(2)})
	require.NoError(t, err)
	require.True(t, once.Replayed)
	same(t, s, settled)

	_, err = b.Authorize(t.Context(), keyed(runner, "first", "another run"), in)
	refused(t, err, ledger.CodeKeyReused)
	_, err = b.Capture(t.Context(), keyed(runner, "second", "other"), a.Hold.ID, ledger.CaptureInput{})
	refused(t, err, ledger.CodeKeyReused)
	_, err = b.Authorize(t.Context(), b.call(runner), in)
	refused(t, err, ledger.CodeAlreadyExists)
	_, err = b.Capture(t.Context(), b.call(runner), a.Hold.ID, ledger.CaptureInput{})
	refused(t, err, ledger.CodeHoldCaptured)

	entries, err := b.Entries(t.Context(), operator, ledger.EntryFilter{UserID: b.user.ID}, ledger.Page{})
	require.NoError(t, err)
	require.Len(t, entries.Items, 3)
	require.Equal(t, []ledger.Credits{ledger.Credit, -2 * ledger.Credit, 10 * ledger.Credit}, []ledger.Credits{entries.Items[0].Amount, entries.Items[1].Amount, entries.Items[2].Amount})
	b.settled(t)
}

func TestRefusal(t *testing.T) {
	t.Parallel()
	b := setup(t, pgstore.Settings{})
	b.grant(t, b.user.ID, 4*ledger.Credit)
	m := b.mandate(t, b.user.ID, ledger.Rules{MaxPerDay: credits(3), MaxTotal: credits(3)})
	in := ledger.AuthorizeInput{UserID: b.user.ID, MandateID: m.ID, Agent: "planner", Amount: credits(5)}
	call := keyed(runner, "k", "five")
	_, err := b.Authorize(t.Context(), call, in)
	e := asRefusal(t, err, ledger.CodeMandateDenied)
	require.Len(t, e.Violations, 3)
	require.Equal(t, ledger.OutcomeRefused, e.Receipt.Outcome)

	// The cause is gone, the answer stays.
	_, err = b.ReplaceRules(t.Context(), b.call(operator), m.ID, ledger.MandateVersionInput{})
	require.NoError(t, err)
	b.grant(t, b.user.ID, 4*ledger.Credit)
	again := keyed(runner, "k", "five")
	_, err = b.Authorize(t.Context(), again, in)
	same(t, e, asRefusal(t, err, ledger.CodeMandateDenied))
	require.True(t, again.Replayed)
	_, err = b.Authorize(t.Context(), keyed(runner, "l", "five"), in)
	require.NoError(t, err)

	in.Amount = credits(4)
	call = keyed(runner, "m", "four")
	_, err = b.Authorize(t.Context(), call, in)
	e = asRefusal(t, err, ledger.CodeInsufficientFunds)
	require.Equal(t, []ledger.Violation{{Rule: ledger.RuleCredits, Limit: "3", Requested: "4"}}, e.Violations)
	again = keyed(runner, "m", "four")
	_, err = b.Authorize(t.Context(), again, in)
	same(t, e, asRefusal(t, err, ledger.CodeInsufficientFunds))
	require.True(t, again.Replayed)
	b.settled(t)
}

func TestRunOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	b := setup(t, pgstore.Settings{})
	other := b.newUser(t, "bob@example.com")
	m := b.mandate(t, b.user.ID, ledger.Rules{})
	good := ledger.AuthorizeInput{UserID: b.user.ID, MandateID: m.ID, Agent: "planner"}
	for name, change := range map[string]func(in *ledger.AuthorizeInput){
		"user":               func(in *ledger.AuthorizeInput) { in.UserID = uuid.Must(uuid.NewV7()) },
		"mandate":            func(in *ledger.AuthorizeInput) { in.MandateID = uuid.Must(uuid.NewV7()) },
		"agent":              func(in *ledger.AuthorizeInput) { in.Agent = "nobody" },
		"mandate of another": func(in *ledger.AuthorizeInput) { in.UserID = other.ID },
	} {
		in := good
		change(&in)
		_, err := b.Authorize(t.Context(), b.call(runner), in)
		require.Equal(t, ledger.CodeNotFound, ledger.CodeOf(err), name)
		_, err = b.Authorize(t.Context(), &ledger.Call{Actor: runner}, in)
		require.Equal(t, ledger.CodeNotFound, ledger.CodeOf(err), name)
		_, err = b.EvaluateMandate(t.Context(), runner, in)
		require.Equal(t, ledger.CodeNotFound, ledger.CodeOf(err), name)
	}
	_, err := b.Capture(t.Context(), b.call(runner), uuid.Must(uuid.NewV7()), ledger.CaptureInput{})
	refused(t, err, ledger.CodeNotFound)
	// A key that came before tells so though the rest is not there.
	call := keyed(runner, "k", "a")
	_, err = b.Authorize(t.Context(), call, good)
	require.Error(t, err)
	good.Agent = "nobody"
	_, err = b.Authorize(t.Context(), keyed(runner, "k", "b"), good)
	refused(t, err, ledger.CodeKeyReused)
}

func TestActors(t *testing.T) {
	t.Parallel()
	b := setup(t, pgstore.Settings{})
	other := b.newUser(t, "bob@example.com")
	b.grant(t, b.user.ID, 10*ledger.Credit)
	m := b.mandate(t, b.user.ID, ledger.Rules{})
	a, err := b.authorize(t.Context(), m, ledger.Credit)
	require.NoError(t, err)

	// A key that may execute can never change a mandate.
	_, err = b.CreateMandate(t.Context(), b.call(runner), ledger.MandateInput{UserID: b.user.ID})
	refused(t, err, ledger.CodeForbidden)
	_, err = b.ReplaceRules(t.Context(), b.call(runner), m.ID, ledger.MandateVersionInput{})
	refused(t, err, ledger.CodeForbidden)
	for _, change := range []func(c *ledger.Call) (ledger.Mandate, error){
		func(c *ledger.Call) (ledger.Mandate, error) {
			return b.SuspendMandate(t.Context(), c, m.ID, ledger.MandateChange{})
		},
		func(c *ledger.Call) (ledger.Mandate, error) {
			return b.ResumeMandate(t.Context(), c, m.ID, ledger.MandateChange{})
		},
		func(c *ledger.Call) (ledger.Mandate, error) {
			return b.RevokeMandate(t.Context(), c, m.ID, ledger.MandateChange{})
		},
	} {
		_, err = change(b.call(runner))
		refused(t, err, ledger.CodeForbidden)
	}

	stranger := ledger.Actor{Principal: "key:stranger", UserID: other.ID, Scopes: []ledger.Scope{ledger.ScopeAdmin}}
	_, err = b.Authorize(t.Context(), b.call(stranger), ledger.AuthorizeInput{UserID: b.user.ID, MandateID: m.ID, Agent: "planner"})
	refused(t, err, ledger.CodeNotFound)
	_, err = b.Capture(t.Context(), b.call(stranger), a.Hold.ID, ledger.CaptureInput{})
	refused(t, err, ledger.CodeNotFound)
	_, err = b.Hold(t.Context(), stranger, a.Hold.ID)
	refused(t, err, ledger.CodeNotFound)
	_, err = b.Mandate(t.Context(), stranger, m.ID)
	refused(t, err, ledger.CodeNotFound)
	_, err = b.MandateUsage(t.Context(), stranger, m.ID)
	refused(t, err, ledger.CodeNotFound)
	_, err = b.RevokeMandate(t.Context(), b.call(stranger), m.ID, ledger.MandateChange{})
	refused(t, err, ledger.CodeNotFound)
	_, err = b.Balance(t.Context(), stranger, b.user.ID)
	refused(t, err, ledger.CodeNotFound)
	_, err = b.Audit(t.Context(), stranger, ledger.TrailMandates, ledger.AuditFilter{}, ledger.Page{})
	refused(t, err, ledger.CodeForbidden)
	list, err := b.Transactions(t.Context(), stranger, ledger.TransactionFilter{UserID: b.user.ID}, ledger.Page{})
	require.NoError(t, err)
	require.Empty(t, list.Items)
	_, err = b.Authorize(t.Context(), &ledger.Call{}, ledger.AuthorizeInput{})
	refused(t, err, ledger.CodeUnauthenticated)

	// Who acts for a user is written down as that user.
	own := ledger.Actor{Principal: "key:own", UserID: b.user.ID, Scopes: []ledger.Scope{ledger.ScopeManage}}
	_, err = b.SuspendMandate(t.Context(), b.call(own), m.ID, ledger.MandateChange{})
	require.NoError(t, err)
	trail, err := b.Audit(t.Context(), operator, ledger.TrailMandates, ledger.AuditFilter{EntityID: m.ID, Field: "status"}, ledger.Page{})
	require.NoError(t, err)
	require.Equal(t, "user:"+b.user.ID.String(), trail.Items[0].ChangedBy)
	require.JSONEq(t, `"suspended"`, string(trail.Items[0].NewValue))
}

func TestHoldExpires(t *testing.T) {
	t.Parallel()
	clock := &manual{at: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)}
	b := setup(t, pgstore.Settings{Now: clock.now})
	b.grant(t, b.user.ID, 10*ledger.Credit)
	m := b.mandate(t, b.user.ID, ledger.Rules{})
	late, err := b.authorize(t.Context(), m, ledger.Credit)
	require.NoError(t, err)
	due, err := b.authorize(t.Context(), m, ledger.Credit)
	require.NoError(t, err)
	done, err := b.ExpireDue(t.Context(), 10)
	require.NoError(t, err)
	require.Zero(t, done)

	clock.add(ledger.DefaultHold)
	call := keyed(runner, "late", "capture")
	_, err = b.Capture(t.Context(), call, late.Hold.ID, ledger.CaptureInput{})
	refused(t, err, ledger.CodeHoldExpired)
	_, err = b.Capture(t.Context(), call, late.Hold.ID, ledger.CaptureInput{})
	refused(t, err, ledger.CodeHoldExpired)
	require.True(t, call.Replayed)
	done, err = b.ExpireDue(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, ledger.Expired{Holds: 1}, done)
	hold, err := b.Hold(t.Context(), runner, due.Hold.ID)
	require.NoError(t, err)
	require.Equal(t, ledger.HoldExpired, hold.Status)
	_, err = b.Release(t.Context(), b.call(runner), due.Hold.ID)
	refused(t, err, ledger.CodeHoldExpired)
	require.Zero(t, b.balance(t, b.user.ID).Held)
	b.settled(t)
}

// Errors are told apart by what they are, not by what they say.
func TestErrorsAreOurs(t *testing.T) {
	t.Parallel()
	b := setup(t, pgstore.Settings{})
	_, err := b.CreateUser(t.Context(), b.call(operator), ledger.UserInput{Email: "ADA@example.com"})
	e := asRefusal(t, err, ledger.CodeAlreadyExists)
	require.Equal(t, "email", e.Fields[0].Field)
	_, err = b.CreateUser(t.Context(), b.call(operator), ledger.UserInput{Email: "nul@example.com", Profile: json.RawMessage(`{"a":"\u0000"}`)})
	refused(t, err, ledger.CodeInvalid)
	_, err = b.Grant(t.Context(), b.call(operator), ledger.GrantInput{UserID: b.user.ID, Category: ledger.GrantPromo, Amount: ledger.MaxCredits})
	require.NoError(t, err)
	_, err = b.Grant(t.Context(), b.call(operator), ledger.GrantInput{UserID: b.user.ID, Category: ledger.GrantPromo, Amount: ledger.MaxCredits})
	refused(t, err, ledger.CodeOverflow)
	_, err = b.RegisterAgent(t.Context(), b.call(operator), ledger.AgentInput{Slug: "x", Name: "x", Category: "x", OwnerID: uuid.Must(uuid.NewV7())})
	refused(t, err, ledger.CodeInvalid)
	m := b.mandate(t, b.user.ID, ledger.Rules{})
	past := time.Now().Add(-time.Hour)
	_, err = b.ReplaceRules(t.Context(), b.call(operator), m.ID, ledger.MandateVersionInput{EffectiveAt: past})
	refused(t, err, ledger.CodeInvalid)
	_, err = b.Users(t.Context(), operator, ledger.UserFilter{}, ledger.Page{Cursor: "x"})
	refused(t, err, ledger.CodeInvalid)
}
