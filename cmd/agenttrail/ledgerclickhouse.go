package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/agenttrail/agenttrail/coverage"
	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/chread"
	"github.com/agenttrail/agenttrail/ledger/jobs"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
	"github.com/agenttrail/agenttrail/ledger/reconcile"
	"github.com/agenttrail/agenttrail/ledger/usage"
)

// clickHouseConfig says where telemetry is read. ledger.yaml describes it.
type clickHouseConfig struct {
	URL       string        `yaml:"url"`
	Database  string        `yaml:"database"`
	SyncEvery time.Duration `yaml:"sync_every"`
}

// forecastConfig says how often forecasts are brought up to date.
type forecastConfig struct {
	Every time.Duration `yaml:"every"`
}

// coverageConfig says how often, and over which time, the scorecard of what is recorded is computed.
type coverageConfig struct {
	Every  time.Duration `yaml:"every"`
	Window time.Duration `yaml:"window"`
}

// reconciliationConfig says how charges are compared with telemetry. ledger.yaml describes it.
type reconciliationConfig struct {
	Every      time.Duration `yaml:"every"`
	Window     time.Duration `yaml:"window"`
	Grace      time.Duration `yaml:"grace"`
	AdjustOver string        `yaml:"adjust_over"`
}

func (c *clickHouseConfig) override() {
	if c.URL == "" {
		c.URL = os.Getenv(envClickHouseURL)
	}
}

// adjustOver is the amount above which a correction needs an approval.
func (c *reconciliationConfig) adjustOver() (ledger.Credits, error) {
	over, err := ledger.ParseCredits(c.AdjustOver)
	if err == nil && over < 0 {
		err = errors.New("must not be negative")
	}
	if err != nil {
		return 0, fmt.Errorf("reconciliation::adjust_over: %w", err)
	}
	return over, nil
}

// validateTelemetry names every key that is wrong.
func (c *ledgerConfig) validateTelemetry() []error {
	var errs []error
	for key, d := range map[string]time.Duration{
		"clickhouse::sync_every": c.ClickHouse.SyncEvery, "forecast::every": c.Forecast.Every,
		"reconciliation::every": c.Reconciliation.Every, "reconciliation::window": c.Reconciliation.Window, "reconciliation::grace": c.Reconciliation.Grace,
		"coverage::every": c.Coverage.Every, "coverage::window": c.Coverage.Window,
	} {
		if d < time.Second {
			errs = append(errs, fmt.Errorf("%s: must be at least 1s", key))
		}
	}
	if c.Reconciliation.Window <= c.Reconciliation.Grace {
		errs = append(errs, errors.New("reconciliation::window: must be more than reconciliation::grace"))
	}
	if c.ClickHouse.URL != "" && c.ClickHouse.Database == "" {
		errs = append(errs, errors.New("clickhouse::database: must not be empty"))
	}
	if _, err := c.Reconciliation.adjustOver(); err != nil {
		errs = append(errs, err)
	}
	return errs
}

// reconcileTimeout bounds one comparison.
const reconcileTimeout = 30 * time.Minute

// coverageTimeout bounds one computation of the scorecard.
const coverageTimeout = 10 * time.Minute

// coverageJob computes the scorecard and keeps it.
func (s *ledgerService) coverageJob(store *pgstore.Store, reader *chread.Reader) jobs.Job {
	return jobs.Job{Name: "coverage", Every: s.cfg.Coverage.Every, Timeout: coverageTimeout, Run: func(ctx context.Context) (int, bool, error) {
		card, err := coverage.Measure(ctx, coverage.Settings{ClickHouse: reader, Postgres: store, Database: s.cfg.ClickHouse.Database, Since: s.cfg.Coverage.Window})
		if err != nil {
			return 0, false, err
		}
		if err := reader.PublishCoverage(ctx, card); err != nil {
			return 0, false, fmt.Errorf("store coverage: %w", err)
		}
		return len(coverage.Checks()), false, nil
	}}
}

// telemetryJobs keep the ledger and telemetry together. Without ClickHouse there are forecasts only, which do without.
func (s *ledgerService) telemetryJobs(store *pgstore.Store, registry prometheus.Registerer) ([]jobs.Job, error) {
	list := []jobs.Job{
		{Name: "forecast", Every: s.cfg.Forecast.Every, Timeout: 10 * time.Minute, Run: func(ctx context.Context) (int, bool, error) {
			n, err := store.AddUpSpending(ctx)
			if err != nil {
				return n, false, err
			}
			suspended, err := store.CheckGuards(ctx)
			return n + suspended, false, err
		}},
	}
	if s.cfg.ClickHouse.URL == "" {
		return list, nil
	}
	reader, err := chread.Open(chread.Settings{URL: s.cfg.ClickHouse.URL, Database: s.cfg.ClickHouse.Database})
	if err != nil {
		return nil, err
	}
	s.started = append(s.started, func(context.Context) error { return reader.Close() })
	if err := registry.Register(reconcile.NewMetrics(store)); err != nil {
		return nil, fmt.Errorf("register metrics of reconciliation: %w", err)
	}
	s.coverage = reader
	if err := registry.Register(coverage.NewMetrics(reader)); err != nil {
		return nil, fmt.Errorf("register metrics of coverage: %w", err)
	}
	reconciler := reconcile.New(store, reader, reconcile.Config{Window: s.cfg.Reconciliation.Window, Grace: s.cfg.Reconciliation.Grace})
	return append(list,
		jobs.Job{Name: "usage", Every: s.cfg.ClickHouse.SyncEvery, Timeout: 10 * time.Minute, Run: func(ctx context.Context) (int, bool, error) {
			n, err := usage.Sync(ctx, reader, store)
			return n, false, err
		}},
		jobs.Job{Name: "reconcile", Every: s.cfg.Reconciliation.Every, Timeout: reconcileTimeout, Run: func(ctx context.Context) (int, bool, error) {
			run, err := reconciler.Run(ctx, nil)
			if err != nil {
				return 0, false, err
			}
			_, err = reconciler.Publish(ctx)
			return int(run.Executions), false, err
		}},
		s.coverageJob(store, reader),
	), nil
}
