package coverage

const (
	requests        = "{db}.RequestLog"
	requestsWhere   = "timestamp >= {since} AND timestamp < {until}"
	requestsSettled = "timestamp >= {since} AND timestamp < {settled}"
	requestsList    = "timestamp, serviceName, method, path, route, httpStatus, userId, executionId, traceId"
)

var apiChecks = []Check{
	present(APIMonitoring, "requests_recorded", "RequestLog", "timestamp", "requests", "",
		"Instrument the HTTP server of the API with OpenTelemetry: server spans become rows of RequestLog."),
	{
		Name: "requests_have_status", Category: APIMonitoring, Weight: 1, Target: 0.99, Database: ClickHouse,
		Requires: "Every request has a method and the status of its response.",
		Of:       "requests", Lacks: "without a method or a status",
		From: requests, Where: requestsWhere, Bad: "method = '' OR httpStatus = 0", List: requestsList, Order: newest,
		Remedy: "Set http.request.method and http.response.status_code on the server span. A client that went away before the response leaves none: use 499.",
	},
	{
		Name: "requests_have_route", Category: APIMonitoring, Weight: 2, Target: 0.99, Database: ClickHouse,
		Requires: "Every request that something answered has a route.",
		Of:       "requests that something answered", Lacks: "without a route",
		From: requests, Where: requestsWhere + " AND httpStatus NOT IN (0, 404, 405)", Bad: "route = ''", List: requestsList, Order: newest,
		Remedy: "Set http.route on the server span: the template, such as /v1/agents/{agent}/runs. Instrument the router rather than the bare server.",
	},
	{
		Name: "requests_have_client", Category: APIMonitoring, Weight: 1, Target: 0.95, Database: ClickHouse,
		Requires: "Every request says where it came from, by address and user agent.",
		Of:       "requests", Lacks: "without an address or a user agent",
		From: requests, Where: requestsWhere, Bad: "ipAddress = '' OR userAgent = ''", List: requestsList + ", ipAddress, userAgent", Order: newest,
		Remedy: "Set client.address and user_agent.original on the server span; behind a proxy, let the instrumentation trust X-Forwarded-For.",
	},
	{
		Name: "failed_requests_have_code", Category: APIMonitoring, Weight: 2, Target: 1, Database: ClickHouse,
		Requires: "Every request that failed, with 500 or above, has an error code.",
		Of:       "failed requests", Lacks: "without an error code",
		From: requests, Where: requestsWhere + " AND httpStatus >= 500", Bad: "errorCode = ''", List: requestsList + ", errorMessage", Order: newest,
		Remedy: "Set error.type on the server span.",
	},
	{
		Name: "runs_have_request", Category: APIMonitoring, Weight: 3, Target: 0.9, Database: ClickHouse, Settle: inTransit,
		Requires: "The request that led to each run is known: it names the run, or is of its trace.",
		Of:       "runs", Lacks: "that no request led to",
		From: runs, Where: runsSettled,
		Bad:  "traceId GLOBAL NOT IN (SELECT traceId FROM {db}.RequestLog WHERE timestamp >= {lookback}) AND id GLOBAL NOT IN (SELECT executionId FROM {db}.RequestLog WHERE timestamp >= {lookback} AND executionId != '')",
		List: runsList + ", traceId", Order: runsNewest,
		Remedy: "Hand the trace context from the API to the runner (traceparent, through queues too), or put agenttrail.execution.id on the server span. Runs that a schedule starts have no request, which is why the target leaves room.",
	},
	{
		Name: "requests_lead_to_run", Category: APIMonitoring, Weight: 1, Target: 0.99, Database: ClickHouse, Settle: longestRun,
		Requires: "Every run that a successful request names is recorded.",
		Of:       "successful requests that name a run", Lacks: "whose run is not recorded",
		From: requests, Where: requestsSettled + " AND executionId != '' AND httpStatus BETWEEN 200 AND 399", Bad: "executionId GLOBAL NOT IN " + knownRuns,
		List: requestsList, Order: newest,
		Remedy: "The run never started, its span was not ended, or the runner sends no telemetry: look it up by its id in the runner's own log.",
	},
}
