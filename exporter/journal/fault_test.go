package journal_test

import (
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/exporter/journal"
	"github.com/agenttrail/agenttrail/internal/crashfs"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		reason journal.Reason
		hurt   func(*crashfs.FS)
	}{
		{"no space", journal.ReasonNoSpace, func(fs *crashfs.FS) { fs.SetCapacity(fs.Used() + 20) }},
		{"read-only", journal.ReasonReadOnly, func(fs *crashfs.FS) { fs.SetReadOnly(true) }},
		{"quota", journal.ReasonNoSpace, failOn(crashfs.OpWrite, syscall.EDQUOT)},
		{"write", journal.ReasonIO, failOn(crashfs.OpWrite, syscall.EIO)},
		{"fsync", journal.ReasonIO, failOn(crashfs.OpSync, syscall.EIO)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				j, fs := started(t, journal.Settings{})
				c.hurt(fs)
				for n := range 3 {
					_, err := j.Append(t.Context(), rec(1, strings.Repeat("data", 100+n)))
					requireReason(t, c.reason, err)
				}
				require.False(t, j.Known(hash(1)))
				fs.SetCapacity(0)
				fs.SetReadOnly(false)
				fs.SetFault(nil)
				time.Sleep(10 * time.Second) // Repairs are not tried at once.
				appendOne(t, j, rec(1, "data"))
				require.Equal(t, map[int]string{0: "the first", 1: "data"}, data(t, rotate(t, j)))
				closeNow(t, j)
				j = open(t, journal.Settings{Dir: "/journal", FS: fs})
				require.Equal(t, 2, j.Recovery().Records)
				require.Empty(t, j.Recovery().Damages)
				require.Zero(t, j.Recovery().Torn)
				closeNow(t, j)
			})
		})
	}
}

func failOn(op crashfs.Op, err error) func(*crashfs.FS) {
	return func(fs *crashfs.FS) {
		fs.SetFault(func(o crashfs.Op, _ string) error {
			if o == op {
				return err
			}
			return nil
		})
	}
}

func TestBacklogIsBounded(t *testing.T) {
	t.Parallel()
	j := open(t, journal.Settings{Dir: "/journal", FS: crashfs.New(), MaxBytes: 10_000})
	appended := 0
	for {
		_, err := j.Append(t.Context(), rec(appended, strings.Repeat("d", 1000)))
		if err != nil {
			requireReason(t, journal.ReasonFull, err)
			break
		}
		appended++
	}
	require.Equal(t, 8, appended)
	seg := rotate(t, j)
	bytes, oldest, segments := j.Backlog()
	require.Equal(t, seg.Bytes(), bytes)
	require.Equal(t, seg.Created(), oldest)
	require.Equal(t, 1, segments)
	require.LessOrEqual(t, bytes, int64(10_000))
	_, err := j.Append(t.Context(), rec(100, strings.Repeat("d", 2000)))
	requireReason(t, journal.ReasonFull, err)
	require.NoError(t, seg.Remove(t.Context()))
	appendOne(t, j, rec(100, strings.Repeat("d", 2000)))
	closeNow(t, j)
}

// A disk that is full of segments can be emptied, although the hashes of a segment are written before it is removed.
func TestFullDiskCanBeEmptied(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j, fs := started(t, journal.Settings{})
		fs.SetCapacity(fs.Used() + 100_000)
		var segments []*journal.Segment
		for n := 1; ; n++ {
			_, err := j.Append(t.Context(), rec(n, strings.Repeat("d", 3000)))
			if err != nil {
				requireReason(t, journal.ReasonNoSpace, err)
				break
			}
			if n%3 == 0 {
				segments = append(segments, rotate(t, j))
			}
		}
		for n := 0; ; n++ { // The rest, with small ones.
			if _, err := j.Append(t.Context(), &journal.Record{}); err != nil {
				break
			}
		}
		fs.SetCapacity(fs.Used())
		for _, s := range segments {
			require.NoError(t, s.Remove(t.Context()))
		}
		appendOne(t, j, rec(1000, "there is room"))
		closeNow(t, j)
	})
}

// What was refused because of a failed fsync is in no file that is read later, however far the first repairs get.
func TestCopyOfASegmentAfterFailedFsync(t *testing.T) {
	t.Parallel()
	for _, op := range []crashfs.Op{"", crashfs.OpWrite, crashfs.OpSync, crashfs.OpRename, crashfs.OpSyncDir, crashfs.OpRemove} {
		t.Run("then "+string(op), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { copyAfterFailedFsync(t, op) })
		})
	}
}

