package ledger

import (
	"time"

	"github.com/google/uuid"
)

// GrantCategory says where credits come from.
type GrantCategory string

// Categories of grants.
const (
	GrantPaid     GrantCategory = "paid"
	GrantPromo    GrantCategory = "promo"
	GrantGoodwill GrantCategory = "goodwill"
	GrantRefund   GrantCategory = "refund" // made by refunds only
)

// Grant is credits that a user was given. Credits are spent from the grant with the lowest priority number first, then
// from the one that expires first, then from the oldest.
type Grant struct {
	ID            uuid.UUID     `json:"id"`
	UserID        uuid.UUID     `json:"userId"`
	TransactionID uuid.UUID     `json:"transactionId"`
	Category      GrantCategory `json:"category"`
	Amount        Credits       `json:"amount"`
	Remaining     Credits       `json:"remaining"`
	Priority      int           `json:"priority"` // 0 to 1000
	ExpiresAt     *time.Time    `json:"expiresAt,omitempty"`
	VoidedAt      *time.Time    `json:"voidedAt,omitempty"`
	CreatedAt     time.Time     `json:"createdAt"`
	RowVersion    int           `json:"-"` // of the ETag
}

// DefaultPriority is that of a grant that does not say.
const DefaultPriority = 100

// GrantInput gives credits to a user.
type GrantInput struct {
	UserID    uuid.UUID
	Category  GrantCategory
	Amount    Credits
	Priority  *int       // DefaultPriority if nil
	ExpiresAt *time.Time // never if nil
	Paid      *Money     // what was paid for them
	StripePI  string     // the payment
	Reason    string
}

// VoidInput takes back what is left of a grant. Credits on hold are not taken; they go when the holds are released.
type VoidInput struct {
	IfVersion int // the grant's RowVersion that was read; 0 voids whatever is there
	Reason    string
}

// GrantFilter narrows a list of grants.
type GrantFilter struct {
	UserID   uuid.UUID
	Category GrantCategory
	Open     bool // only those with credits left
}
