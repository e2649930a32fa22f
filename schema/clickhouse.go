package schema

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/agenttrail/agenttrail/internal/chaddr"
)

// viewsLead is how long before new materialized views begin to count an INSERT may at most have begun that is still to
// stamp its rows. See migration 0005.
const viewsLead = 5 * time.Second

// MigrateClickHouse brings the ClickHouse server at url, http://user:password@host:port, to the newest schema and
// returns the names of what it applied, oldest first: migrations, changed retentions, the shipped price table. Every
// statement may run twice without harm, so a migration that was cut short is simply run again. A migration that was
// changed after it was applied is an error.
func MigrateClickHouse(ctx context.Context, url string, cfg ClickHouseConfig) (applied []string, err error) {
	return migrateClickHouse(ctx, url, cfg, math.MaxUint32)
}

// MigrateClickHouseTo is [MigrateClickHouse] up to a version, for who restores rows that an older release has stored.
// Retentions and prices are left to the newest one.
func MigrateClickHouseTo(ctx context.Context, url string, cfg ClickHouseConfig, last uint32) (applied []string, err error) {
	return migrateClickHouse(ctx, url, cfg, last)
}

// AppliedClickHouse returns the checksums of the migrations that were applied to the database, by version; none if it
// does not exist.
func AppliedClickHouse(ctx context.Context, url string, cfg ClickHouseConfig) (applied map[uint32]string, err error) {
	conn, err := openClickHouse(url)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return appliedClickHouse(ctx, conn, cfg.database())
}

// migrateClickHouse applies migrations up to a version.
func migrateClickHouse(ctx context.Context, url string, cfg ClickHouseConfig, last uint32) (applied []string, err error) {
	conn, err := openClickHouse(url)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()

	if cfg.viewsSince, err = viewsSince(ctx, conn, cfg); err != nil {
		return nil, err
	}
	pending, err := pendingClickHouse(ctx, conn, cfg)
	if err != nil {
		return nil, err
	}
	pending = slices.DeleteFunc(pending, func(m Migration) bool { return m.Version > last })
	if len(pending) > 0 {
		if err := conn.Exec(ctx, "CREATE DATABASE IF NOT EXISTS "+cfg.database()+" "+cfg.onCluster()); err != nil {
			return nil, fmt.Errorf("prepare clickhouse migrations: %w", err)
		}
		if err := conn.Exec(ctx, versionTable(&cfg)); err != nil {
			return nil, fmt.Errorf("prepare clickhouse migrations: %w", err)
		}
	}
	for _, m := range pending {
		for i, s := range m.Statements {
			if view := settleDirective.FindStringSubmatch(s); view != nil {
				err = settle(ctx, conn, &cfg, view[1])
			}
			if err == nil {
				err = conn.Exec(ctx, s)
			}
			if err != nil {
				return applied, fmt.Errorf("run statement %d of clickhouse migration %s: %w", i+1, m.Name, err)
			}
		}
		err := conn.Exec(ctx, "INSERT INTO "+cfg.database()+".SchemaMigration (version, name, checksum) VALUES (?, ?, ?)", m.Version, m.Name, m.Checksum)
		if err != nil {
			return applied, fmt.Errorf("record clickhouse migration %s: %w", m.Name, err)
		}
		applied = append(applied, m.Name)
	}
	if last < pricesSince {
		return applied, nil
	}
	statements, err := retentionStatements(ctx, conn, cfg)
	if err != nil {
		return applied, err
	}
	for _, s := range statements {
		if err := conn.Exec(ctx, s); err != nil {
			return applied, fmt.Errorf("change retention: %w", err)
		}
		applied = append(applied, s)
	}
	version, err := loadShippedPrices(ctx, conn, &cfg)
	if version != "" {
		applied = append(applied, "prices "+version)
	}
	return applied, err
}

// versionTable makes the table of applied migrations. On a cluster every server has it whole.
func versionTable(cfg *ClickHouseConfig) string {
	engine := "MergeTree"
	if cfg.Cluster != "" {
		engine = "ReplicatedMergeTree" + everywhere(cfg, "SchemaMigration")
	}
	return "CREATE TABLE IF NOT EXISTS " + cfg.database() + ".SchemaMigration " + cfg.onCluster() + `
(
    version   UInt32                COMMENT 'Number of the migration',
    name      String                COMMENT 'File of the migration',
    checksum  String                COMMENT 'SHA-256 of the file, in hex',
    appliedAt DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When it was applied'
)
ENGINE = ` + engine + ` ORDER BY version COMMENT 'Migrations that were applied to this database'`
}

