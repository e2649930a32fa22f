package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Traces are numbered by when they began, so that a group has those of a stretch of time, as it has in real life.
const numbered = "schema_bench"

// tables are what the exporter writes, and the column with the trace.
var tables = map[string]string{
	"Span": "traceId", "AgentExecution": "traceId", "AgentLog": "traceId", "RequestLog": "traceId", "SystemErrors": "traceId",
	"otel_traces": "TraceId", "otel_logs": "TraceId",
}

// times are their columns with the time of the event.
var times = map[string]string{
	"Span": "startedAt", "AgentExecution": "startedAt", "AgentLog": "timestamp", "RequestLog": "timestamp", "SystemErrors": "timestamp",
	"otel_traces": "Timestamp", "otel_logs": "Timestamp",
}

// order is the order of the tables in a group.
var order = []string{"Span", "AgentExecution", "AgentLog", "RequestLog", "SystemErrors", "otel_traces", "otel_logs"}

// insert is a body of an INSERT.
type insert struct {
	table, statement, body string
	group                  int
}

// number numbers the traces and returns how many there are, each of one run, and how many spans each has.
func (b *bench) number(ctx context.Context, ours, rival string) (runs, spansPerRun int, err error) {
	spans, trace, at := ours+".Span", "traceId", "startedAt"
	if n, err := b.engine.ask(ctx, "EXISTS TABLE "+spans); err != nil || n == "0" {
		spans, trace, at = rival+".otel_traces", "TraceId", "Timestamp"
	}
	for _, s := range []string{
		"CREATE DATABASE IF NOT EXISTS " + numbered,
		"CREATE OR REPLACE TABLE " + numbered + ".traces ENGINE = MergeTree ORDER BY traceId AS SELECT traceId, rowNumberInAllBlocks() AS n FROM (SELECT " +
			trace + " AS traceId, min(" + at + ") AS began FROM " + spans + " GROUP BY traceId ORDER BY began)",
	} {
		if _, err := b.engine.ask(ctx, s); err != nil {
			return 0, 0, err
		}
	}
	counts, err := b.engine.rows(ctx, "SELECT (SELECT count() FROM "+numbered+".traces), (SELECT count() FROM "+spans+")")
	if err != nil {
		return 0, 0, err
	}
	if runs, err = strconv.Atoi(counts[0][0]); err != nil {
		return 0, 0, err
	}
	if spansPerRun, err = strconv.Atoi(counts[0][1]); err != nil {
		return 0, 0, err
	}
	return runs, spansPerRun / max(1, runs), nil
}

// sample reads the rows of a database in groups of so many traces, as bodies of INSERTs.
func (b *bench) sample(ctx context.Context, database string, traces int) ([]insert, int, error) {
	var inserts []insert
	rows := 0
	for group := range (b.runs + traces - 1) / traces {
		for _, table := range order {
			names, err := b.engine.ask(ctx, "SELECT arrayStringConcat(groupArray('`' || name || '`'), ', ') FROM system.columns WHERE database = '"+database+
				"' AND table = '"+table+"' AND default_kind = ''")
			if err != nil {
				return nil, 0, err
			}
			if names == "" {
				continue
			}
			trace := tables[table]
			from := fmt.Sprintf("FROM %s.%s AS t INNER JOIN %s.traces AS g ON g.traceId = t.%s WHERE g.n >= %d AND g.n < %d", database, table, numbered, trace, group*traces, (group+1)*traces)
			n, err := b.engine.ask(ctx, "SELECT count() "+from)
			if err != nil {
				return nil, 0, err
			}
			count, err := strconv.Atoi(n)
			if err != nil {
				return nil, 0, err
			}
			if count == 0 {
				continue
			}
			if table == order[0] || table == "otel_traces" || table == "AgentLog" || table == "otel_logs" {
				rows += count
			}
			// Rows arrive request by request: about as the traces do, those of a service together.
			service := map[bool]string{true: "component", false: "serviceName"}[table == "SystemErrors"]
			if strings.HasPrefix(table, "otel_") {
				service = "ServiceName"
			}
			body, err := b.engine.post(ctx, url.Values{
				"compress": {"1"}, "max_block_size": {"2000000"}, "preferred_block_size_bytes": {"0"}, "joined_block_split_single_row": {"0"}, "max_joined_block_size_rows": {"0"},
			}, fmt.Sprintf("SELECT %s %s ORDER BY intDiv(g.n, 64), %s, g.n, cityHash64(t.*) SETTINGS max_threads = 1 FORMAT Native", names, from, service))
			if err != nil {
				return nil, 0, err
			}
			inserts = append(inserts, insert{table: table, statement: "`" + table + "` (" + names + ") FORMAT Native", body: body, group: group})
		}
	}
	return inserts, rows, nil
}
