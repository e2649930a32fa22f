package check_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// root is that of the checkout.
const root = "../.."

// agenttrail runs the program and gives its output. It must be there: see the package comment.
func agenttrail(t *testing.T, env []string, args ...string) string {
	t.Helper()
	bin := os.Getenv("AGENTTRAIL_BIN")
	if bin == "" {
		var err error
		bin, err = filepath.Abs(filepath.Join(root, "bin/agenttrail"))
		require.NoError(t, err)
	}
	require.FileExists(t, bin, "run \"make build\" first")
	cmd := exec.CommandContext(t.Context(), bin, args...)
	cmd.Env = append(append(os.Environ(), "AGENTTRAIL_OWN_METRICS=true"), env...)
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%v: %s", args, out)
	return string(out)
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(text)
}
