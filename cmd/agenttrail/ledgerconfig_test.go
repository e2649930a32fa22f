package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLedgerConfig(t *testing.T) {
	t.Parallel()
	write := func(text string) string {
		file := filepath.Join(t.TempDir(), "ledger.yaml")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return file
	}

	t.Run("FileIsLaidOverTheDefaults", func(t *testing.T) {
		t.Parallel()
		c, err := loadLedgerConfig(write("pool: {acquire_timeout: 300ms}\npostgres_url: postgres://from-file/x\n"))
		require.NoError(t, err)
		require.Equal(t, 300*time.Millisecond, c.Pool.AcquireTimeout)
		require.Equal(t, newDefaultLedgerConfig().Pool.MaxConnections, c.Pool.MaxConnections)
		c.override("127.0.0.1:1", "postgres://from-flag/x", "")
		require.NoError(t, c.Validate())
		require.Equal(t, "postgres://from-flag/x", c.PostgresURL)
		require.Equal(t, "127.0.0.1:1", c.Listen)
	})

	t.Run("UnknownKey", func(t *testing.T) {
		t.Parallel()
		_, err := loadLedgerConfig(write("pool: {max_conections: 5}\n"))
		require.ErrorContains(t, err, "max_conections")
	})

	t.Run("EveryMistakeIsNamed", func(t *testing.T) {
		t.Parallel()
		c, err := loadLedgerConfig(write(`
listen: nowhere
pool: {max_connections: 1, acquire_timeout: 0s}
requests: {max_body_bytes: 0, max_in_flight: 0, max_in_flight_per_key: -1, timeout: 0s}
jobs: {expire_every: 0s, seal_every: 0s, maintain_every: 0s}
telemetry: {otlp_endpoint: nowhere}
stop: {delay: -1s, timeout: 0s}
`))
		require.NoError(t, err)
		err = c.Validate()
		for _, key := range []string{
			"listen", "postgres_url", "pool::max_connections", "pool::acquire_timeout", "requests::max_body_bytes", "requests::max_in_flight",
			"requests::max_in_flight_per_key", "requests::timeout", "jobs::expire_every", "jobs::seal_every", "jobs::maintain_every",
			"telemetry::otlp_endpoint", "stop::delay", "stop::timeout",
		} {
			require.ErrorContains(t, err, key)
		}
	})
}
