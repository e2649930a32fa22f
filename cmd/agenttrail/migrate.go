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
	var url, database string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "migrate clickhouse|postgres",
		Short: "Bring the schema of a database up to date",
		Long: `Bring the schema of a database up to date.

Migrations only go forward, and running them again changes nothing. "agenttrail up" runs them by itself; in
production they run before a new release starts.`,
		Example: `  agenttrail migrate clickhouse --url http://default:secret@ch1:8123
  agenttrail migrate postgres --url postgres://agenttrail:secret@pg1:5432/agenttrail
  agenttrail migrate clickhouse --dry-run`,
		ValidArgs: []string{"clickhouse", "postgres"},
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs)(cmd, args); err != nil {
				return usageError{errors.New("say which database: agenttrail migrate clickhouse, or agenttrail migrate postgres")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] == "clickhouse" {
				return migrateClickHouse(cmd, cmp.Or(url, os.Getenv(envClickHouseURL)), database, dryRun)
			}
			return migratePostgres(cmd, cmp.Or(url, os.Getenv(envPostgresURL)), dryRun)
		},
	}
	cmd.Flags().StringVar(&url, "url", "", "address of the server, http://user:password@host:port or postgres://…; default $"+envClickHouseURL+" or $"+envPostgresURL)
	cmd.Flags().StringVar(&database, "database", schema.DefaultDatabase, "ClickHouse database that holds the tables")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print the statements that would run, and run none; without an address, all of ClickHouse's")
	return cmd
}

func migrateClickHouse(cmd *cobra.Command, url, database string, dryRun bool) error {
	cfg := schema.ClickHouseConfig{Database: database}
	switch {
	case dryRun && url == "":
		all, err := schema.ClickHouseMigrations(cfg)
		if err != nil {
			return err
		}
		printMigrations(cmd, all)
		return nil
	case url == "":
		return usageError{errors.New("say where ClickHouse is: --url http://user:password@host:8123, or set " + envClickHouseURL)}
	case dryRun:
		pending, err := schema.PendingClickHouse(cmd.Context(), url, cfg)
		if err != nil {
			return err
		}
		printMigrations(cmd, pending)
		return nil
	}
	applied, err := schema.MigrateClickHouse(cmd.Context(), url, cfg)
	printApplied(cmd, applied)
	return err
}

func migratePostgres(cmd *cobra.Command, url string, dryRun bool) error {
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
	return err
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
