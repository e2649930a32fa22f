package agenttrailexporter

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/agenttrail/agenttrail/exporter/direct"
)

// allocsPerSpan is how many times memory may be allocated for a span, from the bytes of its request until its rows are
// durable in the journal. Past pdata it is what a request needs, spread over its spans: 0.25 to 0.35 when this was
// written. Through pdata it is what pdata's decoder needs for these spans: 42.
var allocsPerSpan = map[string]float64{"past pdata": 0.75, "through pdata": 44}

// allocsByRaceDetector is what the race detector adds, since it makes pools forget.
const allocsByRaceDetector = 2

// manySpans returns requests of what real emitters sent, all with the same spans, each with trace ids of its own.
func manySpans(t *testing.T, n int) (bodies [][]byte, spans int) {
	t.Helper()
	all := ptraceotlp.NewExportRequest()
	for _, s := range samples(t) {
		if s.signal == direct.SignalTraces {
			one := ptraceotlp.NewExportRequest()
			require.NoError(t, one.UnmarshalProto(s.body))
			one.Traces().ResourceSpans().MoveAndAppendTo(all.Traces().ResourceSpans())
		}
	}
	for i := range n {
		for _, rs := range all.Traces().ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				for _, s := range ss.Spans().All() {
					id := s.TraceID()
					id[2], id[3] = byte(i>>8), byte(i)
					s.SetTraceID(id)
				}
			}
		}
		b, err := all.MarshalProto()
		require.NoError(t, err)
		bodies = append(bodies, b)
	}
	return bodies, all.Traces().SpanCount()
}

// TestASpanAllocatesLittle is not parallel, since it counts what the process allocates. Garbage is not collected
// meanwhile, since that makes pools forget.
func TestASpanAllocatesLittle(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	const warmUp, measured = 10, 40
	for way, send := range map[string]frontEnd{"through pdata": throughPdata, "past pdata": overwriting} {
		ch := newRecorder(t)
		a := runAll(t, ch.URL)
		bodies, spans := manySpans(t, warmUp+measured)
		push := func(bodies [][]byte) {
			for _, b := range bodies {
				n, err := send(t, a, direct.SignalTraces, b)
				require.NoError(t, err)
				require.Equal(t, spans, n)
			}
		}
		push(bodies[:warmUp])
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		push(bodies[warmUp:])
		runtime.ReadMemStats(&after)
		total := float64(measured * spans)
		allocs := float64(after.Mallocs-before.Mallocs) / total
		t.Logf("%s: %.3f allocations and %.0f bytes per span, %.0f allocations per request of %d spans",
			way, allocs, float64(after.TotalAlloc-before.TotalAlloc)/total, allocs*float64(spans), spans)
		limit := allocsPerSpan[way]
		if raceDetector {
			limit += allocsByRaceDetector
		}
		require.LessOrEqual(t, allocs, limit, way)
		require.Equal(t, map[string]int64{"": warmUp + measured}, a.counted("requests"), "none was a duplicate")
		a.shutdown(t)
	}
}
