package chdb_test

import (
	"os"
	"os/exec"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/embedded/chdb"
	"github.com/agenttrail/agenttrail/embedded/engine"
)

// TestFullDisk writes to a device that is always full. The engine must not say that it did.
func TestFullDisk(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("/dev/full is Linux's")
	}
	if os.Getenv(envChild) == t.Name() {
		lib, err := engine.ClickHouse()
		require.NoError(t, err)
		e, err := chdb.Open(chdb.Options{LibraryPath: lib, DataPath: t.TempDir(), Timezone: "UTC"})
		require.NoError(t, err)
		require.NoError(t, e.Exec("INSERT INTO FUNCTION file('"+t.TempDir()+"/room', 'TSV', 's String') SELECT 'row'"))
		t.Log("the engine is up")
		err = e.Exec("INSERT INTO FUNCTION file('/dev/full', 'TSV', 's String') SELECT 'row'")
		t.Fatalf("the engine answered: %v", err)
	}
	t.Parallel()
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), envChild+"="+t.Name())
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, string(out))
	require.Contains(t, string(out), "the engine is up")
	require.Contains(t, string(out), "the disk is full")
	require.NotContains(t, string(out), "the engine answered")
	require.Equal(t, 74, exit.ExitCode())
}
