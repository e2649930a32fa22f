package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/collector"
	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/httpapi"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
	"github.com/agenttrail/agenttrail/schema"
	"github.com/agenttrail/agenttrail/sdk/ledgerclient"
)

var (
	lasts = flag.Duration("marketplace-for", 6*time.Second, "how long requests come in TestMarketplace and TestKilledWorkers")
	kills = flag.Int("marketplace-kills", 4, "how many workers TestKilledWorkers kills")
)

func TestMain(m *testing.M) { enginetest.Main(m) }

// place is an AgentTrail of the test's own: collector, ClickHouse, ledger.
type place struct {
	*collector.Collector
	engine   *enginetest.CH
	database string
	client   *ledgerclient.Client
	ledger   string
	keyFile  string
}

func setup(t *testing.T) *place {
	t.Helper()
	p := &place{engine: enginetest.ClickHouse(t)}
	p.database = p.engine.Database(t)
	_, err := schema.MigrateClickHouse(t.Context(), p.engine.URL, schema.ClickHouseConfig{Database: p.database})
	require.NoError(t, err)
	p.Collector, err = collector.New(collector.Settings{
		GRPCAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0", HealthAddr: "127.0.0.1:0", MetricsAddr: "127.0.0.1:0",
		JournalDir: t.TempDir(), Version: "test", Logger: slog.New(slog.DiscardHandler), ClickHouseURL: p.engine.URL, Database: p.database,
		Overrides: []string{"receivers::agenttrail_host::enabled=false", "receivers::agenttrail_self::enabled=false"},
	})
	require.NoError(t, err)
	require.NoError(t, p.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		require.NoError(t, p.Shutdown(ctx))
	})
	p.startLedger(t)
	return p
}

// startLedger serves the ledger, with the job that lets holds expire.
func (p *place) startLedger(t *testing.T) {
	t.Helper()
	db := enginetest.Postgres(t).Database(t)
	_, err := schema.MigratePostgres(t.Context(), db)
	require.NoError(t, err)
	store, err := pgstore.Open(t.Context(), pgstore.Settings{URL: db, MaxConns: 12})
	require.NoError(t, err)
	t.Cleanup(store.Close)
	api, err := httpapi.New(httpapi.Settings{Service: store, Logger: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Version: "test"})
	require.NoError(t, err)
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	key, err := store.CreateKey(t.Context(), &ledger.Call{Actor: ledger.System("test")}, ledger.KeyInput{Name: "test", Scopes: []ledger.Scope{ledger.ScopeAdmin}})
	require.NoError(t, err)
	p.ledger, p.keyFile = server.URL, filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(p.keyFile, []byte(key.Secret+"\n"), 0o600))
	p.client, err = ledgerclient.New(ledgerclient.Config{URL: server.URL, Key: key.Secret})
	require.NoError(t, err)
	expiring, stop := context.WithCancel(context.Background())
	var job sync.WaitGroup
	job.Go(func() {
		for expiring.Err() == nil {
			_, _ = store.ExpireDue(expiring, 200)
			time.Sleep(200 * time.Millisecond)
		}
	})
	t.Cleanup(func() { stop(); job.Wait() })
}

