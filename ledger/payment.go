package ledger

import (
	"context"
	"encoding/json"
	"math/bits"
	"net/http"
	"time"

	"github.com/google/uuid"
)

// Payments sell credits for money. The money is at Stripe; what a payment has come to is asked there and written down.
type Payments interface {
	// Packages are what can be bought.
	Packages(ctx context.Context, actor Actor) ([]Package, error)
	// TopUp begins to buy a package. Its status says how far the payment has come; the credits are granted when it has
	// succeeded. A replayed request gives the same top-up as it is by then. Errors: CodePaymentsDisabled,
	// CodePaymentRefused, CodeUnavailable; after the last, the same request can be sent again. Scope: manage.
	TopUp(ctx context.Context, call *Call, in TopUpInput) (TopUp, error)
	// CancelTopUp ends a top-up that has not been paid. Scope: manage.
	CancelTopUp(ctx context.Context, call *Call, id uuid.UUID) (TopUp, error)
	// RefundTopUp gives money back to where it came from, and takes the credits for it back first. It is refused with
	// CodeRefundExceeds where they were spent, or are on hold. Scope: admin.
	RefundTopUp(ctx context.Context, call *Call, id uuid.UUID, in CardRefundInput) (TopUp, error)
	TopUpByID(ctx context.Context, actor Actor, id uuid.UUID) (TopUp, error)
	TopUps(ctx context.Context, actor Actor, f TopUpFilter, p Page) (List[TopUp], error)
	// ReceiveEvent takes an event of Stripe as it was sent, with its headers, and returns when it is stored. Errors:
	// CodeBadSignature, CodePaymentsDisabled, CodeUnavailable.
	ReceiveEvent(ctx context.Context, header http.Header, body []byte) error
}

// Package is an amount of credits with a price.
type Package struct {
	ID           string  `json:"id"`
	Name         string  `json:"name"`
	AmountCents  int64   `json:"amountCents"`
	Currency     string  `json:"currency"`
	Credits      Credits `json:"credits"`
	BonusCredits Credits `json:"bonusCredits"`             // promotional, spent first
	ValidDays    int     `json:"validDays,omitempty"`      // of the credits, from when they are granted; forever if 0
	BonusDays    int     `json:"bonusValidDays,omitempty"` // of the bonus, likewise
}

// Price is what the package costs.
func (p Package) Price() Money { return Money{AmountCents: p.AmountCents, Currency: p.Currency} }

// TopUpInput buys a package.
type TopUpInput struct {
	UserID  uuid.UUID
	Package string
	// PaymentMethod is one that the user's customer at Stripe has (pm_…), which is then charged at once. If it is empty, the
	// user pays by the top-up's ClientSecret.
	PaymentMethod string
}

// Validate names every field that cannot be meant.
func (in TopUpInput) Validate() error {
	var c checks
	c.text("package", in.Package, 1, MaxName)
	c.text("paymentMethod", in.PaymentMethod, 0, MaxExternalID)
	return c.err()
}

// CardRefundInput gives money back.
type CardRefundInput struct {
	AmountCents *int64 // all that was not given back yet if nil; more than 0
	Reason      string
}

// Validate names every field that cannot be meant.
func (in CardRefundInput) Validate() error {
	var c checks
	if in.AmountCents != nil && *in.AmountCents <= 0 {
		c.fail("amountCents", "must be more than 0")
	}
	c.text("reason", in.Reason, 0, MaxReason)
	return c.err()
}

