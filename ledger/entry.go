package ledger

import (
	"time"

	"github.com/google/uuid"
)

// Entry is one leg of the posting of a transaction. The legs sum to zero; nothing of them ever changes.
type Entry struct {
	ID            int64           `json:"id"`
	TransactionID uuid.UUID       `json:"transactionId"`
	Kind          TransactionKind `json:"kind"`
	Account       string          `json:"account"` // user:<id>:wallet, agent:<id>:revenue, platform:granted_paid and the like
	Amount        Credits         `json:"amount"`  // more than zero adds to the account
	CreatedAt     time.Time       `json:"createdAt"`
}

// EntryFilter narrows a list of entries.
type EntryFilter struct {
	UserID        uuid.UUID // those of the user's wallet
	TransactionID uuid.UUID
	From, Until   time.Time
}
