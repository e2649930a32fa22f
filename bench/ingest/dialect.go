package main

import (
	"fmt"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
)

// dialect says how an instrumentation describes a run.
type dialect struct {
	scope, version string
	root           func(b *builder, r *run) (name string, attrs []*common.KeyValue)
	model, tool    func(b *builder, r *run, s *step) (name string, attrs []*common.KeyValue)
}

// dialects are the three that a run may be described in: OpenTelemetry's GenAI conventions v1.41 with our own
// attributes around them, OpenInference, and the Vercel AI SDK 7.
var dialects = []*dialect{
	{
		scope: "agent-runtime", version: "1.41.0",
		root: func(b *builder, r *run) (string, []*common.KeyValue) {
			in, out := r.tokens()
			return "invoke_agent " + r.agent, []*common.KeyValue{
				text("gen_ai.operation.name", "invoke_agent"), text("gen_ai.agent.id", r.agent), text("gen_ai.agent.name", r.agent), text("gen_ai.provider.name", r.provider),
				text("agenttrail.execution.id", r.id()), text("agenttrail.credits", fmt.Sprintf("%d.%02d", 1+b.r.IntN(9), b.r.IntN(100))),
				text("gen_ai.conversation.id", r.session), text("user.id", r.user), text("gen_ai.request.model", r.model),
				number("gen_ai.usage.input_tokens", in), number("gen_ai.usage.output_tokens", out), list("gen_ai.response.finish_reasons", "stop"),
			}
		},
		model: func(b *builder, r *run, s *step) (string, []*common.KeyValue) {
			return "chat " + r.model, []*common.KeyValue{
				text("gen_ai.operation.name", "chat"), text("gen_ai.provider.name", r.provider), text("gen_ai.request.model", r.model), text("gen_ai.response.model", r.model),
				text("gen_ai.response.id", "resp_"+b.uuid()), double("gen_ai.request.temperature", 0.2), number("gen_ai.request.max_tokens", 4096),
				number("gen_ai.usage.input_tokens", s.input), number("gen_ai.usage.output_tokens", s.output), number("gen_ai.usage.cache_read.input_tokens", s.input/3),
				list("gen_ai.response.finish_reasons", "stop"), text("server.address", "api."+r.provider+".com"), number("server.port", 443),
				text("gen_ai.system_instructions", `[{"type":"text","content":"`+b.told(r.agent)+`"}]`),
				text("gen_ai.input.messages", parts(b.heard(r, 500))),
				text("gen_ai.output.messages", `[{"role":"assistant","parts":[{"type":"text","content":"`+r.say("assistant", b.sentence(b.length(300)))+`"}]}]`),
			}
		},
		tool: func(b *builder, r *run, s *step) (string, []*common.KeyValue) {
			return "execute_tool " + s.tool, []*common.KeyValue{
				text("gen_ai.operation.name", "execute_tool"), text("gen_ai.tool.name", s.tool), text("gen_ai.tool.type", "function"), text("gen_ai.tool.call.id", "call_"+b.uuid()),
				text("gen_ai.tool.call.arguments", `{"query":"`+b.sentence(b.length(60))+`"}`), text("gen_ai.tool.call.result", r.say("tool", b.sentence(b.length(250)))),
			}
		},
	},
	{
		scope: "openinference.instrumentation.langchain", version: "0.1.50",
		root: func(b *builder, r *run) (string, []*common.KeyValue) {
			return r.agent, []*common.KeyValue{
				text("openinference.span.kind", "AGENT"), text("agent.name", r.agent), text("session.id", r.session), text("user.id", r.user),
				text("input.value", b.sentence(b.length(300))), text("input.mime_type", "text/plain"), text("output.value", b.sentence(b.length(300))), text("output.mime_type", "text/plain"),
				text("metadata", `{"thread_id":"`+r.session+`","graph":"`+r.agent+`"}`),
			}
		},
		model: func(b *builder, r *run, s *step) (string, []*common.KeyValue) {
			attrs := []*common.KeyValue{
				text("openinference.span.kind", "LLM"), text("llm.model_name", r.model), text("llm.provider", r.provider), text("llm.system", r.provider), text("session.id", r.session),
				number("llm.token_count.prompt", s.input), number("llm.token_count.completion", s.output), number("llm.token_count.total", s.input+s.output),
				text("llm.invocation_parameters", `{"temperature":0.2,"max_tokens":4096}`),
				text("llm.input_messages.0.message.role", "system"), text("llm.input_messages.0.message.content", b.told(r.agent)),
			}
			for i, m := range b.heard(r, 300) {
				at := fmt.Sprintf("llm.input_messages.%d.message.", i+1)
				attrs = append(attrs, text(at+"role", m.role), text(at+"content", m.text))
			}
			return "ChatModel", append(attrs, text("llm.output_messages.0.message.role", "assistant"), text("llm.output_messages.0.message.content", r.say("assistant", b.sentence(b.length(300)))))
		},
		tool: func(b *builder, r *run, s *step) (string, []*common.KeyValue) {
			return s.tool, []*common.KeyValue{
				text("openinference.span.kind", "TOOL"), text("tool.name", s.tool), text("tool.description", "Calls "+s.tool), text("session.id", r.session),
				text("input.value", `{"query":"`+b.sentence(b.length(60))+`"}`), text("input.mime_type", "application/json"), text("output.value", r.say("tool", b.sentence(b.length(250)))),
			}
		},
	},
	{
		scope: "gen_ai", version: "7.0.173",
		root: func(_ *builder, r *run) (string, []*common.KeyValue) {
			in, out := r.tokens()
			return "invoke_agent " + r.model, []*common.KeyValue{
				text("gen_ai.operation.name", "invoke_agent"), text("gen_ai.provider.name", r.provider), text("gen_ai.request.model", r.model), text("gen_ai.agent.name", r.agent),
				text("ai.settings.context.userId", r.user), text("ai.settings.context.sessionId", r.session), number("gen_ai.usage.input_tokens", in), number("gen_ai.usage.output_tokens", out),
				list("gen_ai.response.finish_reasons", "stop"), double("gen_ai.client.operation.duration", 1.5),
			}
		},
		model: func(b *builder, r *run, s *step) (string, []*common.KeyValue) {
			return "chat " + r.model, []*common.KeyValue{
				text("gen_ai.operation.name", "chat"), text("gen_ai.provider.name", r.provider), text("gen_ai.request.model", r.model), text("gen_ai.response.model", r.model),
				text("gen_ai.response.id", "aitxt-"+b.uuid()[:24]), number("gen_ai.usage.input_tokens", s.input), number("gen_ai.usage.output_tokens", s.output),
				list("gen_ai.response.finish_reasons", "tool-calls"), double("gen_ai.client.operation.duration", 0.7), double("gen_ai.client.operation.time_to_first_chunk", 0.2),
				text("gen_ai.system_instructions", `[{"type":"text","content":"`+b.told(r.agent)+`"}]`),
				text("gen_ai.input.messages", parts(b.heard(r, 400))),
				text("gen_ai.output.messages", `[{"role":"assistant","parts":[{"type":"text","content":"`+r.say("assistant", b.sentence(b.length(300)))+`"}],"finish_reason":"tool-calls"}]`),
			}
		},
		tool: func(b *builder, r *run, s *step) (string, []*common.KeyValue) {
			return "execute_tool " + s.tool, []*common.KeyValue{
				text("gen_ai.operation.name", "execute_tool"), text("gen_ai.tool.name", s.tool), text("gen_ai.tool.type", "function"), text("gen_ai.tool.call.id", "call_"+b.uuid()[:24]),
				double("gen_ai.execute_tool.duration", 0.1), text("gen_ai.tool.call.arguments", `{"query":"`+b.sentence(b.length(60))+`"}`), text("gen_ai.tool.call.result", r.say("tool", b.sentence(b.length(200)))),
			}
		},
	},
}

