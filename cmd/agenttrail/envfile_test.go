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
