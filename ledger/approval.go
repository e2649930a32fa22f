package ledger

import (
	"time"

	"github.com/google/uuid"
)

// ApprovalStatus is the state of an approval. All but the first are final.
type ApprovalStatus string

// States of approvals.
const (
	ApprovalPending  ApprovalStatus = "pending"
	ApprovalApproved ApprovalStatus = "approved"
	ApprovalRejected ApprovalStatus = "rejected"
	ApprovalExpired  ApprovalStatus = "expired"
)

// Approval is a run that waits for somebody to decide. Nothing is held meanwhile; the mandate and the credits are judged
// again when it is approved.
type Approval struct {
	ID            uuid.UUID      `json:"id"`
	TransactionID uuid.UUID      `json:"transactionId"`
	UserID        uuid.UUID      `json:"userId"`
	Amount        Credits        `json:"amount"`
	Status        ApprovalStatus `json:"status"`
	RequestedBy   string         `json:"requestedBy"`
	RequestedAt   time.Time      `json:"requestedAt"`
	ExpiresAt     time.Time      `json:"expiresAt"`
	DecidedBy     string         `json:"decidedBy,omitempty"`
	DecidedAt     *time.Time     `json:"decidedAt,omitempty"`
	Reason        string         `json:"reason,omitempty"`
	HoldID        *uuid.UUID     `json:"holdId,omitempty"` // once approved
}

// DecisionInput decides an approval.
type DecisionInput struct {
	Reason string
}

// ApprovalFilter narrows a list of approvals.
type ApprovalFilter struct {
	UserID uuid.UUID
	Status ApprovalStatus
}
