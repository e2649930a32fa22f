package enginetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/embedded"
)

// PG is a running Postgres server.
type PG struct {
	// URL is the address of the maintenance database, for a superuser: postgres://user:password@127.0.0.1:port/agenttrail.
	URL string

	server *embedded.Server
}

// pgFolder begins the names of the data folders of shared servers, below the folder for temporary files.
const pgFolder = "enginetest-postgres-"

var sharedPG struct {
	sync.Mutex
	pg *PG
}

var pgDatabases atomic.Int64

// Postgres gives the server that all tests of the binary share; it is started by the first and runs until the tests
// have ended. It does not flush to disk. Use [PG.Database] for a database of one's own; do not kill it, see
// [StartPostgres] for that.
func Postgres(tb testing.TB) *PG {
	tb.Helper()
	sharedPG.Lock()
	defer sharedPG.Unlock()
	if sharedPG.pg == nil {
		removeStalePostgres()
		dir, err := os.MkdirTemp("", pgFolder) //nolint:usetesting // Outlives the test that starts it.
		require.NoError(tb, err)
		sharedPG.pg = startPostgres(tb, dir, true)
	}
	return sharedPG.pg
}

// StartPostgres starts a server of the test's own, which flushes to disk as in production, and ends it with the test.
func StartPostgres(tb testing.TB) *PG {
	tb.Helper()
	pg := startPostgres(tb, tb.TempDir(), false)
	tb.Cleanup(pg.stop)
	return pg
}

func startPostgres(tb testing.TB, dir string, noSync bool) *PG {
	tb.Helper()
	s := &embedded.Server{
		Dir:        dir,
		Logger:     slog.New(slog.DiscardHandler),
		ClickHouse: embedded.ClickHouseConfig{Disabled: true},
		Postgres: embedded.PostgresConfig{
			Addr: "127.0.0.1:0", NoSync: noSync, Settings: map[string]string{"max_connections": "300"},
		},
	}
	require.NoError(tb, s.Start(context.Background()))
	return &PG{URL: s.PostgresURL(), server: s}
}

// Database makes an empty database for one test, removes it with the test and returns its URL.
func (pg *PG) Database(tb testing.TB) string {
	tb.Helper()
	name := fmt.Sprintf("test_%d", pgDatabases.Add(1))
	pg.exec(tb, "CREATE DATABASE "+name)
	tb.Cleanup(func() { pg.exec(tb, "DROP DATABASE "+name+" WITH (FORCE)") })
	u, err := url.Parse(pg.URL)
	require.NoError(tb, err)
	u.Path = "/" + name
	return u.String()
}

// Kill ends the server process as a crash would and waits until its successor answers. Its URL stays.
func (pg *PG) Kill(tb testing.TB) {
	tb.Helper()
	old := pg.server.Pids()["Postgres"]
	require.NoError(tb, syscall.Kill(old, syscall.SIGKILL))
	require.Eventually(tb, func() bool {
		pid := pg.server.Pids()["Postgres"]
		return pid != 0 && pid != old
	}, time.Minute, 10*time.Millisecond, "Postgres does not come back")
}

// exec makes or removes a database. Postgres gives connections to it, and to its template, five seconds to end, which those
// of its own housekeeping may exceed on a machine that is busy.
func (pg *PG) exec(tb testing.TB, sql string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, pg.URL)
	require.NoError(tb, err)
	for {
		_, err = conn.Exec(ctx, sql)
		var pgErr *pgconn.PgError
		if !errors.As(err, &pgErr) || pgErr.Code != "55006" { // object_in_use
			break
		}
	}
	require.NoError(tb, err)
	require.NoError(tb, conn.Close(ctx))
}

func (pg *PG) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_ = pg.server.Shutdown(ctx) // what does not end is killed
}

// stopSharedPostgres ends the shared server and removes its data.
func stopSharedPostgres() {
	sharedPG.Lock()
	defer sharedPG.Unlock()
	if sharedPG.pg != nil {
		sharedPG.pg.stop()
		_ = os.RemoveAll(sharedPG.pg.server.Dir)
		sharedPG.pg = nil
	}
}

// removeStalePostgres removes the data of shared servers whose test binary was killed.
func removeStalePostgres() {
	entries, err := os.ReadDir(os.TempDir())
	if err != nil {
		return
	}
	for _, e := range entries {
		dir := filepath.Join(os.TempDir(), e.Name())
		fi, err := e.Info()
		if !strings.HasPrefix(e.Name(), pgFolder) || err != nil || time.Since(fi.ModTime()) < time.Minute {
			continue // the last case: somebody is just making it
		}
		lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = os.RemoveAll(dir)
		}
		_ = lock.Close()
	}
}
