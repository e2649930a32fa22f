package embedded

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// waitRestart waits for another child than the one with this process id.
func waitRestart(t *testing.T, s *Server, name string, old int) {
	t.Helper()
	require.Eventually(t, func() bool { pid := s.Pids()[name]; return pid != 0 && pid != old }, time.Minute, 10*time.Millisecond)
}

func TestClickHouseKilled(t *testing.T) {
	t.Parallel()
	s := testServer(t.TempDir())
	s.Postgres.Disabled = true
	start(t, s)
	writeRows(t, s.ClickHouseURL(), "", 1000)
	url := s.ClickHouseURL()
	for range 2 {
		old := s.Pids()["ClickHouse"]
		begin := time.Now()
		require.NoError(t, syscall.Kill(old, syscall.SIGKILL))
		// The address stays bound: a request made now is answered by the next child, unless the dying one had
		// accepted it already.
		if out, err := tryClickHouse(t.Context(), url, "SELECT count() FROM d.rows"); err == nil {
			require.Equal(t, "1000", out)
		}
		waitRestart(t, s, "ClickHouse", old)
		t.Logf("answered again after %s", time.Since(begin))
		require.Equal(t, url, s.ClickHouseURL())
		requireRows(t, url, "", 1000)
	}
	require.Empty(t, s.Err())
}

func TestPostgresKilled(t *testing.T) {
	t.Parallel()
	s := testServer(t.TempDir())
	s.ClickHouse.Disabled = true
	start(t, s)
	writeRows(t, "", s.PostgresURL(), 1000)
	// A backend that computes does not notice the death of its server and holds on to the shared memory.
	busy := make(chan struct{})
	go func() {
		defer close(busy)
		cmd := "SELECT count(*) FROM generate_series(1, 2000000000) a"
		conn, err := pgxConnect(t, s.PostgresURL())
		if err == nil {
			_, _ = conn.Exec(t.Context(), cmd)
			_ = conn.Close(t.Context())
		}
	}()
	require.Eventually(t, func() bool {
		return postgresQuery(t, s.PostgresURL(), "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT count(*) FROM generate%'") == "1"
	}, time.Minute, 10*time.Millisecond)
	url, old := s.PostgresURL(), s.Pids()["Postgres"]
	begin := time.Now()
	require.NoError(t, syscall.Kill(old, syscall.SIGKILL))
	waitRestart(t, s, "Postgres", old)
	t.Logf("answered again after %s", time.Since(begin))
	require.Equal(t, url, s.PostgresURL())
	requireRows(t, "", url, 1000)
	<-busy
}

func TestCrashesTooOften(t *testing.T) {
	t.Parallel()
	s := testServer(t.TempDir())
	s.Postgres.Disabled = true
	s.restart = restartPolicy{limit: 3, window: time.Hour, backoff: time.Millisecond, maxWait: time.Millisecond}
	start(t, s)
	old := 0
	for range 3 {
		waitRestart(t, s, "ClickHouse", old)
		old = s.Pids()["ClickHouse"]
		require.NoError(t, syscall.Kill(old, syscall.SIGKILL))
	}
	select {
	case err := <-s.Err():
		require.ErrorContains(t, err, "ClickHouse crashed 3 times")
		require.ErrorContains(t, err, "signal: killed")
	case <-time.After(2 * time.Minute):
		require.Fail(t, "not given up")
	}
	_, err := tryClickHouse(t.Context(), s.ClickHouseURL(), "SELECT 1")
	require.ErrorIs(t, err, syscall.ECONNREFUSED, "nobody waits for a server that does not come back")
}

func TestParentKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := startHelper(t, dir, nil)
	writeRows(t, h.report.ClickHouse, h.report.Postgres, 1000)
	require.NotEmpty(t, workersIn(t, dir))
	require.NoError(t, h.cmd.Process.Kill())
	_ = h.cmd.Wait()
	begin := time.Now()
	requireGone(t, dir)
	t.Logf("children gone after %s", time.Since(begin))
	s := start(t, testServer(dir))
	requireRows(t, s.ClickHouseURL(), s.PostgresURL(), 1000)
}

