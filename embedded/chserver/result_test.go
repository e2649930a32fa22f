package chserver_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/embedded/chserver"
	"github.com/agenttrail/agenttrail/internal/enginetest"
)

// TestDocumentsOfManyBlocks must be one document each, not one for every block of the engine.
func TestDocumentsOfManyBlocks(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	const n = 200000 // rows; a block has 65409
	tab := table(t, ch)
	for _, format := range []string{
		"JSON", "JSONCompact", "Parquet", "ORC", "Arrow", "ArrowStream", "Avro", "CSVWithNames", "TSVWithNamesAndTypes",
		"RowBinaryWithNamesAndTypes", "JSONColumns", "JSONCompactEachRowWithNames", "Values", "Native", "MsgPack",
	} {
		a := send(t, http.MethodGet, address(ch, "query", fmt.Sprintf("SELECT toInt64(number) AS a, toString(number) AS s FROM numbers(%d) FORMAT %s", n, format)), nil)
		require.NoError(t, a.err)
		require.Equal(t, http.StatusOK, a.status, a.body[:min(len(a.body), 500)])
		back := insert(t, ch, "INSERT INTO "+tab+" FORMAT "+format, []byte(a.body))
		require.Equal(t, http.StatusOK, back.status, "%s: %s", format, back.body)
		require.Equal(t, "200000\t19999900000\t200000\n", ch.Exec(t, "SELECT count(), sum(a), uniqExact(s) FROM "+tab), format)
		ch.Exec(t, "TRUNCATE TABLE "+tab)
	}
	var doc struct {
		Data   []json.RawMessage
		Rows   int
		Totals json.RawMessage
	}
	require.NoError(t, json.Unmarshal([]byte(ch.Exec(t, fmt.Sprintf("SELECT number, count() FROM numbers(%d) GROUP BY number WITH TOTALS FORMAT JSON;", n))), &doc))
	require.Len(t, doc.Data, n)
	require.JSONEq(t, `{"number":0,"count()":200000}`, string(doc.Totals))
	require.NoError(t, json.Unmarshal([]byte(ch.Exec(t, fmt.Sprintf("SELECT 1 AS x, 1 AS x, number FROM numbers(%d) FORMAT JSONCompact", n))), &doc))
	require.Equal(t, n, doc.Rows)
	require.NoError(t, json.Unmarshal([]byte(ch.Exec(t, fmt.Sprintf("SELECT number FROM numbers(%d) FORMAT JSONEachRow SETTINGS output_format_json_array_of_rows = 1", n))), &doc.Data))
	require.Len(t, doc.Data, n)
	require.NoError(t, json.Unmarshal([]byte(ch.Exec(t, "SELECT number FROM numbers(0) FORMAT JSON")), &doc))
	require.Empty(t, doc.Data)
}

var exceptionBlock = regexp.MustCompile(`(?s)\r\n__exception__\r\n([a-z]{16})\r\n(Code: 395\..*\n)(\d+) ([a-z]{16})\r\n__exception__\r\n$`)

// TestErrorInTheMiddle of a result: the block at its end is that of WriteBufferFromHTTP1ServerResponse::cancelWithException, and
// the answer is not complete.
func TestErrorInTheMiddle(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	const sql = "SELECT throwIf(number = 2000000, 'in the middle') AS x, toString(sipHash64(number)) FROM numbers(2500000)"
	for _, format := range []string{"TSV", "RowBinary", "JSON", "CSVWithNames"} {
		a := post(t, ch, sql, "default_format", format, "max_threads", "1")
		require.Equal(t, http.StatusOK, a.status)
		require.ErrorIs(t, a.err, io.ErrUnexpectedEOF, format)
		m := exceptionBlock.FindStringSubmatch(a.body[len(a.body)-600:])
		require.NotNil(t, m, "%s: %q", format, a.body[len(a.body)-600:])
		require.Equal(t, a.header.Get("X-ClickHouse-Exception-Tag"), m[1])
		require.Equal(t, m[1], m[4])
		require.Equal(t, fmt.Sprint(len(m[2])), m[3])
		require.Contains(t, m[2], "in the middle")
	}
	// Early errors, and those of answers that are held back, have their own status.
	early := "SELECT throwIf(number = 70000) FROM numbers(100000)"
	requireException(t, post(t, ch, early), 500, 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO")
	requireException(t, post(t, ch, sql, "wait_end_of_query", "1"), 500, 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO")

	for name, compression := range compressions {
		t.Run("clickhouse-go "+name, func(t *testing.T) {
			t.Parallel()
			opts := ch.Options("default")
			opts.Compression = compression
			conn, err := clickhouse.Open(opts)
			require.NoError(t, err)
			defer func() { _ = conn.Close() }()
			result, err := conn.Query(clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"max_threads": 1})), sql)
			require.NoError(t, err)
			n := 0
			for result.Next() {
				n++
			}
			require.NotZero(t, n)
			require.Error(t, result.Err())
			var exception *clickhouse.Exception
			require.ErrorAs(t, result.Err(), &exception)
			require.EqualValues(t, 395, exception.Code)
			require.Contains(t, exception.Message, "in the middle")
			require.NoError(t, conn.Ping(t.Context()))

			_, err = conn.Query(t.Context(), early)
			require.ErrorAs(t, err, &exception)
			require.EqualValues(t, 395, exception.Code)
		})
	}
}

