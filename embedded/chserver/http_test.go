package chserver_test

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/embedded/chserver"
	"github.com/agenttrail/agenttrail/internal/enginetest"
)

// The expected answers are those of ClickHouse's documentation of the HTTP interface (docs/interfaces/http) and of its source
// (src/Server/HTTPHandler.cpp, HTTPHandlerFactory.cpp, NotFoundHandler.cpp).

func TestHealthAndAddresses(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	for _, path := range []string{"/ping", "/", "/replicas_status"} {
		a := send(t, http.MethodGet, ch.URL+path, nil)
		require.Equal(t, http.StatusOK, a.status)
		require.Equal(t, "Ok.\n", a.body)
		a = send(t, http.MethodHead, ch.URL+path, nil)
		require.Equal(t, http.StatusOK, a.status)
		require.Empty(t, a.body)
	}
	a := send(t, http.MethodGet, ch.URL+"/no/such", nil)
	require.Equal(t, http.StatusNotFound, a.status)
	require.True(t, strings.HasPrefix(a.body, "There is no handle /no/such\n\nUse / or /ping for health checks.\n"), a.body)
}

func TestStatementPlaces(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	for name, a := range map[string]answer{
		"get":                send(t, http.MethodGet, ch.URL+"/?query=SELECT%201", nil),
		"get with semicolon": send(t, http.MethodGet, ch.URL+"/?query=SELECT%201;", nil),
		"post body":          send(t, http.MethodPost, ch.URL+"/", strings.NewReader("SELECT 1")),
		"empty query":        send(t, http.MethodPost, ch.URL+"/?query=", strings.NewReader("SELECT 1")),
		"split":              send(t, http.MethodPost, ch.URL+"/?query=SELECT", strings.NewReader("1")),
		"post url":           send(t, http.MethodPost, ch.URL+"/?query=SELECT%201", nil),
		"get with body":      send(t, http.MethodGet, ch.URL+"/?query=SELECT", strings.NewReader("1")),
		"other path":         send(t, http.MethodGet, ch.URL+"/any?query=SELECT+1", nil),
		"form content type":  send(t, http.MethodPost, ch.URL+"/", strings.NewReader("SELECT 1"), "Content-Type", "application/x-www-form-urlencoded"),
	} {
		require.Equal(t, http.StatusOK, a.status, "%s: %s", name, a.body)
		require.Equal(t, "1\n", a.body, name)
	}
	head := send(t, http.MethodHead, ch.URL+"/?query=SELECT%201", nil)
	require.Equal(t, http.StatusOK, head.status)
	require.Empty(t, head.body)

	// As documented: a line break stands between the two parts.
	requireException(t, send(t, http.MethodPost, ch.URL+"/?query=SELEC", strings.NewReader("T 1")), 400, 62, "SYNTAX_ERROR")
	requireException(t, post(t, ch, "SELECT 1; SELECT 2"), 400, 62, "SYNTAX_ERROR")
	requireException(t, post(t, ch, " -- nothing"), 400, 62, "SYNTAX_ERROR")
	requireException(t, post(t, ch, "SELEC 1"), 400, 62, "SYNTAX_ERROR")
	requireException(t, post(t, ch, "SELECT '"+strings.Repeat("x", 300<<10)+"'"), 400, 62, "SYNTAX_ERROR")
	long := post(t, ch, "SELECT length('"+strings.Repeat("x", 300<<10)+"')", "max_query_size", "1000000")
	require.Equal(t, "307200\n", long.body)
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	a := post(t, ch, "SELECT number FROM numbers(10)", "query_id", "my-id-1")
	h := a.header
	require.Equal(t, "my-id-1", h.Get("X-ClickHouse-Query-Id"))
	require.Equal(t, "TabSeparated", h.Get("X-ClickHouse-Format"))
	require.Equal(t, "UTC", h.Get("X-ClickHouse-Timezone"))
	require.Equal(t, "agenttrail", h.Get("X-ClickHouse-Server-Display-Name"))
	require.Equal(t, "text/tab-separated-values; charset=UTF-8", h.Get("Content-Type"))
	require.Len(t, h.Get("X-ClickHouse-Exception-Tag"), 16)
	require.NotEmpty(t, h.Get("Date"))
	var summary map[string]string
	require.NoError(t, json.Unmarshal([]byte(h.Get("X-ClickHouse-Summary")), &summary))
	require.Equal(t, "10", summary["read_rows"])
	require.Equal(t, "10", summary["result_rows"])
	first, second := post(t, ch, "SELECT 1"), post(t, ch, "SELECT 1")
	require.NotEqual(t, first.header.Get("X-ClickHouse-Query-Id"), second.header.Get("X-ClickHouse-Query-Id"))

	for _, c := range []struct{ format, contentType, body string }{
		{"JSONEachRow", "application/x-ndjson; charset=UTF-8", "{\"a\":1}\n"},
		{"CSV", "text/csv; charset=UTF-8; header=absent", "1\n"},
		{"CSVWithNames", "text/csv; charset=UTF-8; header=present", "\"a\"\n1\n"},
		{"RowBinary", "application/octet-stream", "\x01"},
		{"Native", "application/octet-stream", "\x01\x01\x01a\x05UInt8\x01"},
		{"Values", "text/plain; charset=UTF-8", "(1)"},
		{"TSVWithNames", "text/tab-separated-values; charset=UTF-8", "a\n1\n"},
	} {
		for _, a := range []answer{
			post(t, ch, "SELECT 1 AS a FORMAT "+c.format),
			post(t, ch, "SELECT 1 AS a", "default_format", c.format),
			send(t, http.MethodPost, ch.URL+"/?default_format=XML", strings.NewReader("SELECT 1 AS a"), "X-ClickHouse-Format", c.format),
		} {
			require.Equal(t, c.contentType, a.header.Get("Content-Type"), c.format)
			require.Equal(t, c.format, a.header.Get("X-ClickHouse-Format"))
			require.Equal(t, c.body, a.body)
		}
	}
	require.Contains(t, post(t, ch, "SELECT 1 FORMAT JSON").header.Get("Content-Type"), "application/json")
}

