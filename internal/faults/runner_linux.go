package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/agenttrail/agenttrail/schema"
)

// Settings is what a Runner needs to know.
type Settings struct {
	// Program prepares a command line of agenttrail.
	Program func(args ...string) *exec.Cmd `json:"-"`
	// Dir is a folder for everything; it must be there.
	Dir string
	// FirstSeed and Rounds are the rounds to play.
	FirstSeed uint64
	Rounds    int
	// Lasts is after how long no further round is begun; 0 means never. A busy machine plays fewer rounds then.
	Lasts time.Duration
	// Kinds are beginnings of the names of the faults to make; empty means all. A seed means another round with them.
	Kinds []string
	// Failures are how many failing rounds end a run; 0 means 3.
	Failures int
	// Out gets a line per round.
	Out io.Writer `json:"-"`
}

// Runner holds the parts that are broken.
type Runner struct {
	set               Settings
	kinds             []int // Places of the kinds to make.
	net               network
	ch                clickhouse
	proxies           *proxies
	launchers         launchers
	collector, engine *process
	collectorDir      string // What a collector has on its disk.
	journalDir        string
	emptySegment      int64      // Bytes of a segment without records.
	volumes           [2]*volume // Of the collector and of the engine; nil when this machine lets nobody make them.
	noVolumes         error
	logs              []*os.File
}

const (
	startTimeout = 2 * time.Minute
	stopTimeout  = 2 * time.Minute
)

// NewRunner starts all parts and waits until they are ready.
func NewRunner(ctx context.Context, set Settings) (*Runner, error) {
	// The addresses are this process's own, as long as there are fewer than 2^22 processes.
	pid := os.Getppid()
	r := &Runner{set: set, net: newNetwork(fmt.Sprintf("127.%d.%d.%d", 64+pid>>16&63, pid>>8&255, pid&255))}
	r.ch = clickhouse{"http://" + r.net.clickhouse}
	var err error
	if r.kinds, err = placesOf(set.Kinds); err != nil {
		return nil, err
	}
	if err := r.start(ctx); err != nil {
		return nil, errors.Join(err, r.Close(ctx))
	}
	return r, nil
}

func (r *Runner) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	r.collectorDir = filepath.Join(r.set.Dir, "collector")
	r.journalDir = filepath.Join(r.collectorDir, "journal")
	engineDir := filepath.Join(r.set.Dir, "engine")
	for i, dir := range []string{r.collectorDir, engineDir} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
		if r.volumes[i], r.noVolumes = mountVolume(dir); r.noVolumes != nil && !errors.Is(r.noVolumes, ErrNoMounts) {
			return r.noVolumes
		}
	}
	var err error
	if r.proxies, err = startProxies(&r.net); err != nil {
		return err
	}
	if err := r.launchers.start(); err != nil {
		return err
	}
	r.engine, err = r.run("engine", r.launchers.forEngine, func() *exec.Cmd {
		return r.set.Program("clickhouse", "--data", engineDir, "--addr", r.net.clickhouse)
	})
	if err != nil {
		return err
	}
	if err := r.ch.wait(ctx, r.engine.complaint); err != nil {
		return err
	}
	if _, err := schema.MigrateClickHouse(ctx, r.ch.url, schema.ClickHouseConfig{Database: database}); err != nil {
		return fmt.Errorf("make tables: %w", err)
	}
	if r.collector, err = r.run("collector", r.launchers.forCollector, r.collectorCommand); err != nil {
		return err
	}
	r.emptySegment, err = segmentSize(ctx, r.journalDir)
	return err
}

func (r *Runner) run(name string, l func() *launcher, command func() *exec.Cmd) (*process, error) {
	output, err := os.OpenFile(filepath.Join(r.set.Dir, name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	r.logs = append(r.logs, output)
	return startProcess(name, l, output, command)
}

func (r *Runner) collectorCommand() *exec.Cmd {
	host, _, _ := strings.Cut(r.net.grpc, ":")
	settings := []string{
		"receivers::otlp::protocols::grpc::endpoint=" + r.net.grpc,
		"receivers::otlp::protocols::http::endpoint=" + r.net.http,
		"extensions::health_check::endpoint=" + host + ":13133",
		"service::telemetry::metrics::readers=[{pull: {exporter: {prometheus: {host: " + host + ", port: 8888}}}}]",
		"exporters::agenttrail::endpoint=http://" + r.net.clickhouseProxy,
		"exporters::agenttrail::journal::directory=" + r.journalDir,
		// So little that it fills up, and that rows are read back from the journal, while the engine is away.
		"exporters::agenttrail::journal::max_bytes=1500000",
		"exporters::agenttrail::max_queue_bytes=4000000",
		"exporters::agenttrail::timeout=3s",
		"exporters::agenttrail::retry::max_interval=1s",
	}
	args := []string{"collector"}
	for _, s := range settings {
		args = append(args, "--set", s)
	}
	cmd := r.set.Program(args...)
	cmd.Dir = r.collectorDir
	cmd.Env = append(cmd.Env, "AGENTTRAIL_OWN_METRICS=false")
	return cmd
}

func (r *Runner) theCollector() *process   { return r.collector }
func (r *Runner) theEngine() *process      { return r.engine }
func (r *Runner) collectorVolume() *volume { return r.volumes[0] }
func (r *Runner) engineVolume() *volume    { return r.volumes[1] }

func (r *Runner) ableToMount() error { return r.noVolumes }

func (r *Runner) ableToWatch() error { return r.launchers.engine.why }

// Close ends all parts, also when ctx is done. The error is that of one that did not end well.
func (r *Runner) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	var errs []error
	for _, p := range []*process{r.collector, r.engine} { // The other way round, the collector would have nowhere to go.
		if p != nil {
			errs = append(errs, p.stop(ctx))
		}
	}
	if r.proxies != nil {
		r.proxies.clickhouse.Stop()
		r.proxies.grpc.Stop()
		r.proxies.http.Stop()
	}
	for _, f := range r.logs {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
