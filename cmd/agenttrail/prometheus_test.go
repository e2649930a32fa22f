package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/agenttrail/agenttrail/dashboards/grafana"
	"github.com/agenttrail/agenttrail/internal/promtest"
)

// eventual are metrics that are not there until something has happened which a test of a healthy instance does not do.
var eventual = map[string]string{
	"ALERTS": "Prometheus itself makes it, of alerts that are pending or fire",
	"otelcol_agenttrail_exporter_retried_inserts":    "ClickHouse has to refuse an INSERT first",
	"otelcol_agenttrail_receiver_certificate_expiry": "the receiver has to have a certificate",
}

// prometheusConfig is dashboards/prometheus.yaml with the addresses of the instance, and asked more often.
func prometheusConfig(t *testing.T, in *instance) string {
	t.Helper()
	text, err := os.ReadFile("../../dashboards/prometheus.yaml")
	require.NoError(t, err)
	var cfg map[string]any
	require.NoError(t, yaml.Unmarshal(text, &cfg))
	rules, err := filepath.Abs("../../dashboards/rules/*.yaml")
	require.NoError(t, err)
	require.Equal(t, []any{"rules/*.yaml"}, cfg["rule_files"])
	cfg["rule_files"] = []string{rules}
	global := cfg["global"].(map[string]any)
	global["scrape_interval"], global["evaluation_interval"] = "1s", "1s"
	replace := strings.NewReplacer("127.0.0.1:8888", in.Metrics, "127.0.0.1:8080", in.Ledger)
	out, err := yaml.Marshal(cfg)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "prometheus.yaml")
	require.NoError(t, os.WriteFile(file, []byte(replace.Replace(string(out))), 0o600))
	return file
}