// viewsSince is the moment from which views that this migration makes count rows: the epoch when there is no table of
// runs yet, else a little later than now.
func viewsSince(ctx context.Context, conn driver.Conn, cfg ClickHouseConfig) (int64, error) {
	var tables uint64
	var now int64
	row := conn.QueryRow(ctx, "SELECT count(), toUnixTimestamp64Milli(now64(3)) FROM system.tables WHERE database = ? AND name = 'AgentExecution'", cfg.database())
	if err := row.Scan(&tables, &now); err != nil {
		return 0, fmt.Errorf("look for runs in clickhouse: %w", err)
	}
	if tables == 0 {
		return 0, nil
	}
	return now + viewsLead.Milliseconds(), nil
}

// settleDirective is a comment before a statement that counts what a new view does not.
var settleDirective = regexp.MustCompile(`(?m)^-- \+settle (\w+)$`)

// settle waits until the moment that the view counts from has passed, and every INSERT that began before it has ended.
func settle(ctx context.Context, conn driver.Conn, cfg *ClickHouseConfig, view string) error {
	since := "(SELECT toInt64(extract(as_select, 'toUnixTimestamp64Milli\\(ingestedAt\\) >= (\\d+)')) FROM system.tables WHERE database = '" + cfg.database() + "' AND name = '" + view + "')"
	processes := "system.processes"
	if cfg.Cluster != "" {
		processes = "clusterAllReplicas('" + cfg.Cluster + "', system.processes)"
	}
	past := "toUnixTimestamp64Milli(now64(3)) - " + since
	query := "SELECT " + past + ", (SELECT count() FROM " + processes + " WHERE query_kind = 'Insert' AND elapsed * 1000 > " + past + ")"
	for {
		var past int64
		var inserts uint64
		if err := conn.QueryRow(ctx, query).Scan(&past, &inserts); err != nil {
			return fmt.Errorf("wait for inserts: %w", err)
		}
		if past > 0 && inserts == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for inserts: %w", context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// PendingClickHouse returns the migrations that [MigrateClickHouse] would run on the server at url, without running
// them. Changes of retention are the last, without a version.
func PendingClickHouse(ctx context.Context, url string, cfg ClickHouseConfig) (pending []Migration, err error) {
	conn, err := openClickHouse(url)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if pending, err = pendingClickHouse(ctx, conn, cfg); err != nil {
		return nil, err
	}
	statements, err := retentionStatements(ctx, conn, cfg)
	if len(statements) > 0 {
		pending = append(pending, Migration{Name: "retention", Statements: statements})
	}
	return pending, err
}

func pendingClickHouse(ctx context.Context, conn driver.Conn, cfg ClickHouseConfig) ([]Migration, error) {
	migrations, err := ClickHouseMigrations(cfg)
	if err != nil {
		return nil, err
	}
	applied, err := appliedClickHouse(ctx, conn, cfg.database())
	if err != nil {
		return nil, err
	}
	var pending []Migration
	for _, m := range migrations {
		sum, ok := applied[m.Version]
		delete(applied, m.Version)
		switch {
		case !ok:
			pending = append(pending, m)
		case sum != m.Checksum:
			return nil, fmt.Errorf("clickhouse migration %s differs from the one that was applied to this database: use the release that made the database, or start with a new one", m.Name)
		}
	}
	if len(applied) > 0 {
		newest := slices.Max(slices.Collect(maps.Keys(applied)))
		return nil, fmt.Errorf("the clickhouse schema is of a newer release (migration %d is unknown here): use that release or a later one", newest)
	}
	return pending, nil
}

func appliedClickHouse(ctx context.Context, conn driver.Conn, database string) (map[uint32]string, error) {
	var exists uint64
	row := conn.QueryRow(ctx, "SELECT count() FROM system.tables WHERE database = ? AND name = 'SchemaMigration'", database)
	if err := row.Scan(&exists); err != nil {
		return nil, fmt.Errorf("look for clickhouse schema version: %w", err)
	}
	applied := map[uint32]string{}
	if exists == 0 {
		return applied, nil
	}
	rows, err := conn.Query(ctx, "SELECT version, checksum FROM "+database+".SchemaMigration")
	if err != nil {
		return nil, fmt.Errorf("read clickhouse schema version: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var version uint32
		var sum string
		if err := rows.Scan(&version, &sum); err != nil {
			return nil, fmt.Errorf("read clickhouse schema version: %w", err)
		}
		applied[version] = sum
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read clickhouse schema version: %w", err)
	}
	return applied, nil
}

func openClickHouse(url string) (driver.Conn, error) {
	opts, err := chaddr.Parse(url)
	if err != nil {
		return nil, err
	}
	opts.Auth.Database = "" // It may not exist yet.
	conn, err := clickhouse.Open(opts)
	if err != nil {
		return nil, fmt.Errorf("open clickhouse: %w", err)
	}
	return conn, nil
}