var compressions = map[string]*clickhouse.Compression{
	"none": nil, "lz4": {Method: clickhouse.CompressionLZ4}, "zstd": {Method: clickhouse.CompressionZSTD},
	"gzip": {Method: clickhouse.CompressionGZIP, Level: 3}, "deflate": {Method: clickhouse.CompressionDeflate, Level: 3},
	"brotli": {Method: clickhouse.CompressionBrotli, Level: 3},
}

// TestCompressionByClient writes and reads with each compression of clickhouse-go.
func TestCompressionByClient(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	for name, compression := range compressions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			opts := ch.Options(ch.Database(t))
			opts.Compression = compression
			conn, err := clickhouse.Open(opts)
			require.NoError(t, err)
			defer func() { _ = conn.Close() }()
			require.NoError(t, conn.Exec(ctx, "CREATE TABLE t (a UInt64, s LowCardinality(String), m Map(String, String)) ENGINE = MergeTree ORDER BY a"))
			batch, err := conn.PrepareBatch(ctx, "INSERT INTO t")
			require.NoError(t, err)
			const n = 150000
			for i := range n {
				require.NoError(t, batch.Append(uint64(i), fmt.Sprint("s", i%7), map[string]string{"k": fmt.Sprint(i)}))
			}
			require.NoError(t, batch.Send())
			result, err := conn.Query(ctx, "SELECT a, s, m FROM t ORDER BY a")
			require.NoError(t, err)
			i := 0
			for ; result.Next(); i++ {
				var a uint64
				var s string
				var m map[string]string
				require.NoError(t, result.Scan(&a, &s, &m))
				require.EqualValues(t, i, a)
				require.Equal(t, fmt.Sprint("s", i%7), s)
				require.Equal(t, fmt.Sprint(i), m["k"])
			}
			require.NoError(t, result.Err())
			require.Equal(t, n, i)
			var exception *clickhouse.Exception
			require.ErrorAs(t, conn.Exec(ctx, "SELECT * FROM nope"), &exception)
			require.EqualValues(t, 60, exception.Code)
			_, err = conn.Query(ctx, "SELECT * FROM nope")
			require.ErrorAs(t, err, &exception)
			require.EqualValues(t, 60, exception.Code)
			empty, err := conn.Query(ctx, "SELECT a FROM t WHERE a > 1e9")
			require.NoError(t, err)
			require.False(t, empty.Next())
			require.NoError(t, empty.Err())
		})
	}
}

// TestResponseEncoding is what Accept-Encoding asks for.
func TestResponseEncoding(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	decode := map[string]func(io.Reader) (io.Reader, error){
		"gzip":    func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		"deflate": func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) },
		"br":      func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil },
		"lz4":     func(r io.Reader) (io.Reader, error) { return lz4.NewReader(r), nil },
		"zstd":    func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r) },
	}
	for encoding, open := range decode {
		for _, n := range []int{1, 700000} {
			a := send(t, http.MethodPost, address(ch, "enable_http_compression", "1"), strings.NewReader(fmt.Sprintf("SELECT number FROM numbers(%d)", n)), "Accept-Encoding", encoding)
			require.NoError(t, a.err)
			require.Equal(t, encoding, a.header.Get("Content-Encoding"))
			r, err := open(strings.NewReader(a.body))
			require.NoError(t, err)
			plain, err := io.ReadAll(r)
			require.NoError(t, err)
			require.Equal(t, n, bytes.Count(plain, []byte("\n")))
		}
		// An error is compressed as the result would have been.
		a := send(t, http.MethodPost, address(ch, "enable_http_compression", "1"), strings.NewReader("SELECT nope"), "Accept-Encoding", encoding)
		require.Equal(t, http.StatusNotFound, a.status)
		r, err := open(strings.NewReader(a.body))
		require.NoError(t, err)
		plain, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Contains(t, string(plain), "UNKNOWN_IDENTIFIER")
	}
	a := send(t, http.MethodPost, address(ch, "enable_http_compression", "0"), strings.NewReader("SELECT 1"), "Accept-Encoding", "gzip")
	require.Empty(t, a.header.Get("Content-Encoding"))
	require.Equal(t, "1\n", a.body)
	require.Equal(t, "gzip", send(t, http.MethodPost, ch.URL, strings.NewReader("SELECT 1"), "Accept-Encoding", "zstd;q=0, gzip").header.Get("Content-Encoding"))
}

