package httpapi

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// scopeName names the spans' instrumentation.
const scopeName = "github.com/agenttrail/agenttrail/ledger/httpapi"

// newTracer names the spans of the API.
func newTracer(provider trace.TracerProvider, version string) trace.Tracer {
	return provider.Tracer(scopeName, trace.WithInstrumentationVersion(version))
}

// startSpan begins the server span of a request, in the trace of its caller if it names one. What the span says follows
// the semantic conventions for HTTP (v1.37). It has neither the query nor any header that may hold a secret.
func startSpan(tracer trace.Tracer, r *http.Request) (context.Context, trace.Span) {
	ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	attrs := make([]attribute.KeyValue, 0, 10)
	attrs = append(attrs,
		attribute.String("http.request.method", r.Method),
		attribute.String("url.scheme", scheme),
		attribute.String("url.path", r.URL.Path),
		attribute.String("network.protocol.version", strconv.Itoa(r.ProtoMajor)+"."+strconv.Itoa(r.ProtoMinor)),
	)
	if host, port, err := net.SplitHostPort(r.Host); err != nil {
		attrs = append(attrs, attribute.String("server.address", r.Host))
	} else {
		attrs = append(attrs, attribute.String("server.address", host))
		if n, err := strconv.Atoi(port); err == nil {
			attrs = append(attrs, attribute.Int("server.port", n))
		}
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		attrs = append(attrs, attribute.String("client.address", host))
	}
	if agent := r.UserAgent(); agent != "" {
		attrs = append(attrs, attribute.String("user_agent.original", agent))
	}
	return tracer.Start(ctx, r.Method, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attrs...))
}

// endSpan says how the request went. Only what the service did wrong makes the span an error.
func endSpan(span trace.Span, method, route string, status int) {
	if route != "" {
		span.SetName(method + " " + route)
		span.SetAttributes(attribute.String("http.route", route))
	}
	span.SetAttributes(attribute.Int("http.response.status_code", status))
	if status >= http.StatusInternalServerError {
		span.SetAttributes(attribute.String("error.type", strconv.Itoa(status)))
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// recordFailure puts an error that is the service's own on the span of the request.
func recordFailure(ctx context.Context, err error) {
	trace.SpanFromContext(ctx).RecordError(err)
}

// recordPanic puts a panic on the span of the request, with its stack.
func recordPanic(ctx context.Context, value any) {
	trace.SpanFromContext(ctx).AddEvent("exception", trace.WithAttributes(
		attribute.String("exception.type", "panic"),
		attribute.String("exception.message", fmt.Sprint(value)),
		attribute.String("exception.stacktrace", string(debug.Stack())),
	))
}

// describeUser says on the span of the request for whom it is, so that requests are found by user.
func describeUser(ctx context.Context, userID string) {
	if userID != "" {
		trace.SpanFromContext(ctx).SetAttributes(attribute.String("user.id", userID))
	}
}

// describeExecution ties the request to the run that it is about.
func describeExecution(ctx context.Context, executionID, agentID string) {
	span := trace.SpanFromContext(ctx)
	if executionID != "" {
		span.SetAttributes(attribute.String("agenttrail.execution.id", executionID))
	}
	if agentID != "" {
		span.SetAttributes(attribute.String("agenttrail.agent.id", agentID))
	}
}
