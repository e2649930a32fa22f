package httpapi

import (
	"strconv"
	"strings"

	"github.com/agenttrail/agenttrail/ledger"
)

// IfMatchParams is the header with which an edit names the version that it changes.
type IfMatchParams struct {
	IfMatch string `header:"If-Match" maxLength:"100" doc:"ETag of the version that was read; * changes whatever is there"`
}

// etag is the entity tag of a row's version.
func etag(version int) string { return `"` + strconv.Itoa(version) + `"` }

// required returns the version that the client has read, or 0 for any. It refuses a request without.
func (h IfMatchParams) required() (int, error) {
	if h.IfMatch == "" {
		return 0, newProblem(ProblemPreconditionRequired, "the header If-Match is missing")
	}
	return h.optional()
}

// optional is like required, but a request without changes whatever is there.
func (h IfMatchParams) optional() (int, error) {
	n, err := h.version()
	if err == nil && n == 0 && strings.Contains(h.IfMatch, "0") {
		return 0, staleVersion() // Versions begin with 1, and 0 would mean any.
	}
	return n, err
}

// requiredOrNone is like required, for an interaction, which has the version 0 while there is none.
func (h IfMatchParams) requiredOrNone() (int, error) {
	if h.IfMatch == "" {
		return h.required()
	}
	n, err := h.version()
	if err == nil && n == 0 && strings.Contains(h.IfMatch, "0") {
		return ledger.NoInteraction, nil
	}
	return n, err
}

func (h IfMatchParams) version() (int, error) {
	value := strings.TrimSpace(h.IfMatch)
	if value == "" || value == "*" {
		return 0, nil
	}
	digits, ok := strings.CutPrefix(value, `"`)
	if !ok {
		return 0, invalidETag()
	}
	digits, ok = strings.CutSuffix(digits, `"`)
	n, err := strconv.ParseInt(digits, 10, 31)
	if !ok || err != nil || n < 0 || etag(int(n)) != value {
		return 0, invalidETag()
	}
	return int(n), nil
}

func invalidETag() error {
	return invalidField("header.If-Match", "must be one ETag that this service gave, such as \"3\", or *")
}

func staleVersion() error {
	p, _ := problemByCode(ledger.CodeVersionMismatch)
	return newProblem(p, "there is no such version")
}
