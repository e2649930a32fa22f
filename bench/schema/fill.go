package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// volume says how large the tables are of which questions are asked.
//
// What makes a question slow is how much there is to leave out, not whether it differs. So the rows that nobody asks
// for, the crowd, are stored once, in one part per day and table, and these parts are then attached many times over:
// their files are hard links, which take neither time nor space. Traces that are asked for are stored beside them, and
// once: a copy of the sample per day.
type volume struct {
	spans int // In all.
	days  int
	links int // How often the crowd's parts are attached.
}

const firstDay = "2026-01-05"

// day is the date of day d.
func day(d int) string {
	at, err := time.Parse(time.DateOnly, firstDay)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return at.AddDate(0, 0, d).Format(time.DateOnly)
}

// Copies of the sample are numbered: that which is asked for has the number of its day, the crowd's follow.
const crowdBegins = 1000

// ids says how a copy of the sample, number c, is made unlike the others: ids are hashes of the first ones.
var ids = map[string]string{
	"traceId": hashed("traceId") + " || substring(traceId, 17)", "TraceId": hashed("TraceId") + " || substring(TraceId, 17)",
	"spanId": hashed("spanId"), "SpanId": hashed("SpanId"), "parentSpanId": unlessEmpty("parentSpanId", hashed("parentSpanId")), "ParentSpanId": unlessEmpty("ParentSpanId", hashed("ParentSpanId")),
	"executionId": unlessEmpty("executionId", executionID("executionId")), "parentExecutionId": unlessEmpty("parentExecutionId", executionID("parentExecutionId")),
	"sessionId": unlessEmpty("sessionId", executionID("sessionId")),
	"id":        "generateUUIDv4()",
}

// runID is what becomes of AgentExecution.id.
var runID = executionID("id")

func hashed(id string) string { return "lower(hex(cityHash64(t." + id + ", c)))" }

func executionID(id string) string { return hashed(id) + " || substring(t." + id + ", 17)" }

func unlessEmpty(id, as string) string { return "if(t." + id + " = '', '', " + as + ")" }

// fill stores the sample many times over.
func (b *bench) fill(ctx context.Context, l *layout, database string) error {
	crowd := "crowd_" + database
	for _, name := range []string{crowd, database} {
		if err := l.create(ctx, b.engine, name); err != nil {
			return err
		}
	}
	merging, err := b.engine.rows(ctx, "SELECT name FROM system.tables WHERE database = '"+database+"' AND engine LIKE '%MergeTree'")
	if err != nil {
		return err
	}
	for _, t := range merging {
		if _, err := b.engine.ask(ctx, "SYSTEM STOP MERGES "+database+"."+t[0]); err != nil {
			return err
		}
	}
	spans := b.runs * b.spansPerRun
	perDay := max(1, b.volume.spans/b.volume.days/b.volume.links/spans)
	for d := range b.volume.days {
		began := time.Now()
		for _, table := range order {
			for _, into := range []struct {
				database      string
				first, copies int
			}{{database, d, 1}, {crowd, crowdBegins * (d + 1), perDay}} {
				if err := b.copy(ctx, l, into.database, table, day(d), into.first, into.copies); err != nil {
					return fmt.Errorf("copy %s: %w", table, err)
				}
			}
		}
		progress("%s: copied %d spans of day %d of %d in %.0f s", l.name, (perDay+1)*spans, d+1, b.volume.days, time.Since(began).Seconds())
	}
	for _, t := range merging {
		if _, err := b.engine.ask(ctx, "OPTIMIZE TABLE "+crowd+"."+t[0]+" FINAL SETTINGS optimize_skip_merged_partitions = 1"); err != nil {
			return err
		}
		if tables[t[0]] == "" && t[0] != "otel_traces_trace_id_ts" {
			continue // States, whose rows the questions do not ask for.
		}
		partitions, err := b.engine.rows(ctx, "SELECT DISTINCT partition_id FROM system.parts WHERE active AND database = '"+crowd+"' AND table = '"+t[0]+"'")
		if err != nil {
			return err
		}
		for _, p := range partitions {
			for range b.volume.links {
				if _, err := b.engine.ask(ctx, fmt.Sprintf("ALTER TABLE %[1]s.%[2]s ATTACH PARTITION ID '%[3]s' FROM %[4]s.%[2]s", database, t[0], p[0], crowd)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// copy stores copies of one table of the sample, numbered from first, as one day. Each trace takes place at a time of
// its own.
func (b *bench) copy(ctx context.Context, l *layout, database, table, day string, first, copies int) error {
	names, err := b.engine.rows(ctx, "SELECT name FROM system.columns WHERE database = '"+l.source+"' AND table = '"+table+"' AND default_kind = ''")
	if err != nil || len(names) == 0 {
		return err
	}
	at := times[table]
	began, err := b.engine.ask(ctx, "SELECT toUnixTimestamp64Nano(min("+at+")) FROM "+l.source+"."+table)
	if err != nil {
		return err
	}
	var columns, values []string
	for _, r := range names {
		as, ok := ids[r[0]]
		switch {
		case table == "AgentExecution" && r[0] == "id":
			as = runID
		case r[0] == at:
			as = fmt.Sprintf("toDateTime64('%s', 9, 'UTC') + toIntervalNanosecond(toUnixTimestamp64Nano(t.%s) - %s + cityHash64(t.%s, c, 'at') %% 86000000000000)", day, at, began, tables[table])
		case !ok:
			as = "t.`" + r[0] + "`"
		}
		columns, values = append(columns, "`"+r[0]+"`"), append(values, as)
	}
	_, err = b.engine.ask(ctx, fmt.Sprintf("INSERT INTO %s.%s (%s) SELECT %s FROM %s.%s AS t CROSS JOIN (SELECT number + %d AS c FROM numbers(%d)) AS copies"+
		" SETTINGS max_threads = 2, max_insert_threads = 1, max_block_size = 16384, min_insert_block_size_rows = 1000000, min_insert_block_size_bytes = 2000000000, insert_deduplicate = 0",
		database, table, strings.Join(columns, ", "), strings.Join(values, ", "), l.source, table, first, copies))
	return err
}
