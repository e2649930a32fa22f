package ledgerclient

import (
	"context"
	"iter"
	"time"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
)

// Key makes an API key.
type Key struct {
	Name      string         `json:"name"`
	Scopes    []ledger.Scope `json:"scopes"`
	UserID    *uuid.UUID     `json:"userId,omitempty"` // The user it acts for; nil for the platform.
	ExpiresAt *time.Time     `json:"expiresAt,omitempty"`
}

// CreateKey makes an API key. The answer has its secret, which nobody can ask for again; an answer to a request that was
// sent before has none.
func (c *Client) CreateKey(ctx context.Context, in Key) (ledger.IssuedKey, error) {
	return post[ledger.IssuedKey](ctx, c, "/v1/keys", in, "")
}

// OwnKey reads the API key of the client.
func (c *Client) OwnKey(ctx context.Context) (ledger.APIKey, error) {
	return get[ledger.APIKey](ctx, c, "/v1/key", nil)
}

// Key reads an API key, without its secret.
func (c *Client) Key(ctx context.Context, id uuid.UUID) (ledger.APIKey, error) {
	return get[ledger.APIKey](ctx, c, "/v1/keys/"+id.String(), nil)
}

// Keys goes through API keys, newest first.
func (c *Client) Keys(ctx context.Context, f ledger.KeyFilter) iter.Seq2[ledger.APIKey, error] {
	return list[ledger.APIKey](ctx, c, "/v1/keys", filter("userId", f.UserID.String(), "live", yes(f.Live)))
}

// RevokeKey revokes an API key at once and for good.
func (c *Client) RevokeKey(ctx context.Context, id uuid.UUID) (ledger.APIKey, error) {
	return post[ledger.APIKey](ctx, c, "/v1/keys/"+id.String()+"/revoke", nil, "")
}

// RotateKey replaces an API key by one that may do the same, and lets the old one work until the grace is over; whole seconds.
func (c *Client) RotateKey(ctx context.Context, id uuid.UUID, grace ledger.Grace) (ledger.IssuedKey, error) {
	return post[ledger.IssuedKey](ctx, c, "/v1/keys/"+id.String()+"/rotate", struct {
		GraceSeconds int64 `json:"graceSeconds,omitempty"`
	}{int64(grace.Seconds())}, "")
}
