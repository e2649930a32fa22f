package board

// Pipeline is whether telemetry arrives and is stored. It asks Prometheus, which is still there when ClickHouse is not.
func Pipeline() Dashboard {
	b := newBoard("pipeline", "Pipeline health", "Whether telemetry arrives, is acknowledged and stored, and whether the ledger answers. It asks Prometheus, so it works while ClickHouse is away.", prometheus, clickHouse)
	const e = "otelcol_agenttrail_exporter_"
	now := func(title, description, expr string, opts ...panelOption) {
		b.figure(title, description, instant(expr), opts...)
	}

	b.heading("Now")
	now("Alerts", "Alerts that fire. docs/runbook.md says what to do about each.", `count(ALERTS{alertstate="firing"}) or vector(0)`, unit("short"), colors("green", 1., "red"))
	now("Targets down", "Collectors and ledgers that Prometheus cannot read.", `count(up{job=~"agenttrail-.*"} == 0) or vector(0)`, unit("short"), colors("green", 1., "red"))
	now("Rows wait for", "How long the oldest rows have been waiting to be stored. A second or two is well.", "max("+e+"backlog_age)", unit("s"), decimals(1), colors("green", 10., "orange", 60., "red"))
	now("Journal", "How full the fullest journal is. At 100 % clients are refused.", "max("+e+"backlog_bytes / "+e+"journal_limit)", unit("percentunit"), decimals(2), colors("green", 0.5, "orange", 0.9, "red"))
	now("Dead letters", "Blocks that ClickHouse rejected for their content and that wait for somebody.", "sum("+e+"dead_letters)", unit("short"), colors("green", 1., "orange"))
	now("Rows a second", "Rows that were acknowledged.", "sum(rate("+e+"acknowledged_rows[5m]))", unit("short"), decimals(0))

	b.heading("What comes in")
	b.lines("Rows acknowledged", "Rows that became durable, by table.", []Target{ranged("sum by (table) (rate("+e+"acknowledged_rows[$__rate_interval]))", "{{table}}")}, unit("short"), stacked)
	b.lines("Rows stored", "The same a moment later, when all is well. A table whose line is missing here is not taken by ClickHouse.", []Target{ranged("sum by (table) (rate("+e+"stored_rows[$__rate_interval]))", "{{table}}")}, unit("short"), stacked)
	b.lines("Refused", "Requests that were turned away, by reason. overload and unavailable come again; too_large, malformed and panic are lost to their clients.", []Target{ranged("sum by (reason) (rate("+e+"refused_requests[$__rate_interval]))", "{{reason}}")}, unit("reqps"), stacked)
	b.lines("Sent again", "Requests that came again, since their clients did not see the answer, and INSERTs that were repeated.", []Target{
		ranged("sum(rate("+e+"duplicate_requests[$__rate_interval]))", "requests"), ranged("sum(rate("+e+"retried_inserts[$__rate_interval])) or vector(0)", "INSERTs"),
	}, unit("reqps"))

	b.heading("What waits")
	b.lines("Backlog", "Bytes in the journal that are not stored yet, by collector, and where clients are refused.", []Target{ranged("sum by (instance) ("+e+"backlog_bytes)", "{{instance}}"), ranged("max("+e+"journal_limit)", "limit")}, unit("bytes"), column("limit", colored("red")))
	b.lines("Age", "How long the oldest rows have been waiting.", []Target{ranged("max by (instance) ("+e+"backlog_age)", "{{instance}}")}, unit("s"))
	b.lines("Memory", "Of the collectors, and what of it are rows on their way.", []Target{ranged("sum by (instance) (otelcol_process_memory_rss)", "{{instance}}"), ranged("sum by (instance) ("+e+"queue_bytes)", "{{instance}} rows")}, unit("bytes"))
	b.lines("CPU", "Processors that the collectors keep busy.", []Target{ranged("sum by (instance) (rate(otelcol_process_cpu_seconds[$__rate_interval]))", "{{instance}}")}, unit("short"), decimals(2))

	b.heading("How long it takes")
	b.lines("Acknowledgement, p99", "Until a request is durable, and what of it is the disk.", []Target{
		ranged("histogram_quantile(0.99, sum by (le) (rate("+e+"append_duration_bucket[$__rate_interval])))", "until durable"), ranged("histogram_quantile(0.99, sum by (le) (rate("+e+"fsync_duration_bucket[$__rate_interval])))", "flush of the disk"),
	}, unit("s"))
	b.lines("INSERT, p99", "How long ClickHouse takes to store a block, by table.", []Target{ranged("histogram_quantile(0.99, sum by (le, table) (rate("+e+"insert_duration_bucket[$__rate_interval])))", "{{table}}")}, unit("s"))
	b.series("Until a run can be found", "From the end of a run until its row is stored, of the last hour, as ClickHouse tells. Runs that were told late count.", clickHouse, `
SELECT $__timeInterval(ingestedAt) AS time, (quantilesDD(0.01, 0.5, 0.95, 0.99)(greatest(0, toUnixTimestamp64Milli(ingestedAt) - toUnixTimestamp64Milli(startedAt) - duration)) AS q)[1] AS "p50", q[2] AS "p95", q[3] AS "p99"
FROM ${database}.AgentExecution WHERE startedAt >= $__fromTime AND $__timeFilter(ingestedAt) GROUP BY time ORDER BY time`, last("1h"), unit("ms"), every("1m"), percentiles)
	b.lines("The ledger, p99", "Until it has answered, by route: the five slowest.", []Target{ranged("topk(5, histogram_quantile(0.99, sum by (le, route) (rate(agenttrail_ledger_http_request_duration_seconds_bucket[$__rate_interval]))))", "{{route}}")}, unit("s"))

	b.heading("The ledger")
	b.lines("Requests", "By class of status: 4xx is refused, 5xx is an error of the ledger.", []Target{
		ranged(`sum(rate(agenttrail_ledger_http_requests_total{status=~"2.."}[$__rate_interval])) or vector(0)`, "2xx"),
		ranged(`sum(rate(agenttrail_ledger_http_requests_total{status=~"4.."}[$__rate_interval])) or vector(0)`, "4xx"),
		ranged(`sum(rate(agenttrail_ledger_http_requests_total{status=~"5.."}[$__rate_interval])) or vector(0)`, "5xx"),
	}, unit("reqps"), stacked, column("2xx", colored("green")), column("4xx", colored("orange")), column("5xx", colored("red")))
	b.lines("Holds", "Active ones, and those past their end.", []Target{ranged("max(agenttrail_ledger_holds_active)", "active"), ranged("max(agenttrail_ledger_holds_due)", "overdue")}, unit("short"))
	b.lines("Jobs that fail", "Runs of jobs that failed.", []Target{ranged(`sum by (job_name) (increase(agenttrail_ledger_job_runs_total{outcome="failure"}[$__rate_interval])) or vector(0)`, "{{job_name}}")}, unit("short"), stacked)
	b.lines("Connections to Postgres", "In use, of the pool's limit.", []Target{ranged(`sum by (instance) (agenttrail_ledger_pool_connections{state="in_use"})`, "{{instance}}"), ranged("max(agenttrail_ledger_pool_connections_limit)", "limit")}, unit("short"), column("limit", colored("red")))

	b.heading("Agents, as the collectors count them")
	b.lines("Errors", "Share of runs that do not succeed, by agent: the ten worst. The alert AgentErrorBudgetBurnsFast fires above 72 % of an hour, or 30 % of six.", []Target{ranged("topk(10, agenttrail:agent_errors:ratio_rate5m)", "{{agent}}")}, unit("percentunit"), highest(1))
	b.lines("Slow runs", "Share of runs that take longer than 10 seconds, by agent: the ten worst.", []Target{ranged("topk(10, agenttrail:agent_slow:ratio_rate5m)", "{{agent}}")}, unit("percentunit"), highest(1))
	return b.d
}

// ranged asks Prometheus for figures over time.
func ranged(expr, legend string) Target {
	yes, no := true, false
	return Target{DataSource: prometheus, EditorMode: "code", Expr: expr, LegendFormat: legend, Range: &yes, Instant: &no}
}

// instant asks Prometheus for figures of now.
func instant(expr string) Target {
	yes, no := true, false
	return Target{DataSource: prometheus, EditorMode: "code", Expr: expr, Instant: &yes, Range: &no, RefID: "A"}
}
