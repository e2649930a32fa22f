package fromwire

import (
	"bytes"
	"encoding/binary"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/exporter/record"
)

// TestDeepValuesTakeNoStack is not parallel, because the limit is the whole program's: a stack that grows beyond ends it.
func TestDeepValuesTakeNoStack(t *testing.T) {
	defer debug.SetMaxStack(debug.SetMaxStack(256 << 10))
	const depth = 200_000
	cutAt := func(n int) string { return strings.Repeat("[", n) + record.TooDeep + strings.Repeat("]", n) }
	var traces record.Traces
	array := deep(depth, nil)
	require.NoError(t, Traces(record1(msg(9, msg(2, array))), &traces))
	require.Equal(t, cutAt(record.MaxDepth), traces.Spans[0].Attrs[0].Value.Str)
	require.NoError(t, Traces(record1(pair(9, "k", msg(6, pair(1, "in a map", array)))), &traces))
	require.Equal(t, `{"in a map":`+cutAt(record.MaxDepth-1)+`}`, traces.Spans[0].Attrs[0].Value.Str)
	var metrics record.Metrics
	require.NoError(t, Metrics(metric1(5, msg(5, pair(7, "in an exemplar", array))), &metrics))
	require.Len(t, metrics.Points, 1)

	var e *Error
	require.ErrorAs(t, Traces(record1(msg(9, msg(2, deep(depth, []byte{1})))), &traces), &e)
	require.Equal(t, "ArrayValue", e.Message)
}

// deep is an array in an array and so on, as the field of an AnyValue, with innermost in the innermost one. It is written from the
// inside to the outside, and turned around in the end, for the sake of time.
func deep(depth int, innermost []byte) []byte {
	reversed := slices.Clone(innermost)
	slices.Reverse(reversed)
	for i := range 2*depth - 1 {
		head := binary.AppendUvarint([]byte{[]byte{0x2a, 0x0a}[i%2]}, uint64(len(reversed)))
		slices.Reverse(head)
		reversed = append(reversed, head...)
	}
	slices.Reverse(reversed)
	return reversed
}

// TestWorkGrowsWithTheRequestOnly has requests for which a decoder that goes over things again and again would need time and
// memory that grow with the square of their size: at their sizes, very much of both.
func TestWorkGrowsWithTheRequestOnly(t *testing.T) {
	t.Parallel()
	const n = 30_000
	times := func(b []byte) []byte { return bytes.Repeat(b, n) }
	for name, c := range map[string]struct {
		request []byte
		attrs   int // how many the records have
	}{
		"a resource in pieces":             {msg(1, times(msg(1, pair(1, "k")))), n},
		"a scope in pieces":                {msg(1, msg(2, times(msg(1, pair(3, "k"))))), n},
		"attributes between events":        {record1(times(join(pair(9, "k"), msg(11, pair(3, "e"))))), 2 * n},
		"a value in pieces":                {record1(msg(9, times(msg(2, msg(5, msg(1)))))), 1},
		"a value in pieces, in a map":      {record1(msg(9, msg(2, msg(6, msg(1, times(msg(2, msg(5, msg(1))))))))), 1},
		"the last value counts":            {record1(msg(9, msg(2, times(msg(5, msg(1)))))), 1},
		"the last value counts, in a list": {record1(msg(9, msg(2, msg(5, msg(1, times(str(1, "value"))))))), 1},
		"old scopes beside a new one":      {msg(1, msg(2), times(msg(1000, msg(1, pair(3, "k")))), times(msg(1))), n},
		"many resources":                   {times(msg(1, msg(1, pair(1, "k")))), n},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got record.Traces
			require.NoError(t, Traces(c.request, &got))
			require.LessOrEqual(t, got.AttrMark(), 2*c.attrs, "every attribute is decoded twice at most")
			require.LessOrEqual(t, len(got.Text()), 2*len(c.request))
			require.True(t, newComparer().requireTraces(t, c.request))
		})
	}
	for name, request := range map[string][]byte{
		"buckets in pieces":             metric1(10, times(join(msg(8, num(2, 1)), msg(9, num(2, 1))))),
		"packed numbers replace others": metric1(9, times(str(6, "12345678"))),
		"the last data counts":          record1(times(msg(5, msg(1, pair(7, "k"))))),
		"many quantiles":                metric1(11, times(msg(6, dbl(1, 1)))),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got record.Metrics
			require.NoError(t, Metrics(request, &got))
			require.LessOrEqual(t, len(got.Counts()), 4*n)
			require.LessOrEqual(t, len(got.Floats()), 2*n)
			require.Len(t, got.Points, 1)
			require.True(t, newComparer().requireMetrics(t, request))
		})
	}
}

