package column

import (
	"fmt"
	"testing"
	"unsafe"

	"github.com/agenttrail/agenttrail/exporter/record"
	"github.com/agenttrail/agenttrail/exporter/row"
)

func unsafeString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// sample has a row of every table, with every field set; what differs with i is spread over the fields.
type sample struct {
	execution row.Execution
	span      row.Span
	log       row.Log
	request   row.Request
	err       row.Error
	metric    row.Metric
	security  row.SecurityEvent
}

func (s *sample) add(sink row.Sink) {
	sink.Execution(&s.execution)
	sink.Span(&s.span)
	sink.Log(&s.log)
	sink.Request(&s.request)
	sink.Error(&s.err)
	sink.Metric(&s.metric)
	sink.SecurityEvent(&s.security)
}

func addSample(sink row.Sink, i int) { newSample(i).add(sink) }

func newSample(i int) *sample {
	n := func(what string) string { return fmt.Sprintf("%s-%d", what, i) }
	f := func(what string) string { return fmt.Sprintf("%s-%d", what, i%5) }
	at := int64(1_790_000_000_123_456_789) + int64(i)
	traceID, spanID, parent := row.TraceID{1, byte(i), byte(i >> 8)}, row.SpanID{2, byte(i)}, row.SpanID{3, byte(i)}
	if i%3 == 0 {
		parent = row.SpanID{}
	}
	id := row.UUID{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0x7c, 0xde, 0x8f, 0x01, 0x23, 0x45, 0x67, 0x89, byte(i >> 8), byte(i)}
	cost := row.Cost{NanoUSD: -1_234_567_890 + int64(i), Known: i%2 == 0}
	if !cost.Known {
		cost.NanoUSD = 0
	}
	tokens := row.Tokens{Input: uint64(i), Output: 2, CacheRead: 3, CacheWrite: 4, Reasoning: 1<<64 - 1}
	var events []record.Event
	var links []record.Link
	for k := range i % 4 {
		events = append(events, record.Event{Time: uint64(at) + uint64(k), Name: f("event"), Attrs: attrs("k", k, n("own"), 1.5)})
		links = append(links, record.Link{TraceID: traceID, SpanID: spanID, Attrs: attrs("link", n("link"))})
	}
	var bounds, values []float64
	var counts []uint64
	for k := range i % 4 {
		bounds, counts, values = append(bounds, float64(k)), append(counts, uint64(k+i)), append(values, -float64(k))
	}
	counts = append(counts, 7)
	return &sample{
		execution: row.Execution{
			ID: n("run"), TraceID: traceID, SpanID: spanID, ParentSpanID: parent, ParentExecutionID: n("parent"),
			AgentID: f("agent"), AgentName: f("name"), AgentVersion: "1.2.3", UserID: n("user"), SessionID: n("session"),
			Status: row.Status(1 + i%4), StartedAt: at, Duration: 1.25 * float64(i), ResponseTime: 0.5, ProcessingTime: 2.5,
			QueueTime: 0.125, ErrorCode: f("code"), ErrorMessage: n("message"), HTTPStatus: 65535, CreditsConsumed: row.Credits(-1_500_000 + i),
			Model: f("model"), Provider: f("provider"), Tokens: tokens, Cost: cost, UserAgent: n("ua"), IPAddress: "::1",
			ServiceName: f("service"), Environment: f("env"), Dialect: "agenttrail", Attributes: attrs("a", n("x"), "b", i),
		},
		span: row.Span{
			TraceID: traceID, SpanID: spanID, ParentSpanID: parent, Name: f("span"), Kind: record.Kind(i % 6), StartedAt: at,
			Duration: 0.000001, Status: record.StatusCode(i % 3), StatusMessage: n("status"), AgentID: f("agent"), ExecutionID: n("run"),
			UserID: n("user"), SessionID: n("session"), Operation: f("op"), Model: f("model"), Provider: f("provider"), Tool: f("tool"),
			Tokens: tokens, Cost: cost, ServiceName: f("service"), Environment: f("env"), ScopeName: f("scope"), ScopeVersion: "2",
			ResourceAttributes: attrs("service.name", f("service"), "pid", i%2), Attributes: attrs("s", n("v"), "d", 0.5, "t", true),
			Events: events, Links: links,
		},
		log: row.Log{
			ID: id, Timestamp: at, ExecutionID: n("run"), AgentID: f("agent"), UserID: n("user"), SessionID: n("session"),
			TraceID: traceID, SpanID: spanID, Category: row.Category(1 + i%4), Level: row.Level(1 + i%4), Message: n("message"),
			Context: `{"scope":"x"}`, Metadata: attrs("m", n("v")), EventName: f("event"), SeverityNumber: uint8(i % 25),
			ServiceName: f("service"), Environment: f("env"), ResourceAttributes: attrs("service.name", f("service")),
		},
		request: row.Request{
			ID: id, Timestamp: at, Method: "POST", URL: n("http://x/"), Path: n("/p"), Route: f("/r"), HTTPStatus: 503, Duration: 3.5,
			RequestHeaders: attrs("accept", "a, b"), RequestBody: n("body"), ResponseHeaders: attrs("x", n("y")), ResponseBody: n("answer"),
			ErrorCode: f("code"), ErrorMessage: n("message"), AgentID: f("agent"), ExecutionID: n("run"), UserID: n("user"),
			SessionID: n("session"), IPAddress: "10.0.0.1", UserAgent: n("ua"), TraceID: traceID, SpanID: spanID,
			ServiceName: f("service"), Environment: f("env"),
		},
		err: row.Error{
			ID: id, Timestamp: at, ErrorCode: f("code"), ErrorType: f("type"), Severity: row.Severity(1 + i%3), Component: f("service"),
			AgentID: f("agent"), UserID: n("user"), ExecutionID: n("run"), TraceID: traceID, SpanID: spanID,
			Fingerprint: 1<<63 + uint64(i), Message: n("message"), Details: attrs("stack", n("at")), Environment: f("env"),
		},
		metric: row.Metric{
			ID: id, Timestamp: at, StartedAt: at - 5, Metric: f("metric"), Kind: record.MetricKind(1 + i%5), Temporality: record.Temporality(i % 3),
			Monotonic: i%2 == 1, Value: 0.1 * float64(i), Unit: "s", Component: f("service"), Count: uint64(i), Sum: 2.5,
			Min: record.OptionalDouble{Value: -float64(i), Known: i%2 == 0}, Max: record.OptionalDouble{Value: float64(i), Known: true},
			Bounds: bounds, Counts: counts, QuantileValues: values, Attributes: attrs("m", n("v")),
			ResourceAttributes: attrs("service.name", f("service")), ScopeName: f("scope"), Environment: f("env"),
		},
		security: row.SecurityEvent{
			ID: id, Timestamp: at, Type: f("auth"), Severity: row.Severity(i % 4), Outcome: row.Outcome(i % 4), Actor: n("actor"),
			UserID: n("user"), IPAddress: "10.0.0.1", UserAgent: n("ua"), Resource: n("resource"), Message: n("message"),
			Details: attrs("d", n("v")), TraceID: traceID, SpanID: spanID, ExecutionID: n("run"), Component: f("service"), Environment: f("env"),
		},
	}
}

