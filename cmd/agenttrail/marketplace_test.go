package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/sdk/ledgerclient"
)

var (
	marketplaceFor   = flag.Duration("marketplace-for", 6*time.Second, "how long requests come in TestMarketplace")
	marketplaceKills = flag.Int("marketplace-kills", 4, "how many workers TestMarketplace kills")
)

// liveMarket is examples/marketplace against an "agenttrail up" of the test's own.
type liveMarket struct {
	*instance
	client *ledgerclient.Client
	told   told
}

// told is what the marketplace itself says that happened.
type told struct {
	Requests, Succeeded, Failed, Refused, Killed, Prices, Limits, TopUps int

	// Interrupted are the runs that killed workers were at.
	Interrupted []string
}

// playMarketplace lets users ask for runs for a while, and waits until ClickHouse has what came of it: when it has ended, the
// collector has acknowledged all of it.
func playMarketplace(t *testing.T, args ...string) *liveMarket {
	t.Helper()
	program := filepath.Join(t.TempDir(), "marketplace")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../examples/marketplace").CombinedOutput()
	require.NoError(t, err, "%s", out)
	m := &liveMarket{instance: startUp(t, t.TempDir())}
	secret, err := readLedgerKey(m.LedgerKeyFile)
	require.NoError(t, err)
	m.client, err = ledgerclient.New(ledgerclient.Config{URL: "http://" + m.Ledger, Key: secret})
	require.NoError(t, err)
	report := filepath.Join(t.TempDir(), "report.json")
	out, err = exec.CommandContext(t.Context(), program, append([]string{
		"--ledger", "http://" + m.Ledger, "--key-file", m.LedgerKeyFile, "--otlp", "http://" + m.OTLPHTTP, "--outbox", t.TempDir(),
		"--for", marketplaceFor.String(), "--rate", "25", "--report", report,
	}, args...)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Logf("%s", strings.TrimSpace(string(out)))
	text, err := os.ReadFile(report)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &m.told))
	require.Positive(t, m.told.Succeeded)
	m.awaitStored(t)
	return m
}

// set returns the values of a column.
func (m *liveMarket) set(t *testing.T, sql string) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for v := range strings.FieldsSeq(m.query(t, sql)) {
		all[v] = true
	}
	return all
}

// both is what the two sides have of a run, read without the code that reconciles.
type both struct {
	hold     ledger.HoldStatus // Empty where the ledger does not know it.
	captured ledger.Credits
	rows     int
	used     ledger.Credits
}

func (m *liveMarket) sides(t *testing.T) map[string]*both {
	t.Helper()
	all := map[string]*both{}
	of := func(id string) *both {
		if all[id] == nil {
			all[id] = &both{}
		}
		return all[id]
	}
	for h, err := range m.client.Holds(t.Context(), ledger.HoldFilter{}) {
		require.NoError(t, err)
		b := of(h.ExecutionID)
		require.Empty(t, b.hold, "%s: one hold for each run", h.ExecutionID)
		b.hold, b.captured = h.Status, h.Captured
	}
	for line := range strings.Lines(m.query(t, "SELECT id, toString(creditsConsumed) FROM agenttrail.AgentExecution FORMAT TSV")) {
		id, credits, _ := strings.Cut(strings.TrimSpace(line), "\t")
		used, err := ledger.ParseCredits(credits)
		require.NoError(t, err)
		b := of(id)
		b.rows++
		b.used += used
	}
	return all
}

// state is how the two sides compare, in the words of the reconciliation.
func (b *both) state() string {
	switch {
	case b.rows == 0 && b.captured > 0:
		return "missing_in_telemetry"
	case b.rows == 0 && b.hold == ledger.HoldExpired:
		return "expired"
	case b.captured == b.used:
		return "matched"
	case b.captured == 0:
		return "missing_in_ledger"
	default:
		return "drift"
	}
}

// verdict is what "agenttrail reconcile" says: the runs that it lists, by their id, and its summary.
type verdict struct {
	listed  map[string]string
	summary struct {
		Executions, Matched, Drift, MissingInLedger, MissingInTelemetry, Imported, Expired int
		Captured, Consumed                                                                 ledger.Credits
	}
}

func (m *liveMarket) reconcile(t *testing.T) verdict {
	t.Helper()
	v := verdict{listed: map[string]string{}}
	for text := range strings.Lines(command(t, 0, "reconcile", "--data", m.dir, "--grace", "0s", "--json")) {
		var line struct {
			ExecutionID, State string
			Summary            *json.RawMessage
		}
		require.NoError(t, json.Unmarshal([]byte(text), &line), text)
		if line.Summary != nil {
			require.NoError(t, json.Unmarshal(*line.Summary, &v.summary))
			continue
		}
		v.listed[line.ExecutionID] = line.State
	}
	return v
}

// TestMarketplace runs examples/marketplace on "agenttrail up", for a minute or longer with
//
//	make marketplace FOR=60s KILLS=20
func TestMarketplace(t *testing.T) {
	t.Parallel()
	t.Run("EverythingAgrees", testMarketplaceAgrees)
	t.Run("KilledWorkers", testMarketplaceKilled)
}

