// Package promtest gives tests a real Prometheus and promtool, of the version that is pinned in internal/tools/prometheus/go.mod.
//
// They are built from their Go module, so that a test needs nothing but Go. That takes some minutes of CPU time once; then the
// build cache has them. Most service discoveries are left out, which saves a part of it.
package promtest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/port"
)

const (
	modfile = "internal/tools/prometheus/go.mod"
	command = "github.com/prometheus/prometheus/cmd/"
)

// startTimeout is generous: the machine may be busy with other tests.
const startTimeout = 2 * time.Minute

// Promtool builds promtool and returns its path.
func Promtool(tb testing.TB) string {
	tb.Helper()
	return build(tb, "promtool")
}

// build makes a program in a folder of the test's own. What it is made of comes from the build cache.
func build(tb testing.TB, name string) string {
	tb.Helper()
	mod, err := exec.CommandContext(tb.Context(), "go", "env", "GOMOD").Output()
	require.NoError(tb, err)
	binary := filepath.Join(tb.TempDir(), name)
	cmd := exec.CommandContext(tb.Context(), "go", "build", "-modfile", filepath.FromSlash(modfile), "-tags", "remove_all_sd", "-ldflags", "-s -w", "-o", binary, command+name) //nolint:gosec // Ours.
	cmd.Dir = filepath.Dir(strings.TrimSpace(string(mod)))
	out, err := cmd.CombinedOutput()
	require.NoError(tb, err, string(out))
	return binary
}

// Server is a Prometheus that runs until the test ends.
type Server struct {
	URL string
	PID int
}

// Start runs Prometheus on a configuration file and a free port.
func Start(tb testing.TB, config string) *Server {
	tb.Helper()
	binary := build(tb, "prometheus")
	// It takes no port 0 that it would tell; where a port cannot be reserved, it is taken by another at times.
	for range 5 {
		if s := try(tb, binary, config); s != nil {
			return s
		}
	}
	require.FailNow(tb, "prometheus does not start; see its log above")
	return nil
}

func try(tb testing.TB, binary, config string) *Server {
	tb.Helper()
	addr, free, err := port.Reserve(tb.Context(), "127.0.0.1")
	require.NoError(tb, err)
	tb.Cleanup(free)
	cmd := exec.CommandContext(tb.Context(), binary, "--config.file", config, "--storage.tsdb.path", tb.TempDir(), "--web.listen-address", addr, "--log.level", "warn")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	stderr, err := cmd.StderrPipe()
	require.NoError(tb, err)
	require.NoError(tb, cmd.Start())
	var mu sync.Mutex
	var log []string
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			mu.Lock()
			log = append(log, lines.Text())
			mu.Unlock()
		}
		_ = cmd.Wait() // It is stopped by a signal.
	}()
	tb.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // It may have ended.
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
	})
	s := &Server{URL: "http://" + addr, PID: cmd.Process.Pid}
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); {
		select {
		case <-ended:
			mu.Lock()
			defer mu.Unlock()
			tb.Logf("prometheus has ended:\n%s", strings.Join(log, "\n"))
			return nil
		case <-time.After(50 * time.Millisecond):
		}
		resp, err := http.Get(s.URL + "/-/ready") //nolint:noctx // On this machine.
		if err != nil {
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return s
		}
	}
	tb.Log("prometheus is not ready")
	return nil
}

// Get asks its API, such as /api/v1/query, and puts the data of the answer into into. The error is what Prometheus says.
func (s *Server) Get(ctx context.Context, path string, params url.Values, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path+"?"+params.Encode(), http.NoBody)
	if err != nil {
		return fmt.Errorf("ask prometheus: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask prometheus: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("ask prometheus: %w", err)
	}
	var doc struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return fmt.Errorf("ask prometheus: %w: %s", err, body)
	}
	if doc.Status != "success" {
		return fmt.Errorf("ask prometheus: %s", doc.Error)
	}
	if err := json.Unmarshal(doc.Data, into); err != nil {
		return fmt.Errorf("ask prometheus: %w: %s", err, doc.Data)
	}
	return nil
}
