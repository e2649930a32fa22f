package stripepay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/customer"
	"github.com/stripe/stripe-go/v76/dispute"
	"github.com/stripe/stripe-go/v76/event"
	"github.com/stripe/stripe-go/v76/paymentintent"
	"github.com/stripe/stripe-go/v76/refund"

	"github.com/agenttrail/agenttrail/ledger"
)

// Metadata by which objects at Stripe are ours.
const (
	metaTransaction = "agenttrail_transaction"
	metaUser        = "agenttrail_user"
)

const (
	// requestTimeout bounds one request to Stripe.
	requestTimeout = 20 * time.Second
	// retries is how often the library repeats a request that may pass the next time, under the same idempotency key.
	retries = 1
)

// client is Stripe, as far as it is needed.
type client struct {
	intents   paymentintent.Client
	customers customer.Client
	refunds   refund.Client
	disputes  dispute.Client
	events    event.Client
}

func newClient(key, url string, transport http.RoundTripper) *client {
	backend := stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{
		URL: new(url), HTTPClient: &http.Client{Timeout: requestTimeout, Transport: transport},
		MaxNetworkRetries: stripe.Int64(retries), EnableTelemetry: new(false),
		LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull}, // Errors are returned, and requests counted.
	})
	return &client{
		intents: paymentintent.Client{B: backend, Key: key}, customers: customer.Client{B: backend, Key: key}, refunds: refund.Client{B: backend, Key: key},
		disputes: dispute.Client{B: backend, Key: key}, events: event.Client{B: backend, Key: key},
	}
}

// createCustomer makes the customer of a user, or gives the one that the same request has made.
func (c *client) createCustomer(ctx context.Context, u ledger.User, key string) (string, error) {
	p := &stripe.CustomerParams{Email: new(u.Email), Metadata: map[string]string{metaUser: u.ID.String()}}
	p.Context, p.IdempotencyKey = ctx, new(key)
	made, err := c.customers.New(p)
	if err != nil {
		return "", fmt.Errorf("create customer: %w", err)
	}
	return made.ID, nil
}

// findCustomer is the customer of a user with this e-mail address; empty if there is none.
func (c *client) findCustomer(ctx context.Context, u ledger.User) (string, error) {
	p := &stripe.CustomerListParams{Email: new(u.Email)}
	p.Context = ctx
	all := c.customers.List(p)
	for all.Next() {
		if all.Customer().Metadata[metaUser] == u.ID.String() {
			return all.Customer().ID, nil
		}
	}
	if err := all.Err(); err != nil {
		return "", fmt.Errorf("list customers: %w", err)
	}
	return "", nil
}

// createIntent asks for the PaymentIntent of a top-up, or gives the one that the same request has made. The answer may be
// that of an earlier time.
func (c *client) createIntent(ctx context.Context, t ledger.TopUp) (string, error) {
	var r intentRequest
	if err := json.Unmarshal(t.RequestJSON, &r); err != nil {
		return "", fmt.Errorf("read request of top-up %s: %w", t.ID, err)
	}
	p := r.params()
	p.Context, p.IdempotencyKey = ctx, new(t.ID.String())
	made, err := c.intents.New(p)
	if err != nil {
		// A card that is declined leaves a PaymentIntent behind, which can be paid with another one.
		if e := (*stripe.Error)(nil); errors.As(err, &e) && e.PaymentIntent != nil && e.PaymentIntent.ID != "" {
			return e.PaymentIntent.ID, nil
		}
		return "", fmt.Errorf("create payment: %w", err)
	}
	return made.ID, nil
}

// findIntent is the PaymentIntent of a top-up; empty if there is none.
func (c *client) findIntent(ctx context.Context, t ledger.TopUp) (string, error) {
	var r intentRequest
	if err := json.Unmarshal(t.RequestJSON, &r); err != nil {
		return "", fmt.Errorf("read request of top-up %s: %w", t.ID, err)
	}
	p := &stripe.PaymentIntentListParams{
		Customer:     new(r.Customer),
		CreatedRange: &stripe.RangeQueryParams{GreaterThanOrEqual: t.CreatedAt.Add(-time.Hour).Unix()}, // Clocks differ.
	}
	p.Context = ctx
	all := c.intents.List(p)
	for all.Next() {
		if all.PaymentIntent().Metadata[metaTransaction] == t.ID.String() {
			return all.PaymentIntent().ID, nil
		}
	}
	if err := all.Err(); err != nil {
		return "", fmt.Errorf("list payments: %w", err)
	}
	return "", nil
}

