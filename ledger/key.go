package ledger

import (
	"time"

	"github.com/google/uuid"
)

// APIKey is a key for the HTTP API. The ledger knows its hash; the secret is shown once, when the key is made.
type APIKey struct {
	ID         uuid.UUID  `json:"id"`
	Name       string     `json:"name"`
	Prefix     string     `json:"prefix"` // the first characters of the secret, to recognize it
	Scopes     []Scope    `json:"scopes"`
	UserID     *uuid.UUID `json:"userId,omitempty"` // the user it acts for; nil for the platform
	CreatedAt  time.Time  `json:"createdAt"`
	CreatedBy  string     `json:"createdBy"`
	ExpiresAt  *time.Time `json:"expiresAt,omitempty"`
	LastUsedAt *time.Time `json:"lastUsedAt,omitempty"` // up to a minute old
	RevokedAt  *time.Time `json:"revokedAt,omitempty"`  // may be ahead, for a key that was rotated
	ReplacedBy *uuid.UUID `json:"replacedBy,omitempty"`
	RowVersion int        `json:"-"` // of the ETag
}

// Actor is who acts with the key.
func (k APIKey) Actor() Actor {
	a := Actor{Principal: "key:" + k.ID.String(), Scopes: k.Scopes}
	if k.UserID != nil {
		a.UserID = *k.UserID
	}
	return a
}

// KeyInput makes a key.
type KeyInput struct {
	Name      string
	Scopes    []Scope
	UserID    *uuid.UUID
	ExpiresAt *time.Time
}

// IssuedKey is a new key with its secret, which nobody can ask for again. A replayed answer has an empty secret.
type IssuedKey struct {
	Key    APIKey `json:"key"`
	Secret string `json:"secret,omitempty"`
}

// KeyFilter narrows a list of keys.
type KeyFilter struct {
	UserID uuid.UUID
	Live   bool // only those that are neither revoked nor expired
}
