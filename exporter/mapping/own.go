package mapping

// The attributes of the project's own namespace. They win over every other convention. All are read on spans, save
// those of the log category and of security events, which are read on log records; the identities are read on both.
const (
	// KeyExecutionID is the id of the run; on any span or log record it says to which run that belongs.
	KeyExecutionID = "agenttrail.execution.id"
	// KeyExecutionParentID is the id of the run that called this one.
	KeyExecutionParentID = "agenttrail.execution.parent_id"
	// KeyExecutionStatus is the outcome of the run: success, failed, timeout or error.
	KeyExecutionStatus = "agenttrail.execution.status"
	// KeyExecutionErrorCode is the low-cardinality reason of a run that did not succeed.
	KeyExecutionErrorCode = "agenttrail.execution.error_code"
	// KeyExecutionQueueTime is the time between the request for the run and its start, ms.
	KeyExecutionQueueTime = "agenttrail.execution.queue_time_ms"
	// KeyExecutionResponseTime is the time from the request to the first output, ms.
	KeyExecutionResponseTime = "agenttrail.execution.response_time_ms"
	// KeyExecutionProcessingTime is the time spent working, ms.
	KeyExecutionProcessingTime = "agenttrail.execution.processing_time_ms"
	// KeyCredits is what the run used: a decimal string (exact to a millionth), an integer or a double.
	KeyCredits = "agenttrail.credits"
	// KeyImported says of a run of the past, when it is true, that the ledger does not know it: it was charged elsewhere. It
	// stays in the attributes, where the reconciliation reads it.
	KeyImported = "agenttrail.imported"
	// KeyCostUSD is the cost in USD: a decimal string (exact to a billionth), an integer or a double.
	KeyCostUSD = "agenttrail.cost_usd"
	// KeyAgentID is the stable id of the agent; also read on resources.
	KeyAgentID = "agenttrail.agent.id"
	// KeyAgentName is the human-readable name of the agent; also read on resources.
	KeyAgentName = "agenttrail.agent.name"
	// KeyAgentVersion is the version of the agent; also read on resources.
	KeyAgentVersion = "agenttrail.agent.version"
	// KeyUserID is the user for whom the agent runs.
	KeyUserID = "agenttrail.user.id"
	// KeySessionID is the session or conversation.
	KeySessionID = "agenttrail.session.id"
	// KeyOperation is what a span is: agent, workflow, inference, tool, retrieval, embedding, memory, step or request.
	KeyOperation = "agenttrail.operation"
	// KeyLogCategory is what a log record is about: execution, error, performance or user_action.
	KeyLogCategory = "agenttrail.log.category"
	// KeyClientAddress is the address of the end user.
	KeyClientAddress = "agenttrail.client.address"
	// KeyUserAgent is the user agent of the end user.
	KeyUserAgent = "agenttrail.user_agent"

	// KeySecurityType makes a log record a security event and says what happened, such as auth.login, auth.denied,
	// key.revoked or policy.violation.
	KeySecurityType = "agenttrail.security.type"
	// KeySecurityOutcome is how a security event ended: success, failure, denied or unknown.
	KeySecurityOutcome = "agenttrail.security.outcome"
	// KeySecuritySeverity is how bad a security event is: info, warning, error or critical.
	KeySecuritySeverity = "agenttrail.security.severity"
	// KeySecurityActor is who did it: user, key or service.
	KeySecurityActor = "agenttrail.security.actor"
	// KeySecurityResource is what was acted on.
	KeySecurityResource = "agenttrail.security.resource"

	// KeyOriginalTime is written, not read: the time that an emitter gave, in ns since the epoch, where it could not
	// be true and the time of receipt was stored instead.
	KeyOriginalTime = "agenttrail.original_time_unix_nano"
)
