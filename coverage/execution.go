package coverage

import "time"

// inTransit is how long what belongs together may take to arrive; longestRun is how long a run may go on while what it
// does is stored already. Its own row is stored when it has ended.
const (
	inTransit  = time.Minute
	longestRun = 15 * time.Minute
)

const (
	runs        = "{db}.AgentExecution"
	runsWhere   = "startedAt >= {since} AND startedAt < {until}"
	runsSettled = "startedAt >= {since} AND startedAt < {settled}"
	runsList    = "id, agentId, userId, status, startedAt, serviceName"
	runsNewest  = "startedAt DESC"

	logs        = "{db}.AgentLog"
	logsWhere   = "timestamp >= {since} AND timestamp < {until}"
	logsSettled = "timestamp >= {since} AND timestamp < {settled}"
	// noEvent leaves out security events, which are log records as well, with the same id, and have checks of their own.
	noEvent  = " AND id GLOBAL NOT IN (SELECT id FROM {db}.SecurityEvents WHERE timestamp >= {since})"
	logsList = "timestamp, serviceName, agentId, executionId, traceId, category, message"
	newest   = "timestamp DESC"

	// knownRuns are the runs that rows of the window can belong to.
	knownRuns = "(SELECT id FROM {db}.AgentExecution WHERE startedAt >= {lookback})"
)

var executionChecks = []Check{
	present(ExecutionTracking, "runs_recorded", "AgentExecution", "startedAt", "runs", "",
		"Send the spans of agent runs: docs/instrumenting.md tells how, by language and framework. Spans that arrive and become no run are in table Span."),
	{
		Name: "runs_have_key_fields", Category: ExecutionTracking, Weight: 3, Target: 1, Database: ClickHouse,
		Requires: "Every run has an id, an agent with a name, a trace and a service.",
		Of:       "runs", Lacks: "without an id, agent, agent's name, trace or service",
		From: runs, Where: runsWhere, Bad: "id = '' OR agentId = '' OR agentName = '' OR traceId = '' OR serviceName = ''",
		List: "id, agentId, agentName, traceId, serviceName, dialect, startedAt", Order: runsNewest,
		Remedy: "Set agenttrail.agent.id and agenttrail.agent.name (or gen_ai.agent.id and gen_ai.agent.name) on the run's span, and service.name on the resource of the program.",
	},
	{
		Name: "runs_have_logs", Category: ExecutionTracking, Weight: 1, Target: 0.9, Database: ClickHouse, Settle: inTransit,
		Requires: "Every run has a log record that names it.",
		Of:       "runs", Lacks: "without a log record",
		From: runs, Where: runsSettled, Bad: "id GLOBAL NOT IN (SELECT executionId FROM {db}.AgentLog WHERE timestamp >= {since})",
		List: runsList, Order: runsNewest,
		Remedy: "Log at least the beginning and the end of a run inside its span; with the Go SDK, agenttrail.Log or its slog handler put the ids on.",
	},
	{
		Name: "model_calls_have_tokens", Category: ExecutionTracking, Weight: 2, Target: 0.99, Database: ClickHouse,
		Requires: "Every call of a model that did not fail tells its tokens.",
		Of:       "model calls", Lacks: "without tokens",
		From: "{db}.Span", Where: runsWhere + " AND operation = 'inference' AND status != 'error'", Bad: "inputTokens + outputTokens = 0",
		List: "traceId, spanId, name, provider, model, serviceName, startedAt", Order: runsNewest,
		Remedy: "Set gen_ai.usage.input_tokens and gen_ai.usage.output_tokens on the span of the call; for streams, ask the provider to send usage with the last part.",
	},
	{
		Name: "logs_name_run", Category: ExecutionTracking, Weight: 2, Target: 0.9, Database: ClickHouse,
		Requires: "Every log record names the run that it belongs to; security events apart.",
		Of:       "log records", Lacks: "without an execution id",
		From: logs, Where: logsWhere + noEvent, Bad: "executionId = ''", List: logsList, Order: newest,
		Remedy: "Put agenttrail.execution.id on log records: the Go SDK's handler does it, other languages set it as an attribute. What a service logs outside of runs counts here, too, which is why the target leaves room.",
	},
	{
		Name: "logs_have_trace", Category: ExecutionTracking, Weight: 1, Target: 0.9, Database: ClickHouse,
		Requires: "Every log record has the trace in which it was logged.",
		Of:       "log records", Lacks: "without a trace id",
		From: logs, Where: logsWhere, Bad: "traceId = ''", List: logsList, Order: newest,
		Remedy: "Log with the context of the active span, through the OpenTelemetry bridge of the logger.",
	},
	{
		Name: "logs_lead_to_run", Category: ExecutionTracking, Weight: 1, Target: 1, Database: ClickHouse, Settle: longestRun,
		Requires: "Every run that log records name is recorded.",
		Of:       "log records that name a run", Lacks: "whose run is not recorded",
		From: logs, Where: logsSettled + " AND executionId != ''", Bad: "executionId GLOBAL NOT IN " + knownRuns,
		List: logsList, Order: newest,
		Remedy: "The run's span was not ended, was sampled away, or has another id than its log records: end it on every path, do not sample runs, and hand one id to both.",
	},
}
