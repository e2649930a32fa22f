package ledger

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Spend is a run that asks for credits.
type Spend struct {
	Amount    Credits
	AgentID   uuid.UUID
	AgentSlug string
	Category  string
	Provider  string
	At        time.Time
}

// Outcome is what came of a judgment.
type Outcome string

// Outcomes.
const (
	OutcomeAllowed       Outcome = "allowed"
	OutcomeNeedsApproval Outcome = "needs_approval"
	OutcomeRefused       Outcome = "refused"
)

// Violation is one rule that forbids a run. Limit, Used and Requested are decimal numbers of credits or of executions, or
// for lists and times the texts that were compared.
type Violation struct {
	Rule      Rule       `json:"rule"`
	Limit     string     `json:"limit"`
	Used      string     `json:"used,omitempty"`
	Requested string     `json:"requested,omitempty"`
	ResetsAt  *time.Time `json:"resetsAt,omitempty"` // when the rule may permit it, if time alone can bring that
}

// Decision is the judgment of a mandate.
type Decision struct {
	Outcome Outcome `json:"outcome"`
	// Rule is the one that decided. It is the first of the violations of a refused run, approvalOver if approval is
	// needed, and for an allowed run the limit that leaves the least room: credits or one of the mandate's.
	Rule       Rule        `json:"rule"`
	Violations []Violation `json:"violations,omitempty"`
}

// Evaluate judges a run: the mandate's rules with what counts against them in the windows around s.At, and the credits
// that are available, together. It finds all violations, in the order of [Rules]. It reads no clock and no store.
func Evaluate(m Mandate, u Usage, available Credits, s Spend) Decision {
	j := judge{spend: s, room: available - s.Amount, rule: RuleCredits}
	j.state(m)
	for _, name := range slices.Sorted(maps.Keys(m.Rules.Unknown)) {
		j.forbid(Violation{Rule: RuleUnknown, Limit: name})
	}
	loc, err := m.Rules.Location()
	if err != nil {
		j.forbid(Violation{Rule: RuleUnknown, Limit: "timeZone " + m.Rules.TimeZone})
		loc = time.UTC
	}
	w := WindowsAt(s.At, loc)
	j.amount(RuleMaxPerExecution, m.Rules.MaxPerExecution, 0, nil)
	j.amount(RuleMaxPerDay, m.Rules.MaxPerDay, u.Day, &w.DayEnd)
	j.amount(RuleMaxPerWeek, m.Rules.MaxPerWeek, u.Week, &w.WeekEnd)
	j.amount(RuleMaxPerMonth, m.Rules.MaxPerMonth, u.Month, &w.MonthEnd)
	j.amount(RuleMaxTotal, m.Rules.MaxTotal, u.Total, nil)
	j.count(RuleMaxCountPerDay, m.Rules.MaxCountPerDay, u.DayCount, &w.DayEnd)
	j.count(RuleMaxConcurrent, m.Rules.MaxConcurrent, u.Active, nil)
	if m.Rules.SingleUse {
		one := int64(1)
		j.count(RuleSingleUse, &one, u.Count, nil)
	}
	j.lists(m.Rules)
	j.validity(m.Rules)
	if available < s.Amount {
		j.forbid(Violation{Rule: RuleCredits, Limit: available.String(), Requested: s.Amount.String()})
	}
	return j.decide(m.Rules)
}

// judge collects violations, and the limit with the least room left.
type judge struct {
	spend      Spend
	violations []Violation
	room       Credits
	rule       Rule
}

func (j *judge) forbid(v Violation) { j.violations = append(j.violations, v) }

func (j *judge) state(m Mandate) {
	switch {
	case m.Status != MandateActive:
		j.forbid(Violation{Rule: RuleStatus, Limit: string(MandateActive), Used: string(m.Status)})
	case m.Version == 0:
		v := Violation{Rule: RuleStatus, Limit: string(MandateActive), Used: "not in effect yet"}
		if !m.EffectiveAt.IsZero() {
			v.ResetsAt = &m.EffectiveAt
		}
		j.forbid(v)
	}
}

func (j *judge) amount(rule Rule, limit *Credits, used Credits, resets *time.Time) {
	if limit == nil {
		return
	}
	// Neither can overflow: limits and usage are not negative.
	room := *limit - used
	if j.spend.Amount > room {
		if j.spend.Amount > *limit {
			resets = nil // No window is wide enough.
		}
		j.forbid(Violation{Rule: rule, Limit: limit.String(), Used: used.String(), Requested: j.spend.Amount.String(), ResetsAt: resets})
		return
	}
	if left := room - j.spend.Amount; left < j.room {
		j.room, j.rule = left, rule
	}
}

func (j *judge) count(rule Rule, limit *int64, used int64, resets *time.Time) {
	if limit == nil || used < *limit {
		return
	}
	if *limit == 0 {
		resets = nil
	}
	j.forbid(Violation{Rule: rule, Limit: strconv.FormatInt(*limit, 10), Used: strconv.FormatInt(used, 10), Requested: "1", ResetsAt: resets})
}

func (j *judge) lists(r Rules) {
	id, slug := j.spend.AgentID.String(), j.spend.AgentSlug
	agent := func(list []string) bool { return slices.Contains(list, slug) || slices.Contains(list, id) }
	category := func(list []string) bool { return slices.Contains(list, j.spend.Category) }
	provider := func(list []string) bool { return slices.Contains(list, j.spend.Provider) }
	for _, l := range []struct {
		rule      Rule
		list      []string
		has       func([]string) bool
		permits   bool
		requested string
	}{
		{RuleAllowAgents, r.AllowAgents, agent, true, slug},
		{RuleDenyAgents, r.DenyAgents, agent, false, slug},
		{RuleAllowCategories, r.AllowCategories, category, true, j.spend.Category},
		{RuleDenyCategories, r.DenyCategories, category, false, j.spend.Category},
		{RuleAllowProviders, r.AllowProviders, provider, true, j.spend.Provider},
		{RuleDenyProviders, r.DenyProviders, provider, false, j.spend.Provider},
	} {
		if len(l.list) > 0 && l.has(l.list) != l.permits {
			j.forbid(Violation{Rule: l.rule, Limit: strings.Join(l.list, ", "), Requested: l.requested})
		}
	}
}

func (j *judge) validity(r Rules) {
	at := j.spend.At.UTC().Format(time.RFC3339Nano)
	if r.ValidFrom != nil && j.spend.At.Before(*r.ValidFrom) {
		j.forbid(Violation{Rule: RuleValidFrom, Limit: r.ValidFrom.Format(time.RFC3339Nano), Requested: at, ResetsAt: r.ValidFrom})
	}
	if r.ValidUntil != nil && !j.spend.At.Before(*r.ValidUntil) {
		j.forbid(Violation{Rule: RuleValidUntil, Limit: r.ValidUntil.Format(time.RFC3339Nano), Requested: at})
	}
}

func (j *judge) decide(r Rules) Decision {
	switch {
	case len(j.violations) > 0:
		return Decision{Outcome: OutcomeRefused, Rule: j.violations[0].Rule, Violations: j.violations}
	case r.ApprovalOver != nil && j.spend.Amount > *r.ApprovalOver:
		return Decision{Outcome: OutcomeNeedsApproval, Rule: RuleApprovalOver}
	default:
		return Decision{Outcome: OutcomeAllowed, Rule: j.rule}
	}
}
