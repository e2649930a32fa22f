package mapping

import (
	"strings"

	"github.com/agenttrail/agenttrail/exporter/record"
)

// class is what a span is to an agent.
type class uint8

const (
	classNone class = iota // nothing to do with agents
	classAgent
	classWorkflow
	classInference
	classTool
	classRetrieval
	classEmbedding
	classMemory
	classStep
	classRequest
	classOther // known, and none of the above: look no further

	// What these are depends on the span's place or on another attribute.
	classChain       // a workflow when nothing of an agent encloses it, else a step
	classMarkedChain // a workflow when langsmith.is_root says so, else a step
)

// operation is what Span.operation says.
var operations = [...]string{
	classNone:      "",
	classAgent:     "agent",
	classWorkflow:  "workflow",
	classInference: "inference",
	classTool:      "tool",
	classRetrieval: "retrieval",
	classEmbedding: "embedding",
	classMemory:    "memory",
	classStep:      "step",
	classRequest:   "request",
	classOther:     "",
	classChain:     "step",
}

// classRule is one row of the classification table: an attribute, a value of it ("" for any), and what the span
// then is.
type classRule struct {
	key     string
	value   string
	class   class
	dialect Dialect
	from    string
}

// spanName is the pseudo attribute of rules about the name of the span; such rules come right after the project's own
// attribute.
const spanName = "(span name)"

