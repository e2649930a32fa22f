package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// question is what somebody asks of both systems. A %s stands for what is asked for, another one each time.
type question struct {
	name        string
	about       string // "trace" or "word"
	ours, rival string
}

// busiest is the agent with the most runs, about a tenth of all.
const busiest = "agent-00"

var questions = []question{
	{
		"all spans of one trace", "trace",
		"SELECT * FROM %[1]s.Span WHERE traceId = '%[2]s' ORDER BY startedAt",
		"SELECT * FROM %[1]s.otel_traces WHERE TraceId = '%[2]s' AND Timestamp >= (SELECT min(Start) FROM %[1]s.otel_traces_trace_id_ts WHERE TraceId = '%[2]s')" +
			" AND Timestamp <= (SELECT max(End) + 1 FROM %[1]s.otel_traces_trace_id_ts WHERE TraceId = '%[2]s') ORDER BY Timestamp",
	},
	{
		"the same without contrib's table of times", "trace",
		"SELECT * FROM %[1]s.Span WHERE traceId = '%[2]s' ORDER BY startedAt",
		"SELECT * FROM %[1]s.otel_traces WHERE TraceId = '%[2]s' ORDER BY Timestamp",
	},
	{
		"last 100 log records of an agent in a day with a word", "word",
		"SELECT timestamp, level, message, traceId FROM %[1]s.AgentLog WHERE agentId = '" + busiest + "' AND timestamp >= '%[3]s' AND timestamp < toDateTime('%[3]s') + INTERVAL 1 DAY" +
			" AND hasToken(message, '%[2]s') ORDER BY timestamp DESC LIMIT 100",
		"SELECT Timestamp, SeverityText, Body, TraceId FROM %[1]s.otel_logs WHERE LogAttributes['gen_ai.agent.id'] = '" + busiest + "' AND Timestamp >= '%[3]s' AND Timestamp < toDateTime('%[3]s') + INTERVAL 1 DAY" +
			" AND hasToken(lower(Body), '%[2]s') ORDER BY Timestamp DESC LIMIT 100",
	},
	{
		"how many there are", "word",
		"SELECT count() FROM %[1]s.AgentLog WHERE agentId = '" + busiest + "' AND timestamp >= '%[3]s' AND timestamp < toDateTime('%[3]s') + INTERVAL 1 DAY AND hasToken(message, '%[2]s')",
		"SELECT count() FROM %[1]s.otel_logs WHERE LogAttributes['gen_ai.agent.id'] = '" + busiest + "' AND Timestamp >= '%[3]s' AND Timestamp < toDateTime('%[3]s') + INTERVAL 1 DAY AND hasToken(lower(Body), '%[2]s')",
	},
}

// copies says how a copy of the sample is made unlike the others: ids that are hashes of the first ones, times later.
var copies = map[string]string{
	"traceId": "lower(hex(cityHash64(traceId, %d))) || substring(traceId, 17)", "TraceId": "lower(hex(cityHash64(TraceId, %d))) || substring(TraceId, 17)",
	"spanId": "lower(hex(cityHash64(spanId, %d)))", "SpanId": "lower(hex(cityHash64(SpanId, %d)))",
	"parentSpanId": "if(parentSpanId = '', '', lower(hex(cityHash64(parentSpanId, %d))))", "ParentSpanId": "if(ParentSpanId = '', '', lower(hex(cityHash64(ParentSpanId, %d))))",
	"executionId": "if(executionId = '', '', lower(hex(cityHash64(executionId, %d))) || substring(executionId, 17))",
	"sessionId":   "if(sessionId = '', '', lower(hex(cityHash64(sessionId, %d))) || substring(sessionId, 17))",
	"id":          "generateUUIDv4(%d)",
}

const day = "2026-01-05"