// spans returns the run and its steps.
func (d *dialect) spans(b *builder, r *run) []*traces.Span {
	name, attrs := d.root(b, r)
	root := &traces.Span{
		TraceId: r.trace, SpanId: r.root, ParentSpanId: r.request, Name: name, Kind: traces.Span_SPAN_KIND_INTERNAL,
		StartTimeUnixNano: r.start + 1e6, EndTimeUnixNano: r.end(), Attributes: attrs, Flags: 1,
	}
	spans := []*traces.Span{root}
	for i := range r.steps {
		s := &r.steps[i]
		describe, kind := d.model, traces.Span_SPAN_KIND_CLIENT
		if s.tool != "" {
			describe, kind = d.tool, traces.Span_SPAN_KIND_INTERNAL
		}
		name, attrs := describe(b, r, s)
		spans = append(spans, &traces.Span{
			TraceId: r.trace, SpanId: s.id, ParentSpanId: r.root, Name: name, Kind: kind,
			StartTimeUnixNano: s.start, EndTimeUnixNano: s.end, Attributes: attrs, Flags: 1,
		})
	}
	if r.failed {
		last := spans[len(spans)-1]
		message := "tool " + r.steps[len(r.steps)-1].tool + " answered 503: " + b.sentence(40)
		for _, s := range []*traces.Span{last, root} {
			s.Status = &traces.Status{Code: traces.Status_STATUS_CODE_ERROR, Message: message}
			s.Events = append(s.Events, &traces.Span_Event{TimeUnixNano: s.EndTimeUnixNano - 1e5, Name: "exception", Attributes: []*common.KeyValue{
				text("exception.type", "UpstreamError"), text("exception.message", message), text("exception.stacktrace", stack(b)),
			}})
		}
	}
	return spans
}

func stack(b *builder) string {
	s := "UpstreamError: upstream failed"
	for range 8 {
		s += fmt.Sprintf("\n    at %s.%s (/app/dist/%s.js:%d:%d)", b.words[b.r.IntN(200)], b.words[b.r.IntN(200)], b.words[b.r.IntN(50)], b.r.IntN(900), b.r.IntN(80))
	}
	return s
}
