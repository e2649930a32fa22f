package column

import (
	"github.com/agenttrail/agenttrail/exporter/record"
	"github.com/agenttrail/agenttrail/exporter/row"
)

// metricBlock holds rows of SystemMetrics.
type metricBlock struct {
	block
	id, timestamp, startedAt       fixed
	metric                         lowCardinality
	kind, temporality, monotonic   fixed
	value                          fixed
	unit, component                lowCardinality
	count, sum                     fixed
	min, max                       nullable
	boundEnds, countEnds, valueEnd offsets
	bounds, counts, values         fixed
	attributes, resourceAttributes attrMap
	scopeName, environment         lowCardinality
}

const (
	typeMetricKind        = "Enum8('gauge' = 1, 'sum' = 2, 'histogram' = 3, 'exponential_histogram' = 4, 'summary' = 5)"
	typeMetricTemporality = "Enum8('unspecified' = 0, 'delta' = 1, 'cumulative' = 2)"
)

func (b *metricBlock) init() {
	b.fields = []field{
		col("id", typeUUID, &b.id),
		col("timestamp", typeTime, &b.timestamp),
		col("startedAt", typeTime, &b.startedAt),
		col("metric", typeLowCardinality, &b.metric),
		col("kind", typeMetricKind, &b.kind),
		col("temporality", typeMetricTemporality, &b.temporality),
		col("monotonic", typeBool, &b.monotonic),
		col("value", typeFloat64, &b.value),
		col("unit", typeLowCardinality, &b.unit),
		col("component", typeLowCardinality, &b.component),
		col("count", typeUint64, &b.count),
		col("sum", typeFloat64, &b.sum),
		col("min", typeNullableFloat64, &b.min),
		col("max", typeNullableFloat64, &b.max),
		col("bounds", "Array("+typeFloat64+")", &array{off: &b.boundEnds, owns: true, elem: &b.bounds}),
		col("counts", "Array("+typeUint64+")", &array{off: &b.countEnds, owns: true, elem: &b.counts}),
		col("quantileValues", "Array("+typeFloat64+")", &array{off: &b.valueEnd, owns: true, elem: &b.values}),
		col("attributes", typeMap, &b.attributes),
		col("resourceAttributes", typeMap, &b.resourceAttributes),
		col("scopeName", typeLowCardinality, &b.scopeName),
		col("environment", typeLowCardinality, &b.environment),
	}
}

// Append adds a row. The order is that of the columns.
func (b *metricBlock) Append(m *row.Metric) {
	b.rows++
	b.id.addUUID(m.ID)
	b.timestamp.addInt64(m.Timestamp)
	b.startedAt.addInt64(m.StartedAt)
	b.metric.add(m.Metric)
	b.kind.addInt8(enumOr(int8(m.Kind), int8(record.MetricSummary), int8(record.MetricGauge))) //nolint:gosec // Checked.
	b.temporality.addUint8(knownOrZero(uint8(m.Temporality), uint8(record.TemporalityCumulative)))
	b.monotonic.addBool(m.Monotonic)
	b.value.addFloat64(m.Value)
	b.unit.add(m.Unit)
	b.component.add(m.Component)
	b.count.addUint64(m.Count)
	b.sum.addFloat64(m.Sum)
	b.min.addFloat64(m.Min.Value, m.Min.Known)
	b.max.addFloat64(m.Max.Value, m.Max.Known)
	addFloats(&b.bounds, &b.boundEnds, m.Bounds)
	for _, n := range m.Counts {
		b.counts.addUint64(n)
	}
	b.countEnds.end(len(m.Counts))
	addFloats(&b.values, &b.valueEnd, m.QuantileValues)
	b.attributes.add(m.Attributes)
	b.resourceAttributes.addShared(m.ResourceAttributes)
	b.scopeName.add(m.ScopeName)
	b.environment.add(m.Environment)
}

func addFloats(c *fixed, off *offsets, values []float64) {
	for _, v := range values {
		c.addFloat64(v)
	}
	off.end(len(values))
}