func TestExceptions(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	// Status by code: src/Server/HTTP/exceptionCodeToHTTPStatus.cpp.
	for _, c := range []struct {
		sql          string
		status, code int
		name         string
	}{
		{"SELECT * FROM no_such_table", 404, 60, "UNKNOWN_TABLE"},
		{"SELECT * FROM no_such_database.t", 404, 81, "UNKNOWN_DATABASE"},
		{"SELECT no_such_function(1)", 404, 46, "UNKNOWN_FUNCTION"},
		{"SELECT no_such_column", 404, 47, "UNKNOWN_IDENTIFIER"},
		{"SELECT 1 FORMAT NoSuchFormat", 404, 73, "UNKNOWN_FORMAT"},
		{"SELECT 1 SETTINGS no_such_setting = 1", 404, 115, "UNKNOWN_SETTING"},
		{"SELECT toInt64('x')", 400, 6, "CANNOT_PARSE_TEXT"},
		{"SELECT throwIf(1)", 500, 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"},
		{"SELECT 1 INTO OUTFILE '/tmp/x'", 500, 358, "INTO_OUTFILE_NOT_ALLOWED"},
		{"SELECT sleepEachRow(0.1) FROM numbers(100) SETTINGS max_execution_time = 0.3, max_block_size = 1", 408, 159, "TIMEOUT_EXCEEDED"},
		{"INSERT INTO no_such_table FORMAT JSONEachRow {}", 404, 60, "UNKNOWN_TABLE"},
	} {
		requireException(t, post(t, ch, c.sql), c.status, c.code, c.name)
	}
	requireException(t, post(t, ch, "SELECT 1", "no_such_setting", "1"), 404, 115, "UNKNOWN_SETTING")
	requireException(t, post(t, ch, "SELECT 1", "max_block_size", "many"), 400, 27, "CANNOT_PARSE_INPUT_ASSERTION_FAILED")
	requireException(t, post(t, ch, "SELECT 1", "database", "no_such_database"), 404, 81, "UNKNOWN_DATABASE")
	requireException(t, post(t, ch, "SELECT 1", "role", "no_such_role"), 404, 511, "UNKNOWN_ROLE")
	requireException(t, send(t, http.MethodPost, ch.URL, strings.NewReader("SELECT 1"), "Content-Encoding", "nope"), 501, 48, "NOT_IMPLEMENTED")
}

func TestGetIsReadOnly(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	db := ch.Database(t)
	sql := "CREATE TABLE " + db + ".t (a Int8) ENGINE = Memory"
	requireException(t, send(t, http.MethodGet, address(ch, "query", sql), nil), 500, 164, "READONLY")
	// GET sets readonly=2, which lets settings through.
	require.Equal(t, "3\n", send(t, http.MethodGet, address(ch, "query", "SELECT getSetting('max_threads')", "max_threads", "3"), nil).body)
	require.Equal(t, http.StatusOK, post(t, ch, sql).status)
	requireException(t, send(t, http.MethodGet, address(ch, "query", "INSERT INTO "+db+".t VALUES (1)"), nil), 500, 164, "READONLY")
	requireException(t, post(t, ch, "DROP TABLE "+db+".t", "readonly", "1"), 500, 164, "READONLY")
}

func TestSettingsAndParameters(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	for range 30 { // more than connections are kept
		require.Equal(t, "7\n", post(t, ch, "SELECT getSetting('max_block_size')", "max_block_size", "7").body)
		require.NotEqual(t, "7\n", post(t, ch, "SELECT getSetting('max_block_size')").body)
	}
	require.Equal(t, "7\n", post(t, ch, "SELECT getSetting('max_block_size') SETTINGS max_block_size = 7").body)
	require.Equal(t, http.StatusOK, post(t, ch, "SET max_block_size = 7").status)
	require.NotEqual(t, "7\n", post(t, ch, "SELECT getSetting('max_block_size')").body)
	require.Equal(t, "2\n", post(t, ch, "SELECT getSetting('max_threads')", "max_threads", "1", "max_threads", "2").body)

	// Parameters: "values are in TabSeparated (Escaped) form".
	require.Equal(t, "5\ta\\tb\n", post(t, ch, "SELECT {x:UInt32}, {s:String}", "param_x", "5", "param_s", `a\tb`).body)
	require.Equal(t, "['a','b']\n", post(t, ch, "SELECT {x:Array(String)}", "param_x", "['a','b']").body)
	require.Equal(t, "\\N\n", post(t, ch, "SELECT {x:Nullable(String)}", "param_x", `\N`).body)
	require.Equal(t, "1\n", post(t, ch, "SELECT count() FROM {d:Identifier}.{t:Identifier}", "param_t", "one", "param_d", "system").body)
	require.Equal(t, "'; DROP TABLE x; --\n", strings.ReplaceAll(post(t, ch, "SELECT {x:String}", "param_x", "'; DROP TABLE x; --").body, `\'`, "'"))
	requireException(t, post(t, ch, "SELECT {x:UInt32}", "param_x", "abc"), 500, 457, "BAD_QUERY_PARAMETER")
	requireException(t, post(t, ch, "SELECT {x:UInt32}"), 500, 456, "UNKNOWN_QUERY_PARAMETER")

	db := ch.Database(t)
	require.Equal(t, db+"\n", post(t, ch, "SELECT currentDatabase()", "database", db).body)
	require.Equal(t, db+"\n", send(t, http.MethodPost, ch.URL, strings.NewReader("SELECT currentDatabase()"), "X-ClickHouse-Database", db).body)
	require.Equal(t, "default\n", post(t, ch, "SELECT currentDatabase()").body)
	// Accepted without effect.
	require.Equal(t, "1\n", post(t, ch, "SELECT 1", "quota_key", "k", "stacktrace", "1", "wait_end_of_query", "1", "buffer_size", "100",
		"send_progress_in_http_headers", "1", "cancel_http_readonly_queries_on_client_close", "1").body)
}

func TestJoinsReadThroughIndexes(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	db := ch.Database(t)
	const rows = 200_000
	ch.Exec(t, "CREATE TABLE "+db+".large (n UInt64, key String, INDEX k key TYPE bloom_filter(0.01) GRANULARITY 1) ENGINE = MergeTree ORDER BY n SETTINGS index_granularity = 1024")
	ch.Exec(t, "INSERT INTO "+db+".large SELECT number, toString(number) FROM numbers("+strconv.Itoa(rows)+")")
	ch.Exec(t, "CREATE TABLE "+db+".small (key String) ENGINE = MergeTree ORDER BY key")
	ch.Exec(t, "INSERT INTO "+db+".small VALUES ('77777'), ('150000')")
	read := func(params ...string) int {
		a := post(t, ch, "SELECT sum(n) FROM "+db+".large AS l INNER JOIN "+db+".small AS s ON l.key = s.key", params...)
		require.Equal(t, "227777\n", a.body)
		var summary struct {
			Rows string `json:"read_rows"`
		}
		require.NoError(t, json.Unmarshal([]byte(a.header.Get("X-ClickHouse-Summary")), &summary))
		n, err := strconv.Atoi(summary.Rows)
		require.NoError(t, err)
		return n
	}
	const setting = "enable_join_runtime_filters_index_analysis"
	require.Less(t, read(), rows/4)
	require.Less(t, read("session_id", db), rows/4)
	require.GreaterOrEqual(t, read(setting, "0"), rows, "a client can turn it off")
	require.GreaterOrEqual(t, read(setting, "0", "session_id", db), rows)
	require.Less(t, read("session_id", db), rows/4)
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	name := table(t, ch)
	const setting = "min_free_disk_bytes_to_perform_insert"
	require.Equal(t, "67108864\n", ch.Exec(t, "SELECT getSetting('"+setting+"')"))
	insert := "INSERT INTO " + name + " (a) VALUES (1)"
	require.Empty(t, ch.Exec(t, insert))
	// More than any disk has.
	requireException(t, post(t, ch, insert, setting, "1000000000000000000"), 500, 243, "NOT_ENOUGH_SPACE")
}

func TestUsers(t *testing.T) {
	t.Parallel()
	ch := enginetest.StartClickHouse(t, chserver.Config{Users: []chserver.User{
		{Name: "default", Password: "se:cret"}, {Name: "grafana", Password: "g", ReadOnly: true},
	}})
	user := func(headers ...string) answer {
		return send(t, http.MethodPost, ch.URL, strings.NewReader("SELECT 1"), headers...)
	}
	ok := func(a answer) {
		t.Helper()
		require.Equal(t, "1\n", a.body)
	}
	refused := func(a answer) {
		t.Helper()
		requireException(t, a, 403, 516, "AUTHENTICATION_FAILED")
	}
	ok(user("X-ClickHouse-User", "default", "X-ClickHouse-Key", "se:cret"))
	ok(user("X-ClickHouse-Key", "se:cret"))
	ok(user("Authorization", "Basic ZGVmYXVsdDpzZTpjcmV0")) // default:se:cret
	ok(post(t, ch, "SELECT 1", "user", "default", "password", "se:cret"))
	ok(post(t, ch, "SELECT 1", "password", "se:cret"))
	refused(user())
	refused(user("X-ClickHouse-User", "nobody", "X-ClickHouse-Key", "se:cret"))
	refused(user("X-ClickHouse-Key", "wrong"))
	refused(user("Authorization", "Bearer x"))
	refused(post(t, ch, "SELECT 1", "user", "default", "password", ""))
	refused(send(t, http.MethodPost, address(ch, "password", "se:cret"), strings.NewReader("SELECT 1"), "X-ClickHouse-Key", "se:cret"))
	refused(user("X-ClickHouse-Key", "se:cret", "Authorization", "Basic ZGVmYXVsdDpzZTpjcmV0"))
	// Health needs no user, as in ClickHouse.
	require.Equal(t, "Ok.\n", send(t, http.MethodGet, ch.URL+"/ping", nil).body)

	grafana := func(sql string, params ...string) answer {
		return post(t, ch, sql, append(params, "user", "grafana", "password", "g")...)
	}
	ok(grafana("SELECT 1"))
	require.Equal(t, "3\n", grafana("SELECT getSetting('max_threads')", "max_threads", "3").body)
	requireException(t, grafana("CREATE TABLE x (a Int8) ENGINE = Memory"), 500, 164, "READONLY")
	requireException(t, grafana("SET readonly = 0"), 500, 164, "READONLY")
	requireException(t, grafana("SELECT 1 SETTINGS readonly = 0"), 500, 164, "READONLY")
	requireException(t, grafana("CREATE TABLE x (a Int8) ENGINE = Memory", "readonly", "0"), 500, 164, "READONLY")
	requireException(t, grafana("CREATE TABLE x (a Int8) ENGINE = Memory", "session_id", "s"), 500, 164, "READONLY")
	requireException(t, grafana("DROP DATABASE default"), 500, 164, "READONLY")
}

// TestSystemQueries are those that clickhouse-go and Grafana's data source make.
func TestSystemQueries(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	db := ch.Database(t)
	ch.Exec(t, "CREATE TABLE "+db+".t (a Int64 COMMENT 'x', b String) ENGINE = MergeTree ORDER BY a")
	hello := strings.Split(strings.TrimSpace(ch.Exec(t, "SELECT displayName(), version(), revision(), timezone()")), "\t")
	require.Equal(t, "agenttrail", hello[0])
	require.True(t, strings.HasPrefix(hello[1], "26."))
	require.Equal(t, "UTC", hello[3])
	require.Contains(t, ch.Exec(t, "SHOW DATABASES"), db+"\n")
	require.Equal(t, "t\n", ch.Exec(t, "SHOW TABLES FROM "+db))
	require.Equal(t, "a\tInt64\nb\tString\n", ch.Exec(t, "SELECT name, type FROM system.columns WHERE database = {d:String} AND table = 't'", "param_d", db))
	require.Equal(t, "MergeTree\n", ch.Exec(t, "SELECT engine FROM system.tables WHERE database = {d:String}", "param_d", db))
	require.Equal(t, "Atomic\n", ch.Exec(t, "SELECT engine FROM system.databases WHERE name = 'default'"))
	require.Equal(t, "a\tInt64\t\t\tx\t\t\nb\tString\t\t\t\t\t\n", ch.Exec(t, "DESCRIBE TABLE "+db+".t"))
	require.Contains(t, ch.Exec(t, "EXPLAIN SELECT * FROM "+db+".t"), "Read")
	require.Contains(t, ch.Exec(t, "SELECT query FROM system.processes"), "SELECT query FROM system.processes")
	require.Equal(t, "1\n", ch.Exec(t, "EXISTS TABLE "+db+".t"))
	require.Contains(t, ch.Exec(t, "SHOW CREATE TABLE "+db+".t"), "MergeTree")
	require.Equal(t, "1\n", ch.Exec(t, "(SELECT 1 AS x) UNION DISTINCT (SELECT 1)"))
	require.Equal(t, "3\n", ch.Exec(t, "WITH x AS (SELECT 3 AS y) SELECT y FROM x"))
	require.Equal(t, "0\n", ch.Exec(t, "FROM system.one SELECT dummy"))
	require.JSONEq(t, `[["0","1","2"]]`, "["+strings.TrimSpace(ch.Exec(t, "SELECT 0::UInt64, 1::UInt64, 2::UInt64 FORMAT JSONCompactEachRow SETTINGS output_format_json_quote_64bit_integers = 1"))+"]")
}

// TestDefaultDatabase can be dropped, and is there again when it is needed.
func TestDefaultDatabase(t *testing.T) {
	t.Parallel()
	ch := enginetest.StartClickHouse(t, chserver.Config{})
	ch.Exec(t, "CREATE TABLE t (a Int8) ENGINE = MergeTree ORDER BY a")
	ch.Exec(t, "INSERT INTO t VALUES (1)")
	ch.Stop(t)
	ch.Restart(t)
	require.Equal(t, "1\n", ch.Exec(t, "SELECT a FROM default.t"))
	ch.Exec(t, "DROP DATABASE default SYNC")
	require.Equal(t, "1\n", ch.Exec(t, "SELECT 1"))
	ch.Exec(t, "CREATE TABLE t (a Int8) ENGINE = MergeTree ORDER BY a")
	ch.Stop(t)
	ch.Restart(t)
	require.Equal(t, "0\n", ch.Exec(t, "SELECT count() FROM default.t"))
}

// TestCurl runs the examples of ClickHouse's documentation with curl itself.
func TestCurl(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	db := ch.Database(t)
	curl := func(stdin string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "curl", append([]string{"-sS"}, args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}
	require.Equal(t, "Ok.\n", curl("", ch.URL+"/"))
	require.Equal(t, "1\n", curl("", ch.URL+"/?query=SELECT%201"))
	require.Equal(t, "1\n", curl("SELECT 1", ch.URL+"/", "--data-binary", "@-"))
	require.Equal(t, "1\n", curl("1", ch.URL+"/?query=SELECT", "--data-binary", "@-"))
	t.Log(curl("CREATE TABLE "+db+".t (a UInt8) ENGINE = Memory", ch.URL+"/", "--data-binary", "@-"))
	curl("", ch.URL+"/?query=INSERT%20INTO%20"+db+".t%20VALUES", "-d", "(1),(2),(3)")
	curl("INSERT INTO "+db+".t VALUES (4),(5),(6)", ch.URL+"/", "--data-binary", "@-")
	curl("(7),(8),(9)", ch.URL+"/?query=INSERT%20INTO%20"+db+".t%20VALUES", "--data-binary", "@-")
	curl("10\n11\n12\n", ch.URL+"/?query=INSERT%20INTO%20"+db+".t%20FORMAT%20TabSeparated", "--data-binary", "@-")
	require.Equal(t, "78\n", curl("", ch.URL+"/?query=SELECT%20sum(a)%20FROM%20"+db+".t"))
	require.Equal(t, "0\n1\n", curl("SELECT number FROM system.numbers LIMIT 2", ch.URL+"/?enable_http_compression=1", "-H", "Accept-Encoding: gzip", "--compressed", "--data-binary", "@-"))
	require.Equal(t, "1\n", curl("", "-u", "default:", ch.URL+"/?query=SELECT%201"))
	require.Equal(t, "Code: 62.", curl("", ch.URL+"/?query=SELEC")[:9])
}
