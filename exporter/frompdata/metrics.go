package frompdata

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/agenttrail/agenttrail/exporter/record"
)

// Metrics fills dst with the metric points of md, in their order. dst is reset first; its strings alias md.
func Metrics(md pmetric.Metrics, dst *record.Metrics) {
	dst.Reset()
	a := &dst.Arena
	for _, rm := range md.ResourceMetrics().All() {
		dst.Resources = append(dst.Resources, resource(a, rm.Resource(), rm.SchemaUrl()))
		for _, sm := range rm.ScopeMetrics().All() {
			dst.Scopes = append(dst.Scopes, scope(a, sm.Scope()))
			for _, m := range sm.Metrics().All() {
				metric(m, dst)
			}
		}
	}
}

// metric adds a metric with its points.
func metric(m pmetric.Metric, dst *record.Metrics) {
	meta := record.Metric{Name: m.Name(), Unit: m.Unit(), Resource: len(dst.Resources) - 1, Scope: len(dst.Scopes) - 1}
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		meta.Kind = record.MetricGauge
		numbers(m.Gauge().DataPoints(), dst)
	case pmetric.MetricTypeSum:
		meta.Kind = record.MetricSum
		meta.Temporality, meta.Monotonic = temporality(m.Sum().AggregationTemporality()), m.Sum().IsMonotonic()
		numbers(m.Sum().DataPoints(), dst)
	case pmetric.MetricTypeHistogram:
		meta.Kind, meta.Temporality = record.MetricHistogram, temporality(m.Histogram().AggregationTemporality())
		histograms(m.Histogram().DataPoints(), dst)
	case pmetric.MetricTypeExponentialHistogram:
		meta.Kind, meta.Temporality = record.MetricExponentialHistogram, temporality(m.ExponentialHistogram().AggregationTemporality())
		exponentialHistograms(m.ExponentialHistogram().DataPoints(), dst)
	case pmetric.MetricTypeSummary:
		meta.Kind = record.MetricSummary
		summaries(m.Summary().DataPoints(), dst)
	default: // No data.
		return
	}
	dst.Metrics = append(dst.Metrics, meta)
}

func temporality(t pmetric.AggregationTemporality) record.Temporality {
	return record.TemporalityOf(int32(t))
}

// pointOf is what the points of all kinds have.
type pointOf interface {
	StartTimestamp() pcommon.Timestamp
	Timestamp() pcommon.Timestamp
	Flags() pmetric.DataPointFlags
	Attributes() pcommon.Map
}

// point begins a point of the metric that is about to be added.
func point[P pointOf](p P, dst *record.Metrics) record.Point {
	return record.Point{
		Metric:  len(dst.Metrics),
		Start:   uint64(p.StartTimestamp()),
		Time:    uint64(p.Timestamp()),
		NoValue: p.Flags().NoRecordedValue(),
		Attrs:   attrs(&dst.Arena, p.Attributes()),
	}
}

func numbers(ps pmetric.NumberDataPointSlice, dst *record.Metrics) {
	for _, p := range ps.All() {
		r := point(p, dst)
		switch p.ValueType() {
		case pmetric.NumberDataPointValueTypeInt:
			r.Num = record.Number{Kind: record.NumberInt, Int: p.IntValue()}
		case pmetric.NumberDataPointValueTypeDouble:
			r.Num = record.Number{Kind: record.NumberDouble, Double: p.DoubleValue()}
		default: // No value.
		}
		dst.Points = append(dst.Points, r)
	}
}

func histograms(ps pmetric.HistogramDataPointSlice, dst *record.Metrics) {
	a := &dst.Arena
	for _, p := range ps.All() {
		r := point(p, dst)
		r.Count = p.Count()
		r.Sum = record.OptionalDouble{Value: p.Sum(), Known: p.HasSum()}
		r.Min = record.OptionalDouble{Value: p.Min(), Known: p.HasMin()}
		r.Max = record.OptionalDouble{Value: p.Max(), Known: p.HasMax()}
		r.Bounds = a.TakeFloats(appendFloats(a.Floats(), p.ExplicitBounds()))
		r.Counts = a.TakeCounts(appendCounts(a.Counts(), p.BucketCounts()))
		dst.Points = append(dst.Points, r)
	}
}

func exponentialHistograms(ps pmetric.ExponentialHistogramDataPointSlice, dst *record.Metrics) {
	a := &dst.Arena
	for _, p := range ps.All() {
		r := point(p, dst)
		r.Count = p.Count()
		r.Sum = record.OptionalDouble{Value: p.Sum(), Known: p.HasSum()}
		r.Min = record.OptionalDouble{Value: p.Min(), Known: p.HasMin()}
		r.Max = record.OptionalDouble{Value: p.Max(), Known: p.HasMax()}
		r.Scale, r.ZeroCount, r.ZeroThreshold = p.Scale(), p.ZeroCount(), p.ZeroThreshold()
		r.Positive, r.Negative = buckets(a, p.Positive()), buckets(a, p.Negative())
		dst.Points = append(dst.Points, r)
	}
}

func buckets(a *record.Arena, b pmetric.ExponentialHistogramDataPointBuckets) record.Buckets {
	return record.Buckets{Offset: b.Offset(), Counts: a.TakeCounts(appendCounts(a.Counts(), b.BucketCounts()))}
}

func summaries(ps pmetric.SummaryDataPointSlice, dst *record.Metrics) {
	a := &dst.Arena
	for _, p := range ps.All() {
		r := point(p, dst)
		r.Count = p.Count()
		r.Sum = record.OptionalDouble{Value: p.Sum(), Known: true}
		floats := a.Floats()
		for _, q := range p.QuantileValues().All() {
			floats = append(floats, q.Quantile())
		}
		r.Bounds = a.TakeFloats(floats)
		floats = a.Floats()
		for _, q := range p.QuantileValues().All() {
			floats = append(floats, q.Value())
		}
		r.Values = a.TakeFloats(floats)
		dst.Points = append(dst.Points, r)
	}
}

func appendFloats(dst []float64, s pcommon.Float64Slice) []float64 {
	for i := range s.Len() {
		dst = append(dst, s.At(i))
	}
	return dst
}

func appendCounts(dst []uint64, s pcommon.UInt64Slice) []uint64 {
	for i := range s.Len() {
		dst = append(dst, s.At(i))
	}
	return dst
}
