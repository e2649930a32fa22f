package stripepay

import (
	"errors"
	"net/http"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/agenttrail/agenttrail/ledger"
)

// retryAfter is what we tell those who come while Stripe does not answer.
const retryAfter = 5 * time.Second

// outcome is what an error of Stripe means for what was asked.
type outcome int

const (
	unknown      outcome = iota // It may have happened; ask again, with the same key.
	refused                     // It has not happened and never will, as it was asked.
	unauthorized                // It has not happened; the key is not taken.
)

// outcomeOf is the one place where that is decided.
func outcomeOf(err error) outcome {
	e := (*stripe.Error)(nil)
	if !errors.As(err, &e) {
		return unknown
	}
	switch s := e.HTTPStatusCode; {
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		return unauthorized
	// The key came before with other parameters, which then have, or may have, made something.
	case e.Type == stripe.ErrorTypeIdempotency:
		return unknown
	case s == http.StatusConflict || s == http.StatusTooManyRequests || s == http.StatusRequestTimeout:
		return unknown
	case s >= 400 && s < 500:
		return refused
	default:
		return unknown
	}
}

// missing tells whether Stripe does not have the object.
func missing(err error) bool {
	e := (*stripe.Error)(nil)
	return errors.As(err, &e) && e.HTTPStatusCode == http.StatusNotFound
}

// failureOf is an error in Stripe's words.
func failureOf(err error) ledger.PaymentFailure {
	e := (*stripe.Error)(nil)
	if !errors.As(err, &e) {
		return ledger.PaymentFailure{Message: err.Error()}
	}
	f := ledger.PaymentFailure{Code: string(e.Code), Message: redactText(e.Msg)}
	if e.DeclineCode != "" {
		f.Code = string(e.DeclineCode)
	}
	if f.Code == "" {
		f.Code = string(e.Type)
	}
	return f
}

// answerOf is an error for callers.
func answerOf(err error) error {
	if err == nil || errors.As(err, new(*ledger.Error)) {
		return err
	}
	switch outcomeOf(err) {
	case refused:
		return &ledger.Error{Code: ledger.CodePaymentRefused, Message: "Stripe refuses it: " + failureOf(err).Message, Err: err}
	case unauthorized:
		return &ledger.Error{Code: ledger.CodePaymentsDisabled, Message: "Stripe does not take our key", Err: err}
	default:
		return &ledger.Error{Code: ledger.CodeUnavailable, Message: "Stripe cannot be reached, or is busy", RetryAfter: retryAfter, Err: err}
	}
}

func errDisabled() error {
	return ledger.Errorf(ledger.CodePaymentsDisabled, "credits cannot be bought here: there is no key for Stripe")
}
