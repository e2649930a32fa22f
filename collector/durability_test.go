package collector_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/collector"
)

// addTo writes a configuration file, as an operator would who adds to the built-in one.
func addTo(t *testing.T, extra string) collector.Settings {
	t.Helper()
	dir := t.TempDir()
	first, second := filepath.Join(dir, "collector.yaml"), filepath.Join(dir, "extra.yaml")
	require.NoError(t, os.WriteFile(first, []byte(collector.DefaultConfig), 0o600))
	require.NoError(t, os.WriteFile(second, []byte(extra), 0o600))
	return collector.Settings{ConfigURIs: []string{first, second}}
}

func TestConfigurationsThatWouldLoseRowsAreRefusedFirst(t *testing.T) {
	t.Parallel()
	// The distribution has neither of the two; that they must not be there matters more.
	s := addTo(t, `
processors:
  batch: {timeout: 5s, send_batch_size: 8192}
connectors:
  forward:
service:
  pipelines:
    traces/in: {receivers: [otlp], processors: [memory_limiter, batch], exporters: [forward]}
    traces: {receivers: [forward], processors: [], exporters: [agenttrail]}
`)
	err := validate(t, s)
	require.EqualError(t, err, "check configuration: this configuration would lose what clients were told is safe: "+
		"processor batch in the pipeline traces/in acknowledges requests while they are in its memory, and loses them when the process dies or the exporter refuses them: "+
		"remove it, the exporter itself puts requests together into large inserts")
	c, errNew := collector.New(s)
	require.NoError(t, errNew)
	err = c.Start(t.Context())
	require.ErrorContains(t, err, "run collector: this configuration would lose what clients were told is safe: processor batch")

	// The same without the batch processor fails for what is left.
	s.Overrides = []string{"service::pipelines::traces/in::processors=[memory_limiter]", "processors::batch=null"}
	err = validate(t, s)
	require.ErrorContains(t, err, `unknown type: "forward"`)
	require.NotContains(t, err.Error(), "would lose")
}

func TestDoubtfulConfigurationsAreWarnedAbout(t *testing.T) {
	t.Parallel()
	s := addTo(t, `
receivers: {kafka: {brokers: ["127.0.0.1:9092"]}}
service: {pipelines: {traces: {receivers: [otlp, kafka]}}}
`)
	logs := &syncBuffer{}
	s.Logger = localSettings(t, logs).Logger
	c, err := collector.New(s)
	require.NoError(t, err)
	require.ErrorContains(t, c.Validate(t.Context()), `unknown type: "kafka"`)
	require.Len(t, c.Warnings(), 1)
	require.Contains(t, c.Warnings()[0], "message_marking::after")
	require.Contains(t, logs.String(), "This configuration may lose what was acknowledged")

	c, err = collector.New(collector.Settings{})
	require.NoError(t, err)
	require.NoError(t, c.Validate(t.Context()))
	require.Empty(t, c.Warnings(), "the built-in configuration keeps the promise")
}
