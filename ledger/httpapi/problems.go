package httpapi

import (
	"net/http"

	"github.com/agenttrail/agenttrail/ledger"
)

// The types of problems that belong to HTTP. All others are codes of the ledger.
var (
	ProblemMalformed = &Problem{
		Code: "malformed-request", Status: http.StatusBadRequest, Title: "The request cannot be read",
		Help: "Send JSON (RFC 8259) in UTF-8, without NUL characters; percent-encode paths and queries",
	}
	ProblemTooLarge = &Problem{
		Code: "request-too-large", Status: http.StatusRequestEntityTooLarge, Title: "The request is too large",
		Help: "Send a smaller body",
	}
	ProblemMediaType = &Problem{
		Code: "unsupported-media-type", Status: http.StatusUnsupportedMediaType, Title: "The body is of another media type",
		Help: "Send Content-Type: application/json",
	}
	ProblemRequestTimeout = &Problem{
		Code: "request-timeout", Status: http.StatusRequestTimeout, Title: "The body did not arrive in time",
		Help: "Send the request again",
	}
	ProblemMethod = &Problem{
		Code: "method-not-allowed", Status: http.StatusMethodNotAllowed, Title: "The resource does not have this method",
		Help: "Use one that the header Allow names",
	}
	ProblemKeyMissing = &Problem{
		Code: "idempotency-key-missing", Status: http.StatusBadRequest, Title: "The request has no Idempotency-Key",
		Help: "Send a new random key with each new POST, and the same one when you send it again",
	}
	ProblemInProgress = &Problem{
		Code: ledger.CodeInProgress, Status: http.StatusConflict, Title: "A request with the same Idempotency-Key is in progress",
		Help: "Send it again after the time in Retry-After, with the same key",
	}
	ProblemPreconditionRequired = &Problem{
		Code: "precondition-required", Status: http.StatusPreconditionRequired, Title: "The request does not say which version it changes",
		Help: "Read the resource and send its ETag in If-Match, or If-Match: * to change whatever is there",
	}
	ProblemTooMany = &Problem{
		Code: "too-many-requests", Status: http.StatusTooManyRequests, Title: "The API key has too many requests in progress",
		Help: "Send it again after the time in Retry-After, with the same Idempotency-Key",
	}
)

// The types of problems that are codes of the ledger and that this package also finds by itself.
var (
	ProblemInvalid = &Problem{
		Code: ledger.CodeInvalid, Status: http.StatusUnprocessableEntity, Title: "The request is invalid",
		Help: "Correct each place that the member errors names",
	}
	ProblemUnauthenticated = &Problem{
		Code: ledger.CodeUnauthenticated, Status: http.StatusUnauthorized, Title: "The request has no valid API key",
		Help: "Send Authorization: Bearer and a key, as \"agenttrail keys create\" gives",
	}
	ProblemForbidden = &Problem{
		Code: ledger.CodeForbidden, Status: http.StatusForbidden, Title: "The API key must not do this",
		Help: "Use a key with one of the scopes that the operation names",
	}
	ProblemNotFound = &Problem{
		Code: ledger.CodeNotFound, Status: http.StatusNotFound, Title: "There is no such resource",
		Help: "It does not exist, or it belongs to a user that the key does not act for",
	}
	ProblemUnavailable = &Problem{
		Code: ledger.CodeUnavailable, Status: http.StatusServiceUnavailable, Title: "The service cannot answer now",
		Help: "Send it again after the time in Retry-After, with the same Idempotency-Key",
	}
	ProblemInternal = &Problem{
		Code: ledger.CodeInternal, Status: http.StatusInternalServerError, Title: "The service has failed",
		Help: "Send it again with the same Idempotency-Key; if that does not help, report the member instance",
	}
)

