package faults

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

// request is one OTLP request, encoded once: a retry sends the same bytes.
type request struct {
	signal signal
	body   []byte
	rows   []rowKey // Of what it is made.
	done   bool     // Whether it was acknowledged.
}

// signal is the kind of a request.
type signal int

const (
	signalTraces signal = iota
	signalLogs
	signalMetrics
)

// rowKey names a row across all rounds.
type rowKey struct {
	table table
	id    string
}

// generator makes the requests of one sender. Their content depends on seed and sender alone, save the time.
type generator struct {
	seed   uint64
	sender uint64
	rng    *rand.Rand
	count  uint64
}

func newGenerator(seed, sender uint64) *generator {
	return &generator{seed: seed, sender: sender, rng: rand.New(rand.NewPCG(seed, sender))} //nolint:gosec // To be repeatable.
}

// service names what all rows of a round have in common.
func service(seed uint64) string { return fmt.Sprintf("round-%d", seed) }

// agentPrefix begins the ids of the agents of a round.
func agentPrefix(seed uint64) string { return fmt.Sprintf("round-%d-agent-", seed) }

func (g *generator) next() (*request, error) {
	size := 1 + g.rng.IntN(12)
	if g.rng.IntN(50) == 0 {
		size = 300 // Now and then one that is no trifle.
	}
	switch n := g.rng.IntN(10); {
	case n < 5:
		return g.traces(size)
	case n < 8:
		return g.logs(size)
	default:
		return g.metrics(size)
	}
}

// number is different for everything that is made in a round.
func (g *generator) number() uint64 {
	g.count++
	return g.sender<<32 | g.count
}

// when is a moment just gone; now and then one of hours or days ago, as of an emitter that was away.
func (g *generator) when() time.Time {
	ago := time.Duration(g.rng.IntN(2000)) * time.Millisecond
	if g.rng.IntN(20) == 0 {
		ago += time.Duration(g.rng.IntN(60)) * time.Hour
	}
	return time.Now().Add(-ago)
}

func (g *generator) agent() string { return fmt.Sprintf("%s%d", agentPrefix(g.seed), g.rng.IntN(5)) }

func (g *generator) spanID() pcommon.SpanID {
	n := g.number()
	var id pcommon.SpanID
	for i := range 8 {
		id[i] = byte(n >> (56 - 8*i)) //nolint:gosec // Byte by byte.
	}
	id[0], id[1] = byte(g.seed>>8), byte(g.seed) //nolint:gosec // The seeds of a run differ in their lowest bits.
	return id
}

func (g *generator) traceID() pcommon.TraceID {
	var id pcommon.TraceID
	for i := range 8 {
		id[i] = byte(g.seed >> (56 - 8*i)) //nolint:gosec // Byte by byte.
	}
	span := g.spanID()
	copy(id[8:], span[:])
	return id
}

func (g *generator) resource(r pcommon.Resource) {
	r.Attributes().PutStr("service.name", service(g.seed))
	r.Attributes().PutStr("deployment.environment.name", "faults")
}

// traces is a request with runs, each under an HTTP request and with steps.
func (g *generator) traces(runs int) (*request, error) {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	g.resource(rs.Resource())
	spans := rs.ScopeSpans().AppendEmpty().Spans()
	req := &request{signal: signalTraces}
	for range runs {
		g.run(spans, req)
	}
	var err error
	req.body, err = ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
	return req, err
}

