package ledger

import (
	"slices"

	"github.com/google/uuid"
)

// Scope is a permission of an API key.
type Scope string

// Scopes. None contains another one except ScopeAdmin, which contains all.
const (
	ScopeExecute Scope = "execute" // authorize, capture and release runs; read what belongs to them
	ScopeManage  Scope = "manage"  // users, agents, mandates, interactions
	ScopeApprove Scope = "approve" // decide approvals
	ScopeAdmin   Scope = "admin"   // everything: grants, refunds, keys, audit trails
)

// Scopes are all scopes.
func Scopes() []Scope { return []Scope{ScopeExecute, ScopeManage, ScopeApprove, ScopeAdmin} }

// Actor is who does something. Every change is written down with its actor.
type Actor struct {
	// Principal is who is responsible: "key:" and the id of an API key, or "system:" and the name of a job. Idempotency
	// keys belong to it.
	Principal string
	// UserID is the user that the principal acts for. A principal that acts for a user can neither see nor change
	// anything of another one. It is nil for those that act for the platform.
	UserID uuid.UUID
	Scopes []Scope
}

// System is the actor of a job of the ledger itself, with every scope.
func System(job string) Actor {
	return Actor{Principal: "system:" + job, Scopes: []Scope{ScopeAdmin}}
}

// String is the actor in the audit trails: "user:<id>" where it acts for a user, else the principal.
func (a Actor) String() string {
	if a.UserID != uuid.Nil {
		return "user:" + a.UserID.String()
	}
	return a.Principal
}

// Has tells whether the actor has the scope.
func (a Actor) Has(s Scope) bool {
	return slices.Contains(a.Scopes, s) || slices.Contains(a.Scopes, ScopeAdmin)
}

// Require returns an error with [CodeForbidden] unless the actor has one of the scopes.
func (a Actor) Require(scopes ...Scope) error {
	if a.Principal == "" {
		return Errorf(CodeUnauthenticated, "an actor is needed")
	}
	if slices.ContainsFunc(scopes, a.Has) {
		return nil
	}
	return Errorf(CodeForbidden, "the key needs the scope %s", scopes[0])
}

// MayTouch returns an error with [CodeNotFound] if the actor acts for a user other than the owner: what belongs to others
// is not told apart from what is not there.
func (a Actor) MayTouch(owner uuid.UUID) error {
	if a.UserID != uuid.Nil && a.UserID != owner {
		return Errorf(CodeNotFound, "not found")
	}
	return nil
}

// Call is what every operation that writes is told beside its input.
type Call struct {
	Actor     Actor
	RequestID string // kept in the audit trails, to find the request in the logs; may be empty

	// Key is the idempotency key, 1 to 255 bytes, of the actor's principal; empty for none. The first request with a key
	// has an effect, whether it succeeds or is refused for a reason that it can be told ([Remembered]); each further one
	// gets the same answer. Keys are forgotten after [KeyLifetime].
	Key string
	// Fingerprint is a hash of what was asked for: the method, the path and the body. A key that comes again with another
	// one is an error with [CodeKeyReused]. Needed with a key.
	Fingerprint []byte

	// Replayed is set by the operation if its answer is that of an earlier request with the same key.
	Replayed bool
}

// Remembered tells whether an answer with this code is kept under the request's idempotency key, so that a retry gets the
// same one even where the cause is gone. What was wrong with the request itself, or was about to pass by itself, is not.
func Remembered(code Code) bool {
	switch code {
	case CodeInsufficientFunds, CodeMandateDenied, CodeUserClosed, CodeAgentUnavailable, CodeHoldCaptured, CodeHoldReleased,
		CodeHoldExpired, CodeCaptureExceedsHold, CodeRefundExceeds, CodeApprovalDecided, CodeApprovalExpired, CodeConflict:
		return true
	default:
		return false
	}
}
