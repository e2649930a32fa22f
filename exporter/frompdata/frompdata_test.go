package frompdata

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/agenttrail/agenttrail/exporter/record"
)

func TestValuesAsText(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		put  func(pcommon.Value)
		kind record.ValueKind
		text string
	}{
		"empty":    {func(pcommon.Value) {}, record.ValueEmpty, ""},
		"string":   {func(v pcommon.Value) { v.SetStr("a\"b") }, record.ValueString, `a"b`},
		"int":      {func(v pcommon.Value) { v.SetInt(math.MinInt64) }, record.ValueInt, "-9223372036854775808"},
		"bool":     {func(v pcommon.Value) { v.SetBool(true) }, record.ValueBool, "true"},
		"double":   {func(v pcommon.Value) { v.SetDouble(0.1) }, record.ValueDouble, "0.1"},
		"infinity": {func(v pcommon.Value) { v.SetDouble(math.Inf(-1)) }, record.ValueDouble, "-Infinity"},
		"bytes":    {func(v pcommon.Value) { v.SetEmptyBytes().FromRaw([]byte{0, 255}) }, record.ValueBytes, "AP8="},
		"no bytes": {func(v pcommon.Value) { v.SetEmptyBytes() }, record.ValueBytes, ""},
		"array": {func(v pcommon.Value) {
			s := v.SetEmptySlice()
			s.AppendEmpty().SetStr("é\x01\n\\\"")
			s.AppendEmpty().SetDouble(math.NaN())
			s.AppendEmpty()
			s.AppendEmpty().SetEmptyBytes().FromRaw([]byte("hi"))
			s.AppendEmpty().SetEmptyMap()
			s.AppendEmpty().SetInt(math.MaxInt64)
		}, record.ValueArray, `["é\u0001\n\\\"","NaN",null,"aGk=",{},9223372036854775807]`},
		"map in order": {func(v pcommon.Value) {
			m := v.SetEmptyMap()
			m.PutInt("z", 1)
			m.PutStr("a", "2")
			m.PutEmptySlice("s").AppendEmpty().SetBool(false)
		}, record.ValueMap, `{"z":1,"a":"2","s":[false]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			td := ptrace.NewTraces()
			span := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty()
			c.put(span.Attributes().PutEmpty("k"))
			var got record.Traces
			Traces(td, &got)
			v := got.Spans[0].Attrs[0].Value
			require.Equal(t, c.kind, v.Kind)
			require.Equal(t, c.text, string(v.AppendText(nil)))
			if c.kind == record.ValueArray || c.kind == record.ValueMap {
				require.True(t, json.Valid([]byte(c.text)))
			}
		})
	}
}

func TestDeepValuesAreCutShort(t *testing.T) {
	t.Parallel()
	ld := plog.NewLogs()
	v := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty().Body()
	for range 10_000 {
		v = v.SetEmptySlice().AppendEmpty()
	}
	var got record.Logs
	Logs(ld, &got)
	want := strings.Repeat("[", record.MaxDepth) + record.TooDeep + strings.Repeat("]", record.MaxDepth)
	require.Equal(t, want, got.Records[0].Body.Str)
	require.True(t, json.Valid([]byte(want)))
}

func TestRecordsPointToTheirResourceAndScope(t *testing.T) {
	t.Parallel()
	td := ptrace.NewTraces()
	for _, service := range []string{"a", "b"} {
		rs := td.ResourceSpans().AppendEmpty()
		rs.SetSchemaUrl("https://" + service)
		rs.Resource().Attributes().PutStr("service.name", service)
		for _, scope := range []string{"x", "y"} {
			ss := rs.ScopeSpans().AppendEmpty()
			ss.Scope().SetName(service + scope)
			s := ss.Spans().AppendEmpty()
			s.SetName(service + scope)
			s.SetKind(ptrace.SpanKind(99))
			s.Status().SetCode(ptrace.StatusCode(-4))
			s.Events().AppendEmpty().Attributes().PutStr("e", service)
			s.Links().AppendEmpty().SetSpanID(pcommon.SpanID{7})
		}
	}
	var got record.Traces
	for range 3 { // The second fills what the first left behind.
		Traces(td, &got)
		require.Len(t, got.Spans, 4)
		require.Len(t, got.Resources, 2)
		for _, s := range got.Spans {
			require.Equal(t, s.Name, got.Scopes[s.Scope].Name)
			require.Equal(t, s.Name[:1], got.Resources[s.Resource].Attrs[0].Value.Str)
			require.Equal(t, "https://"+s.Name[:1], got.Resources[s.Resource].SchemaURL)
			require.Equal(t, record.KindUnspecified, s.Kind, "unknown kinds are unspecified")
			require.Equal(t, record.StatusUnset, s.Status)
			require.Equal(t, s.Name[:1], s.Events[0].Attrs[0].Value.Str)
			require.Equal(t, [8]byte{7}, s.Links[0].SpanID)
		}
	}
}

func TestLogFields(t *testing.T) {
	t.Parallel()
	ld := plog.NewLogs()
	l := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	l.SetTimestamp(1)
	l.SetObservedTimestamp(2)
	l.SetSeverityNumber(plog.SeverityNumber(300))
	l.SetSeverityText("odd")
	l.SetEventName("e")
	l.SetTraceID(pcommon.TraceID{1})
	l.SetSpanID(pcommon.SpanID{2})
	l.Body().SetInt(5)
	var got record.Logs
	Logs(ld, &got)
	require.Equal(t, record.Log{
		Time: 1, Observed: 2, SeverityText: "odd", EventName: "e", TraceID: [16]byte{1}, SpanID: [8]byte{2}, Body: record.Int(5),
	}, got.Records[0], "a severity number out of range is absent")
}
