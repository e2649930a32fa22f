package schema

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// DefaultDatabase is the ClickHouse database of a ClickHouseConfig that names none.
const DefaultDatabase = "agenttrail"

// Migration is one numbered step of a schema.
type Migration struct {
	Version    uint32
	Name       string   // File name.
	Checksum   string   // SHA-256 of the file in hex, empty for Postgres.
	Statements []string // Ready to run.
}

// ClickHouseConfig says how the ClickHouse schema is laid out.
type ClickHouseConfig struct {
	Database  string    // Default [DefaultDatabase].
	Retention Retention // Zero fields take the default.
}

// Retention is how many days each table keeps its rows, counted from the time of the event. Whole partitions are
// dropped, so rows live up to one partition longer.
type Retention struct {
	AgentExecution, Span, AgentLog, RequestLog, SystemErrors, SystemMetrics int // Partitions of a day.
	SecurityEvents, AgentMetricsHourly                                      int // Partitions of a month.
	AgentMetricsDaily                                                       int // Partitions of a year.
}

func (r Retention) withDefaults() Retention {
	return Retention{
		AgentExecution:     cmp.Or(r.AgentExecution, 400),
		Span:               cmp.Or(r.Span, 30),
		AgentLog:           cmp.Or(r.AgentLog, 90),
		RequestLog:         cmp.Or(r.RequestLog, 90),
		SystemErrors:       cmp.Or(r.SystemErrors, 180),
		SystemMetrics:      cmp.Or(r.SystemMetrics, 90),
		SecurityEvents:     cmp.Or(r.SecurityEvents, 1095),
		AgentMetricsHourly: cmp.Or(r.AgentMetricsHourly, 400),
		AgentMetricsDaily:  cmp.Or(r.AgentMetricsDaily, 1825),
	}
}

var (
	placeholder    = regexp.MustCompile(`\$\{[A-Z_]+\}`)
	identifierRule = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)
)

// ClickHouseMigrations returns every migration of the ClickHouse schema, oldest first, with its placeholders filled in.
func ClickHouseMigrations(cfg ClickHouseConfig) ([]Migration, error) {
	database := cmp.Or(cfg.Database, DefaultDatabase)
	if !identifierRule.MatchString(database) {
		return nil, fmt.Errorf("database name %q is not a plain identifier: use letters, digits and underscores", database)
	}
	days := cfg.Retention.withDefaults()
	values := map[string]string{
		"${DATABASE}":                            database,
		"${ON_CLUSTER}":                          "",
		"${LOCAL}":                               "",
		"${MERGETREE}":                           "MergeTree",
		"${AGGREGATINGMERGETREE}":                "AggregatingMergeTree",
		"${REPLACINGMERGETREE}":                  "ReplacingMergeTree",
		"${DEDUP_SETTINGS}":                      ", non_replicated_deduplication_window = 10000",
		"${RETENTION_AGENT_EXECUTION_DAYS}":      strconv.Itoa(days.AgentExecution),
		"${RETENTION_SPAN_DAYS}":                 strconv.Itoa(days.Span),
		"${RETENTION_AGENT_LOG_DAYS}":            strconv.Itoa(days.AgentLog),
		"${RETENTION_REQUEST_LOG_DAYS}":          strconv.Itoa(days.RequestLog),
		"${RETENTION_SYSTEM_ERRORS_DAYS}":        strconv.Itoa(days.SystemErrors),
		"${RETENTION_SYSTEM_METRICS_DAYS}":       strconv.Itoa(days.SystemMetrics),
		"${RETENTION_SECURITY_EVENTS_DAYS}":      strconv.Itoa(days.SecurityEvents),
		"${RETENTION_AGENT_METRICS_HOURLY_DAYS}": strconv.Itoa(days.AgentMetricsHourly),
		"${RETENTION_AGENT_METRICS_DAILY_DAYS}":  strconv.Itoa(days.AgentMetricsDaily),
	}
	names, err := fs.Glob(clickHouseFiles, "clickhouse/*.sql")
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	slices.Sort(names)
	migrations := make([]Migration, 0, len(names))
	for _, name := range names {
		text, err := clickHouseFiles.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read migration: %w", err)
		}
		base := strings.TrimPrefix(name, "clickhouse/")
		number, _, _ := strings.Cut(base, "_")
		version, err := strconv.ParseUint(number, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("read number of migration %s: %w", base, err)
		}
		sum := sha256.Sum256(text)
		m := Migration{Version: uint32(version), Name: base, Checksum: hex.EncodeToString(sum[:])}
		for _, s := range splitStatements(string(text)) {
			filled := placeholder.ReplaceAllStringFunc(s, func(p string) string {
				v, ok := values[p]
				if !ok {
					err = errors.Join(err, fmt.Errorf("migration %s: unknown placeholder %s", base, p))
				}
				return v
			})
			m.Statements = append(m.Statements, filled)
		}
		if err != nil {
			return nil, err
		}
		migrations = append(migrations, m)
	}
	return migrations, nil
}

