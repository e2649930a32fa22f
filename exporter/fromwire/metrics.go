package fromwire

import "github.com/agenttrail/agenttrail/exporter/record"

// addMetric decodes a metric. Its name may come after its points, so it is added last; one without data is left out.
func addMetric(m *record.Metrics, r *reader, resource, scope int) {
	end := r.open()
	points := len(m.Points)
	meta := record.Metric{Resource: resource, Scope: scope}
	for r.next() {
		switch r.num {
		case 1:
			meta.Name = r.text()
		case 2: // Description.
			r.bytes()
		case 3:
			meta.Unit = r.text()
		case 5, 7, 9, 10, 11:
			// One of these is the data. The last one wins, and nothing of those before remains.
			m.Points = cut(m.Points, points)
			meta.Kind, meta.Temporality, meta.Monotonic = kindOf(r.num), record.TemporalityUnspecified, false
			decodeData(m, r, &meta)
		case 12: // Metadata.
			check(r, messageKeyValue)
		default:
			r.skip()
		}
	}
	if meta.Kind != 0 {
		m.Metrics = append(m.Metrics, meta)
	}
	r.close(end, "Metric")
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

// decodeData decodes a Gauge, Sum, Histogram, ExponentialHistogram or Summary, which meta.Kind tells.
func decodeData(m *record.Metrics, r *reader, meta *record.Metric) {
	end := r.open()
	hasTemporality := meta.Kind != record.MetricGauge && meta.Kind != record.MetricSummary
	for r.next() {
		switch {
		case r.num == 1:
			addPoint(m, r, meta.Kind)
		case r.num == 2 && hasTemporality:
			meta.Temporality = record.TemporalityOf(r.enum())
		case r.num == 3 && meta.Kind == record.MetricSum:
			meta.Monotonic = r.varint() != 0
		default:
			r.skip()
		}
	}
	r.close(end, dataNames[meta.Kind])
}

var dataNames = [...]string{
	record.MetricGauge:                "Gauge",
	record.MetricSum:                  "Sum",
	record.MetricHistogram:            "Histogram",
	record.MetricExponentialHistogram: "ExponentialHistogram",
	record.MetricSummary:              "Summary",
}

// addPoint decodes a point of the metric that is about to be added.
func addPoint(m *record.Metrics, r *reader, kind record.MetricKind) {
	m.Points = append(m.Points, record.Point{Metric: len(m.Metrics)})
	a, p := &m.Arena, &m.Points[len(m.Points)-1]
	switch kind {
	case record.MetricGauge, record.MetricSum:
		decodeNumber(a, r, p)
	case record.MetricHistogram:
		decodeHistogram(a, r, p)
	case record.MetricExponentialHistogram:
		decodeExponential(a, r, p)
	default:
		decodeSummary(a, r, p)
	}
}

// noValue reads the flags of a point: the first one says that it has no value.
func noValue(flags uint64) bool { return flags&1 != 0 }
