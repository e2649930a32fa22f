// Command ingest compares how AgentTrail's collector and one with contrib's clickhouseexporter store the same traffic
// in the same embedded ClickHouse: CPU of the collector and of the engine, rows per second end to end, bytes on disk,
// memory. The two take turns, each round in a database of its own; figures are medians with their range.
//
//	make bench
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// warmRequests are sent before the measurement begins.
const warmRequests = 16

type bench struct {
	program    string // agenttrail
	self       string
	dir        string
	rounds     int
	requests   int
	clients    int
	shape      shape
	keep       bool
	clickhouse string
	engine     *process
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == rivalCommand {
		if err := runRival(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := mainErr(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "ingest:", err)
		os.Exit(1)
	}
}

func mainErr(ctx context.Context) (err error) {
	b := &bench{}
	spans := 0
	flag.StringVar(&b.program, "agenttrail", "bin/agenttrail", "the program to measure")
	flag.IntVar(&b.rounds, "rounds", 5, "rounds, in each of which every system has its turn")
	flag.IntVar(&spans, "spans", 200_000, "spans that each system gets in a round; half as many log records come on top")
	flag.IntVar(&b.clients, "clients", 8, "requests under way at a time")
	flag.IntVar(&b.shape.runsPerRequest, "runs", 64, "runs per request")
	flag.IntVar(&b.shape.steps, "steps", 6, "steps per run, calls of models and of tools in turns; a run has two spans more")
	flag.IntVar(&b.shape.templates, "templates", 0, "different requests; more are copies of these with other ids and times; as many as are sent if 0")
	flag.BoolVar(&b.shape.history, "history", true, "calls of models repeat the conversation so far, as conventions ask; else all text is new")
	flag.BoolVar(&b.keep, "keep", false, "leave the folder with logs and data, and the databases in it")
	write := flag.String("write", "", "only write the requests into this folder, for the benchmark of the exporter's stages")
	only := flag.String("only", "", "names of systems, such as direct,contrib; all if empty")
	flag.Parse()
	b.requests = max(1, spans/(b.shape.runsPerRequest*b.shape.spansPerRun()))
	if b.shape.templates == 0 {
		b.shape.templates = b.requests + warmRequests
	}
	start := uint64(time.Now().Add(-2*time.Hour).UnixNano()) / 1e9 * 1e9
	if *write != "" {
		m, err := newMix(b.shape, start, 7)
		if err != nil {
			return err
		}
		return m.write(*write)
	}
	if b.program, err = filepath.Abs(b.program); err != nil {
		return err
	}
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "agenttrail-bench-"); err != nil {
		return err
	}
	defer func() {
		if b.keep || err != nil {
			fmt.Fprintln(os.Stderr, "logs and data are in", b.dir)
			return
		}
		err = os.RemoveAll(b.dir)
	}()
	if err := b.startEngine(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.engine.stop()) }()

	// The first takes requests straight from the wire, the second through pdata, as behind any receiver and processor.
	systems := []*system{ours("direct"), ours("pdata", "receivers::otlp::direct=off"), contrib()}
	if *only != "" {
		kept := systems[:0]
		for _, s := range systems {
			if strings.Contains(","+*only+",", ","+s.name+",") {
				kept = append(kept, s)
			}
		}
		systems = kept
	}
	m, err := newMix(b.shape, start, 7)
	if err != nil {
		return err
	}
	describe(b, m)
	results := map[string][]*result{}
	for round := range b.rounds {
		for i := range systems {
			s := systems[(i+round)%len(systems)] // Who is first takes turns too.
			r, err := b.turn(ctx, s, m, round)
			if err != nil {
				return fmt.Errorf("round %d of %s: %w", round+1, s.name, err)
			}
			fmt.Printf("round %d  %-12s %s\n", round+1, s.name, r)
			results[s.name] = append(results[s.name], r)
		}
	}
	report(os.Stdout, systems, results)
	return nil
}

// describe says what is sent.
func describe(b *bench, m *mix) {
	bytes, rows := 0, 0
	for i := range m.traces {
		bytes += len(m.traces[i].wire) + len(m.logs[i].wire)
		rows += m.traces[i].rows + m.logs[i].rows
	}
	fmt.Printf("%d requests of %d spans and as many of %d log records, %d bytes a row; %d clients; %d rounds\n",
		b.requests, b.shape.runsPerRequest*b.shape.spansPerRun(), b.shape.runsPerRequest*logsPerRun, bytes/rows, b.clients, b.rounds)
}

