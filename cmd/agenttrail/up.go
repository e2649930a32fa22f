package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/agenttrail/agenttrail/collector"
	"github.com/agenttrail/agenttrail/embedded"
	"github.com/agenttrail/agenttrail/internal/marketplace"
	"github.com/agenttrail/agenttrail/ledger/httpapi"
	"github.com/agenttrail/agenttrail/schema"
)

// stopTimeout bounds an orderly stop. What has not ended by then is killed; nothing that was acknowledged is lost by
// that.
const stopTimeout = 30 * time.Second

// journalFolder is where in the data folder rows are kept from their acknowledgement until they are stored.
const journalFolder = "journal"

// upConfig is what the flags of "agenttrail up" set.
type upConfig struct {
	dir            string
	clickHouseAddr string
	postgresAddr   string
	otlpGRPCAddr   string
	otlpHTTPAddr   string
	healthAddr     string
	metricsAddr    string
	ledgerAddr     string
	ledgerConfig   string
	prices         string
	demo           bool
	lasts          time.Duration
	marketplace    marketplace.Config
}

func newUpCommand() *cobra.Command {
	var cfg upConfig
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run everything on this machine",
		Long: `Run everything on this machine: ClickHouse and Postgres as child processes, the migrations, the collector and the ledger.

The first start makes an API key of the ledger with every scope, and writes it into the data folder, readable for you only.

Credits can be bought with ` + envStripeKey + ` and ` + envStripeSecrets + ` set; without them all else works. With a test key,
and no packages in --ledger-config, there are sample packages.

Ctrl-C stops all of it in order, losing nothing. The data stays in the data folder, and the next start goes on with it.
Set ` + envClickHouseURL + ` or ` + envPostgresURL + ` to use a server of your own instead of an embedded engine.`,
		Example: `  agenttrail up
  agenttrail up --demo
  agenttrail up --demo --for 30s --data /tmp/agenttrail
  agenttrail up --clickhouse-addr 127.0.0.1:9123 --otlp-grpc-addr 127.0.0.1:14317`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return up(cmd.Context(), cfg, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.dir, "data", defaultDataDir(), "data folder")
	f.StringVar(&cfg.clickHouseAddr, "clickhouse-addr", embedded.DefaultClickHouseAddr, "address of ClickHouse's HTTP interface; port 0 takes a free one")
	f.StringVar(&cfg.postgresAddr, "postgres-addr", embedded.DefaultPostgresAddr, "address of Postgres")
	f.StringVar(&cfg.otlpGRPCAddr, "otlp-grpc-addr", collector.DefaultGRPCAddr, "address of OTLP over gRPC")
	f.StringVar(&cfg.otlpHTTPAddr, "otlp-http-addr", collector.DefaultHTTPAddr, "address of OTLP over HTTP")
	f.StringVar(&cfg.healthAddr, "health-addr", collector.DefaultHealthAddr, "address of the collector's health check")
	f.StringVar(&cfg.metricsAddr, "metrics-addr", collector.DefaultMetricsAddr, "address of the collector's Prometheus metrics")
	f.StringVar(&cfg.ledgerAddr, "ledger-addr", httpapi.DefaultAddr, "address of the ledger's HTTP API")
	f.StringVar(&cfg.ledgerConfig, "ledger-config", "", "configuration file of the ledger, as \"agenttrail ledger config\" prints it; its addresses are not used")
	f.StringVar(&cfg.prices, "prices", "", "file of model prices for new runs and for the database, instead of the shipped ones; give it at every start")
	f.BoolVar(&cfg.demo, "demo", false, "send the traffic of a simulated agent marketplace")
	f.DurationVar(&cfg.lasts, "for", 0, "stop after this time; 0 goes on until it is interrupted")
	addDemoFlags(cmd, &cfg.marketplace)
	return cmd
}

