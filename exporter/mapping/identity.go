package mapping

import (
	"strings"

	"github.com/agenttrail/agenttrail/exporter/record"
)

// executionIDs says which run a span or log record belongs to. Emitters put these on the run's span and partly on
// the spans below it.
var executionIDs = newTable(
	source{key: KeyExecutionID, from: "agenttrail"},
	source{key: "mastra.metadata.runId", from: "mastra otel-exporter"},
	source{key: "gcp.vertex.agent.invocation_id", from: "google adk"},
	source{key: "gen_ai.agent.call.id", from: "pydantic-ai v2.33"},
	source{key: "gen_ai.execution.id", from: "openlit"},
)

// Rows of executionIDs that need care.
const (
	rowOwnExecutionID = 0 // certain: two spans with the same one are one run
	rowInvocationID   = 2 // shared by all agents of an invocation: names the outermost run only
)

// runIDs are ids that a run's own span has, and that no other span shares.
var runIDs = newTable(
	source{key: "langsmith.span.id", from: "langsmith-sdk"},
)

// parentIDs is the id of the run that called a run.
var parentIDs = newTable(source{key: KeyExecutionParentID, from: "agenttrail"})

// agentIDs is the stable id of the agent of a run. langfuse.trace.name is not in it: it names the request, and
// Langfuse names an agent by its span.
var agentIDs = newTable(
	source{key: KeyAgentID, from: "agenttrail"},
	source{key: "gen_ai.agent.id", from: "semconv v1.30"},
	source{key: KeyAgentName, from: "agenttrail"},
	source{key: "gen_ai.agent.name", from: "semconv v1.30; @ai-sdk/otel: functionId"},
	source{key: "agent.name", from: "openinference"},
	source{key: "graph.node.id", from: "openinference openai-agents"},
	source{key: "traceloop.entity.name", from: "openllmetry"},
	source{key: "ai.telemetry.functionId", from: "ai v4 to v6"},
	source{key: "resource.name", from: "ai v4 to v6: functionId"},
	source{key: "agent_name", from: "pydantic-ai"},
	source{key: "gen_ai.workflow.name", from: "semconv v1.41"},
	source{key: "genkit:name", from: "genkit"},
)

// agentNames is the human-readable name of the agent of a run; without one the id is the name.
var agentNames = newTable(
	source{key: KeyAgentName, from: "agenttrail"},
	source{key: "gen_ai.agent.name", from: "semconv v1.30"},
	source{key: "agent.name", from: "openinference"},
	source{key: "graph.node.name", from: "openinference"},
	source{key: "traceloop.entity.name", from: "openllmetry"},
	source{key: "agent_name", from: "pydantic-ai"},
	source{key: "gen_ai.workflow.name", from: "semconv v1.41"},
)

// namedAgents are the attributes that name an agent on spans and log records that are no runs, and on resources.
var namedAgents = newTable(
	source{key: KeyAgentID, from: "agenttrail"},
	source{key: "gen_ai.agent.id", from: "semconv v1.30"},
	source{key: KeyAgentName, from: "agenttrail"},
	source{key: "gen_ai.agent.name", from: "semconv v1.30; on tools since genai v0.1.0"},
	source{key: "agent.name", from: "openinference"},
	source{key: "agent_name", from: "pydantic-ai"},
)

// ownAgents are the rows of namedAgents that win even over the run around a span.
var ownAgents = newTable(
	source{key: KeyAgentID, from: "agenttrail"},
	source{key: KeyAgentName, from: "agenttrail"},
)

var agentVersions = newTable(
	source{key: KeyAgentVersion, from: "agenttrail"},
	source{key: "gen_ai.agent.version", from: "semconv v1.40"},
	source{key: "traceloop.entity.version", from: "openllmetry"},
)

// userIDs is never read on resources: user.id means the user of the host there.
var userIDs = newTable(
	source{key: KeyUserID, from: "agenttrail"},
	source{key: "user.id", from: "semconv; openinference; langfuse"},
	source{key: "enduser.id", from: "semconv"},
	source{key: "langfuse.user.id", from: "langfuse"},
	source{key: "gen_ai.user.id", from: "openlit; eino"},
	source{key: "traceloop.association.properties.user_id", from: "openllmetry"},
	source{key: "ai.telemetry.metadata.userId", from: "ai v5, v6"},
	source{key: "ai.settings.context.userId", from: "ai v7"},
	source{key: "mastra.metadata.userId", from: "mastra"},
	source{key: "langsmith.metadata.user_id", from: "langsmith"},
	source{key: "metadata", path: "userId", from: "openinference langchain: JSON"},
	source{key: "metadata", path: "user_id", from: "openinference langchain: JSON"},
	source{key: "gen_ai.user", from: "openllmetry"},
	source{key: "llm.user", from: "openllmetry"},
	source{key: "gen_ai.request.user", from: "openlit"},
	source{key: "enduser.pseudo.id", from: "semconv"},
	source{key: "user.hash", from: "semconv"},
)

// sessionIDs leaves out langsmith.trace.session_id, which is the project.
var sessionIDs = newTable(
	source{key: KeySessionID, from: "agenttrail"},
	source{key: "session.id", from: "semconv; openinference; langfuse"},
	source{key: "gen_ai.conversation.id", from: "semconv v1.31"},
	source{key: "langfuse.session.id", from: "langfuse"},
	source{key: "gen_ai.session.id", from: "openlit; eino"},
	source{key: "traceloop.association.properties.session_id", from: "openllmetry"},
	source{key: "traceloop.association.properties.chat_id", from: "openllmetry"},
	source{key: "traceloop.association.properties.thread_id", from: "openllmetry"},
	source{key: "ai.telemetry.metadata.sessionId", from: "ai v5, v6"},
	source{key: "ai.settings.context.sessionId", from: "ai v7"},
	source{key: "mastra.metadata.sessionId", from: "mastra"},
	source{key: "langsmith.metadata.session_id", from: "langsmith"},
	source{key: "langsmith.metadata.thread_id", from: "langsmith"},
	source{key: "langsmith.metadata.conversation_id", from: "langsmith"},
	source{key: "genkit:sessionId", from: "genkit"},
	source{key: "metadata", path: "sessionId", from: "openinference langchain: JSON"},
	source{key: "metadata", path: "session_id", from: "openinference langchain: JSON"},
	source{key: "mcp.session.id", from: "semconv v1.39"},
)

