package coverage

const (
	failedWhere   = runsWhere + " AND status != 'success'"
	failedSettled = runsSettled + " AND status != 'success'"
	failedList    = "id, agentId, status, errorCode, errorMessage, startedAt, serviceName"

	// The same error told twice is one row only after a merge, or with FINAL.
	systemErrors = "{db}.SystemErrors FINAL"
	errorsList   = "timestamp, component, errorCode, executionId, traceId, message"
)

var errorChecks = []Check{
	{
		Name: "failed_runs_have_code", Category: ErrorLogging, Weight: 3, Target: 1, Database: ClickHouse,
		Requires: "Every run that did not succeed has an error code.",
		Of:       "runs that did not succeed", Lacks: "without an error code",
		From: runs, Where: failedWhere, Bad: "errorCode = ''", List: failedList, Order: runsNewest,
		Remedy: "Set error.type on the run's span: a short reason of which there are few, such as rate_limited, not the message.",
	},
	{
		Name: "failed_runs_have_message", Category: ErrorLogging, Weight: 1, Target: 0.95, Database: ClickHouse,
		Requires: "Every run that did not succeed has a message.",
		Of:       "runs that did not succeed", Lacks: "without a message",
		From: runs, Where: failedWhere, Bad: "errorMessage = ''", List: failedList, Order: runsNewest,
		Remedy: "Set the description of the span's status, or record the exception on the span.",
	},
	{
		Name: "failed_runs_have_error", Category: ErrorLogging, Weight: 3, Target: 0.99, Database: ClickHouse, Settle: inTransit,
		Requires: "Every run that did not succeed has a row of SystemErrors.",
		Of:       "runs that did not succeed", Lacks: "without a row of SystemErrors",
		From: runs, Where: failedSettled,
		Bad:  "id GLOBAL NOT IN (SELECT executionId FROM {db}.SystemErrors WHERE timestamp >= {since}) AND traceId GLOBAL NOT IN (SELECT traceId FROM {db}.SystemErrors WHERE timestamp >= {since} AND executionId = '')",
		List: failedList, Order: runsNewest,
		Remedy: "Set the status of the run's span to Error, record the exception on it, or log it with level ERROR and the ids of the run.",
	},
	{
		Name: "errors_have_code", Category: ErrorLogging, Weight: 1, Target: 0.95, Database: ClickHouse,
		Requires: "Every error has a code.",
		Of:       "errors", Lacks: "without a code",
		From: systemErrors, Where: logsWhere, Bad: "errorCode = ''", List: errorsList, Order: newest,
		Remedy: "Set error.type or exception.type where the error is recorded; errors that are logged as text alone have neither.",
	},
	{
		Name: "errors_name_component", Category: ErrorLogging, Weight: 1, Target: 1, Database: ClickHouse,
		Requires: "Every error names the component in which it happened.",
		Of:       "errors", Lacks: "without a component",
		From: systemErrors, Where: logsWhere, Bad: "component = ''", List: errorsList, Order: newest,
		Remedy: "Set service.name on the resource of the program that sends them (OTEL_SERVICE_NAME).",
	},
	{
		Name: "errors_lead_to_run", Category: ErrorLogging, Weight: 1, Target: 1, Database: ClickHouse, Settle: longestRun,
		Requires: "Every run that errors name is recorded.",
		Of:       "errors that name a run", Lacks: "whose run is not recorded",
		From: systemErrors, Where: logsSettled + " AND executionId != ''", Bad: "executionId GLOBAL NOT IN " + knownRuns,
		List: errorsList, Order: newest,
		Remedy: "The run broke without ending its span: end it on every path, in Go with defer run.End(&err), and shut the SDK down before the process ends.",
	},
}
