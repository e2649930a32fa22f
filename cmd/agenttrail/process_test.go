package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/stretchr/testify/require"
)

// startTimeout is generous: the machine may be busy with other tests.
const startTimeout = 2 * time.Minute

// agenttrail prepares a command line of the program under test.
func agenttrail(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), envRunMain+"=1")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	return cmd
}

// instance is one running "agenttrail up" on free ports.
type instance struct {
	addresses
	dir    string
	cmd    *exec.Cmd
	output *lockedBuffer
	done   chan struct{} // Closed when the process has ended.
	err    error         // How it ended; read after done.
}

// freePorts makes every server choose its port, so that any number of instances run side by side.
var freePorts = []string{
	"--clickhouse-addr", "127.0.0.1:0", "--postgres-addr", "127.0.0.1:0", "--otlp-grpc-addr", "127.0.0.1:0",
	"--otlp-http-addr", "127.0.0.1:0", "--health-addr", "127.0.0.1:0", "--metrics-addr", "127.0.0.1:0",
	"--ledger-addr", "127.0.0.1:0",
}

// startUp starts "agenttrail up" on dir and returns when it is ready.
func startUp(t *testing.T, dir string, args ...string) *instance {
	t.Helper()
	in := &instance{dir: dir, output: &lockedBuffer{}, done: make(chan struct{})}
	in.cmd = agenttrail(context.Background(), append(append([]string{"up", "--data", dir}, freePorts...), args...)...)
	in.cmd.Stdout, in.cmd.Stderr = in.output, in.output
	require.NoError(t, os.RemoveAll(addressesFile(dir)))
	require.NoError(t, in.cmd.Start())
	go func() { in.err = in.cmd.Wait(); close(in.done) }()
	t.Cleanup(func() {
		in.stop(t)
		if t.Failed() {
			t.Logf("output of agenttrail up:\n%s", in.output)
		}
	})
	deadline := time.Now().Add(startTimeout)
	for {
		var err error
		in.addresses, err = readRunning(dir)
		// What it prints when it has started comes a moment after its addresses, the memory last.
		if err == nil && in.PID == in.cmd.Process.Pid && strings.Contains(in.output.String(), "\n  memory ") {
			return in
		}
		select {
		case <-in.done:
			t.Fatalf("agenttrail up ended: %v\n%s", in.err, in.output)
		case <-time.After(20 * time.Millisecond):
		}
		require.True(t, time.Now().Before(deadline), "agenttrail up is not ready:\n%s", in.output)
	}
}

// stop asks the instance to end and waits until it has.
func (in *instance) stop(t *testing.T) {
	t.Helper()
	_ = in.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-in.done:
	case <-time.After(startTimeout):
		_ = in.cmd.Process.Kill()
		t.Errorf("agenttrail up did not stop within %s", startTimeout)
	}
}

// kill ends the instance the hard way.
func (in *instance) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, in.cmd.Process.Kill())
	<-in.done
}

// open connects to the instance's ClickHouse with clickhouse-go over HTTP.
func (in *instance) open(t *testing.T) driver.Conn {
	t.Helper()
	opts, err := clickhouse.ParseDSN(in.ClickHouse)
	require.NoError(t, err)
	opts.Auth.Database = "agenttrail"
	conn, err := clickhouse.Open(opts)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// query answers a query over plain HTTP, as curl would get it.
func (in *instance) query(t *testing.T, sql string) string {
	t.Helper()
	text, err := in.tryQuery(sql)
	require.NoError(t, err, sql)
	return text
}

// tryQuery is query where ClickHouse may be away.
func (in *instance) tryQuery(sql string) (string, error) {
	resp, err := http.Post(in.ClickHouse, "text/plain", strings.NewReader(sql))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return strings.TrimSpace(string(body)), err
}

// answers waits until a query has the answer: what is acknowledged is stored a moment later.
func (in *instance) answers(t *testing.T, want, sql string, what ...any) {
	t.Helper()
	deadline := time.Now().Add(startTimeout)
	got := in.query(t, sql)
	for got != want && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
		got = in.query(t, sql)
	}
	require.Equal(t, want, got, what...)
}

// awaitStored waits until what was acknowledged is stored, with what views make of it: rows leave the journal when their
// INSERT has been answered.
func (in *instance) awaitStored(t *testing.T) {
	t.Helper()
	empty := regexp.MustCompile(`(?m)^otelcol_agenttrail_exporter_journal_segments(\{.*\})? 0$`)
	require.Eventually(t, func() bool {
		resp, err := http.Get("http://" + in.Metrics + "/metrics")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		return err == nil && empty.Match(text)
	}, startTimeout, 20*time.Millisecond, "the journal of the collector does not become empty")
}

// failures are the errors that a program has logged, but for those that say that something took too long: on a busy machine
// that happens, and is tried again.
func failures(output fmt.Stringer) (lines []string) {
	slow := regexp.MustCompile("(?i)timeout|deadline exceeded|is busy|given up")
	for line := range strings.Lines(output.String()) {
		if strings.Contains(line, "level=ERROR") && !slow.MatchString(line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// post sends an OTLP request to the instance over HTTP and returns the status of the answer.
func (in *instance) post(signal, contentType string, body []byte) (int, string, error) {
	resp, err := http.Post("http://"+in.OTLPHTTP+"/v1/"+signal, contentType, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// children returns the ids of the processes that the instance started, by engine.
func (in *instance) children(t *testing.T) map[string]int {
	t.Helper()
	found := map[string]int{}
	require.Eventually(t, func() bool { // One that crashed is started again, and telemetry is acknowledged meanwhile.
		clear(found)
		for _, pid := range descendants(in.cmd.Process.Pid)[1:] {
			line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			if err != nil {
				continue
			}
			args := strings.Split(string(line), "\x00")
			switch {
			case len(args) > 1 && args[1] == "clickhouse":
				found["clickhouse"] = pid
			case filepath.Base(args[0]) == "postgres":
				found["postgres"] = pid
			}
		}
		return len(found) == 2
	}, startTimeout, 20*time.Millisecond, "children of agenttrail up")
	return found
}

// alive tells whether a process exists and is not a zombie.
func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// lockedBuffer collects the output of a process while a test reads it.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
