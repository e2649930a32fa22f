package mapping

import (
	"github.com/agenttrail/agenttrail/exporter/row"
)

// Bounds of what one span can have used; more is a mistake of the emitter.
const (
	maxTokens  = 1_000_000_000_000         // a trillion
	maxNanoUSD = 999_999_999_999_999_999   // what Decimal(18, 9) holds
	maxCredits = 999_999_999_999_999_999   // what Decimal(18, 6) holds
	maxMillis  = 400 * 24 * 60 * 60 * 1000 // 400 days
)

// The tables of tokens. Cached input is part of the input and reasoning is part of the output.
var (
	inputTokens = newTable(
		source{key: "gen_ai.usage.input_tokens", from: "semconv v1.28"},
		source{key: "gen_ai.aggregated_usage.input_tokens", from: "pydantic-ai v2.33: runs"},
		source{key: "llm.token_count.prompt", from: "openinference"},
		source{key: "ai.usage.inputTokens", from: "ai v5, v6"},
		source{key: "gen_ai.usage.prompt_tokens", from: "semconv before v1.28; openllmetry; eino; vLLM"},
		source{key: "ai.usage.promptTokens", from: "ai v4"},
		source{key: "langfuse.observation.usage_details", path: "input", from: "langfuse: JSON"},
		source{key: "langfuse.observation.usage_details", path: "prompt_tokens", from: "langfuse: JSON"},
		source{key: "langsmith.usage_metadata", path: "input_tokens", from: "langsmith: JSON"},
		source{key: "genkit:output", path: "usage.inputTokens", from: "genkit: JSON"},
		source{key: "input_tokens", only: DialectClaudeCode, from: "claude code: without cached ones"},
	)
	outputTokens = newTable(
		source{key: "gen_ai.usage.output_tokens", from: "semconv v1.28"},
		source{key: "gen_ai.aggregated_usage.output_tokens", from: "pydantic-ai v2.33: runs"},
		source{key: "llm.token_count.completion", from: "openinference"},
		source{key: "ai.usage.outputTokens", from: "ai v5, v6"},
		source{key: "gen_ai.usage.completion_tokens", from: "semconv before v1.28; openllmetry; eino; vLLM"},
		source{key: "ai.usage.completionTokens", from: "ai v4"},
		source{key: "langfuse.observation.usage_details", path: "output", from: "langfuse: JSON"},
		source{key: "langfuse.observation.usage_details", path: "completion_tokens", from: "langfuse: JSON"},
		source{key: "langsmith.usage_metadata", path: "output_tokens", from: "langsmith: JSON"},
		source{key: "genkit:output", path: "usage.outputTokens", from: "genkit: JSON"},
		source{key: "output_tokens", only: DialectClaudeCode, from: "claude code"},
	)
	cacheReadTokens = newTable(
		source{key: "gen_ai.usage.cache_read.input_tokens", from: "semconv v1.40"},
		source{key: "gen_ai.usage.cache_read_input_tokens", from: "openllmetry; strands"},
		source{key: "gen_ai.usage.cache.read_input_tokens", from: "openlit go"},
		source{key: "gen_ai.usage.cached_input_tokens", from: "openllmetry"},
		source{key: "gen_ai.aggregated_usage.details.cache_read_tokens", from: "pydantic-ai v2.33: runs"},
		source{key: "gen_ai.usage.details.cache_read_tokens", from: "pydantic-ai v2.33"},
		source{key: "llm.token_count.prompt_details.cache_read", from: "openinference"},
		source{key: "ai.usage.inputTokenDetails.cacheReadTokens", from: "ai v6, v7"},
		source{key: "ai.usage.cachedInputTokens", from: "ai v5, v6"},
		source{key: "langfuse.observation.usage_details", path: "cache_read_input_tokens", from: "langfuse: JSON"},
		source{key: "langfuse.observation.usage_details", path: "input_cached_tokens", from: "langfuse: JSON"},
		source{key: "langsmith.usage_metadata", path: "input_token_details.cache_read", from: "langsmith: JSON"},
		source{key: "genkit:output", path: "usage.cachedContentTokens", from: "genkit: JSON"},
		source{key: "cache_read_tokens", only: DialectClaudeCode, from: "claude code"},
	)
	cacheWriteTokens = newTable(
		source{key: "gen_ai.usage.cache_write.input_tokens", from: "genai v0.1.0"},
		source{key: "gen_ai.usage.cache_creation.input_tokens", from: "semconv v1.40"},
		source{key: "gen_ai.usage.cache_creation_input_tokens", from: "openllmetry"},
		source{key: "gen_ai.usage.cache_write_input_tokens", from: "strands"},
		source{key: "gen_ai.usage.cache.creation_input_tokens", from: "openlit go"},
		source{key: "gen_ai.aggregated_usage.details.cache_write_tokens", from: "pydantic-ai v2.33: runs"},
		source{key: "gen_ai.usage.details.cache_write_tokens", from: "pydantic-ai v2.33"},
		source{key: "llm.token_count.prompt_details.cache_write", from: "openinference"},
		source{key: "ai.usage.inputTokenDetails.cacheWriteTokens", from: "ai v6, v7"},
		source{key: "langfuse.observation.usage_details", path: "cache_creation_input_tokens", from: "langfuse: JSON"},
		source{key: "langsmith.usage_metadata", path: "input_token_details.cache_creation", from: "langsmith: JSON"},
		source{key: "cache_creation_tokens", only: DialectClaudeCode, from: "claude code"},
	)
	reasoningTokens = newTable(
		source{key: "gen_ai.usage.reasoning.output_tokens", from: "semconv v1.41"},
		source{key: "gen_ai.usage.reasoning_tokens", from: "openllmetry"},
		source{key: "gen_ai.usage.completion_tokens_details.reasoning", from: "openlit go"},
		source{key: "gen_ai.aggregated_usage.details.reasoning_tokens", from: "pydantic-ai v2.33: runs"},
		source{key: "gen_ai.usage.details.reasoning_tokens", from: "pydantic-ai v2.33"},
		source{key: "llm.token_count.completion_details.reasoning", from: "openinference"},
		source{key: "ai.usage.outputTokenDetails.reasoningTokens", from: "ai v6, v7"},
		source{key: "ai.usage.reasoningTokens", from: "ai v5, v6"},
		source{key: "langfuse.observation.usage_details", path: "output_reasoning_tokens", from: "langfuse: JSON"},
		source{key: "langsmith.usage_metadata", path: "output_token_details.reasoning", from: "langsmith: JSON"},
		source{key: "genkit:output", path: "usage.thoughtsTokens", from: "genkit: JSON"},
	)
)

