package ledgerclient

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
)

// Codes of problems that the client acts on.
const (
	codeInProgress   = ledger.CodeInProgress
	codeKeyReused    = ledger.CodeKeyReused
	codeHoldCaptured = ledger.CodeHoldCaptured
	codeHoldReleased = ledger.CodeHoldReleased
	codeHoldExpired  = ledger.CodeHoldExpired
)

// AnyVersion changes a resource whatever its version is. Else an edit names the version that it changes; see [IfVersion].
const AnyVersion = "*"

// IfVersion makes an edit conditional: it names the RowVersion of what was read, and is refused with
// [ledger.CodeVersionMismatch] when somebody else has changed that meanwhile. 0 is the version of an interaction or a guard
// that is not there yet.
func IfVersion(rowVersion int) string { return `"` + strconv.Itoa(rowVersion) + `"` }

// The methods that an operation can have. Only POST has an idempotency key: sent again after a lost answer, a GET reads
// again, and a PATCH or PUT with [IfVersion] is refused, which says that it may have had its effect.

func get[T any](ctx context.Context, c *Client, path string, query url.Values) (out T, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: path, query: query}, &out)
	return out, err
}

func post[T any](ctx context.Context, c *Client, path string, body any, ifMatch string) (out T, err error) {
	_, err = c.do(ctx, call{method: http.MethodPost, path: path, body: body, ifMatch: ifMatch}, &out)
	return out, err
}

func patch[T any](ctx context.Context, c *Client, path string, body any, ifMatch string) (out T, err error) {
	_, err = c.do(ctx, call{method: http.MethodPatch, path: path, body: body, ifMatch: ifMatch}, &out)
	return out, err
}

func put[T any](ctx context.Context, c *Client, path string, body any, ifMatch string) (out T, err error) {
	_, err = c.do(ctx, call{method: http.MethodPut, path: path, body: body, ifMatch: ifMatch}, &out)
	return out, err
}

// pageSize is how many items a list asks for at once.
const pageSize = "200"

// list goes through all pages of a list.
func list[T any](ctx context.Context, c *Client, path string, query url.Values) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		query.Set("limit", pageSize)
		query.Del("cursor") // It may be gone through again.
		for {
			page, err := get[struct {
				Items      []T    `json:"items"`
				NextCursor string `json:"nextCursor"`
			}](ctx, c, path, query)
			if err != nil {
				yield(*new(T), err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
			if page.NextCursor == "" {
				return
			}
			query.Set("cursor", page.NextCursor)
		}
	}
}

// filter makes a query of what is not empty.
func filter(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" && pairs[i+1] != uuid.Nil.String() {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

func yes(b bool) string {
	if b {
		return "true"
	}
	return ""
}

// reason is the body of what takes one.
type reason struct {
	Reason string `json:"reason,omitempty"`
}

// Call does an operation of the ledger that has no method here, such as one of a newer ledger: see /openapi.json. out takes
// the answer.
func (c *Client) Call(ctx context.Context, method, path string, query url.Values, body, out any) error {
	_, err := c.do(ctx, call{method: method, path: path, query: query, body: body}, out)
	return err
}
