package chserver_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
)

// table makes a table (a Int64, s String) and gives its full name.
func table(t *testing.T, ch *enginetest.CH) string {
	t.Helper()
	name := ch.Database(t) + ".t"
	ch.Exec(t, "CREATE TABLE "+name+" (a Int64, s String DEFAULT 'd') ENGINE = MergeTree ORDER BY a")
	return name
}

// rows gives the table's rows as text.
func rows(t *testing.T, ch *enginetest.CH, table string) string {
	t.Helper()
	return ch.Exec(t, "SELECT a, s FROM "+table+" ORDER BY a, s FORMAT CSV")
}

func TestInsertForms(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	const want = "1,\"x\"\n2,\"d\"\n"
	for name, c := range map[string]struct{ query, body string }{
		"values in body":             {"", "INSERT INTO $ (a, s) VALUES (1, 'x'), (2, 'd')"},
		"values split":               {"INSERT INTO $ (a, s) VALUES", "(1, 'x'), (2, 'd')"},
		"values in url":              {"INSERT INTO $ (a, s) VALUES (1, 'x'), (2, 'd')", ""},
		"values with expressions":    {"", "INSERT INTO $ (a, s) VALUES (0 + 1, 'x'), (2, DEFAULT)"},
		"values with semicolon":      {"", "INSERT INTO $ (a, s) VALUES (1, 'x'), (2, 'd');"},
		"json lines in body":         {"", "INSERT INTO $ FORMAT JSONEachRow\n{\"a\":1,\"s\":\"x\"}\n{\"a\":2}\n"},
		"json lines on one line":     {"", "INSERT INTO $ FORMAT JSONEachRow {\"a\":1,\"s\":\"x\"} {\"a\":2}"},
		"json lines split":           {"INSERT INTO $ FORMAT JSONEachRow", "{\"a\":1,\"s\":\"x\"}\n{\"a\":2}"},
		"settings":                   {"INSERT INTO $ SETTINGS input_format_null_as_default = 1, async_insert = 1, wait_for_async_insert = 1 FORMAT JSONEachRow", "{\"a\":1,\"s\":\"x\"}\n{\"a\":2,\"s\":null}"},
		"csv":                        {"INSERT INTO $ (s, a) FORMAT CSV", "\"x\",1\n\"d\",2\n"},
		"tsv":                        {"INSERT INTO $ FORMAT TabSeparated", "1\tx\n2\td\n"},
		"tsv in body":                {"", "INSERT INTO $ FORMAT TSV\n1\tx\n2\td\n"},
		"row binary":                 {"INSERT INTO $ FORMAT RowBinary", "\x01\x00\x00\x00\x00\x00\x00\x00\x01x\x02\x00\x00\x00\x00\x00\x00\x00\x01d"},
		"native":                     {"INSERT INTO $ FORMAT Native", "\x02\x02\x01a\x05Int64\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x01s\x06String\x01x\x01d"},
		"comments and line breaks":   {"", "-- FORMAT CSV\nINSERT /* VALUES ( */ INTO\n\t$ -- x\n(a, s)\n# y\nFORMAT\nCSV\n1,x\n2,d\n"},
		"quoted names":               {"", "INSERT INTO TABLE $ (`a`, \"s\") FORMAT Values (1, 'x'), (2, 'd')"},
		"select":                     {"", "INSERT INTO $ SELECT 1, 'x' UNION ALL SELECT 2, 'd'"},
		"select in brackets":         {"", "INSERT INTO $ (a, s) (SELECT 1, 'x' UNION ALL SELECT 2, 'd')"},
		"with select":                {"", "INSERT INTO $ WITH 'x' AS y SELECT 1, y UNION ALL SELECT 2, 'd'"},
		"with before insert":         {"", "WITH q AS (SELECT 1 AS a, 'x' AS s UNION ALL SELECT 2, 'd') INSERT INTO $ SELECT * FROM q"},
		"select from values":         {"", "INSERT INTO $ SELECT * FROM values('a Int64, s String', (1, 'x'), (2, 'd'))"},
		"input function":             {"INSERT INTO $ SELECT a, lower(s) FROM input('a Int64, s String') FORMAT CSV", "1,X\n2,D\n"},
		"lower case":                 {"", "insert into $ (a, s) values (1, 'x'), (2, 'd')"},
		"values with quotes":         {"", "INSERT INTO $ VALUES (1, 'x'), (2, 'd') -- it's done; really"},
		"table by parameter":         {"INSERT INTO {tab:Identifier}.t FORMAT CSV", "1,x\n2,d\n"},
		"several blocks of settings": {"INSERT INTO $ SETTINGS max_insert_block_size = 1 FORMAT CSV", "1,x\n2,d\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tab := table(t, ch)
			a := insert(t, ch, strings.ReplaceAll(c.query, "$", tab), []byte(strings.ReplaceAll(c.body, "$", tab)), "param_tab", strings.TrimSuffix(tab, ".t"))
			require.Equal(t, http.StatusOK, a.status, a.body)
			require.Empty(t, a.body)
			require.Equal(t, want, rows(t, ch, tab))
			require.Contains(t, a.header.Get("X-ClickHouse-Summary"), `"written_rows":"2"`)
		})
	}
}

