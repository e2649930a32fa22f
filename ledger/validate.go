package ledger

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// checks collects what is wrong with the fields of a request.
type checks []FieldError

func (c *checks) fail(field, format string, args ...any) {
	*c = append(*c, FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
}

// add takes over the fields of an error that one field's own check gave.
func (c *checks) add(err error) {
	if e, ok := err.(*Error); ok { //nolint:errorlint // Ours, and not wrapped.
		*c = append(*c, e.Fields...)
	}
}

func (c *checks) text(field, s string, least, most int) {
	switch {
	case len(s) < least:
		c.fail(field, "must not be empty")
	case len(s) > most:
		c.fail(field, "must have at most %d bytes", most)
	case !utf8.ValidString(s) || strings.ContainsRune(s, 0):
		c.fail(field, "must be UTF-8 without the character U+0000")
	}
}

// document checks JSON; empty is fine.
func (c *checks) document(field string, doc json.RawMessage, object bool) {
	switch {
	case len(doc) == 0:
	case len(doc) > MaxDocument:
		c.fail(field, "must have at most %d bytes", MaxDocument)
	case !json.Valid(doc):
		c.fail(field, "must be JSON")
	case object && strings.TrimLeft(string(doc), " \t\r\n")[0] != '{':
		c.fail(field, "must be an object")
	}
}

func (c checks) err() error {
	if len(c) == 0 {
		return nil
	}
	return &Error{Code: CodeInvalid, Message: c[0].Field + " " + c[0].Message, Fields: c}
}

// Validate names every field that cannot be meant.
func (in UserInput) Validate() error {
	var c checks
	c.add(ValidateEmail(in.Email))
	c.text("displayName", in.DisplayName, 0, MaxName)
	c.document("profile", in.Profile, true)
	return c.err()
}

// Validate names every field that cannot be meant.
func (in UserChange) Validate() error {
	var c checks
	if in.Email != nil {
		c.add(ValidateEmail(*in.Email))
	}
	if in.DisplayName != nil {
		c.text("displayName", *in.DisplayName, 0, MaxName)
	}
	if in.Profile != nil {
		if len(*in.Profile) == 0 {
			c.fail("profile", "must be an object")
		}
		c.document("profile", *in.Profile, true)
	}
	return c.err()
}

// Validate names every field that cannot be meant.
func (in AgentInput) Validate() error {
	var c checks
	c.add(ValidateSlug(in.Slug))
	c.text("name", in.Name, 1, MaxName)
	c.text("category", in.Category, 1, 100)
	c.text("description", in.Description, 0, MaxDescription)
	c.agentStatus(in.Status, true)
	if in.Version != nil {
		c.add(in.Version.Validate())
	}
	return c.err()
}

func (c *checks) agentStatus(s AgentStatus, empty bool) {
	if empty && s == "" {
		return
	}
	if !slices.Contains([]AgentStatus{AgentDraft, AgentActive, AgentSuspended, AgentRetired}, s) {
		c.fail("status", "must be draft, active, suspended or retired")
	}
}

// Validate names every field that cannot be meant.
func (in AgentChange) Validate() error {
	var c checks
	if in.Name != nil {
		c.text("name", *in.Name, 1, MaxName)
	}
	if in.Category != nil {
		c.text("category", *in.Category, 1, 100)
	}
	if in.Description != nil {
		c.text("description", *in.Description, 0, MaxDescription)
	}
	if in.Status != nil {
		c.agentStatus(*in.Status, false)
	}
	return c.err()
}

// Validate names every field that cannot be meant.
func (in VersionInput) Validate() error {
	var c checks
	if in.Provider != nil {
		c.text("provider", *in.Provider, 0, MaxName)
	}
	c.document("config", in.Config, true)
	c.document("inputSchema", in.InputSchema, false)
	c.document("outputSchema", in.OutputSchema, false)
	if in.Pricing != nil {
		c.add(in.Pricing.Validate())
	}
	return c.err()
}

// Validate names every field that cannot be meant.
func (in MandateInput) Validate() error {
	var c checks
	c.text("name", in.Name, 0, MaxName)
	c.add(in.Rules.Validate())
	return c.err()
}

// Validate names every field that cannot be meant.
func (in AuthorizeInput) Validate() error {
	var c checks
	c.text("agent", in.Agent, 1, MaxName)
	c.text("executionId", in.ExecutionID, 0, MaxExternalID)
	if in.Amount != nil && *in.Amount <= 0 {
		c.fail("amount", "must be more than 0")
	}
	if in.TTL < 0 || in.TTL > MaxHold || in.TTL != 0 && in.TTL < time.Second {
		c.fail("ttlSeconds", "must be 1 to %d", int(MaxHold.Seconds()))
	}
	c.document("metadata", in.Metadata, true)
	return c.err()
}

// Validate names every field that cannot be meant.
func (in CaptureInput) Validate() error {
	if in.Amount != nil && *in.Amount < 0 {
		return Invalid("amount", "must not be negative")
	}
	return nil
}

// Validate names every field that cannot be meant.
func (in RefundInput) Validate() error {
	var c checks
	if in.Amount != nil && *in.Amount <= 0 {
		c.fail("amount", "must be more than 0")
	}
	c.text("reason", in.Reason, 0, MaxReason)
	return c.err()
}

// Validate names every field that cannot be meant.
func (in GrantInput) Validate() error {
	var c checks
	if !slices.Contains([]GrantCategory{GrantPaid, GrantPromo, GrantGoodwill}, in.Category) {
		c.fail("category", "must be paid, promo or goodwill")
	}
	if in.Amount <= 0 {
		c.fail("amount", "must be more than 0")
	}
	if in.Priority != nil && (*in.Priority < 0 || *in.Priority > 1000) {
		c.fail("priority", "must be 0 to 1000")
	}
	if in.Paid != nil {
		c.add(in.Paid.Validate())
	}
	c.text("stripePi", in.StripePI, 0, MaxExternalID)
	c.text("reason", in.Reason, 0, MaxReason)
	return c.err()
}

// Validate names every field that cannot be meant.
func (in InteractionInput) Validate() error {
	var c checks
	if in.Rating != nil && (*in.Rating < 1 || *in.Rating > 5) {
		c.fail("rating", "must be 1 to 5")
	}
	if utf8.RuneCountInString(in.Feedback) > MaxFeedback {
		c.fail("feedback", "must have at most %d characters", MaxFeedback)
	}
	c.text("feedback", in.Feedback, 0, 4*MaxFeedback)
	return c.err()
}

// Validate names every field that cannot be meant.
func (in KeyInput) Validate() error {
	var c checks
	c.text("name", in.Name, 1, MaxName)
	if len(in.Scopes) == 0 {
		c.fail("scopes", "must not be empty")
	}
	for i, s := range in.Scopes {
		if !slices.Contains(Scopes(), s) || slices.Contains(in.Scopes[:i], s) {
			c.fail("scopes", "must be some of execute, manage, approve and admin, each once")
			break
		}
	}
	return c.err()
}

// ValidateReason refuses a reason that is too long.
func ValidateReason(reason string) error {
	var c checks
	c.text("reason", reason, 0, MaxReason)
	return c.err()
}
