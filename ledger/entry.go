package ledger

import (
	"time"

	"github.com/google/uuid"
)

// Entry is one leg of a posting. The legs of a journal sum to zero; nothing of them ever changes.
type Entry struct {
	ID            int64     `json:"id"`
	JournalID     uuid.UUID `json:"journalId"`
	TransactionID uuid.UUID `json:"transactionId"`
	Kind          string    `json:"kind"`    // of the journal: capture, grant, refund, expiry, void
	Account       string    `json:"account"` // such as user:<id>:wallet or platform::granted
	Amount        Credits   `json:"amount"`  // more than zero adds to the account
	CreatedAt     time.Time `json:"createdAt"`
}

// EntryFilter narrows a list of entries.
type EntryFilter struct {
	UserID        uuid.UUID // those of the user's wallet
	TransactionID uuid.UUID
	From, Until   time.Time
}
