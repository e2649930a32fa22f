package chdb_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/embedded/chdb"
	"github.com/agenttrail/agenttrail/embedded/engine"
)

// envChild names the test that a child process runs. The engine starts once per process, so every test has its own.
const envChild = "AGENTTRAIL_CHDB_TEST"

// inChild runs a test in a process of its own, with a fresh engine.
func inChild(t *testing.T, test func(t *testing.T, e *chdb.Engine)) {
	t.Helper()
	if os.Getenv(envChild) != t.Name() {
		t.Parallel()
		exe, err := os.Executable()
		require.NoError(t, err)
		cmd := exec.CommandContext(t.Context(), exe, "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), envChild+"="+t.Name())
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		t.Log(string(out))
		return
	}
	lib, err := engine.ClickHouse()
	require.NoError(t, err)
	e, err := chdb.Open(chdb.Options{LibraryPath: lib, DataPath: t.TempDir(), Timezone: "UTC"})
	require.NoError(t, err)
	test(t, e)
	require.NoError(t, e.Close())
	require.NoError(t, e.Close(), "closing again does nothing")
	_, err = e.Connect(nil)
	require.Error(t, err)
}
