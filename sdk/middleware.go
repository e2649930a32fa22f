package agenttrail

import (
	"context"
	"errors"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// statusClientGone is the status of requests whose client went away before the answer began, as nginx writes it.
const statusClientGone = 499

var serverOptions = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)}

// Middleware records the requests that a handler serves: rows of RequestLog with method, route, status, sizes, addresses
// and user agent. A run that is planned or started with the context of the request belongs to it, and it to the run. A panic of
// the handler is recorded as status 500 and goes on.
func (t *Trail) Middleware(next http.Handler, opts ...HTTPOption) http.Handler {
	c := newHTTPConfig(opts)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.filter != nil && !c.filter(r) {
			next.ServeHTTP(w, r.WithContext(t.Context(r.Context())))
			return
		}
		s := t.serve(w, r, c) //nolint:contextcheck // It is that of the request.
		defer s.end()
		next.ServeHTTP(s.writer, s.r)
	})
}

// served is a request that is being served.
type served struct {
	scope   scope
	request request
	record  recorder
	writer  http.ResponseWriter
	r       *http.Request
	body    *bodyReader // nil when ContentLength tells enough.
	buf     *buffer     // With the attributes that the span does not have yet.
	c       *httpConfig
	span    trace.Span
}

func (t *Trail) serve(w http.ResponseWriter, r *http.Request, c *httpConfig) *served {
	s := &served{c: c}
	ctx, options := t.incoming(r, c)
	s.scope = *scopeFrom(ctx)
	s.scope.trail, s.scope.request = t, &s.request
	s.request.identity = s.scope.identity
	s.request.clientAddress, s.request.userAgent = clientAddress(r, c), r.UserAgent()

	s.buf = buffers.take()
	s.buf.attrs = s.requestAttributes(s.buf.attrs, r)
	for _, h := range c.requestHeaders {
		s.buf.attrs = c.appendHeader(s.buf.attrs, "http.request.header.", h, r.Header)
	}
	if !t.late {
		options = append(slices.Clone(options), trace.WithAttributes(s.buf.attrs...))
	}
	ctx, s.span = t.tracer.Start(ctx, r.Method, options...)
	if !t.late {
		s.buf.clear()
	}
	s.r = r.WithContext(withScope(ctx, &s.scope))
	if r.Body != nil && r.Body != http.NoBody && (c.bodyBytes > 0 || r.ContentLength < 0) {
		s.body = &bodyReader{ReadCloser: r.Body, capture: c.captureOf(r.Header)}
		s.r.Body = s.body
	}
	s.writer = s.record.wrap(w, c)
	return s
}

// incoming returns the context of a request with what its headers carry.
func (t *Trail) incoming(r *http.Request, c *httpConfig) (context.Context, []trace.SpanStartOption) {
	ctx := r.Context()
	if !c.public {
		if r.Header["Traceparent"] == nil && r.Header["Baggage"] == nil {
			return ctx, serverOptions
		}
		return Propagator().Extract(ctx, propagation.HeaderCarrier(r.Header)), serverOptions
	}
	remote := trace.SpanContextFromContext(traceContext.Extract(ctx, propagation.HeaderCarrier(r.Header)))
	options := append(slices.Clone(serverOptions), trace.WithNewRoot())
	if remote.IsValid() && remote.IsRemote() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: remote}))
	}
	return ctx, options
}

// requestAttributes adds what is known before the request is served, by semconv's HTTP server spans.
func (s *served) requestAttributes(attrs []attribute.KeyValue, r *http.Request) []attribute.KeyValue {
	if knownMethod(r.Method) {
		attrs = append(attrs, keyMethod.String(r.Method))
	} else {
		attrs = append(attrs, keyMethod.String("_OTHER"), keyMethodOriginal.String(clip(r.Method, 32)))
	}
	host, port := splitHost(r.Host)
	attrs = append(attrs,
		keyURLScheme.String(scheme(r, s.c)),
		keyURLPath.String(r.URL.Path),
		keyServerAddress.String(host),
		keyClient.String(s.request.clientAddress),
		keyUserAgentHTTP.String(s.request.userAgent),
	)
	if r.URL.RawQuery != "" {
		attrs = append(attrs, keyURLQuery.String(s.c.secrets.query(r.URL.RawQuery)))
	}
	if n, err := strconv.Atoi(port); err == nil {
		attrs = append(attrs, keyServerPort.Int(n))
	}
	return attrs
}

