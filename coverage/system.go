package coverage

import "time"

// Fresh is how long ago a component may have reported last.
const Fresh = 5 * time.Minute

var systemChecks = []Check{
	present(SystemMonitoring, "metrics_recorded", "SystemMetrics", "timestamp", "metric points", "",
		"Let services send metrics over OTLP, and leave AGENTTRAIL_OWN_METRICS on: then the collector reports itself and its machine."),
	{
		Name: "components_reporting", Category: SystemMonitoring, Weight: 3, Target: 1, Database: ClickHouse,
		Requires: "Every component that reported metrics in the time still did in its last 5 minutes.",
		Of:       "components", Lacks: "that stopped reporting",
		From: "(SELECT component, max(timestamp) AS newest, count() AS points FROM {db}.SystemMetrics WHERE timestamp >= {since} AND timestamp < {until} GROUP BY component)",
		Bad:  "newest < {fresh}", List: "component, newest, points", Order: "newest",
		Remedy: "Look whether the component runs and reaches the collector. One that was taken out of service counts until the time looked at is over.",
	},
	{
		Name: "services_report_metrics", Category: SystemMonitoring, Weight: 2, Target: 1, Database: ClickHouse,
		Requires: "Every service that runs agents or answers requests reports metrics, too.",
		Of:       "services", Lacks: "without metrics",
		From: "(SELECT DISTINCT serviceName FROM (SELECT DISTINCT serviceName FROM {db}.AgentExecution WHERE startedAt >= {since} AND startedAt < {until} AND serviceName != '' UNION ALL SELECT DISTINCT serviceName FROM {db}.RequestLog WHERE timestamp >= {since} AND timestamp < {until} AND serviceName != ''))",
		Bad:  "serviceName GLOBAL NOT IN (SELECT DISTINCT component FROM {db}.SystemMetrics WHERE timestamp >= {since} AND timestamp < {until})",
		List: "serviceName", Order: "serviceName",
		Remedy: "Switch on the metrics of the service's OpenTelemetry SDK and runtime instrumentation, with the same service.name as its spans.",
	},
	{
		Name: "metrics_have_unit", Category: SystemMonitoring, Weight: 1, Target: 0.95, Database: ClickHouse,
		Requires: "Every metric says in which unit it is.",
		Of:       "metrics", Lacks: "without a unit",
		From: "(SELECT component, metric, argMax(unit, timestamp) AS lastUnit, max(timestamp) AS newest FROM {db}.SystemMetrics WHERE timestamp >= {since} AND timestamp < {until} GROUP BY component, metric)",
		Bad:  "lastUnit = ''", List: "component, metric, newest", Order: "component, metric",
		Remedy: "Give the instrument a unit by UCUM where it is made: ms, By, 1, {request}.",
	},
}
