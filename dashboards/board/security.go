package board

// Security is security events, and what else looks like somebody who tries.
func Security() Dashboard {
	b := newBoard("security", "Security events", "Logins, refusals, keys and policies: what happened, who did it, from where, and how it ended.", clickHouse)
	const when = "$__timeFilter(timestamp)"
	b.choice(clickHouse, "type", "Type", "Types of events in the time range", "SELECT DISTINCT type FROM ${database}.SecurityEvents WHERE "+when+" ORDER BY type")
	from := "\nFROM ${database}.SecurityEvents WHERE $__conditionalAll(type IN (${type:singlequote}), $type) AND " + when

	b.heading("In this time range")
	b.stat("Events", "Security events.", clickHouse, `SELECT count() AS "events"`+from, unit("short"))
	b.stat("Denied or failed", "Events that ended so.", clickHouse, `SELECT countIf(outcome IN ('denied', 'failure')) AS "events"`+from, unit("short"), colors("green", 1., "orange"))
	b.stat("Severe", "Events of severity error or critical.", clickHouse, `SELECT countIf(severity IN ('error', 'critical')) AS "events"`+from, unit("short"), colors("green", 1., "red"))
	b.stat("Actors", "Users, keys and services that did something.", clickHouse, `SELECT uniqExactIf(actor, actor != '') AS "actors"`+from, unit("short"))
	b.stat("Addresses", "Addresses that events came from.", clickHouse, `SELECT uniqExactIf(ipAddress, ipAddress != '') AS "addresses"`+from, unit("short"))
	b.stat("Requests denied", "Answers of 401 and 403 of all services, which should each be an event too.", clickHouse, "SELECT countIf(httpStatus IN (401, 403)) AS \"requests\" FROM ${database}.RequestLog WHERE "+when, unit("short"))

	b.heading("Over time")
	b.series("By type", "A type that was not there before, or one that grows, wants a look.", clickHouse, `SELECT $__timeInterval(timestamp) AS time, toString(type) AS kind, count() AS "Value"`+from+" GROUP BY time, kind ORDER BY time, kind", unit("short"), every("1m"), stacked)
	b.series("By outcome", "denied: somebody was not allowed to; failure: it did not work.", clickHouse, `
SELECT $__timeInterval(timestamp) AS time, countIf(outcome = 'success') AS "success", countIf(outcome = 'failure') AS "failure", countIf(outcome = 'denied') AS "denied", countIf(outcome = 'unknown') AS "unknown"`+from+" GROUP BY time ORDER BY time",
		unit("short"), every("1m"), stacked, column("success", colored("green")), column("failure", colored("orange")), column("denied", colored("red")))

	b.heading("Who and from where")
	b.table("Addresses", "Addresses with the most events that were denied or failed: many actors from one is somebody who tries them all.", clickHouse, `
SELECT ipAddress AS "address", countIf(outcome IN ('denied', 'failure')) AS "denied or failed", count() AS "events", uniqExact(actor) AS "actors", groupUniqArray(5)(toString(type)) AS "types", max(timestamp) AS "last"`+from+` AND ipAddress != '' GROUP BY ipAddress ORDER BY "denied or failed" DESC, "events" DESC LIMIT 50`,
		size(12, 9), column("denied or failed", bar()))
	b.table("Actors", "Who did it: many addresses of one actor is an account that others have.", clickHouse, `
SELECT actor, countIf(outcome IN ('denied', 'failure')) AS "denied or failed", count() AS "events", uniqExact(ipAddress) AS "addresses", groupUniqArray(5)(toString(type)) AS "types", max(timestamp) AS "last"`+from+` AND actor != '' GROUP BY actor ORDER BY "denied or failed" DESC, "events" DESC LIMIT 50`,
		size(12, 9), column("denied or failed", bar()))
	b.table("Events", "The latest first.", clickHouse, `
SELECT timestamp AS "when", type, severity, outcome, actor, resource, ipAddress AS "from", userAgent AS "user agent", component, message, executionId AS "run", details`+from+` ORDER BY timestamp DESC LIMIT 300`, size(24, 11),
		column("run", to("Open the run", address("execution", "execution", "${__value.raw:percentencode}"))),
		column("outcome", property{"mappings", []any{map[string]any{"type": "value", "options": map[string]any{"denied": map[string]any{"color": "red", "index": 0}, "failure": map[string]any{"color": "orange", "index": 1}}}}}, property{"custom.cellOptions", map[string]any{"type": "color-text"}}))
	return b.d
}