// up starts the parts in order, waits, and stops them in reverse.
func up(ctx context.Context, cfg upConfig, out, logs io.Writer) (err error) {
	began := time.Now()
	logger := slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelWarn}))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	var stops []func(context.Context) error
	defer func() {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		for _, stop := range slices.Backward(stops) {
			err = errors.Join(err, stop(stopping))
		}
	}()

	if err := cfg.checkPorts(ctx); err != nil {
		return err
	}
	ledgerCfg, err := cfg.ledger()
	if err != nil {
		return err
	}
	var list *schema.Prices
	var overrides []string
	if cfg.prices != "" {
		if list, err = readPrices(cfg.prices); err != nil {
			return err
		}
		// A dollar sign would start a reference to the environment.
		overrides = append(overrides, "exporters::agenttrail::prices_file="+strconv.Quote(strings.ReplaceAll(cfg.prices, "$", "$$")))
	}
	external := addresses{ClickHouse: os.Getenv(envClickHouseURL), Postgres: os.Getenv(envPostgresURL)}
	engines := &embedded.Server{
		Dir:        cfg.dir,
		Logger:     logger,
		ClickHouse: embedded.ClickHouseConfig{Addr: cfg.clickHouseAddr, Disabled: external.ClickHouse != ""},
		Postgres:   embedded.PostgresConfig{Addr: cfg.postgresAddr, Disabled: external.Postgres != ""},
	}
	if err := engines.Start(ctx); err != nil {
		return err
	}
	stops = append(stops, engines.Shutdown)
	running := addresses{
		PID:        os.Getpid(),
		ClickHouse: cmp.Or(external.ClickHouse, engines.ClickHouseURL()),
		Postgres:   cmp.Or(external.Postgres, engines.PostgresURL()),
	}
	clickHouse := schema.ClickHouseConfig{Database: cfg.marketplace.Database}
	if _, err := schema.MigrateClickHouse(ctx, running.ClickHouse, clickHouse); err != nil {
		return err
	}
	if list != nil {
		if _, err := schema.LoadPrices(ctx, running.ClickHouse, clickHouse, list); err != nil {
			return err
		}
	}
	if _, err := schema.MigratePostgres(ctx, running.Postgres); err != nil {
		return err
	}
	col, err := collector.New(collector.Settings{
		GRPCAddr: cfg.otlpGRPCAddr, HTTPAddr: cfg.otlpHTTPAddr, HealthAddr: cfg.healthAddr, MetricsAddr: cfg.metricsAddr,
		ClickHouseURL: running.ClickHouse, Database: cfg.marketplace.Database,
		JournalDir: filepath.Join(cfg.dir, journalFolder), DataDir: cfg.dir, Version: version, Logger: logger,
		Overrides: overrides,
	})
	if err != nil {
		return err
	}
	if err := col.Start(ctx); err != nil {
		return err
	}
	stops = append(stops, col.Shutdown)
	at := col.Addrs()
	running.OTLPGRPC, running.OTLPHTTP, running.Health, running.Metrics = at.GRPC, at.HTTP, at.Health, at.Metrics

	ledgerCfg.PostgresURL, ledgerCfg.Telemetry.OTLPEndpoint = running.Postgres, running.OTLPGRPC
	ledgerCfg.ClickHouse.URL, ledgerCfg.ClickHouse.Database = running.ClickHouse, cfg.marketplace.Database
	money := newLedgerService(ledgerCfg, logger)
	stops = append(stops, money.Shutdown)
	if err := money.Start(ctx); err != nil {
		return err
	}
	running.Ledger = money.Addr()
	if running.LedgerKeyFile, err = money.ensureAdminKey(ctx, cfg.dir); err != nil {
		return err
	}

	if err := running.write(cfg.dir); err != nil {
		return err
	}
	stops = append(stops, func(context.Context) error { return os.Remove(addressesFile(cfg.dir)) })
	go func() {
		select {
		case err := <-engines.Err():
			cancel(err)
		case err := <-col.Err():
			cancel(err)
		case err := <-money.Err():
			cancel(err)
		case <-ctx.Done():
		}
	}()
	printStarted(out, cfg, running, engines.Pids(), time.Since(began))

	if cfg.demo {
		demo := cfg.marketplace
		demo.OTLPEndpoint, demo.ClickHouseURL, demo.LedgerURL = running.OTLPGRPC, running.ClickHouse, "http://"+running.Ledger
		if demo.LedgerKey, err = readLedgerKey(running.LedgerKeyFile); err != nil {
			return err
		}
		err = runDemo(ctx, out, demo, running, cfg.lasts)
	} else {
		if cfg.lasts > 0 {
			var stop context.CancelFunc
			ctx, stop = context.WithTimeout(ctx, cfg.lasts)
			defer stop()
		}
		<-ctx.Done()
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		err = errors.Join(err, cause)
	}
	return err
}

