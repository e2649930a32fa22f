package record

// MetricKind is the kind of a metric, numbered as in SystemMetrics.kind.
type MetricKind uint8

// The kinds of OTLP's metrics.proto.
const (
	MetricGauge                MetricKind = 1
	MetricSum                  MetricKind = 2
	MetricHistogram            MetricKind = 3
	MetricExponentialHistogram MetricKind = 4
	MetricSummary              MetricKind = 5
)

// Temporality says since when a sum or histogram counts, numbered as in the protocol.
type Temporality uint8

// The temporalities of OTLP's metrics.proto.
const (
	TemporalityUnspecified Temporality = iota
	TemporalityDelta
	TemporalityCumulative
)

// TemporalityOf reads a temporality off the wire; what the protocol does not define is unspecified.
func TemporalityOf(n int32) Temporality {
	if n < 0 || n > int32(TemporalityCumulative) {
		return TemporalityUnspecified
	}
	return Temporality(n)
}

// Metric is what the points that point to it have in common. Resource and Scope are indexes into the [Metrics] it
// belongs to. Metrics without any data are left out by the front ends.
type Metric struct {
	Name        string
	Unit        string
	Kind        MetricKind
	Temporality Temporality
	Monotonic   bool
	Resource    int
	Scope       int
}

// NumberKind says how to read [Point.Num].
type NumberKind uint8

// The kinds of numbers of gauges and sums.
const (
	NumberNone NumberKind = iota
	NumberInt
	NumberDouble
)

// Number is the value of a gauge or sum.
type Number struct {
	Kind   NumberKind
	Int    int64
	Double float64
}

// OptionalDouble is a number that may be absent.
type OptionalDouble struct {
	Value float64
	Known bool
}

// Buckets are the buckets of one sign of an exponential histogram: Counts[i] counts the values whose absolute value
// is in (base^(Offset+i), base^(Offset+i+1)], where base is 2^(2^-Scale).
type Buckets struct {
	Offset int32
	Counts []uint64
}

// Point is one point of a metric. Metric is an index into the [Metrics] it belongs to; the kind of that says which
// fields mean something. Exemplars are left out.
type Point struct {
	Metric      int
	Start, Time uint64 // ns since the epoch, 0: absent
	NoValue     bool   // The flag NO_RECORDED_VALUE: the series ends here, and the point has no value.
	Attrs       Attrs

	Num Number // Gauge, sum.

	Count    uint64         // Histograms, summary.
	Sum      OptionalDouble // Histograms; a summary always has one.
	Min, Max OptionalDouble // Histograms.

	// Histogram: the upper bounds of all buckets but the last, and what each has. Summary: the quantiles in Bounds and
	// the values at these in Values.
	Bounds []float64
	Counts []uint64
	Values []float64

	// Exponential histogram.
	Scale              int32
	ZeroCount          uint64
	ZeroThreshold      float64
	Positive, Negative Buckets
}

// Metrics is one OTLP metrics request.
type Metrics struct {
	Resources []Resource
	Scopes    []Scope
	Metrics   []Metric
	Points    []Point
	Arena
}

// Reset empties the request and keeps its memory for the next one.
func (m *Metrics) Reset() {
	m.Resources = recycle(m.Resources)
	m.Scopes = recycle(m.Scopes)
	m.Metrics = recycle(m.Metrics)
	m.Points = recycle(m.Points)
	m.Arena.Reset()
}
