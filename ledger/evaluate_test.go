package ledger

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func credits(n int64) *Credits { c := Credits(n) * Credit; return &c }

func TestEvaluate(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 28, 23, 30, 0, 0, time.UTC) // 00:30 on Sunday the 29th in Berlin
	sunday, monday, april := moment(t, "2026-03-29T22:00:00Z"), moment(t, "2026-03-29T22:00:00Z"), moment(t, "2026-03-31T22:00:00Z")
	before, after := at.Add(-time.Second), at.Add(time.Second)
	v := func(rule Rule, limit, used, requested string, resets *time.Time) Violation {
		return Violation{Rule: rule, Limit: limit, Used: used, Requested: requested, ResetsAt: resets}
	}
	for _, c := range []struct {
		name      string
		rules     Rules
		usage     Usage
		available int64
		amount    int64
		outcome   Outcome
		rule      Rule
		want      []Violation
	}{
		{"nothing but credits", Rules{}, Usage{}, 10, 10, OutcomeAllowed, RuleCredits, nil},
		{"credits", Rules{}, Usage{}, 9, 10, OutcomeRefused, RuleCredits, []Violation{v(RuleCredits, "9", "", "10", nil)}},
		{"the least room decides", Rules{MaxPerDay: credits(20), MaxPerMonth: credits(100)}, Usage{Day: 5 * Credit, Month: 89 * Credit}, 1000, 10, OutcomeAllowed, RuleMaxPerMonth, nil},
		{"of the same room the first decides", Rules{MaxPerExecution: credits(10), MaxPerDay: credits(10)}, Usage{}, 1000, 1, OutcomeAllowed, RuleMaxPerExecution, nil},
		{"up to the limit", Rules{MaxPerDay: credits(20)}, Usage{Day: 10 * Credit}, 1000, 10, OutcomeAllowed, RuleMaxPerDay, nil},
		{"day", Rules{MaxPerDay: credits(20), TimeZone: "Europe/Berlin"}, Usage{Day: 11 * Credit}, 1000, 10, OutcomeRefused, RuleMaxPerDay, []Violation{v(RuleMaxPerDay, "20", "11", "10", &sunday)}},
		{"more than a day's", Rules{MaxPerDay: credits(9)}, Usage{}, 1000, 10, OutcomeRefused, RuleMaxPerDay, []Violation{v(RuleMaxPerDay, "9", "0", "10", nil)}},
		{
			"all at once",
			Rules{
				MaxPerExecution: credits(5), MaxPerDay: credits(20), MaxPerWeek: credits(20), MaxPerMonth: credits(20), MaxTotal: credits(20),
				MaxCountPerDay: new(int64(3)), MaxConcurrent: new(int64(2)), SingleUse: true, AllowAgents: []string{"other"}, DenyCategories: []string{"travel"},
				AllowProviders: []string{"x", "y"}, ValidFrom: &after, TimeZone: "Europe/Berlin",
			},
			Usage{Day: 11 * Credit, Week: 12 * Credit, Month: 13 * Credit, Total: 14 * Credit, DayCount: 3, Active: 2, Count: 7},
			1, 10, OutcomeRefused, RuleMaxPerExecution,
			[]Violation{
				v(RuleMaxPerExecution, "5", "0", "10", nil), v(RuleMaxPerDay, "20", "11", "10", &sunday), v(RuleMaxPerWeek, "20", "12", "10", &monday),
				v(RuleMaxPerMonth, "20", "13", "10", &april), v(RuleMaxTotal, "20", "14", "10", nil), v(RuleMaxCountPerDay, "3", "3", "1", &sunday),
				v(RuleMaxConcurrent, "2", "2", "1", nil), v(RuleSingleUse, "1", "7", "1", nil), v(RuleAllowAgents, "other", "", "planner", nil),
				v(RuleDenyCategories, "travel", "", "travel", nil), v(RuleAllowProviders, "x, y", "", "openai", nil),
				v(RuleValidFrom, "2026-03-28T23:30:01Z", "", "2026-03-28T23:30:00Z", &after), v(RuleCredits, "1", "", "10", nil),
			},
		},
		{"allowed by id", Rules{AllowAgents: []string{planner.String()}}, Usage{}, 10, 1, OutcomeAllowed, RuleCredits, nil},
		{"denied though allowed", Rules{AllowAgents: []string{"planner"}, DenyAgents: []string{"planner"}}, Usage{}, 10, 1, OutcomeRefused, RuleDenyAgents, []Violation{v(RuleDenyAgents, "planner", "", "planner", nil)}},
		{"valid until is outside", Rules{ValidUntil: &at}, Usage{}, 10, 1, OutcomeRefused, RuleValidUntil, []Violation{v(RuleValidUntil, "2026-03-28T23:30:00Z", "", "2026-03-28T23:30:00Z", nil)}},
		{"valid from is inside", Rules{ValidFrom: &at, ValidUntil: &after}, Usage{}, 10, 1, OutcomeAllowed, RuleCredits, nil},
		{"no longer valid", Rules{ValidUntil: &before}, Usage{}, 10, 1, OutcomeRefused, RuleValidUntil, []Violation{v(RuleValidUntil, "2026-03-28T23:29:59Z", "", "2026-03-28T23:30:00Z", nil)}},
		{"nothing at all", Rules{MaxCountPerDay: new(int64(0))}, Usage{}, 10, 1, OutcomeRefused, RuleMaxCountPerDay, []Violation{v(RuleMaxCountPerDay, "0", "0", "1", nil)}},
		{"approval over", Rules{ApprovalOver: credits(4)}, Usage{}, 10, 5, OutcomeNeedsApproval, RuleApprovalOver, nil},
		{"approval at", Rules{ApprovalOver: credits(5)}, Usage{}, 10, 5, OutcomeAllowed, RuleCredits, nil},
		{"approval does not help", Rules{ApprovalOver: credits(4), MaxTotal: credits(4)}, Usage{}, 10, 5, OutcomeRefused, RuleMaxTotal, []Violation{v(RuleMaxTotal, "4", "0", "5", nil)}},
		{"unknown rule", Rules{Unknown: map[string]json.RawMessage{"maxPerHour": json.RawMessage(`"1"`)}}, Usage{}, 10, 1, OutcomeRefused, RuleUnknown, []Violation{v(RuleUnknown, "maxPerHour", "", "", nil)}},
		{"unknown zone", Rules{TimeZone: "Mars/Olympus"}, Usage{}, 10, 1, OutcomeRefused, RuleUnknown, []Violation{v(RuleUnknown, "timeZone Mars/Olympus", "", "", nil)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := Mandate{Status: MandateActive, Version: 1, Rules: c.rules}
			spend := Spend{Amount: Credits(c.amount) * Credit, AgentID: planner, AgentSlug: "planner", Category: "travel", Provider: "openai", At: at}
			d := Evaluate(m, c.usage, Credits(c.available)*Credit, spend)
			require.Equal(t, Decision{Outcome: c.outcome, Rule: c.rule, Violations: c.want}, d)
		})
	}
}