// end is deferred: it sees a panic of the handler, records it, and lets it go on.
func (s *served) end() {
	v := recover()
	status := s.record.status
	err := s.takeError()
	switch {
	case v != nil && v != http.ErrAbortHandler: //nolint:errorlint // net/http compares so, too.
		if p := newPanic(v); err == nil || !sameError(p, err) {
			s.exception(p)
			err = p
		}
		if status == 0 {
			status = http.StatusInternalServerError
		}
	case status == 0 && (v != nil || errors.Is(s.r.Context().Err(), context.Canceled)):
		status = statusClientGone
	case status == 0:
		status = http.StatusOK
	}
	s.finish(status, err)
	if v != nil {
		panic(v)
	}
}

// takeError returns what the code said about why the request did not succeed.
func (s *served) takeError() error {
	s.request.mu.Lock()
	defer s.request.mu.Unlock()
	return s.request.err
}

func (s *served) exception(err error) {
	o := outcomeOf(err)
	s.span.AddEvent("exception", trace.WithAttributes(o.exception()...))
}

// finish ends the span of the request.
func (s *served) finish(status int, err error) {
	s.request.mu.Lock()
	id, route, own := s.request.identity, s.request.route, s.request.own
	s.request.mu.Unlock()
	fill(&route, routeOf(s.r.Pattern))
	attrs := id.append(s.buf.attrs)
	attrs = append(attrs, keyStatusCode.Int(status), keyResponseSize.Int64(s.record.size))
	if route != "" {
		attrs = append(attrs, keyRoute.String(route))
		s.span.SetName(spanNames.of(s.r.Method, route))
	}
	if s.body != nil {
		attrs = s.body.append(attrs, s.c, keyRequestSize, keyRequestBody)
	} else if s.r.ContentLength > 0 {
		attrs = append(attrs, keyRequestSize.Int64(s.r.ContentLength))
	}
	attrs = s.c.appendBody(attrs, keyResponseBody, s.record.capture)
	for _, h := range s.c.responseHeaders {
		attrs = s.c.appendHeader(attrs, "http.response.header.", h, s.writer.Header())
	}
	switch {
	case status < 400 && !own:
	case err != nil:
		o := outcomeOf(err)
		attrs = append(attrs, keyErrorType.String(o.code))
		if status >= 500 {
			s.span.SetStatus(codes.Error, o.message)
		} else {
			attrs = append(attrs, attribute.String("error.message", o.message))
		}
	case status >= 500:
		attrs = append(attrs, keyErrorType.String(strconv.Itoa(status)))
		s.span.SetStatus(codes.Error, "")
	}
	s.span.SetAttributes(attrs...)
	s.buf.attrs = attrs
	buffers.give(s.buf)
	s.span.End()
}

// routeOf takes method and host off a pattern of net/http.
func routeOf(pattern string) string {
	if i := strings.IndexByte(pattern, '/'); i >= 0 {
		return pattern[i:]
	}
	return pattern
}

func knownMethod(m string) bool {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return true
	default:
		return false
	}
}

func scheme(r *http.Request, c *httpConfig) string {
	if c.trustProxy {
		if p := r.Header.Get("X-Forwarded-Proto"); p == "http" || p == "https" {
			return p
		}
	}
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// clientAddress is who connected; behind a proxy that is trusted, who connected to that.
func clientAddress(r *http.Request, c *httpConfig) string {
	if c.trustProxy {
		if all := r.Header["X-Forwarded-For"]; len(all) > 0 {
			last := all[len(all)-1]
			if i := strings.LastIndexByte(last, ','); i >= 0 {
				last = last[i+1:]
			}
			if last = textproto.TrimString(last); last != "" {
				return last
			}
		}
	}
	host, _ := splitHost(r.RemoteAddr)
	return host
}

// splitHost splits host and port, and takes the brackets off an IPv6 address.
func splitHost(s string) (host, port string) {
	host = s
	i := strings.LastIndexByte(s, ':')
	if bracket := strings.LastIndexByte(s, ']'); i > bracket && (bracket > 0 || strings.IndexByte(s, ':') == i) {
		host, port = s[:i], s[i+1:]
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), port
}

// fullURL is the address of an outgoing request, without user and password and with its secrets replaced.
func (c *httpConfig) fullURL(u *url.URL) string {
	if u.User == nil && u.RawQuery == "" {
		return u.String()
	}
	clean := *u
	clean.User = nil
	clean.RawQuery = c.secrets.query(u.RawQuery)
	return clean.String()
}