// classRules lists the attributes by precedence; the first whose value is listed decides. Values compare without case.
var classRules = []classRule{
	{KeyOperation, "agent", classAgent, DialectOwn, "agenttrail"},
	{KeyOperation, "workflow", classWorkflow, DialectOwn, "agenttrail"},
	{KeyOperation, "inference", classInference, DialectOwn, "agenttrail"},
	{KeyOperation, "tool", classTool, DialectOwn, "agenttrail"},
	{KeyOperation, "retrieval", classRetrieval, DialectOwn, "agenttrail"},
	{KeyOperation, "embedding", classEmbedding, DialectOwn, "agenttrail"},
	{KeyOperation, "memory", classMemory, DialectOwn, "agenttrail"},
	{KeyOperation, "step", classStep, DialectOwn, "agenttrail"},
	{KeyOperation, "request", classRequest, DialectOwn, "agenttrail"},

	{spanName, "execute_tool (merged tools)", classStep, DialectADK, "adk-go v2.1: repeats the tool calls beside it"},
	{spanName, "claude_code.interaction", classAgent, DialectClaudeCode, "claude code beta traces"},
	{spanName, "claude_code.llm_request", classInference, DialectClaudeCode, "claude code beta traces"},
	{spanName, "claude_code.tool", classTool, DialectClaudeCode, "claude code beta traces"},
	{spanName, "claude_code.tool.execution", classStep, DialectClaudeCode, "claude code beta traces"},
	{spanName, "claude_code.tool.blocked_on_user", classStep, DialectClaudeCode, "claude code beta traces"},

	{"langfuse.observation.type", "agent", classAgent, DialectLangfuse, "langfuse-js v5"},
	{"langfuse.observation.type", "generation", classInference, DialectLangfuse, "langfuse-js v5"},
	{"langfuse.observation.type", "embedding", classEmbedding, DialectLangfuse, "langfuse-js v5"},
	{"langfuse.observation.type", "tool", classTool, DialectLangfuse, "langfuse-js v5"},
	{"langfuse.observation.type", "retriever", classRetrieval, DialectLangfuse, "langfuse-js v5"},
	{"langfuse.observation.type", "chain", classChain, DialectLangfuse, "langfuse-js v5"},
	{"langfuse.observation.type", "guardrail", classStep, DialectLangfuse, "langfuse-js v5"},
	{"langfuse.observation.type", "evaluator", classStep, DialectLangfuse, "langfuse-js v5"},
	{"langfuse.observation.type", "event", classStep, DialectLangfuse, "langfuse-js v5"},

	{"openinference.span.kind", "AGENT", classAgent, DialectOpenInference, "openinference"},
	{"openinference.span.kind", "LLM", classInference, DialectOpenInference, "openinference"},
	{"openinference.span.kind", "EMBEDDING", classEmbedding, DialectOpenInference, "openinference"},
	{"openinference.span.kind", "CHAIN", classChain, DialectOpenInference, "openinference"},
	{"openinference.span.kind", "RETRIEVER", classRetrieval, DialectOpenInference, "openinference"},
	{"openinference.span.kind", "TOOL", classTool, DialectOpenInference, "openinference"},
	{"openinference.span.kind", "RERANKER", classStep, DialectOpenInference, "openinference"},
	{"openinference.span.kind", "GUARDRAIL", classStep, DialectOpenInference, "openinference"},
	{"openinference.span.kind", "EVALUATOR", classStep, DialectOpenInference, "openinference"},
	{"openinference.span.kind", "PROMPT", classStep, DialectOpenInference, "openinference"},

	{"mastra.span.type", "agent_run", classAgent, DialectMastra, "mastra otel-exporter"},
	{"mastra.span.type", "workflow_run", classWorkflow, DialectMastra, "mastra otel-exporter"},
	{"mastra.span.type", "model_inference", classInference, DialectMastra, "mastra otel-exporter"},
	{"mastra.span.type", "model_generation", classStep, DialectMastra, "mastra otel-exporter: sums its model_inference spans"},
	{"mastra.span.type", "model_step", classStep, DialectMastra, "mastra otel-exporter"},
	{"mastra.span.type", "model_chunk", classStep, DialectMastra, "mastra otel-exporter"},
	{"mastra.span.type", "workflow_step", classStep, DialectMastra, "mastra otel-exporter"},
	{"mastra.span.type", "tool_call", classTool, DialectMastra, "mastra otel-exporter"},
	{"mastra.span.type", "mcp_tool_call", classTool, DialectMastra, "mastra otel-exporter"},

	{"traceloop.span.kind", "agent", classAgent, DialectTraceloop, "openllmetry"},
	{"traceloop.span.kind", "workflow", classWorkflow, DialectTraceloop, "openllmetry"},
	{"traceloop.span.kind", "task", classStep, DialectTraceloop, "openllmetry"},
	{"traceloop.span.kind", "tool", classTool, DialectTraceloop, "openllmetry"},

	{"ai.operationId", "ai.generateText", classAgent, DialectAISDKLegacy, "ai v4 to v6"},
	{"ai.operationId", "ai.streamText", classAgent, DialectAISDKLegacy, "ai v4 to v6"},
	{"ai.operationId", "ai.generateObject", classAgent, DialectAISDKLegacy, "ai v4 to v6"},
	{"ai.operationId", "ai.streamObject", classAgent, DialectAISDKLegacy, "ai v4 to v6"},
	{"ai.operationId", "ai.generateText.doGenerate", classInference, DialectAISDKLegacy, "ai v4 to v6"},
	{"ai.operationId", "ai.streamText.doStream", classInference, DialectAISDKLegacy, "ai v4 to v6"},
	{"ai.operationId", "ai.generateObject.doGenerate", classInference, DialectAISDKLegacy, "ai v4 to v6"},
	{"ai.operationId", "ai.streamObject.doStream", classInference, DialectAISDKLegacy, "ai v4 to v6"},
	{"ai.operationId", "ai.toolCall", classTool, DialectAISDKLegacy, "ai v4 to v6"},
	{"ai.operationId", "ai.embed", classEmbedding, DialectAISDKLegacy, "ai v4 to v6"},
	{"ai.operationId", "ai.embed.doEmbed", classEmbedding, DialectAISDKLegacy, "ai v4 to v6"},
	{"ai.operationId", "ai.embedMany", classEmbedding, DialectAISDKLegacy, "ai v4 to v6"},
	{"ai.operationId", "ai.embedMany.doEmbed", classEmbedding, DialectAISDKLegacy, "ai v4 to v6"},

	{"gen_ai.operation.name", "invoke_agent", classAgent, DialectGenAI, "semconv v1.30 to genai v0.1.0"},
	{"gen_ai.operation.name", "invoke_workflow", classWorkflow, DialectGenAI, "semconv v1.41, genai v0.1.0"},
	{"gen_ai.operation.name", "handle_conversation_turn", classWorkflow, DialectGenAI, "genai, proposed"},
	{"gen_ai.operation.name", "create_agent", classOther, DialectGenAI, "semconv v1.31: makes an agent, runs none"},
	{"gen_ai.operation.name", "chat", classInference, DialectGenAI, "semconv v1.28"},
	{"gen_ai.operation.name", "generate_content", classInference, DialectGenAI, "semconv v1.32"},
	{"gen_ai.operation.name", "text_completion", classInference, DialectGenAI, "semconv v1.28"},
	{"gen_ai.operation.name", "embeddings", classEmbedding, DialectGenAI, "semconv v1.30"},
	{"gen_ai.operation.name", "execute_tool", classTool, DialectGenAI, "semconv v1.31"},
	{"gen_ai.operation.name", "retrieval", classRetrieval, DialectGenAI, "semconv v1.40"},
	{"gen_ai.operation.name", "create_memory_store", classMemory, DialectGenAI, "genai v0.1.0"},
	{"gen_ai.operation.name", "search_memory", classMemory, DialectGenAI, "genai v0.1.0"},
	{"gen_ai.operation.name", "create_memory", classMemory, DialectGenAI, "genai v0.1.0"},
	{"gen_ai.operation.name", "update_memory", classMemory, DialectGenAI, "genai v0.1.0"},
	{"gen_ai.operation.name", "upsert_memory", classMemory, DialectGenAI, "genai v0.1.0"},
	{"gen_ai.operation.name", "delete_memory", classMemory, DialectGenAI, "genai v0.1.0"},
	{"gen_ai.operation.name", "delete_memory_store", classMemory, DialectGenAI, "genai v0.1.0"},
	{"gen_ai.operation.name", "plan", classStep, DialectGenAI, "genai v0.1.0"},
	{"gen_ai.operation.name", "fetch_response", classStep, DialectGenAI, "genai, proposed: asks for an answer counted elsewhere"},
	{"gen_ai.operation.name", "agent_step", classStep, DialectGenAI, "@ai-sdk/otel 1.0, mastra: sums its inferences"},
	{"gen_ai.operation.name", "model_generation", classStep, DialectGenAI, "mastra"},
	{"gen_ai.operation.name", "model_step", classStep, DialectGenAI, "mastra"},
	{"gen_ai.operation.name", "model_chunk", classStep, DialectGenAI, "mastra"},
	{"gen_ai.operation.name", "invoke_node", classStep, DialectADK, "adk-go v2.1"},
	{"gen_ai.operation.name", "execute_event_loop_cycle", classStep, DialectStrands, "strands"},
	{"gen_ai.operation.name", "rerank", classStep, DialectGenAI, "@ai-sdk/otel 1.0"},

	{"genkit:metadata:subtype", "flow", classAgent, DialectGenkit, "genkit: flows that a flow calls, too"},
	{"genkit:metadata:subtype", "model", classInference, DialectGenkit, "genkit"},
	{"genkit:metadata:subtype", "tool", classTool, DialectGenkit, "genkit"},
	{"genkit:metadata:subtype", "embedder", classEmbedding, DialectGenkit, "genkit"},
	{"genkit:metadata:subtype", "retriever", classRetrieval, DialectGenkit, "genkit"},
	{"genkit:metadata:subtype", "util", classStep, DialectGenkit, "genkit"},
	{"genkit:metadata:subtype", "prompt", classStep, DialectGenkit, "genkit"},
	{"genkit:metadata:subtype", "reranker", classStep, DialectGenkit, "genkit"},
	{"genkit:metadata:subtype", "evaluator", classStep, DialectGenkit, "genkit"},
	{"genkit:type", "flowStep", classStep, DialectGenkit, "genkit"},
	{"genkit:type", "util", classStep, DialectGenkit, "genkit 1.42: sums its model calls"},

	{"langsmith.span.kind", "llm", classInference, DialectLangSmith, "langsmith-sdk"},
	{"langsmith.span.kind", "tool", classTool, DialectLangSmith, "langsmith-sdk"},
	{"langsmith.span.kind", "retriever", classRetrieval, DialectLangSmith, "langsmith-sdk"},
	{"langsmith.span.kind", "embedding", classEmbedding, DialectLangSmith, "langsmith-sdk"},
	{"langsmith.span.kind", "chain", classMarkedChain, DialectLangSmith, "langsmith-sdk"},
	{"langsmith.span.kind", "prompt", classStep, DialectLangSmith, "langsmith-sdk"},
	{"langsmith.span.kind", "parser", classStep, DialectLangSmith, "langsmith-sdk"},

	{"gen_ai.span.kind", "agent", classAgent, DialectEino, "eino-ext apmplus"},
	{"gen_ai.span.kind", "workflow", classWorkflow, DialectEino, "eino-ext apmplus"},
	{"gen_ai.span.kind", "chatmodel", classInference, DialectEino, "eino-ext apmplus"},
	{"gen_ai.span.kind", "tool", classTool, DialectEino, "eino-ext apmplus"},
	{"gen_ai.span.kind", "retriever", classRetrieval, DialectEino, "eino-ext apmplus"},
	{"gen_ai.span.kind", "embedding", classEmbedding, DialectEino, "eino-ext apmplus"},

	{"agent_name", "", classAgent, DialectPydanticAI, "pydantic-ai before gen_ai.operation.name"},
	{"gen_ai.tool.name", "", classTool, DialectGenAI, "semconv v1.31"},
	{"gen_ai.tool.call.id", "", classTool, DialectGenAI, "semconv v1.31"},
	{"mcp.method.name", "tools/call", classTool, DialectMCP, "semconv v1.39"},
	{"gen_ai.latency.e2e", "", classInference, DialectVLLM, "vLLM llm_request"},
	{"gen_ai.latency.time_in_queue", "", classInference, DialectVLLM, "vLLM llm_request"},
	{"llm.request.type", "chat", classInference, DialectTraceloop, "openllmetry before 0.50"},
	{"llm.request.type", "completion", classInference, DialectTraceloop, "openllmetry before 0.50"},
	{"llm.request.type", "embedding", classEmbedding, DialectTraceloop, "openllmetry before 0.50"},
	{"llm.request.type", "rerank", classStep, DialectTraceloop, "openllmetry before 0.50"},
	{"gen_ai.request.model", "", classInference, DialectGenAI, "semconv v1.28"},
}