func TestInsertErrors(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	tab := table(t, ch)
	requireException(t, insert(t, ch, "INSERT INTO "+tab+" FORMAT JSONEachRow", []byte(`{"a":"no number"}`)), 400, 27, "CANNOT_PARSE_INPUT_ASSERTION_FAILED")
	requireException(t, insert(t, ch, "INSERT INTO "+tab+" FORMAT JSONEachRow;", []byte(`{"a":1}`)), 400, 62, "SYNTAX_ERROR")
	requireException(t, insert(t, ch, "INSERT INTO "+tab+" (nope) FORMAT CSV", []byte("1\n")), 500, 16, "NO_SUCH_COLUMN_IN_TABLE")
	requireException(t, insert(t, ch, "INSERT INTO "+tab+" FORMAT NoSuch", []byte("1\n")), 404, 73, "UNKNOWN_FORMAT")
	requireException(t, insert(t, ch, "INSERT INTO "+tab+" FROM INFILE '/etc/passwd' FORMAT CSV", nil), 404, 78, "UNKNOWN_TYPE_OF_QUERY")
	// A body much larger than any buffer: the client must come to read the answer.
	requireException(t, insert(t, ch, "INSERT INTO "+tab+" FORMAT CSV", bytes.Repeat([]byte("x,y\n"), 8<<20)), 400, 27, "CANNOT_PARSE_INPUT_ASSERTION_FAILED")
	requireException(t, insert(t, ch, "INSERT INTO no_such FORMAT CSV", bytes.Repeat([]byte("x,y\n"), 8<<20)), 404, 60, "UNKNOWN_TABLE")
	require.Empty(t, rows(t, ch, tab))
}

// TestInsertBodyThatBreaksOff must not look like a complete one, wherever it breaks off.
func TestInsertBodyThatBreaksOff(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	tab := table(t, ch)
	row := "{\"a\":1,\"s\":\"x\"}\n"
	for name, request := range map[string]string{
		"chunked, at a row": fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(row), row),
		"length, at a row":  "Content-Length: 1000\r\n\r\n" + row,
		"inside a row":      "Content-Length: 1000\r\n\r\n" + row + row[:5],
		"after much data":   "Content-Length: 100000000\r\n\r\n" + strings.Repeat(row, 400000),
	} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", ch.Addr)
		require.NoError(t, err)
		_, err = io.WriteString(conn, "POST /?input_format_parallel_parsing=0&query=INSERT%20INTO%20"+tab+"%20FORMAT%20JSONEachRow HTTP/1.1\r\nHost: x\r\n"+request)
		require.NoError(t, err)
		require.NoError(t, conn.(*net.TCPConn).CloseWrite())
		answer, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.NotContains(t, string(answer), "HTTP/1.1 200", name)
		require.NoError(t, conn.Close())
		// Nothing of the last block is kept. (Blocks before it may be, as in ClickHouse: an insert is atomic per block.)
		if name != "after much data" {
			require.Empty(t, rows(t, ch, tab), name)
		}
	}
	require.Equal(t, "1\n", ch.Exec(t, "SELECT 1"))
}

