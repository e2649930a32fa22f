package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/ledger"
)

// TestTwoLedgers runs two instances side by side on one database: limits hold across them, an answer of one is repeated by
// the other, either does the jobs alone, and one that stops in order loses nothing.
func TestTwoLedgers(t *testing.T) {
	t.Parallel()
	db := newLedgerDB(t)
	const config = "jobs: {expire_every: 100ms, seal_every: 100ms}\n"
	first, second := startLedger(t, db.url, config), startLedger(t, db.url, config)
	p := newPayer(t, first.addr, db.admin, "payer")
	noon := fmt.Sprintf("Etc/GMT%+d", time.Now().UTC().Hour()-12) // Where it is about that, so that the day does not end meanwhile.
	p.mandate = mustAsk(t, first.addr, db.admin, "/v1/mandates", map[string]any{"userId": p.user, "rules": map[string]any{"maxPerDay": "50", "timeZone": noon}}).at("id")
	run := map[string]any{"userId": p.user, "mandateId": p.mandate, "agent": p.agent, "amount": "1"}

	var captured, denied atomic.Int64
	var clients sync.WaitGroup
	for i := range 16 {
		clients.Go(func() {
			addr, other := first.addr, second.addr
			if i%2 == 1 {
				addr, other = other, addr
			}
			for range 8 {
				key := fmt.Sprintf("two-%d", ledgerKeys.Add(1))
				a, err := askPatiently(t.Context(), addr, db.admin, http.MethodPost, "/v1/authorizations", key, run)
				if err != nil {
					t.Errorf("authorize: %v", err)
					return
				}
				again, err := askPatiently(t.Context(), other, db.admin, http.MethodPost, "/v1/authorizations", key, run)
				if err != nil || again.status != a.status || again.header.Get("Idempotency-Replayed") != "true" || again.at("hold", "id") != a.at("hold", "id") {
					t.Errorf("the other instance answers %d %s, %v; the first %d %s", again.status, again.text, err, a.status, a.text)
					return
				}
				if a.status == http.StatusForbidden && a.at("type") == "/problems/mandate-denied" {
					denied.Add(1)
					continue
				}
				a, err = askPatiently(t.Context(), other, db.admin, http.MethodPost, "/v1/holds/"+a.at("hold", "id")+"/capture", key+"-capture", nil)
				if err != nil || a.status != http.StatusOK {
					t.Errorf("capture: %d %s, %v", a.status, a.text, err)
					return
				}
				captured.Add(1)
			}
		})
	}
	clients.Wait()
	require.EqualValues(t, 50, captured.Load())
	require.EqualValues(t, 16*8-50, denied.Load())
	db.checkBooks(t)

	// Both answer one request at once: one does it, the other waits, tells that it is in progress, or repeats the answer.
	body := map[string]any{"email": "once@example.com"}
	var created, replayed atomic.Int64
	for i := range 20 {
		addr := []string{first.addr, second.addr}[i%2]
		clients.Go(func() {
			for {
				a, err := askPatiently(t.Context(), addr, db.admin, http.MethodPost, "/v1/users", "both", body)
				switch {
				case err == nil && a.status == http.StatusConflict && a.at("type") == "/problems/request-in-progress":
					continue
				case err != nil || a.status != http.StatusCreated:
					t.Errorf("create user: %d %s, %v", a.status, a.text, err)
				case a.header.Get("Idempotency-Replayed") == "true":
					replayed.Add(1)
				default:
					created.Add(1)
				}
				return
			}
		})
	}
	clients.Wait()
	require.EqualValues(t, 1, created.Load())
	require.EqualValues(t, 19, replayed.Load())

	// The first stops in order while it is asked; the other goes on and does the jobs.
	open := map[string]any{"userId": p.user, "mandateId": mustAsk(t, second.addr, db.admin, "/v1/mandates", map[string]any{"userId": p.user, "rules": map[string]any{}}).at("id"), "agent": p.agent, "amount": "1"}
	var stopping atomic.Bool
	var unanswered atomic.Int64
	for range 8 {
		clients.Go(func() {
			for !stopping.Load() {
				key := fmt.Sprintf("stop-%d", ledgerKeys.Add(1))
				a, err := askPatiently(t.Context(), first.addr, db.admin, http.MethodPost, "/v1/authorizations", key, open)
				if err != nil { // It had stopped to listen.
					unanswered.Add(1)
					a, err = askPatiently(t.Context(), second.addr, db.admin, http.MethodPost, "/v1/authorizations", key, open)
				}
				if err != nil || a.status != http.StatusCreated {
					t.Errorf("authorize while stopping: %d %s, %v", a.status, a.text, err)
					return
				}
			}
		})
	}
	time.Sleep(200 * time.Millisecond)
	require.NoError(t, first.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-first.done:
	case <-time.After(startTimeout):
		require.FailNow(t, "the first does not stop")
	}
	require.Zero(t, first.cmd.ProcessState.ExitCode(), first.output)
	stopping.Store(true)
	clients.Wait()
	db.checkBooks(t)
	short := map[string]any{"userId": p.user, "mandateId": open["mandateId"], "agent": p.agent, "amount": "1", "ttlSeconds": 1}
	hold := mustAsk(t, second.addr, db.admin, "/v1/authorizations", short).at("hold", "id")
	require.Eventually(t, func() bool {
		a, err := askPatiently(t.Context(), second.addr, db.admin, http.MethodGet, "/v1/holds/"+hold, "", nil)
		return err == nil && a.at("status") == "expired"
	}, startTimeout, 20*time.Millisecond)
	require.Eventually(t, func() bool {
		report, err := db.store.VerifyAudit(t.Context(), ledger.System("test"), ledger.TrailTransactions)
		return err == nil && len(report.Problems) == 0 && report.Sealed > 0 && report.Unsealed == 0
	}, startTimeout, 20*time.Millisecond)
}

