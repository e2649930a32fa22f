package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
)

// TopUpPath names a top-up.
type TopUpPath struct {
	TopUpID uuid.UUID `path:"topUpId" doc:"Id of the top-up, which is that of its transaction"`
}

type topUpInput struct {
	UserID        uuid.UUID `json:"userId" doc:"Who buys"`
	Package       string    `json:"package" minLength:"1" maxLength:"200" doc:"What is bought, one of GET /v1/packages" example:"starter"`
	PaymentMethod string    `json:"paymentMethod,omitempty" maxLength:"255" doc:"One that the user's customer at Stripe has, charged at once; when absent, the user pays in the browser by clientSecret" example:"pm_card_visa"`
}

type cardRefundInput struct {
	AmountCents *int64 `json:"amountCents,omitempty" minimum:"1" maximum:"9007199254740991" doc:"Money to give back, in the currency's minor unit; all that did not go back yet when absent"`
	Reason      string `json:"reason,omitempty" maxLength:"1000" doc:"Why, for the history"`
}

// registerPayments adds buying credits.
func (a *API) registerPayments() {
	manage := []ledger.Scope{ledger.ScopeManage}
	add(a, operation{
		id: "listPackages", method: http.MethodGet, path: "/v1/packages", tag: "Payments", summary: "List what can be bought",
	}, func(ctx context.Context, _ *struct{}) (*listAnswer[ledger.Package], error) {
		packages, err := a.payments.Packages(ctx, actorOf(ctx))
		return list(ledger.List[ledger.Package]{Items: packages}, err)
	})

	add(a, operation{
		id: "topUp", method: http.MethodPost, path: "/v1/topups", tag: "Payments", summary: "Buy credits",
		description: "The credits are there when the status is succeeded. failed is an attempt to pay; another one may succeed. Sent again with the same key, the answer is the same top-up as it is by then.",
		scopes:      manage, status: http.StatusCreated,
		refusals: []ledger.Code{ledger.CodeNotFound, ledger.CodeUserClosed, ledger.CodePaymentsDisabled, ledger.CodePaymentRefused},
	}, func(ctx context.Context, in *struct {
		IdempotentParams
		Body topUpInput
	},
	) (*answer[ledger.TopUp], error) {
		t, err := a.payments.TopUp(ctx, callOf(ctx), ledger.TopUpInput{UserID: in.Body.UserID, Package: in.Body.Package, PaymentMethod: in.Body.PaymentMethod})
		if err != nil {
			return nil, err
		}
		return reply(ctx, http.StatusCreated, "/v1/topups/"+t.ID.String(), t.RowVersion, t), nil
	})

	add(a, operation{
		id: "listTopUps", method: http.MethodGet, path: "/v1/topups", tag: "Payments", summary: "List top-ups",
	}, func(ctx context.Context, in *struct {
		PageParams
		UserID uuid.UUID                `query:"userId" doc:"Only those of this user"`
		Status ledger.TransactionStatus `query:"status" enum:"created,processing,failed,canceled,succeeded,partially_refunded,refunded,disputed" doc:"Only those in this state"`
	},
	) (*listAnswer[ledger.TopUp], error) {
		return list(a.payments.TopUps(ctx, actorOf(ctx), ledger.TopUpFilter{UserID: in.UserID, Status: in.Status}, in.page()))
	})

	add(a, operation{
		id: "getTopUp", method: http.MethodGet, path: "/v1/topups/{topUpId}", tag: "Payments", summary: "Read a top-up",
	}, func(ctx context.Context, in *TopUpPath) (*answer[ledger.TopUp], error) {
		t, err := a.payments.TopUpByID(ctx, actorOf(ctx), in.TopUpID)
		if err != nil {
			return nil, err
		}
		return show(t.RowVersion, t), nil
	})

	add(a, operation{
		id: "cancelTopUp", method: http.MethodPost, path: "/v1/topups/{topUpId}/cancel", tag: "Payments", summary: "End a top-up that has not been paid",
		scopes: manage, refusals: []ledger.Code{ledger.CodeConflict, ledger.CodePaymentsDisabled},
	}, func(ctx context.Context, in *struct {
		IdempotentParams
		TopUpPath
	},
	) (*answer[ledger.TopUp], error) {
		t, err := a.payments.CancelTopUp(ctx, callOf(ctx), in.TopUpID)
		if err != nil {
			return nil, err
		}
		return reply(ctx, http.StatusOK, "", t.RowVersion, t), nil
	})

	add(a, operation{
		id: "refundTopUp", method: http.MethodPost, path: "/v1/topups/{topUpId}/refunds", tag: "Payments", summary: "Give money of a top-up back",
		description: "It goes to where it came from. The credits for it are taken first; so many of the top-up must be there, neither spent nor on hold.",
		scopes:      []ledger.Scope{ledger.ScopeAdmin}, status: http.StatusCreated,
		refusals: []ledger.Code{ledger.CodeConflict, ledger.CodeRefundExceeds, ledger.CodePaymentsDisabled, ledger.CodePaymentRefused},
	}, func(ctx context.Context, in *struct {
		IdempotentParams
		TopUpPath
		Body *cardRefundInput
	},
	) (*answer[ledger.TopUp], error) {
		var input ledger.CardRefundInput
		if in.Body != nil {
			input = ledger.CardRefundInput{AmountCents: in.Body.AmountCents, Reason: in.Body.Reason}
		}
		t, err := a.payments.RefundTopUp(ctx, callOf(ctx), in.TopUpID, input)
		if err != nil {
			return nil, err
		}
		return reply(ctx, http.StatusCreated, "/v1/topups/"+t.ID.String(), t.RowVersion, t), nil
	})
}

