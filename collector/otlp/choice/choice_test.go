package choice_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/agenttrail/agenttrail/collector/otlp"
	"github.com/agenttrail/agenttrail/collector/otlp/choice"
)

// resolve reads a configuration as a collector does, with what the converter logs.
func resolve(t *testing.T, text string) (*confmap.Conf, *observer.ObservedLogs, error) {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	r, err := confmap.NewResolver(confmap.ResolverSettings{
		URIs:              []string{"yaml:" + text},
		ProviderFactories: []confmap.ProviderFactory{yamlprovider.NewFactory(), envprovider.NewFactory()},
		DefaultScheme:     "env", ConverterSettings: confmap.ConverterSettings{Logger: zap.New(core)},
		ConverterFactories: []confmap.ConverterFactory{choice.NewFactory()},
	})
	require.NoError(t, err)
	conf, err := r.Resolve(t.Context())
	return conf, logs, err
}

// pipelines is a configuration of the receiver otlp with a value of direct, "" for none, and pipelines in YAML.
func pipelines(direct, pipelines string) string {
	if direct != "" {
		direct = ", direct: " + direct
	}
	return fmt.Sprintf("{receivers: {otlp: {protocols: {grpc: {}}%s}}, service: {pipelines: {%s}}}", direct, pipelines)
}

const good = "traces: {receivers: [otlp], processors: [memory_limiter], exporters: [agenttrail]}"

func TestItIsDecidedFromThePipelines(t *testing.T) {
	t.Setenv("OTLP_TEST_ON", "on")
	t.Setenv("OTLP_TEST_PROCESSORS", "[memory_limiter, attributes]")
	t.Setenv("OTLP_TEST_EXPORTER", "debug")
	for name, c := range map[string]struct {
		conf, decided, because string
	}{
		"default":                       {pipelines("", good), "on", ""},
		"auto":                          {pipelines("auto", good), "on", ""},
		"on":                            {pipelines("on", good), "on", ""},
		"off":                           {pipelines("off", good), "off", ""},
		"null":                          {pipelines("null", good), "on", ""},
		"nothing set":                   {"{receivers: {otlp: null}, service: {pipelines: {" + good + "}}}", "on", ""},
		"without processors":            {pipelines("", "logs: {receivers: [otlp], exporters: [agenttrail]}"), "on", ""},
		"named components":              {pipelines("", "metrics/own: {receivers: [other, otlp], processors: [memory_limiter/small], exporters: [agenttrail/a, agenttrail/b]}"), "on", ""},
		"spaces":                        {pipelines("", "traces: {receivers: [' otlp '], processors: [' memory_limiter / 2'], exporters: ['agenttrail ']}"), "on", ""},
		"all signals":                   {pipelines("", good+", logs: {receivers: [otlp], exporters: [agenttrail]}, metrics: {receivers: [otlp], exporters: [agenttrail]}"), "on", ""},
		"another receiver is processed": {pipelines("", good+", traces/2: {receivers: [otlp/2], processors: [attributes], exporters: [debug]}"), "on", ""},
		"on from the environment":       {pipelines("'${env:OTLP_TEST_ON}'", good), "on", ""},
		"default of the environment":    {pipelines("'${env:OTLP_TEST_UNSET:-auto}'", good), "on", ""},

		"a processor":                      {pipelines("auto", "traces: {receivers: [otlp], processors: [memory_limiter, attributes/x], exporters: [agenttrail]}"), "off", "the processor attributes/x in the pipeline traces works on pdata"},
		"a processor of one pipeline":      {pipelines("", good+", logs: {receivers: [otlp], processors: [filter], exporters: [agenttrail]}"), "off", "the processor filter in the pipeline logs works on pdata"},
		"another exporter":                 {pipelines("", "traces: {receivers: [otlp], exporters: [agenttrail, debug]}"), "off", "debug at the end of the pipeline traces works on pdata"},
		"another exporter elsewhere":       {pipelines("", good+", traces/2: {receivers: [otlp], exporters: [otlp_grpc/far]}"), "off", "otlp_grpc/far at the end of the pipeline traces/2 works on pdata"},
		"a connector":                      {pipelines("", good+", metrics: {receivers: [otlp], exporters: [forward]}, metrics/2: {receivers: [forward], exporters: [agenttrail]}"), "off", "forward at the end of the pipeline metrics works on pdata"},
		"profiles":                         {pipelines("", good+", profiles: {receivers: [otlp], exporters: [debug]}"), "off", "debug at the end of the pipeline profiles works on pdata"},
		"a processor from the environment": {pipelines("", "traces: {receivers: [otlp], processors: '${env:OTLP_TEST_PROCESSORS}', exporters: [agenttrail]}"), "off", "the processor attributes in the pipeline traces works on pdata"},
		"a name in a list":                 {pipelines("", "traces: {receivers: [otlp], exporters: [agenttrail, '${env:OTLP_TEST_EXPORTER}']}"), "off", "debug at the end of the pipeline traces works on pdata"},
		"off, whatever there is":           {pipelines("off", "traces: {receivers: [otlp], processors: [attributes], exporters: [debug]}"), "off", ""},
	} {
		conf, logs, err := resolve(t, c.conf)
		require.NoError(t, err, name)
		require.Equal(t, c.decided, conf.Get("receivers::otlp::direct"), name)
		var reasons []string
		for _, l := range logs.All() {
			require.Equal(t, "Requests are decoded into pdata", l.Message)
			require.Equal(t, "otlp", l.ContextMap()["receiver"])
			reasons = append(reasons, l.ContextMap()["because"].(string))
		}
		if c.because == "" {
			require.Empty(t, reasons, name)
		} else {
			require.Equal(t, []string{c.because}, reasons, name)
		}
	}
}

