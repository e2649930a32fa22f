package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
)

// What each request of the load has: two runs of an agent, each of them called by HTTP and with steps.
const (
	loadRuns  = 2
	loadSpans = 50
)

// loadRequest is a request that was encoded once and is given new ids and times before it is sent. Encoding each anew
// would cost as much as the collector's work.
type loadRequest struct {
	body   []byte
	traces []int    // Where the numbers of requests stand in trace ids, 8 bytes.
	spans  []int    // In span ids and ids of parents, 6 bytes.
	runs   []int    // In ids of runs, 16 hexadecimal digits.
	times  []int    // Of 8 bytes of a time.
	after  []uint64 // What is added to the time of the request there, in nanoseconds.
}

const (
	loadMark    = 0x00a17a17a17a17a1 // The number of the request that is encoded.
	loadEpoch   = uint64(1 << 60)    // Its time.
	loadRunMark = "00a17a17a17a17a1"
)

func newLoadRequest() (*loadRequest, error) {
	body, err := ptraceotlp.NewExportRequestFromTraces(loadTraces()).MarshalProto()
	if err != nil {
		return nil, err
	}
	r := &loadRequest{body: body}
	if err := r.find(body, 0, 0); err != nil {
		return nil, err
	}
	for at := 0; ; {
		i := bytes.Index(body[at:], []byte(loadRunMark))
		if i < 0 {
			break
		}
		r.runs = append(r.runs, at+i)
		at += i + len(loadRunMark)
	}
	if len(r.traces) != loadSpans || len(r.spans) != 2*loadSpans-loadRuns || len(r.times) < 2*loadSpans || len(r.runs) != 2*loadRuns {
		return nil, fmt.Errorf("find ids in request: %d, %d, %d, %d", len(r.traces), len(r.spans), len(r.times), len(r.runs))
	}
	return r, nil
}

// find notes where ids and times are. Down to spans, the messages of ExportTraceServiceRequest nest in the fields 1
// (ResourceSpans), 2 (ScopeSpans) and 2 (Span).
func (r *loadRequest) find(message []byte, offset, depth int) error {
	nested := [...]protowire.Number{1, 2, 2}
	for at := 0; at < len(message); {
		number, typ, n := protowire.ConsumeTag(message[at:])
		if n < 0 {
			return protowire.ParseError(n)
		}
		at += n
		n = protowire.ConsumeFieldValue(number, typ, message[at:])
		if n < 0 {
			return protowire.ParseError(n)
		}
		value := message[at : at+n]
		switch {
		case depth < len(nested):
			if number == nested[depth] {
				content, _ := protowire.ConsumeBytes(value)
				if err := r.find(content, offset+at+n-len(content), depth+1); err != nil {
					return err
				}
			}
		case number == 1: // trace_id, 16 bytes after a length of one byte.
			r.traces = append(r.traces, offset+at+1)
		case (number == 2 || number == 4) && len(value) == 9: // span_id and parent_span_id
			r.spans = append(r.spans, offset+at+1)
		case number == 7 || number == 8: // start_time_unix_nano and end_time_unix_nano
			r.times = append(r.times, offset+at)
			r.after = append(r.after, binary.LittleEndian.Uint64(value)-loadEpoch)
		}
		at += n
	}
	return nil
}

// encode gives the request with a number, of a time.
func (r *loadRequest) encode(number uint64, now time.Time) []byte {
	body := bytes.Clone(r.body)
	for _, at := range r.traces {
		binary.BigEndian.PutUint64(body[at:], number)
	}
	var id [8]byte
	binary.BigEndian.PutUint64(id[:], number)
	for _, at := range r.spans {
		copy(body[at:], id[2:])
	}
	text := fmt.Appendf(nil, "%016x", number)
	for _, at := range r.runs {
		copy(body[at:], text)
	}
	for i, at := range r.times {
		binary.LittleEndian.PutUint64(body[at:], uint64(now.UnixNano())+r.after[i])
	}
	return body
}

