package ledgerclient

import (
	"context"
	"iter"
	"time"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
)

// Grant gives credits to a user.
type Grant struct {
	UserID      uuid.UUID            `json:"userId"`
	Category    ledger.GrantCategory `json:"category"`
	Amount      ledger.Credits       `json:"amount"`
	Priority    *int                 `json:"priority,omitempty"`
	ExpiresAt   *time.Time           `json:"expiresAt,omitempty"`
	AmountCents *int64               `json:"amountCents,omitempty"` // What was paid, in the minor unit of Currency.
	Currency    string               `json:"currency,omitempty"`
	StripePI    string               `json:"stripePi,omitempty"` // The payment at Stripe, which gives credits once.
	Reason      string               `json:"reason,omitempty"`
}

func grantPath(id uuid.UUID, rest string) string { return "/v1/grants/" + id.String() + rest }

// Grant gives credits to a user.
func (c *Client) Grant(ctx context.Context, in Grant) (ledger.Grant, error) {
	return post[ledger.Grant](ctx, c, "/v1/grants", in, "")
}

// GrantByID reads a grant.
func (c *Client) GrantByID(ctx context.Context, id uuid.UUID) (ledger.Grant, error) {
	return get[ledger.Grant](ctx, c, grantPath(id, ""), nil)
}

// Grants goes through grants, newest first.
func (c *Client) Grants(ctx context.Context, f ledger.GrantFilter) iter.Seq2[ledger.Grant, error] {
	return list[ledger.Grant](ctx, c, "/v1/grants", filter("userId", f.UserID.String(), "category", string(f.Category), "open", yes(f.Open)))
}

// VoidGrant takes back what is left of a grant; credits on hold go when their holds are released.
func (c *Client) VoidGrant(ctx context.Context, id uuid.UUID, ifMatch, why string) (ledger.Grant, error) {
	return post[ledger.Grant](ctx, c, grantPath(id, "/void"), reason{why}, ifMatch)
}

// TopUp buys credits.
type TopUp struct {
	UserID  uuid.UUID `json:"userId"`
	Package string    `json:"package"` // One of [Client.Packages].
	// PaymentMethod is one that the user's customer at Stripe has, charged at once. Without it the user pays in the browser,
	// by the ClientSecret of the answer.
	PaymentMethod string `json:"paymentMethod,omitempty"`
}

func topUpPath(id uuid.UUID, rest string) string { return "/v1/topups/" + id.String() + rest }

// Packages goes through what can be bought.
func (c *Client) Packages(ctx context.Context) iter.Seq2[ledger.Package, error] {
	return func(yield func(ledger.Package, error) bool) {
		all, err := get[struct {
			Items []ledger.Package `json:"items"`
		}](ctx, c, "/v1/packages", nil)
		if err != nil {
			yield(ledger.Package{}, err)
			return
		}
		for _, p := range all.Items {
			if !yield(p, nil) {
				return
			}
		}
	}
}

// TopUp buys credits. They are there when the status is succeeded.
func (c *Client) TopUp(ctx context.Context, in TopUp) (ledger.TopUp, error) {
	return post[ledger.TopUp](ctx, c, "/v1/topups", in, "")
}

// TopUpByID reads a top-up with its payment, refunds and disputes.
func (c *Client) TopUpByID(ctx context.Context, id uuid.UUID) (ledger.TopUp, error) {
	return get[ledger.TopUp](ctx, c, topUpPath(id, ""), nil)
}

// TopUps goes through top-ups, newest first.
func (c *Client) TopUps(ctx context.Context, f ledger.TopUpFilter) iter.Seq2[ledger.TopUp, error] {
	return list[ledger.TopUp](ctx, c, "/v1/topups", filter("userId", f.UserID.String(), "status", string(f.Status)))
}

// CancelTopUp ends a top-up that has not been paid.
func (c *Client) CancelTopUp(ctx context.Context, id uuid.UUID) (ledger.TopUp, error) {
	return post[ledger.TopUp](ctx, c, topUpPath(id, "/cancel"), nil, "")
}

// RefundTopUp gives money of a top-up back, in the minor unit of its currency; nil gives back all that did not go back before.
func (c *Client) RefundTopUp(ctx context.Context, id uuid.UUID, amountCents *int64, why string) (ledger.TopUp, error) {
	return post[ledger.TopUp](ctx, c, topUpPath(id, "/refunds"), struct {
		AmountCents *int64 `json:"amountCents,omitempty"`
		reason
	}{amountCents, reason{why}}, "")
}
