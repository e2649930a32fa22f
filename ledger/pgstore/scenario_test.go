package pgstore_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
)

// Scenarios are plain text: a statement on each line, and what comes of it after an arrow. See ledger/testdata.
func TestScenarios(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../testdata/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			clock := &manual{at: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
			s := &scenario{
				bundle: &bundle{}, t: t, clock: clock,
				users: map[string]ledger.User{}, mandates: map[string]ledger.Mandate{}, runs: map[string]ledger.Authorization{}, grants: map[string]ledger.Grant{},
			}
			s.bundle = setup(t, pgstore.Settings{Now: clock.now})
			n := 0
			for line := range strings.Lines(string(text)) {
				n++
				line = strings.TrimSpace(line)
				if line == "" || strings.HasPrefix(line, "#") {
					continue
				}
				statement, want, _ := strings.Cut(line, "->")
				want = strings.TrimSpace(want)
				got := s.run(strings.Fields(statement))
				if !strings.Contains(want, " resets ") { // Not asked for.
					got, _, _ = strings.Cut(got, " resets ")
				}
				require.Equal(t, want, got, "%s:%d: %s", file, n, line)
			}
			s.settled(t)
		})
	}
}

type scenario struct {
	*bundle
	t        *testing.T
	clock    *manual
	users    map[string]ledger.User
	mandates map[string]ledger.Mandate
	runs     map[string]ledger.Authorization
	grants   map[string]ledger.Grant
}

// all may do everything, so it is who asked for a run and could approve it.
var all = ledger.Actor{Principal: "key:runner", Scopes: ledger.Scopes()}

// run does what a statement says and tells what came of it; nothing, for statements that prepare.
func (s *scenario) run(words []string) string {
	ctx, t := s.t.Context(), s.t
	arg := func(i int) string {
		require.Greater(t, len(words), i, "%v: words are missing", words)
		return words[i]
	}
	switch words[0] {
	case "at":
		s.clock.set(s.time(arg(1)))
	case "user":
		s.users[arg(1)] = s.newUser(t, arg(1)+"@scenario.example.com")
	case "agent":
		if arg(1) != "planner" { // The one that is there.
			s.newAgent(t, arg(1), arg(2), arg(3), s.credits(arg(4)))
		}
	case "grant":
		s.give(words)
	case "mandate":
		m, err := s.CreateMandate(ctx, s.call(operator), ledger.MandateInput{UserID: s.users[arg(2)].ID, Rules: s.rules(arg(3))})
		require.NoError(t, err)
		s.mandates[arg(1)] = m
	case "rules":
		in := ledger.MandateVersionInput{Rules: s.rules(arg(2))}
		if len(words) > 3 {
			in.EffectiveAt = s.time(arg(4))
		}
		_, err := s.ReplaceRules(ctx, s.call(operator), s.mandates[arg(1)].ID, in)
		return quiet(s.outcome(err))
	case "suspend", "resume", "revoke":
		change := map[string]func() (ledger.Mandate, error){
			"suspend": func() (ledger.Mandate, error) {
				return s.SuspendMandate(ctx, s.call(operator), s.mandates[arg(1)].ID, ledger.MandateChange{})
			},
			"resume": func() (ledger.Mandate, error) {
				return s.ResumeMandate(ctx, s.call(operator), s.mandates[arg(1)].ID, ledger.MandateChange{})
			},
			"revoke": func() (ledger.Mandate, error) {
				return s.RevokeMandate(ctx, s.call(operator), s.mandates[arg(1)].ID, ledger.MandateChange{ReleaseHolds: slices.Contains(words, "releasing")})
			},
		}
		_, err := change[words[0]]()
		return s.outcome(err)
	case "authorize":
		return s.ask(arg(1), arg(2), arg(3), arg(4))
	case "evaluate":
		m := s.mandates[arg(1)]
		amount := s.credits(arg(3))
		r, err := s.EvaluateMandate(ctx, runner, ledger.AuthorizeInput{UserID: m.UserID, MandateID: m.ID, Agent: arg(2), Amount: &amount})
		require.NoError(t, err)
		return fmt.Sprintf("%s %s", r.Outcome, r.Rule)
	case "capture":
		var in ledger.CaptureInput
		if len(words) > 2 {
			amount := s.credits(arg(2))
			in.Amount = &amount
		}
		_, err := s.Capture(ctx, s.call(runner), s.runs[arg(1)].Transaction.ID, in)
		return s.outcome(err)
	case "release":
		_, err := s.Release(ctx, s.call(runner), s.runs[arg(1)].Transaction.ID)
		return s.outcome(err)
	case "refund":
		amount := s.credits(arg(2))
		_, err := s.Refund(ctx, s.call(operator), s.runs[arg(1)].Transaction.ID, ledger.RefundInput{Amount: &amount})
		return s.outcome(err)
	case "void":
		_, err := s.VoidGrant(ctx, s.call(operator), s.grants[arg(1)].ID, ledger.VoidInput{Reason: "scenario"})
		return s.outcome(err)
	case "approve", "reject":
		return s.decide(words)
	case "expire":
		_, err := s.ExpireDue(ctx, 100)
		require.NoError(t, err)
	case "expect":
		s.expect(words[1:])
	default:
		require.Fail(t, "no such statement", "%v", words)
	}
	return ""
}

