package agenttrailexporter

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/agenttrail/agenttrail/exporter/agenttrailexporter/internal/metadata"
	"github.com/agenttrail/agenttrail/exporter/agenttrailexporter/internal/metadatatest"
	"github.com/agenttrail/agenttrail/exporter/delivery"
	"github.com/agenttrail/agenttrail/exporter/mapping"
)

// server answers every INSERT with code, 0 for success, and counts them.
func server(t *testing.T, code string, inserts *atomic.Int32) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("X-ClickHouse-Summary", "{}")
		if r.Method != http.MethodPost {
			return
		}
		inserts.Add(1)
		if code != "" {
			w.Header().Set("X-ClickHouse-Exception-Code", code)
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func oneSpan() ptrace.Traces {
	td := ptrace.NewTraces()
	td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty().SetName("span \xff")
	return td
}

func TestAllSignalsShareOneWriter(t *testing.T) {
	t.Parallel()
	tel := componenttest.NewTelemetry()
	var inserts atomic.Int32
	f := NewFactory()
	cfg := f.CreateDefaultConfig().(*Config)
	cfg.Endpoint = server(t, "", &inserts)
	set := metadatatest.NewSettings(tel)
	traces, err := f.CreateTraces(t.Context(), set, cfg)
	require.NoError(t, err)
	logs, err := f.CreateLogs(t.Context(), set, cfg)
	require.NoError(t, err)
	metrics, err := f.CreateMetrics(t.Context(), set, cfg)
	require.NoError(t, err)
	host := componenttest.NewNopHost()
	require.NoError(t, metrics.Start(t.Context(), host))
	require.NoError(t, traces.Start(t.Context(), host))
	require.NoError(t, logs.Start(t.Context(), host))
	require.NoError(t, traces.ConsumeTraces(t.Context(), oneSpan()))
	ld := plog.NewLogs()
	ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty().Body().SetStr("log")
	require.NoError(t, logs.ConsumeLogs(t.Context(), ld))
	md := pmetric.NewMetrics()
	points := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty().SetEmptyGauge().DataPoints()
	points.AppendEmpty().SetIntValue(1)
	points.AppendEmpty().SetDoubleValue(2)
	require.NoError(t, metrics.ConsumeMetrics(t.Context(), md))
	require.Equal(t, int32(3), inserts.Load())
	metadatatest.AssertEqualAgenttrailExporterRequests(t, tel, []metricdata.DataPoint[int64]{{Value: 3}}, metricdatatest.IgnoreTimestamp(), metricdatatest.IgnoreExemplars())
	metadatatest.AssertEqualAgenttrailExporterStoredRows(t, tel, []metricdata.DataPoint[int64]{
		{Value: 1, Attributes: attribute.NewSet(attribute.String("table", "Span"))},
		{Value: 1, Attributes: attribute.NewSet(attribute.String("table", "AgentLog"))},
		{Value: 2, Attributes: attribute.NewSet(attribute.String("table", "SystemMetrics"))},
	}, metricdatatest.IgnoreTimestamp(), metricdatatest.IgnoreExemplars())
	adjusted, err := tel.GetMetric("otelcol_agenttrail_exporter_adjusted_values")
	require.NoError(t, err)
	require.Contains(t, reasons(adjusted), "invalid_utf8")

	require.NoError(t, traces.Shutdown(t.Context()))
	require.NoError(t, metrics.Shutdown(t.Context()))
	require.NoError(t, logs.ConsumeLogs(t.Context(), ld), "the other signal goes on")
	require.NoError(t, logs.Shutdown(t.Context()))
	require.NoError(t, logs.Shutdown(t.Context()))
	require.Error(t, logs.ConsumeLogs(t.Context(), ld))

	again, err := f.CreateTraces(t.Context(), set, cfg) // As after a reload.
	require.NoError(t, err)
	require.NoError(t, again.Start(t.Context(), host))
	require.NoError(t, again.ConsumeTraces(t.Context(), oneSpan()))
	require.NoError(t, again.Shutdown(t.Context()))
	require.NoError(t, tel.Shutdown(context.Background()))
}

func reasons(m metricdata.Metrics) []string {
	var r []string
	for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
		v, _ := p.Attributes.Value("reason")
		r = append(r, v.AsString())
	}
	return r
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		reason    delivery.Reason
		code      codes.Code
		permanent bool
	}{
		{delivery.ReasonContent, codes.InvalidArgument, true},
		{delivery.ReasonTooLarge, codes.InvalidArgument, true},
		{delivery.ReasonPanic, codes.InvalidArgument, true},
		{delivery.ReasonOverload, codes.ResourceExhausted, false},
		{delivery.ReasonUnavailable, codes.Unavailable, false},
		{delivery.ReasonCanceled, codes.Unavailable, false},
		{delivery.ReasonStopping, codes.Unavailable, false},
	} {
		err := answer(&delivery.Error{Reason: c.reason, RetryAfter: 1500 * time.Millisecond, Err: errors.New("why")})
		require.Equal(t, c.permanent, consumererror.IsPermanent(err), c.reason)
		s, ok := status.FromError(err) // As the OTLP receiver does.
		require.True(t, ok)
		require.Equal(t, c.code, s.Code(), c.reason)
		require.Contains(t, s.Message(), "why")
		if c.permanent {
			require.Empty(t, s.Details())
			continue
		}
		require.Len(t, s.Details(), 1, "without a delay, RESOURCE_EXHAUSTED means: do not come back")
		require.Equal(t, 1500*time.Millisecond, s.Details()[0].(*errdetails.RetryInfo).GetRetryDelay().AsDuration())
	}
	plain := errors.New("plain")
	require.Equal(t, plain, answer(plain))
}

