package mapping

import "strings"

// Dialect is the convention or emitter that told what a span is.
type Dialect uint8

// The dialects. An emitter that follows the GenAI conventions but has attributes of its own is one, too.
const (
	DialectNone Dialect = iota
	DialectOwn
	DialectGenAI
	DialectOpenInference
	DialectTraceloop
	DialectAISDK
	DialectAISDKLegacy
	DialectLangfuse
	DialectMastra
	DialectADK
	DialectGenkit
	DialectPydanticAI
	DialectStrands
	DialectLangSmith
	DialectOpenLIT
	DialectEino
	DialectVLLM
	DialectClaudeCode
	DialectMCP
	DialectHTTP
	numDialects
)

// String returns the name as it is stored in AgentExecution.dialect.
func (d Dialect) String() string {
	if d < numDialects {
		return dialectNames[d]
	}
	return ""
}

var dialectNames = [numDialects]string{
	DialectOwn:           "agenttrail",
	DialectGenAI:         "otel_genai",
	DialectOpenInference: "openinference",
	DialectTraceloop:     "traceloop",
	DialectAISDK:         "ai_sdk",
	DialectAISDKLegacy:   "ai_sdk_legacy",
	DialectLangfuse:      "langfuse",
	DialectMastra:        "mastra",
	DialectADK:           "google_adk",
	DialectGenkit:        "genkit",
	DialectPydanticAI:    "pydantic_ai",
	DialectStrands:       "strands",
	DialectLangSmith:     "langsmith",
	DialectOpenLIT:       "openlit",
	DialectEino:          "eino",
	DialectVLLM:          "vllm",
	DialectClaudeCode:    "claude_code",
	DialectMCP:           "mcp",
	DialectHTTP:          "http",
}

// scopeDialects tells emitters apart that share the GenAI conventions, by the name of their instrumentation scope.
var scopeDialects = []struct {
	prefix  string
	dialect Dialect
	from    string
}{
	{"gcp.vertex.agent", DialectADK, "google adk-go v2.1 and adk-python"},
	{"pydantic-ai", DialectPydanticAI, "pydantic-ai v2.33"},
	{"strands", DialectStrands, "strands sdk-python 2026-05"},
	{"openlit", DialectOpenLIT, "openlit"},
	{"@mastra/", DialectMastra, "mastra otel-exporter"},
	{"langfuse-sdk", DialectLangfuse, "langfuse-js v5"},
	{"genkit-tracer", DialectGenkit, "firebase genkit"},
	{"@traceloop/", DialectTraceloop, "openllmetry-js 0.27"},
	{"com.anthropic.claude_code", DialectClaudeCode, "claude code"},
	{"vllm", DialectVLLM, "vLLM"},
}

// exactScopes are the scope names that are too short to be a prefix.
var exactScopes = map[string]Dialect{
	"gen_ai": DialectAISDK,       // @ai-sdk/otel 1.0
	"ai":     DialectAISDKLegacy, // ai v4 to v6, LegacyOpenTelemetry in v7
}

// systemDialects tells emitters apart that name themselves as the provider.
var systemDialects = map[string]Dialect{
	"strands-agents": DialectStrands, // strands sdk-python
	"eino":           DialectEino,    // eino-ext apmplus callback
}

func scopeDialect(name string) Dialect {
	if d, ok := exactScopes[name]; ok {
		return d
	}
	for i := range scopeDialects {
		if strings.HasPrefix(name, scopeDialects[i].prefix) {
			return scopeDialects[i].dialect
		}
	}
	return DialectNone
}
