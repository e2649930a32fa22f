package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEnvironmentFromFiles(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "url")
	require.NoError(t, os.WriteFile(file, []byte("nonsense://here\n"), 0o600))
	run := func(env ...string) string {
		cmd := agenttrail(t.Context(), "migrate", "clickhouse")
		cmd.Env = append(cmd.Env, env...)
		out, err := cmd.CombinedOutput()
		require.Error(t, err)
		return string(out)
	}
	require.Contains(t, run(), "say where")
	require.Contains(t, run(envClickHouseURL+"_FILE="+file), "must start with http")
	require.Contains(t, run(envClickHouseURL+"_FILE="+file, envClickHouseURL+"=http://x"), "are both set")
	require.Contains(t, run(envClickHouseURL+"_FILE="+file+".missing"), "read AGENTTRAIL_CLICKHOUSE_URL_FILE")
}

func TestLedgerValidate(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "ledger.yaml")
	require.NoError(t, os.WriteFile(file, []byte("postgres_url: postgres://here\npool: {max_connections: 8}\n"), 0o600))
	require.Equal(t, "the configuration is valid\n", command(t, 0, "ledger", "validate", "--config", file))
	require.NoError(t, os.WriteFile(file, []byte("postgres_url: postgres://here\npool: {max_connections: 2}\n"), 0o600))
	require.Contains(t, command(t, 1, "ledger", "validate", "--config", file), "pool::max_connections")
	require.NoError(t, os.WriteFile(file, []byte("postgres: here\n"), 0o600))
	require.Contains(t, command(t, 1, "ledger", "validate", "--config", file), "field postgres not found")
}