// TestRequestCompression sends bodies with every Content-Encoding, and in ClickHouse's frames.
func TestRequestCompression(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	body := []byte("1,x\n2,d\n")
	write := func(open func(io.Writer) io.WriteCloser) []byte {
		var b bytes.Buffer
		w := open(&b)
		_, err := w.Write(body)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		return b.Bytes()
	}
	for encoding, data := range map[string][]byte{
		"gzip":    write(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }),
		"deflate": write(func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }),
		"br":      write(func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) }),
		"lz4":     write(func(w io.Writer) io.WriteCloser { return lz4.NewWriter(w) }),
		"zstd": write(func(w io.Writer) io.WriteCloser {
			z, err := zstd.NewWriter(w)
			require.NoError(t, err)
			return z
		}),
	} {
		tab := table(t, ch)
		a := send(t, http.MethodPost, address(ch, "query", "INSERT INTO "+tab+" FORMAT CSV"), bytes.NewReader(data), "Content-Encoding", encoding)
		require.Equal(t, http.StatusOK, a.status, "%s: %s", encoding, a.body)
		require.Equal(t, "1,\"x\"\n2,\"d\"\n", rows(t, ch, tab))
		// A body that breaks off is an error, not a short insert.
		a = send(t, http.MethodPost, address(ch, "query", "INSERT INTO "+tab+" FORMAT CSV"), bytes.NewReader(data[:len(data)-2]), "Content-Encoding", encoding)
		require.NotEqual(t, http.StatusOK, a.status, encoding)
	}
	for _, method := range []compress.Method{compress.None, compress.LZ4, compress.LZ4HC, compress.ZSTD} {
		tab := table(t, ch)
		w := compress.NewWriter(compress.LevelZero, method)
		var frames []byte
		for _, part := range []string{"1,x\n2", ",d\n"} {
			require.NoError(t, w.Compress([]byte(part)))
			frames = append(frames, w.Data...)
		}
		query := "INSERT INTO " + tab + " FORMAT CSV"
		a := insert(t, ch, query, frames, "decompress", "1")
		require.Equal(t, http.StatusOK, a.status, a.body)
		require.Equal(t, "1,\"x\"\n2,\"d\"\n", rows(t, ch, tab))

		requireException(t, insert(t, ch, query, frames[:len(frames)-1], "decompress", "1"), 500, 33, "CANNOT_READ_ALL_DATA")
		requireException(t, insert(t, ch, query, frames[:len(w.Data)+25], "decompress", "1"), 500, 33, "CANNOT_READ_ALL_DATA")
		frames[3] ^= 1 // in the checksum
		requireException(t, insert(t, ch, query, frames, "decompress", "1"), 500, 40, "CHECKSUM_DOESNT_MATCH")
		a = insert(t, ch, query, frames, "decompress", "1", "http_native_compression_disable_checksumming_on_decompress", "1")
		require.Equal(t, http.StatusOK, a.status, a.body)
	}
	requireException(t, insert(t, ch, "INSERT INTO x FORMAT CSV", bytes.Repeat([]byte("plain text"), 10), "decompress", "1"), 500, 39, "TOO_LARGE_SIZE_COMPRESSED")
}

// TestParquetInsert takes a format that is read from its end.
func TestParquetInsert(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	tab := table(t, ch)
	for _, format := range []string{"Parquet", "Arrow", "ORC", "Avro", "ArrowStream", "JSON", "JSONCompactEachRowWithNamesAndTypes", "Native", "MsgPack", "RowBinaryWithNamesAndTypes", "BSONEachRow"} {
		data := ch.Exec(t, "SELECT toInt64(number) AS a, concat('s', toString(number)) AS s FROM numbers(100000) FORMAT "+format)
		a := insert(t, ch, "INSERT INTO "+tab+" FORMAT "+format, []byte(data))
		require.Equal(t, http.StatusOK, a.status, "%s: %s", format, a.body)
		require.Equal(t, "100000\t4999950000\t588890\n", ch.Exec(t, "SELECT count(), sum(a), sum(length(s)) FROM "+tab), format)
		ch.Exec(t, "TRUNCATE TABLE "+tab)
	}
}

