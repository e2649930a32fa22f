package agenttrail

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
)

// Identity says to what spans, log records and requests belong. Empty fields are not known.
type Identity struct {
	ExecutionID string // Run, as in AgentExecution.id.
	AgentID     string // Stable id of the agent.
	UserID      string // User for whom it is done.
	SessionID   string // Session or conversation.
}

// or returns the identity with what other knows where it knows nothing.
func (i Identity) or(other Identity) Identity {
	fill(&i.ExecutionID, other.ExecutionID)
	fill(&i.AgentID, other.AgentID)
	fill(&i.UserID, other.UserID)
	fill(&i.SessionID, other.SessionID)
	return i
}

// append adds the attributes of the identity.
func (i *Identity) append(attrs []attribute.KeyValue) []attribute.KeyValue {
	if i.ExecutionID != "" {
		attrs = append(attrs, keyExecutionID.String(i.ExecutionID))
	}
	if i.AgentID != "" {
		attrs = append(attrs, keyAgentID.String(i.AgentID))
	}
	if i.UserID != "" {
		attrs = append(attrs, keyUserID.String(i.UserID))
	}
	if i.SessionID != "" {
		attrs = append(attrs, keySessionID.String(i.SessionID))
	}
	return attrs
}

func fill(s *string, from string) {
	if *s == "" {
		*s = from
	}
}

// scope is what a context knows. It never changes once a context has it.
type scope struct {
	trail    *Trail
	exec     *Execution // Run that goes on.
	request  *request   // HTTP request that is served.
	identity Identity
	planned  bool      // The run of the identity has yet to start.
	queuedAt time.Time // When it was planned.
	category Category
}

type scopeKey struct{}

var noScope scope

// scopeFrom returns the scope of a context, never nil.
func scopeFrom(ctx context.Context) *scope {
	if s, ok := ctx.Value(scopeKey{}).(*scope); ok {
		return s
	}
	return &noScope
}

func withScope(ctx context.Context, s *scope) context.Context {
	return context.WithValue(ctx, scopeKey{}, s)
}

// IdentityFrom returns the ids that the context carries.
func IdentityFrom(ctx context.Context) Identity { return scopeFrom(ctx).identity }

// IsPlanned reports whether the run of the context's ids has yet to start, see [Trail.PlanExecution].
func IsPlanned(ctx context.Context) bool { return scopeFrom(ctx).planned }

// WithIdentity returns a context with these ids, which runs, steps, log records and outgoing requests take from it; what
// is empty stays as it was. The HTTP request that is served takes user and session, too: call it when a user has
// authenticated.
func WithIdentity(ctx context.Context, id Identity) context.Context {
	s := *scopeFrom(ctx)
	if id.ExecutionID != "" && id.ExecutionID != s.identity.ExecutionID {
		s.planned, s.queuedAt = false, time.Time{}
	}
	s.identity = id.or(s.identity)
	if s.request != nil {
		s.request.note(id)
	}
	return withScope(ctx, &s)
}

// WithCategory returns a context whose log records have the category.
func WithCategory(ctx context.Context, c Category) context.Context {
	s := *scopeFrom(ctx)
	s.category = c
	return withScope(ctx, &s)
}
