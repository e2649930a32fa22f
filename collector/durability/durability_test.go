package durability_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"go.yaml.in/yaml/v3"

	"github.com/agenttrail/agenttrail/collector/durability"
)

func read(t *testing.T, text string) map[string]any {
	t.Helper()
	var conf map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(text), &conf))
	return conf
}

// What configurations are often made of; the pipelines follow in each case.
const common = `
receivers:
  otlp: {protocols: {grpc: {endpoint: 127.0.0.1:4317}}}
processors:
  memory_limiter: {check_interval: 1s, limit_percentage: 50}
  batch: {timeout: 5s}
  resource: {attributes: [{key: a, value: b, action: upsert}]}
  transform: {}
  probabilistic_sampler: {sampling_percentage: 10}
exporters:
  agenttrail: {endpoint: http://127.0.0.1:8123}
  otlp/other: {endpoint: other:4317}
`

func TestComponentsThatAcknowledgeTooEarlyAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		conf string
		want []string // One part of each problem, in order.
	}{
		"a batch processor": {
			`
service: {pipelines: {traces: {receivers: [otlp], processors: [memory_limiter, batch], exporters: [agenttrail]}}}`,
			[]string{"processor batch in the pipeline traces acknowledges requests while they are in its memory"},
		},
		"with a name, in several pipelines": {
			`
processors: {batch/small: {send_batch_size: 10}}
service:
  pipelines:
    traces: {receivers: [otlp], processors: [batch/small], exporters: [agenttrail/eu]}
    logs/a: {receivers: [otlp], processors: [batch/small], exporters: [otlp/other, agenttrail]}`,
			[]string{"processor batch/small in the pipelines logs/a, traces acknowledges"},
		},
		"without settings": {
			`
processors: {batch: , tail_sampling: {decision_wait: 10s}, groupbytrace: }
service: {pipelines: {traces: {receivers: [otlp], processors: [batch, groupbytrace, tail_sampling], exporters: [agenttrail]}}}`,
			[]string{"processor batch ", "processor groupbytrace ", "processor tail_sampling "},
		},
		"that hold points and log records": {
			`
service:
  pipelines:
    metrics: {receivers: [otlp], processors: [interval], exporters: [agenttrail]}
    logs: {receivers: [otlp], processors: [logdedup, log_dedup/2, logstransform], exporters: [agenttrail]}`,
			[]string{"processor interval in the pipeline metrics", "processor log_dedup/2", "processor logdedup", "use the transform processor"},
		},
		"behind a connector": {
			`
connectors: {forward: , routing/x: {}}
service:
  pipelines:
    traces/in: {receivers: [otlp], processors: [batch], exporters: [forward]}
    traces/mid: {receivers: [forward], exporters: [routing/x]}
    traces/out: {receivers: [routing/x], exporters: [agenttrail]}`,
			[]string{"processor batch in the pipeline traces/in acknowledges"},
		},
		"behind connectors in a circle": {
			`
connectors: {forward: , forward/back: }
service:
  pipelines:
    logs/a: {receivers: [otlp, forward/back], exporters: [forward, agenttrail]}
    logs/b: {receivers: [forward], processors: [batch], exporters: [forward/back]}`,
			[]string{"processor batch in the pipeline logs/b acknowledges"},
		},
		"a connector with a queue in memory": {
			`
connectors: {failover: {sending_queue: {enabled: true, queue_size: 1000}}}
service:
  pipelines:
    logs/in: {receivers: [otlp], exporters: [failover]}
    logs/out: {receivers: [failover], exporters: [agenttrail]}`,
			[]string{"connector failover in the pipeline logs/out has a sending_queue in memory"},
		},
	} {
		problems, warnings := durability.Check(merge(read(t, common), read(t, c.conf)))
		require.Empty(t, warnings, name)
		require.Len(t, problems, len(c.want), "%s: %q", name, problems)
		for i, want := range c.want {
			require.Contains(t, problems[i], want, name)
		}
	}
}

