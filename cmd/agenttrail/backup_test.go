package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/embedded"
	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
	"github.com/agenttrail/agenttrail/schema/backup"
)

// TestBackupAndRestore runs the commands of docs/backup.md on one machine: traffic, a backup, the loss of everything, a
// restore. Every table of both databases must be what it was, and so must what the collector had acknowledged and could not
// store: rows that wait, a dead letter, and the memory of requests.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	dir := filepath.Join(work, ".data")
	in := startUp(t, dir)
	command(t, 0, "demo", "--data", dir, "--runs", "1500", "--history", "72h", "--rate", "0", "--seed", "5")
	hold, payer := in.fillLedger(t)
	known := in.leaveUnstored(t)
	require.Contains(t, command(t, 1, "backup", "--data", dir, "--to", filepath.Join(work, "too-early")), "in use")
	in.stop(t)
	command(t, 0, "backup", "--data", dir, "--to", filepath.Join(work, "backups", "sunday")) // What can be stored is stored.

	var clickHouse, postgres map[string]string
	engines(t, dir, func(ch, pg string) { clickHouse, postgres = clickHousePrint(t, ch), postgresPrint(t, pg) })
	require.Greater(t, len(clickHouse), 12, "tables and views of ClickHouse")
	require.Greater(t, len(postgres), 30, "tables of Postgres")

	runDocument(t, work, "../../docs/backup.md", "## One machine")

	store := func(pg string) *pgstore.Store {
		s, err := pgstore.Open(t.Context(), pgstore.Settings{URL: pg, MaxConns: 2})
		require.NoError(t, err)
		return s
	}
	engines(t, dir, func(ch, pg string) {
		require.Equal(t, clickHouse, clickHousePrint(t, ch))
		require.Equal(t, postgres, postgresPrint(t, pg))
		require.Contains(t, command(t, 0, "verify", "--url", pg), "books: ok")

		// What came after the last seal is sealed, although the numbers of transactions have begun anew.
		s := store(pg)
		defer s.Close()
		require.Eventually(t, func() bool { // The server's own transactions hold it up, too.
			require.NoError(t, s.SealAudit(t.Context()))
			report, err := s.VerifyAudit(t.Context(), ledger.System("test"), ledger.TrailTransactions)
			require.NoError(t, err)
			require.Empty(t, report.Problems)
			return report.Unsealed == 0 && report.Sealed > 0
		}, startTimeout, 50*time.Millisecond)
	})

	in = startUp(t, dir)
	in.answers(t, "1", "SELECT count() FROM agenttrail.RequestLog WHERE executionId = 'unstored-run'", "the row that waited")
	letters := command(t, 0, "deadletter", "list", "--dir", filepath.Join(dir, journalFolder))
	require.Contains(t, letters, "AgentLog")
	command(t, 0, "deadletter", "replay", "--all", "--dir", filepath.Join(dir, journalFolder), "--clickhouse", in.ClickHouse)
	in.answers(t, "1", "SELECT count() FROM agenttrail.AgentLog WHERE message = 'found 3 flights and 2 trains' AND executionId = 'rejected-run'", "the dead letter")

	// A client that has not seen the acknowledgement, before the backup, sends again.
	status, text, err := in.post("traces", "application/json", known)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status, text)
	status, text, err = in.post("traces", "application/json", example(t, "one-run.json", "later-run"))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status, text)
	in.answers(t, "1", "SELECT count() FROM agenttrail.AgentExecution WHERE id = 'later-run'")
	in.answers(t, "1", "SELECT count() FROM agenttrail.AgentExecution WHERE id = 'known-run'", "a request that came again")

	// The ledger goes on where it was. Its key is not in the backup: there is a new one.
	secret, err := os.ReadFile(in.LedgerKeyFile)
	require.NoError(t, err)
	a, err := askLedger(t.Context(), in.Ledger, strings.TrimSpace(string(secret)), http.MethodPost, "/v1/holds/"+hold+"/capture", "after-restore", map[string]any{"amount": "0.5"})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, a.status, a.text)
	a, err = askLedger(t.Context(), in.Ledger, strings.TrimSpace(string(secret)), http.MethodGet, "/v1/users/"+payer+"/balance", "", nil)
	require.NoError(t, err)
	require.Equal(t, "998.5", a.at("available"), a.text)

	in.restoreBeside(t, filepath.Join(work, "backups", "monday"))
}