// TestLargeResult passes a gigabyte through memory that does not grow with it.
func TestLargeResult(t *testing.T) {
	ch := enginetest.StartClickHouse(t, chserver.Config{})
	idle := ch.RSS(t)
	t.Logf("idle RSS %d MB", idle>>20)
	for _, format := range []string{"TSV", "Native", "JSON"} {
		const size = 1 << 30
		sql := fmt.Sprintf("SELECT number, repeat('x', 1000) AS s FROM numbers(%d) FORMAT %s", size/1000, format)
		url := address(ch, "query", sql, "client_protocol_version", "54460", "max_threads", "2")
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		require.NoError(t, err)
		start := time.Now()
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		var peak int64
		var total int64
		buf := make([]byte, 1<<20)
		for {
			n, err := io.ReadFull(resp.Body, buf)
			total += int64(n)
			peak = max(peak, ch.RSS(t))
			if err != nil {
				require.True(t, errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF), err)
				break
			}
		}
		require.NoError(t, resp.Body.Close())
		t.Logf("%s: %d MB in %s, peak RSS %d MB", format, total>>20, time.Since(start).Round(time.Millisecond), peak>>20)
		require.Greater(t, total, int64(size/2))
		require.Less(t, peak-idle, int64(150<<20), format)
	}
}

// TestCancel ends the statement of a client that goes away.
func TestCancel(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	conn := ch.Conn(t, "default")
	for name, sql := range map[string]string{
		"computing": "SELECT sum(sipHash64(number)) AS cancel_me FROM numbers(1000000000000)",
		"streaming": "SELECT number AS cancel_me FROM system.numbers",
		"document":  "SELECT number AS cancel_me FROM system.numbers FORMAT JSON",
		"sleeping":  "SELECT sleepEachRow(1) AS cancel_me FROM numbers(1000) SETTINGS max_block_size = 1",
		"insert":    "INSERT INTO FUNCTION null('cancel_me UInt64') SELECT number FROM system.numbers",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		_ = conn.Exec(ctx, sql) // gives no error when the result had begun
		cancel()
		t.Log(name)
	}
	require.Eventually(t, func() bool {
		return ch.Exec(t, "SELECT count() FROM system.processes WHERE query LIKE '%cancel_me%' AND query NOT LIKE '%processes%'") == "0\n"
	}, 2*time.Minute, 50*time.Millisecond)
	require.NoError(t, conn.Ping(t.Context()))
}

func TestKillQueryAndIDs(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	done := make(chan answer, 1)
	go func() {
		done <- post(t, ch, "SELECT sum(sipHash64(number)) FROM numbers(1000000000000)", "query_id", "kill me 'x'")
	}()
	require.Eventually(t, func() bool {
		return strings.Contains(ch.Exec(t, "KILL QUERY WHERE query_id = 'kill me \\'x\\'' SYNC"), "finished")
	}, 2*time.Minute, 50*time.Millisecond)
	requireException(t, <-done, 500, 394, "QUERY_WAS_CANCELLED")

	go func() {
		for {
			a := post(t, ch, "SELECT sleepEachRow(3) FROM numbers(200) SETTINGS max_block_size = 1", "query_id", "twice")
			if a.header.Get("X-ClickHouse-Exception-Code") != "216" { // Else the other query had the id.
				done <- a
				return
			}
		}
	}()
	require.Eventually(t, func() bool {
		a := post(t, ch, "SELECT 1", "query_id", "twice")
		return a.header.Get("X-ClickHouse-Exception-Code") == "216"
	}, 2*time.Minute, 10*time.Millisecond)
	require.Equal(t, "1\n", post(t, ch, "SELECT 1", "query_id", "twice", "replace_running_query", "1").body)
	require.NotEqual(t, http.StatusOK, (<-done).status)
}