// loadTraces is the request that is encoded.
func loadTraces() ptrace.Traces {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	res := rs.Resource().Attributes()
	res.PutStr("service.name", "agent-runtime")
	res.PutStr("service.version", "2.4.1")
	res.PutStr("service.namespace", "marketplace")
	res.PutStr("deployment.environment.name", "production")
	res.PutStr("host.name", "runtime-7f9c6d5b4-x2x9k")
	res.PutStr("telemetry.sdk.language", "python")
	ss := rs.ScopeSpans().AppendEmpty()
	ss.Scope().SetName("agent-runtime")
	ss.Scope().SetVersion("2.4.1")
	n := 0
	for run := range loadRuns {
		var trace pcommon.TraceID
		binary.BigEndian.PutUint64(trace[:], loadMark)
		trace[15] = byte(run + 1)
		add := func(name string, parent pcommon.SpanID, from, to time.Duration) ptrace.Span {
			n++
			var id pcommon.SpanID
			binary.BigEndian.PutUint64(id[:], (loadMark&(1<<48-1))<<16|uint64(n))
			s := ss.Spans().AppendEmpty()
			s.SetName(name)
			s.SetTraceID(trace)
			s.SetSpanID(id)
			s.SetParentSpanID(parent)
			s.SetStartTimestamp(pcommon.Timestamp(loadEpoch + uint64(from)))
			s.SetEndTimestamp(pcommon.Timestamp(loadEpoch + uint64(to)))
			return s
		}
		loadRun(add, fmt.Sprintf("run-%s-%d", loadRunMark, run), run)
	}
	return td
}

func loadRun(add func(name string, parent pcommon.SpanID, from, to time.Duration) ptrace.Span, id string, run int) {
	const step = 37 * time.Millisecond
	steps := loadSpans/loadRuns - 2
	request := add("POST /v1/agents/{agent}/runs", pcommon.SpanID{}, 0, time.Duration(steps+2)*step)
	request.SetKind(ptrace.SpanKindServer)
	a := request.Attributes()
	a.PutStr("http.request.method", "POST")
	a.PutStr("url.path", "/v1/agents/invoice-reader/runs")
	a.PutStr("http.route", "/v1/agents/{agent}/runs")
	a.PutInt("http.response.status_code", 200)
	a.PutStr("client.address", "203.0.113.77")
	a.PutStr("user_agent.original", "marketplace-app/5.1 (iOS 19.1)")
	a.PutStr("user.id", fmt.Sprintf("user-%d", 1000+run))
	a.PutStr("agenttrail.execution.id", id)

	agent := add("invoke_agent Invoice reader", request.SpanID(), step, time.Duration(steps+1)*step)
	a = agent.Attributes()
	a.PutStr("gen_ai.operation.name", "invoke_agent")
	a.PutStr("gen_ai.agent.id", "invoice-reader")
	a.PutStr("gen_ai.agent.name", "Invoice reader")
	a.PutStr("gen_ai.agent.version", "3.2.0")
	a.PutStr("gen_ai.provider.name", "openai")
	a.PutStr("gen_ai.request.model", "gpt-4o-mini")
	a.PutStr("gen_ai.conversation.id", "conversation-4711")
	a.PutStr("user.id", fmt.Sprintf("user-%d", 1000+run))
	a.PutInt("gen_ai.usage.input_tokens", 18234)
	a.PutInt("gen_ai.usage.output_tokens", 912)
	a.PutStr("agenttrail.execution.id", id)
	a.PutStr("agenttrail.credits", "1.250000")

	for i := range steps {
		from := time.Duration(i+1) * step
		if i%2 == 0 {
			s := add("chat gpt-4o-mini", agent.SpanID(), from, from+step)
			s.SetKind(ptrace.SpanKindClient)
			a := s.Attributes()
			a.PutStr("gen_ai.operation.name", "chat")
			a.PutStr("gen_ai.provider.name", "openai")
			a.PutStr("gen_ai.request.model", "gpt-4o-mini")
			a.PutStr("gen_ai.response.model", "gpt-4o-mini-2024-07-18")
			a.PutDouble("gen_ai.request.temperature", 0.2)
			a.PutInt("gen_ai.usage.input_tokens", int64(1500+i))
			a.PutInt("gen_ai.usage.output_tokens", int64(70+i))
			a.PutStr("server.address", "api.openai.com")
			a.PutEmptySlice("gen_ai.response.finish_reasons").AppendEmpty().SetStr("tool_calls")
			continue
		}
		s := add("execute_tool search_invoices", agent.SpanID(), from, from+step)
		a := s.Attributes()
		a.PutStr("gen_ai.operation.name", "execute_tool")
		a.PutStr("gen_ai.tool.name", "search_invoices")
		a.PutStr("gen_ai.tool.type", "function")
		a.PutStr("gen_ai.tool.call.id", fmt.Sprintf("call_%d_%d", run, i))
		a.PutStr("db.system.name", "postgresql")
		a.PutStr("db.query.text", "SELECT id, total, due FROM invoices WHERE customer = $1 ORDER BY due DESC LIMIT 50")
	}
}

