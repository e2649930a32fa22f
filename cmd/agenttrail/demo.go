package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/agenttrail/agenttrail/internal/marketplace"
	"github.com/agenttrail/agenttrail/schema"
)

// reportAfter is how long live traffic goes on before the tables are shown, when no end was asked for.
const reportAfter = 12 * time.Second

func newDemoCommand() *cobra.Command {
	var dir, keyFile string
	var lasts time.Duration
	var cfg marketplace.Config
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Send the traffic of a simulated agent marketplace",
		Long: `Send the traffic of a simulated agent marketplace to a running AgentTrail.

Twenty agents and their users: requests, runs, model calls, tools, retries, timeouts, failures and logs, sent over
OTLP. A day of history is filled in first, some of it late and in disorder; then runs go on in real time, and tables
show what was stored. Without addresses the demo uses the "agenttrail up" that runs on the data folder.

Live runs are paid for through the ledger: users have credits and mandates, agents have prices, and some runs are
refused, wait for an approval, fail and cost nothing, or lose their worker, so that their holds expire. Users buy credits
and rate agents, administrators change prices and limits. No card is charged: credits are bought by bank transfer, as it
were. History is marked as imported: the ledger was not there, and does not know its runs.`,
		Example: `  agenttrail demo
  agenttrail demo --runs 100000 --history 720h --rate 0
  agenttrail demo --otlp 127.0.0.1:4317 --clickhouse-url http://127.0.0.1:8123 --ledger http://127.0.0.1:8080 --ledger-key-file admin-key`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			running, err := readRunning(dir)
			if err != nil && (cfg.OTLPEndpoint == "" || cfg.ClickHouseURL == "" || cfg.LedgerURL == "" || keyFile == "") {
				return err
			}
			cfg.OTLPEndpoint = cmp.Or(cfg.OTLPEndpoint, running.OTLPGRPC)
			cfg.ClickHouseURL = cmp.Or(cfg.ClickHouseURL, os.Getenv(envClickHouseURL), running.ClickHouse)
			if cfg.LedgerURL == "" {
				cfg.LedgerURL = "http://" + running.Ledger
			}
			if cfg.LedgerKey, err = readLedgerKey(cmp.Or(keyFile, running.LedgerKeyFile)); err != nil {
				return err
			}
			return runDemo(cmd.Context(), cmd.OutOrStdout(), cfg, running, lasts)
		},
	}
	cmd.Flags().StringVar(&dir, "data", defaultDataDir(), "data folder of the running \"agenttrail up\"")
	cmd.Flags().StringVar(&cfg.OTLPEndpoint, "otlp", "", "host:port of OTLP over gRPC")
	cmd.Flags().StringVar(&cfg.ClickHouseURL, "clickhouse-url", "", "address of ClickHouse; default $"+envClickHouseURL)
	cmd.Flags().StringVar(&cfg.LedgerURL, "ledger", "", "address of the ledger, http://host:port")
	cmd.Flags().StringVar(&keyFile, "ledger-key-file", "", "file with the secret of an API key of the ledger with the scope admin")
	cmd.Flags().DurationVar(&lasts, "for", 0, "stop after this time; 0 goes on until it is interrupted")
	addDemoFlags(cmd, &cfg)
	return cmd
}

// addDemoFlags adds the flags that shape the traffic.
func addDemoFlags(cmd *cobra.Command, cfg *marketplace.Config) {
	cmd.Flags().StringVar(&cfg.Database, "database", schema.DefaultDatabase, "ClickHouse database that holds the tables")
	cmd.Flags().IntVar(&cfg.Runs, "runs", 12000, "runs of history to fill in")
	cmd.Flags().DurationVar(&cfg.History, "history", 24*time.Hour, "how far back history goes")
	cmd.Flags().Float64Var(&cfg.Rate, "rate", 15, "live runs started each second; 0 ends the demo when history is filled in")
	cmd.Flags().Uint64Var(&cfg.Seed, "seed", uint64(time.Now().UnixNano()), "seed of the simulation; the same one draws the same traffic")
	cmd.Flags().IntVar(&cfg.Users, "users", 200, "people in the marketplace")
}

// runDemo fills in history, goes on live and reports. It returns when ctx ends; unless lasts is 0, after that time; and
// without live runs when history is filled in.
func runDemo(ctx context.Context, out io.Writer, cfg marketplace.Config, running addresses, lasts time.Duration) (err error) {
	if cfg.Runs < 0 || cfg.Rate < 0 || cfg.Users < 1 || cfg.History <= 0 {
		return usageError{errors.New("--runs and --rate must not be negative; --users and --history must be above zero")}
	}
	cfg.Progress, cfg.Live = out, isTerminal(out)
	if cfg.OutboxDir, err = os.MkdirTemp("", "agenttrail-demo-"); err != nil {
		return fmt.Errorf("make folder for what is to be settled: %w", err)
	}
	defer func() { _ = os.Remove(cfg.OutboxDir) }() // When the ledger could not be reached, something is left in it.
	whole := ctx
	if lasts > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, lasts)
		defer cancel()
	}
	sim, err := marketplace.New(whole, cfg)
	if err != nil {
		if whole.Err() != nil { // Interrupted.
			return nil
		}
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(whole), 20*time.Second)
		defer cancel()
		err = errors.Join(err, sim.Close(closing))
	}()
	if err := sim.Backfill(ctx); err != nil {
		return err
	}
	finish := func() error {
		finishing, cancel := context.WithTimeout(context.WithoutCancel(whole), 20*time.Second)
		defer cancel()
		return sim.Finish(finishing)
	}
	report := func() error {
		reading, cancel := context.WithTimeout(context.WithoutCancel(whole), 20*time.Second)
		defer cancel()
		if err := sim.Report(reading, out); err != nil {
			return err
		}
		running.printWhereToLook(out)
		return nil
	}
	if cfg.Rate == 0 {
		return errors.Join(sim.Furnished(ctx), report())
	}
	if lasts == 0 {
		if err := sim.Furnished(ctx); err != nil {
			return err
		}
		first, cancel := context.WithTimeout(ctx, reportAfter)
		defer cancel()
		if err := sim.RunLive(first); err != nil {
			return err
		}
		if err := report(); err != nil || ctx.Err() != nil {
			return errors.Join(err, finish())
		}
		fmt.Fprintln(out, "\nTraffic goes on; Ctrl-C stops everything.")
		return errors.Join(sim.RunLive(ctx), finish())
	}
	if err := errors.Join(sim.RunLive(ctx), finish()); err != nil {
		return err
	}
	return report()
}

// readLedgerKey reads the secret of an API key.
func readLedgerKey(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read API key of the ledger: %w: name its file with --ledger-key-file", err)
	}
	return strings.TrimSpace(string(text)), nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