func TestDoubtfulComponentsAreWarnedAbout(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		conf string
		want []string
	}{
		"a connector that aggregates, and what is before it": {
			`
connectors: {span_metrics: }
service:
  pipelines:
    traces: {receivers: [otlp], processors: [batch], exporters: [span_metrics, otlp/other]}
    metrics: {receivers: [span_metrics], exporters: [agenttrail]}`,
			[]string{"connector span_metrics in the pipeline metrics keeps figures in memory"},
		},
		"kafka that marks messages early": {
			`
receivers: {kafka: {message_marking: {after: false}}, kafka/safe: {message_marking: {after: true}}}
service: {pipelines: {traces: {receivers: [kafka, kafka/safe], exporters: [agenttrail]}}}`,
			[]string{"receiver kafka in the pipeline traces marks messages as read before they are safe: set message_marking::after"},
		},
		"files without storage or retries": {
			`
receivers:
  filelog: {include: [a.log]}
  file_log/storage: {include: [a.log], storage: file_storage}
  filelog/retry: {include: [a.log], retry_on_failure: {enabled: "true"}}
  filelog/safe: {include: [a.log], retry_on_failure: {enabled: true, max_elapsed_time: 0}, storage: file_storage}
service: {pipelines: {logs: {receivers: [filelog, file_log/storage, filelog/retry, filelog/safe], exporters: [agenttrail]}}}`,
			[]string{
				"receiver file_log/storage in the pipeline logs drops what the exporter refuses",
				"receiver filelog in the pipeline logs drops what the exporter refuses for the moment: set retry_on_failure::enabled to true, with max_elapsed_time 0; and it forgets",
				"receiver filelog/retry in the pipeline logs forgets how far",
			},
		},
		"a queue on disk, and one switched off": {
			`
connectors: {failover: {sending_queue: {storage: file_storage}}, failover/off: {sending_queue: {enabled: false}}}
service:
  pipelines:
    logs/in: {receivers: [otlp], exporters: [failover, failover/off]}
    logs/out: {receivers: [failover, failover/off], exporters: [agenttrail]}`,
			[]string{"connector failover in the pipeline logs/out has a sending_queue of its own"},
		},
		"a processor that batches by its name": {
			`
service: {pipelines: {logs: {receivers: [otlp], processors: [concurrentbatch], exporters: [agenttrail]}}}`,
			[]string{"processor concurrentbatch in the pipeline logs puts requests together by its name"},
		},
	} {
		problems, warnings := durability.Check(merge(read(t, common), read(t, c.conf)))
		require.Empty(t, problems, name)
		require.Len(t, warnings, len(c.want), "%s: %q", name, warnings)
		for i, want := range c.want {
			require.Contains(t, warnings[i], want, name)
		}
	}
}

func TestWhatKeepsThePromiseIsLeftAlone(t *testing.T) {
	t.Parallel()
	for name, conf := range map[string]string{
		"processors that pass on at once": `
service: {pipelines: {traces: {receivers: [otlp], processors: [memory_limiter, resource, transform, probabilistic_sampler], exporters: [agenttrail]}}}`,
		"a batch that leads elsewhere": `
service:
  pipelines:
    traces: {receivers: [otlp], exporters: [agenttrail]}
    traces/other: {receivers: [otlp], processors: [batch], exporters: [otlp/other]}`,
		"a batch behind a connector that leads elsewhere": `
connectors: {forward: }
service:
  pipelines:
    traces: {receivers: [otlp], exporters: [agenttrail, forward]}
    traces/other: {receivers: [forward], processors: [batch], exporters: [otlp/other]}`,
		"a batch in no pipeline":       `service: {pipelines: {traces: {receivers: [otlp], exporters: [agenttrail]}}}`,
		"a receiver named as exporter": `service: {pipelines: {traces: {receivers: [agenttrail], processors: [batch], exporters: [otlp/other]}}}`,
		"nothing":                      ``,
		"something malformed":          `{service: {pipelines: {traces: [], logs: {receivers: otlp, processors: {batch: }, exporters: [3, agenttrail]}}}}`,
	} {
		problems, warnings := durability.Check(merge(read(t, common), read(t, conf)))
		require.Empty(t, problems, name)
		require.Empty(t, warnings, name)
	}
}

func TestTheConverterRefusesAndWarns(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.WarnLevel)
	var warned []string
	set := confmap.ConverterSettings{Logger: zap.New(core)}
	converter := durability.NewFactoryFunc(func(w []string) { warned = w }).Create(set)
	conf := confmap.NewFromStringMap(read(t, `
receivers: {kafka: }
service: {pipelines: {traces: {receivers: [kafka], processors: [batch], exporters: [agenttrail]}}}`))
	before := conf.ToStringMap()
	err := converter.Convert(t.Context(), conf)
	lossy, ok := errors.AsType[*durability.Error](err)
	require.True(t, ok, "%v", err)
	require.Len(t, lossy.Problems, 1)
	require.ErrorContains(t, err, "processor batch in the pipeline traces")
	require.Equal(t, before, conf.ToStringMap(), "it changes nothing")
	require.Len(t, warned, 1)
	require.Equal(t, 1, logs.Len())
	require.Equal(t, warned[0], logs.All()[0].ContextMap()["component"])

	require.NoError(t, durability.NewFactory().Create(set).Convert(t.Context(), confmap.New()))
}

// merge lays b over a, as the collector merges configurations.
func merge(a, b map[string]any) map[string]any {
	conf := confmap.NewFromStringMap(a)
	if err := conf.Merge(confmap.NewFromStringMap(b)); err != nil {
		panic(err)
	}
	return conf.ToStringMap()
}
