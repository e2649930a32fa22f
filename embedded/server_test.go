package embedded

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/embedded/engine"
)

func TestStartStopStart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "data")
	s := start(t, testServer(dir))
	writeRows(t, s.ClickHouseURL(), s.PostgresURL(), 1000)

	require.Equal(t, "UTF8|C|on|t|64MB", postgresQuery(t, s.PostgresURL(), `SELECT pg_encoding_to_char(encoding) || '|' || datcollate || '|' ||
		current_setting('data_checksums') || '|' || current_setting('fsync')::bool::text::char(1) || '|' || current_setting('shared_buffers')
		FROM pg_database WHERE datname = current_database()`))
	require.Equal(t, "d", postgresQuery(t, s.PostgresURL(), `SELECT 'd' WHERE 'ä' < 'z' IS NOT NULL`))
	for name, mode := range map[string]os.FileMode{"": 0o700, "postgres.password": 0o600, "postgres": 0o700, "run": 0o700, "lock": 0o600} {
		fi, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, mode, fi.Mode().Perm(), name)
	}
	for name, pid := range s.Pids() {
		t.Logf("%s, idle: %d MB resident", name, rss(t, pid))
	}
	stop(t, s)
	require.Empty(t, workersIn(t, dir))
	require.NoFileExists(t, filepath.Join(dir, "postgres", "postmaster.pid"), "a clean stop")

	begin := time.Now()
	s = start(t, testServer(dir))
	t.Logf("second start: %s", time.Since(begin))
	requireRows(t, s.ClickHouseURL(), s.PostgresURL(), 1000)
}

func TestOneEngineAlone(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"clickhouse", "postgres"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := testServer(t.TempDir())
			s.ClickHouse.Disabled, s.Postgres.Disabled = name != "clickhouse", name != "postgres"
			start(t, s)
			writeRows(t, s.ClickHouseURL(), s.PostgresURL(), 3)
			requireRows(t, s.ClickHouseURL(), s.PostgresURL(), 3)
			require.Len(t, s.Pids(), 1)
			require.Equal(t, s.ClickHouse.Disabled, s.ClickHouseURL() == "")
			require.Equal(t, s.Postgres.Disabled, s.PostgresURL() == "")
		})
	}
}

func TestShutdownWithoutStartAndTwice(t *testing.T) {
	t.Parallel()
	s := &Server{Dir: t.TempDir()}
	require.NoError(t, s.Shutdown(t.Context()))
	require.NoError(t, s.Shutdown(t.Context()))
	require.ErrorContains(t, s.Start(t.Context()), "before")

	s = testServer(t.TempDir())
	s.ClickHouse.Disabled = true
	start(t, s)
	require.ErrorContains(t, s.Start(t.Context()), "before")
	stop(t, s)
	stop(t, s)
}

func TestPortTaken(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	taken, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	addr := taken.Addr().String()

	s := testServer(t.TempDir())
	s.ClickHouse.Addr = addr
	require.ErrorContains(t, s.Start(t.Context()), "address "+addr+" (--clickhouse-addr) is taken by another program; stop it or choose another")
	require.Empty(t, workersIn(t, s.Dir), "a failed start leaves nothing")

	s = testServer(s.Dir) // the lock is free again
	s.Postgres.Addr = addr
	require.ErrorContains(t, s.Start(t.Context()), "address "+addr+" (--postgres-addr) is taken by another program; stop it or choose another")
	require.Empty(t, workersIn(t, s.Dir))
	start(t, testServer(s.Dir))
}

func TestForeignAddressRefused(t *testing.T) {
	t.Parallel()
	s := testServer(t.TempDir())
	s.ClickHouse.Addr = "0.0.0.0:0"
	s.Postgres.Addr = "0.0.0.0:0"
	err := s.Start(t.Context())
	require.ErrorContains(t, err, "--clickhouse-addr")
	require.ErrorContains(t, err, "--postgres-addr")
	require.ErrorContains(t, err, "set a password")
}

func TestLockHeld(t *testing.T) {
	t.Parallel()
	s := testServer(t.TempDir())
	s.ClickHouse.Disabled = true
	start(t, s)
	second := testServer(s.Dir)
	require.ErrorContains(t, second.Start(t.Context()), "is in use by process "+strconv.Itoa(os.Getpid())+"; stop it, or choose another folder with --data")
	require.NoError(t, second.Shutdown(t.Context()))
	require.Equal(t, "1", postgresQuery(t, s.PostgresURL(), "SELECT 1"), "the second one harms nothing")
}

func TestDataFolderRefused(t *testing.T) {
	t.Parallel()
	t.Run("of somebody else's files", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "thesis.odt"), nil, 0o600))
		require.ErrorContains(t, testServer(dir).Start(t.Context()), "thesis.odt")
		require.NoFileExists(t, filepath.Join(dir, "lock"))
	})
	t.Run("newer format", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, markerName), []byte(`{"product":"agenttrail","format":99}`), 0o600))
		require.ErrorContains(t, testServer(dir).Start(t.Context()), "newer agenttrail (format 99")
	})
	t.Run("a file", func(t *testing.T) {
		t.Parallel()
		name := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(name, nil, 0o600))
		require.ErrorContains(t, testServer(name).Start(t.Context()), "--data")
	})
	t.Run("no folder", func(t *testing.T) {
		t.Parallel()
		require.ErrorContains(t, testServer("").Start(t.Context()), "--data")
	})
}