var planner = uuid.MustParse("0198c0de-0000-7000-8000-000000000007")

func TestEvaluateState(t *testing.T) {
	t.Parallel()
	spend := Spend{Amount: 1, At: time.Unix(0, 0)}
	for status, want := range map[MandateStatus]Outcome{MandateActive: OutcomeAllowed, MandateSuspended: OutcomeRefused, MandateRevoked: OutcomeRefused, "new": OutcomeRefused} {
		require.Equal(t, want, Evaluate(Mandate{Status: status, Version: 1}, Usage{}, 1, spend).Outcome, status)
	}
	later := time.Unix(60, 0)
	d := Evaluate(Mandate{Status: MandateActive, EffectiveAt: later}, Usage{}, 1, spend)
	require.Equal(t, RuleStatus, d.Rule)
	require.Equal(t, &later, d.Violations[0].ResetsAt)
}

func TestRulesJSON(t *testing.T) {
	t.Parallel()
	const text = `{"maxPerDay":"50","maxPerHour":{"any":"thing"},"singleUse":true,"timeZone":"Europe/Berlin","validFrom":"2026-01-01T00:00:00Z"}`
	var r Rules
	require.NoError(t, json.Unmarshal([]byte(text), &r))
	require.Equal(t, 50*Credit, *r.MaxPerDay)
	require.Len(t, r.Unknown, 1)
	back, err := json.Marshal(r)
	require.NoError(t, err)
	require.JSONEq(t, text, string(back), "what is unknown stays")

	var other Rules
	require.NoError(t, json.Unmarshal([]byte(`{"MAXPERDAY":"5"}`), &other))
	require.Nil(t, other.MaxPerDay)
	require.Contains(t, other.Unknown, "MAXPERDAY", "names are exact")
	require.Error(t, json.Unmarshal([]byte(`{"maxPerDay":5}`), &other))
	require.Error(t, json.Unmarshal([]byte(`{"maxPerDay":"-"}`), &other))
}

func TestRulesValidate(t *testing.T) {
	t.Parallel()
	negative := Credits(-1)
	from := time.Unix(0, 0)
	err := Rules{
		MaxPerDay: &negative, MaxConcurrent: new(int64(-1)), DenyAgents: []string{""}, ValidFrom: &from, ValidUntil: &from, TimeZone: "Local",
		Unknown: map[string]json.RawMessage{"maxPerHour": nil},
	}.Validate()
	e, ok := err.(*Error) //nolint:errorlint // Ours.
	require.True(t, ok)
	var fields []string
	for _, f := range e.Fields {
		fields = append(fields, f.Field)
	}
	require.Equal(t, []string{"rules.maxPerDay", "rules.maxConcurrent", "rules.denyAgents", "rules.validUntil", "rules.timeZone", "rules.maxPerHour"}, fields)
	require.NoError(t, Rules{MaxPerDay: credits(1), TimeZone: "Asia/Kathmandu"}.Validate())
}
