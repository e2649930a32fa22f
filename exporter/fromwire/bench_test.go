package fromwire

import (
	"fmt"
	"maps"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	logspb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	metricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracespb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/agenttrail/agenttrail/exporter/record"
)

// mix returns a request with at least n records: what real emitters sent, over and over, each time with other ids.
func mix(tb testing.TB, name string, n int) []byte {
	tb.Helper()
	requests := recorded(tb, name)
	names := slices.Sorted(maps.Keys(requests))
	var b []byte // Requests that follow each other are one request.
	for round, records := 0, 0; records < n; round++ {
		for _, k := range names {
			one, count := renamed(tb, name, requests[k], byte(round))
			b = append(b, one...)
			if records += count; records >= n {
				break
			}
		}
	}
	return b
}

// oneService returns a request with n spans of 11 to 13 attributes, among those that real emitters sent, of one resource and scope: what a
// busy service sends.
func oneService(tb testing.TB, n int) []byte {
	tb.Helper()
	td, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(mix(tb, "traces", 1000))
	require.NoError(tb, err)
	out := ptrace.NewTraces()
	td.ResourceSpans().At(0).Resource().CopyTo(out.ResourceSpans().AppendEmpty().Resource())
	ss := out.ResourceSpans().At(0).ScopeSpans().AppendEmpty()
	td.ResourceSpans().At(0).ScopeSpans().At(0).Scope().CopyTo(ss.Scope())
	for ss.Spans().Len() < n {
		for _, rs := range td.ResourceSpans().All() {
			for _, from := range rs.ScopeSpans().All() {
				for _, s := range from.Spans().All() {
					if attrs := s.Attributes().Len(); attrs >= 11 && attrs <= 13 && ss.Spans().Len() < n {
						s.CopyTo(ss.Spans().AppendEmpty())
					}
				}
			}
		}
	}
	b, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(out)
	require.NoError(tb, err)
	return b
}

// renamed changes the ids of traces and says how many records there are.
func renamed(tb testing.TB, name string, b []byte, round byte) (changed []byte, records int) {
	tb.Helper()
	switch name {
	case "traces":
		td, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(b)
		require.NoError(tb, err)
		for _, rs := range td.ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				for _, s := range ss.Spans().All() {
					id := s.TraceID()
					id[3] = round
					s.SetTraceID(id)
				}
			}
		}
		changed, err = (&ptrace.ProtoMarshaler{}).MarshalTraces(td)
		require.NoError(tb, err)
		return changed, td.SpanCount()
	case "logs":
		ld, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(b)
		require.NoError(tb, err)
		return b, ld.LogRecordCount()
	default:
		md, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(b)
		require.NoError(tb, err)
		return b, md.DataPointCount()
	}
}

// ascending writes a request as encoders other than pdata's do, which put small field numbers first.
func ascending(tb testing.TB, name string, b []byte) []byte {
	tb.Helper()
	m := map[string]proto.Message{
		"traces":  &tracespb.ExportTraceServiceRequest{},
		"logs":    &logspb.ExportLogsServiceRequest{},
		"metrics": &metricspb.ExportMetricsServiceRequest{},
	}[name]
	require.NoError(tb, proto.Unmarshal(b, m))
	out, err := proto.Marshal(m)
	require.NoError(tb, err)
	return out
}

// decode decodes with both front ends, and says how many records there are.
type decode struct {
	wire, pdata func(b []byte) (int, error)
}

func decoders() map[string]decode {
	var t record.Traces
	var l record.Logs
	var m record.Metrics
	return map[string]decode{
		"traces": {
			func(b []byte) (int, error) { err := Traces(b, &t); return len(t.Spans), err },
			func(b []byte) (int, error) { err := referenceTraces(b, &t); return len(t.Spans), err },
		},
		"logs": {
			func(b []byte) (int, error) { err := Logs(b, &l); return len(l.Records), err },
			func(b []byte) (int, error) { err := referenceLogs(b, &l); return len(l.Records), err },
		},
		"metrics": {
			func(b []byte) (int, error) { err := Metrics(b, &m); return len(m.Points), err },
			func(b []byte) (int, error) { err := referenceMetrics(b, &m); return len(m.Points), err },
		},
	}
}

func TestDecodingAllocatesNothing(t *testing.T) {
	for _, s := range signals {
		b := mix(t, s.name, 1000)
		d := decoders()[s.name].wire
		require.Zero(t, testing.AllocsPerRun(10, func() {
			_, err := d(b)
			require.NoError(t, err)
		}), s.name)
	}
}

// BenchmarkDecode decodes requests of about the size of an SDK's batch and of a collector's, written by pdata and by
// protobuf's own encoder; and, to compare, the same through pdata.
func BenchmarkDecode(b *testing.B) {
	for _, n := range []int{500, 8000} {
		for _, s := range signals {
			compare(b, s.name, fmt.Sprintf("%s=%d", s.name, n), mix(b, s.name, n))
		}
		compare(b, "traces", fmt.Sprintf("one-service=%d", n), oneService(b, n))
	}
}

func compare(b *testing.B, signal, name string, descending []byte) {
	b.Helper()
	d := decoders()[signal]
	for _, order := range []struct {
		name    string
		request []byte
	}{{"descending", descending}, {"ascending", ascending(b, signal, descending)}} {
		b.Run(name+"/"+order.name+"/wire", func(b *testing.B) { benchmark(b, order.request, d.wire) })
		b.Run(name+"/"+order.name+"/pdata", func(b *testing.B) { benchmark(b, order.request, d.pdata) })
	}
}

func benchmark(b *testing.B, request []byte, f func([]byte) (int, error)) {
	b.Helper()
	records, err := f(request)
	require.NoError(b, err)
	b.ReportAllocs()
	start := cpuTime(b)
	for b.Loop() {
		_, _ = f(request)
	}
	spent := cpuTime(b) - start
	b.ReportMetric(spent/float64(b.N*records), "cpu-ns/record")
	b.ReportMetric(float64(len(request))*float64(b.N)*1e3/spent, "cpu-MB/s")
}

// cpuTime returns the CPU time of the process, ns: unlike wall time it does not depend on what else runs.
func cpuTime(b *testing.B) float64 {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return float64(u.Utime.Nano() + u.Stime.Nano())
}