// demoCoverageEvery is how often the demo computes its scorecard, so that who looks at it soon after the start sees one of
// the demo's traffic.
const demoCoverageEvery = 30 * time.Second

// ledger is the configuration of the ledger, but for where the others are that run beside it.
func (cfg upConfig) ledger() (ledgerConfig, error) {
	c, err := loadLedgerConfig(cfg.ledgerConfig)
	if err != nil {
		return c, usageError{err}
	}
	c.Listen, c.PostgresURL, c.Telemetry.OTLPEndpoint = cfg.ledgerAddr, "postgres://", ""
	c.Stripe.override()
	if cfg.demo && cfg.ledgerConfig == "" {
		c.Coverage.Every = demoCoverageEvery
	}
	if len(c.Packages) == 0 && !strings.Contains(c.Stripe.APIKey, "_live_") {
		c.Packages = samplePackages
	}
	if err := c.Validate(); err != nil {
		return c, usageError{err}
	}
	return c, nil
}

// checkPorts looks whether the ports of the collector and the ledger are free before anything is started, so that the error can name the
// flag. The engines look after their own.
func (cfg upConfig) checkPorts(ctx context.Context) error {
	var errs []error
	for _, p := range []struct{ flag, addr string }{
		{"--otlp-grpc-addr", cfg.otlpGRPCAddr},
		{"--otlp-http-addr", cfg.otlpHTTPAddr},
		{"--health-addr", cfg.healthAddr},
		{"--metrics-addr", cfg.metricsAddr},
		{"--ledger-addr", cfg.ledgerAddr},
	} {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", p.addr)
		switch {
		case err == nil:
			errs = append(errs, l.Close())
		case errors.Is(err, syscall.EADDRINUSE):
			errs = append(errs, fmt.Errorf("address %s (%s) is taken by another program: stop it, or choose another address", p.addr, p.flag))
		default:
			errs = append(errs, fmt.Errorf("listen on %s (%s): %w", p.addr, p.flag, err))
		}
	}
	return errors.Join(errs...)
}

// printStarted says what runs, where, how long the start took and how much memory it takes.
func printStarted(out io.Writer, cfg upConfig, running addresses, children map[string]int, took time.Duration) {
	dir, err := filepath.Abs(cfg.dir)
	if err != nil {
		dir = cfg.dir
	}
	fmt.Fprintf(out, "AgentTrail is up after %.1f s, on %s\n", took.Seconds(), dir)
	fmt.Fprintf(out, "  OTLP        grpc %s, http http://%s\n", running.OTLPGRPC, running.OTLPHTTP)
	fmt.Fprintf(out, "  ClickHouse  %s\n", withoutPassword(forCurl(running.ClickHouse)))
	fmt.Fprintf(out, "  Postgres    %s (with its password in %s)\n", withoutPassword(running.Postgres), addressesFile(cfg.dir))
	fmt.Fprintf(out, "  ledger      http://%s/v1, described at http://%s/docs/ (with an API key for everything in %s)\n", running.Ledger, running.Ledger, running.LedgerKeyFile)
	fmt.Fprintf(out, "  metrics     http://%s/metrics, health http://%s\n", running.Metrics, running.Health)
	fmt.Fprintf(out, "  memory      %s\n", strings.Join(memoryOf(children), ", "))
}
