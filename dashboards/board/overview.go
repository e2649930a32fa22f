package board

// Overview is what to look at first: whether anything is wrong, since when, and where to go on.
func Overview() Dashboard {
	b := newBoard("overview", "Overview", "Whether agents do what they should, since when not, what it costs, and where to go on.", clickHouse)
	b.choice(clickHouse, "agent", "Agent", "Agents that ran in the time range", agents)

	b.heading("In this time range")
	hourly := "\nFROM ${database}.AgentMetricsHourly WHERE " + inHours + " AND " + ofAgents
	b.stat("Runs", "Runs that began in the time range, in whole hours.", clickHouse, `SELECT sum(totalExecutions) AS "runs"`+hourly, unit("short"))
	b.stat("Success", "Share of runs that ended as they should. Below 95 % look at the agents below, then at Errors.", clickHouse,
		`SELECT if(sum(totalExecutions) = 0, NULL, sum(successfulExecutions) / sum(totalExecutions)) AS "success"`+hourly, unit("percentunit"), decimals(2), colors("red", 0.90, "orange", 0.95, "green"))
	b.stat("Duration, p95", "Of 100 runs 95 ended within this time; 1 % accurate.", clickHouse,
		`SELECT if(sum(totalExecutions) = 0, NULL, quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(durationQuantiles)[2]) AS "p95"`+hourly, unit("ms"))
	b.stat("Users", "Different users for whom agents ran.", clickHouse, `SELECT uniqMerge(uniqueUsers) AS "users"`+hourly, unit("short"))
	b.stat("Cost", "What the models cost, of runs whose cost is known.", clickHouse, `SELECT toFloat64(sum(totalCost)) AS "cost"`+hourly, unit("currencyUSD"), decimals(2))
	b.stat("Credits", "Credits that the runs used, as telemetry tells. What was charged is in Credits and mandates.", clickHouse,
		`SELECT toFloat64(sum(totalCreditsConsumed)) AS "credits"`+hourly, unit("short"), decimals(1))

	b.heading("Over time")
	b.series("Runs by outcome", "Runs of each hour. A red or orange part that grows is a problem; bars that end are an outage, or nobody's working hours.", clickHouse,
		"SELECT "+byHours+` AS time, sum(successfulExecutions) AS "success", sum(failedExecutions) AS "failed or error", sum(timeouts) AS "timeout"`+hourly+" GROUP BY time ORDER BY time",
		unit("short"), every("1h"), stacked, outcomes)
	b.series("Duration", "Percentiles of each hour, over all chosen agents. p99 alone: a few bad runs; all three: everything is slower.", clickHouse,
		"SELECT "+byHours+` AS time, (quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(durationQuantiles) AS q)[1] AS "p50", q[2] AS "p95", q[3] AS "p99"`+hourly+" GROUP BY time ORDER BY time",
		unit("ms"), every("1h"), percentiles)
	b.series("Runs of the last hour", "The last hour, whatever the time range is: what is going on now.", clickHouse, `
SELECT $__timeInterval(startedAt) AS time, countIf(status = 'success') AS "success", countIf(status IN ('failed', 'error')) AS "failed or error", countIf(status = 'timeout') AS "timeout"
FROM ${database}.AgentExecution WHERE $__timeFilter(startedAt) AND `+ofAgents+` GROUP BY time ORDER BY time`, unit("short"), last("1h"), every("1m"), stacked, outcomes)
	b.series("Cost", "What models cost in each hour, by agent: the ten that cost most.", clickHouse, `
SELECT `+byHours+` AS time, if(agentId IN (
    SELECT agentId`+hourly+` GROUP BY agentId ORDER BY sum(totalCost) DESC LIMIT 10
), toString(agentId), 'others') AS agent, toFloat64(sum(totalCost)) AS "Value"`+hourly+" GROUP BY time, agent ORDER BY time, agent", unit("currencyUSD"), every("1h"), stacked)

	b.heading("Where to go on")
	b.table("Agents", "Every agent that ran, the busiest first. Click one for its own dashboard.", clickHouse, `
SELECT agentId AS "agent", totalExecutions AS "runs", successfulExecutions / totalExecutions AS "success", p50Duration AS "p50", p95Duration AS "p95", p99Duration AS "p99",
    uniqueUsers AS "users", inputTokens + outputTokens AS "tokens", toFloat64(totalCreditsConsumed) AS "credits", toFloat64(totalCost) AS "cost",
    arrayElement(arrayReverseSort(e -> e.2, JSONExtractKeysAndValues(errorCounts, 'UInt64')), 1).1 AS "most frequent error"
FROM `+spanOfAgents+" WHERE "+ofAgents+` ORDER BY "runs" DESC LIMIT 200`,
		column("agent", to("Open the agent", address("agent", "agent", "${__value.raw:percentencode}"))),
		column("success", append(byValue("red", 0.90, "orange", 0.95, "green"), inUnit("percentunit"), inDecimals(1))...), column("runs", bar(), inUnit("short")),
		column("p50", inUnit("ms")), column("p95", inUnit("ms")), column("p99", inUnit("ms")), column("tokens", inUnit("short")), column("credits", inDecimals(1)), column("cost", inUnit("currencyUSD"), inDecimals(2)))
	b.table("Most frequent errors", "Errors that differ only in ids, numbers and addresses are one. Click one for its group.", clickHouse, `
SELECT toString(fingerprint) AS "group", any(errorCode) AS "error", any(component) AS "where", uniqExact(id) AS "times", uniqExactIf(agentId, agentId != '') AS "agents", uniqExactIf(userId, userId != '') AS "users", max(timestamp) AS "last", any(message) AS "message"
FROM ${database}.SystemErrors WHERE $__timeFilter(timestamp) AND $__conditionalAll(agentId IN (${agent:singlequote}), $agent)
GROUP BY fingerprint ORDER BY "times" DESC LIMIT 10`, size(12, 9),
		column("group", hidden()), column("error", to("Open the group", address("errors", "group", `${__data.fields["group"]:percentencode}`))), column("times", wide(70)), column("agents", wide(70)), column("users", wide(70)))
	b.table("Runs that did not succeed", "The latest, of the last six hours of the time range. Click one to see all of it.", clickHouse, `
SELECT startedAt AS "started", id AS "run", agentId AS "agent", status, errorCode AS "error", duration, errorMessage AS "message"
FROM ${database}.AgentExecution
WHERE $__timeFilter(startedAt) AND startedAt >= $__toTime - toIntervalHour(6) AND status != 'success' AND `+ofAgents+`
ORDER BY startedAt DESC LIMIT 20`, size(12, 9), empty("none, all runs succeeded"),
		column("run", to("Open the run", address("execution", "execution", "${__value.raw:percentencode}")), wide(120)), column("duration", inUnit("ms"), wide(90)), column("status", wide(80)))
	return b.d
}