// TopUp is a transaction that buys credits, with its payment at Stripe.
type TopUp struct {
	ID           uuid.UUID         `json:"id"` // of its transaction
	UserID       uuid.UUID         `json:"userId"`
	Status       TransactionStatus `json:"status"`
	Package      string            `json:"package"`
	AmountCents  int64             `json:"amountCents"`
	Currency     string            `json:"currency"`
	Credits      Credits           `json:"credits"`
	BonusCredits Credits           `json:"bonusCredits"`
	// ReturnedCents is the money that went back or is about to: refunds that have not failed, disputes that are not won.
	ReturnedCents int64 `json:"returnedCents"`
	// CreditsTaken and BonusTaken are what was taken back for that, at most what was neither spent nor expired.
	CreditsTaken Credits `json:"creditsTaken"`
	BonusTaken   Credits `json:"bonusTaken"`
	StripePI     string  `json:"stripePi,omitempty"`
	StripeStatus string  `json:"stripeStatus,omitempty"` // of the PaymentIntent, when it was last asked
	// Failure is why the last attempt to pay has failed. Another attempt may succeed.
	Failure *PaymentFailure `json:"failure,omitempty"`
	// ClientSecret lets the user's browser pay, by Stripe's own library. It is asked anew each time and never stored.
	ClientSecret string          `json:"clientSecret,omitempty"`
	Refunds      []Reversal      `json:"refunds"`
	Disputes     []Reversal      `json:"disputes"`
	RequestJSON  json.RawMessage `json:"requestJson,omitempty"` // what Stripe was asked for
	ReceiptJSON  json.RawMessage `json:"receiptJson,omitempty"` // the PaymentIntent as it was last shown, without secrets
	CreatedAt    time.Time       `json:"createdAt"`
	UpdatedAt    time.Time       `json:"updatedAt"`
	RowVersion   int             `json:"-"` // of the ETag
	// Checks counts comparisons with Stripe, see package stripepay.
	Checks int64 `json:"-"`
}

// Paid tells whether the payment has succeeded, whatever became of the money later.
func (t TopUp) Paid() bool { return paid(t.Status) }

func paid(s TransactionStatus) bool {
	switch s {
	case StatusSucceeded, StatusPartiallyRefunded, StatusRefunded, StatusDisputed:
		return true
	default:
		return false
	}
}

// PaymentFailure is why a payment or a refund has failed, in Stripe's words.
type PaymentFailure struct {
	Code    string `json:"code"` // such as card_declined
	Message string `json:"message"`
}

// Reversal is money of a top-up that goes back, by a refund or by a dispute.
type Reversal struct {
	ID          uuid.UUID         `json:"id"` // of its transaction
	Status      TransactionStatus `json:"status"`
	AmountCents int64             `json:"amountCents"`
	StripeID    string            `json:"stripeId,omitempty"`
	Reason      string            `json:"reason,omitempty"`
	Failure     *PaymentFailure   `json:"failure,omitempty"`
	RequestJSON json.RawMessage   `json:"requestJson,omitempty"`
	ReceiptJSON json.RawMessage   `json:"receiptJson,omitempty"`
	CreatedAt   time.Time         `json:"createdAt"`
}

// Counts tells whether the money is gone or about to be.
func (r Reversal) Counts() bool {
	switch r.Status {
	case StatusProcessing, StatusSucceeded, StatusDisputed, StatusLost:
		return true
	default:
		return false
	}
}

// Returned is the money of a top-up that went back, at most what was paid.
func Returned(paid int64, reversals ...Reversal) int64 {
	var sum int64
	for _, r := range reversals {
		if r.Counts() {
			sum = min(paid, sum+min(paid, r.AmountCents)) // Never overflows: both are at most paid.
		}
	}
	return sum
}

// TopUpFilter narrows a list of top-ups.
type TopUpFilter struct {
	UserID uuid.UUID
	Status TransactionStatus
}

// Share is the part of credits that money stands for, of the whole that was paid for them, rounded down. All of the money
// is all of the credits.
func Share(c Credits, part, whole int64) Credits {
	if c < 0 || part < 0 || whole <= 0 || part > whole {
		panic("BUG: a share that is no part of the whole")
	}
	hi, lo := bits.Mul64(uint64(c), uint64(part))
	q, _ := bits.Div64(hi, lo, uint64(whole)) // part ≤ whole, so the quotient fits.
	return Credits(q)                         //nolint:gosec // At most c.
}
