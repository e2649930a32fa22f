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
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/agenttrail/agenttrail/exporter/agenttrailexporter/internal/metadata"
	"github.com/agenttrail/agenttrail/exporter/agenttrailexporter/internal/metadatatest"
	"github.com/agenttrail/agenttrail/exporter/delivery"
	"github.com/agenttrail/agenttrail/exporter/journal"
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

// config returns a configuration with a journal of the test's own that sends at once.
func config(t *testing.T, endpoint string) *Config {
	t.Helper()
	cfg := createDefaultConfig().(*Config)
	cfg.Endpoint, cfg.Journal.Directory, cfg.FlushInterval = endpoint, t.TempDir(), time.Millisecond
	cfg.Retry.InitialInterval, cfg.Retry.MaxInterval = time.Millisecond, 10*time.Millisecond
	return cfg
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
	cfg := config(t, server(t, "", &inserts))
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
	require.NoError(t, metrics.ConsumeMetrics(t.Context(), md), "it comes again")
	require.Eventually(t, func() bool {
		return inserts.Load() == 3 && value(t, tel, "journal_segments") == 0 && value(t, tel, "queue_bytes") == 0
	}, time.Minute, time.Millisecond)
	options := []metricdatatest.Option{metricdatatest.IgnoreTimestamp(), metricdatatest.IgnoreExemplars()}
	rows := []metricdata.DataPoint[int64]{
		{Value: 1, Attributes: attribute.NewSet(attribute.String("table", "Span"))},
		{Value: 1, Attributes: attribute.NewSet(attribute.String("table", "AgentLog"))},
		{Value: 2, Attributes: attribute.NewSet(attribute.String("table", "SystemMetrics"))},
	}
	metadatatest.AssertEqualAgenttrailExporterRequests(t, tel, []metricdata.DataPoint[int64]{{Value: 3}}, options...)
	metadatatest.AssertEqualAgenttrailExporterDuplicateRequests(t, tel, []metricdata.DataPoint[int64]{{Value: 1}}, options...)
	metadatatest.AssertEqualAgenttrailExporterAcknowledgedRows(t, tel, rows, options...)
	metadatatest.AssertEqualAgenttrailExporterStoredRows(t, tel, rows, options...)
	metadatatest.AssertEqualAgenttrailExporterQueueBytes(t, tel, []metricdata.DataPoint[int64]{{Value: 0}}, options...)
	for _, name := range []string{"append_duration", "fsync_duration", "insert_duration"} {
		m, err := tel.GetMetric("otelcol_agenttrail_exporter_" + name)
		require.NoError(t, err)
		require.NotEmpty(t, m.Data.(metricdata.Histogram[float64]).DataPoints, name)
	}
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

// value returns the value of a gauge.
func value(t *testing.T, tel *componenttest.Telemetry, name string) float64 {
	t.Helper()
	m, err := tel.GetMetric("otelcol_agenttrail_exporter_" + name)
	require.NoError(t, err)
	switch d := m.Data.(type) {
	case metricdata.Gauge[int64]:
		return float64(d.DataPoints[0].Value)
	case metricdata.Gauge[float64]:
		return d.DataPoints[0].Value
	}
	t.Fatalf("%s is no gauge", name)
	return 0
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
	e := newExporter(exportertest.NewNopSettings(metadata.Type), config(t, server(t, "", &inserts)), func() {})
	require.NoError(t, e.start(t.Context(), componenttest.NewNopHost()))
	for range 100 { // More than there are slots.
		err := e.push(t.Context(), request{
			read: func(*worker) (journal.Hash, error) { return journal.Hash{}, nil },
			rows: func(*worker, *delivery.Batch) mapping.Stats { panic("odd") },
		})
		require.True(t, consumererror.IsPermanent(err))
		require.ErrorContains(t, err, "BUG: map request: odd")
	}
	require.NoError(t, e.pushTraces(t.Context(), oneSpan()))
	require.NoError(t, e.shutdown(t.Context()))
	require.Equal(t, int32(1), inserts.Load())
}

func TestAnExceptionIsNotTheClients(t *testing.T) {
	t.Parallel()
	for code, metric := range map[string]string{"469": "dead_lettered_rows", "252": "retried_inserts"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			tel := componenttest.NewTelemetry()
			var inserts atomic.Int32
			cfg := config(t, server(t, code, &inserts))
			traces, err := NewFactory().CreateTraces(t.Context(), metadatatest.NewSettings(tel), cfg)
			require.NoError(t, err)
			require.NoError(t, traces.Start(t.Context(), componenttest.NewNopHost()))
			require.NoError(t, traces.ConsumeTraces(t.Context(), oneSpan()))
			require.Eventually(t, func() bool { return inserts.Load() > 0 }, time.Minute, time.Millisecond)
			require.Eventually(t, func() bool {
				_, err := tel.GetMetric("otelcol_agenttrail_exporter_" + metric)
				return err == nil
			}, time.Minute, time.Millisecond)
			require.NoError(t, traces.Shutdown(t.Context()))
			letters, err := journal.ListDeadLetters(cfg.Journal.Directory)
			require.NoError(t, err)
			require.Equal(t, code == "469", len(letters) == 1)
			require.NoError(t, tel.Shutdown(context.Background()))
		})
	}
}