// TestNothingIsLeftBehind: what was taken back must not keep a request alive until the memory is used again.
func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	var traces record.Traces
	old := msg(1000, msg(1, str(1, "name")), msg(2, str(5, "name")))
	require.NoError(t, Traces(msg(1, msg(2, msg(2, str(5, "name"))), old, old), &traces))
	require.Len(t, traces.Spans, 1)
	require.GreaterOrEqual(t, cap(traces.Spans), 3)
	requireZero(t, traces.Spans)
	requireZero(t, traces.Scopes)
	require.Error(t, Traces(record1(str(5, "name"), str(1, "no id")), &traces))
	require.Empty(t, traces.Spans)
	requireZero(t, traces.Spans)

	var logs record.Logs
	require.NoError(t, Logs(msg(1, msg(2), msg(1000, msg(2, str(12, "name")), msg(2, str(12, "name")))), &logs))
	require.NotZero(t, cap(logs.Records))
	requireZero(t, logs.Records)
	require.Error(t, Logs(record1(str(12, "name"), str(9, "no id")), &logs))
	requireZero(t, logs.Records)

	var metrics record.Metrics
	points := join(msg(1, pair(7, "key")), msg(1, pair(7, "key")))
	for _, request := range [][]byte{
		record1(msg(5, points), msg(7)),
		msg(1, msg(2, msg(2, msg(7))), msg(1000, msg(2, str(1, "name"), msg(5, points)))),
	} {
		require.NoError(t, Metrics(request, &metrics))
		require.Len(t, metrics.Metrics, 1)
		require.Empty(t, metrics.Points)
		require.GreaterOrEqual(t, cap(metrics.Points), 2)
		requireZero(t, metrics.Points)
		requireZero(t, metrics.Metrics)
	}
	require.Error(t, Metrics(join(record1(str(1, "name"), msg(5, points)), record1(msg(5, fix(1, 1)))), &metrics))
	requireZero(t, metrics.Points)
	requireZero(t, metrics.Metrics)
}

// requireZero requires that nothing is behind the end of s, where there is room.
func requireZero[T any](t *testing.T, s []T) {
	t.Helper()
	for i := range s[len(s):cap(s)] {
		require.Zero(t, s[len(s):cap(s)][i])
	}
}

func TestStringsAliasTheRequest(t *testing.T) {
	t.Parallel()
	b := record1(str(5, "name"), pair(9, "key", str(1, "value")), pair(9, "bytes", str(7, "value")), pair(9, strings.Repeat("k", 200), str(1, "value")))
	var got record.Traces
	require.NoError(t, Traces(b, &got))
	s := got.Spans[0]
	texts := []string{s.Name}
	for _, a := range s.Attrs {
		texts = append(texts, a.Key, a.Value.Str)
	}
	require.Len(t, texts, 7)
	for _, text := range texts {
		i := bytes.Index(b, []byte(text))
		found := false
		for ; i >= 0 && i < len(b); i++ {
			found = found || unsafe.StringData(text) == &b[i]
		}
		require.True(t, found, text)
	}
}

// TestOrderOfFields: pdata writes fields in descending order, protobuf's own encoder in ascending order.
func TestOrderOfFields(t *testing.T) {
	t.Parallel()
	for name, b := range recorded(t, "traces") {
		var descending, upwards record.Traces
		require.NoError(t, Traces(b, &descending))
		turned := ascending(t, "traces", b)
		require.NotEqual(t, b, turned)
		require.NoError(t, Traces(turned, &upwards))
		requireSame(t, descending.Spans, upwards.Spans, name)
		requireSame(t, descending.Resources, upwards.Resources, name)
		requireSame(t, descending.Scopes, upwards.Scopes, name)
	}
	for name, b := range recorded(t, "metrics") {
		var descending, upwards record.Metrics
		require.NoError(t, Metrics(b, &descending))
		require.NoError(t, Metrics(ascending(t, "metrics", b), &upwards))
		requireSame(t, descending.Points, upwards.Points, name)
		requireSame(t, descending.Metrics, upwards.Metrics, name)
	}
	for name, b := range recorded(t, "logs") {
		var descending, upwards record.Logs
		require.NoError(t, Logs(b, &descending))
		require.NoError(t, Logs(ascending(t, "logs", b), &upwards))
		requireSame(t, descending.Records, upwards.Records, name)
	}
}