func TestOnIsRefusedWithTheObstacle(t *testing.T) {
	t.Setenv("OTLP_TEST_ON", "on")
	for conf, want := range map[string]string{
		"traces: {receivers: [otlp], processors: [batch], exporters: [agenttrail]}":    "the processor batch in the pipeline traces works on pdata",
		"traces: {receivers: [otlp], exporters: [debug]}":                              "debug at the end of the pipeline traces works on pdata",
		good + ", logs: {receivers: [otlp], exporters: [agenttrail, spanmetrics/two]}": "spanmetrics/two at the end of the pipeline logs works on pdata",
	} {
		for _, on := range []string{"on", "'${env:OTLP_TEST_ON}'"} {
			_, _, err := resolve(t, pipelines(on, conf))
			require.ErrorContains(t, err, "receivers::otlp::direct is on, but "+want+": set it to auto or off, or take that out")
		}
	}
}

func TestReceiversAreDecidedOneByOne(t *testing.T) {
	t.Parallel()
	conf, logs, err := resolve(t, `
receivers:
  otlp: {protocols: {grpc: {}}}
  otlp/2: {protocols: {grpc: {}}}
  otlp/unused: {direct: on}
  otlp/unused2: {protocols: {grpc: {}}}
  other: {protocols: {grpc: {}}}
service:
  pipelines:
    traces: {receivers: [otlp, other], exporters: [agenttrail]}
    traces/2: {receivers: [otlp/2], processors: [filter], exporters: [agenttrail]}
    logs: {receivers: [otlp/2], exporters: [agenttrail]}
`)
	require.NoError(t, err)
	got := map[string]any{}
	for _, id := range []string{"otlp", "otlp/2", "otlp/unused", "otlp/unused2", "other"} {
		got[id] = conf.Get("receivers::" + id + "::direct")
	}
	require.Equal(t, map[string]any{"otlp": "on", "otlp/2": "off", "otlp/unused": "on", "otlp/unused2": nil, "other": nil}, got)
	require.Len(t, logs.All(), 1)
	require.Equal(t, "otlp/2", logs.All()[0].ContextMap()["receiver"])
}

// TestWhatIsMalformedIsLeftToTheCollector checks that nothing is made right in silence.
func TestWhatIsMalformedIsLeftToTheCollector(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"5", "true", "sometimes", "[on]", "{a: b}", "''"} {
		conf, _, err := resolve(t, pipelines(value, good))
		require.NoError(t, err, value)
		require.NotContains(t, []any{"on", "off", "auto"}, conf.Get("receivers::otlp::direct"), value)
		require.Error(t, load(t, conf), value)
	}
	for _, text := range []string{
		"{}", "{receivers: 5, service: []}", "{receivers: {otlp: 5}, service: {pipelines: {" + good + "}}}", "{receivers: {'/': {}, '': {}}}",
		pipelines("", "traces: 5"), pipelines("", "traces: {receivers: otlp, processors: 'a,b', exporters: agenttrail}"), pipelines("", "traces: {receivers: 5, processors: {}, exporters: [5, '']}"),
	} {
		_, _, err := resolve(t, text)
		require.NoError(t, err, text)
	}
}

// load reads and checks the receiver otlp of a configuration.
func load(t *testing.T, conf *confmap.Conf) error {
	t.Helper()
	sub, err := conf.Sub("receivers::otlp")
	require.NoError(t, err)
	cfg := otlp.NewFactory().CreateDefaultConfig()
	if err := sub.Unmarshal(cfg); err != nil {
		return err
	}
	return confmap.Validate(cfg)
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for settings, want := range map[string]string{
		"{protocols: {grpc: {}}}":                     "",
		"{protocols: {http: {}}, direct: off}":        "",
		"{protocols: {grpc: null}}":                   "",
		"{protocols: {grpc: {}}, direct: sometimes}":  `direct: "sometimes" is not known: use auto, on or off`,
		"{direct: on}":                                "must specify at least one protocol",
		"{protocols: {grpc: {}}, nonsense: 1}":        "nonsense",
		"{protocols: {grpc: {nonsense: 1}}}":          "nonsense",
		"{protocols: {http: {traces_url_path: ':'}}}": "traces_url_path",
	} {
		conf, _, err := resolve(t, "{receivers: {otlp: "+settings+"}}")
		require.NoError(t, err, settings)
		if err := load(t, conf); want == "" {
			require.NoError(t, err, settings)
		} else {
			require.ErrorContains(t, err, want, settings)
		}
	}
	require.Equal(t, otlp.DirectAuto, otlp.NewFactory().CreateDefaultConfig().(*otlp.Config).Direct)
}

// TestTheReadmeIsTrue reads its example and its table of settings.
func TestTheReadmeIsTrue(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	_, example, ok := strings.Cut(string(text), "```yaml\n")
	require.True(t, ok)
	example, _, ok = strings.Cut(example, "```")
	require.True(t, ok)
	conf, _, err := resolve(t, example)
	require.NoError(t, err)
	require.NoError(t, load(t, conf))
	require.Equal(t, "on", conf.Get("receivers::otlp::direct"))
	require.Contains(t, string(text), fmt.Sprintf("| `direct` | `%s` |", otlp.NewFactory().CreateDefaultConfig().(*otlp.Config).Direct))
}
