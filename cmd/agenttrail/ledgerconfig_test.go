package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/ledger"
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

	t.Run("Packages", func(t *testing.T) {
		t.Parallel()
		c, err := loadLedgerConfig(write(`
stripe: {api_key: sk_test_1, webhook_secrets: [whsec_12345678, whsec_abcdefgh]}
packages: [{id: small, amount_cents: 500, currency: USD, credits: "50.5", bonus_credits: "1", bonus_valid_days: 30}]
`))
		require.NoError(t, err)
		c.override("", "postgres://x/x", "")
		require.NoError(t, c.Validate())
		s := c.stripeSettings()
		require.Equal(t, []ledger.Package{{ID: "small", Name: "small", AmountCents: 500, Currency: "USD", Credits: 50_500_000, BonusCredits: ledger.Credit, BonusDays: 30}}, s.Packages)
		require.Equal(t, []string{"whsec_12345678", "whsec_abcdefgh"}, s.WebhookSecrets)
		require.Equal(t, 5*time.Minute, s.Tolerance)
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
stripe: {api_key: pk_test_1, webhook_secrets: [wrong], webhook_tolerance: 0s, api_url: nowhere, sweep_every: 0s}
packages: [{id: "", amount_cents: 0, currency: euro, credits: "0", valid_days: -1}]
clickhouse: {url: "http://127.0.0.1:8123", database: "", sync_every: 0s}
reconciliation: {every: 0s, window: 5m, grace: 10m, adjust_over: much}
forecast: {every: 0s}
coverage: {every: 0s, window: 1ms}
telemetry: {otlp_endpoint: nowhere}
stop: {delay: -1s, timeout: 0s}
`))
		require.NoError(t, err)
		err = c.Validate()
		for _, key := range []string{
			"listen", "postgres_url", "pool::max_connections", "pool::acquire_timeout", "requests::max_body_bytes", "requests::max_in_flight",
			"requests::max_in_flight_per_key", "requests::timeout", "jobs::expire_every", "jobs::seal_every", "jobs::maintain_every",
			"stripe::api_key", "stripe::webhook_secrets[0]", "stripe::webhook_tolerance", "stripe::api_url", "stripe::sweep_every",
			"packages[0]::id", "packages[0]::amount_cents", "packages[0]::credits", "packages[0]::valid_days",
			"clickhouse::database", "clickhouse::sync_every", "reconciliation::every", "reconciliation::window", "reconciliation::adjust_over", "forecast::every", "coverage::every", "coverage::window",
			"telemetry::otlp_endpoint", "stop::delay", "stop::timeout",
		} {
			require.ErrorContains(t, err, key)
		}
	})
}
