package mapping

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/agenttrail/agenttrail/exporter/record"
	"github.com/agenttrail/agenttrail/exporter/row"
)

// metricFacts is what the rows of the points of one metric have in common.
type metricFacts struct {
	name, unit, scope string
	hash              id128
}

// Metrics maps the metric points of a request and hands the rows to the sink, one per point. A point without a value
// gives no row; that is counted. Sums and histograms stay what they are, cumulative or delta: rates are made by who
// asks, because the previous point may be in another request.
func (m *Mapper) Metrics(r *record.Metrics, received time.Time, sink row.Sink) Stats {
	m.begin(received, r.Resources, r.Scopes)
	m.ordinals = m.ordinals[:0]
	m.ordIndex.reset(len(r.Points))
	m.metrics = m.metrics[:0]
	for i := range r.Metrics {
		m.metrics = append(m.metrics, m.readMetric(r, &r.Metrics[i]))
	}
	for i := range r.Points {
		m.emitMetric(r, &r.Points[i], sink)
	}
	m.release()
	return m.stats
}

func (m *Mapper) readMetric(r *record.Metrics, x *record.Metric) metricFacts {
	scope, res := &r.Scopes[x.Scope], &m.resources[x.Resource]
	b := appendText(m.idScratch[:0], domainMetric)
	b = binary.LittleEndian.AppendUint64(b, res.hash.low)
	b = binary.LittleEndian.AppendUint64(b, res.hash.high)
	b = appendText(b, scope.Name)
	b = appendText(b, scope.Version)
	b = appendAttrs(b, scope.Attrs)
	b = appendText(b, x.Name)
	b = appendText(b, x.Unit)
	b = append(b, byte(x.Kind), byte(x.Temporality), boolByte(x.Monotonic))
	m.idScratch = b
	return metricFacts{name: m.name(x.Name), unit: m.name(x.Unit), scope: m.name(scope.Name), hash: hash128(b)}
}

func (m *Mapper) emitMetric(r *record.Metrics, p *record.Point, sink row.Sink) {
	meta, facts := &r.Metrics[p.Metric], &m.metrics[p.Metric]
	res := &m.resources[meta.Resource]
	x := &m.metric
	*x = row.Metric{}
	if !m.setValues(x, meta, p) {
		return
	}
	attrs := m.scan(&m.v, p.Attrs)
	if p.Time == 0 {
		m.stats.Adjusted[ReasonMissingTime]++
	}
	at, original := m.instant(p.Time)
	x.ID = m.pointID(facts, p)
	x.Timestamp = at
	x.StartedAt = m.startOf(p)
	x.Metric, x.Unit, x.ScopeName = facts.name, facts.unit, facts.scope
	x.Kind, x.Temporality, x.Monotonic = meta.Kind, meta.Temporality, meta.Monotonic
	x.Component = res.service
	x.Environment = m.environmentOf(res, m.scopes[meta.Scope])
	x.Attributes = m.withOriginal(attrs, original)
	x.ResourceAttributes = res.attrs
	m.stats.Metrics++
	sink.Metric(x)
}

// startOf returns since when a point counts, 0 when it does not say or cannot be right.
func (m *Mapper) startOf(p *record.Point) int64 {
	if p.Start > m.latest {
		m.stats.Adjusted[ReasonFutureTime]++
		return 0
	}
	return int64(p.Start) //nolint:gosec // In range, see above.
}

// setValues sets the numbers of a row. It returns false when the point has none that can be stored.
func (m *Mapper) setValues(x *row.Metric, meta *record.Metric, p *record.Point) bool {
	if p.NoValue {
		m.stats.Adjusted[ReasonNoValue]++
		return false
	}
	switch meta.Kind {
	case record.MetricGauge, record.MetricSum:
		return m.setNumber(x, p)
	case record.MetricHistogram:
		m.setTotals(x, p)
		x.Bounds, x.Counts = m.explicitBuckets(p)
	case record.MetricExponentialHistogram:
		m.setTotals(x, p)
		x.Bounds, x.Counts = m.exponentialBuckets(p)
	case record.MetricSummary:
		m.setTotals(x, p)
		x.Bounds, x.QuantileValues = m.quantiles(p)
	default:
		m.stats.Adjusted[ReasonNoValue]++
		return false
	}
	return true
}

