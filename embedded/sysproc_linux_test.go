package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var _ = addRole("headless", endFirstThread)

func addRole(name string, main func() int) bool {
	roles[name] = main
	return true
}

// endFirstThread ends the thread that the process began with and leaves the others.
func endFirstThread() int {
	for {
		runtime.LockOSThread()
		if syscall.Gettid() == os.Getpid() {
			_, _, _ = syscall.RawSyscall(syscall.SYS_EXIT, 0, 0, 0)
		}
		runtime.UnlockOSThread()
		runtime.Gosched()
	}
}

// A process ends thread by thread. While one of them is left, the process still holds its files.
func TestProcessWithoutItsFirstThread(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Dir, cmd.Env = dir, append(cmd.Environ(), roleEnv+"=headless")
	require.NoError(t, cmd.Start())
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	require.Eventually(t, func() bool {
		_, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", cmd.Process.Pid))
		return errors.Is(err, os.ErrNotExist)
	}, time.Minute, 5*time.Millisecond, "the first thread is gone")
	require.True(t, alive(cmd.Process.Pid))
	n, err := stopOrphans(t.Context(), dir, "", time.Minute)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.False(t, alive(cmd.Process.Pid))
}

// After a crash in a container the process id of the old Postgres often belongs to somebody else, or to an ended
// process that nobody asks for its end.
func TestStalePostgresProcessID(t *testing.T) {
	t.Parallel()
	for name, command := range map[string][]string{"ended": {"true"}, "of another program": {"sleep", "600"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			h := startHelper(t, dir, nil)
			writeRows(t, "", h.report.Postgres, 3)
			pidFile := filepath.Join(dir, "postgres", "postmaster.pid")
			raw, err := os.ReadFile(pidFile)
			require.NoError(t, err)
			require.NoError(t, h.cmd.Process.Kill())
			_ = h.cmd.Wait()
			requireGone(t, dir)

			other := exec.Command(command[0], command[1:]...)
			require.NoError(t, other.Start())
			defer func() {
				_ = other.Process.Kill()
				_ = other.Wait()
			}()
			_, rest, _ := bytes.Cut(raw, []byte("\n"))
			require.NoError(t, os.WriteFile(pidFile, fmt.Appendf(nil, "%d\n%s", other.Process.Pid, rest), 0o600))
			s := testServer(dir)
			s.ClickHouse.Disabled = true
			start(t, s)
			requireRows(t, "", s.PostgresURL(), 3)
			require.NoError(t, syscall.Kill(other.Process.Pid, 0), "the other one is left alone")
		})
	}
}