// problems are all types, in the order of the documentation.
var problems = []*Problem{
	ProblemMalformed, ProblemKeyMissing,
	{Code: ledger.CodeBadSignature, Status: http.StatusBadRequest, Title: "The event is not signed as it should be", Help: "For Stripe's events: compare the signing secret of the endpoint with the configuration, and the clocks"},
	ProblemUnauthenticated,
	{Code: ledger.CodeKeyRevoked, Status: http.StatusUnauthorized, Title: "The API key was revoked", Help: "Use its successor, or ask for another"},
	{Code: ledger.CodeKeyExpired, Status: http.StatusUnauthorized, Title: "The API key has expired", Help: "Use its successor, or ask for another"},
	{Code: ledger.CodeInsufficientFunds, Status: http.StatusPaymentRequired, Title: "The user has too few credits", Help: "Grant credits, then ask again with a new Idempotency-Key"},
	ProblemForbidden,
	{Code: ledger.CodeMandateDenied, Status: http.StatusForbidden, Title: "The mandate does not permit the run", Help: "The member violations has every rule, with its limit and, where time helps, resetsAt; ask again with a new Idempotency-Key"},
	{Code: ledger.CodeOwnApproval, Status: http.StatusForbidden, Title: "Who asked for the run must not approve it", Help: "Let another key with the scope approve decide"},
	ProblemNotFound, ProblemMethod, ProblemRequestTimeout,
	{Code: ledger.CodeConflict, Status: http.StatusConflict, Title: "The state of the resource does not permit this", Help: "Read the resource; its status says what it permits"},
	{Code: ledger.CodeAlreadyExists, Status: http.StatusConflict, Title: "The name is taken", Help: "Choose another one, or use what is there"},
	ProblemInProgress,
	{Code: ledger.CodeUserClosed, Status: http.StatusConflict, Title: "The user's account is closed", Help: "A closed account stays closed"},
	{Code: ledger.CodeAgentUnavailable, Status: http.StatusConflict, Title: "The agent cannot be run", Help: "It must be active and have a version"},
	{Code: ledger.CodeHoldCaptured, Status: http.StatusConflict, Title: "The hold was captured before", Help: "A hold is settled once; read it to see how"},
	{Code: ledger.CodeHoldReleased, Status: http.StatusConflict, Title: "The hold was released before", Help: "A hold is settled once; read it to see how"},
	{Code: ledger.CodeHoldExpired, Status: http.StatusConflict, Title: "The hold has expired", Help: "Authorize the run again, with a longer time"},
	{Code: ledger.CodeApprovalDecided, Status: http.StatusConflict, Title: "The approval was decided before", Help: "Read it to see how"},
	{Code: ledger.CodeApprovalExpired, Status: http.StatusConflict, Title: "Nobody decided the approval in time", Help: "Authorize the run again"},
	{Code: ledger.CodeVersionMismatch, Status: http.StatusPreconditionFailed, Title: "The resource has changed since it was read", Help: "Read it again, decide again, and send the new ETag"},
	ProblemTooLarge, ProblemMediaType, ProblemInvalid,
	{Code: ledger.CodeOverflow, Status: http.StatusUnprocessableEntity, Title: "An amount is out of range", Help: "Amounts go up to 9223372036854.775807 credits, and so do their sums"},
	{Code: ledger.CodeKeyReused, Status: http.StatusUnprocessableEntity, Title: "The Idempotency-Key was used for another request", Help: "Use a new key for a new request; with the same key, send exactly the same request"},
	{Code: ledger.CodeCaptureExceedsHold, Status: http.StatusUnprocessableEntity, Title: "More was to be captured than is held", Help: "Capture at most what the hold has"},
	{Code: ledger.CodeRefundExceeds, Status: http.StatusUnprocessableEntity, Title: "More was to be refunded than was captured", Help: "Refund at most what was captured and not refunded yet; of a top-up, what was paid and whose credits are there"},
	{Code: ledger.CodePaymentRefused, Status: http.StatusUnprocessableEntity, Title: "Stripe refuses the payment", Help: "The member detail has Stripe's reason; ask again with a new Idempotency-Key when it is gone"},
	ProblemPreconditionRequired, ProblemTooMany, ProblemInternal, ProblemUnavailable,
	{Code: ledger.CodePaymentsDisabled, Status: http.StatusServiceUnavailable, Title: "Credits cannot be bought here", Help: "Whoever runs the service has to configure a key for Stripe; everything else works"},
}

// Problems are all types of problems that the API answers with, by status.
func Problems() []*Problem { return problems }

func problemByCode(code ledger.Code) (*Problem, bool) {
	for _, p := range problems {
		if p.Code == code {
			return p, true
		}
	}
	return nil, false
}
