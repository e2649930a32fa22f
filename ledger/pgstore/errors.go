package pgstore

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/agenttrail/agenttrail/ledger"
)

// SQLSTATEs that decide something. Those that begin with L are raised by our own triggers, see schema/postgres.
const (
	stateUnique         = "23505"
	stateForeignKey     = "23503"
	stateCheck          = "23514"
	stateOutOfRange     = "22003"
	stateSerialization  = "40001"
	stateDeadlock       = "40P01"
	stateLock           = "55P03"
	stateCanceled       = "57014" // by a timeout, or by our own context
	stateIdle           = "25P03" // idle_in_transaction_session_timeout
	stateTransitionDeny = "LL005"
)

// keyConstraint is broken by the second of two requests with one idempotency key that come together.
const keyConstraint = "idempotency_keys_pkey"

// uniqueFields are the fields whose values can be taken, by the constraint that says so.
var uniqueFields = map[string]string{
	"users_pkey": "id", "users_email_key": "email", "agents_pkey": "id", "agents_slug_key": "slug", "mandates_pkey": "id",
	"transactions_execution_id_key": "executionId", "transactions_stripe_pi_key": "stripePi",
}

// referenceFields are the fields that can refer to what is not there, by the constraint that says so.
var referenceFields = map[string]string{
	"agents_owner_user_id_fkey": "ownerId", "api_keys_user_id_fkey": "userId", "mandates_user_id_fkey": "userId",
}

// retryAfter is what we tell those who come when it is full.
const retryAfter = time.Second

// notSent is an error before anything was sent.
type notSent struct{ error }

func (e notSent) Unwrap() error { return e.error }

// retry tells whether to do it all again: the database has asked for it, or nothing was sent, or the connection was lost
// and repeating does no harm.
func retry(err error, repeatable bool) bool {
	if pgErr := (*pgconn.PgError)(nil); errors.As(err, &pgErr) {
		switch {
		case pgErr.Code == stateSerialization, pgErr.Code == stateDeadlock, pgErr.Code == stateUnique && pgErr.ConstraintName == keyConstraint:
			return true
		default:
			return repeatable && ended(pgErr)
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return false // The pool is empty; more waiting would help nobody.
	}
	return lost(err) && (repeatable || pgconn.SafeToRetry(err))
}

// ended tells whether the error says that the server ends, or begins only.
func ended(e *pgconn.PgError) bool {
	switch e.Code {
	case "57P01", "57P02", "57P03", "57P05", "53300", stateIdle:
		return true
	default:
		return strings.HasPrefix(e.Code, "08")
	}
}

// lost tells whether the connection broke, so that nobody knows what became of a commit.
func lost(err error) bool {
	var netErr net.Error
	var connectErr *pgconn.ConnectError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.As(err, &netErr) || errors.As(err, &connectErr) || pgconn.SafeToRetry(err)
}

// translate is the one place where errors of the database become errors for callers.
func translate(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if e := (*ledger.Error)(nil); errors.As(err, &e) {
		return err
	}
	if ctx.Err() != nil {
		return &ledger.Error{Code: ledger.CodeUnavailable, Message: "the request was given up", RetryAfter: retryAfter, Err: context.Cause(ctx)}
	}
	if pgErr := (*pgconn.PgError)(nil); errors.As(err, &pgErr) {
		return translateState(pgErr)
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, new(notSent)) || lost(err) {
		return &ledger.Error{Code: ledger.CodeUnavailable, Message: "the database cannot be reached, or is busy", RetryAfter: retryAfter, Err: err}
	}
	return &ledger.Error{Code: ledger.CodeInternal, Message: "internal error", Err: err}
}

func translateState(e *pgconn.PgError) *ledger.Error {
	answer := func(code ledger.Code, field, message string) *ledger.Error {
		a := &ledger.Error{Code: code, Message: message, Err: e}
		if field != "" {
			a.Message = field + " " + message
			a.Fields = []ledger.FieldError{{Field: field, Message: message}}
		}
		return a
	}
	switch e.Code {
	case stateUnique:
		if field, ok := uniqueFields[e.ConstraintName]; ok {
			return answer(ledger.CodeAlreadyExists, field, "is taken")
		}
	case stateForeignKey:
		if field, ok := referenceFields[e.ConstraintName]; ok {
			return answer(ledger.CodeInvalid, field, "is of nobody")
		}
	case stateCheck:
		if e.ConstraintName == "mandate_versions_effective_check" {
			return answer(ledger.CodeInvalid, "effectiveAt", "must not be in the past")
		}
	case stateTransitionDeny:
		return answer(ledger.CodeConflict, "", "its state does not permit this")
	case stateOutOfRange:
		return answer(ledger.CodeOverflow, "", "an amount or number is out of range")
	case stateSerialization, stateDeadlock, stateLock, stateCanceled:
		a := answer(ledger.CodeUnavailable, "", "others were at it for too long")
		a.RetryAfter = retryAfter
		return a
	}
	switch {
	case strings.HasPrefix(e.Code, "22"), strings.HasPrefix(e.Code, "54"): // Such as U+0000, a year out of range, JSON too deep.
		return answer(ledger.CodeInvalid, "", "a value cannot be stored")
	case strings.HasPrefix(e.Code, "53"), ended(e), e.Code == "25006": // The last one: a standby.
		a := answer(ledger.CodeUnavailable, "", "the database is busy")
		a.RetryAfter = retryAfter
		return a
	default:
		return answer(ledger.CodeInternal, "", "internal error")
	}
}

func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d) } //nolint:gosec // Not a secret.

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
