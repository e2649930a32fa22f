package board

// System is the machines and processes, as they report about themselves.
func System() Dashboard {
	b := newBoard("system", "System metrics", "Machines and processes: CPU, memory, disk, network, and which components report.", clickHouse)
	const when = "$__timeFilter(timestamp)"
	b.choice(clickHouse, "component", "Component", "What reports metrics", "SELECT DISTINCT component FROM ${database}.SystemMetrics WHERE "+when+" ORDER BY component")
	b.choice(clickHouse, "metric", "Metric", "Any metric, for the panels at the end", "SELECT DISTINCT metric FROM ${database}.SystemMetrics WHERE "+when+" AND $__conditionalAll(component IN (${component:singlequote}), $component) ORDER BY metric", one)
	const host = "component = 'agenttrail-host'"
	newest := func(metric, value, more string) string {
		return "SELECT " + value + "\nFROM ${database}.SystemMetrics WHERE " + host + " AND metric = '" + metric + "'" + more + " AND " + when
	}
	over := func(metric, columns, more string) string {
		return "SELECT $__timeInterval(timestamp) AS time, " + columns + "\nFROM ${database}.SystemMetrics WHERE " + host + " AND metric = '" + metric + "'" + more + " AND " + when + " GROUP BY time ORDER BY time"
	}
	by := func(metric, label, value string) string {
		return "SELECT $__timeInterval(timestamp) AS time, attributes['" + label + "'] AS label, " + value + " AS \"Value\"\nFROM ${database}.SystemMetrics WHERE " + host + " AND metric = '" + metric + "' AND " + when + " GROUP BY time, label ORDER BY time, label"
	}

	b.heading("The machine of the collector, now")
	b.stat("CPU", "Share of the time in which its processors worked.", clickHouse, newest("system.cpu.utilization", `1 - argMax(value, timestamp) AS "busy"`, " AND attributes['cpu.mode'] = 'idle'"), unit("percentunit"), decimals(0), colors("green", 0.8, "orange", 0.95, "red"))
	b.stat("Load", "Programs that work or want to, mean of a minute, for each processor. Above 1 they wait for each other.", clickHouse, `
SELECT argMaxIf(value, timestamp, metric = 'system.cpu.load_average.1m') / argMaxIf(value, timestamp, metric = 'system.cpu.logical.count') AS "load"
FROM ${database}.SystemMetrics WHERE `+host+" AND metric IN ('system.cpu.load_average.1m', 'system.cpu.logical.count') AND "+when, decimals(2), colors("green", 1., "orange", 2., "red"))
	b.stat("Memory", "Share of the memory that is in use.", clickHouse, newest("system.memory.utilization", `argMax(value, timestamp) AS "used"`, " AND attributes['system.memory.state'] = 'used'"), unit("percentunit"), decimals(0), colors("green", 0.85, "orange", 0.95, "red"))
	b.stat("Disk", "Share of the disk that holds the journal, or the fullest of them. A full one refuses clients.", clickHouse, `
SELECT max(used) AS "used" FROM (
    SELECT attributes['file.path'] AS path, argMax(value, timestamp) AS used FROM ${database}.SystemMetrics WHERE `+host+" AND metric = 'system.filesystem.utilization' AND attributes['system.filesystem.state'] = 'used' AND "+when+" GROUP BY path)", unit("percentunit"), decimals(0), colors("green", 0.8, "orange", 0.9, "red"))
	b.stat("Components", "What reported in the last five minutes, whatever the time range is.", clickHouse, "SELECT uniqExact(component) AS \"components\" FROM ${database}.SystemMetrics WHERE "+when, last("5m"), unit("short"))
	b.stat("Lost by SDKs", "Records that programs with our SDK could not send and gave up, since they started.", clickHouse, `
SELECT sum(lost) AS "records" FROM (
    SELECT component, resourceAttributes['service.instance.id'] AS instance, attributes['signal'] AS signal, max(value) AS lost FROM ${database}.SystemMetrics WHERE metric = 'agenttrail.sdk.lost' AND `+when+" GROUP BY component, instance, signal)", unit("short"), colors("green", 1., "red"))

	b.heading("Over time")
	b.series("CPU", "By what the processors did.", clickHouse, by("system.cpu.utilization", "cpu.mode", "avg(value)"), unit("percentunit"), every("10s"), stacked, highest(1))
	b.series("Load", "Mean number of programs that work or want to.", clickHouse, `
SELECT $__timeInterval(timestamp) AS time, avgIf(value, metric = 'system.cpu.load_average.1m') AS "1 minute", avgIf(value, metric = 'system.cpu.load_average.5m') AS "5 minutes", avgIf(value, metric = 'system.cpu.load_average.15m') AS "15 minutes", avgIf(value, metric = 'system.cpu.logical.count') AS "processors"
FROM ${database}.SystemMetrics WHERE `+host+" AND metric IN ('system.cpu.load_average.1m', 'system.cpu.load_average.5m', 'system.cpu.load_average.15m', 'system.cpu.logical.count') AND "+when+" GROUP BY time ORDER BY time", unit("short"), decimals(2), every("10s"))
	b.series("Memory", "By what it is used for.", clickHouse, by("system.memory.usage", "system.memory.state", "avg(value)"), unit("bytes"), every("10s"), stacked)
	b.series("Disk", "How full the disks are that hold the data.", clickHouse, "SELECT $__timeInterval(timestamp) AS time, attributes['file.path'] AS label, max(value) AS \"Value\"\nFROM ${database}.SystemMetrics WHERE "+host+" AND metric = 'system.filesystem.utilization' AND attributes['system.filesystem.state'] = 'used' AND "+when+" GROUP BY time, label ORDER BY time, label",
		unit("percentunit"), every("1m"), highest(1))
	b.series("Memory of processes", "Of AgentTrail's own.", clickHouse, by("process.memory.usage", "process.command", "max(value)"), unit("bytes"), every("10s"))
	b.series("CPU of processes", "Processors that each of AgentTrail's own keeps busy.", clickHouse, by("process.cpu.utilization", "process.command", "avg(value)"), unit("percentunit"), every("10s"))
	b.series("Network errors", "Since the machine started, over all interfaces. It should not grow.", clickHouse, over("system.network.errors", `max(value) AS "errors"`, ""), unit("short"), every("10s"))
	b.series("Network", "Bytes a second over all interfaces but the local one.", clickHouse, `
SELECT time, direction, greatest(0, sum(total) - lagInFrame(sum(total), 1, sum(total)) OVER (PARTITION BY direction ORDER BY time)) / $__interval_s AS "Value" FROM (
    SELECT $__timeInterval(timestamp) AS time, attributes['network.io.direction'] AS direction, attributes['network.interface.name'] AS interface, max(value) AS total
    FROM ${database}.SystemMetrics WHERE `+host+" AND metric = 'system.network.io' AND attributes['network.interface.name'] != 'lo' AND "+when+` GROUP BY time, direction, interface
) GROUP BY time, direction ORDER BY time, direction`, unit("Bps"), every("10s"))

	b.heading("Everything that reports")
	b.table("Components", "When each last reported, and how much. One that is silent is down, or cannot reach the collector.", clickHouse, `
SELECT component, max(timestamp) AS "last", dateDiff('second', max(timestamp), least(now(), $__toTime)) AS "silent for", uniqExact(metric) AS "metrics", count() AS "points", anyLast(environment) AS "environment", uniqExact(resourceAttributes['service.instance.id']) AS "instances"
FROM ${database}.SystemMetrics WHERE $__conditionalAll(component IN (${component:singlequote}), $component) AND `+when+` GROUP BY component ORDER BY "silent for" DESC LIMIT 200`, size(12, 9), column("silent for", append(byValue("green", 120., "orange", 600., "red"), inUnit("s"))...))
	b.table("Metrics", "Every metric of the chosen components.", clickHouse, `
SELECT component, metric, any(kind) AS "kind", any(unit) AS "unit", count() AS "points", argMax(value, timestamp) AS "newest value", max(timestamp) AS "last"
FROM ${database}.SystemMetrics WHERE $__conditionalAll(component IN (${component:singlequote}), $component) AND `+when+" GROUP BY component, metric ORDER BY component, metric LIMIT 1000", size(12, 9))
	b.series("The chosen metric", "The metric chosen above, by component and by what tells its series apart. Of a histogram it is the mean, of a sum that only grows the total.", clickHouse, `
SELECT $__timeInterval(timestamp) AS time, concat(component, ' ', arrayStringConcat(mapValues(attributes), ' ')) AS label, avg(value) AS "Value"
FROM ${database}.SystemMetrics WHERE $__conditionalAll(component IN (${component:singlequote}), $component) AND metric = ${metric:singlequote} AND `+when+" GROUP BY time, label ORDER BY time, label LIMIT 20000", unit("short"), size(24, 9), every("10s"))
	return b.d
}
