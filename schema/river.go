package schema

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// riverSchema holds the queue of jobs, whose tables are those of the River library and come with it. Package ledger/jobs
// looks for them under the same name.
const riverSchema = "river"

// migrateRiver brings the queue of jobs to a version of its schema, 0 being the newest. A lock makes a second instance wait
// for the first.
func migrateRiver(ctx context.Context, url string, version int) (applied []string, err error) {
	pool, m, err := openRiver(ctx, url)
	if err != nil {
		return nil, err
	}
	defer pool.Close() // That gives the lock back.
	lock, err := pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("open postgres: %w", err)
	}
	defer lock.Release()
	for _, s := range []string{"SELECT pg_advisory_lock(hashtextextended('agenttrail.migrate.river', 0))", "CREATE SCHEMA IF NOT EXISTS " + riverSchema} {
		if _, err := lock.Exec(ctx, s); err != nil {
			return nil, fmt.Errorf("prepare migrations of the job queue: %w", err)
		}
	}
	done, err := m.Migrate(ctx, rivermigrate.DirectionUp, &rivermigrate.MigrateOpts{TargetVersion: version})
	if err != nil {
		return nil, fmt.Errorf("migrate the job queue: %w", err)
	}
	for _, v := range done.Versions {
		applied = append(applied, riverName(v))
	}
	return applied, nil
}

// appliedRiver is how far the queue of jobs was migrated, 0 if it is not there.
func appliedRiver(ctx context.Context, url string) (int, error) {
	pool, m, err := openRiver(ctx, url)
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	existing, err := m.ExistingVersions(ctx)
	if err != nil {
		return 0, fmt.Errorf("read version of the job queue: %w", err)
	}
	if len(existing) == 0 {
		return 0, nil
	}
	return existing[len(existing)-1].Version, nil
}

// pendingRiver is what [migrateRiver] would run.
func pendingRiver(ctx context.Context, url string) (pending []Migration, err error) {
	pool, m, err := openRiver(ctx, url)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	due, err := m.Migrate(ctx, rivermigrate.DirectionUp, &rivermigrate.MigrateOpts{DryRun: true})
	if err != nil {
		return nil, fmt.Errorf("read version of the job queue: %w", err)
	}
	for _, v := range due.Versions {
		pending = append(pending, Migration{Version: uint32(v.Version), Name: riverName(v), Statements: []string{v.SQL}}) //nolint:gosec // Versions are small.
	}
	return pending, nil
}

func openRiver(ctx context.Context, url string) (*pgxpool.Pool, *rivermigrate.Migrator[pgx.Tx], error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, nil, fmt.Errorf("open postgres: %w", err)
	}
	cfg.MaxConns = 2 // One keeps the lock.
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("open postgres: %w", err)
	}
	m, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: riverSchema, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		pool.Close()
		return nil, nil, fmt.Errorf("read migrations of the job queue: %w", err)
	}
	return pool, m, nil
}

func riverName(v rivermigrate.MigrateVersion) string {
	return fmt.Sprintf("river/%03d %s", v.Version, v.Name)
}
