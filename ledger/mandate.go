package ledger

import (
	"time"

	"github.com/google/uuid"
)

// MandateStatus is the state of a mandate. A mandate that is past its validUntil keeps its status; its rules deny.
type MandateStatus string

// States of mandates. A revoked one stays revoked.
const (
	MandateActive    MandateStatus = "active"
	MandateSuspended MandateStatus = "suspended"
	MandateRevoked   MandateStatus = "revoked"
)

// Mandate is what a user permits agents to spend.
type Mandate struct {
	ID           uuid.UUID     `json:"id"`
	UserID       uuid.UUID     `json:"userId"`
	Name         string        `json:"name"`
	Status       MandateStatus `json:"status"`
	Version      int           `json:"version"` // that is in effect; 0 if none is yet
	Rules        Rules         `json:"rules"`   // of that version
	EffectiveAt  time.Time     `json:"effectiveAt"`
	RevokedAt    *time.Time    `json:"revokedAt,omitempty"`
	RevokedBy    string        `json:"revokedBy,omitempty"`
	RevokeReason string        `json:"revokeReason,omitempty"`
	CreatedAt    time.Time     `json:"createdAt"`
	UpdatedAt    time.Time     `json:"updatedAt"`
	RowVersion   int           `json:"-"` // of the ETag
}

// MandateVersion is one set of rules. It never changes. Of the versions whose EffectiveAt has come, the newest counts.
type MandateVersion struct {
	MandateID   uuid.UUID `json:"mandateId"`
	Version     int       `json:"version"` // 1, 2, …
	Rules       Rules     `json:"rules"`
	EffectiveAt time.Time `json:"effectiveAt"`
	CreatedAt   time.Time `json:"createdAt"`
	CreatedBy   string    `json:"createdBy"`
}

// MandateInput makes a mandate.
type MandateInput struct {
	ID          uuid.UUID // chosen by the ledger if nil
	UserID      uuid.UUID
	Name        string
	Rules       Rules
	EffectiveAt time.Time // now if zero; not in the past
}

// MandateVersionInput gives a mandate new rules. They replace those before; holds that were authorized under those stay
// and count.
type MandateVersionInput struct {
	IfVersion   int // the mandate's RowVersion that was read; 0 replaces whatever is there
	Rules       Rules
	EffectiveAt time.Time // now if zero; not in the past
}

// MandateChange suspends, resumes or revokes a mandate.
type MandateChange struct {
	IfVersion int // the mandate's RowVersion that was read; 0 changes whatever is there
	Reason    string
	// ReleaseHolds also releases all active holds of a mandate that is revoked. Without it runs that are under way can
	// still be captured.
	ReleaseHolds bool
}

// MandateFilter narrows a list of mandates.
type MandateFilter struct {
	UserID uuid.UUID
	Status MandateStatus
}

// Usage is what counts against the limits of a mandate, in the windows around one moment: what is held and what is spent.
type Usage struct {
	Day      Credits `json:"day"`
	Week     Credits `json:"week"`
	Month    Credits `json:"month"`
	Total    Credits `json:"total"`
	DayCount int64   `json:"dayCount"` // executions of the day, under way or captured
	Count    int64   `json:"count"`    // executions ever, under way or captured
	Active   int64   `json:"active"`   // executions under way
}