// fill stores the sample many times over, spread over a day.
func (b *bench) fill(ctx context.Context, l *layout, database string, n int) error {
	if err := l.create(ctx, b.engine, database); err != nil {
		return err
	}
	for _, t := range [...][2]string{{"Span", "startedAt"}, {"AgentLog", "timestamp"}, {"otel_traces", "Timestamp"}, {"otel_logs", "Timestamp"}} {
		table, at := t[0], t[1]
		names, err := b.engine.rows(ctx, "SELECT name FROM system.columns WHERE database = '"+l.source+"' AND table = '"+table+"' AND default_kind = ''")
		if err != nil {
			return err
		}
		if len(names) == 0 {
			continue
		}
		began, err := b.engine.ask(ctx, "SELECT toUnixTimestamp64Nano(min("+at+")) FROM "+l.source+"."+table)
		if err != nil {
			return err
		}
		for c := range n {
			var columns, values []string
			for _, r := range names {
				columns = append(columns, "`"+r[0]+"`")
				switch as, ok := copies[r[0]]; {
				case ok:
					values = append(values, fmt.Sprintf(as, c))
				case r[0] == at:
					values = append(values, fmt.Sprintf("toDateTime64('%s', 9) + toIntervalNanosecond(toUnixTimestamp64Nano(%s) - %s + %d)", day, at, began, int64(c)*int64(86000*time.Second)/int64(n)))
				default:
					values = append(values, "`"+r[0]+"`")
				}
			}
			_, err := b.engine.ask(ctx, fmt.Sprintf("INSERT INTO %s.%s (%s) SELECT %s FROM %s.%s SETTINGS max_threads = 1, max_block_size = 131072, insert_deduplicate = 0, session_timezone = 'UTC'",
				database, table, strings.Join(columns, ", "), strings.Join(values, ", "), l.source, table))
			if err != nil {
				return fmt.Errorf("copy %s: %w", table, err)
			}
			if c%20 == 19 {
				progress("%s %s: %d of %d copies", l.name, table, c+1, n)
			}
		}
	}
	return b.engine.quiet(ctx)
}

// examine fills all schemas with copies of the sample, unless they are filled already, and asks the questions in turns.
func (b *bench) examine(ctx context.Context, n, rounds int) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	defer w.Flush()
	names := make([]string, len(b.schemas))
	for i, l := range b.schemas {
		names[i] = "asked_" + l.name
		filled, err := b.engine.ask(ctx, "SELECT count() FROM system.databases WHERE name = '"+names[i]+"'")
		if err != nil {
			return err
		}
		if filled == "0" {
			if err := b.fill(ctx, l, names[i], n); err != nil {
				return err
			}
		}
		size, err := b.engine.rows(ctx, "SELECT table, sum(rows), count(), formatReadableSize(sum(bytes_on_disk)) FROM system.parts WHERE active AND database = '"+names[i]+"' AND rows > 1000000 / 100 GROUP BY table ORDER BY table")
		if err != nil {
			return err
		}
		for _, s := range size {
			fmt.Fprintf(w, "%s\t%s\t%s rows\t%s parts\t%s\n", l.name, s[0], s[1], s[2], s[3])
		}
	}
	fmt.Fprintln(w, "\t\t\t\t\nquestion\tschema\tp50, ms\tp99, ms\trows")
	r := rand.New(rand.NewPCG(1, 2))
	for _, q := range questions {
		took := make([][]float64, len(b.schemas))
		found := make([]int, len(b.schemas))
		subjects, err := b.subjects(ctx, q.about, n, rounds, r)
		if err != nil {
			return err
		}
		for _, subject := range subjects {
			for i, l := range b.schemas {
				text := q.ours
				if strings.HasPrefix(l.source, "contrib") {
					text = q.rival
				}
				text = fmt.Sprintf(text, names[i], subject, day)
				text = strings.TrimSuffix(text, "%!(EXTRA string="+day+")")
				began := time.Now()
				answer, err := b.engine.ask(ctx, text+" SETTINGS session_timezone = 'UTC'")
				if err != nil {
					return fmt.Errorf("%s: %w", q.name, err)
				}
				took[i] = append(took[i], time.Since(began).Seconds()*1e3)
				found[i] += strings.Count(answer, "\n") + 1
			}
		}
		for i, l := range b.schemas {
			slices.Sort(took[i])
			fmt.Fprintf(w, "%s\t%s\t%.1f\t%.1f\t%.0f\n", q.name, l.name, took[i][len(took[i])/2], took[i][len(took[i])*99/100], float64(found[i])/float64(len(subjects)))
		}
	}
	return nil
}

// subjects are what is asked for: traces of copies, or words out of messages.
func (b *bench) subjects(ctx context.Context, about string, n, count int, r *rand.Rand) ([]string, error) {
	source := b.schemas[0].source
	if about == "word" {
		rows, err := b.engine.rows(ctx, fmt.Sprintf("SELECT arrayElement(splitByChar(' ', message) AS words, 1 + cityHash64(id) %% length(words)) AS word FROM %s.AgentLog WHERE match(word, '^[a-z]+$') ORDER BY cityHash64(id, 1) LIMIT %d", source, count))
		if err != nil {
			return nil, err
		}
		words := make([]string, len(rows))
		for i := range rows {
			words[i] = rows[i][0]
		}
		return words, nil
	}
	traces := make([]string, count)
	for i := range traces {
		t, err := b.engine.ask(ctx, fmt.Sprintf("SELECT %s FROM %s.traces WHERE n = %d", fmt.Sprintf(copies["traceId"], r.IntN(n)), numbered, r.IntN(b.runs)))
		if err != nil {
			return nil, err
		}
		traces[i] = t
	}
	return traces, nil
}
