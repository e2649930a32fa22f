package agenttrail

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// discardSpans and discardLogs cost nothing, so that what is measured is recording.
type discardSpans struct{}

func (discardSpans) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (discardSpans) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (discardSpans) ForceFlush(context.Context) error                { return nil }
func (discardSpans) Shutdown(context.Context) error                  { return nil }

type discardLogs struct{}

func (discardLogs) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }
func (discardLogs) OnEmit(context.Context, *sdklog.Record) error           { return nil }
func (discardLogs) ForceFlush(context.Context) error                       { return nil }
func (discardLogs) Shutdown(context.Context) error                         { return nil }

// recorders are the two ways to record one run: with this package, and with nothing but OpenTelemetry.
type recorders struct {
	trail  *Trail
	tracer trace.Tracer
	logger log.Logger
}

func newRecorders(tb testing.TB) recorders {
	tb.Helper()
	spans := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(discardSpans{}))
	logs := sdklog.NewLoggerProvider(sdklog.WithProcessor(discardLogs{}))
	tb.Setenv("OTEL_METRICS_EXPORTER", "none")
	trail, err := Init(tb.Context(), WithProviders(Providers{Tracer: spans, Logger: logs}))
	require.NoError(tb, err)
	trail.late = true // As with a provider of its own.
	return recorders{trail: trail, tracer: spans.Tracer("plain", trace.WithInstrumentationVersion("1")), logger: logs.Logger("plain")}
}

var benchAgent = Agent{ID: "support-triage", Name: "Support Triage", Version: "1.4.0"}

// withSDK records a run with three steps and two log records.
func (r recorders) withSDK(ctx context.Context) {
	ctx, run := r.trail.StartExecution(ctx, Run{Agent: benchAgent, UserID: "user-1", SessionID: "session-1"})
	Log(ctx, slog.LevelInfo, CategoryExecution, "run started", slog.String("ticket", "T-1"))
	for i := range 3 {
		if i == 1 {
			_, tool := StartTool(ctx, ToolCall{Name: "lookup_ticket", ID: "call_1"})
			tool.End(nil)
			continue
		}
		_, call := StartModelCall(ctx, ModelCall{Provider: "anthropic", Model: "claude-haiku-4-5"})
		call.SetUsage(Usage{InputTokens: 900, OutputTokens: 120, CacheReadTokens: 300})
		call.SetResponse("claude-haiku-4-5", "stop")
		call.End(nil)
	}
	run.AddCredits(2_500_000)
	Log(ctx, slog.LevelInfo, CategoryExecution, "run finished", slog.Int("attempts", 1))
	run.End(nil)
}

// plain records the same attributes without this package.
func (r recorders) plain(ctx context.Context) {
	execution := uuid.Must(uuid.NewV7()).String()
	ids := []attribute.KeyValue{
		attribute.String("agenttrail.execution.id", execution), attribute.String("agenttrail.agent.id", benchAgent.ID),
		attribute.String("agenttrail.user.id", "user-1"), attribute.String("agenttrail.session.id", "session-1"),
	}
	ctx, run := r.tracer.Start(ctx, "invoke_agent "+benchAgent.Name, trace.WithAttributes(ids...), trace.WithAttributes(
		attribute.String("gen_ai.operation.name", "invoke_agent"),
		attribute.String("gen_ai.agent.name", benchAgent.Name), attribute.String("gen_ai.agent.version", benchAgent.Version)))
	r.plainLog(ctx, ids, "run started", attribute.String("ticket", "T-1"))
	var input, output, cached int64
	for i := range 3 {
		if i == 1 {
			_, tool := r.tracer.Start(ctx, "execute_tool lookup_ticket", trace.WithAttributes(ids...), trace.WithAttributes(
				attribute.String("gen_ai.operation.name", "execute_tool"), attribute.String("gen_ai.tool.name", "lookup_ticket"),
				attribute.String("gen_ai.tool.type", "function"), attribute.String("gen_ai.tool.call.id", "call_1")))
			tool.End()
			continue
		}
		_, call := r.tracer.Start(ctx, "chat claude-haiku-4-5", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(ids...), trace.WithAttributes(
			attribute.String("gen_ai.operation.name", "chat"), attribute.String("gen_ai.provider.name", "anthropic"), attribute.String("gen_ai.request.model", "claude-haiku-4-5")))
		input, output, cached = input+900, output+120, cached+300
		call.SetAttributes(attribute.Int64("gen_ai.usage.input_tokens", 900), attribute.Int64("gen_ai.usage.output_tokens", 120),
			attribute.Int64("gen_ai.usage.cache_read.input_tokens", 300), attribute.String("gen_ai.response.model", "claude-haiku-4-5"),
			attribute.StringSlice("gen_ai.response.finish_reasons", []string{"stop"}))
		call.End()
	}
	r.plainLog(ctx, ids, "run finished", attribute.Int64("attempts", 1))
	run.SetAttributes(attribute.String("gen_ai.provider.name", "anthropic"), attribute.String("gen_ai.request.model", "claude-haiku-4-5"),
		attribute.Int64("gen_ai.usage.input_tokens", input), attribute.Int64("gen_ai.usage.output_tokens", output),
		attribute.Int64("gen_ai.usage.cache_read.input_tokens", cached), attribute.String("agenttrail.credits", "2.500000"),
		attribute.String("agenttrail.execution.status", "success"))
	run.End()
}

