package crashfs_test

import (
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/exporter/journal"
	"github.com/agenttrail/agenttrail/internal/crashfs"
)

func setup(t *testing.T) (*crashfs.FS, journal.File) {
	t.Helper()
	fs := crashfs.New()
	require.NoError(t, fs.MkdirAll("/d"))
	f, err := fs.Create("/d/f")
	require.NoError(t, err)
	return fs, f
}

func write(t *testing.T, f journal.File, off int64, s string) {
	t.Helper()
	_, err := f.WriteAt([]byte(s), off)
	require.NoError(t, err)
}

// crashes returns the contents that /d/f has after 100 crashes of copies of what build makes; "-" if it is gone.
func crashes(t *testing.T, build func(*crashfs.FS, journal.File)) map[string]bool {
	t.Helper()
	got := map[string]bool{}
	for seed := range uint64(100) {
		fs, f := setup(t)
		build(fs, f)
		fs.Crash(rand.New(rand.NewPCG(seed, 1)))
		if content, ok := fs.Files()["/d/f"]; ok {
			got[string(content)] = true
		} else {
			got["-"] = true
		}
	}
	return got
}

func TestCrashKeepsWhatWasSynced(t *testing.T) {
	t.Parallel()
	got := crashes(t, func(fs *crashfs.FS, f journal.File) {
		write(t, f, 0, "abc")
		require.NoError(t, f.Sync())
		require.NoError(t, fs.SyncDir("/d"))
		write(t, f, 3, "d")
	})
	require.Equal(t, map[string]bool{"abc": true, "abc\x00": true, "abcd": true}, got)
}

func TestCrashForgetsNames(t *testing.T) {
	t.Parallel()
	got := crashes(t, func(fs *crashfs.FS, f journal.File) {
		write(t, f, 0, "abc")
		require.NoError(t, f.Sync())
	})
	require.Equal(t, map[string]bool{"abc": true, "-": true}, got)
	got = crashes(t, func(fs *crashfs.FS, f journal.File) {
		write(t, f, 0, "abc")
		require.NoError(t, f.Sync())
		require.NoError(t, fs.SyncDir("/d"))
		require.NoError(t, fs.Remove("/d/f"))
	})
	require.Equal(t, map[string]bool{"abc": true, "-": true}, got)
}

func TestCrashTearsSectors(t *testing.T) {
	t.Parallel()
	old, fresh := strings.Repeat("o", crashfs.Sector), strings.Repeat("n", crashfs.Sector)
	got := crashes(t, func(fs *crashfs.FS, f journal.File) {
		write(t, f, 0, old+old)
		require.NoError(t, f.Sync())
		require.NoError(t, fs.SyncDir("/d"))
		write(t, f, 0, fresh+fresh)
	})
	require.Equal(t, map[string]bool{old + old: true, old + fresh: true, fresh + old: true, fresh + fresh: true}, got)
}

func TestFailedSyncLosesWhatWasWritten(t *testing.T) {
	t.Parallel()
	got := crashes(t, func(fs *crashfs.FS, f journal.File) {
		write(t, f, 0, "abc")
		require.NoError(t, f.Sync())
		require.NoError(t, fs.SyncDir("/d"))
		write(t, f, 0, "xyz")
		fs.SetFault(func(crashfs.Op, string) error { return syscall.EIO })
		require.ErrorIs(t, f.Sync(), syscall.EIO)
		fs.SetFault(nil)
		require.NoError(t, f.Sync(), "it says that all is well")
	})
	require.Equal(t, map[string]bool{"abc": true}, got)
}

func TestKillKeepsAllAndEndsHandles(t *testing.T) {
	t.Parallel()
	fs, f := setup(t)
	write(t, f, 0, "abc")
	fs.Kill()
	require.Equal(t, "abc", string(fs.Files()["/d/f"]))
	_, err := f.WriteAt([]byte("d"), 3)
	require.Error(t, err)
}

func TestFaults(t *testing.T) {
	t.Parallel()
	fs, f := setup(t)
	fs.SetCapacity(2)
	n, err := f.WriteAt([]byte("abc"), 0)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.Equal(t, 2, n)
	fs.SetCapacity(0)
	fs.SetReadOnly(true)
	_, err = f.WriteAt([]byte("abc"), 0)
	require.ErrorIs(t, err, syscall.EROFS)
	fs.SetReadOnly(false)
	write(t, f, 0, "abc")

	l, err := fs.Lock("/d/LOCK")
	require.NoError(t, err)
	_, err = fs.Lock("/d/LOCK")
	require.ErrorIs(t, err, journal.ErrLocked)
	require.NoError(t, l.Close())
	_, err = fs.Lock("/d/LOCK")
	require.NoError(t, err)
}
