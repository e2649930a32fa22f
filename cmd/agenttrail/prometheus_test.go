package main

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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
	global["scrape_interval"], global["scrape_timeout"], global["evaluation_interval"] = "5s", "5s", "1s"
	replace := strings.NewReplacer("127.0.0.1:8888", in.Metrics, "127.0.0.1:8080", in.Ledger)
	out, err := yaml.Marshal(cfg)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "prometheus.yaml")
	require.NoError(t, os.WriteFile(file, []byte(replace.Replace(string(out))), 0o600))
	return file
}

// startPrometheus lets a real Prometheus read the instance.
func startPrometheus(t *testing.T, in *instance) *promtest.Server {
	t.Helper()
	// What makes a metric that is not there by itself: a key that ends soon.
	secret, err := os.ReadFile(in.LedgerKeyFile)
	require.NoError(t, err)
	body := `{"name": "ends soon", "scopes": ["execute"], "expiresAt": "` + time.Now().Add(48*time.Hour).UTC().Format(time.RFC3339) + `"}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+in.Ledger+"/v1/keys", strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(secret)))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", "ends-soon-"+strconv.FormatInt(time.Now().UnixNano(), 36))
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusCreated, resp.StatusCode)

	return promtest.Start(t, prometheusConfig(t, in))
}

// testPrometheus checks that its targets are up, that every metric that a rule or a panel names is there, and that every rule
// is evaluated without an error.
func testPrometheus(t *testing.T, prom *promtest.Server) {
	t.Helper()
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
	patiently(t, func() bool { return slices.Equal(up(), want) })
	require.Equal(t, want, up(), "targets that are up, of %+v", targets)

	expressions := promExpressions(t)
	named := map[string]string{} // By metric: an expression that names it.
	for where, expr := range expressions {
		for _, name := range metricsOf(t, prom, expr) {
			named[name] = where
		}
	}
	require.Greater(t, len(named), 40, "%v", named)
	var missing []string
	complete := func() bool {
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
	patiently(t, complete)
	require.Empty(t, missing, "metrics that are named and not there")
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
	t.Logf("prometheus: %d targets are up, %d rules without an error, %d metrics that rules and dashboards name", len(want), evaluated, len(named))
}

// patiently waits until something is so, or for four minutes: the machine may be busy with other tests.
func patiently(t *testing.T, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * startTimeout); !so() && time.Now().Before(deadline); {
		time.Sleep(200 * time.Millisecond)
	}
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
	boards, err := grafana.Load("../../dashboards")
	require.NoError(t, err)
	for _, d := range boards {
		for _, p := range d.Panels {
			for _, q := range p.Queries {
				if q.Source == grafana.Prometheus {
					expr, err := grafana.Expand(q.Source, q.Text, grafana.Range{Step: 5 * time.Second}, nil)
					require.NoError(t, err)
					all["panel "+p.Title+": "+expr] = expr
				}
			}
		}
	}
	return all
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
