package ledger

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
	_ "time/tzdata" // A time zone must mean the same on every machine.
)

// Rule is the name of a rule, in receipts, violations and metrics.
type Rule string

// Rules that can decide. The names of those of a mandate are the names in its JSON.
const (
	RuleCredits         Rule = "credits" // what the user has
	RuleStatus          Rule = "status"  // the mandate is suspended, revoked or not in effect yet
	RuleUnknown         Rule = "unknownRule"
	RuleMaxPerExecution Rule = "maxPerExecution"
	RuleMaxPerDay       Rule = "maxPerDay"
	RuleMaxPerWeek      Rule = "maxPerWeek"
	RuleMaxPerMonth     Rule = "maxPerMonth"
	RuleMaxTotal        Rule = "maxTotal"
	RuleMaxCountPerDay  Rule = "maxCountPerDay"
	RuleMaxConcurrent   Rule = "maxConcurrent"
	RuleAllowAgents     Rule = "allowAgents"
	RuleDenyAgents      Rule = "denyAgents"
	RuleAllowCategories Rule = "allowCategories"
	RuleDenyCategories  Rule = "denyCategories"
	RuleAllowProviders  Rule = "allowProviders"
	RuleDenyProviders   Rule = "denyProviders"
	RuleValidFrom       Rule = "validFrom"
	RuleValidUntil      Rule = "validUntil"
	RuleApprovalOver    Rule = "approvalOver"
	RuleSingleUse       Rule = "singleUse"
	ruleTimeZone        Rule = "timeZone" // decides nothing by itself
)

// Rules say what a mandate permits. A limit that is nil does not limit; a list that is empty does not either. Limits
// count what is held as well as what is spent, in the windows in which runs were authorized; days begin at midnight,
// weeks on Monday and months on the first, in the time zone of the mandate.
type Rules struct {
	MaxPerExecution *Credits `json:"maxPerExecution,omitempty"`
	MaxPerDay       *Credits `json:"maxPerDay,omitempty"`
	MaxPerWeek      *Credits `json:"maxPerWeek,omitempty"`
	MaxPerMonth     *Credits `json:"maxPerMonth,omitempty"`
	MaxTotal        *Credits `json:"maxTotal,omitempty"`
	MaxCountPerDay  *int64   `json:"maxCountPerDay,omitempty"`
	MaxConcurrent   *int64   `json:"maxConcurrent,omitempty"`

	// Agents are named by slug or id, providers as in the agent's version. An agent that is in a list to deny is denied
	// though another list allows it.
	AllowAgents     []string `json:"allowAgents,omitempty"`
	DenyAgents      []string `json:"denyAgents,omitempty"`
	AllowCategories []string `json:"allowCategories,omitempty"`
	DenyCategories  []string `json:"denyCategories,omitempty"`
	AllowProviders  []string `json:"allowProviders,omitempty"`
	DenyProviders   []string `json:"denyProviders,omitempty"`

	ValidFrom  *time.Time `json:"validFrom,omitempty"`
	ValidUntil *time.Time `json:"validUntil,omitempty"` // the first moment at which it is no longer valid

	// ApprovalOver makes runs of more than this wait until somebody with the scope to approve has decided.
	ApprovalOver *Credits `json:"approvalOver,omitempty"`
	// SingleUse permits one execution. One that was released or has expired does not count.
	SingleUse bool `json:"singleUse,omitempty"`
	// TimeZone is a name of the IANA database; UTC if empty.
	TimeZone string `json:"timeZone,omitempty"`

	// Unknown holds rules that this program does not know, written by a newer one or by hand. Any of them denies.
	Unknown map[string]json.RawMessage `json:"-"`
}

// MaxListed is the most entries in one list of a mandate.
const MaxListed = 1000

// plainRules has the fields of Rules without its methods.
type plainRules Rules

func knownRules() []Rule {
	return []Rule{
		RuleMaxPerExecution, RuleMaxPerDay, RuleMaxPerWeek, RuleMaxPerMonth, RuleMaxTotal, RuleMaxCountPerDay, RuleMaxConcurrent,
		RuleAllowAgents, RuleDenyAgents, RuleAllowCategories, RuleDenyCategories, RuleAllowProviders, RuleDenyProviders,
		RuleValidFrom, RuleValidUntil, RuleApprovalOver, RuleSingleUse, ruleTimeZone,
	}
}

