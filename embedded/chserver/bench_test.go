package chserver_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
)

// BenchmarkSelectStream reads Native blocks of the revision that clickhouse-go asks for.
func BenchmarkSelectStream(b *testing.B) {
	ch := enginetest.ClickHouse(b)
	const rows = 1000000
	url := address(ch, "query", fmt.Sprintf("SELECT number, toString(number) AS s FROM numbers(%d)", rows), "default_format", "Native", "client_protocol_version", "54460")
	for b.Loop() {
		resp, err := http.Get(url)
		require.NoError(b, err)
		n, err := io.Copy(io.Discard, resp.Body)
		require.NoError(b, err)
		require.NoError(b, resp.Body.Close())
		b.SetBytes(n)
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkInsertNative writes one Native block at a time into a table.
func BenchmarkInsertNative(b *testing.B) {
	ch := enginetest.ClickHouse(b)
	db := ch.Database(b)
	ch.Exec(b, "CREATE TABLE "+db+".t (a UInt64, s String) ENGINE = MergeTree ORDER BY a")
	const rows = 100000
	block := []byte(ch.Exec(b, fmt.Sprintf("SELECT number AS a, toString(number) AS s FROM numbers(%d) FORMAT Native SETTINGS max_block_size = %d", rows, rows)))
	url := address(ch, "query", "INSERT INTO "+db+".t FORMAT Native")
	b.SetBytes(int64(len(block)))
	for b.Loop() {
		resp, err := http.Post(url, "application/octet-stream", bytes.NewReader(block))
		require.NoError(b, err)
		require.Equal(b, http.StatusOK, resp.StatusCode)
		require.NoError(b, resp.Body.Close())
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
