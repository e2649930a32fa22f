package ledger

import (
	"errors"
	"fmt"
	"time"
)

// Code says what went wrong, for programs. Each code is one problem type of the HTTP API.
type Code string

// What a caller can react to.
const (
	CodeInvalid            Code = "invalid-request"         // A field is missing, of the wrong form or out of bounds; see Fields.
	CodeOverflow           Code = "amount-out-of-range"     // An amount does not fit, or would not after the operation.
	CodeUnauthenticated    Code = "unauthenticated"         // No key, or one that nobody has issued.
	CodeKeyRevoked         Code = "key-revoked"             // The API key was revoked or replaced.
	CodeKeyExpired         Code = "key-expired"             // The API key is past its end.
	CodeForbidden          Code = "forbidden"               // The key lacks the scope that the operation needs.
	CodeNotFound           Code = "not-found"               // It is not there, or belongs to a user that the key may not act for.
	CodeConflict           Code = "conflict"                // The thing's state does not permit the operation.
	CodeAlreadyExists      Code = "already-exists"          // An e-mail address, slug or external id is taken.
	CodeVersionMismatch    Code = "version-mismatch"        // Someone changed it since it was read; read it again.
	CodeKeyReused          Code = "idempotency-key-reused"  // The idempotency key came before with another request.
	CodeInProgress         Code = "request-in-progress"     // A request with the same idempotency key has not ended yet.
	CodeInsufficientFunds  Code = "insufficient-credits"    // Nothing but the credits is missing.
	CodeMandateDenied      Code = "mandate-denied"          // A rule of the mandate forbids it; see Violations.
	CodeUserClosed         Code = "user-closed"             // The user's account is closed.
	CodeAgentUnavailable   Code = "agent-unavailable"       // The agent is a draft, suspended or retired, or has no version yet.
	CodeHoldCaptured       Code = "hold-captured"           // The hold was settled before by a capture.
	CodeHoldReleased       Code = "hold-released"           // The hold was settled before by a release.
	CodeHoldExpired        Code = "hold-expired"            // The hold has expired.
	CodeCaptureExceedsHold Code = "capture-exceeds-hold"    // More was to be captured than is held.
	CodeRefundExceeds      Code = "refund-exceeds-captured" // More was to be refunded than was captured and not refunded yet.
	CodeApprovalDecided    Code = "approval-decided"        // The approval was given or refused before.
	CodeApprovalExpired    Code = "approval-expired"        // Nobody decided in time.
	CodeOwnApproval        Code = "own-approval"            // Who asked for the run may not approve it.
	CodePaymentsDisabled   Code = "payments-disabled"       // There is no key for Stripe, or Stripe does not take it.
	CodePaymentRefused     Code = "payment-refused"         // Stripe will not do it; the message is Stripe's.
	CodeBadSignature       Code = "bad-signature"           // An event was not signed with one of our secrets, or not now.
	CodeUnavailable        Code = "temporarily-unavailable" // Try again after RetryAfter; nothing is known to have happened.
	CodeInternal           Code = "internal"                // A defect of ours; details are in the log.
)

// Codes are all codes, in the order of their declaration.
func Codes() []Code {
	return []Code{
		CodeInvalid, CodeOverflow, CodeUnauthenticated, CodeKeyRevoked, CodeKeyExpired, CodeForbidden, CodeNotFound, CodeConflict,
		CodeAlreadyExists, CodeVersionMismatch, CodeKeyReused, CodeInProgress, CodeInsufficientFunds, CodeMandateDenied, CodeUserClosed,
		CodeAgentUnavailable, CodeHoldCaptured, CodeHoldReleased, CodeHoldExpired, CodeCaptureExceedsHold, CodeRefundExceeds,
		CodeApprovalDecided, CodeApprovalExpired, CodeOwnApproval, CodePaymentsDisabled, CodePaymentRefused, CodeBadSignature, CodeUnavailable, CodeInternal,
	}
}

// FieldError says what is wrong with one field of a request.
type FieldError struct {
	Field   string `json:"field"` // its name in JSON, with dots inside objects: rules.maxPerDay
	Message string `json:"message"`
}

// Error is an answer that the caller can act on.
type Error struct {
	Code       Code          `json:"code"`
	Message    string        `json:"message"`
	Fields     []FieldError  `json:"fields,omitempty"`     // with CodeInvalid
	Violations []Violation   `json:"violations,omitempty"` // with CodeMandateDenied and CodeInsufficientFunds, all of them
	Receipt    *Receipt      `json:"receipt,omitempty"`    // of a refused authorization
	RetryAfter time.Duration `json:"-"`                    // with CodeUnavailable
	Err        error         `json:"-"`                    // the cause, for the log and not for the caller
}

// Error gives the message, and the cause where there is one.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error with a formatted message.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Invalid makes an Error about one field.
func Invalid(field, message string) *Error {
	return &Error{Code: CodeInvalid, Message: field + " " + message, Fields: []FieldError{{Field: field, Message: message}}}
}

// CodeOf returns the code of an error: of the Error in its chain, else CodeInternal. It is empty for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e := (*Error)(nil); errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}
