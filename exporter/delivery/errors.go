package delivery

import (
	"errors"
	"time"
)

// Reason says in one word why a request was not stored.
type Reason string

// The reasons. Those that [Error.Permanent] names are for good.
const (
	ReasonContent     Reason = "content"     // ClickHouse cannot store what it says.
	ReasonTooLarge    Reason = "too_large"   // Its rows take more memory than a request may.
	ReasonOverload    Reason = "overload"    // Too much waits to be stored.
	ReasonUnavailable Reason = "unavailable" // ClickHouse did not store it in time.
	ReasonCanceled    Reason = "canceled"    // The client went away first; the rows may be stored or not.
	ReasonStopping    Reason = "stopping"    // The writer is being shut down.
	ReasonPanic       Reason = "panic"       // Its rows cannot be made, which is a bug.
)

// Error is why a request was not stored.
type Error struct {
	Reason     Reason
	RetryAfter time.Duration // When to try again, for reasons that are not for good.
	Err        error
}

// Error implements error.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Permanent reports whether the same request will never be stored.
func (e *Error) Permanent() bool {
	return e.Reason == ReasonContent || e.Reason == ReasonTooLarge || e.Reason == ReasonPanic
}

func permanent(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Permanent()
}
