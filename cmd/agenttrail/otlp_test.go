package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

func tsOf(t time.Time) pcommon.Timestamp { return pcommon.NewTimestampFromTime(t) }

// TestOneRunByHand sends the run of the README and finds it again by its id.
func TestOneRunByHand(t *testing.T) {
	t.Parallel()
	in := startUp(t, t.TempDir())
	for signal, file := range map[string]string{"traces": "one-run.json", "logs": "one-run-logs.json"} {
		status, answer, err := in.post(signal, "application/json", example(t, file, "run-2026-0001"))
		require.NoError(t, err)
		require.Equal(t, 200, status, answer)
	}
	in.answers(t, "error\nexecution\nlog\nrequest\nspan", "SELECT DISTINCT source FROM agenttrail.ExecutionTrail(id = 'run-2026-0001') ORDER BY source FORMAT TSV")
	require.Equal(t, "1", in.query(t, "SELECT count() FROM agenttrail.AgentExecution WHERE id = 'run-2026-0001' AND status = 'success'"))

	t.Run("BadInputHurtsNobody", func(t *testing.T) {
		t.Parallel()
		for name, body := range map[string][]byte{
			"NotProtobuf":   []byte("this is not protobuf"),
			"CutShort":      mustMarshal(t, oneSpan(func(ptrace.Span) {}))[:20],
			"HugeLength":    {0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f},
			"WrongWireType": {0x0d, 1, 2, 3, 4},
		} {
			status, answer, err := in.post("traces", "application/x-protobuf", body)
			require.NoError(t, err, name)
			require.GreaterOrEqual(t, status, 400, "%s: %s", name, answer)
			require.Less(t, status, 500, "%s: %s", name, answer)
		}
		strange := map[string]func(ptrace.Span){
			"no-ids":    func(s ptrace.Span) { s.SetTraceID(pcommon.TraceID{}); s.SetSpanID(pcommon.SpanID{}) },
			"epoch":     func(s ptrace.Span) { s.SetStartTimestamp(0); s.SetEndTimestamp(0) },
			"backwards": func(s ptrace.Span) { s.SetEndTimestamp(s.StartTimestamp() - 1_000_000) },
			"far-ahead": func(s ptrace.Span) { s.SetStartTimestamp(1<<64 - 2); s.SetEndTimestamp(1<<64 - 1) },
			"wrong-types": func(s ptrace.Span) {
				s.Attributes().PutDouble("gen_ai.agent.id", 1.5)
				s.Attributes().PutStr("gen_ai.usage.input_tokens", "many")
				s.Attributes().PutEmptySlice("gen_ai.operation.name")
			},
			"bad-utf8":     func(s ptrace.Span) { s.Attributes().PutStr("note", "a\xff\xfeb"); s.SetName("\xc3\x28") },
			"10-mb":        func(s ptrace.Span) { s.Attributes().PutStr("blob", strings.Repeat("x", 10<<20)) },
			"deep":         func(s ptrace.Span) { nest(s.Attributes().PutEmptyMap("deep"), 60) },
			"empty-values": func(s ptrace.Span) { s.Attributes().PutEmpty("gen_ai.agent.name"); s.Attributes().PutEmpty("") },
		}
		for name, change := range strange {
			body := mustMarshal(t, oneSpan(change, name))
			status, answer, err := in.post("traces", "application/x-protobuf", body)
			require.NoError(t, err, name)
			require.Equal(t, 200, status, "%s: %s", name, answer)
			in.answers(t, "1", fmt.Sprintf("SELECT count() FROM agenttrail.AgentExecution WHERE id = 'neighbor-of-%s'", name), name)
			in.answers(t, "2", fmt.Sprintf("SELECT count() FROM agenttrail.Span WHERE attributes['case'] = '%s'", name), name)
		}
		require.Equal(t, "1", in.query(t, "SELECT count() FROM agenttrail.AgentExecution WHERE id = 'run-2026-0001'"))
	})
}

// oneSpan is a request with one span that is changed and a neighbor that is not.
func oneSpan(change func(ptrace.Span), name ...string) ptrace.Traces {
	td := ptrace.NewTraces()
	spans := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans()
	id := strings.Join(name, "")
	odd, neighbor := spans.AppendEmpty(), spans.AppendEmpty()
	addRun(odd, "odd-"+id, 1)
	odd.Attributes().PutStr("case", id)
	change(odd)
	addRun(neighbor, "neighbor-of-"+id, 2)
	neighbor.Attributes().PutStr("case", id)
	return td
}

func nest(m pcommon.Map, depth int) {
	for range depth {
		m = m.PutEmptyMap("m")
	}
	m.PutStr("leaf", "x")
}

func mustMarshal(t *testing.T, td ptrace.Traces) []byte {
	t.Helper()
	body, err := ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
	require.NoError(t, err)
	return body
}
