package dashboards_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/agenttrail/agenttrail/internal/promtest"
)

// alert is an alerting rule.
type alert struct {
	Alert, Expr         string
	Labels, Annotations map[string]string
}

// read reads a file of YAML.
func read(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, into), path)
}

// alerts returns all alerting rules.
func alerts(t *testing.T) (all []alert) {
	t.Helper()
	files, err := filepath.Glob("rules/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		var f struct{ Groups []struct{ Rules []alert } }
		read(t, file, &f)
		for _, g := range f.Groups {
			for _, r := range g.Rules {
				if r.Alert != "" {
					all = append(all, r)
				}
			}
		}
	}
	return all
}

// TestRulesWithPromtool runs the tests of the rules. Every alert has one in which it fires, and one in which it does not.
func TestRulesWithPromtool(t *testing.T) {
	t.Parallel()
	rules, err := filepath.Glob("rules/*.yaml")
	require.NoError(t, err)
	tests, err := filepath.Glob("rules/tests/*.yaml")
	require.NoError(t, err)
	promtool := promtest.Promtool(t)
	for name, args := range map[string][]string{
		"check": slices.Concat([]string{"check", "rules", "--lint=all", "--lint-fatal"}, rules),
		"test":  slices.Concat([]string{"test", "rules"}, tests),
	} {
		out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput()
		require.NoError(t, err, "%s:\n%s", name, out)
	}

	fires, silent := map[string]int{}, map[string]int{}
	for _, file := range tests {
		var f struct {
			Tests []struct {
				AlertRuleTest []struct {
					Alertname string
					ExpAlerts []any `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			}
		}
		read(t, file, &f)
		for _, test := range f.Tests {
			for _, a := range test.AlertRuleTest {
				if len(a.ExpAlerts) > 0 {
					fires[a.Alertname]++
				} else {
					silent[a.Alertname]++
				}
			}
		}
	}
	for _, a := range alerts(t) {
		require.NotZero(t, fires[a.Alert], "no test in which %s fires", a.Alert)
		require.NotZero(t, silent[a.Alert], "no test in which %s does not fire", a.Alert)
	}
	t.Logf("promtool: %d alerts; they fire in %d tests and are silent in %d", len(alerts(t)), sum(fires), sum(silent))
}

func sum(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// TestRunbook checks that every alert leads to a section that says what it means, where to look and what to do, and that
// there is no section of an alert that is gone.
func TestRunbook(t *testing.T) {
	t.Parallel()
	const book = "https://github.com/agenttrail/agenttrail/blob/main/docs/runbook.md#"
	text, err := os.ReadFile("../docs/runbook.md")
	require.NoError(t, err)
	sections := map[string]string{}
	for _, m := range regexp.MustCompile(`(?ms)^## (\w+)\n(.*?)(?:\z|^## |^# )`).FindAllStringSubmatch(strings.ReplaceAll(string(text), "\n## ", "\n\n## \n## "), -1) {
		sections[m[1]] = m[2]
	}
	var names []string
	for _, a := range alerts(t) {
		names = append(names, a.Alert)
		require.Equal(t, book+strings.ToLower(a.Alert), a.Annotations["runbook_url"])
		require.NotEmpty(t, a.Annotations["summary"], a.Alert)
		require.NotEmpty(t, a.Annotations["description"], a.Alert)
		require.Contains(t, []string{"warning", "critical"}, a.Labels["severity"], a.Alert)
		for _, part := range []string{"**It means**", "**Look**", "**Do**"} {
			require.Contains(t, sections[a.Alert], part, "docs/runbook.md, section %s", a.Alert)
		}
	}
	for name := range sections {
		require.Contains(t, names, name, "docs/runbook.md has a section about an alert that is not there")
	}
}