func (c *client) intent(ctx context.Context, id string) (*stripe.PaymentIntent, error) {
	p := &stripe.PaymentIntentParams{}
	p.Context = ctx
	p.AddExpand("latest_charge")
	pi, err := c.intents.Get(id, p)
	if err != nil {
		return nil, fmt.Errorf("read payment %s: %w", id, err)
	}
	return pi, nil
}

func (c *client) cancelIntent(ctx context.Context, t ledger.TopUp) error {
	p := &stripe.PaymentIntentCancelParams{CancellationReason: new(string(stripe.PaymentIntentCancellationReasonRequestedByCustomer))}
	p.Context, p.IdempotencyKey = ctx, new("cancel-"+t.ID.String())
	if _, err := c.intents.Cancel(t.StripePI, p); err != nil {
		return fmt.Errorf("cancel payment %s: %w", t.StripePI, err)
	}
	return nil
}

func (c *client) createRefund(ctx context.Context, r ledger.Reversal) error {
	var req refundRequest
	if err := json.Unmarshal(r.RequestJSON, &req); err != nil {
		return fmt.Errorf("read request of refund %s: %w", r.ID, err)
	}
	p := req.params()
	p.Context, p.IdempotencyKey = ctx, new(r.ID.String())
	if _, err := c.refunds.New(p); err != nil {
		return fmt.Errorf("create refund: %w", err)
	}
	return nil
}

// refundsOf lists the refunds of a payment.
func (c *client) refundsOf(ctx context.Context, intent string) (list []*stripe.Refund, err error) {
	p := &stripe.RefundListParams{PaymentIntent: new(intent)}
	p.Context, p.Limit = ctx, stripe.Int64(pageSize)
	all := c.refunds.List(p)
	for all.Next() {
		list = append(list, all.Refund())
	}
	if err := all.Err(); err != nil {
		return nil, fmt.Errorf("list refunds of %s: %w", intent, err)
	}
	return list, nil
}

// disputesOf lists the disputes of a payment.
func (c *client) disputesOf(ctx context.Context, intent string) (list []*stripe.Dispute, err error) {
	p := &stripe.DisputeListParams{PaymentIntent: new(intent)}
	p.Context, p.Limit = ctx, stripe.Int64(pageSize)
	all := c.disputes.List(p)
	for all.Next() {
		list = append(list, all.Dispute())
	}
	if err := all.Err(); err != nil {
		return nil, fmt.Errorf("list disputes of %s: %w", intent, err)
	}
	return list, nil
}

// pageSize is the most that Stripe gives at once.
const pageSize = 100

// intentRequest is what is asked for to be paid. It is kept with the top-up, and never changes.
type intentRequest struct {
	Amount        int64             `json:"amount"`
	Currency      string            `json:"currency"`
	Customer      string            `json:"customer"`
	Description   string            `json:"description"`
	Metadata      map[string]string `json:"metadata"`
	PaymentMethod string            `json:"payment_method,omitempty"`
}

func (r intentRequest) params() *stripe.PaymentIntentParams {
	p := &stripe.PaymentIntentParams{
		Amount: &r.Amount, Currency: &r.Currency, Customer: &r.Customer, Description: &r.Description, Metadata: r.Metadata,
		AutomaticPaymentMethods: &stripe.PaymentIntentAutomaticPaymentMethodsParams{Enabled: new(true)},
	}
	if r.PaymentMethod != "" {
		p.PaymentMethod, p.Confirm = &r.PaymentMethod, new(true)
		p.AutomaticPaymentMethods.AllowRedirects = new("never") // Nobody is there to be redirected.
	}
	return p
}

func newIntentRequest(customer string, p ledger.Package, method, transaction, user string) intentRequest {
	return intentRequest{
		Amount: p.AmountCents, Currency: strings.ToLower(p.Currency), Customer: customer, Description: fmt.Sprintf("%s credits", p.Credits),
		Metadata: map[string]string{metaTransaction: transaction, metaUser: user}, PaymentMethod: method,
	}
}

// refundRequest is what is asked for to be given back.
type refundRequest struct {
	PaymentIntent string            `json:"payment_intent"`
	Amount        int64             `json:"amount"`
	Metadata      map[string]string `json:"metadata"`
}

func (r refundRequest) params() *stripe.RefundParams {
	return &stripe.RefundParams{PaymentIntent: &r.PaymentIntent, Amount: &r.Amount, Metadata: r.Metadata}
}
