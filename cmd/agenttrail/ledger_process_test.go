package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
	"github.com/agenttrail/agenttrail/schema"
)

// ledgerDB is a database of the test's own with an admin key, made as people make them.
type ledgerDB struct {
	url   string
	store *pgstore.Store // To look at it from beside the service.
	admin string
}

func newLedgerDB(t *testing.T) *ledgerDB {
	t.Helper()
	return newLedgerDBOn(t, enginetest.StartPostgres(t))
}

// newLedgerDBOn makes one on a server that others use too.
func newLedgerDBOn(t *testing.T, pg *enginetest.PG) *ledgerDB {
	t.Helper()
	db := &ledgerDB{url: pg.Database(t)}
	_, err := schema.MigratePostgres(t.Context(), db.url)
	require.NoError(t, err)
	db.store, err = pgstore.Open(t.Context(), pgstore.Settings{URL: db.url, MaxConns: 4})
	require.NoError(t, err)
	t.Cleanup(db.store.Close)
	secret, err := agenttrail(t.Context(), "keys", "create", "--url", db.url, "--name", "test", "--scope", "admin").Output()
	require.NoError(t, err)
	db.admin = strings.TrimSpace(string(secret))
	return db
}

// checkBooks adds everything up anew and checks the audit trails.
func (db *ledgerDB) checkBooks(t *testing.T) {
	t.Helper()
	wrong, err := db.store.VerifyBooks(t.Context(), ledger.System("test"))
	require.NoError(t, err)
	require.Empty(t, wrong)
	for _, trail := range ledger.Trails() {
		report, err := db.store.VerifyAudit(t.Context(), ledger.System("test"), trail)
		require.NoError(t, err)
		require.Empty(t, report.Problems)
	}
}

// ledgerProcess is a running "agenttrail ledger".
type ledgerProcess struct {
	cmd    *exec.Cmd
	addr   string
	output *lockedBuffer
	done   chan struct{}
}

var ledgerAddress = regexp.MustCompile(`API on http://(\S+),`)

// startLedger starts one with a configuration that is laid over the built-in one, and waits until it is ready.
func startLedger(t *testing.T, url, config string, args ...string) *ledgerProcess {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ledger.yaml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	p := &ledgerProcess{output: &lockedBuffer{}, done: make(chan struct{})}
	p.cmd = agenttrail(context.Background(), append([]string{"ledger", "--config", file, "--url", url, "--addr", "127.0.0.1:0"}, args...)...)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	require.NoError(t, p.cmd.Start())
	go func() { _ = p.cmd.Wait(); close(p.done) }()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("output of agenttrail ledger:\n%s", p.output)
		}
	})
	require.Eventually(t, func() bool {
		select {
		case <-p.done:
			return true
		default:
		}
		m := ledgerAddress.FindStringSubmatch(p.output.String())
		if m == nil {
			return false
		}
		p.addr = m[1]
		resp, err := http.Get("http://" + p.addr + "/readyz")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}, startTimeout, 5*time.Millisecond, "agenttrail ledger is not ready:\n%s", p.output)
	require.NotEmpty(t, p.addr, "agenttrail ledger ended:\n%s", p.output)
	return p
}

// kill ends the process as kill -9 does.
func (p *ledgerProcess) kill() {
	_ = p.cmd.Process.Kill() // It may have ended.
	<-p.done
}

// ledgerAnswer is what a request to the ledger got.
type ledgerAnswer struct {
	status int
	header http.Header
	text   string
	json   map[string]any
}

func (a ledgerAnswer) at(path ...string) string {
	var v any = a.json
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// askLedger sends one request. A POST needs an idempotency key.
func askLedger(ctx context.Context, addr, secret, method, path, idempotencyKey string, body any) (ledgerAnswer, error) {
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return ledgerAnswer{}, err
		}
		reader = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+addr+path, reader)
	if err != nil {
		return ledgerAnswer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	req.Header.Set("Content-Type", "application/json")
	if idempotencyKey != "" {
		req.Header.Set("Idempotency-Key", idempotencyKey)
	}
	resp, err := ledgerClient.Do(req)
	if err != nil {
		return ledgerAnswer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return ledgerAnswer{}, err
	}
	a := ledgerAnswer{status: resp.StatusCode, header: resp.Header, text: string(text)}
	if err := json.Unmarshal(text, &a.json); err != nil {
		return a, fmt.Errorf("read answer %q: %w", text, err)
	}
	return a, nil
}

// askPatiently is askLedger, again with the same key for as long as the ledger asks to come back later: on a busy machine it
// does so now and then.
func askPatiently(ctx context.Context, addr, secret, method, path, idempotencyKey string, body any) (ledgerAnswer, error) {
	for deadline := time.Now().Add(startTimeout); ; {
		a, err := askLedger(ctx, addr, secret, method, path, idempotencyKey, body)
		if err != nil || a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || time.Now().After(deadline) {
			return a, err
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return a, nil
		}
	}
}

var ledgerClient = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

// mustAsk is a POST that succeeds.
func mustAsk(t *testing.T, addr, secret, path string, body any) ledgerAnswer {
	t.Helper()
	a, err := askPatiently(t.Context(), addr, secret, http.MethodPost, path, fmt.Sprintf("setup-%d", ledgerKeys.Add(1)), body)
	require.NoError(t, err)
	require.Less(t, a.status, 300, "%s: %s", path, a.text)
	return a
}

// tamper changes a sealed row as only the database's owner can.
func (db *ledgerDB) tamper(t *testing.T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db.url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	_, err = conn.Exec(t.Context(), "SET session_replication_role = replica")
	require.NoError(t, err)
	tag, err := conn.Exec(t.Context(), "UPDATE ledger.audit_logs SET changed_by = 'key:another' WHERE id = (SELECT min(id) FROM ledger.audit_logs)")
	require.NoError(t, err)
	require.EqualValues(t, 1, tag.RowsAffected())
}
