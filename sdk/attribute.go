package agenttrail

import "go.opentelemetry.io/otel/attribute"

// The attributes of AgentTrail's own namespace that this package sets; docs/mapping.md says what becomes of them. The
// first four are also the names of the members of the baggage.
const (
	keyExecutionID = attribute.Key("agenttrail.execution.id")
	keyAgentID     = attribute.Key("agenttrail.agent.id")
	keyUserID      = attribute.Key("agenttrail.user.id")
	keySessionID   = attribute.Key("agenttrail.session.id")

	keyParentID         = attribute.Key("agenttrail.execution.parent_id")
	keyStatus           = attribute.Key("agenttrail.execution.status")
	keyErrorCode        = attribute.Key("agenttrail.execution.error_code")
	keyQueueTime        = attribute.Key("agenttrail.execution.queue_time_ms")
	keyResponseTime     = attribute.Key("agenttrail.execution.response_time_ms")
	keyImported         = attribute.Key("agenttrail.imported")
	keyCredits          = attribute.Key("agenttrail.credits")
	keyCost             = attribute.Key("agenttrail.cost_usd")
	keyOperation        = attribute.Key("agenttrail.operation")
	keyCategory         = attribute.Key("agenttrail.log.category")
	keyClientAddress    = attribute.Key("agenttrail.client.address")
	keyUserAgent        = attribute.Key("agenttrail.user_agent")
	keySecurityType     = attribute.Key("agenttrail.security.type")
	keySecurityOutcome  = attribute.Key("agenttrail.security.outcome")
	keySecuritySeverity = attribute.Key("agenttrail.security.severity")
	keySecurityActor    = attribute.Key("agenttrail.security.actor")
	keySecurityResource = attribute.Key("agenttrail.security.resource")
)

// The attributes of OpenTelemetry's conventions that this package sets (semconv v1.41; bodies: v1.45).
const (
	keyAgentName    = attribute.Key("gen_ai.agent.name")
	keyAgentVersion = attribute.Key("gen_ai.agent.version")

	keyGenAIOperation = attribute.Key("gen_ai.operation.name")
	keyProvider       = attribute.Key("gen_ai.provider.name")
	keyRequestModel   = attribute.Key("gen_ai.request.model")
	keyResponseModel  = attribute.Key("gen_ai.response.model")
	keyFinishReasons  = attribute.Key("gen_ai.response.finish_reasons")
	keyFirstChunk     = attribute.Key("gen_ai.response.time_to_first_chunk")
	keyInputTokens    = attribute.Key("gen_ai.usage.input_tokens")
	keyOutputTokens   = attribute.Key("gen_ai.usage.output_tokens")
	keyCacheRead      = attribute.Key("gen_ai.usage.cache_read.input_tokens")
	keyCacheWrite     = attribute.Key("gen_ai.usage.cache_write.input_tokens")
	keyReasoning      = attribute.Key("gen_ai.usage.reasoning.output_tokens")
	keyToolName       = attribute.Key("gen_ai.tool.name")
	keyToolCallID     = attribute.Key("gen_ai.tool.call.id")
	keyToolType       = attribute.Key("gen_ai.tool.type")

	keyErrorType           = attribute.Key("error.type")
	keyExceptionType       = attribute.Key("exception.type")
	keyExceptionMessage    = attribute.Key("exception.message")
	keyExceptionStacktrace = attribute.Key("exception.stacktrace")

	keyMethod         = attribute.Key("http.request.method")
	keyMethodOriginal = attribute.Key("http.request.method_original")
	keyRoute          = attribute.Key("http.route")
	keyStatusCode     = attribute.Key("http.response.status_code")
	keyRequestSize    = attribute.Key("http.request.body.size")
	keyResponseSize   = attribute.Key("http.response.body.size")
	keyRequestBody    = attribute.Key("http.request.body.content")
	keyResponseBody   = attribute.Key("http.response.body.content")
	keyURLFull        = attribute.Key("url.full")
	keyURLScheme      = attribute.Key("url.scheme")
	keyURLPath        = attribute.Key("url.path")
	keyURLQuery       = attribute.Key("url.query")
	keyServerAddress  = attribute.Key("server.address")
	keyServerPort     = attribute.Key("server.port")
	keyClient         = attribute.Key("client.address")
	keyUserAgentHTTP  = attribute.Key("user_agent.original")

	keyFunctionName = attribute.Key("code.function.name")
	keyFilePath     = attribute.Key("code.file.path")
	keyLineNumber   = attribute.Key("code.line.number")
)
