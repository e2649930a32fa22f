package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"github.com/agenttrail/agenttrail/coverage"
	"github.com/agenttrail/agenttrail/ledger/httpapi"
	"github.com/agenttrail/agenttrail/ledger/jobs"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
)

func newLedgerCommand() *cobra.Command {
	var file, listen, url, otlp string
	cmd := &cobra.Command{
		Use:   "ledger",
		Short: "Run the ledger alone: users, agents, credits, mandates",
		Long: `Run the ledger alone: the HTTP API for users, agents, credits and mandates, on Postgres.

Without --config it runs a built-in configuration, which "agenttrail ledger config" prints; flags win over it. On SIGTERM
or Ctrl-C it answers what it has begun and stops. Any number of instances can run on one database.
The schema must be up to date: run "agenttrail migrate postgres" first. "agenttrail keys create" makes the first API key.`,
		Example: `  AGENTTRAIL_POSTGRES_URL=postgres://agenttrail:secret@pg1:5432/agenttrail agenttrail ledger
  agenttrail ledger config > ledger.yaml && agenttrail ledger --config ledger.yaml
  agenttrail ledger --config ledger.yaml --addr 0.0.0.0:8080 --otlp-endpoint collector:4317`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadLedgerConfig(file)
			if err != nil {
				return usageError{err}
			}
			cfg.override(listen, url, otlp)
			if err := cfg.Validate(); err != nil {
				return usageError{err}
			}
			return runLedger(cmd.Context(), cfg, cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&file, "config", "", "configuration file; default: the built-in one")
	f.StringVar(&listen, "addr", "", "address of the API, host:port; port 0 takes a free one (default "+httpapi.DefaultAddr+")")
	f.StringVar(&url, "url", "", "address of Postgres, postgres://user:password@host:5432/database; default $"+envPostgresURL)
	f.StringVar(&otlp, "otlp-endpoint", "", "host:port of a collector for the ledger's own spans, OTLP over gRPC")
	cmd.AddCommand(newLedgerValidateCommand(), &cobra.Command{
		Use:     "config",
		Short:   "Print the built-in configuration",
		Example: `  agenttrail ledger config > ledger.yaml`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(cmd.OutOrStdout(), defaultLedgerConfig)
			return err
		},
	})
	return cmd
}

func newLedgerValidateCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Check a configuration without running it",
		Long: `Check a configuration without running it. What it leaves to the environment, such as $` + envPostgresURL + `, is read
from there as well.`,
		Example: `  agenttrail ledger validate --config ledger.yaml`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadLedgerConfig(file)
			if err != nil {
				return err
			}
			cfg.override("", "", "")
			if err := cfg.Validate(); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "the configuration is valid")
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "configuration file; default: the built-in one")
	return cmd
}

// runLedger runs the ledger until ctx is done and says where it listens.
func runLedger(ctx context.Context, cfg ledgerConfig, out io.Writer) (err error) {
	logger := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelInfo}))
	service := newLedgerService(cfg, logger)
	defer func() {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.Stop.Delay+cfg.Stop.Timeout)
		defer cancel()
		err = errors.Join(err, service.Shutdown(stopping))
	}()
	if err := service.Start(ctx); err != nil {
		return err
	}
	fmt.Fprintf(out, "ledger: API on http://%s, described at http://%s/docs/\n", service.Addr(), service.Addr())
	select {
	case err := <-service.Err():
		return err
	case <-ctx.Done():
		return nil
	}
}

// ledgerService is the ledger with everything that it needs: the store, the jobs, the API, its own telemetry.
type ledgerService struct {
	cfg    ledgerConfig
	logger *slog.Logger

	store    *pgstore.Store
	coverage coverage.Stored // nil without a ClickHouse
	api      *httpapi.API
	server   *httpapi.Server
	started  []func(context.Context) error // What stops them, in order of starting.
}

func newLedgerService(cfg ledgerConfig, logger *slog.Logger) *ledgerService {
	return &ledgerService{cfg: cfg, logger: logger}
}

// Start opens the database, begins the jobs and serves.
func (s *ledgerService) Start(ctx context.Context) error {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	settings := httpapi.Settings{
		Logger: s.logger, Registry: registry, Version: version,
		MaxBodyBytes: s.cfg.Requests.MaxBodyBytes, MaxInFlight: s.cfg.Requests.MaxInFlight,
		MaxInFlightPerKey: s.cfg.Requests.MaxInFlightPerKey, RequestTimeout: s.cfg.Requests.Timeout,
	}
	if s.cfg.Telemetry.OTLPEndpoint != "" {
		trail, err := newLedgerTrail(ctx, s.cfg.Telemetry.OTLPEndpoint, s.cfg.Telemetry.Environment, s.logger)
		if err != nil {
			return err
		}
		settings.Tracer, settings.Trail = trail.TracerProvider(), trail
		s.started = append(s.started, shutdownTrail(trail))
	}
	adjustOver, err := s.cfg.Reconciliation.adjustOver()
	if err != nil {
		return err
	}
	store, err := pgstore.Open(ctx, pgstore.Settings{
		URL: s.cfg.PostgresURL, MaxConns: s.cfg.Pool.MaxConnections, AcquireTimeout: s.cfg.Pool.AcquireTimeout, AdjustOver: &adjustOver,
	})
	if err != nil {
		return err
	}
	s.store, settings.Service = store, store
	s.started = append(s.started, func(context.Context) error { store.Close(); return nil })
	if err := registry.Register(newPoolMetrics(store)); err != nil {
		return fmt.Errorf("register metrics of pool: %w", err)
	}

	payments, err := s.newPayments(store, registry)
	if err != nil {
		return err
	}
	settings.Payments = payments.service
	telemetry, err := s.telemetryJobs(store, registry)
	if err != nil {
		return err
	}
	settings.Coverage = s.coverage
	runner, err := jobs.New(ctx, jobs.Settings{
		URL: s.cfg.PostgresURL, Locker: store, Jobs: slices.Concat(ledgerJobs(store, s.cfg, registry), payments.jobs(), telemetry), Workers: payments.workers(), Logger: s.logger, Registry: registry,
	})
	if err != nil {
		return err
	}
	payments.runner = runner
	if err := runner.Start(ctx); err != nil {
		return err
	}
	s.started = append(s.started, runner.Shutdown)

	if s.api, err = httpapi.New(settings); err != nil {
		return err
	}
	s.server = httpapi.NewServer(s.cfg.Listen, s.api, s.logger)
	if err := s.server.Start(ctx); err != nil {
		return err
	}
	s.started = append(s.started, s.server.Shutdown, s.drain)
	return nil
}

// Addr is where the API listens.
func (s *ledgerService) Addr() string { return s.server.Addr() }

// Err delivers the error of an API that stops by itself.
func (s *ledgerService) Err() <-chan error { return s.server.Err() }

// Shutdown stops everything in the reverse order. It may be called twice, and without Start.
func (s *ledgerService) Shutdown(ctx context.Context) error {
	var errs []error
	for _, stop := range slices.Backward(s.started) {
		errs = append(errs, stop(ctx))
	}
	s.started = nil
	return errors.Join(errs...)
}

// drain says that the service is not ready any more and gives load balancers time to see it.
func (s *ledgerService) drain(ctx context.Context) error {
	s.api.Drain()
	select {
	case <-time.After(s.cfg.Stop.Delay):
	case <-ctx.Done():
	}
	return nil
}
