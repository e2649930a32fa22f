package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/agenttrail/agenttrail/embedded"
	"github.com/agenttrail/agenttrail/schema"
)

// The parts of a backup.
const (
	partPostgres   = "postgres"
	partClickHouse = "clickhouse"
	partJournal    = "journal"
)

// databases are what a backup is made of or restored into: engines on a data folder on which nothing runs, or servers and
// folders that are named.
type databases struct {
	dir, clickHouse, postgres, database string
	journals, only                      []string
}

func (d *databases) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&d.dir, "data", "", "data folder of an \"agenttrail up\" that is stopped; its engines are started for this")
	f.StringVar(&d.clickHouse, "clickhouse-url", "", "address of ClickHouse, http://user:password@host:port; default $"+envClickHouseURL)
	f.StringVar(&d.postgres, "postgres-url", "", "address of Postgres, postgres://user:password@host:5432/database; default $"+envPostgresURL)
	f.StringVar(&d.database, "database", schema.DefaultDatabase, "ClickHouse database that holds the tables")
	f.StringArrayVar(&d.journals, "journal", nil, "journal folder of a collector that is stopped; may be repeated; default: the one in the data folder")
	f.StringSliceVar(&d.only, "only", nil, "some of postgres, clickhouse and journal, with commas between them; default: all")
}

// resolve fills in defaults and says what is missing.
func (d *databases) resolve() error {
	for _, part := range d.only {
		if !slices.Contains([]string{partPostgres, partClickHouse, partJournal}, part) {
			return usageError{fmt.Errorf("--only %s: choose of %s, %s and %s", part, partPostgres, partClickHouse, partJournal)}
		}
	}
	d.clickHouse = cmp.Or(d.clickHouse, os.Getenv(envClickHouseURL))
	d.postgres = cmp.Or(d.postgres, os.Getenv(envPostgresURL))
	if d.dir != "" && len(d.journals) == 0 {
		d.journals = []string{filepath.Join(d.dir, journalFolder)}
	}
	var errs []error
	for _, m := range []struct {
		part, hint string
		missing    bool
	}{
		{partPostgres, "--postgres-url", d.postgres == "" && d.dir == ""},
		{partClickHouse, "--clickhouse-url", d.clickHouse == "" && d.dir == ""},
		{partJournal, "--journal", len(d.journals) == 0},
	} {
		if m.missing && d.has(m.part) {
			errs = append(errs, fmt.Errorf("say where %s is: %s, or --data for one machine, or leave it out with --only", m.part, m.hint))
		}
	}
	if len(errs) > 0 {
		return usageError{errors.Join(errs...)}
	}
	return nil
}

// has tells whether a part is wanted.
func (d *databases) has(part string) bool { return len(d.only) == 0 || slices.Contains(d.only, part) }

// start starts the engines of the data folder that are wanted and not servers of their own. stop ends them.
func (d *databases) start(ctx context.Context, cmd *cobra.Command) (stop func() error, err error) {
	withClickHouse := d.has(partClickHouse) || d.has(partJournal)
	engines := &embedded.Server{
		Dir:        d.dir,
		Logger:     slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn})),
		ClickHouse: embedded.ClickHouseConfig{Addr: anyPort, Disabled: d.clickHouse != "" || !withClickHouse},
		Postgres:   embedded.PostgresConfig{Addr: anyPort, Disabled: d.postgres != "" || !d.has(partPostgres)},
	}
	if d.dir == "" || engines.ClickHouse.Disabled && engines.Postgres.Disabled {
		return func() error { return nil }, nil
	}
	if err := engines.Start(ctx); err != nil {
		return nil, err
	}
	d.clickHouse = cmp.Or(d.clickHouse, engines.ClickHouseURL())
	d.postgres = cmp.Or(d.postgres, engines.PostgresURL())
	return func() error {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		return engines.Shutdown(stopping)
	}, nil
}

const anyPort = "127.0.0.1:0"
