package board

// Agent is all about one agent.
func Agent() Dashboard {
	b := newBoard("agent", "Agent", "One agent: how it does, what it costs, who uses it, and what goes wrong.", clickHouse)
	b.choice(clickHouse, "agent", "Agent", "Agents that ran in the time range; others can be typed", agents, one)

	const this = "agentId = ${agent:singlequote}"
	hourly := "\nFROM ${database}.AgentMetricsHourly WHERE " + this + " AND " + inHours
	runs := "\nFROM ${database}.AgentExecution WHERE " + this + " AND $__timeFilter(startedAt)"

	b.heading("In this time range")
	b.stat("Runs", "Runs that began in the time range, in whole hours.", clickHouse, `SELECT sum(totalExecutions) AS "runs"`+hourly, unit("short"), size(3, 4))
	b.stat("Success", "Share of runs that ended as they should.", clickHouse,
		`SELECT if(sum(totalExecutions) = 0, NULL, sum(successfulExecutions) / sum(totalExecutions)) AS "success"`+hourly, unit("percentunit"), decimals(2), size(3, 4), colors("red", 0.90, "orange", 0.95, "green"))
	b.stat("Duration, p50", "The median run.", clickHouse, `SELECT if(sum(totalExecutions) = 0, NULL, quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(durationQuantiles)[1]) AS "p50"`+hourly, unit("ms"), size(3, 4))
	b.stat("Duration, p95", "Of 100 runs 95 ended within this time.", clickHouse, `SELECT if(sum(totalExecutions) = 0, NULL, quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(durationQuantiles)[2]) AS "p95"`+hourly, unit("ms"), size(3, 4))
	b.stat("Duration, p99", "Of 100 runs 99 ended within this time.", clickHouse, `SELECT if(sum(totalExecutions) = 0, NULL, quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(durationQuantiles)[3]) AS "p99"`+hourly, unit("ms"), size(3, 4))
	b.stat("Users", "Different users for whom it ran.", clickHouse, `SELECT uniqMerge(uniqueUsers) AS "users"`+hourly, unit("short"), size(3, 4))
	b.stat("Cost of a run", "Mean cost of its models for one run, of those whose cost is known.", clickHouse,
		`SELECT if(sum(totalExecutions) = 0, NULL, toFloat64(sum(totalCost)) / sum(totalExecutions)) AS "cost"`+hourly, unit("currencyUSD"), decimals(4), size(3, 4))
	b.stat("Credits", "Credits that its runs used, as telemetry tells.", clickHouse, `SELECT toFloat64(sum(totalCreditsConsumed)) AS "credits"`+hourly, unit("short"), decimals(1), size(3, 4))

	b.heading("Over time")
	b.series("Runs by outcome", "failed: ended without the wanted result; error: it threw; timeout: it ran out of time.", clickHouse, `
SELECT $__timeInterval(startedAt) AS time, countIf(status = 'success') AS "success", countIf(status = 'failed') AS "failed", countIf(status = 'timeout') AS "timeout", countIf(status = 'error') AS "error"`+runs+" GROUP BY time ORDER BY time",
		unit("short"), every("1m"), stacked, outcomes)
	b.series("Duration", "Percentiles of the runs that began in each step of time.", clickHouse, `
SELECT $__timeInterval(startedAt) AS time, (quantilesDD(0.01, 0.5, 0.95, 0.99)(duration) AS q)[1] AS "p50", q[2] AS "p95", q[3] AS "p99"`+runs+" GROUP BY time ORDER BY time",
		unit("ms"), every("1m"), percentiles)
	b.series("Where the time goes", "Means: waiting for the run to begin, then working on it. A queue that grows wants more workers, not a faster model.", clickHouse, `
SELECT $__timeInterval(startedAt) AS time, avg(queueTime) AS "waiting", avg(processingTime) AS "working"`+runs+" GROUP BY time ORDER BY time", unit("ms"), every("1m"), stacked)
	b.series("Tokens", "By kind. Cached ones are part of the input, reasoning is part of the output.", clickHouse,
		"SELECT "+byHours+` AS time, sum(inputTokens) - sum(cacheReadTokens) AS "input, not cached", sum(cacheReadTokens) AS "input, cached", sum(outputTokens) - sum(reasoningTokens) AS "output", sum(reasoningTokens) AS "reasoning"`+hourly+" GROUP BY time ORDER BY time",
		unit("short"), every("1h"), stacked)
	b.series("Cost and credits", "Cost of its models in USD, and credits used, of each hour.", clickHouse,
		"SELECT "+byHours+` AS time, toFloat64(sum(totalCost)) AS "cost", toFloat64(sum(totalCreditsConsumed)) AS "credits"`+hourly+" GROUP BY time ORDER BY time",
		every("1h"), column("cost", inUnit("currencyUSD")), column("credits", inUnit("short"), property{"custom.axisPlacement", "right"}))
	b.series("Users", "Different users of each hour.", clickHouse, "SELECT "+byHours+` AS time, uniqMerge(uniqueUsers) AS "users"`+hourly+" GROUP BY time ORDER BY time", unit("short"), every("1h"))

	b.heading("What goes wrong")
	b.bars("Reasons", "Runs that did not succeed, by error code; one without a code counts under its status.", clickHouse, `
SELECT e.1 AS "error", e.2 AS "runs" FROM (SELECT arrayJoin(arrayZip(mapKeys(sumMap(errorCounts) AS m), mapValues(m))) AS e`+hourly+`) ORDER BY "runs" DESC LIMIT 12`, unit("short"), empty("no run failed"))
	b.table("Runs that did not succeed", "The latest. Click one to see all of it.", clickHouse, `
SELECT startedAt AS "started", id AS "run", status, errorCode AS "error", duration, userId AS "user", errorMessage AS "message"`+runs+` AND status != 'success' ORDER BY startedAt DESC LIMIT 50`,
		size(12, 8), empty("none, all runs succeeded"), column("run", to("Open the run", address("execution", "execution", "${__value.raw:percentencode}")), wide(120)), column("duration", inUnit("ms")))

	b.heading("Who and what")
	b.table("Versions and models", "A version that came with trouble, or a model that costs more than it helps, shows here.", clickHouse, `
SELECT agentVersion AS "version", model, count() AS "runs", countIf(status = 'success') / count() AS "success", quantileDD(0.01, 0.95)(duration) AS "p95", avg(inputTokens + outputTokens) AS "tokens of a run", toFloat64(avg(cost)) AS "cost of a run", min(startedAt) AS "first", max(startedAt) AS "last"`+runs+`
GROUP BY "version", model ORDER BY "runs" DESC LIMIT 50`, size(14, 8), column("success", append(byValue("red", 0.90, "orange", 0.95, "green"), inUnit("percentunit"), inDecimals(1))...),
		column("p95", inUnit("ms")), column("tokens of a run", inUnit("short")), column("cost of a run", inUnit("currencyUSD"), inDecimals(4)))
	b.table("Users", "Who runs it most, and how it goes for them. Click one for all they do.", clickHouse, `
SELECT userId AS "user", count() AS "runs", countIf(status = 'success') / count() AS "success", toFloat64(sum(creditsConsumed)) AS "credits", max(startedAt) AS "last"`+runs+` AND userId != '' GROUP BY "user" ORDER BY "runs" DESC LIMIT 50`,
		size(10, 8), column("user", to("Open the user", address("users", "user", "${__value.raw:percentencode}"))), column("success", inUnit("percentunit"), inDecimals(1)), column("credits", inDecimals(1)))
	b.table("Slowest runs", "Click one to see where its time went.", clickHouse, `
SELECT duration, id AS "run", startedAt AS "started", status, queueTime AS "waiting", model, inputTokens AS "input tokens", outputTokens AS "output tokens"`+runs+` ORDER BY duration DESC LIMIT 20`,
		size(12, 8), column("run", to("Open the run", address("execution", "execution", "${__value.raw:percentencode}"))), column("duration", inUnit("ms"), bar()), column("waiting", inUnit("ms")))
	b.table("Steps of the last hour", "Its calls of models and tools in the last hour, whatever the time range is: how many, how slow, how many failed.", clickHouse, `
SELECT operation AS "kind", if(operation = 'tool', tool, model) AS "of", count() AS "calls", countIf(status = 'error') / count() AS "failed", quantileDD(0.01, 0.5)(duration) AS "p50", quantileDD(0.01, 0.95)(duration) AS "p95"
FROM ${database}.Span WHERE $__timeFilter(startedAt) AND toStartOfMinute(startedAt) >= toStartOfMinute($__fromTime) AND `+this+` AND operation IN ('inference', 'tool', 'retrieval', 'embedding', 'memory')
GROUP BY "kind", "of" ORDER BY "calls" DESC LIMIT 50`, last("1h"), size(12, 8), column("failed", append(byValue("green", 0.05, "orange", 0.2, "red"), inUnit("percentunit"), inDecimals(1))...), column("p50", inUnit("ms")), column("p95", inUnit("ms")))
	return b.d
}
