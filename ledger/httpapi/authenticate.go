package httpapi

import (
	"context"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
)

// scopesExtension is where the description of an operation says which scopes permit it.
const scopesExtension = "x-scopes"

// authenticate finds out who asks and whether its key permits the operation, before anything else of the request is
// read.
func (a *API) authenticate(hc huma.Context, next func(huma.Context)) {
	ctx := hc.Context()
	secret, ok := bearer(hc.Header("Authorization"))
	if !ok {
		a.refuseEarly(hc, &ledger.Error{Code: ledger.CodeUnauthenticated, Message: "there is no API key in the header Authorization"})
		return
	}
	key, err := a.service.Authenticate(ctx, secret)
	if err != nil {
		a.refuseEarly(hc, err)
		return
	}
	req := requestOf(ctx)
	req.key, req.actor = key, key.Actor()
	if req.actor.UserID != uuid.Nil {
		describeUser(ctx, req.actor.UserID.String())
	}
	if scopes, _ := hc.Operation().Extensions[scopesExtension].([]ledger.Scope); len(scopes) > 0 {
		if err := req.actor.Require(scopes...); err != nil {
			a.refuseEarly(hc, err)
			return
		}
	}
	if !a.flight.enterKey(key.ID) {
		a.refuseEarly(hc, newProblem(ProblemTooMany, "").retryAfter(retrySoon))
		return
	}
	defer a.flight.leaveKey(key.ID)
	next(hc)
}

// bearer reads the credentials of RFC 6750.
func bearer(header string) (secret string, ok bool) {
	scheme, secret, ok := strings.Cut(header, " ")
	secret = strings.TrimSpace(secret)
	return secret, ok && strings.EqualFold(scheme, "Bearer") && secret != "" && isText(secret)
}

// refuseEarly answers before huma has read the request.
func (a *API) refuseEarly(hc huma.Context, err error) {
	r, w := humago.Unwrap(hc)
	a.problem(w, r, a.refuse(hc.Context(), err))
}

// withCall gives ctx what an operation that writes needs.
func withCall(ctx context.Context, key string, fingerprint []byte) {
	req := requestOf(ctx)
	req.call = &ledger.Call{Actor: req.actor, RequestID: req.id, Key: key, Fingerprint: fingerprint}
}
