package httpapi_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/httpapi"
	agenttrail "github.com/agenttrail/agenttrail/sdk"
)

// TestSpans checks what the spans of requests say, and what they do not.
func TestSpans(t *testing.T) {
	t.Parallel()
	recorder := tracetest.NewSpanRecorder()
	w := setup(t, func(s *httpapi.Settings) { s.Tracer = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)) })
	c := w.customer(t)
	last := func() (sdktrace.ReadOnlySpan, map[attribute.Key]attribute.Value) {
		spans := recorder.Ended()
		span := spans[len(spans)-1]
		attrs := map[attribute.Key]attribute.Value{}
		for _, a := range span.Attributes() {
			attrs[a.Key] = a.Value
		}
		return span, attrs
	}

	run := w.authorizeCall(c, map[string]any{"executionId": "run-1"})
	run.key = c.key
	setHeader(&run, "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	setHeader(&run, "User-Agent", "runner/1")
	require.Equal(t, http.StatusCreated, w.do(t, run).status)
	span, attrs := last()
	require.Equal(t, "POST /v1/authorizations", span.Name())
	require.Equal(t, trace.SpanKindServer, span.SpanKind())
	require.Equal(t, "0af7651916cd43dd8448eb211c80319c", span.SpanContext().TraceID().String(), "it is in the trace of its caller")
	for key, want := range map[attribute.Key]string{
		"http.request.method": "POST", "http.route": "/v1/authorizations", "url.path": "/v1/authorizations", "url.scheme": "http", "server.address": "127.0.0.1",
		"client.address": "127.0.0.1", "user_agent.original": "runner/1", "user.id": c.user, "agenttrail.execution.id": "run-1", "agenttrail.agent.id": c.slug,
	} {
		require.Equal(t, want, attrs[key].AsString(), string(key))
	}
	require.EqualValues(t, 201, attrs["http.response.status_code"].AsInt64())
	require.Equal(t, codes.Unset, span.Status().Code)

	// A key of the platform settles and is refused for users, who must be found by what happened to their runs.
	w.captured(t, c, "1")
	_, attrs = last()
	require.Equal(t, c.user, attrs["user.id"].AsString())
	refused := w.do(t, w.authorizeCall(c, map[string]any{"amount": "51", "executionId": "run-2"}))
	require.Equal(t, http.StatusForbidden, refused.status)
	_, attrs = last()
	require.Equal(t, []string{c.user, "run-2", c.slug}, []string{attrs["user.id"].AsString(), attrs["agenttrail.execution.id"].AsString(), attrs["agenttrail.agent.id"].AsString()})

	w.must(t, call{method: "GET", path: "/v1/users?email=secret@example.com"})
	w.do(t, call{method: "GET", path: "/v1/users/" + c.user + "?token=secret", key: w.admin})
	span, attrs = last()
	require.Equal(t, "GET /v1/users/{userId}", span.Name())
	require.EqualValues(t, 422, attrs["http.response.status_code"].AsInt64())
	require.Equal(t, codes.Unset, span.Status().Code, "what the client did wrong is no error of the service")
	for _, s := range recorder.Ended() {
		for _, a := range s.Attributes() {
			require.NotContains(t, a.Value.String(), "secret", string(a.Key))
			for _, secret := range []string{w.admin, w.execute, c.key} {
				require.NotContains(t, a.Value.String(), secret, string(a.Key))
			}
		}
	}
	require.NotContains(t, w.logs.String(), w.admin)

	before := len(recorder.Ended())
	w.do(t, call{method: "GET", path: "/healthz"})
	w.do(t, call{method: "GET", path: "/metrics"})
	require.Len(t, recorder.Ended(), before, "probes make no spans")
}

// emitted keeps log records.
type emitted struct {
	mu      sync.Mutex
	records []sdklog.Record
}

func (e *emitted) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }

func (e *emitted) OnEmit(_ context.Context, r *sdklog.Record) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.records = append(e.records, r.Clone())
	return nil
}

func (*emitted) ForceFlush(context.Context) error { return nil }
func (*emitted) Shutdown(context.Context) error   { return nil }

