package ledgerclient

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/agenttrail/agenttrail/ledger"
)

// FieldError is one place where a request was invalid.
type FieldError struct {
	Location string `json:"location"` // Such as body.amount.
	Message  string `json:"message"`
}

// Problem is what the ledger answered to what it did not do (RFC 9457). docs/api.md lists its codes.
type Problem struct {
	Code       ledger.Code        `json:"-"` // The last segment of Type.
	Type       string             `json:"type"`
	Title      string             `json:"title"`
	Status     int                `json:"status"`
	Detail     string             `json:"detail"`
	Instance   string             `json:"instance"` // Id of the request, in the ledger's log and trails.
	Errors     []FieldError       `json:"errors"`
	Violations []ledger.Violation `json:"violations"` // Every rule that refused a run.
	Receipt    *ledger.Receipt    `json:"receipt"`    // Of a refused authorization.
}

// Error implements error.
func (p *Problem) Error() string {
	var text strings.Builder
	text.WriteString(p.Title)
	if p.Detail != "" {
		text.WriteString(": " + p.Detail)
	}
	for _, v := range p.Violations {
		fmt.Fprintf(&text, "; %s allows %s", v.Rule, v.Limit)
	}
	return text.String()
}

// ErrorCode makes the code the errorCode of a run or request that ends with the problem.
func (p *Problem) ErrorCode() string { return string(p.Code) }

// problemOf reads the problem of an answer. What is not one, such as the page of a proxy, becomes one without a code.
func problemOf(status int, body []byte) *Problem {
	p := &Problem{}
	if json.Unmarshal(body, p) != nil || p.Type == "" {
		return &Problem{Status: status, Title: "The ledger answered " + http.StatusText(status)}
	}
	p.Status = status
	p.Code = ledger.Code(p.Type[strings.LastIndexByte(p.Type, '/')+1:])
	return p
}