// MigrateClickHouse brings the ClickHouse server at url, http://user:password@host:port, to the newest schema and
// returns the names of the migrations that it applied, oldest first. Every statement may run twice without harm, so
// a migration that was cut short is simply run again. A migration that was changed after it was applied is an error.
func MigrateClickHouse(ctx context.Context, url string, cfg ClickHouseConfig) (applied []string, err error) {
	conn, err := openClickHouse(url)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()

	pending, err := pendingClickHouse(ctx, conn, cfg)
	if err != nil || len(pending) == 0 {
		return nil, err
	}
	database := cmp.Or(cfg.Database, DefaultDatabase)
	for _, s := range []string{
		"CREATE DATABASE IF NOT EXISTS " + database,
		"CREATE TABLE IF NOT EXISTS " + database + `.SchemaMigration
(
    version   UInt32                COMMENT 'Number of the migration',
    name      String                COMMENT 'File of the migration',
    checksum  String                COMMENT 'SHA-256 of the file, in hex',
    appliedAt DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When it was applied'
)
ENGINE = MergeTree ORDER BY version COMMENT 'Migrations that were applied to this database'`,
	} {
		if err := conn.Exec(ctx, s); err != nil {
			return nil, fmt.Errorf("prepare clickhouse migrations: %w", err)
		}
	}
	for _, m := range pending {
		for i, s := range m.Statements {
			if err := conn.Exec(ctx, s); err != nil {
				return applied, fmt.Errorf("run statement %d of clickhouse migration %s: %w", i+1, m.Name, err)
			}
		}
		err := conn.Exec(ctx, "INSERT INTO "+database+".SchemaMigration (version, name, checksum) VALUES (?, ?, ?)", m.Version, m.Name, m.Checksum)
		if err != nil {
			return applied, fmt.Errorf("record clickhouse migration %s: %w", m.Name, err)
		}
		applied = append(applied, m.Name)
	}
	return applied, nil
}

// PendingClickHouse returns the migrations that [MigrateClickHouse] would run on the server at url, without running
// them.
func PendingClickHouse(ctx context.Context, url string, cfg ClickHouseConfig) (pending []Migration, err error) {
	conn, err := openClickHouse(url)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return pendingClickHouse(ctx, conn, cfg)
}

func pendingClickHouse(ctx context.Context, conn driver.Conn, cfg ClickHouseConfig) ([]Migration, error) {
	migrations, err := ClickHouseMigrations(cfg)
	if err != nil {
		return nil, err
	}
	applied, err := appliedClickHouse(ctx, conn, cmp.Or(cfg.Database, DefaultDatabase))
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
	opts, err := clickhouse.ParseDSN(url)
	if err != nil {
		return nil, fmt.Errorf("read clickhouse address: %w", err)
	}
	if opts.Protocol != clickhouse.HTTP {
		return nil, errors.New("the clickhouse address must start with http:// or https://, such as http://127.0.0.1:8123")
	}
	opts.Auth.Database = "" // It may not exist yet.
	conn, err := clickhouse.Open(opts)
	if err != nil {
		return nil, fmt.Errorf("open clickhouse: %w", err)
	}
	return conn, nil
}
