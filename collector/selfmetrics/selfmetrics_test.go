package selfmetrics

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
)

func TestWhatTheSDKCountsArrives(t *testing.T) {
	t.Parallel()
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithResource(resource.NewSchemaless(attribute.String("service.name", "agenttrail-collector"))))
	meter := provider.Meter("scope", metric.WithInstrumentationVersion("1"))
	counter, err := meter.Int64Counter("requests", metric.WithUnit("{request}"))
	require.NoError(t, err)
	counter.Add(t.Context(), 2, metric.WithAttributes(attribute.String("a", "x"), attribute.Int("n", 5), attribute.Bool("b", true), attribute.Float64("f", 0.5), attribute.StringSlice("s", []string{"y"})))
	counter.Add(t.Context(), 3, metric.WithAttributes(attribute.String("a", "x"), attribute.Int("n", 5), attribute.Bool("b", true), attribute.Float64("f", 0.5), attribute.StringSlice("s", []string{"y"})))
	gauge, err := meter.Float64Gauge("level")
	require.NoError(t, err)
	gauge.Record(t.Context(), 1.5)
	hist, err := meter.Int64Histogram("sizes", metric.WithExplicitBucketBoundaries(10, 100))
	require.NoError(t, err)
	for _, v := range []int64{5, 50, 60, 500} {
		hist.Record(t.Context(), v)
	}
	var rm metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &rm))

	md := metricsOf(&rm)
	name, _ := md.ResourceMetrics().At(0).Resource().Attributes().Get("service.name")
	require.Equal(t, "agenttrail-collector", name.Str())
	sm := md.ResourceMetrics().At(0).ScopeMetrics().At(0)
	require.Equal(t, "scope", sm.Scope().Name())
	require.Equal(t, 3, sm.Metrics().Len())
	sum := sm.Metrics().At(0).Sum()
	require.True(t, sum.IsMonotonic())
	require.Equal(t, pmetric.AggregationTemporalityCumulative, sum.AggregationTemporality())
	p := sum.DataPoints().At(0)
	require.Equal(t, int64(5), p.IntValue())
	require.NotZero(t, p.Timestamp())
	require.NotZero(t, p.StartTimestamp())
	require.Equal(t, map[string]any{"a": "x", "n": int64(5), "b": true, "f": 0.5, "s": `["y"]`}, p.Attributes().AsRaw())
	require.InDelta(t, 1.5, sm.Metrics().At(1).Gauge().DataPoints().At(0).DoubleValue(), 0)
	h := sm.Metrics().At(2).Histogram().DataPoints().At(0)
	require.Equal(t, uint64(4), h.Count())
	require.InDelta(t, 615, h.Sum(), 0)
	require.Equal(t, []uint64{1, 2, 1}, h.BucketCounts().AsRaw())
	require.Equal(t, []float64{10, 100}, h.ExplicitBounds().AsRaw())
	require.InDelta(t, 500, h.Max(), 0)
}

func TestNoMetrics(t *testing.T) {
	t.Parallel()
	require.Zero(t, metricsOf(&metricdata.ResourceMetrics{}).DataPointCount())
	require.NoError(t, componenttest.CheckConfigStruct(NewFactory(nil).CreateDefaultConfig()))
}