// testMarketplaceAgrees finds each run of the ledger in ClickHouse and the other way round, with its request, logs and steps,
// and the same credits; and the reconciliation finds nothing.
func testMarketplaceAgrees(t *testing.T) {
	t.Parallel()
	m := playMarketplace(t, "--workers", "3")
	sides := m.sides(t)
	requests := m.set(t, "SELECT DISTINCT executionId FROM agenttrail.RequestLog WHERE serviceName = 'marketplace-api' AND route = '/v1/agents/{agent}/runs'")
	logs := m.set(t, "SELECT DISTINCT executionId FROM agenttrail.AgentLog WHERE serviceName = 'marketplace-worker'")
	steps := m.set(t, "SELECT DISTINCT executionId FROM agenttrail.Span WHERE serviceName = 'marketplace-worker' AND operation IN ('inference', 'tool')")
	var captured ledger.Credits
	for id, b := range sides {
		require.Contains(t, []ledger.HoldStatus{ledger.HoldCaptured, ledger.HoldReleased}, b.hold, "%s: hold", id)
		require.Equal(t, 1, b.rows, "%s: rows, hold %s", id, b.hold)
		require.Equal(t, b.captured, b.used, "%s: credits", id)
		require.True(t, requests[id], "%s: no request", id)
		require.True(t, logs[id], "%s: no log", id)
		require.True(t, steps[id], "%s: no step", id)
		captured += b.captured
	}
	for id := range steps {
		require.Contains(t, sides, id, "steps of a run that nobody knows")
	}
	require.Len(t, sides, m.told.Succeeded+m.told.Failed)
	for _, period := range []string{"hour", "day"} {
		credits, runs, _ := strings.Cut(m.query(t, "SELECT toString(sum(totalCreditsConsumed)), sum(totalExecutions) FROM agenttrail.AgentMetrics WHERE period = '"+period+"'"), "\t")
		used, err := ledger.ParseCredits(credits)
		require.NoError(t, err)
		require.Equal(t, captured, used, period)
		require.Equal(t, strconv.Itoa(len(sides)), runs, period)
	}
	v := m.reconcile(t)
	require.Empty(t, v.listed)
	require.Equal(t, len(sides), v.summary.Matched)
	require.Equal(t, len(sides), v.summary.Executions)
	require.Equal(t, captured, v.summary.Captured)
	require.Equal(t, captured, v.summary.Consumed)

	changes := 0
	for _, trail := range []ledger.Trail{ledger.TrailAgents, ledger.TrailMandates} {
		for _, err := range m.client.Audit(t.Context(), trail, ledger.AuditFilter{}) {
			require.NoError(t, err)
			changes++
		}
	}
	require.Greater(t, changes, m.told.Prices+m.told.Limits)
	if *marketplaceFor >= 30*time.Second { // Then everything has happened.
		require.Positive(t, m.told.Refused)
		require.NotEqual(t, "0", m.query(t, "SELECT count() FROM agenttrail.SecurityEvents WHERE type = 'auth.denied'"), "strangers")
		require.Equal(t, "error failed success timeout", strings.Join(strings.Fields(m.query(t, "SELECT DISTINCT toString(status) AS s FROM agenttrail.AgentExecution ORDER BY s")), " "))
	}
	t.Logf("%d runs, %s credits: each with its request, logs and steps, the same in the ledger, in ClickHouse and in AgentMetrics; the reconciliation matched %d and found nothing else",
		len(sides), captured, v.summary.Matched)
}

// testMarketplaceKilled kills workers in the middle of their runs. Once the holds of the dead were settled or have expired, both
// sides agree but for runs that killed workers were at, and the reconciliation lists these as what they are.
func testMarketplaceKilled(t *testing.T) {
	t.Parallel()
	m := playMarketplace(t, "--workers", "3", "--kills", strconv.Itoa(*marketplaceKills), "--hold", "5s", "--seed", "7")
	require.Equal(t, *marketplaceKills, m.told.Killed)
	require.Eventually(t, func() bool {
		for _, err := range m.client.Holds(t.Context(), ledger.HoldFilter{Status: ledger.HoldActive}) {
			require.NoError(t, err)
			return false
		}
		return true
	}, startTimeout, 100*time.Millisecond, "holds are still active")

	want, counts, matched := map[string]string{}, map[string]int{}, 0
	for id, b := range m.sides(t) {
		state := b.state()
		if state == "matched" {
			matched++
			continue
		}
		want[id] = state
		counts[state]++
		require.True(t, slices.Contains(m.told.Interrupted, id), "%s is %s, and no worker was killed that was at it", id, state)
	}
	require.Positive(t, matched)
	v := m.reconcile(t)
	require.Equal(t, want, v.listed)
	require.Equal(t, matched+counts["expired"], v.summary.Matched)
	t.Logf("%d workers were killed at %d runs; %d runs agree, and the reconciliation lists those that do not as what they are: %s",
		m.told.Killed, len(m.told.Interrupted), matched, text(counts))
}

func text(counts map[string]int) string {
	if len(counts) == 0 {
		return "none, all were done by other workers"
	}
	return strings.TrimPrefix(fmt.Sprint(counts), "map")
}
