package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// volume says how large the tables are of which questions are asked: the sample many times over, each copy in its
// stretch of a day, stored in the order of time in blocks of about 100,000 rows, and merged for as long as the engine
// finds something to merge, so that there are as many parts as there would be in life.
type volume struct {
	spans int // In all.
	days  int
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

// daysCopies is more than how many copies of the sample a day has.
const daysCopies = 1_000_000

// copyOf is the number of the first copy of a day; the others of the day follow.
func copyOf(day int) int { return daysCopies * (day + 1) }

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
	if err := l.create(ctx, b.engine, database); err != nil {
		return err
	}
	perDay := max(1, b.volume.spans/b.volume.days/b.runs/b.spansPerRun)
	for d := range b.volume.days {
		began := time.Now()
		for _, table := range order {
			if err := b.copy(ctx, l, database, table, d, perDay); err != nil {
				return fmt.Errorf("copy %s: %w", table, err)
			}
		}
		progress("%s: copied %d spans of day %d of %d in %.0f s", l.name, perDay*b.runs*b.spansPerRun, d+1, b.volume.days, time.Since(began).Seconds())
	}
	return b.engine.quiet(ctx)
}

// copy stores copies of one table of the sample as one day, one after the other. Within its copy's stretch of the day
// each trace takes place at a time of its own.
func (b *bench) copy(ctx context.Context, l *layout, database, table string, d, copies int) error {
	names, err := b.engine.rows(ctx, "SELECT name FROM system.columns WHERE database = '"+l.source+"' AND table = '"+table+"' AND default_kind = ''")
	if err != nil || len(names) == 0 {
		return err
	}
	at := times[table]
	began, err := b.engine.ask(ctx, "SELECT toUnixTimestamp64Nano(min("+at+")) FROM "+l.source+"."+table)
	if err != nil {
		return err
	}
	first, stretch := copyOf(d), 86_000_000_000_000/copies
	var columns, values []string
	for _, r := range names {
		as, ok := ids[r[0]]
		switch {
		case table == "AgentExecution" && r[0] == "id":
			as = runID
		case r[0] == at:
			as = fmt.Sprintf("toDateTime64('%s', 9, 'UTC') + toIntervalNanosecond(toUnixTimestamp64Nano(t.%s) - %s + (c - %d) * %d + cityHash64(t.%s, c, 'at') %% %d)", day(d), at, began, first, stretch, tables[table], stretch)
		case !ok:
			as = "t.`" + r[0] + "`"
		}
		columns, values = append(columns, "`"+r[0]+"`"), append(values, as)
	}
	_, err = b.engine.ask(ctx, fmt.Sprintf("INSERT INTO %s.%s (%s) SELECT %s FROM (SELECT number + %d AS c FROM numbers(%d)) AS copies CROSS JOIN %s.%s AS t"+
		" SETTINGS max_threads = 1, max_insert_threads = 1, max_block_size = 16384, min_insert_block_size_rows = 100000, min_insert_block_size_bytes = 2000000000, insert_deduplicate = 0",
		database, table, strings.Join(columns, ", "), strings.Join(values, ", "), first, copies, l.source, table))
	return err
}