// UnmarshalJSON reads an object; names it does not know go to Unknown.
func (r *Rules) UnmarshalJSON(text []byte) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return fmt.Errorf("read rules: %w", err)
	}
	var plain plainRules
	known := knownRules()
	// The decoder takes names in any case, and so would take an unknown name for a known one.
	exact := make(map[string]json.RawMessage, len(all))
	for name, value := range all {
		if slices.Contains(known, Rule(name)) {
			exact[name] = value
			continue
		}
		if plain.Unknown == nil {
			plain.Unknown = map[string]json.RawMessage{}
		}
		plain.Unknown[name] = value
	}
	clean, err := json.Marshal(exact)
	if err != nil {
		return fmt.Errorf("read rules: %w", err)
	}
	if err := json.Unmarshal(clean, &plain); err != nil {
		return fmt.Errorf("read rules: %w", err)
	}
	*r = Rules(plain)
	return nil
}

// MarshalJSON writes an object, with the unknown rules as they were read.
func (r Rules) MarshalJSON() ([]byte, error) {
	text, err := json.Marshal(plainRules(r))
	if err != nil || len(r.Unknown) == 0 {
		return text, err
	}
	all := maps.Clone(r.Unknown)
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("write rules: %w", err)
	}
	return json.Marshal(all)
}

// Location is the mandate's time zone.
func (r Rules) Location() (*time.Location, error) {
	if r.TimeZone == "Local" { // What LoadLocation takes for the zone of this machine.
		return nil, Invalid("rules.timeZone", "must be a name of the IANA database, such as Europe/Berlin")
	}
	loc, err := time.LoadLocation(r.TimeZone)
	if err != nil {
		return nil, Invalid("rules.timeZone", "must be a name of the IANA database, such as Europe/Berlin")
	}
	return loc, nil
}

// Validate refuses rules that cannot be meant, and names every field.
func (r Rules) Validate() error {
	var fields []FieldError
	fail := func(rule Rule, message string) {
		fields = append(fields, FieldError{Field: "rules." + string(rule), Message: message})
	}
	for _, limit := range []struct {
		rule  Rule
		value *Credits
	}{
		{RuleMaxPerExecution, r.MaxPerExecution},
		{RuleMaxPerDay, r.MaxPerDay},
		{RuleMaxPerWeek, r.MaxPerWeek},
		{RuleMaxPerMonth, r.MaxPerMonth},
		{RuleMaxTotal, r.MaxTotal},
		{RuleApprovalOver, r.ApprovalOver},
	} {
		if limit.value != nil && *limit.value < 0 {
			fail(limit.rule, "must not be negative")
		}
	}
	if r.MaxCountPerDay != nil && *r.MaxCountPerDay < 0 {
		fail(RuleMaxCountPerDay, "must not be negative")
	}
	if r.MaxConcurrent != nil && *r.MaxConcurrent < 0 {
		fail(RuleMaxConcurrent, "must not be negative")
	}
	for _, list := range []struct {
		rule   Rule
		values []string
	}{
		{RuleAllowAgents, r.AllowAgents},
		{RuleDenyAgents, r.DenyAgents},
		{RuleAllowCategories, r.AllowCategories},
		{RuleDenyCategories, r.DenyCategories},
		{RuleAllowProviders, r.AllowProviders},
		{RuleDenyProviders, r.DenyProviders},
	} {
		if len(list.values) > MaxListed {
			fail(list.rule, fmt.Sprintf("must have at most %d entries", MaxListed))
		}
		for _, v := range list.values {
			if v == "" || len(v) > MaxName {
				fail(list.rule, fmt.Sprintf("must have entries of 1 to %d bytes", MaxName))
				break
			}
		}
	}
	if r.ValidFrom != nil && r.ValidUntil != nil && !r.ValidUntil.After(*r.ValidFrom) {
		fail(RuleValidUntil, "must be after validFrom")
	}
	if _, err := r.Location(); err != nil {
		fail(ruleTimeZone, "must be a name of the IANA database, such as Europe/Berlin")
	}
	for _, name := range slices.Sorted(maps.Keys(r.Unknown)) {
		fail(Rule(name), "is not a rule")
	}
	if len(fields) > 0 {
		return &Error{Code: CodeInvalid, Message: fields[0].Field + " " + fields[0].Message, Fields: fields}
	}
	return nil
}
