package frompdata

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/agenttrail/agenttrail/exporter/record"
)

// fillAttributes puts a value of every type, so that all kinds of memory of the arena are in use.
func fillAttributes(m pcommon.Map) {
	m.PutStr("string", "text")
	m.PutInt("int", -1)
	m.PutDouble("double", 0.5)
	m.PutBool("bool", true)
	m.PutEmpty("empty")
	m.PutEmptyBytes("bytes").FromRaw([]byte{0, 1, 2})
	m.PutEmptySlice("list").AppendEmpty().SetStr("element")
	m.PutEmptyMap("map").PutInt("member", 3)
}

func sampleTraces() ptrace.Traces {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	fillAttributes(rs.Resource().Attributes())
	ss := rs.ScopeSpans().AppendEmpty()
	ss.Scope().SetName("scope")
	for _, name := range []string{"one", "two"} {
		s := ss.Spans().AppendEmpty()
		s.SetName(name)
		fillAttributes(s.Attributes())
		fillAttributes(s.Events().AppendEmpty().Attributes())
		s.Links().AppendEmpty().SetTraceID(pcommon.TraceID{1})
	}
	return td
}

func sampleLogs() plog.Logs {
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	fillAttributes(rl.Resource().Attributes())
	for range 2 {
		l := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
		fillAttributes(l.Body().SetEmptyMap())
		fillAttributes(l.Attributes())
	}
	return ld
}

func sampleMetrics() pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	fillAttributes(rm.Resource().Attributes())
	sm := rm.ScopeMetrics().AppendEmpty()
	h := sm.Metrics().AppendEmpty()
	h.SetName("latency")
	p := h.SetEmptyHistogram().DataPoints().AppendEmpty()
	p.ExplicitBounds().FromRaw([]float64{1, 2})
	p.BucketCounts().FromRaw([]uint64{3, 4, 5})
	fillAttributes(p.Attributes())
	e := sm.Metrics().AppendEmpty().SetEmptyExponentialHistogram().DataPoints().AppendEmpty()
	e.Positive().BucketCounts().FromRaw([]uint64{1, 2})
	sm.Metrics().AppendEmpty().SetEmptyGauge().DataPoints().AppendEmpty().SetIntValue(5)
	return md
}

// A request that is sent again arrives in other memory, and is read into memory that another request has used.
func TestTheSameRequestHasTheSameHash(t *testing.T) {
	t.Parallel()
	t.Run("traces", func(t *testing.T) {
		t.Parallel()
		td := sampleTraces()
		wire, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(td)
		require.NoError(t, err)
		again, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(wire)
		require.NoError(t, err)
		var first, second record.Traces
		Traces(td, &first)
		want := first.Hash()
		other := sampleTraces()
		other.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(1).Attributes().PutStr("string", "another text")
		Traces(other, &second)
		require.NotEqual(t, want, second.Hash())
		Traces(again, &second)
		require.Equal(t, want, second.Hash())
		require.Equal(t, want, first.Hash(), "a second time")
	})
	t.Run("logs", func(t *testing.T) {
		t.Parallel()
		ld := sampleLogs()
		wire, err := (&plog.ProtoMarshaler{}).MarshalLogs(ld)
		require.NoError(t, err)
		again, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(wire)
		require.NoError(t, err)
		var first, second record.Logs
		Logs(ld, &first)
		want := first.Hash()
		other := sampleLogs()
		other.ResourceLogs().At(0).ScopeLogs().At(1).LogRecords().At(0).Body().SetStr("text")
		Logs(other, &second)
		require.NotEqual(t, want, second.Hash())
		Logs(again, &second)
		require.Equal(t, want, second.Hash())
	})
	t.Run("metrics", func(t *testing.T) {
		t.Parallel()
		md := sampleMetrics()
		wire, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(md)
		require.NoError(t, err)
		again, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(wire)
		require.NoError(t, err)
		var first, second record.Metrics
		Metrics(md, &first)
		want := first.Hash()
		other := sampleMetrics()
		other.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Histogram().DataPoints().At(0).BucketCounts().SetAt(2, 6)
		Metrics(other, &second)
		require.NotEqual(t, want, second.Hash())
		Metrics(again, &second)
		require.Equal(t, want, second.Hash())
	})
}
