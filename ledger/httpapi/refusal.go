package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agenttrail/agenttrail/ledger"
)

// retrySoon is the Retry-After of what passes by itself and does not say when.
const retrySoon = time.Second

// refuse turns what an operation returned into the answer. The causes of failures go to the log and the span, not to the
// client.
func (a *API) refuse(ctx context.Context, err error) *Details {
	if d, ok := errors.AsType[*Details](err); ok {
		return d
	}
	e, ok := errors.AsType[*ledger.Error](err)
	if !ok {
		if ctx.Err() != nil && context.Cause(ctx) != nil && errors.Is(err, ctx.Err()) {
			// The client went away, or the time for the request is over.
			return newProblem(ProblemUnavailable, "the request was given up").retryAfter(retrySoon)
		}
		e = &ledger.Error{Code: ledger.CodeInternal, Err: err}
	}
	p, ok := problemByCode(e.Code)
	if !ok {
		p, e = ProblemInternal, &ledger.Error{Code: ledger.CodeInternal, Err: err}
	}
	if p.Status >= http.StatusInternalServerError && p.Code != ledger.CodePaymentsDisabled && !errors.Is(err, context.Canceled) {
		recordFailure(ctx, err)
		if p == ProblemInternal || a.quiet.pass(time.Now()) {
			a.logger.LogAttrs(ctx, slog.LevelError, "request failed", slog.String("problem", string(p.Code)), slog.String("request_id", requestOf(ctx).id), slog.Any("error", err))
		}
	}
	if p == ProblemInternal {
		return newProblem(p, "")
	}
	d := newProblem(p, e.Message)
	for _, f := range e.Fields {
		d.Errors = append(d.Errors, FieldError{Location: locationOf(f.Field), Message: f.Message})
	}
	d.Violations, d.Receipt = e.Violations, e.Receipt
	if p.Status == http.StatusServiceUnavailable && p.Code != ledger.CodePaymentsDisabled || p.Code == ledger.CodeInProgress {
		after := e.RetryAfter
		if after <= 0 {
			after = retrySoon
		}
		return d.retryAfter(after)
	}
	if p.Status == http.StatusUnauthorized {
		d.headers.Set("WWW-Authenticate", "Bearer")
	}
	return d
}

// locationOf says where in the request a field of the ledger came from.
func locationOf(field string) string {
	if field == "cursor" || field == "limit" {
		return "query." + field
	}
	return "body." + field
}

// humaError makes the answer to what huma finds wrong with a request before the operation sees it.
func humaError(status int, message string, errs ...error) huma.StatusError {
	switch status {
	case http.StatusRequestEntityTooLarge:
		return newProblem(ProblemTooLarge, message)
	case http.StatusUnsupportedMediaType:
		return newProblem(ProblemMediaType, "only application/json is understood")
	case http.StatusRequestTimeout:
		return newProblem(ProblemRequestTimeout, message)
	case http.StatusUnprocessableEntity:
	default: // Unreadable JSON, no body, or one that ended early.
		for _, err := range errs {
			if err != nil {
				message = message + ": " + messageOf(err)
			}
		}
		return newProblem(ProblemMalformed, message)
	}
	d := newProblem(ProblemInvalid, message)
	for _, err := range errs {
		if err == nil {
			continue
		}
		f := FieldError{Message: messageOf(err)}
		if detailer, ok := err.(huma.ErrorDetailer); ok {
			// What was sent is not echoed: it may be large, or a secret.
			f.Location = detailer.ErrorDetail().Location
		}
		d.Errors = append(d.Errors, f)
	}
	if len(d.Errors) > 0 {
		d.Detail = strings.TrimSpace(d.Errors[0].Location + " " + d.Errors[0].Message)
	}
	return d
}

func messageOf(err error) string {
	if detailer, ok := err.(huma.ErrorDetailer); ok {
		return detailer.ErrorDetail().Message
	}
	return err.Error()
}

// quietPeriod is how seldom the log tells that requests are turned away; how many are, metrics count.
const quietPeriod = time.Second

// quiet lets one message of a period pass.
type quiet struct{ last atomic.Int64 }

func (q *quiet) pass(now time.Time) bool {
	last := q.last.Load()
	return now.UnixNano()-last >= int64(quietPeriod) && q.last.CompareAndSwap(last, now.UnixNano())
}
