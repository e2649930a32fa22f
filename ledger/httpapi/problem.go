package httpapi

import (
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/agenttrail/agenttrail/ledger"
)

// problemPath is where each type of problem is described. Types are references relative to the service (RFC 9457,
// section 3.1.1), so that they can be followed wherever it runs.
const problemPath = "/problems/"

// problemMediaType is the media type of a problem's answer.
const problemMediaType = "application/problem+json"

// Problem is a type of error. It is what clients act on; its title never changes.
type Problem struct {
	// Code is the last segment of the type's URI.
	Code ledger.Code
	// Status is the HTTP status that comes with it.
	Status int
	// Title says what it is, Help what to do about it.
	Title, Help string
}

// Type is the URI reference that identifies p in answers.
func (p *Problem) Type() string { return problemPath + string(p.Code) }

// Details are the members of a problem's answer.
type Details struct {
	Type       string             `json:"type" doc:"Which kind of problem it is, a reference relative to this service" example:"/problems/insufficient-credits"`
	Title      string             `json:"title" doc:"What the kind means, always the same text for a type"`
	Status     int                `json:"status" doc:"HTTP status"`
	Detail     string             `json:"detail,omitempty" doc:"What was wrong in this case"`
	Instance   string             `json:"instance,omitempty" doc:"Id of the request, which the audit trails and the log also have" example:"urn:uuid:019bde24-89a1-7c3e-8f10-0242ac120002"`
	Errors     []FieldError       `json:"errors,omitempty" doc:"Each place where the request is invalid"`
	Violations []ledger.Violation `json:"violations,omitempty" doc:"Every rule that refused the run, all at once"`
	Receipt    *ledger.Receipt    `json:"receipt,omitempty" doc:"Of a refused authorization: what was decided, and by which rule"`

	problem *Problem
	headers http.Header
}

// FieldError is one place where a request is invalid.
type FieldError struct {
	Location string `json:"location" doc:"Where, such as body.amount or query.limit" example:"body.amount"`
	Message  string `json:"message" doc:"What is wrong there"`
}

// newProblem makes the answer of a problem.
func newProblem(p *Problem, detail string) *Details {
	return &Details{Type: p.Type(), Title: p.Title, Status: p.Status, Detail: detail, problem: p, headers: http.Header{}}
}

// invalidField makes the answer to a request that is invalid in one place.
func invalidField(location, message string) *Details {
	d := newProblem(ProblemInvalid, location+" "+message)
	d.Errors = []FieldError{{Location: location, Message: message}}
	return d
}

// retryAfter says when to try again, in whole seconds and at least one.
func (d *Details) retryAfter(after time.Duration) *Details {
	d.headers.Set("Retry-After", strconv.FormatInt(max(1, int64((after+time.Second-1)/time.Second)), 10))
	return d
}

// Error implements error.
func (d *Details) Error() string { return d.Title + ": " + d.Detail }

// GetStatus implements huma's StatusError.
func (d *Details) GetStatus() int { return d.Status }

// GetHeaders implements huma's HeadersError.
func (d *Details) GetHeaders() http.Header { return d.headers }

// ContentType implements huma's ContentTypeFilter.
func (d *Details) ContentType(string) string { return problemMediaType }

// writeProblem answers a request outside of huma.
func writeProblem(w http.ResponseWriter, r *http.Request, d *Details) {
	d.Instance = instanceOf(r.Context())
	maps.Copy(w.Header(), d.headers)
	w.Header().Set("Content-Type", problemMediaType)
	w.WriteHeader(d.Status)
	if r.Method != http.MethodHead {
		_ = json.NewEncoder(w).Encode(d) // The client went away.
	}
}