// copyAfterFailedFsync has a Sync fail, and then the second of the operations.
func copyAfterFailedFsync(t *testing.T, then crashfs.Op) {
	t.Helper()
	j, fs := started(t, journal.Settings{})
	synced, count := false, 0
	fs.SetFault(func(op crashfs.Op, _ string) error {
		switch {
		case op == crashfs.OpSync && !synced:
			synced = true
			return syscall.EIO
		case synced && op == then:
			if count++; count == 1 {
				return syscall.EIO
			}
		}
		return nil
	})
	_, err := j.Append(t.Context(), rec(1, "refused"))
	requireReason(t, journal.ReasonIO, err)
	seg, err := j.Rotate(t.Context())
	require.Error(t, err, "what is in the file differs from what is in memory")
	require.Nil(t, seg)
	if then != "" {
		time.Sleep(time.Second)
		_, err := j.Rotate(t.Context())
		require.Error(t, err, "the repair fails, too")
	}
	time.Sleep(time.Second)
	seg = rotate(t, j)
	require.Equal(t, map[int]string{0: "the first"}, data(t, seg))
	require.Len(t, seg.Records(), 1)
	appendOne(t, j, rec(2, "later"))
	later := rotate(t, j)
	require.Greater(t, later.Number, seg.Number, "segments are ordered by their numbers")
	require.NoError(t, later.Remove(t.Context()))

	after := open(t, journal.Settings{Dir: "/journal", FS: crashfs.From(fs.Files())})
	require.Len(t, after.Recovery().Segments, 1)
	found := after.Recovery().Segments[0]
	require.Equal(t, seg.Token("T"), found.Token("T"))
	require.Equal(t, map[int]string{0: "the first"}, data(t, found))
	require.False(t, after.Known(hash(1)))
	closeNow(t, after)

	require.NoError(t, seg.Remove(t.Context()))
	closeNow(t, j)
	j = open(t, journal.Settings{Dir: "/journal", FS: fs})
	require.Empty(t, j.Recovery().Segments, "an older copy would be sent under another token")
	closeNow(t, j)
}

// A segment that is back after a crash, since its removal was not durable, has its progress.
func TestProgressStaysAsLongAsItsSegment(t *testing.T) {
	t.Parallel()
	fs := crashfs.New()
	s := journal.Settings{Dir: "/journal", FS: fs}
	j := open(t, s)
	appendOne(t, j, rec(1, "one"))
	seg := rotate(t, j)
	p := journal.Progress{Done: []string{"Span"}}
	require.NoError(t, seg.SetProgress(t.Context(), p))
	removed := false
	fs.SetFault(func(op crashfs.Op, _ string) error {
		removed = removed || op == crashfs.OpRemove
		if removed && op == crashfs.OpSyncDir {
			return syscall.EIO
		}
		return nil
	})
	require.Error(t, seg.Remove(t.Context()))
	require.True(t, removed)
	closeNow(t, j)
	_, err := journal.Open(t.Context(), s)
	require.Error(t, err)
	for seed := range uint64(40) {
		copied := fs.Copy()
		copied.Crash(rand.New(rand.NewPCG(seed, 1)))
		j := open(t, journal.Settings{Dir: "/journal", FS: copied})
		for _, seg := range j.Recovery().Segments {
			require.Equal(t, p, seg.Progress())
		}
		closeNow(t, j)
	}
}

// An empty segment that cannot be removed when the journal is opened is removed when it is closed.
func TestUnneededFileIsRemovedLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, fs := started(t, journal.Settings{})
		fs = fs.Copy() // As it is when the program is killed now.
		require.Len(t, segments(fs), 2, "one was made ahead")
		failOn(crashfs.OpRemove, syscall.EROFS)(fs)
		j := open(t, journal.Settings{Dir: "/journal", FS: fs})
		require.Len(t, j.Recovery().Segments, 1)
		fs.SetFault(nil)
		require.NoError(t, j.Recovery().Segments[0].Remove(t.Context()))
		closeNow(t, j)
		require.Empty(t, segments(fs))
	})
}

func segments(fs *crashfs.FS) (names []string) {
	for name := range fs.Files() {
		if strings.HasSuffix(name, ".seg") {
			names = append(names, name)
		}
	}
	return names
}