func (r recorders) plainLog(ctx context.Context, ids []attribute.KeyValue, message string, kv attribute.KeyValue) {
	var rec log.Record
	now := time.Now()
	rec.SetTimestamp(now)
	rec.SetObservedTimestamp(now)
	rec.SetSeverity(log.SeverityInfo)
	rec.SetSeverityText("INFO")
	rec.SetBody(attribute.StringValue(message))
	rec.AddAttributes(ids...)
	rec.AddAttributes(attribute.String("agenttrail.log.category", "execution"), kv)
	r.logger.Emit(ctx, rec)
}

func BenchmarkRun(b *testing.B) {
	r := newRecorders(b)
	for _, way := range []struct {
		name   string
		record func(context.Context)
	}{{"sdk", r.withSDK}, {"plain", r.plain}} {
		b.Run(way.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				way.record(b.Context())
			}
		})
	}
}

// TestRunOverhead compares both ways in turns and takes the best of each, because other programs use the machine too.
// Allocations must stay within the limit; times are told, and are for a quiet machine to judge.
func TestRunOverhead(t *testing.T) {
	r := newRecorders(t)
	best := bestOf(t, r.withSDK, r.plain)
	sdk, plain := best[0], best[1]
	t.Logf("a run with 3 steps and 2 log records: %s with the SDK, %s with plain OpenTelemetry: %.2f times the time, %.2f times the allocations, %.2f times the bytes",
		sdk, plain, sdk.nanos/plain.nanos, sdk.allocs/plain.allocs, sdk.bytes/plain.bytes)
	require.LessOrEqual(t, sdk.allocs, 1.3*plain.allocs)
}

type cost struct{ nanos, allocs, bytes float64 }

func (c cost) String() string {
	return fmt.Sprintf("%.1f µs, %.0f allocations, %.0f B", c.nanos/1000, c.allocs, c.bytes)
}

// A turn is short enough that some have the processor for themselves, and long enough that all see the garbage collector.
const overheadCalls = 1000

// cpuTime is what the process used so far, the garbage collector's part with it.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func bestOf(t *testing.T, ways ...func(context.Context)) []cost {
	t.Helper()
	best := slices.Repeat([]cost{{math.Inf(1), math.Inf(1), math.Inf(1)}}, len(ways))
	for range 20 {
		for i, way := range ways {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			used := cpuTime(t)
			for range overheadCalls {
				way(t.Context())
			}
			spent := cpuTime(t) - used
			runtime.ReadMemStats(&after)
			best[i].nanos = min(best[i].nanos, float64(spent.Nanoseconds())/overheadCalls)
			best[i].allocs = min(best[i].allocs, float64(after.Mallocs-before.Mallocs)/overheadCalls)
			best[i].bytes = min(best[i].bytes, float64(after.TotalAlloc-before.TotalAlloc)/overheadCalls)
		}
	}
	return best
}

// newServers returns a handler of a route with a parameter: with the middleware, with a span of the same attributes, and
// with nothing.
func newServers(tb testing.TB) (recorded, plain, bare http.Handler) {
	tb.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/agents/{agent}", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	r := newRecorders(tb)
	return r.trail.Middleware(mux), http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		ctx, span := r.tracer.Start(req.Context(), "GET", trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
			attribute.String("http.request.method", "GET"), attribute.String("url.scheme", "http"), attribute.String("url.path", req.URL.Path),
			attribute.String("server.address", "api.example.com"), attribute.String("client.address", "192.0.2.1"),
			attribute.String("user_agent.original", req.UserAgent()), attribute.String("url.query", req.URL.RawQuery)))
		req = req.WithContext(ctx)
		mux.ServeHTTP(w, req)
		span.SetName(req.Method + " /v1/agents/{agent}")
		span.SetAttributes(attribute.Int("http.response.status_code", http.StatusNoContent), attribute.Int("http.response.body.size", 0),
			attribute.String("http.route", "/v1/agents/{agent}"))
		span.End()
	}), mux
}

// nobody is a client that does not look at the answer.
type nobody struct{ header http.Header }

func (n nobody) Header() http.Header       { return n.header }
func (nobody) Write(p []byte) (int, error) { return len(p), nil }
func (nobody) WriteHeader(int)             {}

func ask(h http.Handler) func(context.Context) {
	r := httptest.NewRequest(http.MethodGet, "http://api.example.com/v1/agents/triage?limit=5", nil)
	r.Header.Set("User-Agent", "bench/1")
	w := nobody{http.Header{}}
	return func(context.Context) { h.ServeHTTP(w, r) }
}

func BenchmarkMiddleware(b *testing.B) {
	recorded, plain, bare := newServers(b)
	for _, way := range []struct {
		name    string
		handler http.Handler
	}{{"sdk", recorded}, {"plain", plain}, {"bare", bare}} {
		b.Run(way.name, func(b *testing.B) {
			serve := ask(way.handler)
			b.ReportAllocs()
			for b.Loop() {
				serve(b.Context())
			}
		})
	}
}

func TestMiddlewareOverhead(t *testing.T) {
	recorded, plain, bare := newServers(t)
	best := bestOf(t, ask(recorded), ask(plain), ask(bare))
	t.Logf("a request: %s with the middleware, %s with a plain span, %s with neither: the middleware takes %.2f µs",
		best[0], best[1], best[2], (best[0].nanos-best[2].nanos)/1000)
	require.LessOrEqual(t, best[0].allocs, 1.3*best[1].allocs)
}
