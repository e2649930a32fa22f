package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"os"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// Headers of IdempotentParams requests (draft-ietf-httpapi-idempotency-key-header-07).
const (
	idempotencyHeader = "Idempotency-Key"
	replayedHeader    = "Idempotency-Replayed"
)

// maxIdempotencyKey is the length of the longest key, in bytes.
const maxIdempotencyKey = 255

// identify reads the body of a request that writes and, of a POST, the key under which it has one effect. The key belongs
// to the caller and stands for the method, the path and the body; what these are, the ledger remembers with its answer.
func (a *API) identify(hc huma.Context, next func(huma.Context)) {
	ctx := hc.Context()
	if hc.Method() == http.MethodGet || hc.Method() == http.MethodHead {
		next(hc)
		return
	}
	key := hc.Header(idempotencyHeader)
	if hc.Method() == http.MethodPost {
		if key == "" {
			a.refuseEarly(hc, newProblem(ProblemKeyMissing, "each POST needs the header "+idempotencyHeader))
			return
		}
		if !isIdempotencyKey(key) {
			a.refuseEarly(hc, invalidField("header."+idempotencyHeader, "must be 1 to 255 printable ASCII characters"))
			return
		}
	} else {
		key = "" // An edit names the version that it changes, which is as good.
	}
	body, problem := a.readBody(hc)
	if problem != nil {
		a.refuseEarly(hc, problem)
		return
	}
	if key == "" {
		withCall(ctx, "", nil)
		next(bodyContext{hc, body})
		return
	}
	principal := requestOf(ctx).actor.Principal
	if !a.pending.enter(principal, key) {
		a.refuseEarly(hc, newProblem(ProblemInProgress, "").retryAfter(retrySoon))
		return
	}
	defer a.pending.leave(principal, key)
	u := hc.URL()
	withCall(ctx, key, fingerprint(hc.Method(), u.EscapedPath(), body))
	next(bodyContext{hc, body})
	if call := requestOf(ctx).call; call.Replayed {
		a.metrics.replays.Inc()
	}
}

func isIdempotencyKey(key string) bool {
	for _, c := range []byte(key) {
		if c < 0x20 || c > 0x7e {
			return false
		}
	}
	return len(key) <= maxIdempotencyKey
}

// fingerprint hashes what a request asks for. Each part goes in with its length, so that no two requests run together.
func fingerprint(method, path string, body []byte) []byte {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(method), []byte(path), body} {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write(part)
	}
	return h.Sum(nil)
}

// readBody reads the whole body, which must be text.
func (a *API) readBody(hc huma.Context) ([]byte, *Details) {
	r, w := humago.Unwrap(hc)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, a.settings.MaxBodyBytes))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, newProblem(ProblemTooLarge, "the body is larger than "+byteCount(a.settings.MaxBodyBytes))
		}
		var timeout net.Error
		if errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
			return nil, newProblem(ProblemRequestTimeout, "")
		}
		return nil, newProblem(ProblemMalformed, "the body ended early")
	}
	if problem := checkJSONText(body); problem != nil {
		return nil, problem
	}
	return body, nil
}

// parentContext is huma's context under another name, for its own is that of a method.
type parentContext huma.Context

// bodyContext is a request whose body was read already.
type bodyContext struct {
	parentContext
	body []byte
}

// BodyReader implements [huma.Context].
func (c bodyContext) BodyReader() io.Reader { return bytes.NewReader(c.body) }

// Unwrap gives the context below.
func (c bodyContext) Unwrap() huma.Context { return c.parentContext }
