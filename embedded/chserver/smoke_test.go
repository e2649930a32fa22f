package chserver_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
)

func TestSmoke(t *testing.T) {
	ch := enginetest.ClickHouse(t)
	require.Equal(t, "1\n", ch.Exec(t, "SELECT 1"))
	db := ch.Database(t)
	conn := ch.Conn(t, db)
	v, err := conn.ServerVersion()
	require.NoError(t, err)
	t.Log(v)
	require.NoError(t, conn.Exec(t.Context(), "CREATE TABLE t (a Int64, s String, m Map(LowCardinality(String), String), d DateTime64(9,'UTC') DEFAULT now64()) ENGINE=MergeTree ORDER BY a"))
	b, err := conn.PrepareBatch(t.Context(), "INSERT INTO t (a, s, m)")
	require.NoError(t, err)
	for i := range 1000 {
		require.NoError(t, b.Append(int64(i), "x", map[string]string{"a": "b"}))
	}
	require.NoError(t, b.Send())
	var n uint64
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count() FROM t").Scan(&n))
	require.EqualValues(t, 1000, n)
	t.Log(ch.RSS(t)>>20, "MB")
}
