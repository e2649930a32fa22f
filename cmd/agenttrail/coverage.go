package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/agenttrail/agenttrail/coverage"
	"github.com/agenttrail/agenttrail/ledger/chread"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
	"github.com/agenttrail/agenttrail/schema"
)

// coverageFlags are those of "agenttrail coverage".
type coverageFlags struct {
	dir, clickHouse, postgres, database string
	since                               time.Duration
	categories                          []string
	failUnder                           float64
	asJSON, store                       bool
}

func newCoverageCommand() *cobra.Command {
	var f coverageFlags
	cmd := &cobra.Command{
		Use:   "coverage",
		Short: "Print the scorecard of what is recorded, and what to do about what is not",
		Long: `Print the scorecard of what is recorded: eight categories of checks, each with a score of 0 to 10, the number behind it,
and for what is missing a query that lists it and what to do.

It asks the telemetry in ClickHouse and the ledger in Postgres. Without addresses these are those of the "agenttrail up"
that runs on the data folder. Without a Postgres, checks of the ledger are skipped and do not count. The ledger computes
the same every few minutes and keeps it in table CoverageScore; docs/coverage.md has every check with its formula.
With --fail-under the exit code is 1 when the score of what was asked for is lower, or there is none.`,
		Example: `  agenttrail coverage
  agenttrail coverage --since 1h --category error_logging,security_events
  agenttrail coverage --fail-under 8 --json > coverage.json
  agenttrail coverage --clickhouse-url http://default:secret@ch1:8123 --postgres-url postgres://agenttrail:secret@pg1:5432/agenttrail`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.failUnder < 0 || f.failUnder > 10 {
				return usageError{errors.New("--fail-under must be between 0 and 10")}
			}
			if f.since <= 0 {
				return usageError{errors.New("--since must be more than 0")}
			}
			return f.run(cmd)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.dir, "data", defaultDataDir(), "data folder of a running \"agenttrail up\"")
	flags.StringVar(&f.clickHouse, "clickhouse-url", "", "address of ClickHouse, http://user:password@host:port; default $"+envClickHouseURL+", else that of --data")
	flags.StringVar(&f.postgres, "postgres-url", "", "address of the ledger's Postgres, postgres://user:password@host:5432/database; default $"+envPostgresURL+", else that of --data unless --clickhouse-url is given")
	flags.StringVar(&f.database, "database", schema.DefaultDatabase, "ClickHouse database with the telemetry")
	flags.DurationVar(&f.since, "since", coverage.DefaultSince, "how far back")
	flags.StringSliceVar(&f.categories, "category", nil, "only these categories; may be repeated")
	flags.Float64Var(&f.failUnder, "fail-under", 0, "exit with 1 when the score is lower")
	flags.BoolVar(&f.asJSON, "json", false, "print JSON")
	flags.BoolVar(&f.store, "store", false, "keep the result in table CoverageScore, as the ledger does")
	return cmd
}

func (f *coverageFlags) run(cmd *cobra.Command) error {
	settings := coverage.Settings{Database: f.database, Since: f.since}
	for _, c := range f.categories {
		settings.Categories = append(settings.Categories, coverage.Category(c))
	}
	if err := settings.Validate(); err != nil {
		return usageError{err}
	}
	if f.store && len(f.categories) > 0 {
		return usageError{errors.New("--store keeps whole scorecards, since a part would look like a fall of the rest: leave --category out")}
	}
	running, notRunning := readRunning(f.dir)
	clickHouse := cmp.Or(f.clickHouse, os.Getenv(envClickHouseURL))
	postgres := cmp.Or(f.postgres, os.Getenv(envPostgresURL))
	if clickHouse == "" {
		if notRunning != nil {
			return fmt.Errorf("%w; or name databases with --clickhouse-url and --postgres-url", notRunning)
		}
		clickHouse, postgres = running.ClickHouse, cmp.Or(postgres, running.Postgres)
	}
	reader, err := chread.Open(chread.Settings{URL: clickHouse, Database: f.database})
	if err != nil {
		return usageError{err}
	}
	defer func() { _ = reader.Close() }() // Nothing is left to be sent.
	settings.ClickHouse = reader
	if postgres != "" {
		store, err := pgstore.Open(cmd.Context(), pgstore.Settings{URL: postgres, MaxConns: 2})
		if err != nil {
			return usageError{err}
		}
		defer store.Close()
		settings.Postgres = store
	}
	card, err := coverage.Measure(cmd.Context(), settings)
	if err != nil {
		return err
	}
	// A release whose schema is older has no history; that is no reason to show nothing.
	before, _, _ := reader.CoverageBefore(cmd.Context(), card.Since)
	if err := f.print(cmd, card, before); err != nil {
		return err
	}
	if f.store {
		if err := reader.PublishCoverage(cmd.Context(), card); err != nil {
			return fmt.Errorf("store coverage: %w", err)
		}
	}
	return f.judge(card)
}

func (f *coverageFlags) print(cmd *cobra.Command, card, before coverage.Scorecard) error {
	if f.asJSON {
		out := json.NewEncoder(cmd.OutOrStdout())
		out.SetEscapeHTML(false) // Queries are for people, too.
		out.SetIndent("", "  ")
		return out.Encode(card)
	}
	return printScorecard(cmd.OutOrStdout(), card, before)
}

// judge is the verdict of --fail-under. It looks at the number as it is, not as it is shown.
func (f *coverageFlags) judge(card coverage.Scorecard) error {
	switch {
	case f.failUnder == 0:
		return nil
	case card.Score == nil:
		return fmt.Errorf("there was nothing to measure, and --fail-under asks for %g", f.failUnder)
	case *card.Score < f.failUnder:
		return fmt.Errorf("coverage is %s, below the %g of --fail-under", coverage.Show(card.Score), f.failUnder)
	default:
		return nil
	}
}
