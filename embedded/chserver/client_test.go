package chserver_test

import (
	"database/sql"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/ext"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
)

func TestClientParametersAndSettings(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	ctx := t.Context()
	conn := ch.Conn(t, "default")
	var n uint8
	var s string
	require.NoError(t, conn.QueryRow(ctx, "SELECT {n:UInt8}, {s:String}", clickhouse.Named("n", "7"), clickhouse.Named("s", "tab\tquote'back\\slash")).Scan(&n, &s))
	require.EqualValues(t, 7, n)
	require.NoError(t, conn.QueryRow(ctx, "SELECT toUInt8(?), ?", 8, "it's").Scan(&n, &s))
	require.EqualValues(t, 8, n)
	require.Equal(t, "it's", s)
	require.NoError(t, conn.QueryRow(ctx, "SELECT toUInt8($1), $2", 9, "x").Scan(&n, &s))
	require.NoError(t, conn.QueryRow(ctx, "SELECT toUInt8(@n), @s", clickhouse.Named("n", 10), clickhouse.Named("s", "y")).Scan(&n, &s))
	require.EqualValues(t, 10, n)

	var threads uint64
	with := clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"max_threads": 3}), clickhouse.WithQueryID("client-id"))
	require.NoError(t, conn.QueryRow(with, "SELECT getSetting('max_threads')::UInt64").Scan(&threads))
	require.EqualValues(t, 3, threads)
	var exception *clickhouse.Exception
	bad := clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"no_such_setting": 3}))
	require.ErrorAs(t, conn.QueryRow(bad, "SELECT 1").Scan(&n), &exception)
	require.EqualValues(t, 115, exception.Code)

	table, err := ext.NewTable("ids", ext.Column("id", "UInt64"))
	require.NoError(t, err)
	for _, id := range []uint64{2, 4} {
		require.NoError(t, table.Append(id))
	}
	var sum uint64
	require.NoError(t, conn.QueryRow(clickhouse.Context(ctx, clickhouse.WithExternalTable(table)), "SELECT sum(id) FROM ids").Scan(&sum))
	require.EqualValues(t, 6, sum)

	wrong := ch.Options("default")
	wrong.Auth.Password = "wrong"
	refused, err := clickhouse.Open(wrong)
	require.NoError(t, err)
	defer func() { _ = refused.Close() }()
	require.ErrorAs(t, refused.Ping(ctx), &exception)
	require.EqualValues(t, 516, exception.Code)
}

func TestAsyncInsertFlag(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	ctx := t.Context()
	conn := ch.Conn(t, ch.Database(t))
	require.NoError(t, conn.Exec(ctx, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a"))
	require.NoError(t, conn.AsyncInsert(ctx, "INSERT INTO t VALUES (1)", false))   //nolint:staticcheck // old clients use it
	require.NoError(t, conn.AsyncInsert(ctx, "INSERT INTO t VALUES (?)", true, 2)) //nolint:staticcheck // old clients use it
	async := clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"async_insert": 1, "wait_for_async_insert": 0}))
	batch, err := conn.PrepareBatch(async, "INSERT INTO t")
	require.NoError(t, err)
	require.NoError(t, batch.Append(uint64(3)))
	require.NoError(t, batch.Send())
	var sum uint64
	require.NoError(t, conn.QueryRow(ctx, "SELECT sum(a) FROM t").Scan(&sum))
	require.EqualValues(t, 6, sum)
}

func TestDatabaseSQL(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	ctx := t.Context()
	db := clickhouse.OpenDB(ch.Options(ch.Database(t)))
	defer func() { require.NoError(t, db.Close()) }()
	require.NoError(t, db.PingContext(ctx))
	_, err := db.ExecContext(ctx, "CREATE TABLE t (a Int64, s Nullable(String), at DateTime64(3, 'UTC')) ENGINE = MergeTree ORDER BY a")
	require.NoError(t, err)
	tx, err := db.BeginTx(ctx, nil)
	require.NoError(t, err)
	insert, err := tx.PrepareContext(ctx, "INSERT INTO t") //nolint:sqlclosecheck // Commit closes it.
	require.NoError(t, err)
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000000, time.UTC)
	for i := range 10 {
		var s *string
		if i%2 == 0 {
			s = new("even")
		}
		_, err = insert.ExecContext(ctx, int64(i), s, at)
		require.NoError(t, err)
	}
	require.NoError(t, tx.Commit())
	var evens int
	require.NoError(t, db.QueryRowContext(ctx, "SELECT count(s) FROM t WHERE a >= ?", 2).Scan(&evens))
	require.Equal(t, 4, evens)
	var s sql.NullString
	var got time.Time
	require.NoError(t, db.QueryRowContext(ctx, "SELECT s, at FROM t WHERE a = 1").Scan(&s, &got))
	require.False(t, s.Valid)
	require.Equal(t, at, got)
	require.ErrorIs(t, db.QueryRowContext(ctx, "SELECT s FROM t WHERE a = 99").Scan(&s), sql.ErrNoRows)
}
