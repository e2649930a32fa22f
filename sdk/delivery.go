package agenttrail

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// delivery says how batches are sent.
type delivery struct {
	grpc                bool
	backoff, maxBackoff time.Duration
}

// errRefused says that the collector will never take a batch.
var errRefused = errors.New("the collector refused it")

// answer is how one request over HTTP was answered.
type answer struct {
	tried  bool // The request was made.
	status int  // 0 without an answer.
	wait   time.Duration
}

type answerKey struct{}

// answerReader notes the answers in the context of the requests: the exporters do not tell whether it makes sense to
// try again.
type answerReader struct{ base http.RoundTripper }

func (r answerReader) RoundTrip(req *http.Request) (*http.Response, error) {
	a, noted := req.Context().Value(answerKey{}).(*answer)
	if noted {
		*a = answer{tried: true}
	}
	resp, err := r.base.RoundTrip(req)
	if noted && err == nil {
		a.status = resp.StatusCode
		if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
			a.wait = min(time.Duration(s)*time.Second, maxRetryAfter)
		}
	}
	return resp, err
}

// maxRetryAfter is the longest wait that a collector can ask for.
const maxRetryAfter = 30 * time.Second

// deliver sends until the collector has taken or refused, or ctx ends. nudge lets it try again at once. failing is told
// of every failure.
func (d delivery) deliver(ctx context.Context, nudge <-chan struct{}, send func(context.Context) error, failing func(error)) error {
	wait := d.backoff
	for {
		var a answer
		err := send(context.WithValue(ctx, answerKey{}, &a))
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		}
		if !d.mayTryAgain(a, err) {
			return fmt.Errorf("%w: %w", errRefused, err)
		}
		failing(err)
		pause := time.NewTimer(max(a.wait, wait/2+rand.N(wait/2+1))) //nolint:gosec // Spreads clients; nobody must not guess it.
		select {
		case <-pause.C:
		case <-nudge:
			pause.Stop()
		case <-ctx.Done():
			pause.Stop()
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		}
		wait = min(2*wait, d.maxBackoff)
	}
}

// mayTryAgain reports whether the same request may succeed later, by the OTLP specification 1.7. Nobody answering is
// such a case; so is a request timeout.
func (d delivery) mayTryAgain(a answer, err error) bool {
	if d.grpc {
		s, ok := status.FromError(err)
		if !ok {
			return errors.Is(err, context.DeadlineExceeded)
		}
		switch s.Code() {
		case codes.Canceled, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss:
			return true
		default:
			return false
		}
	}
	switch a.status {
	case 0:
		return a.tried
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	default:
		return false
	}
}