// TestDeduplicationToken is what the exporter's delivery rests on.
func TestDeduplicationToken(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	db := ch.Database(t)
	ch.Exec(t, "CREATE TABLE "+db+".t (a Int64) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 100")
	ch.Exec(t, "CREATE TABLE "+db+".sums (s Int64) ENGINE = MergeTree ORDER BY s SETTINGS non_replicated_deduplication_window = 100")
	ch.Exec(t, "CREATE MATERIALIZED VIEW "+db+".mv TO "+db+".sums AS SELECT sum(a) AS s FROM "+db+".t")
	for _, token := range []string{"t1", "t1", "t2", "t1"} {
		a := insert(t, ch, "INSERT INTO "+db+".t FORMAT CSV", []byte("1\n2\n"), "insert_deduplication_token", token, "insert_deduplicate", "1",
			"async_insert", "0", "deduplicate_insert", "enable", "deduplicate_blocks_in_dependent_materialized_views", "1")
		require.Equal(t, http.StatusOK, a.status, a.body)
	}
	require.Equal(t, "4\n", ch.Exec(t, "SELECT count() FROM "+db+".t"))
	require.Equal(t, "3\n3\n", ch.Exec(t, "SELECT s FROM "+db+".sums"))
}

// TestAggregateStates go through views and merges; they cannot be inserted as values.
func TestAggregateStates(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	db := ch.Database(t)
	ctx := t.Context()
	conn := ch.Conn(t, db)
	require.NoError(t, conn.Exec(ctx, "CREATE TABLE raw (k String, v Float64) ENGINE = MergeTree ORDER BY k"))
	require.NoError(t, conn.Exec(ctx, "CREATE TABLE agg (k String, n SimpleAggregateFunction(sum, UInt64), q AggregateFunction(quantilesDD(0.01, 0.5, 0.95), Float64)) ENGINE = AggregatingMergeTree ORDER BY k"))
	require.NoError(t, conn.Exec(ctx, "CREATE MATERIALIZED VIEW mv TO agg AS SELECT k, count() AS n, quantilesDDState(0.01, 0.5, 0.95)(v) AS q FROM raw GROUP BY k"))
	for part := range 2 {
		batch, err := conn.PrepareBatch(ctx, "INSERT INTO raw")
		require.NoError(t, err)
		for i := range 500 {
			require.NoError(t, batch.Append("k", float64(part*500+i+1)))
		}
		require.NoError(t, batch.Send())
	}
	require.NoError(t, conn.Exec(ctx, "OPTIMIZE TABLE agg FINAL"))
	var n uint64
	var q []float64
	require.NoError(t, conn.QueryRow(ctx, "SELECT sum(n), quantilesDDMerge(0.01, 0.5, 0.95)(q) FROM agg").Scan(&n, &q))
	require.EqualValues(t, 1000, n)
	require.InEpsilon(t, 500, q[0], 0.02)
	require.InEpsilon(t, 950, q[1], 0.02)
	// The state itself has no length that could be followed: an error, not a broken block.
	_, err := conn.Query(ctx, "SELECT k, q FROM agg")
	var exception *clickhouse.Exception
	require.ErrorAs(t, err, &exception)
	require.EqualValues(t, 48, exception.Code)
}

// TestExternalTables come with clickhouse-go as a form.
func TestExternalTables(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	var body bytes.Buffer
	body.WriteString("--b\r\nContent-Disposition: form-data; name=\"ids\"; filename=\"ids\"\r\n\r\n1\tx\n3\ty\n\r\n--b--\r\n")
	a := send(t, http.MethodPost, address(ch, "query", "SELECT number, s FROM numbers(10) AS n JOIN ids ON number = id ORDER BY number", "ids_structure", "id UInt64, s String"),
		&body, "Content-Type", "multipart/form-data; boundary=b")
	require.Equal(t, "1\tx\n3\ty\n", a.body)
	body.WriteString("--b\r\nContent-Disposition: form-data; name=\"ids\"; filename=\"ids\"\r\n\r\n1\n\r\n--b\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT _1 FROM ids\r\n--b--\r\n")
	a = send(t, http.MethodPost, address(ch, "ids_types", "UInt64"), &body, "Content-Type", "multipart/form-data; boundary=b")
	require.Equal(t, "1\n", a.body)
}

// TestSlowBody is streamed while it comes.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	tab := table(t, ch)
	r, w := io.Pipe()
	go func() {
		for i := range 5 {
			fmt.Fprintf(w, "%d,x\n", i)
			time.Sleep(20 * time.Millisecond) // the case is a body with pauses
		}
		_ = w.Close()
	}()
	a := send(t, http.MethodPost, address(ch, "query", "INSERT INTO "+tab+" FORMAT CSV"), r)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, "5\n", ch.Exec(t, "SELECT count() FROM "+tab))
}
