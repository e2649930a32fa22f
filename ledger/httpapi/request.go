package httpapi

import (
	"context"
	"net"
	"net/http"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
)

// request is what is known about the request that a context belongs to.
type request struct {
	id     string // a UUID; of the log, the audit trails, and the member instance of problems
	actor  ledger.Actor
	key    ledger.APIKey
	call   *ledger.Call // of a request that writes
	failed *Details     // the problem that was answered, if any

	// Who sent it, as far as the connection and the header User-Agent tell.
	address, userAgent string
}

type requestKey struct{}

func withRequest(ctx context.Context, from *http.Request) (context.Context, *request) {
	r := &request{id: uuid.Must(uuid.NewV7()).String(), userAgent: from.UserAgent()}
	if host, _, err := net.SplitHostPort(from.RemoteAddr); err == nil {
		r.address = host
	}
	return context.WithValue(ctx, requestKey{}, r), r
}

// requestOf never returns nil, so that what runs outside of a request needs no case of its own.
func requestOf(ctx context.Context) *request {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		return r
	}
	return &request{}
}

func actorOf(ctx context.Context) ledger.Actor { return requestOf(ctx).actor }

// callOf is what an operation that writes is told beside its input.
func callOf(ctx context.Context) *ledger.Call { return requestOf(ctx).call }

func instanceOf(ctx context.Context) string {
	if id := requestOf(ctx).id; id != "" {
		return "urn:uuid:" + id
	}
	return ""
}