func TestWrongEngine(t *testing.T) {
	t.Parallel()
	f, err := engine.FromEnv()
	require.NoError(t, err)
	lib, err := f.ClickHouse()
	require.NoError(t, err)
	rel, err := filepath.Rel(f.Dir, lib)
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, rel)), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, rel), []byte("not a library\n"), 0o600))

	s := testServer(t.TempDir())
	s.Engines = &engine.Finder{Dir: dir}
	err = s.Start(t.Context())
	require.ErrorContains(t, err, "libchdb")
	require.ErrorContains(t, err, "agenttrail engines")
	require.ErrorContains(t, err, "make engines")
}

// A child that starts and ends at once must not keep Start waiting, and what it said is in the error.
func TestChildFailsAtStart(t *testing.T) {
	t.Parallel()
	s := testServer(t.TempDir())
	s.Postgres.Disabled = true
	s.ClickHouse.Command = []string{"/bin/sh", "-c", "echo the disk is on fire >&2; exit 3"}
	s.StartTimeout = time.Hour
	err := s.Start(t.Context())
	require.ErrorContains(t, err, "the disk is on fire")
	require.ErrorContains(t, err, "exit status 3")
}

func TestNoAnswerInTime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// On a busy machine the child may need more time until it says something.
	for timeout := 300 * time.Millisecond; ; timeout *= 4 {
		s := testServer(dir)
		s.Postgres.Disabled = true
		s.ClickHouse.Command = []string{"/bin/sh", "-c", "echo thinking; exec sleep 600"}
		s.StartTimeout = timeout
		err := s.Start(t.Context())
		require.ErrorContains(t, err, "wait for ClickHouse")
		require.Empty(t, workersIn(t, s.Dir))
		if timeout > time.Minute {
			require.ErrorContains(t, err, "thinking")
		}
		if strings.Contains(err.Error(), "thinking") {
			return
		}
	}
}

func TestStartInterrupted(t *testing.T) {
	t.Parallel()
	s := testServer(t.TempDir())
	s.Postgres.Disabled = true
	s.ClickHouse.Command = []string{"/bin/sh", "-c", "exec sleep 600"}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, s.Start(ctx), context.DeadlineExceeded)
	require.Empty(t, workersIn(t, s.Dir))
}

func TestLogsAreRotated(t *testing.T) {
	t.Parallel()
	s := testServer(t.TempDir())
	s.ClickHouse.Disabled = true
	start(t, s)
	stop(t, s)
	name := filepath.Join(s.Dir, "logs", "postgres.log")
	require.NoError(t, os.WriteFile(name, []byte(strings.Repeat("old line\n", maxLogSize/9+1)), 0o600))
	s = testServer(s.Dir)
	s.ClickHouse.Disabled = true
	start(t, s)
	fi, err := os.Stat(name)
	require.NoError(t, err)
	require.Less(t, fi.Size(), int64(10_000))
	require.FileExists(t, name+".1")
}

// An answer from somebody else's server is no answer: ClickHouse gets its listener from us.
func TestListenerIsInherited(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("Ok.\n")) }))
	defer other.Close()
	s := testServer(t.TempDir())
	s.Postgres.Disabled = true
	s.ClickHouse.Addr = strings.TrimPrefix(other.URL, "http://")
	require.ErrorIs(t, s.Start(t.Context()), syscall.EADDRINUSE)
}

// Whatever the folder is called: sockets have short paths only, and lists in settings have separators.
func TestOddFolderNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"dä tä, 'x' [1] $HOME %s", strings.Repeat("long", 40), `back\slash "quoted"`} {
		t.Run(name[:4], func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), name)
			s := start(t, testServer(dir))
			writeRows(t, s.ClickHouseURL(), s.PostgresURL(), 3)
			stop(t, s)
			s = start(t, testServer(dir))
			requireRows(t, s.ClickHouseURL(), s.PostgresURL(), 3)
		})
	}
}

func TestIPv6(t *testing.T) {
	t.Parallel()
	s := testServer(t.TempDir())
	s.ClickHouse.Addr, s.Postgres.Addr = "[::1]:0", "[::1]:0"
	start(t, s)
	writeRows(t, s.ClickHouseURL(), s.PostgresURL(), 3)
	requireRows(t, s.ClickHouseURL(), s.PostgresURL(), 3)
}

func TestPassword(t *testing.T) {
	t.Parallel()
	s := testServer(t.TempDir())
	s.Postgres.Disabled = true
	s.ClickHouse.Password = "p@ss word/:?"
	start(t, s)
	require.Equal(t, "1", clickHouseQuery(t, s.ClickHouseURL(), "SELECT 1"))
	_, err := tryClickHouse(t.Context(), "http://"+s.ClickHouseAddr(), "SELECT 1")
	require.ErrorContains(t, err, "AUTHENTICATION_FAILED")
}

// The system's Postgres is older than the pinned one; a data folder stays with the version that made it.
func TestSystemPostgres(t *testing.T) {
	t.Parallel()
	none := engine.Finder{Dir: t.TempDir()}
	bin, err := none.Postgres(0)
	if err != nil {
		t.Skip("no Postgres among the system's packages")
	}
	dir := t.TempDir()
	s := testServer(dir)
	s.ClickHouse.Disabled = true
	s.Engines = &none
	start(t, s)
	require.Equal(t, strconv.Itoa(bin.Major), postgresQuery(t, s.PostgresURL(), "SELECT current_setting('server_version_num')::int / 10000"))
	writeRows(t, "", s.PostgresURL(), 3)
	stop(t, s)
	s = testServer(dir) // now the pinned version is there, too
	s.ClickHouse.Disabled = true
	start(t, s)
	requireRows(t, "", s.PostgresURL(), 3)
}
