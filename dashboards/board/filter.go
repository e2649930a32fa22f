package board

// Conditions that many queries have. The hour in which the time range begins counts as a whole: figures by hour have no
// smaller parts.
const (
	ofAgents     = "$__conditionalAll(agentId IN (${agent:singlequote}), $agent)"
	inHours      = "periodStart >= toStartOfHour($__fromTime) AND periodStart <= $__toTime"
	inDays       = "day >= toDate($__fromTime) AND day <= toDate($__toTime)"
	byHours      = "toStartOfInterval(periodStart, toIntervalSecond(greatest(3600, $__interval_s)))"
	spanOfAgents = "${database}.AgentMetricsTotal(from = toStartOfHour($__fromTime), to = $__toTime)"
)

// theExecution is the time in which something of the chosen run can have happened, so that tables need not be searched as a
// whole. A run that nobody has told of yet has no time, and everything is searched.
func theExecution(timestamp string) string {
	const of = "FROM ${database}.AgentExecution WHERE id = ${execution:singlequote}"
	return timestamp + " >= (SELECT min(startedAt) " + of + ") - toIntervalDay(1) AND " + timestamp + " <= (SELECT max(startedAt) " + of + ") + toIntervalDay(2)"
}

// ofExecution is what names the chosen run, or names none and is of its trace.
const ofExecution = `(executionId = ${execution:singlequote} OR executionId = '' AND traceId IN (SELECT traceId FROM ${database}.AgentExecution WHERE id = ${execution:singlequote} AND traceId != ''))`

// agents is the choice of agents that ran in the time range.
const agents = `
SELECT DISTINCT agentId FROM ${database}.AgentMetricsDaily
WHERE periodStart >= toStartOfDay($__fromTime) AND periodStart <= $__toTime ORDER BY agentId`
