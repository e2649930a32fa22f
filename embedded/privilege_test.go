package embedded

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/embedded/engine"
)

const nobody = 65534

// asRoot leaves out what only root can test; CI runs as root.
func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can try other users")
	}
}

// openFolder returns a folder that every account can pass through, unlike t.TempDir.
func openFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "agenttrail-test-") //nolint:usetesting // See above.
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	return dir
}

// publicEngines returns an engine folder that every account can read: the installed one or a copy.
func publicEngines(t *testing.T, dir string) string {
	t.Helper()
	f, err := engine.FromEnv()
	require.NoError(t, err)
	bin, err := f.Postgres(0)
	require.NoError(t, err)
	if reachable(filepath.Join(bin.Dir, "postgres"), privilege{account: "nobody", uid: nobody, gid: nobody}) == nil {
		return f.Dir
	}
	out, err := exec.Command("cp", "-a", filepath.Join(f.Dir, "node_modules"), dir).CombinedOutput()
	require.NoError(t, err, string(out))
	return dir
}

// copyFile leaves the work to another process: a child that this one begins meanwhile would have the copy open for writing
// until it runs its own program, and such a file cannot be run.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	out, err := exec.Command("cp", from, to).CombinedOutput()
	require.NoError(t, err, string(out))
	require.NoError(t, os.Chmod(to, 0o755))
}

func ownerOf(t *testing.T, path string) int {
	t.Helper()
	var st syscall.Stat_t
	require.NoError(t, syscall.Lstat(path, &st))
	return int(st.Uid)
}

func uidOf(t *testing.T, pid int) int {
	t.Helper()
	return ownerOf(t, "/proc/"+strconv.Itoa(pid))
}

func TestOrdinaryUser(t *testing.T) {
	t.Parallel()
	asRoot(t)
	base := openFolder(t)
	self, err := os.Executable()
	require.NoError(t, err)
	binary := filepath.Join(base, "helper")
	copyFile(t, self, binary)
	data := filepath.Join(base, "home")
	require.NoError(t, os.Mkdir(data, 0o700))
	require.NoError(t, os.Chown(data, nobody, nobody))
	data = filepath.Join(data, "data")
	engines := publicEngines(t, base)

	for run := range 2 {
		h := startHelper(t, data, func(cmd *exec.Cmd) {
			cmd.Path, cmd.Dir = binary, "/"
			cmd.Env = []string{roleEnv + "=server", engine.EnvDir + "=" + engines, "PATH=" + os.Getenv("PATH")}
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		})
		if run == 0 {
			writeRows(t, h.report.ClickHouse, h.report.Postgres, 10)
		}
		requireRows(t, h.report.ClickHouse, h.report.Postgres, 10)
		require.Equal(t, nobody, uidOf(t, h.report.Pids["Postgres"]))
		require.NoError(t, h.cmd.Process.Kill())
		_ = h.cmd.Wait()
		requireGone(t, data)
	}
	// The folder of one user is not for another one, not even for root.
	require.ErrorContains(t, testServer(data).Start(t.Context()), fmt.Sprintf("belongs to user %d and this is user 0", nobody))
}

func TestRootInPrivateFolder(t *testing.T) {
	t.Parallel()
	asRoot(t)
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	s := testServer(dir)
	s.ClickHouse.Disabled = true
	start(t, s)
	require.Equal(t, privilegeNamespace, s.pg.priv.mode)
	writeRows(t, "", s.PostgresURL(), 10)
	require.Equal(t, 0, ownerOf(t, filepath.Join(dir, "postgres", "base")))
}

// Where user namespaces are not permitted, Postgres runs as an account of its own.
func TestRootWithAccount(t *testing.T) {
	t.Parallel()
	asRoot(t)
	base := openFolder(t)
	dir := filepath.Join(base, "data")
	finder := &engine.Finder{Dir: publicEngines(t, base)}
	account := func() *Server {
		s := testServer(dir)
		s.ClickHouse.Disabled = true
		s.Postgres.Account = "nobody"
		s.Engines = finder
		return s
	}
	s := start(t, account())
	writeRows(t, "", s.PostgresURL(), 10)
	pid := s.Pids()["Postgres"]
	require.Equal(t, nobody, uidOf(t, pid))
	require.Equal(t, nobody, ownerOf(t, filepath.Join(dir, "postgres", "base")))

	// Restart after a crash and a clean stop work across accounts.
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	waitRestart(t, s, "Postgres", pid)
	requireRows(t, "", s.PostgresURL(), 10)
	stop(t, s)
	require.Empty(t, workersIn(t, dir))

	// The same folder may change between both ways.
	s = testServer(dir)
	s.ClickHouse.Disabled = true
	start(t, s)
	require.Equal(t, 0, ownerOf(t, filepath.Join(dir, "postgres", "base")))
	requireRows(t, "", s.PostgresURL(), 10)
	stop(t, s)
	s = start(t, account())
	requireRows(t, "", s.PostgresURL(), 10)
	stop(t, s)

	// The parent's death reaches a child of another account, too.
	h := startHelper(t, dir, func(cmd *exec.Cmd) {
		cmd.Args = append(cmd.Args, "nobody")
		cmd.Env = append(cmd.Env, engine.EnvDir+"="+finder.Dir)
	})
	require.Equal(t, nobody, uidOf(t, h.report.Pids["Postgres"]))
	require.NoError(t, h.cmd.Process.Kill())
	_ = h.cmd.Wait()
	requireGone(t, dir)
}

func TestRootWithAccountThatCannotReachTheData(t *testing.T) {
	t.Parallel()
	asRoot(t)
	base := openFolder(t)
	private := filepath.Join(base, "private")
	require.NoError(t, os.Mkdir(private, 0o700))
	s := testServer(filepath.Join(private, "data"))
	s.ClickHouse.Disabled = true
	s.Postgres.Account = "nobody"
	s.Engines = &engine.Finder{Dir: publicEngines(t, base)}
	err := s.Start(t.Context())
	require.ErrorContains(t, err, "may not enter "+private)
	require.ErrorContains(t, err, "--data")
}

func TestPostgresOfAnotherVersion(t *testing.T) {
	t.Parallel()
	s := testServer(t.TempDir())
	s.ClickHouse.Disabled = true
	start(t, s)
	stop(t, s)
	name := filepath.Join(s.Dir, "postgres", "PG_VERSION")
	require.NoError(t, os.WriteFile(name, []byte("12\n"), 0o600))
	s = testServer(s.Dir)
	s.ClickHouse.Disabled = true
	err := s.Start(t.Context())
	require.ErrorContains(t, err, "was made by Postgres 12")
	require.ErrorContains(t, err, "dump it")
}

func TestPostgresPasswordLost(t *testing.T) {
	t.Parallel()
	s := testServer(t.TempDir())
	s.ClickHouse.Disabled = true
	start(t, s)
	stop(t, s)
	require.NoError(t, os.WriteFile(s.pg.passwordFile(), []byte("wrong\n"), 0o600))
	again := func() error {
		s := testServer(s.Dir)
		s.ClickHouse.Disabled = true
		return s.Start(t.Context())
	}
	require.ErrorContains(t, again(), "put the right one back")
	require.NoError(t, os.Remove(s.pg.passwordFile()))
	require.ErrorContains(t, again(), "restore it from a backup")
}
