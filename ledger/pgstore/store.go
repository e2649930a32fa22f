package pgstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/agenttrail/agenttrail/ledger"
)

// Settings say how to reach the database, and what to give up waiting for.
type Settings struct {
	URL              string           // postgres://…
	MaxConns         int              // DefaultMaxConns if 0
	AcquireTimeout   time.Duration    // for a connection of the pool; 2 s if 0
	StatementTimeout time.Duration    // for one statement; 10 s if 0
	LockTimeout      time.Duration    // for one lock; 5 s if 0
	Attempts         int              // how often an operation is tried; 8 if 0
	Tracer           pgx.QueryTracer  // may be nil
	Now              func() time.Time // replaces the database's clock, for tests

	// AdjustOver is the amount above which a correction of a charge needs an approval; ledger.DefaultAdjustOver if nil, all
	// of them if 0.
	AdjustOver *ledger.Credits
}

func (s Settings) adjustOver() ledger.Credits {
	if s.AdjustOver == nil {
		return ledger.DefaultAdjustOver
	}
	return *s.AdjustOver
}

// DefaultMaxConns is the size of a pool. More connections than that wait for the same disk.
const DefaultMaxConns = 16

// Validate refuses settings that cannot be meant.
func (s Settings) Validate() error {
	var errs []error
	if s.URL == "" {
		errs = append(errs, errors.New("URL must not be empty"))
	}
	if s.MaxConns < 0 || s.MaxConns > 10_000 {
		errs = append(errs, errors.New("MaxConns must be 1 to 10000"))
	}
	if s.AcquireTimeout < 0 || s.StatementTimeout < 0 || s.LockTimeout < 0 || s.Attempts < 0 {
		errs = append(errs, errors.New("AcquireTimeout, StatementTimeout, LockTimeout and Attempts must not be negative"))
	}
	if s.adjustOver() < 0 {
		errs = append(errs, errors.New("AdjustOver must not be negative"))
	}
	return errors.Join(errs...)
}

// Store implements [ledger.Service].
type Store struct {
	pool     *pgxpool.Pool
	settings Settings
	mandates cache[uuid.UUID, *mandateCopy]
	agents   cache[string, *agentCopy]
	// ahead is how far the database's clock was ahead of ours when that last mattered, in nanoseconds.
	ahead   atomic.Int64
	retries atomic.Int64
}

var _ ledger.Service = (*Store)(nil)

// Open makes a store on a database whose schema is up to date (package schema). It does not wait for the database: an
// operation that cannot reach it says so.
func Open(ctx context.Context, settings Settings) (*Store, error) {
	if err := settings.Validate(); err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	settings.MaxConns = orDefault(settings.MaxConns, DefaultMaxConns)
	settings.AcquireTimeout = orDefault(settings.AcquireTimeout, 2*time.Second)
	settings.StatementTimeout = orDefault(settings.StatementTimeout, 10*time.Second)
	settings.LockTimeout = orDefault(settings.LockTimeout, 5*time.Second)
	settings.Attempts = orDefault(settings.Attempts, 8)
	cfg, err := pgxpool.ParseConfig(settings.URL)
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	cfg.MaxConns = int32(settings.MaxConns) //nolint:gosec // Checked by Validate.
	cfg.ConnConfig.Tracer = settings.Tracer
	cfg.ConnConfig.ConnectTimeout = 5 * time.Second
	for name, d := range map[string]time.Duration{
		"statement_timeout": settings.StatementTimeout, "lock_timeout": settings.LockTimeout,
		"idle_in_transaction_session_timeout": 2 * settings.StatementTimeout,
	} {
		cfg.ConnConfig.RuntimeParams[name] = strconv.FormatInt(max(1, d.Milliseconds()), 10)
	}
	cfg.ConnConfig.RuntimeParams["application_name"] = "agenttrail-ledger"
	cfg.ConnConfig.RuntimeParams["default_transaction_isolation"] = "read committed"
	cfg.ConnConfig.RuntimeParams["timezone"] = "UTC"
	cfg.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		conn.TypeMap().RegisterType(&pgtype.Type{Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC}})
		return nil
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	return &Store{pool: pool, settings: settings}, nil
}

