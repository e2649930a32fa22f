package stripetest

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var listening = regexp.MustCompile(`Listening for HTTP at address: (\S+)`)

// Start builds and starts stripe-mock, which is pinned in internal/tools/go.mod, on a free port, ends it with the test and
// returns its URL. It answers requests with another version of the API, or with parameters that there are not, with 400.
func Start(tb testing.TB) string {
	tb.Helper()
	mod, err := exec.CommandContext(tb.Context(), "go", "env", "GOMOD").Output()
	require.NoError(tb, err)
	root := filepath.Dir(strings.TrimSpace(string(mod)))
	binary := filepath.Join(tb.TempDir(), "stripe-mock")
	build := exec.CommandContext(tb.Context(), "go", "build", "-modfile", filepath.Join("internal", "tools", "go.mod"), "-o", binary, "github.com/stripe/stripe-mock") //nolint:gosec // Ours.
	build.Dir = root
	out, err := build.CombinedOutput()
	require.NoError(tb, err, string(out))

	// Without its own address for HTTPS it would take a fixed one.
	cmd := exec.CommandContext(tb.Context(), binary, "-http-addr", "127.0.0.1:0", "-https-addr", "127.0.0.1:0", "-strict-version-check")
	stdout, err := cmd.StdoutPipe()
	require.NoError(tb, err)
	require.NoError(tb, cmd.Start())
	address := make(chan string, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				address <- m[1]
			}
		}
		_ = cmd.Wait() // It is killed.
	}()
	tb.Cleanup(func() {
		_ = cmd.Process.Kill() // It may have ended.
		<-ended
	})
	select {
	case a := <-address:
		return "http://" + a
	case <-ended:
		require.FailNow(tb, "stripe-mock has ended")
	case <-time.After(time.Minute):
		require.FailNow(tb, "stripe-mock does not listen")
	}
	return ""
}