func TestARequestThatCannotBeMappedIsRefusedAlone(t *testing.T) {
	t.Parallel()
	var inserts atomic.Int32
	cfg := createDefaultConfig().(*Config)
	cfg.Endpoint = server(t, "", &inserts)
	e := newExporter(exportertest.NewNopSettings(metadata.Type), cfg, func() {})
	require.NoError(t, e.start(t.Context(), componenttest.NewNopHost()))
	for range 100 { // More than there are slots.
		err := e.push(t.Context(), func(*worker, *delivery.Batch) mapping.Stats { panic("odd") })
		require.True(t, consumererror.IsPermanent(err))
		require.ErrorContains(t, err, "BUG: map request: odd")
	}
	require.NoError(t, e.pushTraces(t.Context(), oneSpan()))
	require.Equal(t, int32(1), inserts.Load())
	require.NoError(t, e.shutdown(t.Context()))
}

func TestAnExceptionDecidesWhatTheClientIsTold(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]codes.Code{"469": codes.InvalidArgument, "252": codes.Unavailable} {
		var inserts atomic.Int32
		f := NewFactory()
		cfg := f.CreateDefaultConfig().(*Config)
		cfg.Endpoint = server(t, code, &inserts)
		cfg.Retry.InitialInterval, cfg.Retry.MaxElapsedTime = time.Millisecond, 20*time.Millisecond
		traces, err := f.CreateTraces(t.Context(), exportertest.NewNopSettings(metadata.Type), cfg)
		require.NoError(t, err)
		require.NoError(t, traces.Start(t.Context(), componenttest.NewNopHost()))
		require.Equal(t, want, status.Code(traces.ConsumeTraces(t.Context(), oneSpan())))
		require.NoError(t, traces.Shutdown(t.Context()))
	}
}

func TestShutdownWithoutStart(t *testing.T) {
	t.Parallel()
	f := NewFactory()
	traces, err := f.CreateTraces(t.Context(), exportertest.NewNopSettings(metadata.Type), f.CreateDefaultConfig())
	require.NoError(t, err)
	require.NoError(t, traces.Shutdown(t.Context()))
	require.Equal(t, component.MustNewType("agenttrail"), f.Type())
}