func (g *generator) run(spans ptrace.SpanSlice, req *request) {
	trace := g.traceID()
	end := g.when()
	start := end.Add(-time.Duration(g.rng.Int64N(int64(4 * time.Second))))
	add := func(parent pcommon.SpanID) ptrace.Span {
		s := spans.AppendEmpty()
		s.SetTraceID(trace)
		s.SetSpanID(g.spanID())
		s.SetParentSpanID(parent)
		s.SetStartTimestamp(pcommon.NewTimestampFromTime(start))
		s.SetEndTimestamp(pcommon.NewTimestampFromTime(end))
		id := s.SpanID()
		req.rows = append(req.rows, rowKey{tableSpan, hex.EncodeToString(id[:])})
		return s
	}
	server := add(pcommon.SpanID{})
	server.SetName("POST /run")
	server.SetKind(ptrace.SpanKindServer)
	server.Attributes().PutStr("http.request.method", "POST")
	server.Attributes().PutStr("url.path", "/run")
	server.Attributes().PutInt("http.response.status_code", 200)
	req.rows = append(req.rows, rowKey{tableRequestLog, server.SpanID().String()})

	id := fmt.Sprintf("round-%d-run-%x", g.seed, g.number())
	run := add(server.SpanID())
	run.SetName("invoke_agent")
	attrs := run.Attributes()
	attrs.PutStr("gen_ai.operation.name", "invoke_agent")
	attrs.PutStr("gen_ai.agent.id", g.agent())
	attrs.PutStr("agenttrail.execution.id", id)
	if user := g.rng.IntN(40); user > 0 {
		attrs.PutStr("user.id", fmt.Sprintf("user-%d", user))
	}
	attrs.PutStr("agenttrail.credits", fmt.Sprintf("%d.%06d", g.rng.IntN(9), g.rng.IntN(1_000_000)))
	if g.rng.IntN(3) > 0 {
		attrs.PutStr("agenttrail.cost_usd", fmt.Sprintf("0.%09d", g.rng.IntN(1_000_000_000)))
	}
	attrs.PutInt("gen_ai.usage.input_tokens", g.rng.Int64N(100_000))
	attrs.PutInt("gen_ai.usage.output_tokens", g.rng.Int64N(8000))
	attrs.PutInt("gen_ai.usage.cache_read.input_tokens", g.rng.Int64N(50_000))
	if outcome := g.rng.IntN(12); outcome < 3 {
		attrs.PutStr("agenttrail.execution.status", []string{"failed", "error", "timeout"}[outcome])
		attrs.PutStr("error.type", fmt.Sprintf("reason-%d", g.rng.IntN(6)))
		run.Status().SetCode(ptrace.StatusCodeError)
		run.Status().SetMessage("it broke")
		req.rows = append(req.rows, rowKey{tableSystemErrors, id})
	}
	req.rows = append(req.rows, rowKey{tableAgentExecution, id})

	for range g.rng.IntN(3) {
		step := add(run.SpanID())
		step.SetName("chat")
		step.Attributes().PutStr("gen_ai.operation.name", "chat")
		step.Attributes().PutStr("gen_ai.request.model", "model-of-the-round")
	}
}

func (g *generator) logs(records int) (*request, error) {
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	g.resource(rl.Resource())
	list := rl.ScopeLogs().AppendEmpty().LogRecords()
	req := &request{signal: signalLogs}
	for range records {
		id := fmt.Sprintf("round-%d-log-%x", g.seed, g.number())
		r := list.AppendEmpty()
		r.SetTimestamp(pcommon.NewTimestampFromTime(g.when()))
		r.SetSeverityNumber(plog.SeverityNumberInfo)
		r.Body().SetStr(id)
		r.Attributes().PutStr("agenttrail.agent.id", g.agent())
		req.rows = append(req.rows, rowKey{tableAgentLog, id})
	}
	var err error
	req.body, err = plogotlp.NewExportRequestFromLogs(ld).MarshalProto()
	return req, err
}

func (g *generator) metrics(points int) (*request, error) {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	g.resource(rm.Resource())
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("faults.queue")
	list := m.SetEmptyGauge().DataPoints()
	req := &request{signal: signalMetrics}
	for range points {
		id := fmt.Sprintf("round-%d-point-%x", g.seed, g.number())
		p := list.AppendEmpty()
		p.SetTimestamp(pcommon.NewTimestampFromTime(g.when()))
		p.SetIntValue(g.rng.Int64N(1000))
		p.Attributes().PutStr("n", id)
		req.rows = append(req.rows, rowKey{tableSystemMetrics, id})
	}
	var err error
	req.body, err = pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto()
	return req, err
}
