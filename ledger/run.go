package ledger

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// HoldStatus is the state of a hold. All but the first are final.
type HoldStatus string

// States of holds.
const (
	HoldActive   HoldStatus = "active"
	HoldCaptured HoldStatus = "captured"
	HoldReleased HoldStatus = "released"
	HoldExpired  HoldStatus = "expired"
)

// Hold is credits that are kept back for a run.
type Hold struct {
	ID             uuid.UUID  `json:"id"` // that of its transaction
	TransactionID  uuid.UUID  `json:"transactionId"`
	ExecutionID    string     `json:"executionId"` // joins it with telemetry
	UserID         uuid.UUID  `json:"userId"`
	AgentID        uuid.UUID  `json:"agentId"`
	AgentVersion   int        `json:"agentVersion"`
	MandateID      uuid.UUID  `json:"mandateId"`
	MandateVersion int        `json:"mandateVersion"`
	Amount         Credits    `json:"amount"`
	Captured       Credits    `json:"captured"`
	Status         HoldStatus `json:"status"`
	AuthorizedAt   time.Time  `json:"authorizedAt"`
	ExpiresAt      time.Time  `json:"expiresAt"`
	ResolvedAt     *time.Time `json:"resolvedAt,omitempty"`
	RowVersion     int        `json:"-"` // of the ETag
}

// Receipt says what was decided about a run, by which rule, and under which versions.
type Receipt struct {
	Outcome        Outcome     `json:"outcome"`
	Rule           Rule        `json:"rule"` // the one that decided, see [Decision]
	Violations     []Violation `json:"violations,omitempty"`
	MandateID      uuid.UUID   `json:"mandateId"`
	MandateVersion int         `json:"mandateVersion"`
	AgentVersion   int         `json:"agentVersion"`
	Requested      Credits     `json:"requested"`
	Available      Credits     `json:"available"` // before the run
	Usage          Usage       `json:"usage"`     // before the run
	At             time.Time   `json:"at"`
}

// AuthorizeInput asks for credits for a run.
type AuthorizeInput struct {
	UserID      uuid.UUID
	MandateID   uuid.UUID
	Agent       string        // slug or id
	Amount      *Credits      // the agent's price of an execution if nil; more than nothing
	ExecutionID string        // the platform's own id of the run, unique; the ledger makes one if empty
	TTL         time.Duration // for which the credits are held; DefaultHold if 0, at most MaxHold
	Metadata    json.RawMessage
}

// Times that holds, approvals and idempotency keys live.
const (
	DefaultHold      = 15 * time.Minute
	MaxHold          = 7 * 24 * time.Hour
	ApprovalLifetime = 24 * time.Hour
	KeyLifetime      = 7 * 24 * time.Hour
)

// Authorization is the answer to a run that was not refused: it has a hold, or it waits for an approval.
type Authorization struct {
	Transaction Transaction `json:"transaction"`
	Hold        *Hold       `json:"hold,omitempty"`
	Approval    *Approval   `json:"approval,omitempty"`
	Receipt     Receipt     `json:"receipt"`
}

// CaptureInput settles a run.
type CaptureInput struct {
	// Amount is what the run cost; nil takes all that is held. Zero takes nothing and settles the hold.
	Amount *Credits
}

// Settlement is the answer to a capture, a release or an expiry.
type Settlement struct {
	Hold        Hold        `json:"hold"`
	Transaction Transaction `json:"transaction"`
}

// TransactionKind says what a transaction is about.
type TransactionKind string

// Kinds of transactions.
const (
	KindExecution TransactionKind = "execution" // a run
	KindGrant     TransactionKind = "grant"     // credits given
	KindRefund    TransactionKind = "refund"    // credits of a run given back
	KindExpiry    TransactionKind = "expiry"    // credits of a grant that have expired
	KindVoid      TransactionKind = "void"      // credits of a grant taken back

	KindTopUp      TransactionKind = "topup"       // credits bought
	KindBonus      TransactionKind = "bonus"       // credits given with a top-up
	KindCardRefund TransactionKind = "card_refund" // money of a top-up given back
	KindDispute    TransactionKind = "dispute"     // money of a top-up that its payer demands back from the bank
	KindClawback   TransactionKind = "clawback"    // credits of a top-up or bonus taken back
	KindRestore    TransactionKind = "restore"     // and given back again
)

