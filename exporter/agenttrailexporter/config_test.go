package agenttrailexporter

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"

	"github.com/agenttrail/agenttrail/exporter/agenttrailexporter/internal/metadata"
	"github.com/agenttrail/agenttrail/exporter/delivery"
	"github.com/agenttrail/agenttrail/exporter/journal"
)

func load(t *testing.T, name string) (*Config, error) {
	t.Helper()
	conf, err := confmaptest.LoadConf(filepath.Join("testdata", "config.yaml"))
	require.NoError(t, err)
	sub, err := conf.Sub(component.NewIDWithName(metadata.Type, name).String())
	require.NoError(t, err)
	cfg := createDefaultConfig().(*Config)
	if err := sub.Unmarshal(cfg); err != nil {
		return nil, err
	}
	return cfg, confmap.Validate(cfg)
}

func TestEverySettingIsRead(t *testing.T) {
	t.Parallel()
	cfg, err := load(t, "all")
	require.NoError(t, err)
	require.Equal(t, delivery.Settings{
		Endpoint: "https://ch.example.com:8443/?insert_quorum=2", Database: "trail", Username: "writer", Password: "s3cret",
		Compression: delivery.CompressionZSTD, MaxBlockRows: 1000, MaxBlockBytes: 1_000_000, MaxQueueBytes: 2_000_000,
		MaxRequestBytes: 3_000_000, MaxWait: 2 * time.Second, RequestTimeout: 7 * time.Second, RetryInitial: 10 * time.Millisecond,
		RetryMax: 3 * time.Second, FlushInterval: 90 * time.Millisecond, Mappers: cfg.settings().Mappers,
		Journal: journal.Settings{
			Dir: "/var/lib/trail", MaxBytes: 5_000_000, Compression: journal.CompressionNone, Window: 3 * time.Minute, WindowRequests: 77,
		},
	}, cfg.settings())
	require.Equal(t, 1024, cfg.mapping(nil).MaxAttributeBytes)
	require.Equal(t, 2048, cfg.mapping(nil).MaxBodyBytes)
	require.Equal(t, 7, cfg.MaxAgentSeries)
	require.True(t, cfg.TLS.InsecureSkipVerify)
	require.NotContains(t, cfg.Password.String(), "s3cret")
}

func TestPricesFile(t *testing.T) {
	t.Parallel()
	cfg, ok := createDefaultConfig().(*Config)
	require.True(t, ok)
	shipped, err := cfg.prices()
	require.NoError(t, err)
	require.NotEmpty(t, shipped.All())
	cfg.PricesFile = filepath.Join(t.TempDir(), "prices.json")
	_, err = cfg.prices()
	require.ErrorContains(t, err, "open prices_file")
	require.NoError(t, os.WriteFile(cfg.PricesFile, []byte(`{"version": ""}`), 0o600))
	_, err = cfg.prices()
	require.ErrorContains(t, err, "the list has no version")
}

func TestDefaultsAreValidAndThoseOfTheWriter(t *testing.T) {
	t.Parallel()
	cfg, err := load(t, "")
	require.ErrorContains(t, err, "journal::directory: give a folder on a disk that outlives the process")
	require.NotContains(t, err.Error(), "\n", "nothing else is wrong")
	require.Equal(t, createDefaultConfig().(*Config).settings(), cfg.settings())
	require.Equal(t, 16, cfg.Keepalive.Get().MaxIdleConnsPerHost)
}

func TestWrongSettingsAreAllNamed(t *testing.T) {
	t.Parallel()
	_, err := load(t, "wrong")
	for _, key := range []string{
		"endpoint", "database", "compression", "max_block_rows", "max_block_bytes", "max_queue_bytes", "max_request_bytes",
		"max_wait", "timeout", "retry::initial_interval", "max_attribute_bytes", "max_body_bytes", "max_agent_series",
		"flush_interval", "journal::directory", "journal::max_bytes", "journal::compression", "journal::window", "journal::window_requests",
	} {
		require.ErrorContains(t, err, key+": ")
	}
	_, err = load(t, "foreign")
	for _, key := range []string{"sending_queue", "retry_on_failure", "create_schema", "async_insert", "ttl", "batcher", "retry::max_elapsed_time"} {
		require.ErrorContains(t, err, key+": ")
	}
	_, err = load(t, "unknown")
	require.ErrorContains(t, err, "endpiont: no such setting; there are auth, ")
	require.ErrorContains(t, err, "retry::max_time: no such setting; there are initial_interval, max_interval")
	require.ErrorContains(t, err, "journal::dir: no such setting; there are compression, directory, max_bytes, window, window_requests")
}
