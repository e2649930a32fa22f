package mapping

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
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

func checkSame(t *testing.T, first, second *rows) {
	t.Helper()
	require.Equal(t, first, second)
	checkText(t, first.Executions)
	checkText(t, first.Spans)
	checkText(t, first.Requests)
	checkText(t, first.Errors)
	checkText(t, first.Logs)
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
