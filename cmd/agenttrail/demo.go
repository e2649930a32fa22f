package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/agenttrail/agenttrail/internal/marketplace"
	"github.com/agenttrail/agenttrail/schema"
)

// reportAfter is how long live traffic goes on before the tables are shown, when no end was asked for.
const reportAfter = 12 * time.Second

func newDemoCommand() *cobra.Command {
	var dir string
	var lasts time.Duration
	var cfg marketplace.Config
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Send the traffic of a simulated agent marketplace",
		Long: `Send the traffic of a simulated agent marketplace to a running AgentTrail.

Twenty agents and their users: requests, runs, model calls, tools, retries, timeouts, failures and logs, sent over
OTLP. A day of history is filled in first, some of it late and in disorder; then runs go on in real time, and tables
show what was stored. Without addresses the demo uses the "agenttrail up" that runs on the data folder.`,
		Example: `  agenttrail demo
  agenttrail demo --runs 100000 --history 720h --rate 0
  agenttrail demo --otlp 127.0.0.1:4317 --clickhouse-url http://127.0.0.1:8123 --postgres-url postgres://…`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			running, err := readRunning(dir)
			if err != nil && (cfg.OTLPEndpoint == "" || cfg.ClickHouseURL == "" || cfg.PostgresURL == "") {
				return err
			}
			cfg.OTLPEndpoint = cmp.Or(cfg.OTLPEndpoint, running.OTLPGRPC)
			cfg.ClickHouseURL = cmp.Or(cfg.ClickHouseURL, os.Getenv(envClickHouseURL), running.ClickHouse)
			cfg.PostgresURL = cmp.Or(cfg.PostgresURL, os.Getenv(envPostgresURL), running.Postgres)
			return runDemo(cmd.Context(), cmd.OutOrStdout(), cfg, running, lasts)
		},
	}
	cmd.Flags().StringVar(&dir, "data", defaultDataDir(), "data folder of the running \"agenttrail up\"")
	cmd.Flags().StringVar(&cfg.OTLPEndpoint, "otlp", "", "host:port of OTLP over gRPC")
	cmd.Flags().StringVar(&cfg.ClickHouseURL, "clickhouse-url", "", "address of ClickHouse; default $"+envClickHouseURL)
	cmd.Flags().StringVar(&cfg.PostgresURL, "postgres-url", "", "address of Postgres; default $"+envPostgresURL)
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
	whole := ctx
	if lasts > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, lasts)
		defer cancel()
	}
	sim, err := marketplace.New(whole, cfg)
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(whole), 10*time.Second)
		defer cancel()
		err = errors.Join(err, sim.Close(closing))
	}()
	if err := sim.Backfill(ctx); err != nil {
		return err
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
		return report()
	}
	if lasts == 0 {
		first, cancel := context.WithTimeout(ctx, reportAfter)
		defer cancel()
		if err := sim.RunLive(first); err != nil {
			return err
		}
		if err := report(); err != nil || ctx.Err() != nil {
			return err
		}
		fmt.Fprintln(out, "\nTraffic goes on; Ctrl-C stops everything.")
		return sim.RunLive(ctx)
	}
	if err := sim.RunLive(ctx); err != nil {
		return err
	}
	return report()
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