// classGroup holds the rules of one attribute.
type classGroup struct {
	id     keyID
	values []classRule
}

// classifier is classRules with its keys looked up.
type classifier struct {
	need   keySet
	names  []classRule
	groups []classGroup
}

var classes = newClassifier(classRules)

func newClassifier(rules []classRule) *classifier {
	c := &classifier{}
	for _, r := range rules {
		if r.key == spanName {
			c.names = append(c.names, r)
			continue
		}
		id := keys.intern(r.key)
		c.need.add(id)
		if n := len(c.groups); n == 0 || c.groups[n-1].id != id {
			c.groups = append(c.groups, classGroup{id: id})
		}
		g := &c.groups[len(c.groups)-1]
		g.values = append(g.values, r)
	}
	return c
}

var (
	idOwnOperation  = keys.intern(KeyOperation)
	idOperationName = keys.intern("operation.name")
	idAIOperationID = keys.intern("ai.operationId")
	idLangSmithRoot = keys.intern("langsmith.is_root")
	idProviderName  = keys.intern("gen_ai.provider.name")
	idSystem        = keys.intern("gen_ai.system")
	idHTTPMethod    = keys.intern("http.request.method")
	idHTTPMethodOld = keys.intern("http.method")
)

// classify says what a span is and who says so. scope is the dialect of the span's instrumentation scope.
func (m *Mapper) classify(s *record.Span, v *view, scope Dialect) (class, Dialect) {
	c, d := m.matchRules(s, v)
	switch c {
	case classNone:
		if isServerRequest(s, v) {
			return classRequest, DialectHTTP
		}
		return classNone, scope
	case classMarkedChain:
		c = pick(truth(v, idLangSmithRoot), classWorkflow, classStep)
	}
	if d == DialectGenAI || d == DialectMCP {
		if scope != DialectNone {
			d = scope
		} else if e := systemDialect(v); e != DialectNone {
			d = e
		}
	}
	return c, d
}

