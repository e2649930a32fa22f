package chserver

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/agenttrail/agenttrail/embedded/chdb"
)

// requestConnection opens a connection for one request.
func (s *Server) requestConnection(q *request) (*chdb.Conn, error) {
	conn, err := s.connect(s.requestSettings(q))
	if err != nil {
		return nil, err
	}
	if err := use(conn, q.database); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// connect opens a connection. Settings that the engine refuses are an exception with its own words.
func (s *Server) connect(settings map[string]string) (*chdb.Conn, error) {
	conn, err := s.engine.Connect(settings)
	if err == nil {
		return conn, nil
	}
	// The engine does not say why. It is a bad value, or the database "default", in which every connection begins, was
	// dropped.
	if err := s.engine.Exec("CREATE DATABASE IF NOT EXISTS default ENGINE = Atomic"); err != nil {
		return nil, fmt.Errorf("restore the database default: %w", err)
	}
	conn, err = s.engine.Connect(baseSettings())
	if err != nil {
		return nil, err
	}
	for _, name := range sortedKeys(settings) {
		if err := setSetting(conn, name, settings[name]); err != nil {
			conn.Close()
			return nil, err
		}
	}
	return conn, nil
}

// streamBlockRows is the max_block_size of a SELECT whose client sets none. The engine formats a whole block in memory before
// it gives it out, and has several under way; with its own default of 65409 rows a result of wide rows takes most of a
// gigabyte. Where rows are read from a table this is the smaller limit anyway (preferred_block_size_bytes).
const streamBlockRows = 8192

// insertRoom is the disk space, in bytes, below which an INSERT is refused with NOT_ENOUGH_SPACE. Without it one would
// begin that the disk has no room for, and the engine ends when a write fails (see package chdb).
const insertRoom = 64 << 20

// baseSettings are the server's own defaults.
func baseSettings() map[string]string {
	return map[string]string{
		"implicit_select": "0", // the embedded engine would take any unknown word for an expression
		"async_insert":    "0", // an acknowledged insert is in its table
		// A join of a large table with few rows of another reads only what an index lets through: 75 thousand rows
		// instead of 1.3 million for one run of ExecutionDetail among 430 thousand spans. ClickHouse leaves it off.
		"enable_join_runtime_filters_index_analysis": "1",
		"min_free_disk_bytes_to_perform_insert":      strconv.Itoa(insertRoom),
	}
}

// requestSettings are the settings for the connection of a request.
func (s *Server) requestSettings(q *request) map[string]string {
	settings := baseSettings()
	if q.st.kind == kindSelect {
		settings["max_block_size"] = strconv.Itoa(streamBlockRows)
		settings["output_format_parallel_formatting"] = "0" // has nothing to do: blocks are formatted one by one
	}
	for name, value := range q.settings {
		if name != "async_insert" {
			settings[name] = value
		}
	}
	settings[idSetting] = q.id
	if v := settings["readonly"]; (v == "" || v == "0") && (q.user.ReadOnly || q.get) {
		settings["readonly"] = "2" // no changes, but settings may be set
	}
	return settings
}

func setSetting(conn *chdb.Conn, name, value string) error {
	return conn.Exec("SET " + quoteName(name) + " = " + quoteString(value))
}

func use(conn *chdb.Conn, database string) error {
	if database == "" || database == "default" {
		return nil
	}
	return conn.Exec("USE " + quoteName(database))
}

// sessionConnection takes the connection of the request's named session. What the request sets is for its statement only, so it is put
// back at the end.
func (s *Server) sessionConnection(q *request) (*chdb.Conn, func(), error) {
	id := q.params.get("session_id")
	if id == "" {
		return nil, nil, newError(codeSessionIDEmpty, "Session id query parameter was provided, but it was empty")
	}
	timeout, err := sessionTimeout(q.params)
	if err != nil {
		return nil, nil, err
	}
	if q.get && q.st.kind != kindSelect && !readOnlyKeywords[q.st.first] {
		// readonly cannot be taken back from a connection, so it is not set on one that lives on.
		return nil, nil, newError(codeReadonly, "%s: Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. You should use method POST for modifying queries", q.user.Name)
	}
	key := sessionKey{user: q.user.Name, id: id}
	sess, err := s.sessions.acquire(key, timeout, q.params.get("session_check") == "1", func() (*chdb.Conn, error) {
		settings := baseSettings()
		if q.user.ReadOnly {
			settings["readonly"] = "2"
		}
		return s.connect(settings)
	})
	if err != nil {
		return nil, nil, err
	}
	closeNow := parseBool(q.params.get("close_session"))
	restore, err := overlay(sess.conn, q)
	if err != nil {
		restore()
		s.sessions.release(sess, closeNow)
		return nil, nil, err
	}
	return sess.conn, func() {
		restore()
		s.sessions.release(sess, closeNow)
	}, nil
}

// overlay sets the settings and the database of a request on the connection of a session; restore puts back what was.
// restore is never nil.
func overlay(conn *chdb.Conn, q *request) (restore func(), err error) {
	var undo []string
	restore = func() {
		for _, u := range slices.Backward(undo) {
			_ = conn.Exec(u) // a setting that cannot be put back was locked by the session itself
		}
	}
	settings := map[string]string{idSetting: q.id}
	for name, value := range q.settings {
		if name != "async_insert" {
			settings[name] = value
		}
	}
	for _, name := range sortedKeys(settings) {
		old, err := queryText(conn, "SELECT if(changed, concat(' = ', "+
			`concat('\'', replaceAll(replaceAll(value, '\\', '\\\\'), '\'', '\\\''), '\'')`+"), ' = DEFAULT') FROM system.settings WHERE name = {name:String}",
			chdb.Param{Name: "name", Value: escapeParam(name)})
		if err != nil {
			return restore, err
		}
		if err := setSetting(conn, name, settings[name]); err != nil {
			return restore, err
		}
		undo = append(undo, "SET "+quoteName(name)+old)
	}
	if q.database != "" {
		old, err := queryText(conn, "SELECT currentDatabase()")
		if err != nil {
			return restore, err
		}
		if err := conn.Exec("USE " + quoteName(q.database)); err != nil {
			return restore, err
		}
		if q.st.first != "USE" {
			undo = append(undo, "USE "+quoteName(old))
		}
	}
	return restore, nil
}

// queryText gives the one value of a query.
func queryText(conn *chdb.Conn, sql string, params ...chdb.Param) (string, error) {
	r, err := conn.Query(sql, "TabSeparatedRaw", params...)
	if err != nil {
		return "", err
	}
	defer r.Close()
	return strings.TrimSuffix(string(r.Bytes()), "\n"), nil
}

// readOnlyKeywords begin statements that change no data.
var readOnlyKeywords = map[string]bool{
	"SHOW": true, "DESCRIBE": true, "DESC": true, "EXISTS": true, "EXPLAIN": true, "CHECK": true, "SET": true, "USE": true,
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
