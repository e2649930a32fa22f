package record_test

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/exporter/record"
)

// BenchmarkHash hashes requests of 512 records; an operation is a record.
func BenchmarkHash(b *testing.B) {
	const n = 512
	attrs := func(i, count int) record.Attrs {
		var a record.Attrs
		for k := range count {
			key := fmt.Sprintf("gen_ai.attribute.%d", k)
			if k%3 == 2 {
				a = append(a, record.Attr{Key: key, Value: record.Int(int64(i * k))})
				continue
			}
			a = append(a, record.Attr{Key: key, Value: record.String(fmt.Sprintf("value %d of %d", k, i%17))})
		}
		return a
	}
	resources := []record.Resource{{Attrs: attrs(0, 12)}}
	scopes := []record.Scope{{Name: "scope", Version: "1"}}
	spans := &record.Traces{Resources: resources, Scopes: scopes}
	bare := &record.Traces{Resources: resources, Scopes: scopes}
	logs := &record.Logs{Resources: resources, Scopes: scopes}
	points := &record.Metrics{Resources: resources, Scopes: scopes, Metrics: []record.Metric{{Name: "requests", Unit: "1", Kind: record.MetricSum}}}
	for i := range n {
		s := record.Span{
			TraceID: [16]byte{byte(i)}, SpanID: [8]byte{byte(i)}, ParentSpanID: [8]byte{1}, Name: "chat model", Kind: record.KindClient,
			Start: uint64(i), End: uint64(i) + 5, Attrs: attrs(i, 6),
		}
		bare.Spans = append(bare.Spans, s)
		s.Attrs = attrs(i, 20)
		s.Events = []record.Event{{Time: uint64(i), Name: "exception", Attrs: attrs(i, 3)}}
		s.Links = []record.Link{{TraceID: [16]byte{byte(i)}, SpanID: [8]byte{byte(i)}}}
		spans.Spans = append(spans.Spans, s)
		logs.Records = append(logs.Records, record.Log{Time: uint64(i), Observed: uint64(i), Severity: 9, Body: record.String("a message of some forty characters or so"), Attrs: attrs(i, 6)})
		points.Points = append(points.Points, record.Point{Time: uint64(i), Num: record.Number{Kind: record.NumberInt, Int: int64(i)}, Attrs: attrs(i, 6)})
	}
	for _, c := range []struct {
		name string
		of   request
	}{{"span with 6 attributes", bare}, {"span with 20 attributes, event, link", spans}, {"log with 6 attributes", logs}, {"point with 6 attributes", points}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			start := cpuTime(b)
			for i := 0; i < b.N; i += n {
				_ = c.of.Hash()
			}
			b.ReportMetric((cpuTime(b)-start)/float64(b.N), "cpu-ns/op")
		})
	}
	one := &record.Traces{Resources: resources, Scopes: scopes, Spans: bare.Spans[:1]}
	b.Run("request of one span", func(b *testing.B) {
		b.ReportAllocs()
		start := cpuTime(b)
		for range b.N {
			_ = one.Hash()
		}
		b.ReportMetric((cpuTime(b)-start)/float64(b.N), "cpu-ns/op")
	})
}

// cpuTime returns the CPU time of the process, ns: unlike wall time it does not depend on what else runs.
func cpuTime(b *testing.B) float64 {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return float64(u.Utime.Nano() + u.Stime.Nano())
}
