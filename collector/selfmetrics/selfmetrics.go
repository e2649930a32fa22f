// Package selfmetrics is a receiver of the collector's own metrics: those that it also shows to Prometheus.
package selfmetrics

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/agenttrail/agenttrail/collector/internal/periodic"
)

// Type is the name of the receiver in configurations.
var Type = component.MustNewType("agenttrail_self")

// Config is what users set.
type Config struct {
	Periodic periodic.Config `mapstructure:",squash"`
}

// Gather reads the metrics of the collector into its argument. It leaves that empty when there are none.
type Gather func(context.Context, *metricdata.ResourceMetrics) error

// NewFactory returns the factory of the receiver.
func NewFactory(gather Gather) receiver.Factory {
	return receiver.NewFactory(Type,
		func() component.Config {
			return &Config{Periodic: periodic.Config{Enabled: true, CollectionInterval: 30 * time.Second}}
		},
		receiver.WithMetrics(func(_ context.Context, set receiver.Settings, cfg component.Config, next consumer.Metrics) (receiver.Metrics, error) {
			return periodic.New(set, cfg.(*Config).Periodic, next, func(ctx context.Context) (pmetric.Metrics, error) {
				var rm metricdata.ResourceMetrics
				err := gather(ctx, &rm)
				return metricsOf(&rm), err
			})
		}, component.StabilityLevelBeta),
	)
}

// metricsOf converts what the SDK tells.
func metricsOf(rm *metricdata.ResourceMetrics) pmetric.Metrics {
	md := pmetric.NewMetrics()
	to := md.ResourceMetrics().AppendEmpty()
	if rm.Resource != nil {
		put(to.Resource().Attributes(), rm.Resource.Iter())
	}
	for _, sm := range rm.ScopeMetrics {
		scope := to.ScopeMetrics().AppendEmpty()
		scope.Scope().SetName(sm.Scope.Name)
		scope.Scope().SetVersion(sm.Scope.Version)
		for _, m := range sm.Metrics {
			x := scope.Metrics().AppendEmpty()
			x.SetName(m.Name)
			x.SetDescription(m.Description)
			x.SetUnit(m.Unit)
			setData(x, m.Data)
		}
	}
	return md
}

func setData(to pmetric.Metric, data metricdata.Aggregation) {
	switch d := data.(type) {
	case metricdata.Gauge[int64]:
		setNumbers(to.SetEmptyGauge().DataPoints(), d.DataPoints)
	case metricdata.Gauge[float64]:
		setNumbers(to.SetEmptyGauge().DataPoints(), d.DataPoints)
	case metricdata.Sum[int64]:
		setNumbers(setSum(to, d.IsMonotonic, d.Temporality), d.DataPoints)
	case metricdata.Sum[float64]:
		setNumbers(setSum(to, d.IsMonotonic, d.Temporality), d.DataPoints)
	case metricdata.Histogram[int64]:
		setHistogram(to, d)
	case metricdata.Histogram[float64]:
		setHistogram(to, d)
	default: // The collector makes no others.
	}
}

func setSum(to pmetric.Metric, monotonic bool, t metricdata.Temporality) pmetric.NumberDataPointSlice {
	sum := to.SetEmptySum()
	sum.SetIsMonotonic(monotonic)
	sum.SetAggregationTemporality(temporality(t))
	return sum.DataPoints()
}

func temporality(t metricdata.Temporality) pmetric.AggregationTemporality {
	switch t {
	case metricdata.CumulativeTemporality:
		return pmetric.AggregationTemporalityCumulative
	case metricdata.DeltaTemporality:
		return pmetric.AggregationTemporalityDelta
	default:
		return pmetric.AggregationTemporalityUnspecified
	}
}

func setNumbers[N int64 | float64](to pmetric.NumberDataPointSlice, points []metricdata.DataPoint[N]) {
	for _, p := range points {
		x := to.AppendEmpty()
		x.SetStartTimestamp(stamp(p.StartTime))
		x.SetTimestamp(stamp(p.Time))
		put(x.Attributes(), p.Attributes.Iter())
		switch v := any(p.Value).(type) {
		case int64:
			x.SetIntValue(v)
		case float64:
			x.SetDoubleValue(v)
		}
	}
}

func setHistogram[N int64 | float64](to pmetric.Metric, d metricdata.Histogram[N]) {
	h := to.SetEmptyHistogram()
	h.SetAggregationTemporality(temporality(d.Temporality))
	for _, p := range d.DataPoints {
		x := h.DataPoints().AppendEmpty()
		x.SetStartTimestamp(stamp(p.StartTime))
		x.SetTimestamp(stamp(p.Time))
		put(x.Attributes(), p.Attributes.Iter())
		x.SetCount(p.Count)
		x.SetSum(float64(p.Sum))
		x.ExplicitBounds().FromRaw(p.Bounds)
		x.BucketCounts().FromRaw(p.BucketCounts)
		if v, ok := p.Min.Value(); ok {
			x.SetMin(float64(v))
		}
		if v, ok := p.Max.Value(); ok {
			x.SetMax(float64(v))
		}
	}
}

func stamp(t time.Time) pcommon.Timestamp {
	if t.IsZero() {
		return 0
	}
	return pcommon.NewTimestampFromTime(t)
}

func put(to pcommon.Map, attrs attribute.Iterator) {
	for attrs.Next() {
		kv := attrs.Attribute()
		switch kv.Value.Type() {
		case attribute.BOOL:
			to.PutBool(string(kv.Key), kv.Value.AsBool())
		case attribute.INT64:
			to.PutInt(string(kv.Key), kv.Value.AsInt64())
		case attribute.FLOAT64:
			to.PutDouble(string(kv.Key), kv.Value.AsFloat64())
		default:
			to.PutStr(string(kv.Key), kv.Value.String())
		}
	}
}
