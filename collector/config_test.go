package collector_test

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/agenttrail/agenttrail/collector"
)

func validate(t *testing.T, s collector.Settings) error {
	t.Helper()
	c, err := collector.New(s)
	require.NoError(t, err)
	return c.Validate(t.Context())
}

func TestTheDefaultConfigurationIsValid(t *testing.T) {
	t.Parallel()
	require.NoError(t, validate(t, collector.Settings{}))
	for _, addr := range []string{collector.DefaultGRPCAddr, collector.DefaultHTTPAddr, collector.DefaultHealthAddr} {
		require.Contains(t, collector.DefaultConfig, "endpoint: "+addr+"\n")
	}
	host, port, err := net.SplitHostPort(collector.DefaultMetricsAddr)
	require.NoError(t, err)
	require.Regexp(t, `host: `+regexp.QuoteMeta(host)+`\n\s+port: `+port, collector.DefaultConfig)
}

func TestWrongConfigurationsSayWhatToDo(t *testing.T) {
	t.Parallel()
	for override, want := range map[string]string{
		"exporters::agenttrail::endpoint=tcp://127.0.0.1:9000":              "give the address of ClickHouse's HTTP interface",
		"exporters::agenttrail::compression=gzip":                           "use auto, lz4, zstd or none",
		"exporters::agenttrail::max_block_rows=2000000":                     "max_block_rows: must be from 1 to 1048448",
		"exporters::agenttrail::sending_queue={enabled: true}":              "sending_queue: the exporter has a journal on disk in place of the queue",
		"exporters::agenttrail::retry_on_failure={enabled: true}":           "retry::initial_interval and retry::max_interval set the pauses",
		"exporters::agenttrail::retry::max_elapsed_time=1m":                 "giving up would lose what was acknowledged",
		"exporters::agenttrail::journal::directory=":                        "journal::directory: give a folder",
		"exporters::agenttrail::retry::nonsense=1":                          "retry::nonsense: no such setting; there are initial_interval, max_interval",
		"exporters::agenttrail::nonsense=1":                                 "nonsense",
		"exporters::agenttrail::timeout=0s":                                 "timeout: must be positive",
		"exporters::kafka={}":                                               `unknown type: "kafka"`,
		"service::telemetry::traces={processors: []}":                       "service::telemetry::traces: this distribution reports",
		"service::telemetry::metrics::readers=[{periodic: {}}]":             "readers[0]::periodic",
		"service::telemetry::metrics::nonsense=1":                           "nonsense",
		"service::telemetry::logs::encoding=xml":                            "use console or json",
		"service::telemetry::logs::level=loud":                              "unrecognized level",
		"service::telemetry::resource={attributes: [{value: x}]}":           "resource::attributes[0]",
		"receivers.otlp.protocols.grpc.max_recv_msg_size_mib=much":          "max_recv_msg_size_mib",
		"service::telemetry::metrics::readers=[{pull: {exporter: {}}}]":     "pull::exporter::prometheus: must be there",
		"exporters::agenttrail::retry::max_interval=1ms":                    "retry::max_interval",
		"exporters::agenttrail::max_attribute_bytes=1":                      "max_attribute_bytes: must be 64 or more",
		"exporters::agenttrail={endpoint: '', max_wait: 0, database: ''}":   "max_wait: must be positive",
		"exporters::agenttrail={endpoint: '', max_wait: 0, database: '' }":  "database: must not be empty",
		"exporters::agenttrail={endpoint: '', max_wait: 0, database: ''  }": "endpoint: give the address",
	} {
		require.ErrorContains(t, validate(t, collector.Settings{Overrides: []string{override}}), want, override)
	}
	_, err := collector.New(collector.Settings{Overrides: []string{"no value"}})
	require.ErrorContains(t, err, "write it as key=value")
	require.ErrorContains(t, validate(t, collector.Settings{ConfigURIs: []string{"/does/not/exist.yaml"}}), "/does/not/exist.yaml")
}

