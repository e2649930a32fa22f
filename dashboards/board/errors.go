package board

// Errors is what goes wrong: groups of errors that are the same, and which of them are new.
func Errors() Dashboard {
	b := newBoard("errors", "Errors", "What goes wrong, grouped: how often, whom it hits, since when, and what is new since yesterday.", clickHouse)
	const when = "$__timeFilter(timestamp)"
	b.choice(clickHouse, "component", "Component", "Service in which it happened", "SELECT DISTINCT component FROM ${database}.SystemErrors WHERE "+when+" ORDER BY component")
	b.choice(clickHouse, "agent", "Agent", "Agents with errors in the time range", "SELECT DISTINCT agentId FROM ${database}.SystemErrors WHERE "+when+" AND agentId != '' ORDER BY agentId")
	b.choice(clickHouse, "group", "Group", "Errors that differ only in ids, numbers and addresses", `
SELECT toString(fingerprint), concat(any(errorCode), ': ', substringUTF8(any(message), 1, 60)) FROM ${database}.SystemErrors WHERE `+when+` GROUP BY fingerprint ORDER BY count() DESC LIMIT 200`)
	filter := when + " AND $__conditionalAll(component IN (${component:singlequote}), $component) AND " + ofAgents + " AND $__conditionalAll(fingerprint IN (${group:singlequote}), $group)"
	from := "\nFROM ${database}.SystemErrors WHERE " + filter
	// All groups of the time range with when they were seen first, ever.
	groups := `
SELECT fingerprint, min(timestamp) AS firstEver FROM ${database}.SystemErrors WHERE fingerprint IN (SELECT fingerprint` + from + `) GROUP BY fingerprint`

	b.heading("In this time range")
	b.stat("Errors", "Each counted once, however many reported it.", clickHouse, `SELECT uniqExact(id) AS "errors"`+from, unit("short"))
	b.stat("Groups", "Different errors.", clickHouse, `SELECT uniqExact(fingerprint) AS "groups"`+from, unit("short"))
	b.stat("New since yesterday", "Groups that were never seen before the last 24 hours. A release is the first thing to suspect.", clickHouse,
		`SELECT countIf(firstEver >= now() - toIntervalDay(1)) AS "new" FROM (`+groups+")", unit("short"), colors("green", 1., "orange"))
	b.stat("Agents", "Agents with errors.", clickHouse, `SELECT uniqExactIf(agentId, agentId != '') AS "agents"`+from, unit("short"))
	b.stat("Users", "Users who met one.", clickHouse, `SELECT uniqExactIf(userId, userId != '') AS "users"`+from, unit("short"))
	b.stat("Runs", "Runs with an error.", clickHouse, `SELECT uniqExactIf(executionId, executionId != '') AS "runs"`+from, unit("short"))

	b.heading("Over time")
	b.series("By severity", "critical: the process says that it cannot go on; warning: below the level of an error.", clickHouse, `
SELECT $__timeInterval(timestamp) AS time, uniqExactIf(id, severity = 'critical') AS "critical", uniqExactIf(id, severity = 'error') AS "error", uniqExactIf(id, severity = 'warning') AS "warning"`+from+" GROUP BY time ORDER BY time",
		unit("short"), every("1m"), stacked, column("critical", colored("dark-red")), column("error", colored("red")), column("warning", colored("orange")))
	b.series("By code", "The ten most frequent codes.", clickHouse, `
SELECT $__timeInterval(timestamp) AS time, if(errorCode IN (SELECT errorCode`+from+` GROUP BY errorCode ORDER BY count() DESC LIMIT 10), toString(errorCode), 'others') AS code, uniqExact(id) AS "Value"`+from+" GROUP BY time, code ORDER BY time, code",
		unit("short"), every("1m"), stacked)

	b.heading("Groups")
	b.table("Groups", "The most frequent first. first is ever, not in the time range: a group whose first is old and that comes often again is a relapse. Click one to see only that.", clickHouse, `
SELECT toString(fingerprint) AS "group", tupleElement(argMax((e.errorCode, e.component, e.message), e.timestamp) AS newest, 1) AS "error", newest.2 AS "where", max(e.severity) AS "severity", uniqExact(e.id) AS "times", uniqExactIf(e.agentId, e.agentId != '') AS "agents", uniqExactIf(e.userId, e.userId != '') AS "users",
    any(g.firstEver) AS "first", max(e.timestamp) AS "last", newest.3 AS "message"
FROM (SELECT *`+from+`) AS e INNER JOIN (`+groups+`) AS g USING (fingerprint) GROUP BY fingerprint ORDER BY "times" DESC LIMIT 100`, size(24, 10),
		column("group", hidden()), column("error", to("Only this group", address("errors", "group", `${__data.fields["group"]:percentencode}`))), column("times", bar()))
	b.table("New since yesterday", "Groups that were never seen before the last 24 hours, the newest first.", clickHouse, `
SELECT min(e.timestamp) AS "first", tupleElement(argMax((e.errorCode, e.component, e.message, e.executionId), e.timestamp) AS newest, 1) AS "error", newest.2 AS "where", uniqExact(e.id) AS "times", newest.4 AS "run", newest.3 AS "message"
FROM (SELECT *`+from+`) AS e WHERE fingerprint IN (SELECT fingerprint FROM (`+groups+`) WHERE firstEver >= now() - toIntervalDay(1)) GROUP BY fingerprint ORDER BY "first" DESC LIMIT 100`, size(12, 9), empty("nothing new"),
		column("run", to("Open the run", address("execution", "execution", "${__value.raw:percentencode}"))))
	b.table("Latest", "The latest errors, with the run in which they happened.", clickHouse, `
SELECT timestamp AS "when", errorCode AS "error", component AS "where", agentId AS "agent", executionId AS "run", message, details
FROM ${database}.SystemErrors WHERE `+filter+` ORDER BY timestamp DESC LIMIT 100`, size(12, 9),
		column("run", to("Open the run", address("execution", "execution", "${__value.raw:percentencode}"))), column("agent", to("Open the agent", address("agent", "agent", "${__value.raw:percentencode}"))))
	return b.d
}