// testPrometheus lets a real Prometheus read the instance: its targets are up, every metric that a rule or a panel names is
// there, every rule is evaluated without an error, and every panel that asks Prometheus gets an answer.
func testPrometheus(t *testing.T, in *instance) {
	t.Helper()
	// What makes metrics that are not there by themselves: a key that ends soon.
	secret, err := os.ReadFile(in.LedgerKeyFile)
	require.NoError(t, err)
	body := `{"name": "ends soon", "scopes": ["execute"], "expiresAt": "` + time.Now().Add(48*time.Hour).UTC().Format(time.RFC3339) + `"}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+in.Ledger+"/v1/keys", strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(secret)))
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusCreated, resp.StatusCode)

	prom := promtest.Start(t, prometheusConfig(t, in))
	ask := func(path string, params url.Values, into any) {
		t.Helper()
		require.NoError(t, prom.Get(t.Context(), path, params, into), "%s %v", path, params)
	}

	var targets struct {
		ActiveTargets []struct {
			Labels            map[string]string
			Health, LastError string
		}
	}
	up := func() (jobs []string) {
		ask("/api/v1/targets", nil, &targets)
		for _, target := range targets.ActiveTargets {
			if target.Health == "up" {
				jobs = append(jobs, target.Labels["job"])
			}
		}
		slices.Sort(jobs)
		return jobs
	}
	want := []string{"agenttrail-collector", "agenttrail-ledger"}
	require.Eventually(t, func() bool { return slices.Equal(up(), want) }, time.Minute, 100*time.Millisecond, "targets: %+v", &targets)

	expressions := promExpressions(t)
	named := map[string]string{} // By metric: an expression that names it.
	for where, expr := range expressions {
		for _, name := range metricsOf(t, prom, expr) {
			named[name] = where
		}
	}
	require.Greater(t, len(named), 40, "%v", named)
	var missing []string
	absent := func() bool {
		var there []string
		ask("/api/v1/label/__name__/values", nil, &there)
		missing = nil
		for name, where := range named {
			if !slices.Contains(there, name) && eventual[name] == "" {
				missing = append(missing, name+" of "+where)
			}
		}
		slices.Sort(missing)
		return len(missing) == 0
	}
	require.Eventually(t, absent, 90*time.Second, 500*time.Millisecond, "metrics that are named and not there: %v", &missing)
	for name := range eventual {
		require.Contains(t, named, name, "nothing names it any more")
	}

	var rules struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	ask("/api/v1/rules", nil, &rules)
	evaluated := 0
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			require.NotEqual(t, "err", r.Health, "rule %s: %s", r.Name, r.LastError)
			evaluated++
		}
	}
	panels := panelsWithPrometheus(t, prom)
	t.Logf("prometheus: %d targets are up, %d rules without an error, %d metrics that rules and dashboards name, %d panels with an answer", len(want), evaluated, len(named), panels)
}

// promExpressions returns the expressions of rules and panels, by where they are.
func promExpressions(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	files, err := filepath.Glob("../../dashboards/rules/*.yaml")
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var f struct {
			Groups []struct {
				Rules []struct{ Alert, Record, Expr string }
			}
		}
		require.NoError(t, yaml.Unmarshal(text, &f), file)
		for _, g := range f.Groups {
			for _, r := range g.Rules {
				all["rule "+r.Alert+r.Record] = r.Expr
			}
		}
	}
	forPrometheus(t, func(_ grafana.Dashboard, p grafana.Panel, _ grafana.Query, expr string) {
		all["panel "+p.Title+": "+expr] = expr
	})
	return all
}

// forPrometheus calls f for every query of a panel that is for Prometheus.
func forPrometheus(t *testing.T, f func(d grafana.Dashboard, p grafana.Panel, q grafana.Query, expr string)) {
	t.Helper()
	boards, err := grafana.Load("../../dashboards")
	require.NoError(t, err)
	for _, d := range boards {
		for _, p := range d.Panels {
			for _, q := range p.Queries {
				if q.Source == grafana.Prometheus {
					expr, err := grafana.Expand(q.Source, q.Text, grafana.Range{Step: 5 * time.Second}, nil)
					require.NoError(t, err)
					f(d, p, q, expr)
				}
			}
		}
	}
}

// metricsOf returns the metrics that an expression names, as Prometheus's own parser sees it.
func metricsOf(t *testing.T, prom *promtest.Server, expr string) (names []string) {
	t.Helper()
	var tree any
	require.NoError(t, prom.Get(t.Context(), "/api/v1/parse_query", url.Values{"query": {expr}}, &tree), expr)
	var walk func(any)
	walk = func(node any) {
		switch n := node.(type) {
		case []any:
			for _, child := range n {
				walk(child)
			}
		case map[string]any:
			if kind := n["type"]; kind == "vectorSelector" || kind == "matrixSelector" {
				name, _ := n["name"].(string)
				require.NotEmpty(t, name, "a selector without a name in %s", expr)
				names = append(names, name)
			}
			for _, child := range n {
				walk(child)
			}
		}
	}
	walk(tree)
	return names
}

// panelsWithPrometheus asks the queries of panels, and returns how many panels have an answer. Of a metric that is not there
// until something happens, the answer may be empty.
func panelsWithPrometheus(t *testing.T, prom *promtest.Server) int {
	t.Helper()
	panels := map[string]bool{}
	forPrometheus(t, func(_ grafana.Dashboard, p grafana.Panel, q grafana.Query, expr string) {
		path, params := "/api/v1/query", url.Values{"query": {expr}}
		if q.Range {
			path = "/api/v1/query_range"
			now := time.Now()
			params["start"], params["end"], params["step"] = []string{now.Add(-time.Minute).Format(time.RFC3339)}, []string{now.Format(time.RFC3339)}, []string{"5s"}
		}
		var result struct{ Result []json.RawMessage }
		require.EventuallyWithT(t, func(c *require.CollectT) {
			require.NoError(c, prom.Get(t.Context(), path, params, &result), expr)
			require.NotEmpty(c, result.Result, "panel %q returns nothing:\n%s", p.Title, expr)
		}, time.Minute, time.Second)
		panels[p.Title] = true
	})
	return len(panels)
}