func (s *scenario) time(text string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, text)
	require.NoError(s.t, err)
	return at
}

func (s *scenario) credits(text string) ledger.Credits {
	c, err := ledger.ParseCredits(text)
	require.NoError(s.t, err)
	return c
}

func (s *scenario) rules(text string) ledger.Rules {
	var r ledger.Rules
	require.NoError(s.t, json.Unmarshal([]byte(text), &r))
	return r
}

// give reads: grant USER AMOUNT [as NAME] [priority N] [expires TIME].
func (s *scenario) give(words []string) {
	in := ledger.GrantInput{UserID: s.users[words[1]].ID, Category: ledger.GrantPromo, Amount: s.credits(words[2])}
	name := ""
	for i := 3; i+1 < len(words); i += 2 {
		switch words[i] {
		case "as":
			name = words[i+1]
		case "priority":
			var n int
			_, err := fmt.Sscan(words[i+1], &n)
			require.NoError(s.t, err)
			in.Priority = &n
		case "expires":
			at := s.time(words[i+1])
			in.ExpiresAt = &at
		default:
			require.Fail(s.t, "no such word", "%v", words)
		}
	}
	g, err := s.Grant(s.t.Context(), s.call(operator), in)
	require.NoError(s.t, err)
	s.grants[name] = g
}

func (s *scenario) ask(name, mandate, agent, amount string) string {
	m, c := s.mandates[mandate], s.credits(amount)
	in := ledger.AuthorizeInput{UserID: m.UserID, MandateID: m.ID, Agent: agent, Amount: &c}
	dry, err := s.EvaluateMandate(s.t.Context(), runner, in)
	require.NoError(s.t, err)
	a, err := s.Authorize(s.t.Context(), s.call(runner), in)
	if err != nil {
		e := &ledger.Error{}
		require.ErrorAs(s.t, err, &e)
		require.NotNil(s.t, e.Receipt)
		require.Equal(s.t, dry, *e.Receipt, "the dry run says the same")
		return s.outcome(err)
	}
	require.Equal(s.t, dry, a.Receipt, "the dry run says the same")
	s.runs[name] = a
	if a.Approval != nil {
		return "approval " + string(a.Receipt.Rule)
	}
	return "hold " + string(a.Receipt.Rule)
}

// outcome is ok or the code of an error. A refusal names the rules, and when the first resets.
func (s *scenario) outcome(err error) string {
	if err == nil {
		return "ok"
	}
	e := &ledger.Error{}
	require.ErrorAs(s.t, err, &e)
	if len(e.Violations) == 0 {
		return string(e.Code)
	}
	text := "refused"
	for _, v := range e.Violations {
		text += " " + string(v.Rule)
	}
	if at := e.Violations[0].ResetsAt; at != nil {
		text += " resets " + at.UTC().Format(time.RFC3339)
	}
	return text
}

// quiet leaves out that nothing went wrong.
func quiet(outcome string) string {
	if outcome == "ok" {
		return ""
	}
	return outcome
}

// decide reads: approve|reject RUN [by ACTOR].
func (s *scenario) decide(words []string) string {
	who := approver
	if len(words) > 3 {
		who = map[string]ledger.Actor{"runner": runner, "all": all}[words[3]]
	}
	id := s.runs[words[1]].Approval.ID
	if words[0] == "reject" {
		_, err := s.Reject(s.t.Context(), s.call(who), id, ledger.DecisionInput{})
		return s.outcome(err)
	}
	a, err := s.Approve(s.t.Context(), s.call(who), id, ledger.DecisionInput{})
	if err != nil {
		return s.outcome(err)
	}
	require.NotNil(s.t, a.Hold)
	return "hold"
}

// expect reads names with values, after what they are of.
func (s *scenario) expect(words []string) {
	ctx, t := s.t.Context(), s.t
	is := map[string]string{}
	switch words[0] {
	case "balance":
		b := s.balance(t, s.users[words[1]].ID)
		is = map[string]string{"posted": b.Posted.String(), "held": b.Held.String(), "available": b.Available.String()}
	case "usage":
		u, err := s.MandateUsage(ctx, runner, s.mandates[words[1]].ID)
		require.NoError(t, err)
		is = map[string]string{"day": u.Day.String(), "week": u.Week.String(), "month": u.Month.String(), "total": u.Total.String(), "active": fmt.Sprint(u.Active)}
	case "hold":
		h, err := s.Hold(ctx, runner, s.runs[words[1]].Transaction.ID)
		require.NoError(t, err)
		require.Equal(t, words[2], string(h.Status), "%v", words)
		return
	case "run":
		r, err := s.Transaction(ctx, runner, s.runs[words[1]].Transaction.ID)
		require.NoError(t, err)
		require.Equal(t, words[2], string(r.Status), "%v", words)
		return
	case "grant":
		g, err := s.GrantByID(ctx, operator, s.grants[words[1]].ID)
		require.NoError(t, err)
		require.Equal(t, words[2], g.Remaining.String(), "%v", words)
		return
	}
	for i := 2; i+1 < len(words); i += 2 {
		require.Equal(t, words[i+1], is[words[i]], "%v: %s", words, words[i])
	}
}