func TestItStartsWithoutClickHouseAndWarnsOnce(t *testing.T) {
	t.Parallel()
	logs, seen := observer.New(zapcore.WarnLevel)
	tel := componenttest.NewTelemetry()
	set := metadatatest.NewSettings(tel)
	set.Logger = zap.New(logs)
	cfg := config(t, "http://127.0.0.1:1")
	traces, err := NewFactory().CreateTraces(t.Context(), set, cfg)
	require.NoError(t, err)
	require.NoError(t, traces.Start(t.Context(), componenttest.NewNopHost()))
	require.NoError(t, traces.ConsumeTraces(t.Context(), oneSpan()))
	retries := func() int64 {
		m, err := tel.GetMetric("otelcol_agenttrail_exporter_retried_inserts")
		if err != nil {
			return 0
		}
		return m.Data.(metricdata.Sum[int64]).DataPoints[0].Value
	}
	require.Eventually(t, func() bool { return seen.Len() == 2 }, time.Minute, time.Millisecond)
	before := retries()
	require.Eventually(t, func() bool { return retries() > before+20 }, time.Minute, time.Millisecond)
	require.Positive(t, value(t, tel, "backlog_bytes"))
	require.Positive(t, value(t, tel, "backlog_age"))
	require.InDelta(t, 1, value(t, tel, "journal_segments"), 0)
	require.Len(t, seen.FilterMessageSnippet("ClickHouse is not ready").All(), 1)
	require.Len(t, seen.FilterMessageSnippet("ClickHouse does not take rows").All(), 1)
	require.Len(t, seen.All(), 2)
	require.NoError(t, traces.Shutdown(t.Context()))

	var inserts atomic.Int32
	cfg.Endpoint = server(t, "", &inserts)
	again, err := NewFactory().CreateLogs(t.Context(), set, cfg)
	require.NoError(t, err)
	require.NoError(t, again.Start(t.Context(), componenttest.NewNopHost()))
	require.Eventually(t, func() bool { return inserts.Load() == 1 }, time.Minute, time.Millisecond, "what was left is stored")
	require.NoError(t, again.Shutdown(t.Context()))
	require.NoError(t, tel.Shutdown(context.Background()))
}

func TestTwoExportersCannotShareAJournal(t *testing.T) {
	t.Parallel()
	cfg := config(t, "http://127.0.0.1:1")
	other := *cfg
	f := NewFactory()
	first, err := f.CreateTraces(t.Context(), exportertest.NewNopSettings(metadata.Type), cfg)
	require.NoError(t, err)
	second, err := f.CreateTraces(t.Context(), exportertest.NewNopSettings(metadata.Type), &other)
	require.NoError(t, err)
	require.NoError(t, first.Start(t.Context(), componenttest.NewNopHost()))
	require.ErrorContains(t, second.Start(t.Context(), componenttest.NewNopHost()), "give this one a folder of its own")
	require.NoError(t, second.Shutdown(t.Context()))
	require.NoError(t, first.Shutdown(t.Context()))
}

func TestShutdownWithoutStart(t *testing.T) {
	t.Parallel()
	f := NewFactory()
	for _, create := range []func() (component.Component, error){
		func() (component.Component, error) {
			return f.CreateTraces(t.Context(), exportertest.NewNopSettings(metadata.Type), config(t, "http://x"))
		},
		func() (component.Component, error) {
			return f.CreateLogs(t.Context(), exportertest.NewNopSettings(metadata.Type), config(t, "http://x"))
		},
		func() (component.Component, error) {
			return f.CreateMetrics(t.Context(), exportertest.NewNopSettings(metadata.Type), config(t, "http://x"))
		},
	} {
		c, err := create()
		require.NoError(t, err)
		require.NoError(t, c.Shutdown(t.Context()))
	}
	require.Equal(t, component.MustNewType("agenttrail"), f.Type())
}

func TestRefusedRequestsAreNotLoggedOneByOne(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.InfoLevel)
	set := exportertest.NewNopSettings(metadata.Type)
	set.Logger = zap.New(core)
	var inserts atomic.Int32
	cfg := config(t, server(t, "", &inserts))
	cfg.Journal.MaxBytes = 1
	e, err := NewFactory().CreateTraces(t.Context(), set, cfg)
	require.NoError(t, err)
	require.NoError(t, e.Start(t.Context(), componenttest.NewNopHost()))
	for range 5 {
		require.Error(t, e.ConsumeTraces(t.Context(), oneSpan()))
	}
	require.Equal(t, 1, logs.FilterLevelExact(zapcore.ErrorLevel).Len(), "%v", logs.All())
	require.Contains(t, logs.FilterLevelExact(zapcore.ErrorLevel).All()[0].Message, "The journal is full")
	require.NoError(t, e.Shutdown(t.Context()))
}