// take returns what was emitted since the last call, as lines of severity, type, outcome, actor, user and resource.
func (e *emitted) take() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var lines []string
	for _, r := range e.records {
		attrs := map[string]string{}
		r.WalkAttributes(func(kv attribute.KeyValue) bool {
			attrs[string(kv.Key)] = kv.Value.AsString()
			return true
		})
		lines = append(lines, strings.Join([]string{
			attrs["agenttrail.security.severity"], attrs["agenttrail.security.type"], attrs["agenttrail.security.outcome"],
			attrs["agenttrail.security.actor"], attrs["agenttrail.user.id"], attrs["agenttrail.security.resource"], attrs["agenttrail.client.address"],
		}, " "))
	}
	e.records = nil
	return lines
}

// TestSecurityEvents checks what is told of requests that are refused for who sends them, and of keys.
func TestSecurityEvents(t *testing.T) {
	t.Parallel()
	var events emitted
	trail, err := agenttrail.Init(t.Context(), agenttrail.WithProviders(agenttrail.Providers{
		Tracer: sdktrace.NewTracerProvider(), Logger: sdklog.NewLoggerProvider(sdklog.WithProcessor(&events)), Meter: metricnoop.NewMeterProvider(),
	}))
	require.NoError(t, err)
	w := setup(t, func(s *httpapi.Settings) { s.Trail = trail })
	c := w.customer(t)
	admin, own := "key:"+w.idOf(t, w.admin).String(), "key:"+w.idOf(t, c.key).String()
	events.take()
	const from = " 127.0.0.1"
	denied := func(actor, user, resource string) []string {
		return []string{"warning auth.denied denied " + actor + " " + user + " " + resource + from}
	}

	for _, secret := range []string{"nonsense", w.revoked, w.expired} {
		require.Equal(t, http.StatusUnauthorized, w.do(t, call{method: "GET", path: "/v1/users/" + c.user, key: secret}).status)
		require.Equal(t, denied("", "", "GET /v1/users/{userId}"), events.take(), secret)
	}
	require.Equal(t, http.StatusForbidden, w.do(t, call{method: "GET", path: "/v1/keys", key: c.key}).status)
	require.Equal(t, denied(own, c.user, "GET /v1/keys"), events.take())

	create := call{method: "POST", path: "/v1/keys", key: w.admin, body: map[string]any{"name": "new", "scopes": []string{"execute"}, "userId": c.user}}
	setHeader(&create, "Idempotency-Key", "once")
	made := w.must(t, create)
	key := "key:" + made.text1("key", "id")
	require.Equal(t, []string{"info key.created success " + admin + " " + c.user + " " + key + from}, events.take())
	require.Equal(t, "true", w.must(t, create).header.Get("Idempotency-Replayed"))
	require.Empty(t, events.take(), "nothing was done a second time")
	rotated := w.must(t, call{method: "POST", path: "/v1/keys/" + made.text1("key", "id") + "/rotate", key: w.admin})
	key = "key:" + rotated.text1("key", "id")
	require.Equal(t, []string{"info key.rotated success " + admin + " " + c.user + " " + key + from}, events.take())
	w.must(t, call{method: "POST", path: "/v1/keys/" + rotated.text1("key", "id") + "/revoke", key: w.admin})
	require.Equal(t, []string{"info key.revoked success " + admin + " " + c.user + " " + key + from}, events.take())

	tooMuch := w.authorizeCall(c, map[string]any{"amount": "51"})
	tooMuch.key = c.key
	require.Equal(t, http.StatusForbidden, w.do(t, tooMuch).status)
	require.Equal(t, []string{"info policy.violation denied " + own + " " + c.user + " POST /v1/authorizations" + from}, events.take())

	w.captured(t, c, "1")
	require.Equal(t, http.StatusNotFound, w.do(t, call{method: "GET", path: "/v1/holds/" + nobody, key: w.admin}).status)
	require.Empty(t, events.take())
}

// brokenService hits a programming error when it is asked for users.
type brokenService struct{ ledger.Service }

func (brokenService) Users(context.Context, ledger.Actor, ledger.UserFilter, ledger.Page) (ledger.List[ledger.User], error) {
	panic("no such luck")
}

