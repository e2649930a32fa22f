package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
	agenttrail "github.com/agenttrail/agenttrail/sdk"
)

// KeyPath names an API key.
type KeyPath struct {
	KeyID uuid.UUID `path:"keyId" doc:"Id of the API key"`
}

type keyInput struct {
	Name      string         `json:"name" minLength:"1" maxLength:"200" doc:"What to call it"`
	Scopes    []ledger.Scope `json:"scopes" minItems:"1" maxItems:"4" enum:"execute,manage,approve,admin" doc:"What it may do; admin may do everything"`
	UserID    *uuid.UUID     `json:"userId,omitempty" doc:"The user it acts for; absent for the platform"`
	ExpiresAt *time.Time     `json:"expiresAt,omitempty" doc:"First moment at which it does not work any more; never when absent"`
}

type rotateInput struct {
	GraceSeconds int `json:"graceSeconds,omitempty" minimum:"0" maximum:"2592000" doc:"How long the old key still works; not at all when absent"`
}

func (a *API) registerKeys() {
	admin := []ledger.Scope{ledger.ScopeAdmin}
	add(a, operation{
		id: "createKey", method: http.MethodPost, path: "/v1/keys", tag: "Keys", summary: "Create an API key",
		description: "The answer has its secret, which nobody can ask for again: a replay comes without.",
		scopes:      admin, status: http.StatusCreated,
	}, func(ctx context.Context, in *struct {
		IdempotentParams
		Body keyInput
	},
	) (*answer[ledger.IssuedKey], error) {
		k, err := a.service.CreateKey(ctx, callOf(ctx), ledger.KeyInput{Name: in.Body.Name, Scopes: in.Body.Scopes, UserID: in.Body.UserID, ExpiresAt: in.Body.ExpiresAt})
		if err != nil {
			return nil, err
		}
		a.recordKey(ctx, agenttrail.SecurityKeyCreated, k.Key)
		return reply(ctx, http.StatusCreated, "/v1/keys/"+k.Key.ID.String(), 0, k), nil
	})

	add(a, operation{
		id: "listKeys", method: http.MethodGet, path: "/v1/keys", tag: "Keys", summary: "List API keys, without their secrets", scopes: admin,
	}, func(ctx context.Context, in *struct {
		PageParams
		UserID uuid.UUID `query:"userId" doc:"Only keys that act for this user"`
		Live   bool      `query:"live" doc:"Only keys that are neither revoked nor expired"`
	},
	) (*listAnswer[ledger.APIKey], error) {
		return list(a.service.Keys(ctx, actorOf(ctx), ledger.KeyFilter{UserID: in.UserID, Live: in.Live}, in.page()))
	})

	add(a, operation{
		id: "getKey", method: http.MethodGet, path: "/v1/keys/{keyId}", tag: "Keys", summary: "Read an API key, without its secret", scopes: admin,
	}, func(ctx context.Context, in *KeyPath) (*answer[ledger.APIKey], error) {
		k, err := a.service.KeyByID(ctx, actorOf(ctx), in.KeyID)
		if err != nil {
			return nil, err
		}
		return show(-1, k), nil
	})

	add(a, operation{
		id: "getOwnKey", method: http.MethodGet, path: "/v1/key", tag: "Keys", summary: "Read the API key that the request has",
	}, func(ctx context.Context, _ *struct{}) (*answer[ledger.APIKey], error) {
		return show(-1, requestOf(ctx).key), nil
	})

	add(a, operation{
		id: "revokeKey", method: http.MethodPost, path: "/v1/keys/{keyId}/revoke", tag: "Keys", summary: "Revoke an API key at once and for good",
		scopes: admin, refusals: []ledger.Code{ledger.CodeConflict},
	}, func(ctx context.Context, in *struct {
		IdempotentParams
		KeyPath
	},
	) (*answer[ledger.APIKey], error) {
		k, err := a.service.RevokeKey(ctx, callOf(ctx), in.KeyID)
		if err != nil {
			return nil, err
		}
		a.recordKey(ctx, agenttrail.SecurityKeyRevoked, k)
		return reply(ctx, http.StatusOK, "", 0, k), nil
	})

	add(a, operation{
		id: "rotateKey", method: http.MethodPost, path: "/v1/keys/{keyId}/rotate", tag: "Keys", summary: "Replace an API key by a new one that may do the same",
		description: "The answer has the new secret, which nobody can ask for again: a replay comes without.",
		scopes:      admin, status: http.StatusCreated, refusals: []ledger.Code{ledger.CodeConflict},
	}, func(ctx context.Context, in *struct {
		IdempotentParams
		KeyPath
		Body *rotateInput
	},
	) (*answer[ledger.IssuedKey], error) {
		var grace ledger.Grace
		if in.Body != nil {
			grace = time.Duration(in.Body.GraceSeconds) * time.Second
		}
		k, err := a.service.RotateKey(ctx, callOf(ctx), in.KeyID, grace)
		if err != nil {
			return nil, err
		}
		a.recordKey(ctx, agenttrail.SecurityKeyRotated, k.Key)
		return reply(ctx, http.StatusCreated, "/v1/keys/"+k.Key.ID.String(), 0, k), nil
	})
}