// A backup that root makes leaves a journal to the user whose it is.
func TestBackupKeepsOwner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	owner := os.Geteuid()
	if owner == 0 {
		owner = 65532
		require.NoError(t, os.Chown(dir, owner, owner))
	}
	to := filepath.Join(t.TempDir(), "b")
	deadLetters(t, dir)
	command(t, 0, "backup", "--to", to, "--only", "journal", "--journal", dir)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.NotEmpty(t, entries)
	for _, e := range entries {
		st, err := e.Info()
		require.NoError(t, err)
		require.EqualValues(t, owner, st.Sys().(*syscall.Stat_t).Uid, e.Name())
	}
	require.Contains(t, command(t, 0, "restore", "--from", to, "--check"), "is whole")
	require.Contains(t, command(t, 1, "backup", "--to", to+"2", "--only", "journal", "--journal", dir+".missing"), "there is no journal at")
}

// restoreBeside restores single parts of a backup into servers that are named, which are in use otherwise.
func (in *instance) restoreBeside(t *testing.T, folder string) {
	t.Helper()
	m, err := backup.Read(folder)
	require.NoError(t, err)
	require.Contains(t, command(t, 1, "restore", "--from", folder, "--only", "clickhouse", "--clickhouse-url", in.ClickHouse), "into an empty database only")
	require.Contains(t, command(t, 1, "restore", "--from", folder, "--only", "postgres", "--postgres-url", in.Postgres), "into an empty database only")
	require.Contains(t, command(t, 2, "restore", "--from", folder), "say where postgres is")
	require.Contains(t, command(t, 2, "restore", "--from", folder, "--only", "everything", "--data", in.dir), "choose of postgres, clickhouse and journal")
	require.Contains(t, command(t, 1, "restore", "--from", folder, "--only", "journal", "--journal", filepath.Join(in.dir, journalFolder)), "is not empty")

	command(t, 0, "restore", "--from", folder, "--only", "clickhouse", "--clickhouse-url", in.ClickHouse, "--database", "copy")
	for _, table := range m.ClickHouse.Tables {
		if table.Name == "AgentExecution" || table.Name == "Span" {
			require.Equal(t, strconv.FormatInt(table.Rows(), 10), in.query(t, "SELECT count() FROM copy."+table.Name))
		}
	}
	conn, err := pgx.Connect(t.Context(), in.Postgres)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "CREATE DATABASE copy")
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
	beside := strings.Replace(in.Postgres, "/agenttrail?", "/copy?", 1)
	require.NotEqual(t, in.Postgres, beside)
	command(t, 0, "restore", "--from", folder, "--only", "postgres", "--postgres-url", beside)
	require.Contains(t, command(t, 0, "verify", "--url", beside), "books: ok")

	// One bit of one file.
	for _, table := range m.Postgres.Tables {
		if table.Name == "entries" {
			file := filepath.Join(folder, filepath.FromSlash(table.File.Name))
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			text[len(text)/2] ^= 1
			require.NoError(t, os.WriteFile(file, text, 0o600))
			require.Contains(t, command(t, 1, "restore", "--from", folder, "--check"), "postgres/ledger.entries.copy.zst of the backup is damaged")
		}
	}
	require.NoError(t, os.Remove(filepath.Join(folder, "manifest.json")))
	require.Contains(t, command(t, 1, "restore", "--from", folder, "--check"), "no complete backup")
	require.Contains(t, command(t, 1, "backup", "--data", in.dir, "--to", folder), "is not empty")
}