// TestProgrammingError checks that a panic is an answer, an exception on the span, and not the end of the service.
func TestProgrammingError(t *testing.T) {
	t.Parallel()
	w := setup(t)
	recorder := tracetest.NewSpanRecorder()
	logs := &lockedBuffer{}
	api, err := httpapi.New(httpapi.Settings{
		Service: brokenService{w.store}, Logger: slog.New(slog.NewTextHandler(logs, nil)),
		Tracer: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)),
	})
	require.NoError(t, err)
	w.server.Close()
	w.server = httptest.NewServer(api)
	defer w.server.Close()
	r := w.do(t, call{method: "GET", path: "/v1/users", key: w.admin})
	require.Equal(t, http.StatusInternalServerError, r.status)
	require.Equal(t, "internal", r.problem())
	require.NotContains(t, r.text, "luck")
	span := recorder.Ended()[0]
	require.Equal(t, codes.Error, span.Status().Code)
	require.Len(t, span.Events(), 1)
	exception := span.Events()[0]
	require.Equal(t, "exception", exception.Name)
	text := ""
	for _, a := range exception.Attributes {
		text += string(a.Key) + "=" + a.Value.String() + "\n"
	}
	require.Contains(t, text, "exception.message=no such luck")
	require.Contains(t, text, "telemetry_test.go")
	require.Contains(t, logs.String(), r.header.Get("X-Request-Id"))
	require.Equal(t, http.StatusOK, w.do(t, call{method: "GET", path: "/v1/key", key: w.admin}).status)
}

// TestMetrics checks that what happened is counted.
func TestMetrics(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.customer(t)
	w.captured(t, c, "1")
	hold := w.authorizeCall(c, map[string]any{"amount": "2"})
	setHeader(&hold, "Idempotency-Key", "counted-once")
	w.must(t, hold)
	w.must(t, hold)
	w.run(t, c, "21")
	w.do(t, w.authorizeCall(c, map[string]any{"amount": "60"}))
	w.do(t, call{method: "GET", path: "/v1/holds/" + nobody, key: w.admin})
	end := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	key := w.must(t, call{method: "POST", path: "/v1/keys", key: w.admin, body: map[string]any{"name": "soon over", "scopes": []string{"execute"}, "expiresAt": end}})
	var text string
	soon(t, "the database answers a scrape in its time", func() bool {
		text = w.do(t, call{method: "GET", path: "/metrics"}).text
		return strings.Contains(text, "agenttrail_ledger_database_up 1\n")
	})
	for _, line := range []string{
		`agenttrail_ledger_http_requests_total{method="POST",route="/v1/authorizations",status="201"} 3`,
		`agenttrail_ledger_http_requests_total{method="GET",route="/v1/holds/{holdId}",status="404"} 1`,
		`agenttrail_ledger_authorizations_total{outcome="allowed",rule="maxPerDay"} 2`,
		`agenttrail_ledger_authorizations_total{outcome="needs_approval",rule="approvalOver"} 1`,
		`agenttrail_ledger_authorizations_total{outcome="refused",rule="maxPerDay"} 1`,
		`agenttrail_ledger_idempotent_replays_total 1`,
		`agenttrail_ledger_problems_total{problem="not-found"} 1`,
		`agenttrail_ledger_problems_total{problem="mandate-denied"} 1`,
		`agenttrail_ledger_holds_active 1`,
		`agenttrail_ledger_holds_settled_total{state="captured"} 1`,
		`agenttrail_ledger_credits{balance="held"} 2`,
		`agenttrail_ledger_credits{balance="posted"} 99`,
		`agenttrail_ledger_users 1`,
		`agenttrail_ledger_approvals_pending 1`,
		`agenttrail_ledger_database_up 1`,
		`agenttrail_ledger_holds_settled_total{state="released"} 0`,
		fmt.Sprintf(`agenttrail_ledger_api_key_expiry_timestamp_seconds{name="soon over",prefix="%s"} %v`, key.at("key", "prefix"), float64(end.Unix())),
	} {
		require.True(t, strings.Contains(text, line+"\n"), line) //nolint:testifylint // The text is long.
	}
	for line := range strings.Lines(text) {
		require.NotContains(t, line, c.user, "labels have few values")
	}
}
