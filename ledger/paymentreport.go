package ledger

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// NewTopUp is a top-up that is about to be made.
type NewTopUp struct {
	UserID  uuid.UUID
	Package Package
	// Request is what Stripe is going to be asked for by the id that the top-up gets.
	Request func(id uuid.UUID) (json.RawMessage, error)
}

// NewCardRefund is a refund that is about to be made.
type NewCardRefund struct {
	CardRefundInput
	// Request is what Stripe is going to be asked for by the id that the refund gets, so much of this payment.
	Request func(id uuid.UUID, paymentIntent string, amountCents int64) (json.RawMessage, error)
}

// PaymentReport is what Stripe says of a payment.
type PaymentReport struct {
	StripePI string
	// Status is where the payment is: created, processing, failed, canceled or succeeded.
	Status       TransactionStatus
	StripeStatus string
	Amount       Money
	Received     int64
	Failure      *PaymentFailure
	Receipt      json.RawMessage
	Refunds      []ReversalReport
	Disputes     []ReversalReport
}

// ReversalReport is what Stripe says of a refund or a dispute.
type ReversalReport struct {
	StripeID      string
	TransactionID uuid.UUID // of our own, if we have asked for it
	Status        TransactionStatus
	StripeStatus  string
	AmountCents   int64
	Reason        string
	Failure       *PaymentFailure
	Receipt       json.RawMessage
}

// EventState says what became of an event.
type EventState string

// States of events.
const (
	EventPending   EventState = "pending"
	EventProcessed EventState = "processed"
	EventIgnored   EventState = "ignored" // not about us
	EventFailed    EventState = "failed"  // needs a person
)

// Event is one of Stripe's. It says that something has changed.
type Event struct {
	ID         string
	Type       string
	APIVersion string
	Live       bool
	ObjectID   string
	PaymentID  string // the PaymentIntent, if the event says so
	Created    time.Time
	Payload    json.RawMessage
	State      EventState
	Attempts   int
}

// PaymentTotals are sums over all users.
type PaymentTotals struct {
	TopUps        map[TransactionStatus]int64
	Events        map[EventState]int64 // but for those that were processed or ignored
	OldestPending time.Duration        // age of the oldest event that was not done with
	Overdue       int64                // top-ups that should have been compared with Stripe
}