// fillLedger settles some runs and leaves one open. It returns its hold, and the user who has 999 credits left of 1000
// when 1 is captured of the two that it holds, and 998.5 when half of one is.
func (in *instance) fillLedger(t *testing.T) (hold, user string) {
	t.Helper()
	text, err := os.ReadFile(in.LedgerKeyFile)
	require.NoError(t, err)
	key := strings.TrimSpace(string(text))
	user = mustAsk(t, in.Ledger, key, "/v1/users", map[string]any{"email": "backup@example.com"}).at("id")
	mustAsk(t, in.Ledger, key, "/v1/agents", map[string]any{"slug": "saver", "name": "Saver", "category": "test", "ownerId": user, "version": map[string]any{"pricing": map[string]any{"perExecution": "1"}}})
	mustAsk(t, in.Ledger, key, "/v1/grants", map[string]any{"userId": user, "category": "paid", "amount": "1000"})
	mandate := mustAsk(t, in.Ledger, key, "/v1/mandates", map[string]any{"userId": user, "rules": map[string]any{"maxPerDay": "100"}}).at("id")
	open := map[string]any{"userId": user, "mandateId": mandate, "agent": "saver", "amount": "1"}
	mustAsk(t, in.Ledger, key, "/v1/holds/"+mustAsk(t, in.Ledger, key, "/v1/authorizations", open).at("hold", "id")+"/capture", map[string]any{"amount": "1"})
	open["amount"], open["ttlSeconds"] = "2", 7200
	return mustAsk(t, in.Ledger, key, "/v1/authorizations", open).at("hold", "id"), user
}

// leaveUnstored makes ClickHouse refuse some rows for now and others for good, and returns a request that was stored.
func (in *instance) leaveUnstored(t *testing.T) (known []byte) {
	t.Helper()
	send := func(signal string, body []byte) {
		t.Helper()
		status, text, err := in.post(signal, "application/json", body)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status, text)
	}
	known = example(t, "one-run.json", "known-run")
	send("traces", known)
	in.answers(t, "1", "SELECT count() FROM agenttrail.RequestLog WHERE executionId = 'known-run'")
	in.query(t, "ALTER TABLE agenttrail.RequestLog MODIFY SETTING parts_to_throw_insert = 1")
	in.query(t, "ALTER TABLE agenttrail.AgentLog ADD CONSTRAINT wanted CHECK executionId != 'rejected-run'")
	send("traces", example(t, "one-run.json", "unstored-run"))
	send("logs", example(t, "one-run-logs.json", "rejected-run"))
	in.answers(t, "1", "SELECT count() FROM agenttrail.AgentExecution WHERE id = 'unstored-run'")
	require.Eventually(t, func() bool {
		out, err := agenttrail(t.Context(), "deadletter", "list", "--dir", filepath.Join(in.dir, journalFolder)).Output()
		return err == nil && bytes.Contains(out, []byte("AgentLog"))
	}, startTimeout, 50*time.Millisecond, "a dead letter")
	require.Equal(t, "0", in.query(t, "SELECT count() FROM agenttrail.RequestLog WHERE executionId = 'unstored-run'"))
	return known
}

// example is a request of the examples folder for another run, an hour ago.
func example(t *testing.T, file, run string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../examples", file))
	require.NoError(t, err)
	trace := fmt.Sprintf("%x", run+strings.Repeat(".", 16))[:32]
	text = []byte(strings.NewReplacer("run-2026-0001", run, "20261123090000000000000000000001", trace).Replace(string(text)))
	shift := time.Now().Add(-time.Hour).Truncate(time.Hour).UnixNano() - 1795424400000000000
	return regexp.MustCompile(`\b\d{19}\b`).ReplaceAllFunc(text, func(n []byte) []byte {
		at, err := strconv.ParseInt(string(n), 10, 64)
		require.NoError(t, err)
		return strconv.AppendInt(nil, at+shift, 10)
	})
}