func (m *Mapper) matchRules(s *record.Span, v *view) (class, Dialect) {
	g := classes.groups
	if v.has.contains(idOwnOperation) {
		if r := g[0].match(v.value(idOwnOperation)); r != nil {
			return r.class, r.dialect
		}
		m.blame(v, idOwnOperation, ReasonUnknownValue)
	}
	for i := range classes.names {
		if r := &classes.names[i]; r.value == s.Name {
			return r.class, r.dialect
		}
	}
	if v.has.intersects(&classes.need) {
		for i := 1; i < len(g); i++ {
			if !v.has.contains(g[i].id) {
				continue
			}
			if r := g[i].match(v.value(g[i].id)); r != nil {
				return r.class, r.dialect
			}
		}
	}
	// The AI SDK before v4 had no ai.operationId; operation.name starts with it.
	if name := v.str(idOperationName); strings.HasPrefix(name, "ai.") {
		first, _, _ := strings.Cut(name, " ")
		for i := range g {
			if g[i].id == idAIOperationID {
				if r := g[i].match(record.String(first)); r != nil {
					return r.class, r.dialect
				}
			}
		}
	}
	return classNone, DialectNone
}

func (g *classGroup) match(v record.Value) *classRule {
	for i := range g.values {
		r := &g.values[i]
		if r.value == "" && v.Kind != record.ValueEmpty && (v.Kind != record.ValueString || v.Str != "") {
			return r
		}
		if v.Kind == record.ValueString && len(v.Str) == len(r.value) && strings.EqualFold(v.Str, r.value) {
			return r
		}
	}
	return nil
}

func systemDialect(v *view) Dialect {
	for _, id := range [...]keyID{idProviderName, idSystem} {
		if name := v.str(id); name != "" {
			if d, ok := systemDialects[name]; ok {
				return d
			}
		}
	}
	return DialectNone
}

// isServerRequest reports whether a span is an HTTP request that a service answered.
func isServerRequest(s *record.Span, v *view) bool {
	return s.Kind == record.KindServer && (v.has.contains(idHTTPMethod) || v.has.contains(idHTTPMethodOld))
}

// truth reads a flag that emitters write as a boolean or as a string.
func truth(v *view, id keyID) bool {
	x, ok := v.get(id)
	return ok && (x.Kind == record.ValueBool && x.Bool() || x.Kind == record.ValueString && strings.EqualFold(x.Str, "true"))
}

func pick(cond bool, yes, no class) class {
	if cond {
		return yes
	}
	return no
}
