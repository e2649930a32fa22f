// Command marketplace is a small marketplace of paid agents that uses all of the SDK: an API server, a queue, a pool of
// worker processes, agents of several kinds, users with credits and mandates, refusals, top-ups, administrators who change
// prices and limits, and failures. It needs a running AgentTrail:
//
//	agenttrail up &
//	go run ./examples/marketplace --for 60s
//
// With --kills 20 it kills workers in the middle of their runs, with SIGKILL.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	agenttrail "github.com/agenttrail/agenttrail/sdk"
	"github.com/agenttrail/agenttrail/sdk/ledgerclient"
)

// settings are those of the command line, which the workers get too.
type settings struct {
	Ledger  string        // Address of the ledger.
	Key     string        // Secret of an API key that may do everything.
	OTLP    string        // Address of OTLP over HTTP.
	Outbox  string        // Folder for what is still to be settled.
	API     string        // Address of the API server, for workers.
	For     time.Duration // How long requests come.
	Rate    float64       // Requests each second.
	Workers int
	Kills   int
	Hold    time.Duration // How long credits are held for a run.
	Seed    uint64
}

func main() {
	var s settings
	var keyFile, report string
	worker := flag.Bool("worker", false, "be one of the workers, which the marketplace starts by itself")
	flag.StringVar(&s.Ledger, "ledger", "http://127.0.0.1:8080", "address of the ledger")
	flag.StringVar(&keyFile, "key-file", ".data/ledger-admin-key", "file with the secret of an API key of the ledger")
	flag.StringVar(&s.OTLP, "otlp", "http://127.0.0.1:4318", "address of OTLP over HTTP")
	flag.StringVar(&s.Outbox, "outbox", filepath.Join(os.TempDir(), "marketplace-outbox"), "folder for what is still to be settled")
	flag.StringVar(&s.API, "api", "", "address of the API server, for workers")
	flag.DurationVar(&s.For, "for", 20*time.Second, "how long requests come")
	flag.Float64Var(&s.Rate, "rate", 20, "requests each second")
	flag.IntVar(&s.Workers, "workers", 3, "worker processes")
	flag.IntVar(&s.Kills, "kills", 0, "how many workers are killed meanwhile")
	flag.DurationVar(&s.Hold, "hold", 20*time.Second, "how long credits are held for a run")
	flag.Uint64Var(&s.Seed, "seed", 1, "seed of what happens")
	flag.StringVar(&report, "report", "", "file for what happened, as JSON")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, s, keyFile, report, *worker); err != nil {
		fmt.Fprintln(os.Stderr, "marketplace:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings, keyFile, report string, worker bool) error {
	secret, err := os.ReadFile(keyFile)
	if err != nil {
		return fmt.Errorf("read API key: %w: \"agenttrail up\" writes one into its data folder", err)
	}
	s.Key = strings.TrimSpace(string(secret))
	if worker {
		return work(ctx, s)
	}
	m, err := open(ctx, s, keyFile)
	if err != nil {
		return err
	}
	happened, err := m.run(ctx)
	err = errors.Join(err, m.close()) //nolint:contextcheck // It also closes when ctx has ended.
	fmt.Fprintf(os.Stdout, "%d requests: %d runs succeeded, %d failed, %d were refused; %d workers were killed, administrators changed %d prices and %d limits, users topped up %d times\n",
		happened.Requests, happened.Succeeded, happened.Failed, happened.Refused, happened.Killed, happened.Prices, happened.Limits, happened.TopUps)
	if report != "" {
		text, encodeErr := json.Marshal(happened)
		err = errors.Join(err, encodeErr, os.WriteFile(report, text, 0o600))
	}
	return err
}

// start begins to send telemetry of a part of the marketplace.
func start(ctx context.Context, s settings, service string) (*agenttrail.Trail, error) {
	return agenttrail.Init(ctx, agenttrail.WithService(service, "1.0.0"), agenttrail.WithEnvironment("demo"), agenttrail.WithEndpoint(s.OTLP),
		agenttrail.WithInterval(100*time.Millisecond), agenttrail.WithMetricInterval(5*time.Second))
}

// call makes the client of the ledger.
func call(s settings, outbox string) (*ledgerclient.Client, error) {
	return ledgerclient.New(ledgerclient.Config{URL: s.Ledger, Key: s.Key, OutboxDir: outbox})
}

// logger writes to AgentLog, and what is bad to standard error.
func logger(trail *agenttrail.Trail) *slog.Logger {
	text := slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError + 1})
	return slog.New(slog.NewMultiHandler(text, trail.Handler()))
}