// TransactionStatus is the state of a transaction.
type TransactionStatus string

// States of transactions, and what each can become.
const (
	StatusRequiresApproval  TransactionStatus = "requires_approval" // authorized, canceled, expired, failed
	StatusAuthorized        TransactionStatus = "authorized"        // succeeded, canceled, expired
	StatusSucceeded         TransactionStatus = "succeeded"         // partially_refunded, refunded
	StatusPartiallyRefunded TransactionStatus = "partially_refunded"
	StatusRefunded          TransactionStatus = "refunded"
	StatusCanceled          TransactionStatus = "canceled" // released, or the approval was rejected
	StatusExpired           TransactionStatus = "expired"
	// StatusFailed is a run that was approved, but then a rule or the credits forbade it. Of a top-up it is an attempt to pay
	// that has failed; another one can succeed.
	StatusFailed TransactionStatus = "failed"

	// Of top-ups: created, processing and failed become each other, canceled or succeeded; what has succeeded becomes
	// partially_refunded, refunded or disputed, and back.
	StatusCreated    TransactionStatus = "created"
	StatusProcessing TransactionStatus = "processing" // also of card_refund, which then succeeds, fails or is canceled
	StatusDisputed   TransactionStatus = "disputed"   // also of dispute, which is then won or lost
	StatusWon        TransactionStatus = "won"
	StatusLost       TransactionStatus = "lost"
)

// Transaction is something that happened, or is about to, to a user's credits. What it is about never changes; its status
// does.
type Transaction struct {
	ID             uuid.UUID         `json:"id"`
	UserID         uuid.UUID         `json:"userId"`
	Kind           TransactionKind   `json:"kind"`
	Status         TransactionStatus `json:"status"`
	Credits        Credits           `json:"credits"` // asked for
	Settled        Credits           `json:"settled"` // moved so far
	Refunded       Credits           `json:"refunded"`
	AmountCents    *int64            `json:"amountCents,omitempty"` // what was paid for the credits, or went back
	Currency       string            `json:"currency,omitempty"`
	StripePI       string            `json:"stripePi,omitempty"`
	AgentID        *uuid.UUID        `json:"agentId,omitempty"`
	AgentVersion   int               `json:"agentVersion,omitempty"`
	MandateID      *uuid.UUID        `json:"mandateId,omitempty"`
	MandateVersion int               `json:"mandateVersion,omitempty"`
	ExecutionID    string            `json:"executionId,omitempty"`
	ParentID       *uuid.UUID        `json:"parentId,omitempty"` // the run of a refund; the top-up or bonus of what follows from it
	GrantID        *uuid.UUID        `json:"grantId,omitempty"`  // the grant of an expiry, void, clawback or restore
	Reason         string            `json:"reason,omitempty"`
	Metadata       json.RawMessage   `json:"metadata,omitempty"`
	Receipt        *Receipt          `json:"receipt,omitempty"`
	CreatedAt      time.Time         `json:"createdAt"`
	UpdatedAt      time.Time         `json:"updatedAt"`
	RowVersion     int               `json:"-"` // of the ETag
}

// RefundInput gives back credits of a run that were captured.
type RefundInput struct {
	Amount *Credits // all that was not refunded yet if nil; more than nothing
	Reason string
}

// TransactionFilter narrows a list of transactions.
type TransactionFilter struct {
	UserID      uuid.UUID
	AgentID     uuid.UUID
	MandateID   uuid.UUID
	Kind        TransactionKind
	Status      TransactionStatus
	ExecutionID string
	From, Until time.Time // of creation; Until is outside
}

// HoldFilter narrows a list of holds.
type HoldFilter struct {
	UserID    uuid.UUID
	MandateID uuid.UUID
	Status    HoldStatus
}