// maxEventBytes bounds an event of Stripe.
const maxEventBytes = 1 << 20

// webhookPath is where Stripe sends events. They have no API key but a signature over the raw body.
const webhookPath = "/webhooks/stripe"

// receiveEvent stores an event and answers; a job does the rest. Stripe sends again what is not answered with 2xx.
func (a *API) receiveEvent(w http.ResponseWriter, r *http.Request) {
	if !a.flight.enter() {
		a.problem(w, r, newProblem(ProblemUnavailable, "too many requests are in progress").retryAfter(retrySoon))
		return
	}
	defer a.flight.leave()
	ctx, cancel := context.WithTimeout(r.Context(), a.settings.RequestTimeout)
	defer cancel()
	ctx, _ = withRequest(ctx, r)
	r = r.WithContext(ctx)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEventBytes))
	if err != nil {
		d := newProblem(ProblemMalformed, "the body ended early")
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			d = newProblem(ProblemTooLarge, "the body is larger than "+byteCount(maxEventBytes))
		}
		a.problem(w, r, d)
		return
	}
	if err := a.payments.ReceiveEvent(ctx, r.Header, body); err != nil {
		a.problem(w, r, a.refuse(ctx, err))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// noPayments is what sells nothing.
type noPayments struct{}

func errNoPayments() error {
	return ledger.Errorf(ledger.CodePaymentsDisabled, "credits cannot be bought here")
}

func (noPayments) Packages(context.Context, ledger.Actor) ([]ledger.Package, error) { return nil, nil }

func (noPayments) TopUp(context.Context, *ledger.Call, ledger.TopUpInput) (ledger.TopUp, error) {
	return ledger.TopUp{}, errNoPayments()
}

func (noPayments) CancelTopUp(context.Context, *ledger.Call, uuid.UUID) (ledger.TopUp, error) {
	return ledger.TopUp{}, errNoPayments()
}

func (noPayments) RefundTopUp(context.Context, *ledger.Call, uuid.UUID, ledger.CardRefundInput) (ledger.TopUp, error) {
	return ledger.TopUp{}, errNoPayments()
}

func (noPayments) TopUpByID(context.Context, ledger.Actor, uuid.UUID) (ledger.TopUp, error) {
	return ledger.TopUp{}, errNoPayments()
}

func (noPayments) TopUps(context.Context, ledger.Actor, ledger.TopUpFilter, ledger.Page) (ledger.List[ledger.TopUp], error) {
	return ledger.List[ledger.TopUp]{}, errNoPayments()
}

func (noPayments) ReceiveEvent(context.Context, http.Header, []byte) error { return errNoPayments() }