// cacheOutside are the dialects whose input tokens leave the cached ones out.
var cacheOutside = map[Dialect]bool{DialectClaudeCode: true}

// lifetimeUsage are the dialects whose run spans count since the agent was made, not since the run began; the usage
// of such a run is the sum of its inferences.
var lifetimeUsage = map[Dialect]bool{DialectStrands: true}

// costs is what a span cost in USD.
var costs = newTable(
	source{key: KeyCostUSD, from: "agenttrail"},
	source{key: "gen_ai.usage.cost", from: "openlit"},
	source{key: "llm.cost.total", from: "openinference"},
	source{key: "langfuse.observation.cost_details", path: "total", from: "langfuse: JSON"},
	source{key: "operation.cost", from: "pydantic-ai v2.33"},
	source{key: "cost_usd", only: DialectClaudeCode, from: "claude code"},
)

// credits has no convention anywhere but our own.
var credits = newTable(source{key: KeyCredits, from: "agenttrail"})

// usage is what a span says that it used.
type usage struct {
	tokens row.Tokens
	known  bool // the span gave input or output tokens
	cost   row.Cost
}

func (m *Mapper) usageOf(v *view, d Dialect) usage {
	var u usage
	var in, out bool
	u.tokens.Input, in = m.count(v, inputTokens, d, maxTokens)
	u.tokens.Output, out = m.count(v, outputTokens, d, maxTokens)
	if u.known = in || out; u.known {
		u.tokens.CacheRead, _ = m.count(v, cacheReadTokens, d, maxTokens)
		u.tokens.CacheWrite, _ = m.count(v, cacheWriteTokens, d, maxTokens)
		u.tokens.Reasoning, _ = m.count(v, reasoningTokens, d, maxTokens)
		if cacheOutside[d] {
			u.tokens.Input += u.tokens.CacheRead + u.tokens.CacheWrite
		}
	}
	u.cost.NanoUSD, u.cost.Known = m.amount(v, costs, d, 9, maxNanoUSD)
	return u
}

func (m *Mapper) creditsOf(v *view) row.Credits {
	n, _ := m.amount(v, credits, DialectNone, 6, maxCredits)
	return row.Credits(n)
}

func addTokens(sum *row.Tokens, t row.Tokens) {
	sum.Input += t.Input
	sum.Output += t.Output
	sum.CacheRead += t.CacheRead
	sum.CacheWrite += t.CacheWrite
	sum.Reasoning += t.Reasoning
}

// addCost adds a cost; a sum that the column cannot hold stays at its greatest value.
func addCost(sum *row.Cost, c row.Cost) {
	if !c.Known {
		return
	}
	sum.Known = true
	if sum.NanoUSD += c.NanoUSD; sum.NanoUSD > maxNanoUSD || sum.NanoUSD < 0 {
		sum.NanoUSD = maxNanoUSD
	}
}
