package main

import (
	"encoding/hex"
	"fmt"
	"strings"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
)

// run is what the spans and log records of one run have in common.
type run struct {
	trace, request, root []byte // ids
	agent, user, session string
	model, provider      string
	start                uint64 // ns since the epoch
	failed               bool
	steps                []step
	said                 []message // So far.
}

// message is a part of the conversation of a run with a model.
type message struct{ role, text string }

// say adds to the conversation and returns what was said.
func (r *run) say(role, text string) string {
	r.said = append(r.said, message{role, text})
	return text
}

// heard is what a call of a model is told, new text being about so long: the conversation so far, as the conventions
// ask, or only what is new.
func (b *builder) heard(r *run, mean int) []message {
	if !b.history {
		return []message{{"user", b.sentence(b.length(mean))}}
	}
	if len(r.said) == 0 {
		r.say("user", b.sentence(b.length(mean)))
	}
	return r.said
}

// told is what an agent's model is told before each conversation: the same in every call.
func (b *builder) told(agent string) string {
	if b.prompts[agent] == "" {
		b.prompts[agent] = b.sentence(400 + b.length(400))
	}
	return b.prompts[agent]
}

// parts is a conversation as the GenAI conventions write it.
func parts(said []message) string {
	var s strings.Builder
	for i, m := range said {
		if i > 0 {
			s.WriteByte(',')
		}
		s.WriteString(`{"role":"` + m.role + `","parts":[{"type":"text","content":"` + m.text + `"}]}`)
	}
	return "[" + s.String() + "]"
}

// step is a call of a model or, every other time, of a tool.
type step struct {
	id            []byte
	start, end    uint64
	tool          string // Empty for a model.
	input, output int64  // tokens
}

var (
	models = []struct{ provider, name string }{
		{"openai", "gpt-5-mini"}, {"openai", "gpt-5"}, {"anthropic", "claude-sonnet-4-5"}, {"anthropic", "claude-haiku-4-5"}, {"gcp.gemini", "gemini-2.5-flash"},
	}
	tools  = []string{"web_search", "read_file", "run_sql", "send_mail", "fetch_page", "calendar_lookup", "summarize", "translate"}
	routes = []string{"/v1/agents/{agentId}/runs", "/v1/chat/{sessionId}/messages", "/v1/tasks"}
)

func (b *builder) run() *run {
	m := models[b.r.IntN(len(models))]
	r := &run{
		trace: b.bytes(16), request: b.bytes(8), root: b.bytes(8),
		agent: fmt.Sprintf("agent-%02d", min(39, int(b.r.ExpFloat64()*10))),
		user:  fmt.Sprintf("user-%05d", b.r.IntN(5000)), session: b.uuid(),
		model: m.name, provider: m.provider, failed: b.r.IntN(20) == 0,
		start: b.start + b.r.Uint64N(requestSpread),
		steps: make([]step, b.steps),
	}
	at := r.start + 2e6
	for i := range r.steps {
		s := &r.steps[i]
		s.id, s.start = b.bytes(8), at
		s.end = at + uint64(1e6+b.r.ExpFloat64()*4e8)
		at = s.end + b.r.Uint64N(1e6)
		if i%2 == 1 {
			s.tool = tools[b.r.IntN(len(tools))]
			continue
		}
		s.input, s.output = 200+b.r.Int64N(6000), 20+b.r.Int64N(900)
	}
	return r
}

func (r *run) end() uint64 { return r.steps[len(r.steps)-1].end + 1e6 }

func (r *run) tokens() (input, output int64) {
	for _, s := range r.steps {
		input, output = input+s.input, output+s.output
	}
	return input, output
}

// id is the run's id as text. It starts with the trace id, which is what makes it new in every copy.
func (r *run) id() string { return hex.EncodeToString(r.trace) }

func (b *builder) httpSpan(r *run) *traces.Span {
	route := routes[b.r.IntN(len(routes))]
	code := int64(200)
	if r.failed {
		code = 500
	}
	s := &traces.Span{
		TraceId: r.trace, SpanId: r.request, Name: "POST " + route, Kind: traces.Span_SPAN_KIND_SERVER,
		StartTimeUnixNano: r.start, EndTimeUnixNano: r.end() + 1e6, Flags: 1,
		Attributes: []*common.KeyValue{
			text("http.request.method", "POST"), text("url.scheme", "https"), text("server.address", "api.example.com"), number("server.port", 443),
			text("url.path", "/v1/agents/"+r.agent+"/runs"), text("http.route", route), number("http.response.status_code", code),
			text("client.address", fmt.Sprintf("203.0.%d.%d", b.r.IntN(256), b.r.IntN(256))),
			text("user_agent.original", fmt.Sprintf("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36", 120+b.r.IntN(20))),
			text("network.protocol.version", "1.1"), text("user.id", r.user),
			list("http.request.header.content-type", "application/json"), list("http.request.header.x-request-id", b.uuid()),
			number("http.request.body.size", int64(b.length(700))),
		},
	}
	if r.failed {
		s.Status = &traces.Status{Code: traces.Status_STATUS_CODE_ERROR}
	}
	return s
}

func (b *builder) records(r *run) []*logs.LogRecord {
	at := r.start + 3e6
	records := make([]*logs.LogRecord, logsPerRun)
	for i := range records {
		severity, level := logs.SeverityNumber_SEVERITY_NUMBER_INFO, "INFO"
		if i == 2 && r.failed {
			severity, level = logs.SeverityNumber_SEVERITY_NUMBER_ERROR, "ERROR"
		}
		records[i] = &logs.LogRecord{
			TimeUnixNano: at, ObservedTimeUnixNano: at + 1e5, SeverityNumber: severity, SeverityText: level,
			Body:    &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: b.sentence(b.length(90))}},
			TraceId: r.trace, SpanId: r.root, Flags: 1,
			Attributes: []*common.KeyValue{
				text("gen_ai.agent.id", r.agent), text("user.id", r.user), text("session.id", r.session),
				text("component", tools[b.r.IntN(len(tools))]), number("attempt", int64(b.r.IntN(3))), double("elapsed_ms", b.r.Float64()*900),
			},
		}
		at += 40e6
	}
	return records
}
