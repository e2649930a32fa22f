package dashboards_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/dashboards/grafana"
)

// TestDashboardsFitGrafanasTypes compiles every dashboard against the types that Grafana publishes: of the dashboard, and of the
// options of each kind of panel. A key that Grafana does not know is an error, and so is a value that is not one of its own.
func TestDashboardsFitGrafanasTypes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", ".npmrc", "tsconfig.json", "dashboard.ts"} {
		text, err := os.ReadFile(filepath.Join("schema", name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	npm := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "npm", args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := npm("ci", "--prefer-offline", "--no-audit", "--no-fund")
	for try := 1; err != nil && try < 4; try++ { // A download may break off.
		out, err = npm("ci", "--prefer-offline", "--no-audit", "--no-fund")
	}
	require.NoError(t, err, out)
	write := func(name, text string) {
		module := "import type { Board } from './dashboard';\nexport default (" + text + ") satisfies Board;\n"
		require.NoError(t, os.WriteFile(filepath.Join(dir, name+".check.ts"), []byte(module), 0o600))
	}
	check := func() (string, error) { return npm("exec", "--no", "--", "tsc", "-p", ".") }

	files, err := filepath.Glob("*.json")
	require.NoError(t, err)
	var one string
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		write(strings.TrimSuffix(file, ".json"), string(text))
		one = string(text)
	}
	out, err = check()
	require.NoError(t, err, out)

	// It notices what is wrong.
	wrong := map[string][2]string{
		"key":   {`"schemaVersion":`, `"skemaVersion": 1, "schemaVersion":`},
		"enum":  {`"mode": "absolute"`, `"mode": "absolut"`},
		"panel": {`"type": "stat"`, `"type": "statt"`},
		"unit":  {`"gridPos": {`, `"gridPos": { "width": 3,`},
	}
	for name, change := range wrong {
		require.Contains(t, one, change[0])
		write("wrong-"+name, strings.Replace(one, change[0], change[1], 1))
	}
	out, err = check()
	require.Error(t, err)
	for name := range wrong {
		require.Contains(t, out, "wrong-"+name+".check.ts", "%s is not noticed:\n%s", name, out)
	}
}

// TestDashboardsReadWell checks what Grafana does not: that every panel says what it shows, what it shows when there is
// nothing, that figures have units, that panels do not lie on each other, and that links lead to dashboards that are there.
func TestDashboardsReadWell(t *testing.T) {
	t.Parallel()
	boards, err := grafana.Load(".")
	require.NoError(t, err)
	uids := map[string]map[string]bool{}
	for _, d := range boards {
		uids[d.UID] = map[string]bool{}
		for _, v := range d.Variables {
			uids[d.UID][v.Name] = true
		}
	}
	linked := map[string]bool{}
	address := regexp.MustCompile(`/d/([\w-]+)\?[^"]*?&var-(\w+)=`)
	for _, d := range boards {
		text, err := os.ReadFile(strings.TrimPrefix(d.UID, "agenttrail-") + ".json")
		require.NoError(t, err)
		var raw struct {
			Links  []struct{ IncludeVars, KeepTime bool }
			Panels []struct {
				Title, Type string
				GridPos     struct{ H, W, X, Y int }
				FieldConfig struct {
					Defaults  struct{ Unit string }
					Overrides []struct{ Properties []struct{ ID string } }
				}
			}
		}
		require.NoError(t, json.Unmarshal(text, &raw))
		require.NotEmpty(t, raw.Links, d.UID)
		require.True(t, raw.Links[0].IncludeVars && raw.Links[0].KeepTime, "%s: links keep time range and variables", d.UID)
		for _, m := range address.FindAllStringSubmatch(string(text), -1) {
			require.Contains(t, uids, m[1], "a link of %s", d.UID)
			require.True(t, uids[m[1]][m[2]], "a link of %s sets variable %s, which %s does not have", d.UID, m[2], m[1])
			require.Contains(t, m[0], "${__url_time_range}")
			linked[m[1]] = linked[m[1]] || m[1] != d.UID
		}
		titles, taken := map[string]bool{}, map[string]string{}
		for _, p := range d.Panels {
			require.Greater(t, len(p.Description), 10, "panel %q of %s has no description", p.Title, d.UID)
			require.NotEmpty(t, p.Empty, "panel %q of %s says nothing when there is nothing", p.Title, d.UID)
			require.NotEmpty(t, p.Queries, "panel %q of %s", p.Title, d.UID)
			require.False(t, titles[p.Type+p.Title], "two panels of %s are called %q", d.UID, p.Title)
			titles[p.Type+p.Title] = true
		}
		for _, p := range raw.Panels {
			units := p.FieldConfig.Defaults.Unit != ""
			for _, o := range p.FieldConfig.Overrides {
				for _, property := range o.Properties {
					units = units || property.ID == "unit"
				}
			}
			if p.Type == "stat" || p.Type == "timeseries" || p.Type == "barchart" {
				require.True(t, units || strings.HasPrefix(p.Title, "Load"), "panel %q of %s has no unit", p.Title, d.UID)
			}
			require.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, "panel %q of %s", p.Title, d.UID)
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					place := fmt.Sprint(x, ",", y)
					require.Empty(t, taken[place], "panels %q and %q of %s lie on each other", p.Title, taken[place], d.UID)
					taken[place] = p.Title
				}
			}
		}
	}
	for _, name := range []string{"agent", "execution", "errors", "users", "money"} {
		require.True(t, linked["agenttrail-"+name], "no other dashboard has a link to %s", name)
	}
}

// TestProvisioning checks that the files that Grafana reads at its start name what the dashboards refer to.
func TestProvisioning(t *testing.T) {
	t.Parallel()
	var sources struct {
		DataSources []struct{ Name, UID, Type string } `yaml:"datasources"`
	}
	read(t, "provisioning/datasources/agenttrail.yaml", &sources)
	uids := map[string]string{}
	for _, s := range sources.DataSources {
		uids[s.UID] = s.Type
	}
	files, err := filepath.Glob("*.json")
	require.NoError(t, err)
	for _, file := range files {
		var d struct {
			Templating struct {
				List []struct {
					Name, Type string
					Query      any
					Current    struct{ Value any }
				}
			}
		}
		read(t, file, &d) // JSON is YAML.
		for _, v := range d.Templating.List {
			if v.Type == "datasource" {
				require.Equal(t, v.Query, uids[fmt.Sprint(v.Current.Value)], "%s: data source %s", file, v.Name)
			}
		}
	}
	var providers struct {
		Providers []struct {
			Type    string
			Options struct{ Path string }
		}
	}
	read(t, "provisioning/dashboards/agenttrail.yaml", &providers)
	require.Equal(t, "file", providers.Providers[0].Type)
	require.NotEmpty(t, providers.Providers[0].Options.Path)
}