// models prefers the model that answered over the one asked for.
var models = newTable(
	source{key: "gen_ai.response.model", from: "semconv v1.28"},
	source{key: "llm.response.model_name", from: "openinference"},
	source{key: "ai.response.model", from: "ai v4 to v6"},
	source{key: "gen_ai.request.model", from: "semconv v1.28"},
	source{key: "llm.model_name", from: "openinference"},
	source{key: "llm.request.model_name", from: "openinference"},
	source{key: "ai.model.id", from: "ai v4 to v6"},
	source{key: "langfuse.observation.model.name", from: "langfuse"},
	source{key: "model_name", from: "pydantic-ai"},
	source{key: "model", only: DialectClaudeCode, from: "claude code"},
)

// modelSpans is what names the model on spans of inferences only.
var modelSpans = newTable(source{key: "genkit:name", from: "genkit"})

var providers = newTable(
	source{key: "gen_ai.provider.name", from: "semconv v1.37"},
	source{key: "gen_ai.system", from: "semconv v1.28 to v1.36"},
	source{key: "llm.provider", from: "openinference"},
	source{key: "llm.system", from: "openinference"},
	source{key: "ai.model.provider", from: "ai v4 to v6"},
)

// tools is the name of the tool that was called; see toolName for what else names it.
var tools = newTable(
	source{key: "gen_ai.tool.name", from: "semconv v1.31"},
	source{key: "tool.name", from: "openinference"},
	source{key: "ai.toolCall.name", from: "ai v4 to v6"},
	source{key: "traceloop.entity.name", from: "openllmetry"},
	source{key: "genkit:name", from: "genkit"},
	source{key: "tool_name", only: DialectClaudeCode, from: "claude code"},
	source{key: "mcp.tool.name", from: "mcp, before semconv v1.39"},
)

// serviceNames and environments are read on resources, spanEnvironments on spans whose resource has none.
var (
	serviceNames = newTable(source{key: "service.name", from: "semconv"})
	environments = newTable(
		source{key: "deployment.environment.name", from: "semconv v1.27"},
		source{key: "deployment.environment", from: "semconv before v1.27"},
		source{key: "gen_ai.environment", from: "openlit"},
		source{key: "langfuse.environment", from: "langfuse"},
	)
)

// runNamePrefixes and runNameSuffixes are what emitters put around the agent's name in the name of a run's span.
var (
	runNamePrefixes = []string{"invoke_agent ", "invoke_workflow "} // semconv
	runNameSuffixes = []string{".agent", ".workflow"}               // openllmetry
)

// operationNames are span names that name only what is done, not who does it.
var operationNames = map[string]bool{
	"invoke_agent": true, "invoke_workflow": true, "agent run": true,
	"ai.generateText": true, "ai.streamText": true, "ai.generateObject": true, "ai.streamObject": true,
	"claude_code.interaction": true,
}

// identity is who ran. weak means that nothing names the agent, so that the id is a stand-in.
type identity struct {
	id, name, version string
	weak              bool
}

// identify says who ran the run of a span: what its attributes say, else its resource, else the name of the span,
// else the service.
func (m *Mapper) identify(s *record.Span, v *view, d Dialect) identity {
	res := &m.resources[s.Resource]
	var who identity
	who.id, _ = m.text(v, agentIDs, d)
	who.name, _ = m.text(v, agentNames, d)
	if who.version, _ = m.text(v, agentVersions, d); who.version == "" {
		who.version = res.agentVersion
	}
	if who.id == "" {
		who.id = res.agentID
		if who.name == "" {
			who.name = res.agentName
		}
	}
	if who.id == "" {
		who.id, who.weak = m.nameOfRun(s, v, res.service)
	}
	if who.name == "" {
		who.name = who.id
	}
	return who
}

var idRequestModel = keys.intern("gen_ai.request.model")

// nameOfRun takes the agent's name from the name of the span; weak means that it does not have one.
func (m *Mapper) nameOfRun(s *record.Span, v *view, service string) (name string, weak bool) {
	name = s.Name
	for _, p := range runNamePrefixes {
		if rest, ok := strings.CutPrefix(name, p); ok {
			name = strings.TrimSpace(rest)
			break
		}
	}
	for _, x := range runNameSuffixes {
		if rest, ok := strings.CutSuffix(name, x); ok && rest != "" {
			name = rest
			break
		}
	}
	// The AI SDK puts the model where the agent's name belongs.
	if name != "" && !operationNames[name] && name != v.str(idRequestModel) {
		return m.name(name), false
	}
	if service != "" && !strings.HasPrefix(service, "unknown_service") {
		return service, true
	}
	return m.name(s.Name), true
}

// toolName returns the name of the tool that a span of class tool called.
func (m *Mapper) toolName(s *record.Span, v *view, d Dialect) string {
	if name, _ := m.text(v, tools, d); name != "" {
		return name
	}
	name := strings.TrimPrefix(s.Name, "execute_tool ")
	return m.name(strings.TrimSuffix(name, ".tool"))
}
