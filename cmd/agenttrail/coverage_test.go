package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/coverage"
)

// TestCoverage prints the scorecard of the demo's traffic, makes it worse, and finds it in ClickHouse, in the API and in the
// metrics.
func TestCoverage(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "ledger.yaml") // The job runs at the start, and not again while scorecards are compared.
	require.NoError(t, os.WriteFile(config, []byte("coverage: {every: 24h}\n"), 0o600))
	in := startUp(t, t.TempDir(), "--ledger-config", config)
	// No run is so old that it leaves the last day between two looks at it.
	command(t, 0, "demo", "--data", in.dir, "--runs", "300", "--history", "20h", "--rate", "0", "--seed", "7")

	out := command(t, 0, "coverage", "--data", in.dir)
	t.Logf("%s", out)
	for _, text := range []string{"Coverage ", "execution_tracking", "security_events", "failed_runs_have_code"} {
		require.Contains(t, out, text)
	}
	measure := func(args ...string) (card coverage.Scorecard, values map[string]*float64) { // Of telemetry: the ledger's jobs go on.
		require.NoError(t, json.Unmarshal([]byte(command(t, 0, append([]string{"coverage", "--data", in.dir, "--json"}, args...)...)), &card))
		values = map[string]*float64{}
		for _, category := range card.Categories {
			for _, c := range category.Checks {
				if c.Database == coverage.ClickHouse {
					values[c.Check] = c.Value
				}
			}
		}
		return card, values
	}
	card, before := measure()
	for began := time.Now(); before["services_report_metrics"] == nil || *before["services_report_metrics"] < 1; card, before = measure() {
		require.Less(t, time.Since(began), 2*time.Minute, "a service's first metrics come later than its spans, but not that much")
		time.Sleep(time.Second)
	}
	require.Len(t, card.Categories, 8)
	require.NotNil(t, card.Score)
	runs := card.Categories[0].Checks[1]
	require.Equal(t, "runs_have_key_fields", runs.Check)
	require.Equal(t, in.query(t, "SELECT count() FROM agenttrail.AgentExecution WHERE startedAt >= now() - toIntervalDay(1)"), coverage.Count(runs.Total), "the number behind it")
	for _, check := range []string{"runs_have_key_fields", "failed_runs_have_code", "failed_runs_have_error", "runs_have_user", "runs_have_request", "logs_name_run", "logs_lead_to_run", "components_reporting"} {
		require.NotNil(t, before[check], check)
		require.InDelta(t, 1, *before[check], 0, check)
	}

	// One run that failed, and nobody knows why.
	in.query(t, "INSERT INTO agenttrail.AgentExecution SELECT * REPLACE ('' AS errorCode) FROM agenttrail.AgentExecution WHERE status = 'error' LIMIT 1")
	_, after := measure()
	for check, value := range before {
		switch {
		case check == "failed_runs_have_code":
			require.Less(t, *after[check], *value, check)
		case value == nil:
			require.Nil(t, after[check], check)
		default:
			require.InDelta(t, *value, *after[check], 1e-9, check)
		}
	}
	worse := command(t, 0, "coverage", "--data", in.dir, "--category", "error_logging")
	require.Contains(t, worse, "! failed_runs_have_code")
	require.Contains(t, worse, "WHAT TO DO FIRST (1 of 1 checks below their target)")
	require.Contains(t, worse, "1 without an error code")
	require.NotContains(t, worse, "api_monitoring")
	_, query, found := strings.Cut(worse, "To see them, in ClickHouse:\n")
	require.True(t, found)
	require.Len(t, strings.Split(in.query(t, query), "\n"), 1, "the query shows the run")

	require.Contains(t, command(t, 1, "coverage", "--data", in.dir, "--fail-under", "10"), "below the 10 of --fail-under")
	command(t, 0, "coverage", "--data", in.dir, "--fail-under", "3")
	require.Contains(t, command(t, 2, "coverage", "--data", in.dir, "--category", "money"), "choose of execution_tracking")
	require.Contains(t, command(t, 2, "coverage", "--data", t.TempDir(), "--category", "money"), "choose of execution_tracking", "also where nothing runs")
	require.Contains(t, command(t, 2, "coverage", "--data", t.TempDir(), "--category", "error_logging", "--store"), "leave --category out")
	require.Contains(t, command(t, 2, "coverage", "--data", in.dir, "--fail-under", "11"), "between 0 and 10")
	require.Contains(t, command(t, 2, "coverage", "--data", in.dir, "--since", "0s"), "--since")
	require.Contains(t, command(t, 1, "coverage", "--data", t.TempDir()), "--clickhouse-url")
	require.Contains(t, command(t, 0, "coverage", "--data", in.dir, "--clickhouse-url", in.ClickHouse), "not asked: no Postgres of the ledger was given")

	stored, _ := measure("--store")
	api := in.ask(t, "GET", "/v1/coverage", "")
	require.InDelta(t, *stored.Score, api["score"], 1e-9)
	require.Len(t, api["categories"], 8)
	resp, err := http.Get("http://" + in.Ledger + "/metrics")
	require.NoError(t, err)
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Contains(t, string(text), `agenttrail_coverage_score{category="overall"}`)
	require.Contains(t, string(text), `agenttrail_coverage_check_target{category="error_logging",check="failed_runs_have_code"} 1`)
	in.answers(t, "1", "SELECT uniqExact(computedAt) > 1 FROM agenttrail.CoverageScore", "the job has stored one, too")
}
