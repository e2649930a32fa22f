package check_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// project loads the compose file with the .env that setup.sh makes, in a copy of its folder.
func project(t *testing.T) *types.Project {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"setup.sh", ".env.example"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(read(t, "../compose/"+name)), 0o700))
	}
	out, err := exec.CommandContext(t.Context(), "sh", filepath.Join(dir, "setup.sh")).CombinedOutput()
	require.NoError(t, err, "%s", out)
	st, err := os.Stat(filepath.Join(dir, ".env"))
	require.NoError(t, err)
	require.Zero(t, st.Mode().Perm()&0o077, "others may read .env")
	require.Error(t, exec.CommandContext(t.Context(), "sh", filepath.Join(dir, "setup.sh")).Run(), "passwords are made once")

	options, err := cli.NewProjectOptions([]string{"../compose/compose.yaml"}, cli.WithEnvFiles(filepath.Join(dir, ".env")), cli.WithDotEnv)
	require.NoError(t, err)
	p, err := options.LoadProject(t.Context())
	require.NoError(t, err)
	return p
}

func TestCompose(t *testing.T) {
	t.Parallel()
	p := project(t)
	require.ElementsMatch(t, []string{"clickhouse", "postgres", "migrate-clickhouse", "migrate-postgres", "collector", "ledger", "prometheus", "grafana"}, p.ServiceNames())
	published := map[string]bool{}
	for name, s := range p.Services {
		require.Regexp(t, `^[a-z0-9/.-]+:v?\d+\.\d+(\.\d+)*$`, s.Image, "%s: a version", name)
		require.Contains(t, s.SecurityOpt, "no-new-privileges:true", name)
		require.Equal(t, []string{"ALL"}, s.CapDrop, name)
		require.False(t, s.Privileged, name)
		require.Empty(t, s.NetworkMode, name)
		if s.Build == nil { // Ours says so itself.
			require.Regexp(t, `^[1-9]\d*:\d+$`, s.User, "%s is not root", name)
		}
		if strings.HasPrefix(name, "migrate-") {
			require.Equal(t, "no", s.Restart)
		} else {
			require.NotNil(t, s.HealthCheck, name)
			require.NotEmpty(t, s.HealthCheck.Test, name)
			require.Equal(t, "unless-stopped", s.Restart, name)
		}
		for _, port := range s.Ports {
			require.Equal(t, "127.0.0.1", port.HostIP, "%s %s", name, port.Published)
			published[port.Published] = true
			require.Contains(t, s.Networks, "front", "%s: the other network leads nowhere", name)
		}
		for _, v := range s.Volumes {
			if v.Type != types.VolumeTypeBind {
				continue
			}
			require.True(t, v.ReadOnly, "%s: %s", name, v.Source)
			if filepath.Base(v.Source) != "provisioning" { // Comes with the dashboards.
				_, err := os.Stat(v.Source)
				require.NoError(t, err, name)
			}
		}
		for key, value := range s.Environment {
			if value != nil && strings.Contains(key, "PASSWORD") {
				require.NotEmpty(t, *value, "%s: %s", name, key)
			}
		}
	}
	require.Equal(t, map[string]bool{"4317": true, "4318": true, "8080": true, "3000": true}, published)
	require.True(t, bool(p.Networks["data"].Internal))
	for _, name := range []string{"clickhouse", "postgres"} {
		require.NotContains(t, p.Services[name].Networks, "front", name)
	}
}

// TestComposeMissing leaves a password out.
func TestComposeMissing(t *testing.T) {
	t.Parallel()
	options, err := cli.NewProjectOptions([]string{"../compose/compose.yaml"}, cli.WithEnv([]string{"POSTGRES_PASSWORD=x"}))
	require.NoError(t, err)
	_, err = options.LoadProject(context.Background())
	require.ErrorContains(t, err, "run ./setup.sh first")
}

// TestComposePasswords compares what the servers are told with what clients are.
func TestComposePasswords(t *testing.T) {
	t.Parallel()
	p := project(t)
	env := func(service, name string) string {
		v := p.Services[service].Environment[name]
		require.NotNil(t, v, "%s %s", service, name)
		return *v
	}
	users := read(t, "../clickhouse/users.d/agenttrail.xml")
	for service, role := range map[string]string{"migrate-clickhouse": "migrator", "collector": "writer", "ledger": "ledger"} {
		m := regexp.MustCompile(`^http://agenttrail_(\w+):(\w+)@clickhouse:8123$`).FindStringSubmatch(env(service, "AGENTTRAIL_CLICKHOUSE_URL"))
		require.NotNil(t, m, service)
		require.Equal(t, role, m[1])
		sum, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+m[2]+" | sha256sum | cut -d' ' -f1").Output()
		require.NoError(t, err)
		name := "CLICKHOUSE_" + strings.ToUpper(role) + "_PASSWORD_SHA256"
		require.Equal(t, strings.TrimSpace(string(sum)), env("clickhouse", name))
		require.Contains(t, users, `<password_sha256_hex from_env="`+name+`"/>`)
		require.Contains(t, users, "<agenttrail_"+role+">")
	}
	roles := read(t, "../postgres/roles.sql")
	for service, role := range map[string]string{"migrate-postgres": "migrator", "ledger": "ledger"} {
		name := strings.ToUpper(role) + "_PASSWORD"
		require.Equal(t, "postgres://agenttrail_"+role+":"+env("postgres", name)+"@postgres:5432/agenttrail", env(service, "AGENTTRAIL_POSTGRES_URL"))
		require.Contains(t, roles, `\getenv `+role+"_password "+name)
	}
	require.Equal(t, env("postgres", "READER_PASSWORD"), env("grafana", "AGENTTRAIL_POSTGRES_PASSWORD"))
}

// TestComposeCommands has the program read what the services are started with, and sees to it that Prometheus asks where
// they listen.
func TestComposeCommands(t *testing.T) {
	t.Parallel()
	p := project(t)
	collector := slices.Clone([]string(p.Services["collector"].Command))
	require.Equal(t, "collector", collector[0])
	env := []string{"AGENTTRAIL_CLICKHOUSE_URL=" + *p.Services["collector"].Environment["AGENTTRAIL_CLICKHOUSE_URL"], "AGENTTRAIL_JOURNAL_DIR=" + t.TempDir()}
	require.NotContains(t, agenttrail(t, env, slices.Insert(collector, 1, "validate")...), "warning")
	for _, name := range []string{"ledger", "migrate-clickhouse", "migrate-postgres"} {
		agenttrail(t, nil, append(slices.Clone([]string(p.Services[name].Command)), "--help")...)
	}
	var config struct {
		RuleFiles     []string `json:"rule_files"`
		ScrapeConfigs []struct {
			JobName       string                       `json:"job_name"`
			StaticConfigs []struct{ Targets []string } `json:"static_configs"`
		} `json:"scrape_configs"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "../compose/prometheus.yaml")), &config))
	require.Equal(t, []string{"rules/*.yaml"}, config.RuleFiles)
	var targets []string
	for _, s := range config.ScrapeConfigs {
		host, _, _ := strings.Cut(s.StaticConfigs[0].Targets[0], ":")
		require.Contains(t, p.Services, host)
		targets = append(targets, s.StaticConfigs[0].Targets...)
	}
	require.Equal(t, []string{"collector:8888", "ledger:8080", "clickhouse:9363"}, targets)
	require.Contains(t, strings.Join(collector, " "), "host: 0.0.0.0, port: 8888")
}
