package clickhouse_test

import (
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/embedded/chserver"
	"github.com/agenttrail/agenttrail/exporter/column"
	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/schema"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

// TestWellFormed reads every file as XML.
func TestWellFormed(t *testing.T) {
	t.Parallel()
	files := 0
	require.NoError(t, filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		require.NoError(t, err)
		if filepath.Ext(path) != ".xml" {
			return nil
		}
		files++
		f, err := os.Open(path)
		require.NoError(t, err)
		defer f.Close()
		for d, root := xml.NewDecoder(f), ""; ; {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				require.Equal(t, "clickhouse", root, path)
				return nil
			}
			require.NoError(t, err, path)
			if start, ok := token.(xml.StartElement); ok && root == "" {
				root = start.Name.Local
			}
		}
	}))
	require.Equal(t, 5, files)
}

// usersFor is the file of users as the engine takes it, in which its only user, default, is the one of a role. Nobody has a
// password, and more grants may be added for what a test does differently.
func usersFor(t *testing.T, role string, more ...string) string {
	t.Helper()
	text, err := os.ReadFile("users.d/agenttrail.xml")
	require.NoError(t, err)
	all := regexp.MustCompile(`<password_sha256_hex from_env="\w+"/>`).ReplaceAllString(string(text), "<no_password/>")
	block := regexp.MustCompile(`(?s)<` + role + `>\s*(<no_password/>.*?)</` + role + `>`).FindStringSubmatch(all)
	require.NotNil(t, block, role)
	mine := block[1]
	for _, g := range more {
		mine = strings.Replace(mine, "<grants>", "<grants><query>"+g+"</query>", 1)
	}
	own := regexp.MustCompile(`(?s)<default>.*?</default>`)
	require.Regexp(t, own, all)
	all = own.ReplaceAllLiteralString(all, "<default>"+mine+"</default>")
	all = strings.Replace(all, "</profiles>", "<default/></profiles><quotas><default/></quotas>", 1)
	file := filepath.Join(t.TempDir(), role+".xml")
	require.NoError(t, os.WriteFile(file, []byte(all), 0o600))
	return file
}

// as runs the engine on a folder as one of the users until the function that it returns is called.
func as(t *testing.T, dir, users string) (ch *enginetest.CH, ask func(sql string) (string, int)) {
	t.Helper()
	ch = enginetest.StartClickHouse(t, chserver.Config{Path: dir, EngineArgs: []string{"--users_config=" + users, "--access_control_improvements.select_from_system_db_requires_grant=1"}})
	return ch, func(sql string) (string, int) {
		t.Helper()
		resp, err := http.Post(ch.URL, "text/plain", strings.NewReader(sql))
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return strings.TrimSpace(string(body)), resp.StatusCode
	}
}

