package enginetest

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
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/embedded/chserver"
	"github.com/agenttrail/agenttrail/embedded/engine"
	"github.com/agenttrail/agenttrail/internal/port"
)

// CH is a running ClickHouse server.
type CH struct {
	// URL is the address of the HTTP interface, without a path: http://127.0.0.1:port.
	URL string
	// Addr is its host and port.
	Addr string
	// Dir is the data directory.
	Dir string

	cfg   chserver.Config
	free  func() // gives its port free
	cmd   *exec.Cmd
	stdin io.Closer
}

const startTimeout = 3 * time.Minute

var shared struct {
	sync.Mutex
	ch  *CH
	dir string
}

// ClickHouse gives the server that all tests of the binary share; it is started by the first. It runs until the tests
// have ended. Do not kill it: see [StartClickHouse] for a server of one's own.
func ClickHouse(tb testing.TB) *CH {
	tb.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.ch == nil {
		dir, err := os.MkdirTemp("", "enginetest-clickhouse-*") //nolint:usetesting // outlives the test that starts it
		require.NoError(tb, err)
		shared.dir = dir
		shared.ch = &CH{Dir: dir, cfg: chserver.Config{Path: dir}, free: func() {}}
		shared.ch.start(tb)
	}
	return shared.ch
}

func stopShared() {
	shared.Lock()
	defer shared.Unlock()
	if shared.ch != nil {
		_ = shared.ch.stop()
		shared.ch.free()
		_ = os.RemoveAll(shared.dir)
	}
}

// StartClickHouse starts a server of the test's own and ends it with the test. Path, Addr and LibraryPath of cfg may be left
// empty.
func StartClickHouse(tb testing.TB, cfg chserver.Config) *CH {
	tb.Helper()
	if cfg.Path == "" {
		cfg.Path = tb.TempDir()
	}
	c := &CH{Dir: cfg.Path, cfg: cfg, free: func() {}}
	c.start(tb)
	tb.Cleanup(func() {
		_ = c.stop()
		c.free()
	})
	return c
}

func (c *CH) start(tb testing.TB) {
	tb.Helper()
	if c.cfg.LibraryPath == "" {
		lib, err := engine.ClickHouse()
		require.NoError(tb, err)
		c.cfg.LibraryPath = lib
	}
	if c.cfg.Addr == "" {
		var err error
		c.cfg.Addr, c.free, err = port.Reserve(tb.Context(), "127.0.0.1") // A restart comes back to it.
		require.NoError(tb, err)
	}
	config, err := json.Marshal(c.cfg)
	require.NoError(tb, err)
	exe, err := os.Executable()
	require.NoError(tb, err)
	c.cmd = exec.Command(exe) //nolint:noctx // the test binary itself; ended by stop
	c.cmd.Env = append(os.Environ(), envChild+"="+string(config))
	c.cmd.Stderr = os.Stderr
	stdout, err := c.cmd.StdoutPipe()
	require.NoError(tb, err)
	stdin, err := c.cmd.StdinPipe()
	require.NoError(tb, err)
	c.stdin = stdin
	require.NoError(tb, c.cmd.Start())

	ready := make(chan string, 1)
	go func() {
		defer close(ready)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if addr, ok := strings.CutPrefix(lines.Text(), readyPrefix); ok {
				ready <- addr
				_, _ = io.Copy(io.Discard, stdout)
				return
			}
		}
	}()
	select {
	case addr, ok := <-ready:
		if !ok {
			_ = c.cmd.Wait()
			require.FailNow(tb, "the ClickHouse child ended before it listened; see its standard error above")
		}
		c.Addr, c.URL = addr, "http://"+addr
	case <-time.After(startTimeout):
		c.Kill()
		require.FailNow(tb, "the ClickHouse child did not listen in time")
	}
}

// stop ends the server in order and gives how it ended.
func (c *CH) stop() error {
	if c.cmd == nil {
		return nil
	}
	_ = c.stdin.Close()
	err := c.cmd.Wait()
	c.cmd = nil
	return err
}

// Stop ends the server in order, so that everything is on disk. The test fails when it does not end well.
func (c *CH) Stop(tb testing.TB) {
	tb.Helper()
	require.NoError(tb, c.stop())
}

// Kill ends the server at once, as kill -9 does.
func (c *CH) Kill() {
	if c.cmd == nil {
		return
	}
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
	c.cmd = nil
}

// Restart starts the server again after Stop or Kill, on the same data and the same port.
func (c *CH) Restart(tb testing.TB) {
	tb.Helper()
	c.start(tb)
}

// Pid is the server's process id.
func (c *CH) Pid() int { return c.cmd.Process.Pid }

var rssLine = regexp.MustCompile(`VmRSS:\s+(\d+) kB`)

// RSS is the memory the server has resident, in bytes.
func (c *CH) RSS(tb testing.TB) int64 {
	tb.Helper()
	status, err := os.ReadFile("/proc/" + strconv.Itoa(c.Pid()) + "/status")
	require.NoError(tb, err)
	m := rssLine.FindSubmatch(status)
	require.NotNil(tb, m)
	kb, err := strconv.ParseInt(string(m[1]), 10, 64)
	require.NoError(tb, err)
	return kb << 10
}

var clickhouseDatabases atomic.Int64

// Database makes a database for the test, drops it at the test's end, and gives its name.
func (c *CH) Database(tb testing.TB) string {
	tb.Helper()
	name := fmt.Sprintf("test_%d_%d", os.Getpid(), clickhouseDatabases.Add(1))
	c.Exec(tb, "CREATE DATABASE "+name)
	tb.Cleanup(func() {
		if c.cmd != nil {
			_, _ = c.post(context.Background(), "DROP DATABASE IF EXISTS "+name+" SYNC")
		}
	})
	return name
}

// Exec runs a statement and gives its output. Settings and parameters are pairs of name and value as in the URL.
func (c *CH) Exec(tb testing.TB, sql string, params ...string) string {
	tb.Helper()
	out, err := c.post(tb.Context(), sql, params...)
	require.NoError(tb, err, sql)
	return out
}

func (c *CH) post(ctx context.Context, sql string, params ...string) (string, error) {
	values := url.Values{}
	for i := 0; i+1 < len(params); i += 2 {
		values.Set(params[i], params[i+1])
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL+"/?"+values.Encode(), strings.NewReader(sql))
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("HTTP %d: %s", resp.StatusCode, body)
	}
	return string(body), nil
}

// Options are what clickhouse-go needs to connect to a database.
func (c *CH) Options(database string) *clickhouse.Options {
	return &clickhouse.Options{
		Protocol: clickhouse.HTTP, Addr: []string{c.Addr},
		Auth: clickhouse.Auth{Database: database, Username: "default"},
	}
}

// Conn opens a clickhouse-go connection to a database, and closes it at the test's end.
func (c *CH) Conn(tb testing.TB, database string) driver.Conn {
	tb.Helper()
	conn, err := clickhouse.Open(c.Options(database))
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = conn.Close() })
	return conn
}
