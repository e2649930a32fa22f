package mapping

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/agenttrail/agenttrail/exporter/frompdata"
	"github.com/agenttrail/agenttrail/exporter/record"
)

// FuzzTraces maps any request that pdata accepts. It must not panic, lose a span, or give other rows the second time,
// with a mapper that has seen other requests; and all texts must be valid UTF-8.
func FuzzTraces(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.traces.json")
	more, _ := filepath.Glob("testdata/recorded/*.traces.json")
	for _, name := range append(files, more...) {
		raw, err := os.ReadFile(name)
		require.NoError(f, err)
		if td, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(raw); err == nil {
			b, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(td)
			require.NoError(f, err)
			f.Add(b)
		}
	}
	used := New(Config{MaxAttributeBytes: 100, MaxBodyBytes: 100})
	f.Fuzz(func(t *testing.T, b []byte) {
		td, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(b)
		if err != nil {
			return
		}
		var in record.Traces
		frompdata.Traces(td, &in)
		first, second := &rows{}, &rows{}
		stats := used.Traces(&in, receivedAt, first)
		again := New(Config{MaxAttributeBytes: 100, MaxBodyBytes: 100}).Traces(&in, receivedAt, second)
		require.Equal(t, stats, again)
		require.Len(t, first.Spans, td.SpanCount())
		checkSame(t, first, second)
	})
}

// FuzzLogs is FuzzTraces for log records.
func FuzzLogs(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.logs.json")
	more, _ := filepath.Glob("testdata/recorded/*.logs.json")
	for _, name := range append(files, more...) {
		raw, err := os.ReadFile(name)
		require.NoError(f, err)
		if ld, err := (&plog.JSONUnmarshaler{}).UnmarshalLogs(raw); err == nil {
			b, err := (&plog.ProtoMarshaler{}).MarshalLogs(ld)
			require.NoError(f, err)
			f.Add(b)
		}
	}
	used := New(Config{MaxAttributeBytes: 100, MaxBodyBytes: 100})
	f.Fuzz(func(t *testing.T, b []byte) {
		ld, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(b)
		if err != nil {
			return
		}
		var in record.Logs
		frompdata.Logs(ld, &in)
		first, second := &rows{}, &rows{}
		stats := used.Logs(&in, receivedAt, first)
		again := New(Config{MaxAttributeBytes: 100, MaxBodyBytes: 100}).Logs(&in, receivedAt, second)
		require.Equal(t, stats, again)
		require.Len(t, first.Logs, ld.LogRecordCount())
		checkSame(t, first, second)
		ids := map[any]bool{}
		for _, l := range first.Logs {
			require.False(t, ids[l["id"]], "two log records with one id")
			ids[l["id"]] = true
		}
	})
}

// FuzzMetrics is FuzzTraces for metric points: those without a row are counted, and what is in a row can be stored.
func FuzzMetrics(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.metrics.json")
	more, _ := filepath.Glob("testdata/recorded/*.metrics.json")
	for _, name := range append(files, more...) {
		raw, err := os.ReadFile(name)
		require.NoError(f, err)
		if md, err := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(raw); err == nil {
			b, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(md)
			require.NoError(f, err)
			f.Add(b)
		}
	}
	used := New(Config{MaxAttributeBytes: 100, MaxBodyBytes: 100})
	f.Fuzz(func(t *testing.T, b []byte) {
		md, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(b)
		if err != nil {
			return
		}
		var in record.Metrics
		frompdata.Metrics(md, &in)
		first, second := &rows{}, &rows{}
		stats := used.Metrics(&in, receivedAt, first)
		again := New(Config{MaxAttributeBytes: 100, MaxBodyBytes: 100}).Metrics(&in, receivedAt, second)
		require.Equal(t, stats, again)
		checkSame(t, first, second)
		require.Len(t, first.Metrics, stats.Metrics)
		without := stats.Adjusted[ReasonNoValue] + stats.Adjusted[ReasonNotFinite]
		require.LessOrEqual(t, md.DataPointCount()-len(first.Metrics), int(without))
		ids := map[any]bool{}
		for _, r := range first.Metrics {
			require.False(t, ids[r["id"]], "two points with one id")
			ids[r["id"]] = true
			checkNumbers(t, r)
		}
	})
}

func checkNumbers(t *testing.T, r map[string]any) {
	t.Helper()
	all := []float64{}
	for _, k := range []string{"value", "sum", "min", "max"} {
		if v, ok := r[k].(float64); ok {
			all = append(all, v)
		}
	}
	bounds, _ := r["bounds"].([]float64)
	values, _ := r["quantileValues"].([]float64)
	for _, v := range slices.Concat(all, bounds, values) {
		require.True(t, finite(v), show(r))
	}
	counts, _ := r["counts"].([]uint64)
	switch r["kind"] {
	case "histogram", "exponential_histogram":
		require.Len(t, counts, len(bounds)+1)
		require.True(t, slices.IsSorted(bounds))
		if r["kind"] == "exponential_histogram" {
			require.LessOrEqual(t, len(bounds), 2*(maxBuckets+1)+2)
		}
	case "summary":
		require.Len(t, values, len(bounds))
		require.Empty(t, counts)
	default:
		require.Empty(t, bounds)
		require.Empty(t, counts)
	}
}

func checkSame(t *testing.T, first, second *rows) {
	t.Helper()
	require.Equal(t, first, second)
	checkText(t, first.Executions)
	checkText(t, first.Spans)
	checkText(t, first.Requests)
	checkText(t, first.Errors)
	checkText(t, first.Logs)
	checkText(t, first.Metrics)
	checkText(t, first.Security)
}

func checkText(t *testing.T, table []map[string]any) {
	t.Helper()
	for _, r := range table {
		for k, v := range r {
			switch v := v.(type) {
			case string:
				require.True(t, utf8.ValidString(v), k)
			case json.RawMessage:
				require.True(t, json.Valid(v), "%s: %s", k, v)
			case map[string]string:
				for name, s := range v {
					require.True(t, utf8.ValidString(name) && utf8.ValidString(s), k)
				}
			}
		}
	}
}

// FuzzNormalize checks that normalizing a message is total and never grows without bound.
func FuzzNormalize(f *testing.F) {
	f.Add("call to https://api.example.com/v1?x=1 failed: 'it' \"is\" 12 0xff 4f8a9c0d1e2b can't")
	f.Fuzz(func(t *testing.T, s string) {
		out := appendNormalized(nil, s)
		require.LessOrEqual(t, len(out), 6*len(s))
		splitType(withoutStack(s))
		if raw, ok := jsonMember(s, "a"); ok {
			require.Contains(t, s, raw)
		}
		appendJoined(nil, s)
		parseDecimal(s, 6)
		momentOf(record.String(s))
	})
}
