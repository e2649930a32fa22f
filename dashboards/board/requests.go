package board

// Requests is the HTTP API in front of the agents, and that of the ledger.
func Requests() Dashboard {
	b := newBoard("requests", "API requests", "HTTP requests that services answered: how many, how fast, with which status, and what failed.", clickHouse)
	const when = "$__timeFilter(timestamp)"
	b.choice(clickHouse, "service", "Service", "Services that answered requests in the time range", "SELECT DISTINCT serviceName FROM ${database}.RequestLog WHERE "+when+" ORDER BY serviceName")
	b.choice(clickHouse, "route", "Route", "Route templates of these services", "SELECT DISTINCT route FROM ${database}.RequestLog WHERE "+when+" AND $__conditionalAll(serviceName IN (${service:singlequote}), $service) ORDER BY route LIMIT 500")
	from := "\nFROM ${database}.RequestLog WHERE $__conditionalAll(serviceName IN (${service:singlequote}), $service) AND $__conditionalAll(route IN (${route:singlequote}), $route) AND " + when

	b.heading("In this time range")
	b.stat("Requests", "Requests that arrived.", clickHouse, `SELECT count() AS "requests"`+from, unit("short"))
	b.stat("Failed by us", "Share of answers with a status of 500 and above, or none.", clickHouse, `SELECT if(count() = 0, NULL, countIf(httpStatus >= 500 OR httpStatus = 0) / count()) AS "failed"`+from, unit("percentunit"), decimals(2), colors("green", 0.01, "orange", 0.05, "red"))
	b.stat("Refused", "Share of answers with a status of 400 to 499: wrong, not allowed, or too many.", clickHouse, `SELECT if(count() = 0, NULL, countIf(httpStatus BETWEEN 400 AND 499) / count()) AS "refused"`+from, unit("percentunit"), decimals(2), colors("green", 0.1, "orange", 0.3, "red"))
	b.stat("Duration, p50", "The median request, until the end of its answer.", clickHouse, `SELECT quantileDD(0.01, 0.5)(duration) AS "p50"`+from, unit("ms"))
	b.stat("Duration, p95", "Of 100 requests 95 were answered within this time.", clickHouse, `SELECT quantileDD(0.01, 0.95)(duration) AS "p95"`+from, unit("ms"))
	b.stat("Without a run", "Share of requests of routes that start runs, of which no run is known: neither by its id nor by its trace.", clickHouse, `
SELECT if(count() = 0, NULL, countIf(executionId = '' AND traceId NOT IN (SELECT traceId FROM ${database}.AgentExecution WHERE $__timeFilter(startedAt))) / count()) AS "without a run"`+from+" AND agentId != ''", unit("percentunit"), decimals(2), colors("green", 0.01, "orange"))

	b.heading("Over time")
	b.series("By status", "Requests by class of status. none: the connection ended before there was one.", clickHouse, `
SELECT $__timeInterval(timestamp) AS time, countIf(httpStatus BETWEEN 200 AND 399) AS "2xx and 3xx", countIf(httpStatus BETWEEN 400 AND 499) AS "4xx", countIf(httpStatus >= 500) AS "5xx", countIf(httpStatus < 200) AS "none"`+from+" GROUP BY time ORDER BY time",
		unit("short"), every("1m"), stacked, column("2xx and 3xx", colored("green")), column("4xx", colored("orange")), column("5xx", colored("red")), column("none", colored("dark-red")))
	b.series("Duration", "Percentiles over the chosen routes.", clickHouse, `
SELECT $__timeInterval(timestamp) AS time, (quantilesDD(0.01, 0.5, 0.95, 0.99)(duration) AS q)[1] AS "p50", q[2] AS "p95", q[3] AS "p99"`+from+" GROUP BY time ORDER BY time", unit("ms"), every("1m"), percentiles)

	b.heading("Routes and clients")
	b.table("Routes", "The busiest first.", clickHouse, `
SELECT serviceName AS "service", method, route, count() AS "requests", countIf(httpStatus >= 500 OR httpStatus = 0) / "requests" AS "failed", countIf(httpStatus BETWEEN 400 AND 499) / "requests" AS "refused", (quantilesDD(0.01, 0.5, 0.95, 0.99)(duration) AS q)[1] AS "p50", q[2] AS "p95", q[3] AS "p99", max(timestamp) AS "last"`+from+`
GROUP BY "service", method, route ORDER BY "requests" DESC LIMIT 200`, column("requests", bar()), column("p50", inUnit("ms")), column("p95", inUnit("ms")), column("p99", inUnit("ms")),
		column("failed", append(byValue("green", 0.01, "orange", 0.05, "red"), inUnit("percentunit"), inDecimals(2))...), column("refused", append(byValue("green", 0.1, "orange", 0.3, "red"), inUnit("percentunit"), inDecimals(2))...))
	b.bars("By status", "Answers by status.", clickHouse, `SELECT if(httpStatus = 0, 'none', toString(httpStatus)) AS "status", count() AS "requests"`+from+` GROUP BY "status" ORDER BY "requests" DESC LIMIT 15`, unit("short"), size(8, 9))
	b.table("Clients", "Addresses with the most requests, and how many were refused: 401, 403 and 429 among them are somebody who tries.", clickHouse, `
SELECT ipAddress AS "address", count() AS "requests", countIf(httpStatus IN (401, 403)) AS "denied", countIf(httpStatus = 429) AS "too many", uniqExactIf(userId, userId != '') AS "users", anyLast(userAgent) AS "user agent", max(timestamp) AS "last"`+from+`
GROUP BY ipAddress ORDER BY "denied" + "too many" DESC, "requests" DESC LIMIT 50`, size(16, 9))
	b.table("Failed by us", "The latest answers of 500 and above, or none, with the run that they were about.", clickHouse, `
SELECT timestamp AS "arrived", serviceName AS "service", method, route, httpStatus AS "status", duration, errorCode AS "error", executionId AS "run", userId AS "user", ipAddress AS "from", errorMessage AS "message", traceId AS "trace"`+from+` AND (httpStatus >= 500 OR httpStatus = 0)
ORDER BY timestamp DESC LIMIT 100`, empty("none"), column("run", to("Open the run", address("execution", "execution", "${__value.raw:percentencode}"))), column("user", to("Open the user", address("users", "user", "${__value.raw:percentencode}"))), column("duration", inUnit("ms")))
	b.table("Slowest", "The slowest requests of the time range.", clickHouse, `
SELECT duration, timestamp AS "arrived", serviceName AS "service", method, route, httpStatus AS "status", executionId AS "run", userId AS "user"`+from+` ORDER BY duration DESC LIMIT 20`,
		column("duration", inUnit("ms"), bar()), column("run", to("Open the run", address("execution", "execution", "${__value.raw:percentencode}"))))
	return b.d
}