func TestStandardTelemetryKeysAreHonored(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "collector.yaml")
	log := filepath.Join(dir, "collector.log")
	extra := `
service:
  telemetry:
    resource: {deployment.environment.name: test, service.instance.id: null}
    logs: {level: INFO, encoding: json, output_paths: [` + log + `], disable_zap_resource: false, sampling: {enabled: false}, initial_fields: {team: a}}
    metrics:
      level: basic
      readers:
        - pull: {exporter: {prometheus: {host: "127.0.0.1", port: 0, without_type_suffix: false, with_resource_constant_labels: {included: ["service*"], excluded: ["service.version"]}}}}
`
	require.NoError(t, os.WriteFile(file, []byte(collector.DefaultConfig), 0o600))
	second := filepath.Join(dir, "extra.yaml")
	require.NoError(t, os.WriteFile(second, []byte(extra), 0o600))
	s := localSettings(t, io.Discard)
	s.Logger, s.MetricsAddr = nil, ""
	s.ConfigURIs = []string{file, second}
	s.ClickHouseURL = "http://" + closedAddr
	c := start(t, s)
	text, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Contains(t, string(text), `"msg":"Everything is ready. Begin running and processing data."`)
	require.Contains(t, string(text), `"team":"a"`)
	require.Contains(t, string(text), `"deployment.environment.name":"test"`)
	require.NotContains(t, string(text), "service.instance.id")
	metrics := get(t, "http://"+c.Addrs().Metrics+"/metrics")
	require.Contains(t, metrics, `service_name="agenttrail-collector"`)
	require.NotRegexp(t, `otelcol_.*service_version`, metrics)
	require.Contains(t, metrics, "otelcol_process_uptime_seconds_total")
}

// TestBuilderConfigHasTheVersionsOfThisModule keeps the manifest for other distributions in step with go.mod.
func TestBuilderConfigHasTheVersionsOfThisModule(t *testing.T) {
	t.Parallel()
	gomod, err := os.ReadFile("../go.mod")
	require.NoError(t, err)
	versions := map[string]string{}
	for line := range strings.Lines(string(gomod)) {
		if f := strings.Fields(line); len(f) >= 2 && strings.HasPrefix(f[1], "v") {
			versions[f[0]] = f[1]
		}
	}
	text, err := os.ReadFile("builder-config.yaml")
	require.NoError(t, err)
	var manifest map[string]any
	require.NoError(t, yaml.Unmarshal(text, &manifest))
	found := 0
	for _, kind := range []string{"receivers", "processors", "exporters", "extensions", "providers", "converters", "telemetry"} {
		list, _ := manifest[kind].([]any)
		if one, ok := manifest[kind].(map[string]any); ok {
			list = []any{one}
		}
		for _, e := range list {
			module, version, _ := strings.Cut(e.(map[string]any)["gomod"].(string), " ")
			if strings.HasPrefix(module, "github.com/agenttrail/") {
				continue // It is released with this file.
			}
			require.Equal(t, versions[module], version, module)
			found++
		}
	}
	require.GreaterOrEqual(t, found, 7)
}

// TestBuilderConfigNamesPackagesWithAFactory looks at those of this module, also the ones that are only proposed.
func TestBuilderConfigNamesPackagesWithAFactory(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("builder-config.yaml")
	require.NoError(t, err)
	found := regexp.MustCompile(`import: github.com/agenttrail/agenttrail/(\S+)`).FindAllSubmatch(text, -1)
	require.Len(t, found, 4)
	for _, m := range found {
		files, err := filepath.Glob("../" + string(m[1]) + "/*.go")
		require.NoError(t, err)
		var code strings.Builder
		for _, f := range files {
			b, err := os.ReadFile(f)
			require.NoError(t, err)
			code.Write(b)
		}
		require.Contains(t, code.String(), "\nfunc NewFactory()", "%s", m[1])
	}
}
