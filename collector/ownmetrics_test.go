package collector_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"google.golang.org/grpc"
)

// points makes a request of a point of each kind.
func points(service string) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", service)
	ms := rm.ScopeMetrics().AppendEmpty().Metrics()
	now := pcommon.NewTimestampFromTime(time.Now())
	add := func(name string) pmetric.Metric {
		m := ms.AppendEmpty()
		m.SetName(name)
		return m
	}
	g := add("gauge").SetEmptyGauge().DataPoints().AppendEmpty()
	g.SetTimestamp(now)
	g.SetIntValue(42)
	s := add("sum").SetEmptySum()
	s.SetIsMonotonic(true)
	s.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	n := s.DataPoints().AppendEmpty()
	n.SetTimestamp(now)
	n.SetDoubleValue(1.5)
	h := add("histogram").SetEmptyHistogram()
	h.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	p := h.DataPoints().AppendEmpty()
	p.SetTimestamp(now)
	p.SetCount(3)
	p.SetSum(6)
	p.SetMin(1)
	p.ExplicitBounds().FromRaw([]float64{1, 2})
	p.BucketCounts().FromRaw([]uint64{1, 1, 1})
	e := add("exponential").SetEmptyExponentialHistogram().DataPoints().AppendEmpty()
	e.SetTimestamp(now)
	e.SetCount(2)
	e.Positive().BucketCounts().FromRaw([]uint64{0, 2})
	q := add("summary").SetEmptySummary().DataPoints().AppendEmpty()
	q.SetTimestamp(now)
	q.SetCount(1)
	q.SetSum(8)
	v := q.QuantileValues().AppendEmpty()
	v.SetQuantile(0.5)
	v.SetValue(8)
	return md
}

func TestMetricsEndInRows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn, want := b.grpc(t), uint64(0)
	for _, compressor := range []string{"", "gzip", "zstd"} {
		var opts []grpc.CallOption
		if compressor != "" {
			opts = append(opts, grpc.UseCompressor(compressor))
		}
		_, err := pmetricotlp.NewGRPCClient(conn).Export(t.Context(), pmetricotlp.NewExportRequestFromMetrics(points("grpc"+compressor)), opts...)
		require.NoError(t, err, compressor)
		want++
	}
	for _, contentType := range []string{contentProto, contentJSON} {
		for _, encoding := range []string{"", "gzip"} {
			req := pmetricotlp.NewExportRequestFromMetrics(points(contentType + encoding))
			body, err := req.MarshalProto()
			if contentType == contentJSON {
				body, err = req.MarshalJSON()
			}
			require.NoError(t, err)
			resp, text := b.post(t, "/v1/metrics", contentType, encoding, body)
			require.Equal(t, 200, resp.status, text)
			want++
		}
	}
	b.stored(t)
	require.Equal(t, 5*want, b.count(t, "SELECT count() FROM SystemMetrics"))
	require.Equal(t, want, b.count(t, "SELECT uniqExact(component) FROM SystemMetrics"))
	for name, condition := range map[string]string{
		"gauge":       "kind = 'gauge' AND value = 42 AND temporality = 'unspecified' AND NOT monotonic",
		"sum":         "kind = 'sum' AND value = 1.5 AND temporality = 'cumulative' AND monotonic",
		"histogram":   "kind = 'histogram' AND value = 2 AND sum = 6 AND count = 3 AND min = 1 AND max IS NULL AND bounds = [1, 2] AND counts = [1, 1, 1] AND temporality = 'delta'",
		"exponential": "kind = 'exponential_histogram' AND count = 2 AND bounds = [0, 2, 4] AND counts = [0, 0, 2, 0]",
		"summary":     "kind = 'summary' AND value = 8 AND bounds = [0.5] AND quantileValues = [8] AND counts = []",
	} {
		require.Equal(t, want, b.count(t, "SELECT count() FROM SystemMetrics WHERE metric = '"+name+"' AND "+condition), name)
	}
}

func TestSecurityEventsEndInRows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ld := logRecords("gateway", "no right to use the tool")
	r := ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0)
	r.SetEventName("auth.denied")
	r.SetTraceID(pcommon.TraceID{1})
	r.Attributes().PutStr("user.id", "u-1")
	r.Attributes().PutStr("agenttrail.security.resource", "tool-7")
	_, err := plogotlp.NewGRPCClient(b.grpc(t)).Export(t.Context(), plogotlp.NewExportRequestFromLogs(ld))
	require.NoError(t, err)
	b.stored(t)
	require.Equal(t, uint64(1), b.count(t, `SELECT count() FROM SecurityEvents AS s INNER JOIN AgentLog AS l ON l.id = s.id
		WHERE s.type = 'auth.denied' AND s.outcome = 'denied' AND s.severity = 'info' AND s.actor = 'u-1' AND s.userId = 'u-1'
			AND s.resource = 'tool-7' AND s.component = 'gateway' AND s.message = 'no right to use the tool'
			AND s.traceId = '01000000000000000000000000000000' AND l.eventName = 'auth.denied'`))
}

// TestItReportsAboutItselfAndItsMachine runs the configuration that everybody gets: without a single client there are
// rows in SystemMetrics.
func TestItReportsAboutItselfAndItsMachine(t *testing.T) {
	t.Parallel()
	b := setupWhole(t, "receivers::agenttrail_host::collection_interval=1s", "receivers::agenttrail_self::collection_interval=1s")
	require.Eventually(t, func() bool {
		return b.count(t, `SELECT uniqExact(metric) FROM SystemMetrics WHERE component = 'agenttrail-host' AND metric IN
			('system.cpu.utilization', 'system.memory.usage', 'system.filesystem.usage', 'system.cpu.load_average.1m', 'process.memory.usage')`) == 5 &&
			b.count(t, `SELECT count() FROM SystemMetrics WHERE component = 'agenttrail-collector' AND metric = 'otelcol_agenttrail_exporter_stored_rows'
				AND attributes['table'] = 'SystemMetrics' AND value > 10 AND monotonic AND resourceAttributes['service.version'] = 'test'`) > 0
	}, time.Minute, 100*time.Millisecond)
	require.Zero(t, b.count(t, "SELECT count() FROM SystemMetrics WHERE component NOT IN ('agenttrail-host', 'agenttrail-collector')"))
	perMinute := b.count(t, `SELECT sum(rows * multiIf(c = 'agenttrail-host', 6, 2)) FROM
		(SELECT toString(component) AS c, timestamp AS at, count() AS rows FROM SystemMetrics GROUP BY c, at ORDER BY at DESC LIMIT 1 BY c)`)
	t.Logf("%d rows a minute at the default intervals", perMinute)
	require.Less(t, perMinute, uint64(600), "an idle instance writes little")
}

func TestOwnMetricsCanBeSwitchedOff(t *testing.T) {
	t.Setenv("AGENTTRAIL_OWN_METRICS", "false")
	b := setupWhole(t, "receivers::agenttrail_host::collection_interval=1s", "receivers::agenttrail_self::collection_interval=1s")
	_, err := pmetricotlp.NewGRPCClient(b.grpc(t)).Export(t.Context(), pmetricotlp.NewExportRequestFromMetrics(points("one")))
	require.NoError(t, err)
	b.stored(t)
	require.Equal(t, uint64(5), b.count(t, "SELECT count() FROM SystemMetrics"))
}
