package agenttrail

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/propagation"
)

// TestAPlannedRunIsStartedElsewhere plans in one service, carries the message to another and starts there.
func TestAPlannedRunIsStartedElsewhere(t *testing.T) {
	t.Parallel()
	api, worker := newRecorded(t), newRecorded(t)
	queued := time.Now().Add(-time.Second)
	ctx, id := api.PlanExecution(t.Context(), Run{Agent: Agent{ID: "triage"}, UserID: "u", SessionID: "s", QueuedAt: queued})
	require.Equal(t, Identity{ExecutionID: id, AgentID: "triage", UserID: "u", SessionID: "s"}, IdentityFrom(ctx))
	message := propagation.MapCarrier{}
	Propagator().Inject(ctx, message)

	arrived := Propagator().Extract(t.Context(), message)
	ctx, run := worker.StartExecution(arrived, Run{Agent: Agent{ID: "triage", Version: "2"}})
	longest := time.Since(queued) + time.Millisecond // Messages carry whole milliseconds.
	require.Equal(t, id, run.ID())
	// A run below is another one, also when it begins in a third service.
	onward := propagation.MapCarrier{}
	Propagator().Inject(ctx, onward)
	_, below := worker.StartExecution(Propagator().Extract(t.Context(), onward), Run{Agent: Agent{ID: "helper"}})
	below.End(nil)
	run.End(nil)
	got := worker.span("invoke_agent triage").attrs
	require.Equal(t, id, got["agenttrail.execution.id"])
	require.Equal(t, "u", got["agenttrail.user.id"])
	require.Equal(t, "s", got["agenttrail.session.id"])
	require.NotContains(t, got, "agenttrail.execution.parent_id")
	require.GreaterOrEqual(t, got["agenttrail.execution.queue_time_ms"], 1000.0)
	require.LessOrEqual(t, got["agenttrail.execution.queue_time_ms"], millis(longest))
	helper := worker.span("invoke_agent helper").attrs
	require.NotEqual(t, id, helper["agenttrail.execution.id"])
	require.Equal(t, id, helper["agenttrail.execution.parent_id"])
	require.Equal(t, "u", helper["agenttrail.user.id"])
	require.NotContains(t, helper, "agenttrail.execution.queue_time_ms")
}

func TestBaggageOfOthersStays(t *testing.T) {
	t.Parallel()
	member, err := baggage.NewMemberRaw("shop", "7")
	require.NoError(t, err)
	b, err := baggage.New(member)
	require.NoError(t, err)
	ctx := WithIdentity(baggage.ContextWithBaggage(t.Context(), b), Identity{UserID: "u 1"})
	carrier := propagation.MapCarrier{}
	Propagator().Inject(ctx, carrier)
	parsed, err := baggage.Parse(carrier["baggage"])
	require.NoError(t, err)
	require.Equal(t, "7", parsed.Member("shop").Value())
	require.Equal(t, "u 1", parsed.Member("agenttrail.user.id").Value())

	require.Equal(t, Identity{}, IdentityFrom(Propagator().Extract(t.Context(), propagation.MapCarrier{"baggage": "agenttrail.user.id=" + strings.Repeat("x", 300)})))
	require.Equal(t, Identity{}, IdentityFrom(Propagator().Extract(t.Context(), propagation.MapCarrier{"baggage": "===,;"})))
	empty := propagation.MapCarrier{}
	Propagator().Inject(t.Context(), empty)
	require.Empty(t, empty)
	require.ElementsMatch(t, []string{"traceparent", "tracestate", "baggage"}, Propagator().Fields())
}

func TestLog(t *testing.T) {
	t.Parallel()
	r := newRecorded(t)
	ctx, run := r.StartExecution(t.Context(), Run{ID: "run-1", Agent: Agent{ID: "a"}, UserID: "u", SessionID: "s"})
	Log(ctx, slog.LevelWarn, CategoryPerformance, "slow", slog.Duration("took", 3*time.Second))
	Log(ctx, slog.LevelDebug, CategoryPerformance, "unimportant")
	Log(WithCategory(ctx, CategoryUserAction), slog.LevelInfo, "", "clicked")
	Log(ctx, slog.LevelError, CategoryError, "broke", slog.Any("error", limitError{}))
	Log(ctx, slog.LevelInfo, CategoryExecution, "handled", slog.Any("error", errors.New("away")))
	rec, attrs := r.record("slow")
	require.Equal(t, map[string]any{
		"agenttrail.execution.id": "run-1", "agenttrail.agent.id": "a", "agenttrail.user.id": "u", "agenttrail.session.id": "s",
		"agenttrail.log.category": "performance", "took": "3s",
	}, attrs)
	require.Equal(t, log.SeverityWarn, rec.Severity())
	require.Equal(t, run.span.SpanContext().SpanID(), rec.SpanID())
	_, attrs = r.record("clicked")
	require.Equal(t, "user_action", attrs["agenttrail.log.category"])
	_, attrs = r.record("broke")
	require.Equal(t, "agenttrail.limitError", attrs["exception.type"])
	require.Equal(t, "too many runs", attrs["exception.message"])
	require.Equal(t, "rate_limited", attrs["error.type"])
	_, attrs = r.record("handled")
	require.Equal(t, "away", attrs["error"])
	require.NotContains(t, attrs, "exception.type", "it is no error of the system")
	require.Len(t, r.logs.records, 4)
}