func (m *Mapper) setNumber(x *row.Metric, p *record.Point) bool {
	switch p.Num.Kind {
	case record.NumberInt:
		x.Value = float64(p.Num.Int)
		// 2^63 is the one value of a float64 that an int64 rounds to and does not hold.
		if x.Value >= 1<<63 || int64(x.Value) != p.Num.Int {
			m.stats.Adjusted[ReasonRounded]++
		}
		return true
	case record.NumberDouble:
		if !finite(p.Num.Double) {
			m.stats.Adjusted[ReasonNotFinite]++
			return false
		}
		x.Value = p.Num.Double
		return true
	default:
		m.stats.Adjusted[ReasonNoValue]++
		return false
	}
}

// setTotals sets what histograms and summaries have beside their buckets. An emitter that observed NaN or an infinity
// sends a sum that is one; its count and buckets are still true.
func (m *Mapper) setTotals(x *row.Metric, p *record.Point) {
	x.Count = p.Count
	x.Sum = m.orUnknown(p.Sum).Value
	x.Min, x.Max = m.orUnknown(p.Min), m.orUnknown(p.Max)
	if x.Count > 0 {
		x.Value = x.Sum / float64(x.Count)
	}
}

func (m *Mapper) orUnknown(d record.OptionalDouble) record.OptionalDouble {
	if !d.Known {
		return record.OptionalDouble{}
	}
	if !finite(d.Value) {
		m.stats.Adjusted[ReasonNotFinite]++
		return record.OptionalDouble{}
	}
	return d
}

// quantiles returns the quantiles of a summary and the values at them. Prometheus clients give NaN for a quantile of
// no values; such pairs are left out.
func (m *Mapper) quantiles(p *record.Point) (quantiles, values []float64) {
	n := min(len(p.Bounds), len(p.Values))
	bad := 0
	for i := range n {
		if !finite(p.Bounds[i]) || !finite(p.Values[i]) {
			bad++
		}
	}
	if bad == 0 {
		return p.Bounds[:n], p.Values[:n]
	}
	m.stats.Adjusted[ReasonNotFinite] += uint64(bad)
	keep := func(of []float64) []float64 {
		dst := m.arena.Floats()
		for i := range n {
			if finite(p.Bounds[i]) && finite(p.Values[i]) {
				dst = append(dst, of[i])
			}
		}
		return m.arena.TakeFloats(dst)
	}
	return keep(p.Bounds), keep(p.Values)
}

// pointID is computed from all that the point tells; equal points of one request differ by their ordinal.
func (m *Mapper) pointID(facts *metricFacts, p *record.Point) row.UUID {
	b := appendText(m.idScratch[:0], domainMetric)
	b = binary.LittleEndian.AppendUint64(b, facts.hash.low)
	b = binary.LittleEndian.AppendUint64(b, facts.hash.high)
	b = binary.LittleEndian.AppendUint64(b, p.Start)
	b = binary.LittleEndian.AppendUint64(b, p.Time)
	b = appendAttrs(b, p.Attrs)
	b = append(b, byte(p.Num.Kind))
	b = binary.LittleEndian.AppendUint64(b, uint64(p.Num.Int)) //nolint:gosec // Two's complement.
	b = appendFloat(b, p.Num.Double)
	b = binary.LittleEndian.AppendUint64(b, p.Count)
	b = appendOptional(b, p.Sum)
	b = appendOptional(b, p.Min)
	b = appendOptional(b, p.Max)
	b = appendFloats(b, p.Bounds)
	b = appendCounts(b, p.Counts)
	b = appendFloats(b, p.Values)
	b = binary.LittleEndian.AppendUint32(b, uint32(p.Scale)) //nolint:gosec // Two's complement.
	b = binary.LittleEndian.AppendUint64(b, p.ZeroCount)
	b = appendFloat(b, p.ZeroThreshold)
	for _, s := range []*record.Buckets{&p.Positive, &p.Negative} {
		b = binary.LittleEndian.AppendUint32(b, uint32(s.Offset)) //nolint:gosec // Two's complement.
		b = appendCounts(b, s.Counts)
	}
	m.idScratch = b
	return m.distinct(hash128(b))
}

func appendFloat(dst []byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(f))
}

func appendOptional(dst []byte, d record.OptionalDouble) []byte {
	return appendFloat(append(dst, boolByte(d.Known)), d.Value)
}

func appendFloats(dst []byte, s []float64) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	for _, f := range s {
		dst = appendFloat(dst, f)
	}
	return dst
}

func appendCounts(dst []byte, s []uint64) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	for _, n := range s {
		dst = binary.LittleEndian.AppendUint64(dst, n)
	}
	return dst
}

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }
