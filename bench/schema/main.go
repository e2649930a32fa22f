// Command schema measures what the engine pays to store rows under a given schema: CPU per row of the INSERTs, with
// their materialized views, and of the merges after them, and bytes on disk per row of every column. Rows are those
// that bench/ingest left behind; they are sent as the exporter sends them, in Native format over HTTP, in groups of the
// sizes that are asked for. Schemas take turns; figures are medians of the rounds with their range.
//
//	go run ./ingest -agenttrail ../bin/agenttrail -rounds 1 -only direct,contrib -keep
//	go run ./schema -agenttrail ../bin/agenttrail -data DIR/clickhouse base=../schema/clickhouse other=/tmp/clickhouse contrib=contrib_0
//
// With -spans it fills the schemas with many copies of the sample and prints how long questions take.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

type bench struct {
	engine      *engine
	start       func() (*engine, error)
	runs        int // Runs in the sample.
	spansPerRun int
	volume      volume
	rounds      int
	groups      []int // Spans per group.
	settings    string
	columns     bool
	perTable    bool
	keep        bool
	schemas     []*layout
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := mainErr(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "schema:", err)
		os.Exit(1)
	}
}

func mainErr(ctx context.Context) (err error) {
	b := &bench{}
	program := flag.String("agenttrail", "bin/agenttrail", "the program with the engine")
	data := flag.String("data", "", "folder of ClickHouse that bench/ingest -keep left; more databases are made in it")
	ours := flag.String("ours", "direct_0", "database with our rows")
	rival := flag.String("rival", "contrib_0", "database with the rows of contrib's exporter")
	groups := flag.String("groups", "20000", "spans per group, such as 5000,20000,100000; the rows of other tables that belong to them come on top")
	flag.IntVar(&b.rounds, "rounds", 3, "rounds, in each of which every schema has its turn")
	flag.StringVar(&b.settings, "settings", "", "settings of the INSERTs, such as max_insert_threads=1&optimize_on_insert=0")
	flag.BoolVar(&b.columns, "columns", false, "print the bytes of every column")
	flag.BoolVar(&b.perTable, "tables", false, "print the CPU of the INSERTs into every table")
	flag.BoolVar(&b.keep, "keep", false, "leave the last database of every schema")
	flag.IntVar(&b.volume.spans, "spans", 0, "fill each schema with so many spans and ask questions, instead of measuring INSERTs")
	flag.IntVar(&b.volume.days, "days", 5, "days over which these spans are spread")
	asked := flag.Int("asked", 200, "how often each question is asked")
	flag.Parse()
	for g := range strings.SplitSeq(*groups, ",") {
		n, err := strconv.Atoi(g)
		if err != nil {
			return fmt.Errorf("read -groups: %w", err)
		}
		b.groups = append(b.groups, n)
	}
	for _, arg := range flag.Args() {
		l, err := parseLayout(arg)
		if err != nil {
			return err
		}
		b.schemas = append(b.schemas, l)
	}
	b.start = func() (*engine, error) { return startEngine(ctx, *program, *data) }
	if b.engine, err = b.start(); err != nil {
		return err
	}
	defer func() {
		if b.engine != nil {
			err = errors.Join(err, b.engine.stop())
		}
	}()
	for _, l := range b.schemas {
		l.source = *ours
		if l.database != "" {
			l.source = l.database
		}
	}
	if b.runs, b.spansPerRun, err = b.number(ctx, *ours, *rival); err != nil {
		return err
	}
	if b.volume.spans > 0 {
		return b.examine(ctx, *asked)
	}
	for _, spans := range b.groups {
		if err := b.compare(ctx, spans); err != nil {
			return err
		}
	}
	return nil
}

// restart gives the bench a new engine on the same data.
func (b *bench) restart() (err error) {
	if err := b.engine.stop(); err != nil {
		return err
	}
	b.engine, err = b.start()
	return err
}
