package faults

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// database holds the tables.
const database = "agenttrail"

// table is one whose rows are counted.
type table int

const (
	tableAgentExecution table = iota
	tableSpan
	tableAgentLog
	tableRequestLog
	tableSystemErrors
	tableSystemMetrics
	tableCount
)

// tables say how rows of a table are told apart, and which column has the service of their round.
var tables = [tableCount]struct {
	name, key, round string
	// replaces tells that the engine makes one of rows with the same key, some time.
	replaces bool
}{
	tableAgentExecution: {name: "AgentExecution", key: "id", round: "serviceName"},
	tableSpan:           {name: "Span", key: "spanId", round: "serviceName"},
	tableAgentLog:       {name: "AgentLog", key: "message", round: "serviceName"},
	tableRequestLog:     {name: "RequestLog", key: "spanId", round: "serviceName"},
	tableSystemErrors:   {name: "SystemErrors", key: "executionId", round: "component", replaces: true},
	tableSystemMetrics:  {name: "SystemMetrics", key: "attributes['n']", round: "component"},
}

func (t table) String() string { return tables[t].name }

// tally is what became of the rows of one table.
type tally struct {
	acknowledged, stored int
	// lost were acknowledged and are not stored; doubled are stored more than once; strange were never sent.
	lost, doubled, strange []string
}

// count compares what was sent in a round with what is stored.
func count(ctx context.Context, ch clickhouse, seed uint64, sent []*request) ([tableCount]tally, error) {
	var tallies [tableCount]tally
	var known [tableCount]map[string]bool // Whether the row was acknowledged.
	for t := range tableCount {
		known[t] = map[string]bool{}
	}
	for _, req := range sent {
		for _, k := range req.rows {
			known[k.table][k.id] = req.done
		}
	}
	for t, def := range tables {
		rows, err := ch.query(ctx, fmt.Sprintf("SELECT %s AS k, count() FROM %s WHERE %s = '%s' GROUP BY k", def.key, def.name, def.round, service(seed)))
		if err != nil {
			return tallies, err
		}
		y := &tallies[t]
		stored := make(map[string]bool, len(rows))
		for _, row := range rows {
			id, times := row[0], row[1]
			stored[id] = true
			y.stored++
			if _, ok := known[t][id]; !ok {
				y.strange = append(y.strange, id)
			}
			if times != "1" && !def.replaces {
				y.doubled = append(y.doubled, id)
			}
		}
		for id, acknowledged := range known[t] {
			if !acknowledged {
				continue
			}
			y.acknowledged++
			if !stored[id] {
				y.lost = append(y.lost, id)
			}
		}
		for _, ids := range [][]string{y.lost, y.doubled, y.strange} {
			slices.Sort(ids)
		}
	}
	return tallies, nil
}

// metricsColumns are those of AgentMetrics, in the order in which both sides of the comparison give them.
const metricsColumns = `agentId, period, periodStart, totalExecutions, successfulExecutions, failedExecutions, timeouts, avgDuration, minDuration, maxDuration,
	p50Duration, p95Duration, p99Duration, uniqueUsers, totalCreditsConsumed, totalCost,
	inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, reasoningTokens, errors`

// compareMetrics returns how AgentMetrics differs from what the runs themselves say, for agents with the prefix; empty
// when it does not.
func compareMetrics(ctx context.Context, ch clickhouse, prefix string) ([]string, error) {
	fromView := `SELECT ` + metricsColumns + `
FROM (SELECT * EXCEPT (errorCounts), arraySort(JSONExtractKeysAndValues(errorCounts, 'UInt64')) AS errors FROM AgentMetrics WHERE startsWith(agentId, '` + prefix + `'))`
	fromRuns := func(period, start string) string {
		return `SELECT
	agentId, '` + period + `' AS period, ` + start + `(toDateTime(startedAt, 'UTC')) AS periodStart,
	count() AS totalExecutions, countIf(status = 'success') AS successfulExecutions,
	countIf(status = 'failed') + countIf(status = 'error') AS failedExecutions, countIf(status = 'timeout') AS timeouts,
	sum(toInt128(round(duration * 1e6))) / 1e6 / totalExecutions AS avgDuration, min(duration) AS minDuration, max(duration) AS maxDuration,
	(quantilesDD(0.01, 0.5, 0.95, 0.99)(duration) AS q)[1] AS p50Duration, q[2] AS p95Duration, q[3] AS p99Duration,
	uniqExactIf(userId, userId != '') AS uniqueUsers,
	sum(toDecimal128(creditsConsumed, 6)) AS totalCreditsConsumed, sum(toDecimal128(ifNull(cost, 0), 9)) AS totalCost,
	sum(r.inputTokens) AS inputTokens, sum(r.outputTokens) AS outputTokens, sum(r.cacheReadTokens) AS cacheReadTokens,
	sum(r.cacheWriteTokens) AS cacheWriteTokens, sum(r.reasoningTokens) AS reasoningTokens,
	groupArrayIf(if(errorCode = '', toString(status), toString(errorCode)), status != 'success') AS reasons,
	arraySort(arrayMap(x -> (x, countEqual(reasons, x)), arrayDistinct(reasons))) AS errors
FROM AgentExecution AS r WHERE startsWith(agentId, '` + prefix + `') GROUP BY agentId, periodStart`
	}
	view, err := sorted(ctx, ch, fromView)
	if err != nil {
		return nil, err
	}
	runs, err := sorted(ctx, ch, "SELECT "+metricsColumns+" FROM ("+fromRuns("hour", "toStartOfHour")+" UNION ALL "+fromRuns("day", "toStartOfDay")+")")
	if err != nil {
		return nil, err
	}
	return append(without("only AgentMetrics: ", view, runs), without("only AgentExecution: ", runs, view)...), nil
}

func sorted(ctx context.Context, ch clickhouse, sql string) ([]string, error) {
	rows, err := ch.query(ctx, sql)
	if err != nil {
		return nil, err
	}
	lines := make([]string, len(rows))
	for i, row := range rows {
		lines[i] = strings.Join(row, " ")
	}
	slices.Sort(lines)
	return lines, nil
}

// without returns the lines of a that b does not have, each with a prefix.
func without(prefix string, a, b []string) []string {
	var only []string
	for _, line := range a {
		if _, found := slices.BinarySearch(b, line); !found {
			only = append(only, prefix+line)
		}
	}
	return only
}