func (b *bench) startEngine(ctx context.Context) error {
	p, err := start(b.dir, "clickhouse", nil, b.program, "clickhouse", "--data", filepath.Join(b.dir, "clickhouse"), "--addr", "127.0.0.1:0")
	if err != nil {
		return err
	}
	b.engine = p
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	addr, err := p.line(ctx, "http://")
	if err != nil {
		return errors.Join(err, p.stop())
	}
	b.clickhouse = "http://" + strings.Trim(strings.Fields(addr)[0], "/,.")
	return nil
}

// run runs a command to its end.
func (b *bench) run(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
	return nil
}

// turn lets one system store the traffic once.
func (b *bench) turn(ctx context.Context, s *system, m *mix, round int) (r *result, err error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	database := fmt.Sprintf("%s_%d", strings.ReplaceAll(s.name, "-", "_"), round)
	dir := filepath.Join(b.dir, database)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	if err := s.prepare(ctx, b, database); err != nil {
		return nil, err
	}
	p, addr, metrics, err := s.collect(ctx, b, dir, database)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()

	// A little traffic first: connections, buffers and caches are there afterwards, as they are in real life.
	warm := min(b.requests, warmRequests)
	perRequest, spansPerRun := int64(b.shape.runsPerRequest), int64(b.shape.spansPerRun())
	if _, err := send(ctx, addr, m, warm, b.clients); err != nil {
		return nil, err
	}
	first := int64(warm) * perRequest
	if _, _, err := b.stored(ctx, s, database, first*spansPerRun, first*logsPerRun); err != nil {
		return nil, err
	}
	before, err := b.measure(ctx, p, metrics, s.metricName)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	again, err := sendFrom(ctx, addr, m, warm, b.requests, b.clients)
	if err != nil {
		return nil, err
	}
	sent := time.Now()
	all := first + int64(b.requests)*perRequest
	seen, merged, err := b.stored(ctx, s, database, all*spansPerRun, all*logsPerRun)
	if err != nil {
		return nil, err
	}
	after, err := b.measure(ctx, p, metrics, s.metricName)
	if err != nil {
		return nil, err
	}
	spans := float64(b.requests) * float64(perRequest*spansPerRun)
	rows := float64(b.requests) * float64(perRequest*(spansPerRun+logsPerRun))
	r = &result{
		collectorCPU: (after.collector - before.collector).Seconds() * 1e6 / spans,
		engineCPU:    (after.engine - before.engine).Seconds() * 1e6 / rows,
		acknowledged: spans / sent.Sub(began).Seconds(),
		endToEnd:     spans / seen.Sub(began).Seconds(),
		merged:       spans / merged.Sub(began).Seconds(),
		allocated:    (after.allocated - before.allocated) / spans,
		again:        again,
	}
	peak, err := p.peak()
	if err != nil {
		return nil, err
	}
	r.memory = float64(peak) / (1 << 20)
	if r.disk, err = b.disk(ctx, database, float64(all*spansPerRun)); err != nil {
		return nil, err
	}
	if b.keep {
		return r, nil
	}
	_, err = b.ask(ctx, "DROP DATABASE "+database+" SYNC")
	return r, err
}

// disk merges every table into one part per partition and returns the bytes on disk per span, of all tables together.
func (b *bench) disk(ctx context.Context, database string, spans float64) (float64, error) {
	tables, err := b.ask(ctx, "SELECT name FROM system.tables WHERE database = '"+database+"' AND engine LIKE '%MergeTree'")
	if err != nil {
		return 0, err
	}
	for table := range strings.Lines(tables) {
		if _, err := b.ask(ctx, "OPTIMIZE TABLE "+database+".`"+strings.TrimSpace(table)+"` FINAL"); err != nil {
			return 0, err
		}
	}
	n, err := b.number(ctx, "SELECT toInt64(sum(bytes_on_disk)) FROM system.parts WHERE active AND database = '"+database+"'")
	return float64(n) / spans, err
}

type sample struct {
	collector, engine time.Duration
	allocated         float64
}

func (b *bench) measure(ctx context.Context, p *process, metrics, name string) (s sample, err error) {
	if s.collector, err = p.cpu(); err != nil {
		return s, err
	}
	if s.engine, err = b.engine.cpu(); err != nil {
		return s, err
	}
	s.allocated, err = gauge(ctx, metrics, name)
	return s, err
}

// gauge reads one figure of a Prometheus endpoint; the name may have a prefix and labels there.
func gauge(ctx context.Context, address, name string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") && strings.Contains(line, name) {
			fields := strings.Fields(line)
			return strconv.ParseFloat(fields[len(fields)-1], 64)
		}
	}
	return 0, fmt.Errorf("%s does not tell %s", address, name)
}
