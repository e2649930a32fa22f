package chread

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/agenttrail/agenttrail/internal/chaddr"
)

// Settings say where ClickHouse is.
type Settings struct {
	URL      string        // http://user:password@host:port
	Database string        // of the telemetry
	Timeout  time.Duration // for one question; DefaultTimeout if 0
}

// DefaultTimeout bounds one question: reading a day of a large installation in order takes a while.
const DefaultTimeout = 5 * time.Minute

// spillBytes is how much memory of the server one question may take before it goes on on disk.
const spillBytes = 256 << 20

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

// Reader reads telemetry. It opens connections when it is asked.
type Reader struct {
	conn     driver.Conn
	database string
	timeout  time.Duration
}

// Open makes a reader. It does not wait for the server: a question that cannot reach it says so.
func Open(s Settings) (*Reader, error) {
	if !identifier.MatchString(s.Database) {
		return nil, fmt.Errorf("open telemetry: database name %q is not a plain identifier", s.Database)
	}
	opts, err := chaddr.Parse(s.URL)
	if err != nil {
		return nil, err
	}
	opts.Auth.Database = "" // Tables are named in full, and the database may not be there yet.
	opts.DialTimeout = 5 * time.Second
	opts.ReadTimeout = DefaultTimeout
	opts.MaxOpenConns, opts.MaxIdleConns = 4, 2
	if opts.Settings == nil {
		opts.Settings = clickhouse.Settings{}
	}
	opts.Settings["max_bytes_before_external_group_by"] = spillBytes
	opts.Settings["max_bytes_before_external_sort"] = spillBytes
	conn, err := clickhouse.Open(opts)
	if err != nil {
		return nil, fmt.Errorf("open telemetry: %w", err)
	}
	r := &Reader{conn: conn, database: s.Database, timeout: s.Timeout}
	if r.timeout == 0 {
		r.timeout = DefaultTimeout
	}
	return r, nil
}

// Close closes all connections.
func (r *Reader) Close() error { return r.conn.Close() }

// table is the full name of a table.
func (r *Reader) table(name string) string { return r.database + "." + name }

// each gives the rows of a question one by one, as they come.
func (r *Reader) each(ctx context.Context, query string, args []any, f func(row driver.Rows) error) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	rows, err := r.conn.Query(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("ask clickhouse: %w", err)
	}
	defer func() { _ = rows.Close() }() // What matters of it is in Err.
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read from clickhouse: %w", err)
	}
	return nil
}
