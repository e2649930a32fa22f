package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// apiPrefix begins the paths that need a key and are traced.
const apiPrefix = "/v1/"

// ServeHTTP implements [http.Handler].
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { //nolint:contextcheck // It is the context of the request.
	if !strings.HasPrefix(r.URL.Path, apiPrefix) {
		a.mux.ServeHTTP(w, r)
		return
	}
	began := time.Now()
	a.metrics.inFlight.Inc()
	defer a.metrics.inFlight.Dec()
	ctx, span := startSpan(a.tracer, r)
	ctx, req := withRequest(ctx, r)
	ctx, cancel := context.WithTimeout(ctx, a.settings.RequestTimeout)
	defer cancel()
	r = r.WithContext(ctx) //nolint:contextcheck // As above.
	out := &response{ResponseWriter: w}
	out.Header().Set("X-Request-Id", req.id)
	out.Header().Set("Cache-Control", "no-store")
	defer func() {
		status := out.status
		if status == 0 {
			status = statusClientClosed
		}
		route := routeOf(r.Pattern)
		a.recordRefusal(ctx, r, route)
		endSpan(span, r.Method, route, status)
		a.metrics.request(r.Method, route, status, time.Since(began))
		if req.failed != nil {
			a.metrics.refusals.WithLabelValues(string(req.failed.problem.Code)).Inc()
		}
	}()
	defer func() {
		value := recover()
		if value == nil {
			return
		}
		if value == http.ErrAbortHandler { //nolint:errorlint // A sentinel that is panicked with, never wrapped.
			panic(value)
		}
		recordPanic(ctx, value)
		a.metrics.panicking.Inc()
		a.logger.LogAttrs(ctx, slog.LevelError, "request hit a programming error", slog.String("request_id", req.id), slog.Any("panic", value))
		if out.status == 0 {
			a.problem(out, r, newProblem(ProblemInternal, ""))
		}
	}()
	a.serve(out, r)
}

// statusClientClosed stands for a request that was never answered, in metrics and spans only.
const statusClientClosed = 499

// serve answers a request below apiPrefix.
func (a *API) serve(w http.ResponseWriter, r *http.Request) {
	if err := checkText(r); err != nil {
		a.problem(w, r, err)
		return
	}
	if _, pattern := a.mux.Handler(r); pattern == "" {
		a.problem(w, r, a.unrouted(r))
		return
	}
	if !a.flight.enter() {
		a.problem(w, r, newProblem(ProblemUnavailable, "too many requests are in progress").retryAfter(retrySoon))
		return
	}
	defer a.flight.leave()
	a.mux.ServeHTTP(w, r)
}

// unrouted says why no operation takes the request: there is nothing at the path, or not with this method.
func (a *API) unrouted(r *http.Request) *Details {
	answer := httptest.NewRecorder()
	a.mux.ServeHTTP(answer, r)
	if answer.Code == http.StatusMethodNotAllowed {
		d := newProblem(ProblemMethod, r.Method+" is not among the methods of this path")
		d.headers.Set("Allow", answer.Header().Get("Allow"))
		return d
	}
	return newProblem(ProblemNotFound, "there is nothing at this path")
}

// problem answers with a problem outside of huma.
func (a *API) problem(w http.ResponseWriter, r *http.Request, d *Details) {
	requestOf(r.Context()).failed = d
	writeProblem(w, r, d)
}

// routeOf is the path of a pattern of the mux, such as /v1/users/{userId}.
func routeOf(pattern string) string {
	if _, path, ok := strings.Cut(pattern, " "); ok {
		return path
	}
	return pattern
}

// checkText refuses paths and queries that are no text, which the database could not compare with.
func checkText(r *http.Request) *Details {
	if !isText(r.URL.Path) {
		return newProblem(ProblemMalformed, "the path is not UTF-8 without NUL characters")
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return newProblem(ProblemMalformed, "the query cannot be read")
	}
	for name, values := range query {
		for _, v := range append(values, name) {
			if !isText(v) {
				return newProblem(ProblemMalformed, "the query is not UTF-8 without NUL characters")
			}
		}
	}
	return nil
}

func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }
