package agenttrail

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// recorded is a Trail that is a guest of a program whose providers keep everything.
type recorded struct {
	*Trail
	t     *testing.T
	spans *tracetest.SpanRecorder
	logs  *logRecorder
}

func newRecorded(t *testing.T, opts ...Option) recorded {
	t.Helper()
	spans, logs := tracetest.NewSpanRecorder(), &logRecorder{}
	trail, err := Init(t.Context(), append([]Option{WithProviders(Providers{
		Tracer: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)),
		Logger: sdklog.NewLoggerProvider(sdklog.WithProcessor(logs)),
		Meter:  noMetrics,
	})}, opts...)...)
	require.NoError(t, err)
	return recorded{Trail: trail, t: t, spans: spans, logs: logs}
}

// span returns the one ended span with a name.
func (r recorded) span(name string) *ended {
	r.t.Helper()
	var found []sdktrace.ReadOnlySpan
	var names []string
	for _, s := range r.spans.Ended() {
		names = append(names, s.Name())
		if s.Name() == name {
			found = append(found, s)
		}
	}
	require.Len(r.t, found, 1, "%s of %v", name, names)
	return &ended{found[0], attributesOf(found[0].Attributes())}
}

type ended struct {
	sdktrace.ReadOnlySpan
	attrs map[string]any
}

func (e *ended) exceptions() (kinds []any) {
	for _, event := range e.Events() {
		if event.Name == "exception" {
			kinds = append(kinds, attributesOf(event.Attributes)["exception.type"])
		}
	}
	return kinds
}

func attributesOf(attrs []attribute.KeyValue) map[string]any {
	m := map[string]any{}
	for _, kv := range attrs {
		m[string(kv.Key)] = kv.Value.AsInterface()
	}
	return m
}

type logRecorder struct {
	mu      sync.Mutex
	records []sdklog.Record
}

func (*logRecorder) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }

func (l *logRecorder) OnEmit(_ context.Context, r *sdklog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, r.Clone())
	return nil
}

func (*logRecorder) ForceFlush(context.Context) error { return nil }
func (*logRecorder) Shutdown(context.Context) error   { return nil }

// record returns the one log record with a message.
func (r recorded) record(message string) (sdklog.Record, map[string]any) {
	r.t.Helper()
	r.logs.mu.Lock()
	defer r.logs.mu.Unlock()
	var found []sdklog.Record
	for _, rec := range r.logs.records {
		if rec.Body().AsString() == message {
			found = append(found, rec)
		}
	}
	require.Len(r.t, found, 1, message)
	attrs := map[string]any{}
	found[0].WalkAttributes(func(kv attribute.KeyValue) bool {
		attrs[string(kv.Key)] = kv.Value.AsInterface()
		return true
	})
	return found[0], attrs
}