// TestUsers has the engine check rights: it runs with each of the users as its own in turn, on one folder. What a collector,
// a dashboard, the ledger and a migration need works, and what they do not need is refused.
func TestUsers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	allowed := func(t *testing.T, ask func(string) (string, int), statements ...string) {
		t.Helper()
		for _, s := range statements {
			text, status := ask(s)
			require.Equal(t, http.StatusOK, status, "%s: %s", s, text)
		}
	}
	denied := func(t *testing.T, ask func(string) (string, int), statements ...string) {
		t.Helper()
		for _, s := range statements {
			text, status := ask(s)
			require.NotEqual(t, http.StatusOK, status, s)
			require.Regexp(t, `Code: (497|164)\.`, text, s) // ACCESS_DENIED, READONLY.
		}
	}

	// The migrator. Every materialized view works with its rights, which here is called default; the users that follow have
	// that name too, so views get the real one.
	ch, ask := as(t, dir, usersFor(t, "agenttrail_migrator"))
	_, err := schema.MigrateClickHouse(t.Context(), ch.URL, schema.ClickHouseConfig{})
	require.NoError(t, err)
	views, status := ask("SELECT name FROM system.tables WHERE database = 'agenttrail' AND engine = 'MaterializedView'")
	require.Equal(t, http.StatusOK, status, views)
	ofDefiner := func(name string) string {
		text, status := ask("SELECT count() FROM system.tables WHERE database = 'agenttrail' AND create_table_query LIKE '%DEFINER = " + name + " SQL SECURITY DEFINER%'")
		require.Equal(t, http.StatusOK, status, text)
		return text
	}
	made := strings.Fields(views)
	require.Equal(t, strconv.Itoa(len(made)), ofDefiner("default"))
	for _, view := range made {
		allowed(t, ask, "ALTER TABLE agenttrail."+view+" MODIFY SQL SECURITY DEFINER DEFINER = agenttrail_migrator")
	}
	require.Equal(t, strconv.Itoa(len(made)), ofDefiner("agenttrail_migrator"))
	denied(t, ask, "CREATE DATABASE other", "CREATE TABLE default.t (n Int8) ENGINE = Memory", "SELECT * FROM url('http://127.0.0.1:1/', TSV, 'n Int8')", "SELECT * FROM file('/etc/passwd', LineAsString)")
	ch.Stop(t)

	// The collector.
	ch, ask = as(t, dir, usersFor(t, "agenttrail_writer"))
	for table := range column.TableCount {
		row := "{}"
		if table.String() == "AgentExecution" {
			row = `{"id": "run", "agentId": "a", "userId": "u", "startedAt": "` + time.Now().UTC().Format("2006-01-02 15:04:05") + `"}`
		}
		text, status := ask("INSERT INTO agenttrail." + table.String() + " FORMAT JSONEachRow " + row)
		require.Equal(t, http.StatusOK, status, "%s: %s", table, text)
		denied(t, ask, "SELECT * FROM agenttrail."+table.String(), "ALTER TABLE agenttrail."+table.String()+" DELETE WHERE 1", "TRUNCATE TABLE agenttrail."+table.String())
	}
	allowed(t, ask, "SELECT table, name FROM system.columns WHERE database = 'agenttrail' FORMAT Null")
	days, status := ask(`SELECT extract(create_table_query, ' TTL \\S+ \\+ toIntervalDay\\((\\d+)\\)') FROM system.tables WHERE database = 'agenttrail' AND name = 'Span'`)
	require.Equal(t, http.StatusOK, status, days)
	require.Equal(t, "30", days, "it sees for how long tables keep rows")
	denied(t, ask, "INSERT INTO agenttrail.Reconciliation FORMAT JSONEachRow {}", "INSERT INTO agenttrail.ModelPrice FORMAT JSONEachRow {}", "INSERT INTO agenttrail.AgentMetricsDaily FORMAT JSONEachRow {}",
		"SELECT * FROM agenttrail.AgentMetrics", "DROP TABLE agenttrail.Span", "CREATE TABLE agenttrail.mine (n Int8) ENGINE = Memory")
	ch.Stop(t)

	// A dashboard. What the writer stored went through the materialized views.
	ch, ask = as(t, dir, usersFor(t, "agenttrail_reader"))
	runs, status := ask("SELECT sum(totalExecutions) FROM agenttrail.AgentMetrics WHERE period = 'hour'")
	require.Equal(t, http.StatusOK, status, runs)
	require.Equal(t, "1", runs)
	allowed(t, ask, "SELECT * FROM agenttrail.Span FORMAT Null", "SELECT * FROM agenttrail.UserAgentUsage FORMAT Null", "SELECT * FROM agenttrail.ExecutionTrail(id = 'x') FORMAT Null", "SELECT 1 SETTINGS max_threads = 2")
	denied(t, ask, "INSERT INTO agenttrail.Span FORMAT JSONEachRow {}", "ALTER TABLE agenttrail.Span DELETE WHERE 1", "DROP TABLE agenttrail.Span", "CREATE TABLE agenttrail.mine (n Int8) ENGINE = Memory",
		"SELECT * FROM file('/etc/passwd', LineAsString)", "SELECT 1 SETTINGS readonly = 0")
	ch.Stop(t)

	// The ledger.
	ch, ask = as(t, dir, usersFor(t, "agenttrail_ledger"))
	allowed(t, ask, "SELECT * FROM agenttrail.AgentExecution FORMAT Null", "INSERT INTO agenttrail.Reconciliation FORMAT JSONEachRow {}", "INSERT INTO agenttrail.ReconciliationRun FORMAT JSONEachRow {}")
	denied(t, ask, "INSERT INTO agenttrail.AgentExecution FORMAT JSONEachRow {}", "ALTER TABLE agenttrail.Reconciliation DELETE WHERE 1", "DROP TABLE agenttrail.Reconciliation")
	ch.Stop(t)
}

// TestSettings looks up every setting that the files name.
func TestSettings(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	known := func(table string, names ...string) {
		t.Helper()
		for _, name := range names {
			require.Equal(t, "1", strings.TrimSpace(ch.Exec(t, "SELECT count() FROM system."+table+" WHERE name = '"+name+"'")), "%s has no %s", table, name)
		}
	}
	elements := func(file, within string) (names []string) {
		t.Helper()
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		body := regexp.MustCompile(`(?s)<` + within + `>(.*?)</` + within + `>`).FindStringSubmatch(string(text))
		require.NotNil(t, body, within)
		for _, m := range regexp.MustCompile(`<(\w+)>[^<]*</`).FindAllStringSubmatch(body[1], -1) {
			names = append(names, m[1])
		}
		require.NotEmpty(t, names, within)
		return names
	}
	known("merge_tree_settings", elements("config.d/agenttrail.xml", "merge_tree")...)
	for _, profile := range []string{"agenttrail_writer", "agenttrail_reader", "agenttrail_ledger"} {
		known("settings", elements("users.d/agenttrail.xml", profile)...)
	}
}
