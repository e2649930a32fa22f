package board

// Execution is all about one run: what it did, what it logged, which request started it, and what it cost whom.
func Execution() Dashboard {
	b := newBoard("execution", "Execution", "Everything about one run, found by its id: steps, logs, request, errors, hold and capture.", clickHouse, postgres)
	b.choice(clickHouse, "execution", "Execution", "Id of a run: one of the latest that did not succeed, or any other, typed", `
SELECT id, concat(agentId, ' ', toString(status), ' ', formatDateTime(startedAt, '%F %T'), ' ', id) FROM ${database}.AgentExecution
WHERE $__timeFilter(startedAt) AND startedAt >= $__toTime - toIntervalHour(6) ORDER BY status = 'success', startedAt DESC LIMIT 100`, one)
	const this = "id = ${execution:singlequote}"
	// Asked as rows are read, indexes make the engine prepare to read every part.
	const indexesFirst = " SETTINGS use_skip_indexes_on_data_read = 0"

	b.heading("The run")
	b.table("The run", "What it was, for whom, how it ended. Figures of its steps count each call once.", clickHouse, `
SELECT f.1 AS "field", f.2 AS "value" FROM
(
    SELECT arrayJoin([
        ('agent', concat(agentName, ' (', agentId, ') ', agentVersion)), ('status', toString(status)), ('error', concat(errorCode, ' ', errorMessage)),
        ('started', toString(startedAt)), ('duration', concat(toString(round(duration, 3)), ' ms')), ('waited', concat(toString(round(queueTime, 3)), ' ms')),
        ('user', userId), ('session', sessionId), ('model', concat(provider, ' ', model)),
        ('tokens', concat(toString(totalInputTokens), ' in, ', toString(totalOutputTokens), ' out, from ', tokensFrom)), ('cost', concat(toString(ifNull(totalCost, 0)), ' USD')), ('credits', toString(creditsConsumed)),
        ('calls', concat(toString(modelCalls), ' of models, ', toString(toolCalls), ' of tools')), ('logs and errors', concat(toString(logs), ' and ', toString(errors))),
        ('request', concat(requestMethod, ' ', requestRoute, ' ', toString(requestHttpStatus))), ('from', concat(requestIpAddress, ' ', requestUserAgent)),
        ('service', concat(serviceName, ' ', environment)), ('trace', traceId), ('called by run', parentExecutionId)
    ]) AS f
    FROM ${database}.ExecutionDetail WHERE `+this+`
) WHERE trimBoth(f.2) NOT IN ('', '0') SETTINGS enable_join_runtime_filters_index_analysis = 1`, size(12, 13), empty("no run of this id has been told; the ledger may know it, see below"), column("field", wide(140)))
	b.table("Runs around it", "Runs of the same trace: those that it called, and the one that called it.", clickHouse, `
SELECT startedAt AS "started", id AS "run", agentId AS "agent", status, duration, parentExecutionId AS "called by"
FROM ${database}.AgentExecution WHERE traceId IN (SELECT traceId FROM ${database}.AgentExecution WHERE `+this+" AND traceId != '') AND "+theExecution("startedAt")+` ORDER BY startedAt`,
		size(12, 13), column("run", to("Open the run", address("execution", "execution", "${__value.raw:percentencode}"))), column("agent", to("Open the agent", address("agent", "agent", "${__value.raw:percentencode}"))), column("duration", inUnit("ms")))

	b.heading("What it did")
	b.table("Waterfall", "Every span of its trace in order of time. The bar is how long it took; after is how long after the first span it began.", clickHouse, `
SELECT dateDiff('microsecond', min(startedAt) OVER (), startedAt) / 1e3 AS "after", duration, name, operation AS "kind", status, if(tool != '', tool, model) AS "of",
    inputTokens AS "input tokens", outputTokens AS "output tokens", toFloat64(cost) AS "cost", statusMessage AS "message", serviceName AS "service", spanId AS "span", parentSpanId AS "parent"
FROM ${database}.Span WHERE `+ofExecution+" AND "+theExecution("startedAt")+` ORDER BY startedAt, duration DESC LIMIT 2000`+indexesFirst, size(24, 12),
		column("after", inUnit("ms"), wide(110)), column("duration", inUnit("ms"), bar(), wide(220)), column("cost", inUnit("currencyUSD"), inDecimals(6)),
		column("status", property{"mappings", []any{map[string]any{"type": "value", "options": map[string]any{"error": map[string]any{"color": "red", "index": 0}}}}}, property{"custom.cellOptions", map[string]any{"type": "color-text"}}))
	b.trace("Trace", "The same as Grafana draws traces, with attributes.", `
SELECT traceId AS "traceID", spanId AS "spanID", parentSpanId AS "parentSpanID", serviceName, name AS "operationName", startedAt AS "startTime", duration,
    arrayMap(k -> map('key', k, 'value', attributes[k]), mapKeys(attributes)) AS "tags", arrayMap(k -> map('key', k, 'value', resourceAttributes[k]), mapKeys(resourceAttributes)) AS "serviceTags", if(status = 'error', 2, 0) AS "statusCode"
FROM ${database}.Span WHERE traceId IN (SELECT traceId FROM ${database}.AgentExecution WHERE `+this+" AND traceId != '') AND "+theExecution("startedAt")+` ORDER BY startedAt LIMIT 5000`+indexesFirst)
	b.logs("Logs", "Log records that name the run, or none and its trace.", `
SELECT timestamp, message AS "body", toString(level) AS "level", serviceName, toString(category) AS "category", eventName, metadata AS "labels"
FROM ${database}.AgentLog WHERE `+ofExecution+" AND "+theExecution("timestamp")+` ORDER BY timestamp LIMIT 2000`)

	b.heading("What started it, and what went wrong")
	b.table("Request", "The HTTP requests of its trace, of every service.", clickHouse, `
SELECT timestamp AS "arrived", serviceName AS "service", method, route, url, httpStatus AS "status", duration, ipAddress AS "from", userAgent AS "user agent", errorMessage AS "error", requestHeaders AS "request headers", requestBody AS "request body", responseBody AS "response body"
FROM ${database}.RequestLog WHERE `+ofExecution+" AND "+theExecution("timestamp")+` ORDER BY timestamp LIMIT 100`, size(12, 8), empty("no request is known"),
		column("status", byValue("green", 400., "orange", 500., "red")...), column("duration", inUnit("ms")))
	b.table("Errors", "Errors of the run, each once. Click one for all that are like it.", clickHouse, `
SELECT timestamp AS "when", errorCode AS "error", severity, component AS "where", message, toString(fingerprint) AS "group", details
FROM ${database}.SystemErrors FINAL WHERE `+ofExecution+" AND "+theExecution("timestamp")+` ORDER BY timestamp LIMIT 200`, size(12, 8), empty("none"),
		column("error", to("Open the group", address("errors", "group", `${__data.fields["group"]:percentencode}`))))

	b.heading("What it cost, and who allowed it")
	b.table("Hold and capture", "What was kept back before the run, and what became of it. A run without a row was not paid for through the ledger.", postgres, `
SELECT h.status, h.amount / 1e6 AS "held", h.captured / 1e6 AS "captured", t.refunded / 1e6 AS "refunded", h.authorized_at AS "authorized", h.expires_at AS "ends", h.resolved_at AS "settled", u.display_name AS "user", a.slug AS "agent", t.agent_version AS "price version", m.name AS "mandate", t.mandate_version AS "mandate version", t.receipt ->> 'rule' AS "decided by", t.id AS "transaction"
FROM ledger.transactions t LEFT JOIN ledger.holds h ON h.id = t.id LEFT JOIN ledger.users u ON u.id = t.user_id LEFT JOIN ledger.agents a ON a.id = t.agent_id LEFT JOIN ledger.mandates m ON m.id = t.mandate_id
WHERE t.execution_id = ${execution:sqlstring}`, size(24, 5), empty("the ledger knows no run of this id"))
	b.table("Postings", "How credits moved for it, between which accounts; all postings of one transaction sum to zero.", postgres, `
SELECT e.created_at AS "posted", t.kind, c.owner_type AS "account of", c.purpose, coalesce(u.display_name, a.name, '') AS "whose", e.amount / 1e6 AS "credits", t.reason
FROM ledger.transactions r JOIN ledger.transactions t ON t.id = r.id OR t.parent_id = r.id AND t.user_id = r.user_id JOIN ledger.entries e ON e.transaction_id = t.id JOIN ledger.accounts c ON c.id = e.account_id
LEFT JOIN ledger.users u ON c.owner_type = 'user' AND u.id = c.owner_id LEFT JOIN ledger.agents a ON c.owner_type = 'agent' AND a.id = c.owner_id
WHERE r.execution_id = ${execution:sqlstring} ORDER BY e.id`, size(12, 7), empty("nothing was posted"))
	b.table("Audit trail", "Who did what to its transaction, and when.", postgres, `
SELECT l."timestamp" AS "when", l.field, l.old_value #>> '{}' AS "before", l.new_value #>> '{}' AS "after", l.changed_by AS "by", l.request_id AS "request"
FROM ledger.audit_logs l JOIN ledger.transactions t ON t.id = l.entity_id WHERE t.execution_id = ${execution:sqlstring} ORDER BY l.id LIMIT 200`, size(12, 7), empty("nothing was changed"))
	return b.d
}