// TestLedgerCommands makes, lists, rotates and revokes keys, and finds what was tampered with, as people do.
func TestLedgerCommands(t *testing.T) {
	t.Parallel()
	db := newLedgerDB(t)
	run := func(args ...string) (string, string, error) {
		cmd := agenttrail(t.Context(), append(args, "--url", db.url)...)
		var stdout, stderr strings.Builder
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := cmd.Run()
		return strings.TrimSpace(stdout.String()), stderr.String(), err
	}
	secret, said, err := run("keys", "create", "--name", "runner", "--scope", "execute,manage", "--expires-in", "1h")
	require.NoError(t, err)
	require.NotContains(t, said, secret)
	key, err := db.store.Authenticate(t.Context(), secret)
	require.NoError(t, err)
	require.Equal(t, []ledger.Scope{ledger.ScopeExecute, ledger.ScopeManage}, key.Scopes)
	require.WithinDuration(t, time.Now().Add(time.Hour), *key.ExpiresAt, time.Minute)

	out, _, err := run("keys", "list")
	require.NoError(t, err)
	require.Contains(t, out, key.ID.String())
	require.NotContains(t, out, secret)

	successor, _, err := run("keys", "rotate", key.ID.String(), "--grace", "1h")
	require.NoError(t, err)
	for _, s := range []string{secret, successor} {
		_, err = db.store.Authenticate(t.Context(), s)
		require.NoError(t, err, "both work while the grace lasts")
	}
	next, err := db.store.Authenticate(t.Context(), successor)
	require.NoError(t, err)
	_, _, err = run("keys", "revoke", next.ID.String())
	require.NoError(t, err)
	_, err = db.store.Authenticate(t.Context(), successor)
	require.Equal(t, ledger.CodeKeyRevoked, ledger.CodeOf(err))
	out, _, err = run("keys", "list", "--all", "--json")
	require.NoError(t, err)
	var keys []ledger.APIKey
	require.NoError(t, json.Unmarshal([]byte(out), &keys))
	require.Len(t, keys, 3)

	for _, args := range [][]string{
		{"keys", "create", "--name", "x"},
		{"keys", "create", "--name", "x", "--scope", "everything"},
		{"keys", "revoke", "not-an-id"},
		{"keys", "rotate", key.ID.String(), "--grace", "-1s"},
		{"verify", "--trail", "none"},
		{"ledger", "--addr", "nowhere"},
	} {
		_, said, err := run(args...)
		require.Error(t, err, args)
		require.Contains(t, said, "agenttrail:", args)
		require.NotContains(t, said, "goroutine", args)
	}
	_, said, err = run("keys", "revoke", "019bde24-89a1-7c3e-8f10-0242ac120002")
	require.Error(t, err)
	require.Contains(t, said, "no such")

	require.Eventually(t, func() bool { // A trail is marked by one run of the job and sealed by the next.
		require.NoError(t, db.store.SealAudit(t.Context()))
		report, err := db.store.VerifyAudit(t.Context(), ledger.System("test"), ledger.TrailTransactions)
		return err == nil && report.Sealed > 0 && report.Unsealed == 0
	}, startTimeout, time.Millisecond)
	out, _, err = run("verify")
	require.NoError(t, err, out)
	require.Contains(t, out, "audit_logs: ok")
	require.Contains(t, out, "books: ok")
	db.tamper(t)
	out, said, err = run("verify")
	require.Error(t, err)
	require.Contains(t, out, "TAMPERED")
	require.Contains(t, said, "compare with a backup")
}

