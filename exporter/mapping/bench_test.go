package mapping

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/agenttrail/agenttrail/exporter/frompdata"
	"github.com/agenttrail/agenttrail/exporter/record"
	"github.com/agenttrail/agenttrail/exporter/row"
)

// nothing is a sink that does nothing.
type nothing struct{}

func (nothing) Execution(*row.Execution) {}
func (nothing) Span(*row.Span)           {}
func (nothing) Log(*row.Log)             {}
func (nothing) Request(*row.Request)     {}
func (nothing) Error(*row.Error)         {}
func (nothing) Metric(*row.Metric)       {}

func (nothing) SecurityEvent(*row.SecurityEvent) {}

// mix is a request with n copies of typical traces, each with ids of its own: a request that starts a run with three
// steps and a tool, a run with nested runs, one that fails, and one of plain HTTP spans.
func mix(tb testing.TB, n int) ptrace.Traces {
	tb.Helper()
	all := ptrace.NewTraces()
	for k := range n {
		for i, name := range []string{"own-around-ai-sdk", "genai-v1.36", "same-exception", "http-old-names"} {
			raw, err := os.ReadFile("testdata/handmade-" + name + ".traces.json")
			require.NoError(tb, err)
			td, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(raw)
			require.NoError(tb, err)
			for _, rs := range td.ResourceSpans().All() {
				for _, ss := range rs.ScopeSpans().All() {
					for _, s := range ss.Spans().All() {
						id := s.TraceID()
						id[0], id[1], id[2] = byte(k), byte(k>>8), byte(i+1)
						s.SetTraceID(id)
					}
				}
			}
			td.ResourceSpans().MoveAndAppendTo(all.ResourceSpans())
		}
	}
	return all
}

// allocsAfter is [testing.AllocsPerRun] of 20 runs, after so many that shapes of attributes are known.
func allocsAfter(runs int, f func()) float64 {
	for range runs {
		f()
	}
	return testing.AllocsPerRun(20, f)
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	var in record.Traces
	td := mix(t, 20)
	m := New(Config{})
	require.Zero(t, allocsAfter(40, func() {
		frompdata.Traces(td, &in)
		m.Traces(&in, receivedAt, nothing{})
	}))

	raw, err := os.ReadFile("testdata/handmade-logs.logs.json")
	require.NoError(t, err)
	ld, err := (&plog.JSONUnmarshaler{}).UnmarshalLogs(raw)
	require.NoError(t, err)
	var logs record.Logs
	require.Zero(t, allocsAfter(40, func() {
		frompdata.Logs(ld, &logs)
		m.Logs(&logs, receivedAt, nothing{})
	}))

	raw, err = os.ReadFile("testdata/handmade-metrics.metrics.json")
	require.NoError(t, err)
	md, err := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(raw)
	require.NoError(t, err)
	var metrics record.Metrics
	require.Zero(t, allocsAfter(40, func() {
		frompdata.Metrics(md, &metrics)
		m.Metrics(&metrics, receivedAt, nothing{})
	}))
}

// BenchmarkMapping maps requests of about the size of an SDK's batch and of a collector's.
func BenchmarkMapping(b *testing.B) {
	for _, n := range []int{27, 430} {
		td := mix(b, n)
		spans := td.SpanCount()
		b.Run(fmt.Sprintf("spans=%d", spans), func(b *testing.B) {
			var in record.Traces
			frompdata.Traces(td, &in)
			m := New(Config{})
			m.Traces(&in, receivedAt, nothing{})
			b.ReportAllocs()
			start := cpuTime(b)
			for b.Loop() {
				m.Traces(&in, receivedAt, nothing{})
			}
			b.ReportMetric((cpuTime(b)-start)/float64(b.N*spans), "cpu-ns/span")
		})
	}
}

func BenchmarkFromPdata(b *testing.B) {
	td := mix(b, 500)
	var in record.Traces
	spans := td.SpanCount()
	b.ReportAllocs()
	start := cpuTime(b)
	for b.Loop() {
		frompdata.Traces(td, &in)
	}
	b.ReportMetric((cpuTime(b)-start)/float64(b.N*spans), "cpu-ns/span")
}

func BenchmarkMappingLogs(b *testing.B) {
	ld := plog.NewLogs()
	sl := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty()
	for i := range 8000 {
		l := sl.LogRecords().AppendEmpty()
		l.SetTimestamp(pcommon.Timestamp(1795460690000000000 + i))
		l.SetSeverityNumber(plog.SeverityNumberInfo)
		l.Body().SetStr(fmt.Sprintf("tool call %d finished", i))
		l.Attributes().PutStr("user.id", "u-1")
		l.Attributes().PutStr("session.id", "s-1")
		l.Attributes().PutInt("duration_ms", 12)
		l.Attributes().PutStr("tool", "search")
	}
	var in record.Logs
	frompdata.Logs(ld, &in)
	m := New(Config{})
	b.ReportAllocs()
	start := cpuTime(b)
	for b.Loop() {
		m.Logs(&in, receivedAt, nothing{})
	}
	b.ReportMetric((cpuTime(b)-start)/float64(b.N*8000), "cpu-ns/record")
}

// BenchmarkMappingMetrics maps what services of a marketplace would send: mostly histograms of durations.
func BenchmarkMappingMetrics(b *testing.B) {
	md := pmetric.NewMetrics()
	sm := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty()
	const n = 8000
	for i := range n {
		x := sm.Metrics().AppendEmpty()
		x.SetName("gen_ai.client.operation.duration")
		p := x.SetEmptyHistogram().DataPoints().AppendEmpty()
		p.SetTimestamp(pcommon.Timestamp(1795460690000000000 + i))
		p.SetCount(20)
		p.SetSum(12.5)
		p.ExplicitBounds().FromRaw([]float64{0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92})
		p.BucketCounts().FromRaw(make([]uint64, 15))
		p.Attributes().PutStr("gen_ai.operation.name", "chat")
		p.Attributes().PutStr("gen_ai.request.model", "m-1")
	}
	var in record.Metrics
	frompdata.Metrics(md, &in)
	m := New(Config{})
	b.ReportAllocs()
	start := cpuTime(b)
	for b.Loop() {
		m.Metrics(&in, receivedAt, nothing{})
	}
	b.ReportMetric((cpuTime(b)-start)/float64(b.N*n), "cpu-ns/point")
}

// cpuTime returns the CPU time of the process, ns: unlike wall time it does not depend on what else runs.
func cpuTime(tb testing.TB) float64 {
	tb.Helper()
	var u syscall.Rusage
	require.NoError(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return float64(u.Utime.Nano() + u.Stime.Nano())
}
