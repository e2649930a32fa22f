package agenttrail

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Transport records outgoing requests as spans of the run that makes them, and lets them carry trace context and ids to
// services of one's own (see [WithPropagation]), where [Trail.Middleware] finds them. base is http.DefaultTransport when it is
// nil. A span ends when the body of the answer was read or closed.
func (t *Trail) Transport(base http.RoundTripper, opts ...HTTPOption) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &transport{trail: t, base: base, c: newHTTPConfig(opts)}
}

type transport struct {
	trail *Trail
	base  http.RoundTripper
	c     *httpConfig
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.c.filter != nil && !t.c.filter(r) {
		return t.base.RoundTrip(r)
	}
	s := scopeFrom(r.Context())
	attrs := make([]attribute.KeyValue, 0, 16)
	attrs = s.identity.append(attrs)
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	attrs = append(attrs, keyMethod.String(method), keyURLFull.String(t.c.fullURL(r.URL)), keyServerAddress.String(r.URL.Hostname()))
	if port := portOf(r); port != 0 {
		attrs = append(attrs, keyServerPort.Int(port))
	}
	for _, h := range t.c.requestHeaders {
		attrs = t.c.appendHeader(attrs, "http.request.header.", h, r.Header)
	}
	ctx, span := t.trail.tracer.Start(r.Context(), method, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attrs...))
	call := &clientCall{c: t.c, span: span}
	out := r.Clone(ctx)
	if t.c.propagate(r) {
		Propagator().Inject(ctx, propagation.HeaderCarrier(out.Header))
	}
	if r.Body != nil && r.Body != http.NoBody {
		call.sent = &bodyReader{ReadCloser: r.Body, capture: t.c.captureOf(r.Header)}
		out.Body = call.sent
	}
	resp, err := t.base.RoundTrip(out)
	if err != nil {
		call.end(err)
		return resp, err
	}
	call.answered(resp, r)
	return resp, nil
}

func portOf(r *http.Request) int {
	if n, err := strconv.Atoi(r.URL.Port()); err == nil {
		return n
	}
	switch r.URL.Scheme {
	case "https":
		return 443
	case "http":
		return 80
	default:
		return 0
	}
}

// clientCall is an outgoing request that goes on.
type clientCall struct {
	c        *httpConfig
	span     trace.Span
	sent     *bodyReader // nil without a body.
	received bodyReader
	status   int
	once     sync.Once
}

// answered notes an answer, and lets its body end the call.
func (k *clientCall) answered(resp *http.Response, r *http.Request) {
	k.status = resp.StatusCode
	attrs := []attribute.KeyValue{keyStatusCode.Int(resp.StatusCode)}
	for _, h := range k.c.responseHeaders {
		attrs = k.c.appendHeader(attrs, "http.response.header.", h, resp.Header)
	}
	k.span.SetAttributes(attrs...)
	if resp.Body == nil || resp.Body == http.NoBody || resp.StatusCode == http.StatusSwitchingProtocols || r.Method == http.MethodHead {
		k.end(nil)
		return
	}
	k.received.ReadCloser, k.received.capture = resp.Body, k.c.captureOf(resp.Header)
	resp.Body = k
}

func (k *clientCall) Read(p []byte) (int, error) {
	n, err := k.received.Read(p)
	if err != nil {
		if errors.Is(err, io.EOF) {
			k.end(nil)
		} else {
			k.end(err)
		}
	}
	return n, err
}

func (k *clientCall) Close() error {
	k.end(nil)
	return k.received.Close()
}

// end ends the span. The client's view: a status from 400 on is an error, by semconv.
func (k *clientCall) end(err error) {
	k.once.Do(func() {
		var attrs []attribute.KeyValue
		attrs = k.sent.append(attrs, k.c, keyRequestSize, keyRequestBody)
		attrs = k.received.append(attrs, k.c, keyResponseSize, keyResponseBody)
		switch {
		case err != nil:
			o := outcomeOf(err)
			attrs = append(attrs, keyErrorType.String(o.code))
			k.span.AddEvent("exception", trace.WithAttributes(o.exception()...))
			k.span.SetStatus(codes.Error, o.message)
		case k.status >= 400:
			attrs = append(attrs, keyErrorType.String(strconv.Itoa(k.status)))
			k.span.SetStatus(codes.Error, "")
		}
		k.span.SetAttributes(attrs...)
		k.span.End(trace.WithTimestamp(time.Now()))
	})
}
