package embedded

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// roleEnv tells a copy of the test binary to be something else: the ClickHouse child, or a program with a Server.
const roleEnv = "AGENTTRAIL_TEST_ROLE"

var roles = map[string]func() int{"clickhouse": clickHouseMain, "server": serverMain}

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		os.Exit(roles[role]())
	}
	goleak.VerifyTestMain(m)
}

func clickHouseMain() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var p ClickHouseProcess
	fs := pflag.NewFlagSet("clickhouse", pflag.ContinueOnError)
	p.AddFlags(fs)
	err := fs.Parse(os.Args[1:])
	if err == nil {
		err = p.Run(ctx, slog.New(slog.NewTextHandler(os.Stderr, nil)), func(string) {})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// helperReport is what the helper program says about itself in one line once it runs.
type helperReport struct {
	ClickHouse, Postgres string
	Pids                 map[string]int
}

// serverMain runs a Server on the folder in its first argument until it is told to stop.
func serverMain() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s := testServer(os.Args[1])
	s.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	if len(os.Args) > 2 {
		s.Postgres.Account = os.Args[2]
	}
	if err := s.Start(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := json.NewEncoder(os.Stdout).Encode(helperReport{s.ClickHouseURL(), s.PostgresURL(), s.Pids()}); err != nil {
		return 1
	}
	<-ctx.Done()
	if err := s.Shutdown(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// testServer returns a server on free ports whose ClickHouse child is this test binary.
func testServer(dir string) *Server {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return &Server{
		Dir: dir,
		ClickHouse: ClickHouseConfig{
			Addr: "127.0.0.1:0", Command: []string{self}, Env: []string{roleEnv + "=clickhouse"}, MemoryLimitBytes: 2 << 30,
		},
		Postgres: PostgresConfig{Addr: "127.0.0.1:0"},
	}
}

// start starts the server and sees to its end.
func start(t *testing.T, s *Server) *Server {
	t.Helper()
	if s.Logger == nil {
		s.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	require.NoError(t, s.Start(t.Context()))
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	require.NoError(t, s.Shutdown(ctx))
}

// clickHouseQuery returns the answer of ClickHouse in TabSeparated format.
func clickHouseQuery(t *testing.T, url, sql string) string {
	t.Helper()
	out, err := tryClickHouse(t.Context(), url, sql)
	require.NoError(t, err)
	return out
}

func tryClickHouse(ctx context.Context, url, sql string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(sql))
	if err != nil {
		return "", err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 2 * time.Minute}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", resp.StatusCode, body)
	}
	return strings.TrimSpace(string(body)), err
}

// postgresQuery runs statements and returns the first column of the first row of the last one, as text.
func postgresQuery(t *testing.T, url string, statements ...string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	out := ""
	for _, sql := range statements {
		rows, err := conn.Query(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err, sql)
		for first := true; rows.Next(); first = false {
			if raw := rows.RawValues(); first && len(raw) > 0 {
				out = string(raw[0])
			}
		}
		require.NoError(t, rows.Err(), sql)
	}
	return out
}

// writeRows puts n rows into a table of each engine that runs.
func writeRows(t *testing.T, clickHouse, postgres string, n int) {
	t.Helper()
	if clickHouse != "" {
		clickHouseQuery(t, clickHouse, "CREATE DATABASE IF NOT EXISTS d ENGINE = Atomic")
		clickHouseQuery(t, clickHouse, "CREATE TABLE d.rows (n UInt64) ENGINE = MergeTree ORDER BY n")
		clickHouseQuery(t, clickHouse, fmt.Sprintf("INSERT INTO d.rows SELECT number FROM numbers(%d)", n))
	}
	if postgres != "" {
		postgresQuery(t, postgres, "CREATE TABLE rows (n bigint)", fmt.Sprintf("INSERT INTO rows SELECT generate_series(1, %d)", n))
	}
}

func requireRows(t *testing.T, clickHouse, postgres string, n int) {
	t.Helper()
	if clickHouse != "" {
		require.Equal(t, fmt.Sprint(n), clickHouseQuery(t, clickHouse, "SELECT count() FROM d.rows"))
	}
	if postgres != "" {
		require.Equal(t, fmt.Sprint(n), postgresQuery(t, postgres, "SELECT count(*) FROM rows"))
	}
}

// helper is a running program with a Server.
type helper struct {
	cmd    *exec.Cmd
	report helperReport
	stderr *bytes.Buffer
}

// startHelper starts the helper program on dir; prepare may change the command.
func startHelper(t *testing.T, dir string, prepare func(*exec.Cmd)) *helper {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	h := &helper{cmd: exec.Command(self, dir), stderr: &bytes.Buffer{}}
	h.cmd.Env = append(os.Environ(), roleEnv+"=server")
	h.cmd.Stderr = h.stderr
	if prepare != nil {
		prepare(h.cmd)
	}
	out, err := h.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, h.cmd.Start())
	t.Cleanup(func() {
		_ = h.cmd.Process.Kill()
		_ = h.cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		_ = h.cmd.Wait()
	}
	require.NoError(t, err, "helper: %s", h.stderr)
	require.NoError(t, json.Unmarshal(line, &h.report))
	return h
}

// requireGone waits until no process is left with dir as its working folder.
func requireGone(t *testing.T, dirs ...string) {
	t.Helper()
	require.Eventually(t, func() bool { return len(workersIn(t, dirs...)) == 0 }, time.Minute, 20*time.Millisecond,
		"still there: %v", workersIn(t, dirs...))
}

// workersIn lists what runs in the folders, by an own look at /proc.
func workersIn(t *testing.T, dirs ...string) []string {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	require.NoError(t, err)
	var found []string
	for _, link := range links {
		cwd, err := os.Readlink(link)
		if err != nil {
			continue
		}
		for _, dir := range dirs {
			if cwd == dir || strings.HasPrefix(cwd, dir+"/") {
				found = append(found, link)
			}
		}
	}
	return found
}

// rss returns the resident memory of a process in MB.
func rss(t *testing.T, pid int) int {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	for line := range strings.Lines(string(raw)) {
		var kb int
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kb); err == nil {
			return kb >> 10
		}
	}
	return 0
}

func pgxConnect(t *testing.T, url string) (*pgx.Conn, error) {
	t.Helper()
	return pgx.Connect(t.Context(), url)
}

func contextWithTimeout(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), d)
}

// hostOf returns host and port of a URL.
func hostOf(t *testing.T, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	require.NoError(t, err)
	return u.Host
}
