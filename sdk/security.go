package agenttrail

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
)

// SecurityType is what happened, as in SecurityEvents.type. Others than these are fine, too: a noun, a dot and a past
// participle, few of them.
type SecurityType string

// The types of SecurityEvents that AgentTrail's own reports know.
const (
	SecurityLogin             SecurityType = "auth.login"
	SecurityLogout            SecurityType = "auth.logout"
	SecurityDenied            SecurityType = "auth.denied"
	SecurityKeyCreated        SecurityType = "key.created"
	SecurityKeyRotated        SecurityType = "key.rotated"
	SecurityKeyRevoked        SecurityType = "key.revoked"
	SecurityPermissionChanged SecurityType = "permission.changed"
	SecurityPolicyViolation   SecurityType = "policy.violation"
	SecurityPromptInjection   SecurityType = "prompt_injection.detected"
)

// SecurityOutcome is how it ended, as in SecurityEvents.outcome.
type SecurityOutcome string

// The outcomes of SecurityEvents.
const (
	OutcomeUnknown SecurityOutcome = "unknown"
	OutcomeSuccess SecurityOutcome = "success"
	OutcomeFailure SecurityOutcome = "failure"
	OutcomeDenied  SecurityOutcome = "denied"
)

// Severity is how bad it is, as in SecurityEvents.severity.
type Severity string

// The severities of SecurityEvents.
const (
	SeverityInfo     Severity = "info"
	SeverityWarning  Severity = "warning"
	SeverityError    Severity = "error"
	SeverityCritical Severity = "critical"
)

// severities are those of the log record of an event: an event is no error of the program, so that none reaches the
// level that makes a row of SystemErrors.
var severities = map[Severity]log.Severity{
	SeverityInfo: log.SeverityInfo, SeverityWarning: log.SeverityWarn,
	SeverityError: log.SeverityWarn3, SeverityCritical: log.SeverityWarn4,
}

// SecurityEvent is a row of SecurityEvents. Only the type must be there.
type SecurityEvent struct {
	Type     SecurityType
	Outcome  SecurityOutcome
	Severity Severity // SeverityInfo when it is empty.
	// Actor is who did it: a user, a key or a service. The user when it is empty.
	Actor string
	// UserID is whom it is about; the user of the context when it is empty.
	UserID string
	// Resource is what was acted on.
	Resource string
	// Message is for people.
	Message string
	// ClientAddress and UserAgent say from where; those of the HTTP request that is served when they are empty.
	ClientAddress, UserAgent string
	// Details are further attributes.
	Details []slog.Attr
}

// RecordSecurity records a security event: a row of SecurityEvents, and one of AgentLog with the same id. Without a Trail in
// the context it does nothing.
func RecordSecurity(ctx context.Context, e SecurityEvent) {
	s := scopeFrom(ctx)
	if s.trail == nil || e.Type == "" {
		return
	}
	if e.Severity == "" {
		e.Severity = SeverityInfo
	}
	if q := s.request; q != nil {
		fill(&e.ClientAddress, q.clientAddress)
		fill(&e.UserAgent, q.userAgent)
	}
	fill(&e.UserID, s.identity.UserID)
	fill(&e.Actor, e.UserID)
	fill(&e.Message, string(e.Type))
	r := s.trail.newRecord(slog.LevelInfo, time.Now(), e.Message)
	severity, ok := severities[e.Severity]
	if !ok {
		severity = log.SeverityInfo
	}
	r.SetSeverity(severity)
	r.SetSeverityText(string(e.Severity))
	r.SetEventName(string(e.Type))

	c := converter{level: slog.LevelInfo}
	for _, a := range e.Details {
		c.add("", a)
	}
	attrs := append(c.attrs, keySecurityType.String(string(e.Type)), keySecuritySeverity.String(string(e.Severity)))
	for _, kv := range [...]struct {
		key   string
		value string
	}{
		{string(keySecurityOutcome), string(e.Outcome)},
		{string(keySecurityActor), e.Actor},
		{string(keySecurityResource), e.Resource},
		{string(keyUserID), e.UserID},
		{string(keyClientAddress), e.ClientAddress},
		{string(keyUserAgent), e.UserAgent},
	} {
		if kv.value != "" {
			attrs = append(attrs, attribute.String(kv.key, kv.value))
		}
	}
	s.trail.emit(ctx, s, &r, CategoryUserAction, attrs)
}
