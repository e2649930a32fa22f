package httpapi

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
	agenttrail "github.com/agenttrail/agenttrail/sdk"
)

// securityRefusals are the refusals that are security events: all that are answered with 401 or 403.
var securityRefusals = map[ledger.Code]agenttrail.SecurityType{
	ledger.CodeUnauthenticated: agenttrail.SecurityDenied,
	ledger.CodeKeyRevoked:      agenttrail.SecurityDenied,
	ledger.CodeKeyExpired:      agenttrail.SecurityDenied,
	ledger.CodeForbidden:       agenttrail.SecurityDenied,
	ledger.CodeOwnApproval:     agenttrail.SecurityPolicyViolation,
	ledger.CodeMandateDenied:   agenttrail.SecurityPolicyViolation,
}

// recordRefusal records a request that was refused for who sent it.
func (a *API) recordRefusal(ctx context.Context, r *http.Request, route string) {
	req := requestOf(ctx)
	if req.failed == nil {
		return
	}
	code := req.failed.problem.Code
	kind, ok := securityRefusals[code]
	if !ok {
		return
	}
	e := agenttrail.SecurityEvent{
		Type: kind, Outcome: agenttrail.OutcomeDenied, Severity: agenttrail.SeverityWarning,
		Resource: r.Method + " " + route, Message: req.failed.problem.Title,
		Details: []slog.Attr{slog.String("problem", string(code))},
	}
	if code == ledger.CodeMandateDenied {
		e.Severity = agenttrail.SeverityInfo // That is what mandates are for.
	}
	a.recordSecurity(ctx, e)
}

// recordKey records what was done to an API key, unless an earlier request did it.
func (a *API) recordKey(ctx context.Context, kind agenttrail.SecurityType, key ledger.APIKey) {
	if call := callOf(ctx); call != nil && call.Replayed {
		return
	}
	e := agenttrail.SecurityEvent{Type: kind, Outcome: agenttrail.OutcomeSuccess, Resource: "key:" + key.ID.String()}
	if key.UserID != nil {
		e.UserID = key.UserID.String()
	}
	a.recordSecurity(ctx, e)
}

// recordSecurity records a security event of a request, if there is somebody to tell.
func (a *API) recordSecurity(ctx context.Context, e agenttrail.SecurityEvent) {
	if a.settings.Trail == nil {
		return
	}
	req := requestOf(ctx)
	e.Actor, e.ClientAddress, e.UserAgent = req.actor.Principal, req.address, req.userAgent
	if e.UserID == "" && req.actor.UserID != uuid.Nil {
		e.UserID = req.actor.UserID.String()
	}
	e.Details = append(e.Details, slog.String("request_id", req.id))
	agenttrail.RecordSecurity(a.settings.Trail.Context(ctx), e)
}