// engines runs the databases of a data folder, and nothing else, for the time of use.
func engines(t *testing.T, dir string, use func(clickHouse, postgres string)) {
	t.Helper()
	s := &embedded.Server{
		Dir: dir, Logger: slog.New(slog.DiscardHandler),
		ClickHouse: embedded.ClickHouseConfig{Addr: anyPort, Env: []string{envRunMain + "=1"}},
		Postgres:   embedded.PostgresConfig{Addr: anyPort},
	}
	require.NoError(t, s.Start(t.Context()))
	defer func() {
		stopping, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, s.Shutdown(stopping))
	}()
	use(s.ClickHouseURL(), s.PostgresURL())
}

// clickHousePrint has the number of rows and a hash over all of each table; of states, what comes out of them.
func clickHousePrint(t *testing.T, url string) map[string]string {
	t.Helper()
	in := &instance{addresses: addresses{ClickHouse: url}}
	prints := map[string]string{}
	for table := range strings.Lines(in.query(t, `SELECT name, if(engine = 'ReplacingMergeTree', 'FINAL', '') FROM system.tables
		WHERE database = 'agenttrail' AND (engine IN ('MergeTree', 'ReplacingMergeTree') OR name IN ('AgentMetrics', 'UserAgentUsage', 'SystemErrorGroups'))`)) {
		name, final, _ := strings.Cut(strings.TrimSuffix(table, "\n"), "\t")
		columns := "*"
		switch name {
		case "SchemaMigration":
			columns = "* EXCEPT appliedAt"
		case "SystemErrorGroups": // Of two tellings of the last error it takes any.
			columns = "* EXCEPT (errorCode, errorType, component, message, details, traceId)"
		}
		prints[name] = in.query(t, "SELECT count(), sum(sipHash64(formatRowNoNewline('JSONEachRow', "+columns+"))) FROM agenttrail."+name+" "+final)
	}
	prints["AgentMetricsTotal"] = in.query(t, "SELECT count(), sum(sipHash64(formatRowNoNewline('JSONEachRow', *))) FROM agenttrail.AgentMetricsTotal(from = '2000-01-01 00:00:00', to = '2100-01-01 00:00:00')")
	return prints
}

// postgresPrint has the number of rows and a hash over all of each table and sequence, but for numbers of transactions.
func postgresPrint(t *testing.T, url string) map[string]string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), `SELECT format('%I.%I', schemaname, tablename), format($$SELECT count(*) || ' ' || coalesce(md5(string_agg(r, ',' ORDER BY r)), '') FROM (SELECT (to_jsonb(t) - '{xid,horizon}'::text[])::text AS r FROM %I.%I t) l$$, schemaname, tablename)
		FROM pg_tables WHERE schemaname IN ('ledger', 'river') AND tablename NOT IN ('schema_migration', 'river_migration')
		UNION ALL SELECT format('%I.%I', schemaname, sequencename), format('SELECT last_value || '' '' || is_called FROM %I.%I', schemaname, sequencename) FROM pg_sequences WHERE schemaname IN ('ledger', 'river') AND sequencename NOT LIKE 'schema_migration%'`)
	require.NoError(t, err)
	queries, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Name, Query string }])
	require.NoError(t, err)
	prints := map[string]string{}
	for _, q := range queries {
		var text string
		require.NoError(t, conn.QueryRow(t.Context(), q.Query).Scan(&text), q.Name)
		prints[q.Name] = text
	}
	return prints
}

// runDocument runs the lines of the first block of commands below a heading, in a folder, with this program as agenttrail.
func runDocument(t *testing.T, dir, file, heading string) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	_, below, found := strings.Cut(string(text), heading+"\n")
	require.True(t, found, heading)
	block := regexp.MustCompile("(?s)```sh\n(.*?)```").FindStringSubmatch(below)
	require.NotNil(t, block)
	bin := t.TempDir()
	self, err := filepath.Abs(os.Args[0])
	require.NoError(t, err)
	script := "#!/bin/sh\n" + envRunMain + "=1 exec '" + self + "' \"$@\"\n"
	require.NoError(t, os.WriteFile(filepath.Join(bin, "agenttrail"), []byte(script), 0o700))
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", block[1])
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s\n%s", block[1], out)
	t.Logf("%s\n%s", block[1], out)
}
