package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// result is what one turn of one schema gave.
type result struct {
	insert, merge float64            // us of CPU per span and log record
	tables        map[string]float64 // the same of the INSERTs into each table
	disk          float64            // bytes per span, of all tables
	parts         int                // before merges
}

// compare lets all schemas store the sample in turns, in groups of so many spans, and prints what it cost.
func (b *bench) compare(ctx context.Context, spans int) error {
	type source struct {
		inserts []insert
		rows    int
	}
	sources := map[string]source{}
	for _, l := range b.schemas {
		if _, ok := sources[l.source]; ok {
			continue
		}
		inserts, rows, err := b.sample(ctx, l.source, max(1, spans/b.spansPerRun))
		if err != nil {
			return fmt.Errorf("read sample: %w", err)
		}
		sources[l.source] = source{inserts, rows}
	}
	results := map[string][]*result{}
	for round := range b.rounds {
		for i := range b.schemas {
			l := b.schemas[(i+round)%len(b.schemas)]
			s := sources[l.source]
			r, err := b.turn(ctx, l, s.inserts, s.rows, round == b.rounds-1)
			if err != nil {
				return fmt.Errorf("%s: %w", l.name, err)
			}
			progress("round %d %-16s insert %.2f merge %.2f us/row, disk %.1f B/span, %d parts", round+1, l.name, r.insert, r.merge, r.disk, r.parts)
			results[l.name] = append(results[l.name], r)
		}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	defer w.Flush()
	fmt.Fprintf(w, "groups of %d spans\tinsert, us/row\tmerge, us/row\tboth, us/row\tdisk, B/span\tparts\n", spans)
	for _, l := range b.schemas {
		rs := results[l.name]
		of := func(f func(*result) float64) string { return spread(rs, f) }
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\n", l.name, of(func(r *result) float64 { return r.insert }), of(func(r *result) float64 { return r.merge }),
			of(func(r *result) float64 { return r.insert + r.merge }), of(func(r *result) float64 { return r.disk }), rs[0].parts)
	}
	if b.perTable {
		fmt.Fprintln(w, "\t\t\t\t\t\nINSERT, us/row\t\t\t\t\t")
		for _, l := range b.schemas {
			fmt.Fprintf(w, "%s", l.name)
			for _, t := range order {
				if _, ok := results[l.name][0].tables[t]; ok {
					fmt.Fprintf(w, "\t%s %s", t, spread(results[l.name], func(r *result) float64 { return r.tables[t] }))
				}
			}
			fmt.Fprintln(w)
		}
	}
	return nil
}

func spread(rs []*result, f func(*result) float64) string {
	var v []float64
	for _, r := range rs {
		v = append(v, f(r))
	}
	slices.Sort(v)
	return fmt.Sprintf("%.2f (%.2f-%.2f)", v[len(v)/2], v[0], v[len(v)-1])
}

// turn lets one schema store the sample once. Merges wait until all is inserted, so that the two can be told apart.
func (b *bench) turn(ctx context.Context, l *layout, inserts []insert, rows int, last bool) (*result, error) {
	database := "schema_" + strings.ReplaceAll(l.name, "-", "_")
	if err := l.create(ctx, b.engine, database); err != nil {
		return nil, err
	}
	merging, err := b.engine.rows(ctx, "SELECT name FROM system.tables WHERE database = '"+database+"' AND engine LIKE '%MergeTree'")
	if err != nil {
		return nil, err
	}
	for _, t := range merging {
		if _, err := b.engine.ask(ctx, "SYSTEM STOP MERGES "+database+"."+t[0]); err != nil {
			return nil, err
		}
	}
	settings, err := url.ParseQuery("decompress=1&async_insert=0&deduplicate_insert=enable&insert_deduplicate=1&deduplicate_blocks_in_dependent_materialized_views=1&max_partitions_per_insert_block=0&" + b.settings)
	if err != nil {
		return nil, err
	}
	own, err := url.ParseQuery(l.settings)
	if err != nil {
		return nil, err
	}
	for k, v := range own {
		settings[k] = v
	}
	r := &result{tables: map[string]float64{}}
	perRow := func(d time.Duration) float64 { return d.Seconds() * 1e6 / float64(rows) }
	for _, in := range inserts {
		settings.Set("query", "INSERT INTO "+database+"."+in.statement)
		settings.Set("insert_deduplication_token", fmt.Sprintf("%s-%d", in.table, in.group))
		before := b.engine.cpu()
		if _, err := b.engine.post(ctx, settings, in.body); err != nil {
			return nil, err
		}
		d := perRow(b.engine.cpu() - before)
		r.insert += d
		r.tables[in.table] += d
	}
	n, err := b.engine.ask(ctx, "SELECT count() FROM system.parts WHERE active AND database = '"+database+"'")
	if err != nil {
		return nil, err
	}
	if r.parts, err = strconv.Atoi(n); err != nil {
		return nil, err
	}
	before := b.engine.cpu()
	for _, t := range merging {
		if _, err := b.engine.ask(ctx, "SYSTEM START MERGES "+database+"."+t[0]); err != nil {
			return nil, err
		}
	}
	if err := b.engine.quiet(ctx); err != nil {
		return nil, err
	}
	for _, t := range merging {
		if _, err := b.engine.ask(ctx, "OPTIMIZE TABLE "+database+"."+t[0]+" FINAL SETTINGS optimize_skip_merged_partitions = 1"); err != nil {
			return nil, err
		}
	}
	r.merge = perRow(b.engine.cpu() - before)
	spans := float64(b.runs * b.spansPerRun)
	size, err := b.engine.ask(ctx, "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = '"+database+"'")
	if err != nil {
		return nil, err
	}
	bytes, err := strconv.ParseFloat(size, 64)
	if err != nil {
		return nil, err
	}
	r.disk = bytes / spans
	if last && b.columns {
		text, err := b.engine.ask(ctx, fmt.Sprintf(`SELECT * FROM (SELECT table, column, round(sum(column_data_compressed_bytes) / %[2]f, 2) AS perSpan, round(sum(column_data_compressed_bytes) / sum(rows), 2) AS perRow
			FROM system.parts_columns WHERE active AND database = '%[1]s' GROUP BY table, column HAVING perSpan >= 0.3
			UNION ALL SELECT table, 'indexes', round(sum(secondary_indices_compressed_bytes) / %[2]f, 2), round(sum(secondary_indices_compressed_bytes) / sum(rows), 2)
			FROM system.parts WHERE active AND database = '%[1]s' GROUP BY table
			UNION ALL SELECT table, 'everything', round(sum(bytes_on_disk) / %[2]f, 2), round(sum(bytes_on_disk) / sum(rows), 2)
			FROM system.parts WHERE active AND database = '%[1]s' GROUP BY table
			) ORDER BY table, perSpan DESC FORMAT PrettyCompactMonoBlock`, database, spans))
		if err != nil {
			return nil, err
		}
		fmt.Printf("%s, bytes\n%s\n", l.name, text)
	}
	if last && b.keep {
		return r, nil
	}
	_, err = b.engine.ask(ctx, "DROP DATABASE "+database+" SYNC")
	return r, err
}
