package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// question is what somebody asks of both systems, or of ours if the rival's tables cannot tell. In the text, %[1]s is the
// database, %[2]s what is asked for, another one each time, and %[3]s a day.
type question struct {
	name        string
	about       subject
	ours, rival string
}

type subject int

const (
	aboutTrace subject = iota
	aboutTraceOfDay
	aboutRun
	aboutWord
)

// busiest is the agent with the most runs, about a tenth of all.
const busiest = "agent-00"

const (
	// An index that is applied only as rows are read lets the engine prepare to read every column of every part.
	indexesFirst = " SETTINGS use_skip_indexes_on_data_read = 0"

	ofAgent      = "agentId = '" + busiest + "' AND timestamp >= '%[3]s' AND timestamp < toDateTime('%[3]s') + INTERVAL 1 DAY"
	ofRivalAgent = "LogAttributes['gen_ai.agent.id'] = '" + busiest + "' AND Timestamp >= '%[3]s' AND Timestamp < toDateTime('%[3]s') + INTERVAL 1 DAY"
)

var questions = []question{
	{
		"all spans of one trace", aboutTrace,
		"SELECT * FROM %[1]s.Span WHERE traceId = '%[2]s' ORDER BY startedAt" + indexesFirst,
		"SELECT * FROM %[1]s.otel_traces WHERE TraceId = '%[2]s' AND Timestamp >= (SELECT min(Start) FROM %[1]s.otel_traces_trace_id_ts WHERE TraceId = '%[2]s')" +
			" AND Timestamp <= (SELECT max(End) + 1 FROM %[1]s.otel_traces_trace_id_ts WHERE TraceId = '%[2]s') ORDER BY Timestamp" + indexesFirst,
	},
	{
		"all spans of one trace, contrib without its table of times", aboutTrace,
		"", "SELECT * FROM %[1]s.otel_traces WHERE TraceId = '%[2]s' ORDER BY Timestamp" + indexesFirst,
	},
	{
		"all spans of one trace of a known day", aboutTraceOfDay,
		"SELECT * FROM %[1]s.Span WHERE traceId = '%[2]s' AND startedAt >= '%[3]s' AND startedAt < toDateTime('%[3]s') + INTERVAL 1 DAY ORDER BY startedAt" + indexesFirst,
		"SELECT * FROM %[1]s.otel_traces WHERE TraceId = '%[2]s' AND Timestamp >= '%[3]s' AND Timestamp < toDateTime('%[3]s') + INTERVAL 1 DAY ORDER BY Timestamp" + indexesFirst,
	},
	{
		"all spans of one run", aboutRun,
		"SELECT * FROM %[1]s.Span WHERE executionId = '%[2]s' ORDER BY startedAt" + indexesFirst, "",
	},
	{
		"ExecutionTrail of one run", aboutRun,
		"SELECT * FROM %[1]s.ExecutionTrail(id = '%[2]s')", "",
	},
	{
		"ExecutionDetail of one run", aboutRun,
		"SELECT * FROM %[1]s.ExecutionDetail WHERE id = '%[2]s'", "",
	},
	{
		"last 100 log records of an agent in a day with a word", aboutWord,
		"SELECT timestamp, level, message, traceId FROM %[1]s.AgentLog WHERE " + ofAgent + " AND hasToken(message, '%[2]s') ORDER BY timestamp DESC LIMIT 100",
		"SELECT Timestamp, SeverityText, Body, TraceId FROM %[1]s.otel_logs WHERE " + ofRivalAgent + " AND hasToken(lower(Body), '%[2]s') ORDER BY Timestamp DESC LIMIT 100",
	},
	{
		"how many there are", aboutWord,
		"SELECT count() FROM %[1]s.AgentLog WHERE " + ofAgent + " AND hasToken(message, '%[2]s')",
		"SELECT count() FROM %[1]s.otel_logs WHERE " + ofRivalAgent + " AND hasToken(lower(Body), '%[2]s')",
	},
}

// answers is how long the answers to a question took.
type answers struct {
	took []float64 // ms
	cpu  time.Duration
	rows int
}

// warmUp is how many times a question is asked before it counts: indexes and caches are loaded then, as in real life.
const warmUp = 10

