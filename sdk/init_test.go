package agenttrail

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
)

// sink is an OTLP endpoint that takes everything and tells by which paths and with which headers it came.
type sink struct {
	*httptest.Server
	mu    sync.Mutex
	paths map[string]http.Header
}

func newSink(t *testing.T) *sink {
	t.Helper()
	s := &sink{paths: map[string]http.Header{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.paths[r.URL.Path] = r.Header.Clone()
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *sink) seen() map[string]http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.paths
}

func sendOne(t *testing.T, trail *Trail) {
	t.Helper()
	ctx, run := trail.StartExecution(t.Context(), Run{Agent: Agent{ID: "a"}})
	Log(ctx, 0, CategoryExecution, "x")
	run.End(nil)
	require.NoError(t, trail.Shutdown(t.Context()))
	require.NoError(t, trail.Shutdown(t.Context()), "a second time does nothing")
}

func TestEnvironment(t *testing.T) {
	s := newSink(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", s.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=7")
	t.Setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", s.URL+"/my/logs")
	t.Setenv("OTEL_METRICS_EXPORTER", "none")
	t.Setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
	trail, err := Init(t.Context())
	require.NoError(t, err)
	sendOne(t, trail)
	seen := s.seen()
	require.Len(t, seen, 2)
	require.Equal(t, "7", seen["/v1/traces"].Get("X-Key"))
	require.Empty(t, seen["/v1/traces"].Get("Content-Encoding"))
	require.Contains(t, seen, "/my/logs")
}

func TestOptionsWinOverEnvironment(t *testing.T) {
	s := newSink(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	trail, err := Init(t.Context(), WithEndpoint(s.URL+"/"), WithHeaders(map[string]string{"X-Key": "8"}))
	require.NoError(t, err)
	sendOne(t, trail)
	require.Len(t, s.seen(), 3)
	require.Equal(t, "8", s.seen()["/v1/metrics"].Get("X-Key"))
	require.Equal(t, "gzip", s.seen()["/v1/traces"].Get("Content-Encoding"))
}

func TestDisabled(t *testing.T) {
	s := newSink(t)
	t.Setenv("OTEL_SDK_DISABLED", "true")
	trail, err := Init(t.Context(), WithEndpoint(s.URL))
	require.NoError(t, err)
	sendOne(t, trail)
	require.Empty(t, s.seen())
}

func TestSettingsThatCannotBeRight(t *testing.T) {
	for name, value := range map[string]string{
		"OTEL_TRACES_EXPORTER": "zipkin", "OTEL_BSP_MAX_QUEUE_SIZE": "many", "OTEL_BLRP_SCHEDULE_DELAY": "-1", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "0",
		"OTEL_EXPORTER_OTLP_PROTOCOL": "carrier-pigeon", "OTEL_EXPORTER_OTLP_CERTIFICATE": "/does/not/exist", "OTEL_EXPORTER_OTLP_TIMEOUT": "soon",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			_, err := Init(t.Context())
			require.ErrorContains(t, err, "start agenttrail: ")
		})
	}
	for name, option := range map[string]Option{"Endpoint": WithEndpoint("collector:4317"), "Interval": WithInterval(0), "Buffer": WithBuffer(0, 1), "Protocol": WithProtocol("tcp")} {
		t.Run(name, func(t *testing.T) {
			_, err := Init(t.Context(), option)
			require.ErrorContains(t, err, "start agenttrail: ")
		})
	}
}

func TestCertificates(t *testing.T) {
	secure := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer secure.Close()
	trail, err := Init(t.Context(), WithEndpoint(secure.URL), WithLogger(quietLogger()))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, run := trail.StartExecution(ctx, Run{Agent: Agent{ID: "a"}})
	run.End(nil)
	require.Error(t, trail.Shutdown(ctx), "nobody vouches for the server")

	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, pemOf(secure.Certificate().Raw), 0o600))
	t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", file)
	trail, err = Init(t.Context(), WithEndpoint(secure.URL))
	require.NoError(t, err)
	sendOne(t, trail)
}

func TestResource(t *testing.T) {
	t.Setenv("OTEL_SERVICE_NAME", "from-env")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=env,team=blue")
	of := func(opts ...Option) map[string]any {
		cfg, err := newConfig(opts)
		require.NoError(t, err)
		res, err := cfg.resource(t.Context())
		require.NoError(t, err)
		return attributesOf(res.Attributes())
	}
	got := of()
	require.Equal(t, "from-env", got["service.name"])
	require.Equal(t, "env", got["deployment.environment.name"])
	require.Equal(t, "blue", got["team"])
	for _, key := range []string{"service.instance.id", "host.name", "process.pid", "telemetry.sdk.name", "telemetry.distro.version"} {
		require.NotEmpty(t, got[key], key)
	}
	got = of(WithService("mine", "1.0"), WithEnvironment("prod"), WithResource(attribute.String("team", "red")))
	require.Equal(t, []any{"mine", "1.0", "prod", "red"}, []any{got["service.name"], got["service.version"], got["deployment.environment.name"], got["team"]})
	t.Setenv("OTEL_SERVICE_NAME", "")
	require.Contains(t, of()["service.name"], "unknown_service:")
}

func TestInstancesShareNothing(t *testing.T) {
	one, two := newSink(t), newSink(t)
	first, err := Init(t.Context(), WithEndpoint(one.URL))
	require.NoError(t, err)
	second, err := Init(t.Context(), WithEndpoint(two.URL))
	require.NoError(t, err)
	ctx, run := first.StartExecution(t.Context(), Run{Agent: Agent{ID: "a"}})
	_, step := StartTool(ctx, ToolCall{Name: "x"})
	step.End(nil)
	run.End(nil)
	require.NoError(t, first.Shutdown(t.Context()))
	require.Contains(t, one.seen(), "/v1/traces")
	require.NotContains(t, two.seen(), "/v1/traces")
	sendOne(t, second)
	require.Contains(t, two.seen(), "/v1/traces")
}

func TestGlobals(t *testing.T) {
	tracers, meters, loggers, propagators := otel.GetTracerProvider(), otel.GetMeterProvider(), otel.GetLoggerProvider(), otel.GetTextMapPropagator()
	t.Cleanup(func() {
		otel.SetTracerProvider(tracers)
		otel.SetMeterProvider(meters)
		otel.SetLoggerProvider(loggers)
		otel.SetTextMapPropagator(propagators)
	})
	r := newRecorded(t, WithGlobals())
	_, span := otel.Tracer("library").Start(t.Context(), "library work")
	span.End()
	r.span("library work")
	require.Equal(t, Propagator(), otel.GetTextMapPropagator())
}

// TestAGuestLeavesTheHouseAsItIs stops the Trail and goes on with the program's own provider.
func TestAGuestLeavesTheHouseAsItIs(t *testing.T) {
	r := newRecorded(t)
	require.NoError(t, r.Flush(t.Context()))
	require.NoError(t, r.Shutdown(t.Context()))
	_, span := r.TracerProvider().Tracer("house").Start(t.Context(), "goes on")
	span.End()
	r.span("goes on")
	require.Equal(t, Loss{}, r.Lost())
}