type lazy struct{}

func (lazy) LogValue() slog.Value { return slog.GroupValue(slog.Int("a", 1), slog.Bool("b", true)) }

func TestHandler(t *testing.T) {
	t.Parallel()
	r := newRecorded(t, WithLogLevel(slog.LevelDebug))
	ctx, run := r.StartExecution(t.Context(), Run{ID: "run-1", Agent: Agent{ID: "a"}})
	defer run.End(nil)
	logger := slog.New(r.Handler()).With("service", "x").WithGroup("http").With("method", "GET").WithGroup("")
	require.True(t, logger.Enabled(ctx, slog.LevelDebug))
	require.False(t, logger.Enabled(ctx, slog.LevelDebug-1))
	logger.DebugContext(ctx, "hello", "n", 7, "u", uint64(8), "f", 1.5, "l", lazy{}, slog.Group("g", "k", "v"), slog.Group("", "inline", true),
		"at", time.Unix(0, 0).UTC(), "list", []string{"a"}, "map", map[string]any{"k": 1}, "nil", nil, "big", uint64(1<<63), "bytes", []byte("b"))
	rec, attrs := r.record("hello")
	require.Equal(t, log.SeverityDebug, rec.Severity())
	require.Equal(t, "DEBUG", rec.SeverityText())
	require.Contains(t, attrs["code.function.name"], "TestHandler")
	require.Contains(t, attrs["code.file.path"], "context_test.go")
	require.NotZero(t, attrs["code.line.number"])
	for key, want := range map[string]any{
		"service": "x", "http.method": "GET", "http.n": int64(7), "http.u": int64(8), "http.f": 1.5, "http.l.a": int64(1), "http.l.b": true, "http.g.k": "v",
		"http.inline": true, "http.at": "1970-01-01T00:00:00Z", "http.list": []string{"a"}, "http.map": `{"k":1}`, "http.nil": "<nil>", "http.big": "9223372036854775808",
		"agenttrail.execution.id": "run-1",
	} {
		require.Equal(t, want, attrs[key], key)
	}
	slog.New(r.Handler()).With(slog.String(string(keyCategory), "user_action"), slog.String(string(keyUserID), "another")).InfoContext(ctx, "own")
	_, attrs = r.record("own")
	require.Equal(t, "user_action", attrs["agenttrail.log.category"])
	require.Equal(t, "another", attrs["agenttrail.user.id"])
	require.Equal(t, log.SeverityFatal4, severityOf(100))
	require.Equal(t, log.SeverityTrace1, severityOf(-100))
}

func TestHandlersShareNothing(t *testing.T) {
	t.Parallel()
	r := newRecorded(t)
	base := slog.New(r.Handler()).With("a", 1)
	one, two := base.With("b", 1), base.With("c", 2)
	one.InfoContext(t.Context(), "one")
	two.InfoContext(t.Context(), "two")
	_, attrs := r.record("one")
	require.Contains(t, attrs, "b")
	require.NotContains(t, attrs, "c")
	_, attrs = r.record("two")
	require.Contains(t, attrs, "c")
	require.NotContains(t, attrs, "b")
}

func TestRecordSecurity(t *testing.T) {
	t.Parallel()
	r := newRecorded(t)
	ctx := WithIdentity(r.Context(t.Context()), Identity{UserID: "u"})
	RecordSecurity(ctx, SecurityEvent{Type: SecurityKeyRevoked, Outcome: OutcomeSuccess, Severity: SeverityCritical, Actor: "admin", Resource: "key-7", ClientAddress: "192.0.2.7", UserAgent: "x", Details: []slog.Attr{slog.String("why", "leak")}})
	rec, attrs := r.record("key.revoked")
	require.Equal(t, "key.revoked", rec.EventName())
	require.Less(t, rec.Severity(), log.SeverityError, "an event about security is no error of the program")
	for key, want := range map[string]any{
		"agenttrail.security.type": "key.revoked", "agenttrail.security.outcome": "success", "agenttrail.security.severity": "critical",
		"agenttrail.security.actor": "admin", "agenttrail.security.resource": "key-7", "agenttrail.user.id": "u", "agenttrail.client.address": "192.0.2.7",
		"agenttrail.user_agent": "x", "why": "leak", "agenttrail.log.category": "user_action",
	} {
		require.Equal(t, want, attrs[key], key)
	}
	RecordSecurity(ctx, SecurityEvent{})
	require.Len(t, r.logs.records, 1)
}

func TestIdentityOfAContext(t *testing.T) {
	t.Parallel()
	r := newRecorded(t)
	ctx := WithIdentity(r.Context(t.Context()), Identity{UserID: "u", SessionID: "s"})
	ctx = WithIdentity(ctx, Identity{SessionID: "s2"})
	require.Equal(t, Identity{UserID: "u", SessionID: "s2"}, IdentityFrom(ctx))
	require.Equal(t, Identity{UserID: "u", SessionID: "s2"}, IdentityFrom(r.Context(ctx)))
	require.Equal(t, Identity{}, IdentityFrom(context.Background()))
	require.Equal(t, "u", IdentityFrom(newRecorded(t).Context(ctx)).UserID)
}
