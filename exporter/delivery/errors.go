package delivery

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/agenttrail/agenttrail/exporter/journal"
)

// Reason says in one word why a request was not acknowledged.
type Reason string

// The reasons. Those that [Error.Permanent] names are for good.
const (
	ReasonTooLarge    Reason = "too_large"   // Its rows take more memory than a request may.
	ReasonOverload    Reason = "overload"    // Too much waits to be stored.
	ReasonUnavailable Reason = "unavailable" // The journal cannot be written to.
	ReasonCanceled    Reason = "canceled"    // The client went away first; sent again it is stored once.
	ReasonStopping    Reason = "stopping"    // The writer is being shut down.
	ReasonPanic       Reason = "panic"       // Its rows cannot be made, which is a bug.
	ReasonMalformed   Reason = "malformed"   // It cannot be decoded.
)

// Reasons returns all reasons for which a request is refused.
func Reasons() []Reason {
	return []Reason{ReasonTooLarge, ReasonOverload, ReasonUnavailable, ReasonCanceled, ReasonStopping, ReasonPanic, ReasonMalformed}
}

// Error is why a request was not acknowledged.
type Error struct {
	Reason     Reason
	RetryAfter time.Duration // When to try again, for reasons that are not for good.
	Err        error
}

// Error implements error.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Permanent reports whether the same request will never be acknowledged.
func (e *Error) Permanent() bool {
	return e.Reason == ReasonTooLarge || e.Reason == ReasonPanic || e.Reason == ReasonMalformed
}

// comeBack is an error that passes. RetryAfter is spread, so that clients do not all come at once.
func comeBack(reason Reason, err error) *Error {
	return &Error{Reason: reason, RetryAfter: time.Second + rand.N(2*time.Second), Err: err} //nolint:gosec // Not a secret.
}

// notDurable says what becomes of a request that the journal did not take.
func (w *Writer) notDurable(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	reason := ReasonUnavailable
	if j, ok := errors.AsType[*journal.Error](err); ok {
		switch j.Reason {
		case journal.ReasonFull:
			reason = ReasonOverload
			w.pressure.refused()
		case journal.ReasonClosed:
			reason = ReasonStopping
		}
	}
	return comeBack(reason, fmt.Errorf("write journal: %w", err))
}
