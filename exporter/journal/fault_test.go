package journal_test

import (
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

// What was refused because of a failed fsync is in no file that is read later.
func TestCopyOfASegmentAfterFailedFsync(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j, fs := started(t, journal.Settings{})
		failed := false
		fs.SetFault(func(op crashfs.Op, _ string) error {
			if op == crashfs.OpSync && !failed {
				failed = true
				return syscall.EIO
			}
			return nil
		})
		_, err := j.Append(t.Context(), rec(1, "refused"))
		requireReason(t, journal.ReasonIO, err)
		seg, err := j.Rotate(t.Context())
		require.Error(t, err, "what is in the file differs from what is in memory")
		require.Nil(t, seg)
		time.Sleep(time.Second)
		seg = rotate(t, j)
		require.Equal(t, map[int]string{0: "the first"}, data(t, seg))
		require.Len(t, seg.Records(), 1)
		closeNow(t, j)
		j = open(t, journal.Settings{Dir: "/journal", FS: fs})
		require.Len(t, j.Recovery().Segments, 1)
		require.Equal(t, seg.Token("T"), j.Recovery().Segments[0].Token("T"))
		require.Equal(t, map[int]string{0: "the first"}, data(t, j.Recovery().Segments[0]))
		require.False(t, j.Known(hash(1)))
		closeNow(t, j)
	})
}