// The next start does not wait for the orphans to be gone by themselves.
func TestStartRightAfterParentKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := startHelper(t, dir, nil)
	writeRows(t, h.report.ClickHouse, h.report.Postgres, 1000)
	// Stopped children cannot act on the death of their parent.
	for _, pid := range h.report.Pids {
		require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	}
	require.NoError(t, h.cmd.Process.Kill())
	_ = h.cmd.Wait()
	// The system continues stopped processes whose group is orphaned, so on a busy machine they may be gone by now.
	if len(workersIn(t, dir)) == 0 {
		t.Log("the orphans were gone before the next start")
	}
	s := testServer(dir)
	s.ClickHouse.Addr, s.Postgres.Addr = hostOf(t, h.report.ClickHouse), hostOf(t, h.report.Postgres)
	start(t, s)
	requireRows(t, s.ClickHouseURL(), s.PostgresURL(), 1000)
}

func TestChildIgnoresStop(t *testing.T) {
	t.Parallel()
	s := testServer(t.TempDir())
	s.ClickHouse.Disabled = true
	start(t, s)
	writeRows(t, "", s.PostgresURL(), 1000)
	require.NoError(t, syscall.Kill(s.Pids()["Postgres"], syscall.SIGSTOP))
	ctx, cancel := contextWithTimeout(t, 300*time.Millisecond)
	defer cancel()
	require.ErrorContains(t, s.Shutdown(ctx), "was killed; the next start recovers")
	require.Empty(t, workersIn(t, s.Dir))

	again := testServer(s.Dir)
	again.ClickHouse.Disabled = true
	start(t, again)
	requireRows(t, "", again.PostgresURL(), 1000)
	s.stopErr = nil // the cleanup of the first server repeats its error
}

func TestInitdbInterrupted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	self := testServer(dir).ClickHouse.Command[0]
	// Kill the helper at several points of its first start, whatever it is doing then.
	for _, after := range []int{30, 150, 400, 700, 900} {
		cmd := exec.Command(self, dir)
		cmd.Env = append(cmd.Environ(), roleEnv+"=server")
		require.NoError(t, cmd.Start())
		time.Sleep(time.Duration(after) * time.Millisecond) // any moment will do
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
	}
	s := start(t, testServer(dir))
	writeRows(t, s.ClickHouseURL(), s.PostgresURL(), 3)
	requireRows(t, s.ClickHouseURL(), s.PostgresURL(), 3)
	require.NoDirExists(t, filepath.Join(dir, "postgres.init"))
	leftovers, err := filepath.Glob(filepath.Join(dir, passwordCopy+"*"))
	require.NoError(t, err)
	require.Empty(t, leftovers)
}

// Where the system sends no signal when a parent dies, the pipe has to do.
func TestClickHouseEndsWithThePipe(t *testing.T) {
	t.Parallel()
	base := testServer(t.TempDir())
	ln, err := Listen(t.Context(), "127.0.0.1:0", "", false)
	require.NoError(t, err)
	listener, err := ln.File()
	require.NoError(t, err)
	url := "http://" + ln.Addr().String()
	read, write, err := os.Pipe()
	require.NoError(t, err)
	cmd := exec.Command(base.ClickHouse.Command[0], "--data="+base.Dir, "--listen-fd=3", "--parent-fd=4")
	cmd.Env = append(cmd.Environ(), roleEnv+"=clickhouse")
	cmd.ExtraFiles = []*os.File{listener, read}
	require.NoError(t, cmd.Start())
	require.NoError(t, errors.Join(ln.Close(), listener.Close(), read.Close()))
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	require.Equal(t, "1", clickHouseQuery(t, url, "SELECT 1"))
	require.NoError(t, write.Close())
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(2 * time.Minute):
		_ = cmd.Process.Kill()
		require.Fail(t, "still running")
	}
}

// An engine that does not end leaves the others time to end well.
func TestStopTimeIsShared(t *testing.T) {
	t.Parallel()
	s := testServer(t.TempDir())
	s.Postgres.NoSync = true // A clean end must not wait for a busy disk.
	start(t, s)
	require.NoError(t, syscall.Kill(s.Pids()["ClickHouse"], syscall.SIGSTOP))
	ctx, cancel := contextWithTimeout(t, 40*time.Second)
	defer cancel()
	err := s.Shutdown(ctx)
	require.ErrorContains(t, err, "stop ClickHouse: it had not ended in time and was killed")
	require.NotContains(t, err.Error(), "Postgres")
	require.NoFileExists(t, filepath.Join(s.Dir, "postgres", "postmaster.pid"), "a clean stop")
	require.Empty(t, workersIn(t, s.Dir))
	s.stopErr = nil // the cleanup repeats the error
}
