package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
)

// GrantPath names a grant.
type GrantPath struct {
	GrantID uuid.UUID `path:"grantId" doc:"Id of the grant"`
}

type grantInput struct {
	UserID      uuid.UUID            `json:"userId" doc:"Who gets the credits"`
	Category    ledger.GrantCategory `json:"category" enum:"paid,promo,goodwill" doc:"Where they come from"`
	Amount      amount               `json:"amount" doc:"How many, more than 0"`
	Priority    *int                 `json:"priority,omitempty" minimum:"0" maximum:"1000" doc:"Grants with a lower number are spent first; 100 when absent"`
	ExpiresAt   *time.Time           `json:"expiresAt,omitempty" doc:"First moment at which they can be spent no more; never when absent"`
	AmountCents *int64               `json:"amountCents,omitempty" minimum:"0" maximum:"9007199254740991" doc:"What was paid for them, in the currency's minor unit" dependentRequired:"currency"`
	Currency    string               `json:"currency,omitempty" pattern:"^[A-Z]{3}$" maxLength:"3" doc:"ISO 4217" dependentRequired:"amountCents" example:"EUR"`
	StripePI    string               `json:"stripePi,omitempty" maxLength:"255" doc:"The payment at Stripe; each gives credits once"`
	Reason      string               `json:"reason,omitempty" maxLength:"1000" doc:"Why, for the history"`
}

func (a *API) registerGrants() {
	admin := []ledger.Scope{ledger.ScopeAdmin}
	add(a, operation{
		id: "grant", method: http.MethodPost, path: "/v1/grants", tag: "Grants", summary: "Give credits to a user",
		scopes: admin, status: http.StatusCreated, refusals: []ledger.Code{ledger.CodeNotFound, ledger.CodeUserClosed, ledger.CodeAlreadyExists, ledger.CodeOverflow},
	}, func(ctx context.Context, in *struct {
		IdempotentParams
		Body grantInput
	},
	) (*answer[ledger.Grant], error) {
		amount, err := in.Body.Amount.credits()
		if err != nil {
			return nil, err
		}
		input := ledger.GrantInput{
			UserID: in.Body.UserID, Category: in.Body.Category, Amount: amount, Priority: in.Body.Priority, ExpiresAt: in.Body.ExpiresAt,
			StripePI: in.Body.StripePI, Reason: in.Body.Reason,
		}
		if in.Body.AmountCents != nil {
			input.Paid = &ledger.Money{AmountCents: *in.Body.AmountCents, Currency: in.Body.Currency}
		}
		g, err := a.service.Grant(ctx, callOf(ctx), input)
		if err != nil {
			return nil, err
		}
		return reply(ctx, http.StatusCreated, "/v1/grants/"+g.ID.String(), g.RowVersion, g), nil
	})

	add(a, operation{
		id: "listGrants", method: http.MethodGet, path: "/v1/grants", tag: "Grants", summary: "List grants",
	}, func(ctx context.Context, in *struct {
		PageParams
		UserID   uuid.UUID            `query:"userId" doc:"Only grants of this user"`
		Category ledger.GrantCategory `query:"category" enum:"paid,promo,goodwill,refund" doc:"Only grants of this category"`
		Open     bool                 `query:"open" doc:"Only grants with credits left"`
	},
	) (*listAnswer[ledger.Grant], error) {
		return list(a.service.Grants(ctx, actorOf(ctx), ledger.GrantFilter{UserID: in.UserID, Category: in.Category, Open: in.Open}, in.page()))
	})

	add(a, operation{
		id: "getGrant", method: http.MethodGet, path: "/v1/grants/{grantId}", tag: "Grants", summary: "Read a grant",
	}, func(ctx context.Context, in *GrantPath) (*answer[ledger.Grant], error) {
		g, err := a.service.GrantByID(ctx, actorOf(ctx), in.GrantID)
		if err != nil {
			return nil, err
		}
		return show(g.RowVersion, g), nil
	})

	add(a, operation{
		id: "voidGrant", method: http.MethodPost, path: "/v1/grants/{grantId}/void", tag: "Grants", summary: "Take back what is left of a grant",
		description: "Credits on hold are not taken; they go when their holds are released.",
		scopes:      admin, refusals: []ledger.Code{ledger.CodeVersionMismatch, ledger.CodeConflict},
	}, func(ctx context.Context, in *struct {
		IdempotentParams
		GrantPath
		IfMatchParams
		Body *reasonInput
	},
	) (*answer[ledger.Grant], error) {
		version, err := in.optional()
		if err != nil {
			return nil, err
		}
		input := ledger.VoidInput{IfVersion: version}
		if in.Body != nil {
			input.Reason = in.Body.Reason
		}
		g, err := a.service.VoidGrant(ctx, callOf(ctx), in.GrantID, input)
		if err != nil {
			return nil, err
		}
		return reply(ctx, http.StatusOK, "", g.RowVersion, g), nil
	})
}