func orDefault[T int | time.Duration](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}

// Close waits for operations that are under way and closes all connections. It can be called twice.
func (s *Store) Close() { s.pool.Close() }

// Pool is what the pool of connections is doing.
func (s *Store) Pool() *pgxpool.Stat { return s.pool.Stat() }

// Retries is how often operations were repeated since the store was opened.
func (s *Store) Retries() int64 { return s.retries.Load() }

// Ping asks the database for something.
func (s *Store) Ping(ctx context.Context) error {
	return s.unit(ctx, false, func(conn *pgxpool.Conn) error {
		_, err := conn.Exec(ctx, "SELECT 1 FROM ledger.wallets LIMIT 1")
		return err
	})
}

// unit runs f on a connection, again if the database asks for that, or if repeatable and the connection was lost. All
// errors that it returns are for callers of the store.
func (s *Store) unit(ctx context.Context, repeatable bool, f func(conn *pgxpool.Conn) error) error {
	pause := 2 * time.Millisecond
	for attempt := 1; ; attempt++ {
		err := s.once(ctx, f)
		if err == nil || attempt >= s.settings.Attempts || ctx.Err() != nil || !retry(err, repeatable) {
			return translate(ctx, err)
		}
		s.retries.Add(1)
		if err := sleep(ctx, jitter(pause)); err != nil {
			return translate(ctx, err)
		}
		pause = min(2*pause, 500*time.Millisecond)
	}
}

func (s *Store) once(ctx context.Context, f func(conn *pgxpool.Conn) error) error {
	acquiring, cancel := context.WithTimeout(ctx, s.settings.AcquireTimeout)
	defer cancel()
	conn, err := s.pool.Acquire(acquiring)
	if err != nil {
		return notSent{err}
	}
	defer conn.Release()
	return f(conn)
}

// read runs a query that changes nothing.
func read[T any](ctx context.Context, s *Store, sql string, args []any, scan pgx.RowToFunc[T]) (items []T, err error) {
	err = s.unit(ctx, true, func(conn *pgxpool.Conn) error {
		rows, err := conn.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		items, err = pgx.CollectRows(rows, scan)
		return err
	})
	return items, err
}

// readOne is read for one row, CodeNotFound if there is none.
func readOne[T any](ctx context.Context, s *Store, what, sql string, args []any, scan pgx.RowToFunc[T]) (T, error) {
	items, err := read(ctx, s, sql, args, scan)
	if err == nil && len(items) == 0 {
		err = notFound(what)
	}
	if err != nil {
		var none T
		return none, err
	}
	return items[0], nil
}

// inTx runs f on one state of the database, of which it changes nothing.
func (s *Store) inTx(ctx context.Context, f func(q querier) error) error {
	return s.unit(ctx, true, func(conn *pgxpool.Conn) error {
		tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // There is nothing to commit.
		return f(tx)
	})
}

func notFound(what string) *ledger.Error {
	return ledger.Errorf(ledger.CodeNotFound, "no such %s", what)
}

// querier is a connection or a transaction on one.
type querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// now is the time in the database, as far as we know, and what to tell the database: nothing, unless the clock is a
// test's.
func (s *Store) now() (at time.Time, tell *time.Time) {
	if s.settings.Now != nil {
		at := s.settings.Now().UTC()
		return at, &at
	}
	return time.Now().UTC().Add(time.Duration(s.ahead.Load())), nil
}

// learn corrects what we know of the database's clock.
func (s *Store) learn(at time.Time) {
	if s.settings.Now == nil {
		s.ahead.Store(int64(time.Until(at)))
	}
}
