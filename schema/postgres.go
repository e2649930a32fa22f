package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	_ "github.com/jackc/pgx/v5/stdlib" // The driver that goose uses.
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// postgresVersionTable keeps which migrations were applied, one row each.
const postgresVersionTable = "ledger.schema_migration"

// MigratePostgres brings the database at url, a postgres:// address, to the newest schema and returns the names of
// the migrations that it applied, oldest first, those of the ledger before those of its job queue. Each migration is one
// transaction. A lock makes a second instance wait for the first.
func MigratePostgres(ctx context.Context, url string) (applied []string, err error) {
	db, provider, err := openPostgres(ctx, url)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()

	results, err := provider.Up(ctx)
	for _, r := range results {
		applied = append(applied, r.Source.Path)
	}
	if err != nil {
		return applied, fmt.Errorf("migrate postgres: %w", err)
	}
	queue, err := migrateRiver(ctx, url, 0)
	return append(applied, queue...), err
}

// PostgresVersion is how far a database was migrated.
type PostgresVersion struct {
	Ledger int64 `json:"ledger"` // The last migration of the ledger, 0 for none.
	Queue  int   `json:"queue"`  // That of its job queue.
}

// AppliedPostgres returns how far the database at url was migrated.
func AppliedPostgres(ctx context.Context, url string) (v PostgresVersion, err error) {
	db, provider, err := openPostgres(ctx, url)
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if v.Ledger, err = provider.GetDBVersion(ctx); err != nil {
		return v, fmt.Errorf("read postgres schema version: %w", err)
	}
	v.Queue, err = appliedRiver(ctx, url)
	return v, err
}

// MigratePostgresTo is [MigratePostgres] up to a version, for who restores rows that an older release has stored. A
// version that this release does not know is an error.
func MigratePostgresTo(ctx context.Context, url string, v PostgresVersion) (err error) {
	db, provider, err := openPostgres(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	known := provider.ListSources()
	if len(known) == 0 || v.Ledger > known[len(known)-1].Version {
		return fmt.Errorf("the postgres schema is of a newer release (migration %d is unknown here): use that release or a later one", v.Ledger)
	}
	if _, err := provider.UpTo(ctx, v.Ledger); err != nil {
		return fmt.Errorf("migrate postgres: %w", err)
	}
	_, err = migrateRiver(ctx, url, v.Queue)
	return err
}

// PendingPostgres returns the statements that [MigratePostgres] would run on the database at url, without running
// them.
func PendingPostgres(ctx context.Context, url string) (pending []Migration, err error) {
	db, provider, err := openPostgres(ctx, url)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()

	states, err := provider.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("read postgres schema version: %w", err)
	}
	for _, s := range states {
		if s.State != goose.StatePending {
			continue
		}
		text, err := postgresFiles.ReadFile("postgres/" + s.Source.Path)
		if err != nil {
			return nil, fmt.Errorf("read migration %s: %w", s.Source.Path, err)
		}
		pending = append(pending, Migration{Version: uint32(s.Source.Version), Name: s.Source.Path, Statements: []string{string(text)}}) //nolint:gosec // Versions are small.
	}
	queue, err := pendingRiver(ctx, url)
	return append(pending, queue...), err
}

func openPostgres(ctx context.Context, url string) (*sql.DB, *goose.Provider, error) {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return nil, nil, fmt.Errorf("open postgres: %w", err)
	}
	fail := func(err error) (*sql.DB, *goose.Provider, error) {
		return nil, nil, errors.Join(err, db.Close())
	}
	// The version table lives in the schema that the first migration fills, so the schema must be there before.
	if _, err := db.ExecContext(ctx, "CREATE SCHEMA IF NOT EXISTS ledger"); err != nil {
		// Two instances that both find no schema can collide here; the loser finds it on its second look.
		if _, err = db.ExecContext(ctx, "CREATE SCHEMA IF NOT EXISTS ledger"); err != nil {
			return fail(fmt.Errorf("create schema ledger: %w", err))
		}
	}
	files, err := fs.Sub(postgresFiles, "postgres")
	if err != nil {
		return fail(fmt.Errorf("open migrations: %w", err))
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return fail(fmt.Errorf("create migration lock: %w", err))
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithTableName(postgresVersionTable), goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fail(fmt.Errorf("read postgres migrations: %w", err))
	}
	return db, provider, nil
}
