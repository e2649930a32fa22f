package coverage

var userChecks = []Check{
	present(UserActivity, "users_recorded", "AgentExecution", "startedAt", "runs of users", "userId != ''",
		"Set agenttrail.user.id (or user.id) on the run's span, or in the baggage of the request that starts it."),
	{
		Name: "runs_have_user", Category: UserActivity, Weight: 3, Target: 0.99, Database: ClickHouse,
		Requires: "Every run names the user for whom it ran.",
		Of:       "runs", Lacks: "without a user",
		From: runs, Where: runsWhere, Bad: "userId = ''", List: runsList, Order: runsNewest,
		Remedy: "Set agenttrail.user.id (or user.id) on the run's span. For runs that nobody asked for, use a user of the platform's own, such as system.",
	},
	{
		Name: "runs_have_session", Category: UserActivity, Weight: 1, Target: 0.9, Database: ClickHouse,
		Requires: "Every run belongs to a session or conversation.",
		Of:       "runs", Lacks: "without a session",
		From: runs, Where: runsWhere, Bad: "sessionId = ''", List: runsList, Order: runsNewest,
		Remedy: "Set agenttrail.session.id, session.id or gen_ai.conversation.id on the run's span.",
	},
	{
		Name: "requests_have_user", Category: UserActivity, Weight: 2, Target: 0.95, Database: ClickHouse,
		Requires: "Every request about an agent or a run names its user.",
		Of:       "requests about agents", Lacks: "without a user",
		From: requests, Where: requestsWhere + " AND (agentId != '' OR executionId != '')", Bad: "userId = ''", List: requestsList, Order: newest,
		Remedy: "Set agenttrail.user.id (or user.id) on the server span once the request is authenticated; the Go SDK's WithIdentity does it.",
	},
	{
		Name: "user_actions_have_user", Category: UserActivity, Weight: 1, Target: 1, Database: ClickHouse,
		Requires: "Every logged action of a user says whose it is; security events apart.",
		Of:       "actions of users", Lacks: "without a user",
		From: logs, Where: logsWhere + " AND category = 'user_action'" + noEvent, Bad: "userId = ''", List: logsList, Order: newest,
		Remedy: "Log actions with the identity of the request: agenttrail.user.id on the log record.",
	},
}
