package fromwire

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/agenttrail/agenttrail/exporter/record"
)

func TestMetrics(t *testing.T) {
	t.Parallel()
	point := func(n uint64) []byte { return msg(1, fix(3, n)) }
	for name, c := range map[string]struct {
		fields  []byte // of the metric
		metrics []record.Metric
		points  []record.Point
	}{
		"without data": {join(str(1, "n"), str(3, "u")), nil, nil},
		"without points": {
			join(str(1, "n"), msg(5)),
			[]record.Metric{{Name: "n", Kind: record.MetricGauge}},
			nil,
		},
		"name after points": {
			join(msg(7, point(1), num(3, 1), num(2, 2), point(2)), pair(12, "metadata", num(3, 1)), str(3, "u"), str(2, "description"), str(1, "n")),
			[]record.Metric{{Name: "n", Unit: "u", Kind: record.MetricSum, Temporality: record.TemporalityCumulative, Monotonic: true}},
			[]record.Point{{Time: 1}, {Time: 2}},
		},
		"a histogram":                     {msg(9, num(2, 1)), []record.Metric{{Kind: record.MetricHistogram, Temporality: record.TemporalityDelta}}, nil},
		"an exponential histogram":        {msg(10, num(2, 1)), []record.Metric{{Kind: record.MetricExponentialHistogram, Temporality: record.TemporalityDelta}}, nil},
		"a summary":                       {msg(11, num(2, 1)), []record.Metric{{Kind: record.MetricSummary}}, nil},
		"a gauge has no temporality":      {msg(5, str(2, "unknown"), str(3, "unknown")), []record.Metric{{Kind: record.MetricGauge}}, nil},
		"a temporality that nobody knows": {msg(7, num(2, 3)), []record.Metric{{Kind: record.MetricSum}}, nil},
		"only the last data counts":       {join(msg(7, num(3, 1), num(2, 1), point(1), point(2)), msg(5, point(3))), []record.Metric{{Kind: record.MetricGauge}}, []record.Point{{Time: 3}}},
		"data of one kind is not joined":  {join(msg(7, num(3, 1), num(2, 1), point(1)), msg(7, point(2))), []record.Metric{{Kind: record.MetricSum}}, []record.Point{{Time: 2}}},
		"kinds that are gone are unknown": {join(msg(4, str(1, "x")), msg(6, str(1, "x")), msg(8, str(1, "x"))), nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := record1(c.fields)
			require.True(t, newComparer().requireMetrics(t, b))
			var got record.Metrics
			require.NoError(t, Metrics(b, &got))
			require.Equal(t, c.metrics, got.Metrics)
			require.Equal(t, c.points, got.Points)
		})
	}
}

func TestPointsTellTheirMetric(t *testing.T) {
	t.Parallel()
	gauge := func(name string, points ...[]byte) []byte { return msg(2, msg(5, points...), str(1, name)) }
	b := msg(1, msg(2, gauge("a", msg(1), msg(1)), msg(2, str(1, "no data")), gauge("b", msg(1))), msg(2, gauge("c", msg(1))))
	require.True(t, newComparer().requireMetrics(t, b))
	var got record.Metrics
	require.NoError(t, Metrics(b, &got))
	var names []string
	for _, p := range got.Points {
		names = append(names, got.Metrics[p.Metric].Name)
	}
	require.Equal(t, []string{"a", "a", "b", "c"}, names)
	require.Equal(t, 1, got.Metrics[2].Scope)
}

func TestPointsOfOldScopesBesideNewOnes(t *testing.T) {
	t.Parallel()
	scope := func(n protowire.Number, name string, points ...[]byte) []byte {
		return msg(n, msg(2, msg(5, points...), str(1, name)))
	}
	old, recent := scope(1000, "old", msg(1, fix(3, 1)), msg(1, fix(3, 2))), scope(2, "new", msg(1, fix(3, 3)))
	b := join(msg(1, old, recent), msg(1, recent, old), msg(1, old))
	require.True(t, newComparer().requireMetrics(t, b))
	var got record.Metrics
	require.NoError(t, Metrics(b, &got))
	var points []string
	for _, p := range got.Points {
		points = append(points, fmt.Sprint(got.Metrics[p.Metric].Name, p.Time))
	}
	require.Equal(t, []string{"new3", "new3", "old1", "old2"}, points)
	require.Len(t, got.Metrics, 3)
}

