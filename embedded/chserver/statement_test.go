package chserver

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseStatement(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sql    string
		kind   statementKind
		format string
		data   string // what follows the statement
	}{
		{"SELECT 1", kindSelect, "", ""},
		{"SELECT format FROM t", kindSelect, "", ""},
		{"SELECT 'FORMAT CSV' FORMAT JSON", kindSelect, "JSON", ""},
		{"SELECT 1 FORMAT JSON SETTINGS max_threads = 1;", kindSelect, "JSON", ""},
		{"SELECT 1 -- FORMAT CSV", kindSelect, "", ""},
		{"SELECT (SELECT 1 FORMAT CSV)", kindSelect, "", ""},
		{"SELECT $x$ ; FORMAT CSV $x$", kindSelect, "", ""},
		{"SELECT 'a\\'; b' /* /* ; */ */", kindSelect, "", ""},
		{"((SELECT 1)) FORMAT `TSV`", kindSelect, "TSV", ""},
		{"WITH insert AS (SELECT 1) SELECT * FROM insert", kindSelect, "", ""},
		{"WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", kindOther, "", ""},
		{"CREATE TABLE t (a Int8) ENGINE = Memory", kindOther, "", ""},
		{"SHOW TABLES FORMAT JSON", kindOther, "JSON", ""},
		{"KILL QUERY WHERE query_id = 'x'", kindKill, "", ""},
		{" /* nothing */ ; ", kindEmpty, "", ""},
		{"INSERT INTO t VALUES (1)", kindInsertData, "Values", " (1)"},
		{"INSERT INTO values VALUES (1)", kindInsertData, "Values", " (1)"},
		{"INSERT INTO format FORMAT CSV\n1", kindInsertData, "CSV", "1"},
		{"INSERT INTO `a b`.\"c;d\" (`x`, y) FORMAT CSV\r\n1", kindInsertData, "CSV", "1"},
		{"INSERT INTO t FORMAT CSV  \n\n1", kindInsertData, "CSV", "\n1"},
		{"INSERT INTO t FORMAT RowBinary\n\x00'\"`", kindInsertData, "RowBinary", "\x00'\"`"},
		{"INSERT INTO TABLE FUNCTION null('a Int8') FORMAT CSV 1", kindInsertData, "CSV", "1"},
		{"INSERT INTO t (a) SETTINGS async_insert=1, x='VALUES' FORMAT JSONEachRow {\"a\":1}", kindInsertData, "JSONEachRow", "{\"a\":1}"},
		{"INSERT INTO t SELECT 1", kindOther, "", ""},
		{"INSERT INTO t (SELECT 1)", kindOther, "", ""},
		{"INSERT INTO t (a) WITH 1 AS x SELECT x", kindOther, "", ""},
		{"INSERT INTO t SELECT * FROM values('a Int8', 1)", kindOther, "", ""},
		{"INSERT INTO t SELECT a FROM input('a Int8, b String') FORMAT CSV\n1,x", kindInput, "CSV", "1,x"},
	} {
		st, err := parseStatement(c.sql, true)
		require.NoError(t, err, c.sql)
		require.Equal(t, c.kind, st.kind, c.sql)
		require.True(t, st.complete)
		require.Equal(t, c.format, st.format, c.sql)
		if c.kind == kindInsertData || c.kind == kindInput {
			require.Equal(t, c.data, c.sql[st.dataStart:], c.sql)
			require.NotContains(t, st.text, "FORMAT CSV")
		}
	}
	for _, sql := range []string{"SELECT 1; SELECT 2", "INSERT INTO t SELECT 1; DROP TABLE t", "INSERT INTO t FORMAT CSV; 1", "SELECT 1 INTO OUTFILE 'x'"} {
		_, err := parseStatement(sql, true)
		require.Error(t, err, sql)
	}
	// The beginning of a long request: where the data begins is not known before the name of the format has ended.
	for _, cut := range []string{"INSERT INTO t", "INSERT INTO t FORMAT", "INSERT INTO t FORMAT JSONEach"} {
		st, err := parseStatement(cut, false)
		require.NoError(t, err)
		require.False(t, st.complete, cut)
	}
	st, err := parseStatement("SELECT 1 FORMAT JSON SETTINGS a = 1 ; ", true)
	require.NoError(t, err)
	require.Equal(t, "SELECT 1   SETTINGS a = 1 ", st.bare)
}

func TestRewriteKill(t *testing.T) {
	t.Parallel()
	require.Equal(t, "KILL QUERY WHERE (Settings['query_cache_tag']) = 'query_id' AND user = 'x'", rewriteKill("KILL QUERY WHERE query_id = 'query_id' AND user = 'x'"))
}

// FuzzParseStatement looks for texts on which the lexer fails or runs past the end.
func FuzzParseStatement(f *testing.F) {
	f.Add("INSERT INTO t FORMAT CSV\n1", true)
	f.Add("SELECT $a$ x $a$ FORMAT `x", false)
	f.Add("WITH (SELECT '\\", true)
	f.Fuzz(func(t *testing.T, sql string, atEnd bool) {
		st, err := parseStatement(sql, atEnd)
		if err != nil {
			return
		}
		require.LessOrEqual(t, st.dataStart, len(sql))
		require.LessOrEqual(t, len(st.text), len(sql))
	})
}

// FuzzNativeWriter feeds it what no engine gives out: it may refuse, but not fail or take memory without end.
func FuzzNativeWriter(f *testing.F) {
	f.Add([]byte("\x01\x01\x01a\x05UInt8\x01"))
	f.Add([]byte("\x01\x02\x01a\x0dArray(String)\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01x"))
	f.Add([]byte("\x01\x01\x01j\x04JSON\x00\x00\x00\x00\x00\x00\x00\x00\x02\x01\x01a\x01\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var out strings.Builder
		w := &nativeWriter{w: &out, revision: revisionCustomSerialization}
		_, _ = w.Write(data)
		_ = w.Flush()
	})
}

func TestChooseEncoding(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]string{
		"": "", "gzip": "gzip", "gzip, deflate, br": "br", "gzip;q=1.0, *;q=0": "gzip", "identity": "", "deflate": "deflate",
		"gzip;q=0": "", "GZIP": "gzip", "zstd;q=0.0,lz4": "lz4",
	} {
		require.Equal(t, want, chooseEncoding(accept), accept)
	}
}