// examine fills all schemas, unless they are filled already, and asks the questions in turns.
func (b *bench) examine(ctx context.Context, asked int) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	defer w.Flush()
	for _, l := range b.schemas {
		database := "asked_" + l.name
		filled, err := b.engine.ask(ctx, "SELECT count() FROM system.databases WHERE name = '"+database+"'")
		if err != nil {
			return err
		}
		if filled == "0" {
			if err := b.fill(ctx, l, database); err != nil {
				return err
			}
		}
		size, err := b.engine.rows(ctx, "SELECT table, sum(rows), count(), formatReadableSize(sum(bytes_on_disk)) FROM system.parts WHERE active AND database = '"+database+"' AND table IN ('"+strings.Join(order, "', '")+"') GROUP BY table ORDER BY sum(rows) DESC")
		if err != nil {
			return err
		}
		for _, s := range size {
			fmt.Fprintf(w, "%s\t%s\t%s rows\t%s parts\t%s\n", l.name, s[0], s[1], s[2], s[3])
		}
	}
	// What was filled in is on disk, and out of the engine's memory.
	syscall.Sync()
	if err := b.restart(); err != nil {
		return err
	}
	fmt.Fprintln(w, "\t\t\t\t\t\nquestion\tschema\tp50, ms\tp99, ms\tCPU, ms\trows")
	for i, q := range questions {
		// Each question is about traces of its own: the engine remembers where it found nothing for a condition.
		subjects, err := b.subjects(ctx, q.about, warmUp+asked, rand.New(rand.NewPCG(1, uint64(i))))
		if err != nil {
			return err
		}
		results := make([]answers, len(b.schemas))
		for n, s := range subjects {
			for i, l := range b.schemas {
				if err := b.put(ctx, l, q, s, &results[i], n >= warmUp); err != nil {
					return fmt.Errorf("%s: %w", q.name, err)
				}
			}
		}
		for i, l := range b.schemas {
			r := results[i]
			if len(r.took) == 0 {
				continue
			}
			slices.Sort(r.took)
			n := len(r.took)
			fmt.Fprintf(w, "%s\t%s\t%.1f\t%.1f\t%.1f\t%.1f\n", q.name, l.name, r.took[n/2], r.took[n*99/100], r.cpu.Seconds()*1e3/float64(n), float64(r.rows)/float64(n))
			progress("%s of %s: p50 %.1f ms, p99 %.1f ms", q.name, l.name, r.took[n/2], r.took[n*99/100])
		}
	}
	return nil
}

// put asks one question of one schema.
func (b *bench) put(ctx context.Context, l *layout, q question, about string, r *answers, counts bool) error {
	text := q.ours
	if strings.HasPrefix(l.source, "contrib") {
		text = q.rival
	}
	if text == "" {
		return nil
	}
	text = strings.NewReplacer("%[1]s", "asked_"+l.name, "%[2]s", about, "%[3]s", firstDay).Replace(text)
	cpu, began := b.engine.cpu(), time.Now()
	answer, err := b.engine.ask(ctx, text)
	if err != nil || !counts {
		return err
	}
	r.took = append(r.took, time.Since(began).Seconds()*1e3)
	r.cpu += b.engine.cpu() - cpu
	if answer != "" {
		r.rows += strings.Count(answer, "\n") + 1
	}
	return nil
}

// subjects are what is asked for: traces or runs that are stored once, or words out of messages.
func (b *bench) subjects(ctx context.Context, about subject, count int, r *rand.Rand) ([]string, error) {
	source := b.schemas[0].source
	if about == aboutWord {
		return b.column(ctx, fmt.Sprintf("SELECT arrayElement(splitByChar(' ', message) AS words, 1 + cityHash64(id) %% length(words)) AS word FROM %s.AgentLog WHERE match(word, '^[a-z]+$') ORDER BY cityHash64(id, 1) LIMIT %d", source, count))
	}
	as, table := ids["traceId"], "Span"
	if about == aboutRun {
		as, table = runID, "AgentExecution"
	}
	days := b.volume.days
	if about == aboutTraceOfDay {
		days = 1
	}
	all, err := b.column(ctx, fmt.Sprintf("SELECT DISTINCT %s FROM %s.%s AS t CROSS JOIN (SELECT %d * (number + 1) AS c FROM numbers(%d)) AS copies ORDER BY 1", as, source, table, daysCopies, days))
	if err != nil {
		return nil, err
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:min(count, len(all))], nil
}

// column is the first column of an answer.
func (b *bench) column(ctx context.Context, query string) ([]string, error) {
	rows, err := b.engine.rows(ctx, query)
	if err != nil {
		return nil, err
	}
	values := make([]string, len(rows))
	for i := range rows {
		values[i] = rows[i][0]
	}
	return values, nil
}