func BenchmarkColumnAppend(b *testing.B) {
	for _, table := range []Table{TableSpan, TableAgentExecution, TableAgentLog} {
		b.Run(table.String(), func(b *testing.B) {
			s, samples := NewSet(), make([]*sample, 64)
			for i := range samples {
				samples[i] = newSample(i)
			}
			b.ReportAllocs()
			for i := range b.N {
				if i%8192 == 0 {
					s.Reset()
				}
				switch x := samples[i%len(samples)]; table {
				case TableSpan:
					s.Span(&x.span)
				case TableAgentExecution:
					s.Execution(&x.execution)
				default:
					s.Log(&x.log)
				}
				_ = s.Size(table)
			}
		})
	}
}

// BenchmarkEncode measures encoding and merging of blocks of 8192 rows; an operation is a row.
func BenchmarkEncode(b *testing.B) {
	part := NewSet()
	for i := range 8192 {
		addSample(part, i%64)
	}
	b.Run("native", func(b *testing.B) {
		var buf []byte
		b.ReportAllocs()
		for i := 0; i < b.N; i += 8192 {
			buf = part.AppendNative(buf[:0], TableSpan)
		}
		b.ReportMetric(float64(len(buf))/8192, "bytes/row")
	})
	b.Run("merge", func(b *testing.B) {
		merged := NewSet()
		b.ReportAllocs()
		for i := 0; i < b.N; i += 8192 {
			merged.Reset()
			merged.Merge(TableSpan, part)
		}
	})
}