// TestUpServesTheLedger uses the key that the first start has made, and finds the request in RequestLog.
func TestUpServesTheLedger(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := startUp(t, dir)
	require.Equal(t, filepath.Join(dir, ledgerKeyName), in.LedgerKeyFile)
	require.Contains(t, in.output.String(), in.LedgerKeyFile)
	fi, err := os.Stat(in.LedgerKeyFile)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), fi.Mode())
	text, err := os.ReadFile(in.LedgerKeyFile)
	require.NoError(t, err)
	secret := strings.TrimSpace(string(text))
	require.NotContains(t, in.output.String(), secret)

	// The commands of the document come first.
	document, err := os.ReadFile("../../docs/ledger.md")
	require.NoError(t, err)
	commands := regexp.MustCompile("(?s)```sh\n(.*?)```").FindStringSubmatch(string(document))[1]
	commands = strings.NewReplacer("127.0.0.1:8080", in.Ledger, ".data/ledger-admin-key", in.LedgerKeyFile).Replace(commands)
	said, err := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", commands).CombinedOutput()
	require.NoError(t, err, "%s", said)
	require.Contains(t, string(said), `"posted":"19.8","held":"0","available":"19.8"`)

	p := newPayer(t, in.Ledger, secret, "payer")
	a := mustAsk(t, in.Ledger, secret, "/v1/authorizations", map[string]any{"userId": p.user, "mandateId": p.mandate, "agent": p.agent, "executionId": "run-from-ledger"})
	mustAsk(t, in.Ledger, secret, "/v1/holds/"+a.at("hold", "id")+"/capture", nil)
	got, err := askLedger(t.Context(), in.Ledger, secret, http.MethodGet, "/v1/users?email=payer%40example.com", "", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.status)
	in.answers(t, "201\tPOST\t/v1/authorizations\t/v1/authorizations\tpayer\t"+p.user+"\tagenttrail-ledger",
		"SELECT httpStatus, method, path, route, agentId, userId, serviceName FROM agenttrail.RequestLog WHERE executionId = 'run-from-ledger' AND path = '/v1/authorizations' FORMAT TSV")
	in.answers(t, "1", "SELECT count() FROM agenttrail.RequestLog WHERE executionId = 'run-from-ledger' AND route = '/v1/holds/{holdId}/capture'")
	in.answers(t, "1", "SELECT count() FROM agenttrail.RequestLog WHERE path = '/v1/users' AND method = 'GET' AND httpStatus = 200")
	for _, table := range []string{"RequestLog", "Span"} {
		require.Equal(t, "0", in.query(t, "SELECT count() FROM agenttrail."+table+" WHERE toString(tuple(*)) LIKE '%"+secret[len(secret)-20:]+"%'"), "the key is in no span")
	}
	require.Equal(t, "0", in.query(t, "SELECT count() FROM agenttrail.RequestLog WHERE toString(tuple(*)) LIKE '%payer@example.com%' OR toString(tuple(*)) LIKE '%payer\\%40example%'"), "the query is in no span")

	// A request without a valid key is in SecurityEvents, tied to its span, and what the program itself needs in SystemMetrics.
	stranger, err := askLedger(t.Context(), in.Ledger, "at_nonsense", http.MethodGet, "/v1/users", "", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusUnauthorized, stranger.status)
	in.answers(t, "auth.denied\tdenied\tGET /v1/users\t127.0.0.1\t401",
		"SELECT type, outcome, resource, ipAddress, httpStatus FROM agenttrail.SecurityEvents AS e JOIN agenttrail.RequestLog AS r USING (traceId, spanId) WHERE component = 'agenttrail-ledger' FORMAT TSV")
	in.answers(t, "1", "SELECT count() > 0 FROM agenttrail.SystemMetrics WHERE component = 'agenttrail-ledger' AND metric = 'go.goroutine.count'")

	// A failure of the service's own is in SystemErrors: somebody keeps its table locked for too long.
	conn, err := pgx.Connect(t.Context(), in.Postgres)
	require.NoError(t, err)
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "LOCK TABLE ledger.users IN ACCESS EXCLUSIVE MODE")
	require.NoError(t, err)
	failed, err := askLedger(t.Context(), in.Ledger, secret, http.MethodGet, "/v1/users", "", nil)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
	require.Equal(t, http.StatusServiceUnavailable, failed.status)
	require.NotEmpty(t, failed.header.Get("Retry-After"))
	in.answers(t, "1", "SELECT count() > 0 FROM agenttrail.SystemErrors WHERE component = 'agenttrail-ledger' AND message LIKE '%lock timeout%'")

	in.stop(t)
	in = startUp(t, dir)
	again, err := os.ReadFile(in.LedgerKeyFile)
	require.NoError(t, err)
	require.Equal(t, string(text), string(again), "a key that works is kept")
}