// loadSent is what became of one request.
type loadSent struct {
	due     time.Time // When it was to be sent.
	acked   time.Time // Zero if it was not.
	latency time.Duration
	tries   int
}

// loadSender sends requests when they are due, whether or not earlier ones were answered: a slow answer delays no
// other request, and the time that a request waits here counts as part of its latency.
type loadSender struct {
	conns   []*grpc.ClientConn
	request *loadRequest
	rate    float64 // Requests per second.

	mu   sync.Mutex
	sent []loadSent // By number.
}

func newLoadSender(addr string, rate float64) (*loadSender, error) {
	request, err := newLoadRequest()
	if err != nil {
		return nil, err
	}
	s := &loadSender{request: request, rate: rate}
	for range 8 { // A few clients' connections.
		conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry())
		if err != nil {
			return nil, err
		}
		s.conns = append(s.conns, conn)
	}
	return s, nil
}

func (s *loadSender) close() {
	for _, c := range s.conns {
		_ = c.Close()
	}
}

// run sends until stop is closed, at random moments as many independent clients do, and waits for the answers.
func (s *loadSender) run(ctx context.Context, stop <-chan struct{}) {
	rng := rand.New(rand.NewPCG(1, 2))
	var requests sync.WaitGroup
	defer requests.Wait()
	for due := time.Now(); ; due = due.Add(time.Duration(rng.ExpFloat64() / s.rate * float64(time.Second))) {
		if wait := time.Until(due); wait > 0 {
			select {
			case <-time.After(wait):
			case <-stop:
				return
			}
		}
		select {
		case <-stop:
			return
		default:
		}
		s.mu.Lock()
		number := len(s.sent)
		s.sent = append(s.sent, loadSent{due: due})
		s.mu.Unlock()
		requests.Go(func() { s.send(ctx, number, due) })
	}
}

// send sends one request until it is acknowledged, with the same bytes, as SDKs do.
func (s *loadSender) send(ctx context.Context, number int, due time.Time) {
	body := s.request.encode(uint64(number)+1, due)
	conn := s.conns[number%len(s.conns)]
	for try := 1; ctx.Err() == nil; try++ {
		var answer []byte
		err := conn.Invoke(ctx, "/opentelemetry.proto.collector.trace.v1.TraceService/Export", &body, &answer, grpc.ForceCodecV2(loadCodec{}))
		now := time.Now()
		s.mu.Lock()
		s.sent[number].tries = try
		if err == nil {
			s.sent[number].acked, s.sent[number].latency = now, now.Sub(due)
		}
		s.mu.Unlock()
		if err == nil || !retryLater(ctx, err) {
			return
		}
	}
}

// retryLater waits as the answer says, and tells whether the request may be sent again.
func retryLater(ctx context.Context, err error) bool {
	st := status.Convert(err)
	wait := 500 * time.Millisecond
	asked := false
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok {
			wait, asked = info.GetRetryDelay().AsDuration(), true
		}
	}
	if st.Code() != codes.Unavailable && (st.Code() != codes.ResourceExhausted || !asked) {
		return false
	}
	select {
	case <-time.After(wait):
		return true
	case <-ctx.Done():
		return false
	}
}

// snapshot copies what became of the requests so far.
func (s *loadSender) snapshot() []loadSent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]loadSent(nil), s.sent...)
}

// loadCodec passes the bytes of messages as they are.
type loadCodec struct{}

func (loadCodec) Name() string { return "proto" }

func (loadCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (loadCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}