// play runs the marketplace as its own processes, and returns what it saw.
func (p *place) play(t *testing.T, args ...string) happened {
	t.Helper()
	program := filepath.Join(t.TempDir(), "marketplace")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	report := filepath.Join(t.TempDir(), "report.json")
	args = append([]string{
		"--ledger", p.ledger, "--key-file", p.keyFile, "--otlp", "http://" + p.Addrs().HTTP, "--outbox", t.TempDir(),
		"--for", lasts.String(), "--report", report, "--rate", "25",
	}, args...)
	out, err = exec.CommandContext(t.Context(), program, args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Logf("%s", out)
	text, err := os.ReadFile(report)
	require.NoError(t, err)
	var h happened
	require.NoError(t, json.Unmarshal(text, &h))
	return h
}

// rows returns the lines of an answer, cells by tabs.
func (p *place) rows(t *testing.T, query string) [][]string {
	t.Helper()
	var all [][]string
	for line := range strings.Lines(p.engine.Exec(t, query+" FORMAT TSV", "database", p.database)) {
		all = append(all, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return all
}

// set returns the first cells of an answer.
func (p *place) set(t *testing.T, query string) map[string]bool {
	t.Helper()
	s := map[string]bool{}
	for _, r := range p.rows(t, query) {
		s[r[0]] = true
	}
	return s
}

// kept is what ledger and telemetry know of one run.
type kept struct {
	hold     *ledger.HoldStatus
	captured ledger.Credits
	rows     int // Of AgentExecution.
	told     ledger.Credits
}

// books puts side by side what both know.
func (p *place) books(t *testing.T) map[string]*kept {
	t.Helper()
	all := map[string]*kept{}
	of := func(id string) *kept {
		if all[id] == nil {
			all[id] = &kept{}
		}
		return all[id]
	}
	for h, err := range p.client.Holds(t.Context(), ledger.HoldFilter{}) {
		require.NoError(t, err)
		k := of(h.ExecutionID)
		require.Nil(t, k.hold, "one hold for each run")
		k.hold, k.captured = &h.Status, h.Captured
	}
	for _, r := range p.rows(t, "SELECT id, toString(creditsConsumed) FROM AgentExecution") {
		credits, err := ledger.ParseCredits(r[1])
		require.NoError(t, err)
		k := of(r[0])
		k.rows++
		k.told += credits
	}
	return all
}

// awaitStored waits until nothing more arrives in ClickHouse.
func (p *place) awaitStored(t *testing.T, runs int) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) { // The engine does not tell.
		stored, err := strconv.Atoi(p.rows(t, "SELECT count() FROM AgentExecution")[0][0])
		require.NoError(t, err)
		if stored >= runs || time.Now().After(deadline) {
			break
		}
	}
	before := ""
	for now := "-"; now != before; time.Sleep(500 * time.Millisecond) {
		before, now = now, fmt.Sprint(p.rows(t, "SELECT sum(total_rows) FROM system.tables WHERE database = currentDatabase()"))
	}
}

// TestMarketplace lets the marketplace run, and finds each run of the ledger in ClickHouse and the other way round, with
// its request, logs and steps, and the same credits.
func TestMarketplace(t *testing.T) {
	t.Parallel()
	p := setup(t)
	h := p.play(t, "--workers", "3")
	p.awaitStored(t, h.Succeeded+h.Failed)
	require.Positive(t, h.Succeeded)

	runs := p.books(t)
	requests := p.set(t, "SELECT DISTINCT executionId FROM RequestLog WHERE route = '/v1/agents/{agent}/runs'")
	logs := p.set(t, "SELECT DISTINCT executionId FROM AgentLog")
	steps := p.set(t, "SELECT DISTINCT executionId FROM Span WHERE operation IN ('inference', 'tool')")
	var captured ledger.Credits
	for id, k := range runs {
		require.NotNil(t, k.hold, "%s: in ClickHouse only", id)
		require.Equal(t, 1, k.rows, "%s: hold %s", id, *k.hold)
		require.Equal(t, k.captured, k.told, "%s: credits", id)
		require.NotEqual(t, ledger.HoldActive, *k.hold, id)
		require.NotEqual(t, ledger.HoldExpired, *k.hold, id)
		require.True(t, requests[id], "%s: no request", id)
		require.True(t, logs[id], "%s: no log", id)
		require.True(t, steps[id], "%s: no step", id)
		captured += k.captured
	}
	require.Len(t, runs, h.Succeeded+h.Failed)
	for _, period := range []string{"hour", "day"} {
		total := p.rows(t, "SELECT toString(sum(totalCreditsConsumed)), sum(totalExecutions) FROM AgentMetrics WHERE period = '"+period+"'")[0]
		told, err := ledger.ParseCredits(total[0])
		require.NoError(t, err)
		require.Equal(t, captured, told, period)
		require.Equal(t, strconv.Itoa(len(runs)), total[1], period)
	}
	changes := 0
	for _, trail := range []ledger.Trail{ledger.TrailAgents, ledger.TrailMandates} {
		for _, err := range p.client.Audit(t.Context(), trail, ledger.AuditFilter{}) {
			require.NoError(t, err)
			changes++
		}
	}
	require.Greater(t, changes, h.Prices+h.Limits)
	if *lasts >= 30*time.Second { // Then everything has happened.
		require.Positive(t, h.Refused)
		require.NotEmpty(t, p.rows(t, "SELECT id FROM SecurityEvents WHERE type = 'auth.denied'"), "strangers")
		statuses := p.set(t, "SELECT DISTINCT status FROM AgentExecution")
		for _, s := range []string{"success", "failed", "timeout", "error"} {
			require.True(t, statuses[s], "%s in %v", s, statuses)
		}
	}
	t.Logf("%d runs, %s credits: the same in the ledger and in ClickHouse", len(runs), captured)
}

// TestKilledWorkers kills workers in the middle of their runs. When the holds of the dead have been settled or have expired, ledger
// and ClickHouse agree but for runs that killed workers were at.
func TestKilledWorkers(t *testing.T) {
	t.Parallel()
	p := setup(t)
	h := p.play(t, "--workers", "3", "--kills", strconv.Itoa(*kills), "--hold", "5s", "--seed", "7")
	require.Equal(t, *kills, h.Killed)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) { // Until the last hold has expired.
		active := 0
		for _, err := range p.client.Holds(t.Context(), ledger.HoldFilter{Status: ledger.HoldActive}) {
			require.NoError(t, err)
			active++
		}
		if active == 0 {
			break
		}
		require.True(t, time.Now().Before(deadline), "%d holds are still active", active)
	}
	p.awaitStored(t, 1)

	interrupted := map[string]bool{}
	for _, id := range h.Interrupted {
		interrupted[id] = true
	}
	differing := map[string]int{}
	matched := 0
	for id, k := range p.books(t) {
		what := judge(k)
		if what == "matched" {
			matched++
			continue
		}
		differing[what]++
		require.True(t, interrupted[id], "%s is %s, and no worker was killed that was at it", id, what)
	}
	require.Positive(t, matched)
	t.Logf("%d workers were killed, %d runs were interrupted; %d runs match, of the interrupted ones differ: %v", h.Killed, len(h.Interrupted), matched, differing)
}

// judge compares what both know of a run as reconciliation does.
func judge(k *kept) string {
	switch {
	case k.hold == nil:
		return "missing in the ledger"
	case k.rows == 0 && k.captured == 0:
		return "never ended: nothing captured, no run"
	case k.rows == 0:
		return "missing in telemetry"
	case k.captured != k.told:
		return "drift"
	default:
		return "matched"
	}
}