func TestSessions(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	in := func(sql string, params ...string) answer {
		return post(t, ch, sql, append(params, "session_id", t.Name())...)
	}
	requireException(t, in("SELECT 1", "session_check", "1"), 500, 372, "SESSION_NOT_FOUND")
	require.Equal(t, http.StatusOK, in("CREATE TEMPORARY TABLE tmp (a Int8)").status)
	require.Equal(t, http.StatusOK, in("INSERT INTO tmp VALUES (1), (2)").status)
	require.Equal(t, "3\n", in("SELECT sum(a) FROM tmp").body)
	require.Equal(t, "3\n", in("SELECT sum(a) FROM tmp", "session_check", "1").body)
	for range 20 { // Who has the whole answer can go on at once, also when it is sent in several pieces.
		require.Len(t, in("SELECT number FROM numbers(1e4, 1e4)", "query_id", "pieces").body, 6e4)
		require.Equal(t, "1\n", in("SELECT 1", "query_id", "pieces").body)
	}
	requireException(t, post(t, ch, "SELECT * FROM tmp"), 404, 60, "UNKNOWN_TABLE")
	require.Equal(t, http.StatusOK, in("SET max_block_size = 7").status)
	require.Equal(t, "7\n", in("SELECT getSetting('max_block_size')").body)
	// What a request sets is for this request only.
	require.Equal(t, "8\n", in("SELECT getSetting('max_block_size')", "max_block_size", "8").body)
	require.Equal(t, "7\n", in("SELECT getSetting('max_block_size')").body)
	require.Equal(t, "system\n", in("SELECT currentDatabase()", "database", "system").body)
	require.Equal(t, "default\n", in("SELECT currentDatabase()").body)
	require.Equal(t, http.StatusOK, in("USE system").status)
	require.Equal(t, "system\n", in("SELECT currentDatabase()").body)
	get := send(t, http.MethodGet, address(ch, "session_id", t.Name(), "query", "DROP TABLE tmp"), nil)
	requireException(t, get, 500, 164, "READONLY")
	requireException(t, in("SELECT 1", "session_timeout", "99999"), 500, 374, "INVALID_SESSION_TIMEOUT")
	requireException(t, post(t, ch, "SELECT 1", "session_id", ""), 500, 744, "SESSION_ID_EMPTY")

	done := make(chan answer, 1)
	go func() {
		for {
			a := in("SELECT sleepEachRow(2) FROM numbers(100) SETTINGS max_block_size = 1", "query_id", t.Name())
			if a.header.Get("X-ClickHouse-Exception-Code") != "373" { // Else the other request held the session.
				done <- a
				return
			}
		}
	}()
	for in("SELECT 1").header.Get("X-ClickHouse-Exception-Code") != "373" {
		require.Empty(t, done)
	}
	require.Eventually(t, func() bool {
		return strings.Contains(ch.Exec(t, "KILL QUERY WHERE query_id = '"+t.Name()+"'"), "waiting")
	}, 2*time.Minute, 50*time.Millisecond)
	requireException(t, <-done, 500, 394, "QUERY_WAS_CANCELLED")
	require.Equal(t, "3\n", in("SELECT sum(a) FROM tmp", "close_session", "1").body)
	requireException(t, in("SELECT 1", "session_check", "1"), 500, 372, "SESSION_NOT_FOUND")
}

// TestManyClients run more statements than may run at once.
func TestManyClients(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	db := ch.Database(t)
	ch.Exec(t, "CREATE TABLE "+db+".t (a UInt64) ENGINE = MergeTree ORDER BY a")
	opts := ch.Options(db)
	opts.MaxOpenConns = 50
	conn, err := clickhouse.Open(opts)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	var wg sync.WaitGroup
	errs := make(chan error, 50)
	for client := range 50 {
		wg.Go(func() {
			for i := range 10 {
				batch, err := conn.PrepareBatch(t.Context(), "INSERT INTO t")
				if err == nil {
					if err = batch.Append(uint64(client*10 + i)); err == nil {
						err = batch.Send()
					}
				}
				var n uint64
				if err == nil {
					err = conn.QueryRow(t.Context(), "SELECT count() FROM t WHERE a = {a:UInt64}", clickhouse.Named("a", fmt.Sprint(client*10+i))).Scan(&n)
				}
				if err == nil && n != 1 {
					err = fmt.Errorf("client %d: %d rows", client, n)
				}
				if err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	require.Equal(t, "500\t124750\n", ch.Exec(t, "SELECT count(), sum(a) FROM "+db+".t"))
}

// TestQueueIsBounded answers with ClickHouse's code when too many wait.
func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	ch := enginetest.StartClickHouse(t, chserver.Config{MaxConnections: 1, MaxQueued: 1})
	// A statement that reads a pipe ends when the test lets it.
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	answers := make(chan answer, 3)
	for range 3 {
		go func() { answers <- post(t, ch, "SELECT sum(n) FROM file('"+pipe+"', 'TSV', 'n UInt8')") }()
	}
	require.Equal(t, "202", (<-answers).header.Get("X-ClickHouse-Exception-Code"), "one runs, one waits, and one is too many")
	for range 2 {
		w, err := os.OpenFile(pipe, os.O_WRONLY, 0) // Waits for the one that is to read.
		require.NoError(t, err)
		_, err = io.WriteString(w, "3\n4\n")
		require.NoError(t, errors.Join(err, w.Close()))
		require.Equal(t, "7\n", (<-answers).body)
	}
}
