package board

// Users is who uses which agents, how much, and what they say of them.
func Users() Dashboard {
	b := newBoard("users", "Users and usage", "Who uses which agents, how much, at which time of the day, and what they say of them.", clickHouse, postgres)
	b.choice(clickHouse, "user", "User", "The 200 most active users of the time range; others can be typed", `
SELECT userId FROM ${database}.UserAgentUsageDaily WHERE `+inDays+" GROUP BY userId ORDER BY sum(totalExecutions) DESC LIMIT 200", func(v *Variable) { v.AllValue = everyone })
	b.choice(clickHouse, "agent", "Agent", "Agents that ran in the time range", agents)
	from := "\nFROM ${database}.UserAgentUsageDaily WHERE " + inDays + " AND $__conditionalAll(userId IN (${user:singlequote}), $user) AND " + ofAgents
	theUser := chosen("user", "u.id::text")

	b.heading("In the days of this time range")
	b.stat("Active users", "Users for whom an agent ran.", clickHouse, `SELECT uniqExact(userId) AS "users"`+from, unit("short"))
	b.stat("Runs", "Runs for a user.", clickHouse, `SELECT sum(totalExecutions) AS "runs"`+from, unit("short"))
	b.stat("Runs of a user", "Mean of active users.", clickHouse, `SELECT if(uniqExact(userId) = 0, NULL, sum(totalExecutions) / uniqExact(userId)) AS "runs"`+from, unit("short"), decimals(1))
	b.stat("Success", "Share of their runs that ended as they should.", clickHouse, `SELECT if(sum(totalExecutions) = 0, NULL, sum(successfulExecutions) / sum(totalExecutions)) AS "success"`+from, unit("percentunit"), decimals(2), colors("red", 0.90, "orange", 0.95, "green"))
	b.stat("Credits", "Credits that their runs used, as telemetry tells.", clickHouse, `SELECT toFloat64(sum(creditsConsumed)) AS "credits"`+from, unit("short"), decimals(1))
	b.stat("Registered users", "Users that the ledger knows and that are not closed, now.", postgres, `SELECT count(*) AS "users" FROM ledger.users WHERE status = 'active'`, unit("short"))

	b.heading("Over time")
	b.series("Active users", "Different users of each day.", clickHouse, `SELECT toDateTime(day, 'UTC') AS time, uniqExact(userId) AS "users"`+from+" GROUP BY time ORDER BY time", unit("short"), every("1d"), stacked)
	b.bars("Time of the day", "Runs by the hour in which they began, UTC: when to release, and when not.", clickHouse, `
SELECT leftPad(toString(h.1), 2, '0') AS "hour", h.2 AS "runs" FROM (SELECT arrayJoin(arrayZip(mapKeys(sumMap(hours) AS m), mapValues(m))) AS h`+from+`) ORDER BY "hour"`, unit("short"))

	b.heading("Who")
	b.table("Users", "The most active first. Click one to see only what that one does, or the credits of it.", clickHouse, `
SELECT userId AS "user", sum(totalExecutions) AS "runs", sum(successfulExecutions) / "runs" AS "success", toFloat64(sum(creditsConsumed)) AS "credits", uniqExact(agentId) AS "agents", argMax(agentId, totalExecutions) AS "most used agent", max(lastUsedAt) AS "last"`+from+`
GROUP BY userId ORDER BY "runs" DESC LIMIT 200`, size(14, 10), column("user", property{"links", []any{
		map[string]any{"title": "Only this user", "url": address("users", "user", "${__value.raw:percentencode}"), "targetBlank": false},
		map[string]any{"title": "Credits of this user", "url": address("money", "user", "${__value.raw:percentencode}"), "targetBlank": false},
	}}), column("runs", bar()), column("success", append(byValue("red", 0.90, "orange", 0.95, "green"), inUnit("percentunit"), inDecimals(1))...), column("credits", inDecimals(1)))
	b.table("Agents", "What these users use, with the hour in which they use it most, UTC.", clickHouse, `
SELECT agentId AS "agent", uniqExact(userId) AS "users", sum(totalExecutions) AS "runs", sum(successfulExecutions) / "runs" AS "success", toFloat64(sum(creditsConsumed)) AS "credits",
    mapKeys(sumMap(hours) AS m)[indexOf(mapValues(m), arrayMax(mapValues(m)))] AS "busiest hour"`+from+` GROUP BY agentId ORDER BY "runs" DESC LIMIT 100`, size(10, 10),
		column("agent", to("Open the agent", address("agent", "agent", "${__value.raw:percentencode}"))), column("success", inUnit("percentunit"), inDecimals(1)), column("credits", inDecimals(1)))
	b.table("Latest runs", "The latest runs of the last six hours of the time range. Click one to see all of it.", clickHouse, `
SELECT startedAt AS "started", userId AS "user", id AS "run", agentId AS "agent", status, duration, toFloat64(creditsConsumed) AS "credits", errorCode AS "error"
FROM ${database}.AgentExecution WHERE $__timeFilter(startedAt) AND startedAt >= $__toTime - toIntervalHour(6) AND userId != '' AND $__conditionalAll(userId IN (${user:singlequote}), $user) AND `+ofAgents+` ORDER BY startedAt DESC LIMIT 50`,
		size(24, 9), column("run", to("Open the run", address("execution", "execution", "${__value.raw:percentencode}"))), column("duration", inUnit("ms")))

	b.heading("What they say")
	b.table("Ratings of agents", "Ratings of 1 to 5 that users gave, and how many keep the agent as a favorite. Of all time.", postgres, `
SELECT a.slug AS "agent", round(avg(i.rating), 2) AS "mean rating", count(i.rating) AS "ratings", count(*) FILTER (WHERE i.is_favorite) AS "favorite of", count(*) FILTER (WHERE i.feedback <> '') AS "comments", max(i.updated_at) AS "last"
FROM ledger.user_agent_interactions i JOIN ledger.agents a ON a.id = i.agent_id JOIN ledger.users u ON u.id = i.user_id WHERE `+theUser+` GROUP BY a.slug ORDER BY 2 DESC NULLS LAST LIMIT 100`, size(12, 9), empty("nobody has rated an agent"),
		column("agent", to("Open the agent", address("agent", "agent", "${__value.raw:percentencode}"))), column("mean rating", byValue("red", 3., "orange", 4., "green")...))
	b.table("Comments", "What users wrote, the latest first.", postgres, `
SELECT i.updated_at AS "when", a.slug AS "agent", i.rating, i.feedback AS "comment", u.display_name AS "user", i.is_favorite AS "favorite"
FROM ledger.user_agent_interactions i JOIN ledger.agents a ON a.id = i.agent_id JOIN ledger.users u ON u.id = i.user_id WHERE i.feedback <> '' AND `+theUser+` ORDER BY i.updated_at DESC LIMIT 50`, size(12, 9), empty("nobody has written anything"))
	return b.d
}
