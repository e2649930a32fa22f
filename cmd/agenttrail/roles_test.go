package main

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
)

// TestPostgresRoles makes the roles of deploy/postgres/roles.sql, migrates as the one that owns the tables, runs the ledger
// as the one that does not, and tries what neither the ledger nor a dashboard may.
func TestPostgresRoles(t *testing.T) {
	t.Parallel()
	owner := enginetest.StartPostgres(t).Database(t)
	passwords := map[string]string{"migrator": "m'\\1", "ledger": "l", "reader": "r"}
	rolesSQL(t, owner, passwords)
	rolesSQL(t, owner, passwords) // Again changes nothing.
	as := func(role string) string {
		u, err := url.Parse(owner)
		require.NoError(t, err)
		u.User = url.UserPassword("agenttrail_"+role, passwords[role])
		return u.String()
	}
	migrate := []string{"migrate", "postgres", "--url", as("migrator"), "--ledger-role", "agenttrail_ledger", "--reader-role", "agenttrail_reader"}
	require.Contains(t, command(t, 0, migrate...), "granted rights")
	require.Equal(t, "nothing to apply\ngranted rights\n", command(t, 0, migrate...))
	require.Contains(t, command(t, 1, "migrate", "postgres", "--url", as("migrator"), "--ledger-role", "nobody_here"), "there is no role nobody_here")
	require.Contains(t, command(t, 2, "migrate", "clickhouse", "--ledger-role", "x"), "--ledger-role is for postgres only")

	secret := strings.TrimSpace(command(t, 0, "keys", "create", "--url", as("ledger"), "--name", "test", "--scope", "admin"))
	secret = secret[strings.LastIndexByte(secret, '\n')+1:]
	p := startLedger(t, as("ledger"), "jobs: {expire_every: 200ms, seal_every: 200ms, maintain_every: 200ms}\n")
	hold, user := (&instance{addresses: addresses{Ledger: p.addr, LedgerKeyFile: writeSecretFile(t, secret)}}).fillLedger(t)
	mustAsk(t, p.addr, secret, "/v1/holds/"+hold+"/release", nil)
	require.Eventually(t, func() bool {
		return regexp.MustCompile(`(?m)^audit_logs: ok, [1-9]\d* rows in [1-9]\d* blocks, 0 newer rows`).MatchString(command(t, 0, "verify", "--url", as("ledger")))
	}, startTimeout, 200*time.Millisecond, "the trail is sealed")
	ran := func(job string) bool {
		resp, err := http.Get("http://" + p.addr + "/metrics")
		require.NoError(t, err)
		defer resp.Body.Close()
		metrics, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return regexp.MustCompile(`(?m)^agenttrail_ledger_job_runs_total\{.*job(?:_name)?="` + job + `".*outcome="success".*\} [1-9]`).Match(metrics)
	}
	for _, job := range []string{"expire", "seal", "maintain"} {
		require.Eventually(t, func() bool { return ran(job) }, startTimeout, 100*time.Millisecond, job)
	}
	require.Empty(t, failures(p.output), "of jobs")

	denied := func(role string, statements ...string) {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), as(role))
		require.NoError(t, err)
		defer conn.Close(context.Background())
		for _, s := range statements {
			_, err := conn.Exec(t.Context(), s)
			var pgErr *pgconn.PgError
			require.ErrorAs(t, err, &pgErr, s)
			require.Contains(t, []string{"42501", "25006"}, pgErr.Code, "%s: %s", s, pgErr.Message) // No right; read-only.
		}
	}
	denied("ledger", "CREATE TABLE ledger.mine (n int)", "CREATE TABLE public.mine (n int)", "CREATE SCHEMA mine", "ALTER TABLE ledger.entries DISABLE TRIGGER ALL",
		"UPDATE ledger.audit_logs SET changed_by = 'me'", "DELETE FROM ledger.user_audit_logs", "UPDATE ledger.audit_blocks SET hash = ''",
		"UPDATE ledger.entries SET amount = 0", "DELETE FROM ledger.entries", "UPDATE ledger.journal SET legs = legs", "DELETE FROM ledger.users", "DELETE FROM ledger.transactions",
		"TRUNCATE ledger.audit_logs", "TRUNCATE ledger.outbox", "UPDATE ledger.schema_migration SET version_id = 1", "SET session_replication_role = replica", "CREATE ROLE mine")
	denied("reader", "UPDATE ledger.users SET email = ''", "SET default_transaction_read_only = off; INSERT INTO ledger.sync_marks SELECT * FROM ledger.sync_marks",
		"SELECT secret_hash FROM ledger.api_keys", "SELECT * FROM ledger.idempotency_keys", "SET default_transaction_read_only = off; SELECT ledger.make_audit_partitions(40)", "CREATE TABLE public.mine (n int)")
	reader, err := pgx.Connect(t.Context(), as("reader"))
	require.NoError(t, err)
	defer reader.Close(context.Background())
	var posted int64
	require.NoError(t, reader.QueryRow(t.Context(), "SELECT posted FROM ledger.wallets WHERE user_id = $1", user).Scan(&posted))
	require.EqualValues(t, 999_000_000, posted)
	require.NoError(t, reader.QueryRow(t.Context(), "SELECT count(name) FROM ledger.api_keys").Scan(&posted))
}

func writeSecretFile(t *testing.T, secret string) string {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "key")
	require.NoError(t, err)
	_, err = f.WriteString(secret + "\n")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return f.Name()
}

// rolesSQL runs deploy/postgres/roles.sql as psql does: \getenv sets variables, :'name' quotes them, \gexec runs what the
// statement before it gives.
func rolesSQL(t *testing.T, database string, passwords map[string]string) {
	t.Helper()
	text, err := os.ReadFile("../../deploy/postgres/roles.sql")
	require.NoError(t, err)
	sql := regexp.MustCompile(`:'(\w+)_password'`).ReplaceAllStringFunc(string(text), func(v string) string {
		return "'" + strings.ReplaceAll(passwords[strings.TrimSuffix(v[2:], "_password'")], "'", "''") + "'"
	})
	conn, err := pgx.Connect(t.Context(), database)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	var statement strings.Builder
	body := false // Within $$.
	for line := range strings.Lines(sql) {
		if strings.HasPrefix(line, `\`) || strings.HasPrefix(line, "--") {
			continue
		}
		if strings.Count(line, "$$")%2 == 1 {
			body = !body
		}
		gexec := strings.Contains(line, `\gexec`)
		statement.WriteString(strings.Replace(line, `\gexec`, "", 1))
		if body || !gexec && !strings.HasSuffix(strings.TrimSpace(line), ";") {
			continue
		}
		if gexec {
			var made string
			require.NoError(t, conn.QueryRow(t.Context(), statement.String()).Scan(&made), statement.String())
			statement.Reset()
			statement.WriteString(made)
		}
		_, err := conn.Exec(t.Context(), statement.String())
		require.NoError(t, err, statement.String())
		statement.Reset()
	}
	require.Empty(t, strings.TrimSpace(statement.String()))
}
