package ledger

import (
	"encoding/json"
	"net/mail"
	"time"

	"github.com/google/uuid"
)

// UserStatus is the state of a user's account.
type UserStatus string

// States of users. A closed account stays closed.
const (
	UserActive UserStatus = "active"
	UserClosed UserStatus = "closed"
)

// User is somebody who runs agents.
type User struct {
	ID               uuid.UUID       `json:"id"`
	Email            string          `json:"email"` // unique without regard to case
	DisplayName      string          `json:"displayName"`
	Profile          json.RawMessage `json:"profile"` // an object, the platform's own
	Status           UserStatus      `json:"status"`
	StripeCustomerID string          `json:"stripeCustomerId,omitempty"`
	CreatedAt        time.Time       `json:"createdAt"`
	UpdatedAt        time.Time       `json:"updatedAt"`
	RowVersion       int             `json:"-"` // of the ETag
}

// UserInput makes a user.
type UserInput struct {
	ID          uuid.UUID // chosen by the ledger if nil
	Email       string
	DisplayName string
	Profile     json.RawMessage // {} if empty
}

// UserChange changes what is not nil.
type UserChange struct {
	IfVersion   int // the RowVersion that was read; 0 changes whatever is there
	Email       *string
	DisplayName *string
	Profile     *json.RawMessage
}

// UserFilter narrows a list of users.
type UserFilter struct {
	Email  string // without regard to case
	Status UserStatus
}

// Balance is what a user has.
type Balance struct {
	UserID    uuid.UUID `json:"userId"`
	Posted    Credits   `json:"posted"`    // all credits, those on hold among them
	Held      Credits   `json:"held"`      // on hold for runs that are under way
	Available Credits   `json:"available"` // can be authorized now: neither on hold nor expired
}

// Bounds of texts, in bytes unless said otherwise.
const (
	MaxEmail       = 320
	MaxName        = 200
	MaxDescription = 4000
	MaxDocument    = 64 << 10 // a JSON document: profile, config, schema
	MaxExternalID  = 255
	MaxReason      = 1000
)

// ValidateEmail refuses what is no bare address.
func ValidateEmail(email string) error {
	if len(email) > MaxEmail {
		return Invalid("email", "is too long")
	}
	a, err := mail.ParseAddress(email)
	if err != nil || a.Address != email {
		return Invalid("email", "must be an address such as name@example.com")
	}
	return nil
}
