package fromwire

import "github.com/agenttrail/agenttrail/exporter/record"

// metrics are the metrics of a request, with their points.
type metrics record.Metrics

func (m *metrics) names() (request, resource, scope string) {
	return "ExportMetricsServiceRequest", "ResourceMetrics", "ScopeMetrics"
}

func (m *metrics) size() size { return size{records: len(m.Metrics), points: len(m.Points)} }

func (m *metrics) drop(to size) {
	m.Metrics = cut(m.Metrics, to.records)
	m.Points = cut(m.Points, to.points)
}

// add decodes a metric. Its name may come after its points, so it is added last; one without data is left out.
func (m *metrics) add(r reader, resource, scope int) *Error {
	points := len(m.Points)
	meta := record.Metric{Resource: resource, Scope: scope}
	for r.next() {
		switch r.num {
		case 1:
			meta.Name = text(r.bytes())
		case 2: // Description.
			r.bytes()
		case 3:
			meta.Unit = text(r.bytes())
		case 5, 7, 9, 10, 11:
			// One of these is the data. The last one wins, and nothing of those before remains.
			m.Points = cut(m.Points, points)
			meta.Kind, meta.Temporality, meta.Monotonic = kindOf(r.num), record.TemporalityUnspecified, false
			r.within(m.data(r.message(), &meta))
		case 12: // Metadata.
			r.within(check(r.message(), messageKeyValue))
		default:
			r.skip()
		}
	}
	if meta.Kind != 0 && r.err == nil {
		m.Metrics = append(m.Metrics, meta)
	}
	return r.end("Metric")
}

// kindOf returns the kind of metric that the field of a Metric holds.
func kindOf(field int32) record.MetricKind {
	switch field {
	case 5:
		return record.MetricGauge
	case 7:
		return record.MetricSum
	case 9:
		return record.MetricHistogram
	case 10:
		return record.MetricExponentialHistogram
	default:
		return record.MetricSummary
	}
}

// data decodes a Gauge, Sum, Histogram, ExponentialHistogram or Summary, which meta.Kind tells.
func (m *metrics) data(r reader, meta *record.Metric) *Error {
	hasTemporality := meta.Kind != record.MetricGauge && meta.Kind != record.MetricSummary
	for r.next() {
		switch {
		case r.num == 1:
			r.within(m.point(r.message(), meta.Kind))
		case r.num == 2 && hasTemporality:
			meta.Temporality = record.TemporalityOf(int32(r.varint())) //nolint:gosec // pdata, too, takes enums modulo 2^32.
		case r.num == 3 && meta.Kind == record.MetricSum:
			meta.Monotonic = r.varint() != 0
		default:
			r.skip()
		}
	}
	return r.end(dataNames[meta.Kind])
}

var dataNames = [...]string{
	record.MetricGauge:                "Gauge",
	record.MetricSum:                  "Sum",
	record.MetricHistogram:            "Histogram",
	record.MetricExponentialHistogram: "ExponentialHistogram",
	record.MetricSummary:              "Summary",
}

// point decodes a point of the metric that is about to be added.
func (m *metrics) point(r reader, kind record.MetricKind) *Error {
	m.Points = append(m.Points, record.Point{Metric: len(m.Metrics)})
	a, p := &m.Arena, &m.Points[len(m.Points)-1]
	switch kind {
	case record.MetricGauge, record.MetricSum:
		return decodeNumber(a, r, p)
	case record.MetricHistogram:
		return decodeHistogram(a, r, p)
	case record.MetricExponentialHistogram:
		return decodeExponential(a, r, p)
	default:
		return decodeSummary(a, r, p)
	}
}

// noValue reads the flags of a point: the first one says that it has no value.
func noValue(flags uint64) bool { return flags&1 != 0 }
