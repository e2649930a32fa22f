package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/agenttrail/agenttrail/schema"
)

// Environment variables that name servers to use instead of the embedded engines.
const (
	envClickHouseURL = "AGENTTRAIL_CLICKHOUSE_URL"
	envPostgresURL   = "AGENTTRAIL_POSTGRES_URL"
)

func newMigrateCommand() *cobra.Command {
	var m clickHouseMigration
	var url string
	var roles schema.PostgresRoles
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "migrate clickhouse|postgres",
		Short: "Bring the schema of a database up to date",
		Long: `Bring the schema of a database up to date.

Migrations only go forward, and running them again changes nothing. "agenttrail up" runs them by itself; in
production they run before a new release starts.

ClickHouse's tables keep their rows for some time each; --retention changes it, and no rows are rewritten for that.
With --cluster the tables are made on every server of a cluster, replicated and sharded by trace; always give it then.
Prices of models come with each release; --prices loads a list of your own, which then takes precedence. Give the same
file to the collectors, as exporters::agenttrail::prices_file, so that new runs are priced by it too.

With --ledger-role and --reader-role, Postgres' migrations end with what these roles may do: the ledger cannot change
tables, nor change or remove what is append-only; a reader reads all but hashes of keys. Give them at every release.`,
		Example: `  agenttrail migrate clickhouse --url http://default:secret@ch1:8123
  agenttrail migrate postgres --url postgres://agenttrail:secret@pg1:5432/agenttrail
  agenttrail migrate postgres --url postgres://agenttrail_migrator:secret@pg1:5432/agenttrail --ledger-role agenttrail_ledger
  agenttrail migrate clickhouse --dry-run
  agenttrail migrate clickhouse --url http://default:secret@ch1:8123 --retention AgentLog=30,Span=14
  agenttrail migrate clickhouse --url http://default:secret@ch1:8123 --prices prices.json`,
		ValidArgs: []string{"clickhouse", "postgres"},
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs)(cmd, args); err != nil {
				return usageError{errors.New("say which database: agenttrail migrate clickhouse, or agenttrail migrate postgres")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] == "clickhouse" {
				for _, flag := range []string{"ledger-role", "reader-role"} {
					if cmd.Flags().Changed(flag) {
						return usageError{fmt.Errorf("--%s is for postgres only", flag)}
					}
				}
				m.url = cmp.Or(url, os.Getenv(envClickHouseURL))
				return m.run(cmd, dryRun)
			}
			for _, flag := range []string{"database", "retention", "cluster", "prices"} {
				if cmd.Flags().Changed(flag) {
					return usageError{fmt.Errorf("--%s is for clickhouse only", flag)}
				}
			}
			return migratePostgres(cmd, cmp.Or(url, os.Getenv(envPostgresURL)), roles, dryRun)
		},
	}
	cmd.Flags().StringVar(&url, "url", "", "address of the server, http://user:password@host:port or postgres://…; default $"+envClickHouseURL+" or $"+envPostgresURL)
	cmd.Flags().StringVar(&m.database, "database", schema.DefaultDatabase, "ClickHouse database that holds the tables")
	cmd.Flags().StringVar(&m.retention, "retention", "", "days for which ClickHouse tables keep their rows, such as AgentLog=30,Span=14; others stay as they are")
	cmd.Flags().StringVar(&m.cluster, "cluster", "", "name of the ClickHouse cluster on which to make the tables, as in system.clusters")
	cmd.Flags().StringVar(&m.prices, "prices", "", "file of model prices to load, in the format of the shipped one")
	cmd.Flags().StringVar(&roles.Ledger, "ledger-role", "", "role of Postgres to grant what the ledger needs, and no more")
	cmd.Flags().StringVar(&roles.Reader, "reader-role", "", "role of Postgres to grant what dashboards need")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print the statements that would run, and run none; without an address, all of ClickHouse's")
	return cmd
}

// clickHouseMigration is what the flags say about ClickHouse.
type clickHouseMigration struct{ url, database, retention, cluster, prices string }

func (m *clickHouseMigration) run(cmd *cobra.Command, dryRun bool) error {
	retention, err := schema.ParseRetention(m.retention)
	if err != nil {
		return usageError{err}
	}
	var list *schema.Prices
	if m.prices != "" {
		if list, err = readPrices(m.prices); err != nil {
			return err // Before anything has changed.
		}
	}
	cfg := schema.ClickHouseConfig{Database: m.database, Retention: retention, Cluster: m.cluster}
	switch {
	case dryRun && m.url == "":
		all, err := schema.ClickHouseMigrations(cfg)
		if err != nil {
			return err
		}
		printMigrations(cmd, all)
		return nil
	case m.url == "":
		return usageError{errNoClickHouse}
	case dryRun:
		pending, err := schema.PendingClickHouse(cmd.Context(), m.url, cfg)
		if err != nil {
			return err
		}
		printMigrations(cmd, pending)
		return nil
	}
	applied, err := schema.MigrateClickHouse(cmd.Context(), m.url, cfg)
	if err == nil && list != nil {
		var loaded bool
		if loaded, err = schema.LoadPrices(cmd.Context(), m.url, cfg, list); loaded {
			applied = append(applied, "prices "+list.Version())
		}
	}
	printApplied(cmd, applied)
	return err
}

func migratePostgres(cmd *cobra.Command, url string, roles schema.PostgresRoles, dryRun bool) error {
	if url == "" {
		return usageError{errors.New("say where Postgres is: --url postgres://user:password@host:5432/database, or set " + envPostgresURL)}
	}
	if dryRun {
		pending, err := schema.PendingPostgres(cmd.Context(), url)
		if err != nil {
			return err
		}
		printMigrations(cmd, pending)
		return nil
	}
	applied, err := schema.MigratePostgres(cmd.Context(), url)
	printApplied(cmd, applied)
	if err != nil || roles == (schema.PostgresRoles{}) {
		return err
	}
	if err := schema.GrantPostgres(cmd.Context(), url, roles); err != nil {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout(), "granted rights")
	return nil
}

func printMigrations(cmd *cobra.Command, migrations []schema.Migration) {
	if len(migrations) == 0 {
		cmd.Println("-- the schema is up to date")
	}
	for _, m := range migrations {
		fmt.Fprintf(cmd.OutOrStdout(), "-- %s\n", m.Name)
		for _, s := range m.Statements {
			fmt.Fprintf(cmd.OutOrStdout(), "%s;\n\n", s)
		}
	}
}

func printApplied(cmd *cobra.Command, applied []string) {
	for _, name := range applied {
		fmt.Fprintln(cmd.OutOrStdout(), "applied", name)
	}
	if len(applied) == 0 {
		fmt.Fprintln(cmd.OutOrStdout(), "nothing to apply")
	}
}