var (
	one, two = math.Float64bits(1), math.Float64bits(2)
	exemplar = join(fix(2, 1), dbl(3, 1), str(4, spanID), str(5, traceID), fix(6, 1), pair(7, "k", msg(5, msg(1, num(3, 1)))))

	everyNumberField      = metric1(5, fix(2, 1), fix(3, 2), dbl(4, 1.5), exemplarAt(5), exemplarAt(5), pair(7, "a"), num(8, 1))
	everyHistogramField   = metric1(9, fix(2, 1), fix(3, 2), fix(4, 3), dbl(5, 4), str(6, packed(5, 6)), str(7, packed(one)), exemplarAt(8), pair(9, "a"), num(10, 1), dbl(11, 7), dbl(12, 8))
	everyExponentialField = metric1(10, pair(1, "a"), fix(2, 1), fix(3, 2), fix(4, 3), dbl(5, 4), num(6, 3), fix(7, 5), msg(8, num(1, 4), str(2, "\x01\x80\x01")), msg(9, num(2, 7), num(2, 8), num(1, 1)), num(10, 1), exemplarAt(11), dbl(12, 7), dbl(13, 8), dbl(14, 9))
	everySummaryField     = metric1(11, fix(2, 1), fix(3, 2), fix(4, 3), dbl(5, 4), msg(6, dbl(1, 0.5), dbl(2, 5)), pair(7, "a"), msg(6, dbl(2, 6), dbl(1, 0.9)), msg(6), num(8, 1))
)

func exemplarAt(n protowire.Number) []byte { return msg(n, exemplar) }

func packed(numbers ...uint64) string {
	var b []byte
	for _, n := range numbers {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return string(b)
}

func TestPoints(t *testing.T) {
	t.Parallel()
	known := func(v float64) record.OptionalDouble { return record.OptionalDouble{Value: v, Known: true} }
	for name, c := range map[string]struct {
		request []byte
		want    record.Point
	}{
		"a number": {
			everyNumberField,
			record.Point{Start: 1, Time: 2, Num: record.Number{Kind: record.NumberDouble, Double: 1.5}, Attrs: attrs("a", record.Value{}), NoValue: true},
		},
		"an integer":              {metric1(7, fix(6, math.MaxUint64)), record.Point{Num: record.Number{Kind: record.NumberInt, Int: -1}}},
		"the last number counts":  {metric1(7, fix(6, 1), dbl(4, 2)), record.Point{Num: record.Number{Kind: record.NumberDouble, Double: 2}}},
		"other flags":             {metric1(7, num(8, 6)), record.Point{}},
		"labels of old protocols": {metric1(7, msg(1, str(1, "k"), str(2, "v"))), record.Point{}},
		"a histogram": {
			everyHistogramField,
			record.Point{Start: 1, Time: 2, Count: 3, Sum: known(4), Counts: []uint64{5, 6}, Bounds: []float64{1}, Attrs: attrs("a", record.Value{}), NoValue: true, Min: known(7), Max: known(8)},
		},
		"an optional number may be 0": {metric1(9, dbl(5, 0)), record.Point{Sum: known(0)}},
		"numbers that are not packed": {metric1(9, fix(7, one), fix(6, 1), fix(7, two), fix(6, 2)), record.Point{Counts: []uint64{1, 2}, Bounds: []float64{1, 2}}},
		"a histogram without buckets": {metric1(9, str(6, ""), str(7, "")), record.Point{}},
		"an exponential histogram": {
			everyExponentialField,
			record.Point{
				Start: 1, Time: 2, Count: 3, Sum: known(4), Attrs: attrs("a", record.Value{}), NoValue: true, Min: known(7), Max: known(8), Scale: -2, ZeroCount: 5, ZeroThreshold: 9,
				Positive: record.Buckets{Offset: 2, Counts: []uint64{1, 128}}, Negative: record.Buckets{Offset: -1, Counts: []uint64{7, 8}},
			},
		},
		"buckets in pieces": {
			metric1(10, msg(8, str(2, "\x01\x02"), num(1, 2)), msg(9, num(2, 7)), msg(8, num(2, 3), str(2, "\x04")), msg(8, num(1, 6)), msg(9, str(2, "\x08"))),
			record.Point{Positive: record.Buckets{Offset: 3, Counts: []uint64{1, 2, 3, 4}}, Negative: record.Buckets{Counts: []uint64{7, 8}}},
		},
		"a summary": {
			everySummaryField,
			record.Point{Start: 1, Time: 2, Count: 3, Sum: known(4), Bounds: []float64{0.5, 0.9, 0}, Values: []float64{5, 6, 0}, Attrs: attrs("a", record.Value{}), NoValue: true},
		},
		"a summary always has a sum": {metric1(11), record.Point{Sum: known(0)}},

		// What follows is odd, but is what pdata does: protobuf would join all of these numbers, and take the last 32 bits
		// of scale and offset.
		"scales and offsets count modulo 2^33": {
			metric1(10, num(6, 1<<33|4), msg(8, num(1, 1<<32|4)), msg(9, num(1, math.MaxUint64))),
			record.Point{Scale: 2, Positive: record.Buckets{Offset: math.MinInt32 + 2}},
		},
		"packed numbers replace others": {metric1(9, fix(6, 1), str(6, packed(2, 3)), str(6, packed(4)), fix(6, 5), fix(7, one), str(7, packed(two))), record.Point{Counts: []uint64{4, 5}, Bounds: []float64{2}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.True(t, newComparer().requireMetrics(t, c.request))
			var got record.Metrics
			require.NoError(t, Metrics(c.request, &got))
			require.Equal(t, []record.Point{c.want}, got.Points)
		})
	}
}
