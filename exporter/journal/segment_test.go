package journal_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/exporter/journal"
	"github.com/agenttrail/agenttrail/internal/crashfs"
)

func TestSecondOpenOfAFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := open(t, journal.Settings{Dir: dir})
	_, err := journal.Open(t.Context(), journal.Settings{Dir: dir})
	require.ErrorIs(t, err, journal.ErrLocked)
	require.ErrorContains(t, err, dir)
	require.ErrorContains(t, err, "stop that one, or give this one a folder of its own")
	appendOne(t, j, rec(1, "the first one goes on"))
	closeNow(t, j)
	j = open(t, journal.Settings{Dir: dir})
	require.Equal(t, 1, j.Recovery().Records)
}

func TestTokenAndSpill(t *testing.T) {
	t.Parallel()
	j := open(t, journal.Settings{Dir: "/journal", FS: crashfs.New(), Layout: []byte("layout")})
	for n := range 3 {
		appendOne(t, j, rec(n, strings.Repeat("d", 10+n)))
	}
	select {
	case <-j.Changed():
	default:
		require.Fail(t, "it grew")
	}
	s := rotate(t, j)
	require.Equal(t, fmt.Sprintf("%s/%d/Span", hex.EncodeToString(s.Run[:]), s.Number), s.Token("Span"))
	require.Equal(t, "layout", string(s.Layout()))
	require.Equal(t, int64(10+11+12), s.Memory())
	require.WithinDuration(t, time.Now(), s.Created(), time.Minute)
	require.False(t, s.Recovered())
	before := data(t, s)
	s.Spill()
	require.Zero(t, s.Memory())
	require.Nil(t, s.Records())
	require.Equal(t, 3, s.Len())
	require.Equal(t, before, data(t, s))
	require.NoError(t, s.Remove(t.Context()))
	require.NoError(t, s.Remove(t.Context()), "twice does no harm")
	for n := range 3 {
		require.True(t, j.Known(hash(n)))
	}
	appendOne(t, j, rec(9, ""))
	require.Greater(t, rotate(t, j).Number, s.Number)
	none, err := j.Rotate(t.Context())
	require.NoError(t, err)
	require.Nil(t, none)
	closeNow(t, j)
}

func TestProgressSurvives(t *testing.T) {
	t.Parallel()
	s := journal.Settings{Dir: "/journal", FS: crashfs.New()}
	j := open(t, s)
	appendOne(t, j, rec(1, "one"))
	seg := rotate(t, j)
	require.Empty(t, seg.Progress())
	p := journal.Progress{Done: []string{"Span"}}
	require.NoError(t, seg.SetProgress(t.Context(), p))
	p.Split = map[string][]journal.Range{"AgentLog": {{From: 0, To: 1}}}
	require.NoError(t, seg.SetProgress(t.Context(), p))
	require.Equal(t, p, seg.Progress())
	closeNow(t, j)
	j = open(t, s)
	require.Equal(t, p, j.Recovery().Segments[0].Progress())
	require.NoError(t, j.Recovery().Segments[0].Remove(t.Context()))
	closeNow(t, j)
	for name := range s.FS.(*crashfs.FS).Files() {
		require.NotContains(t, name, ".progress")
		require.NotContains(t, name, ".seg")
	}
}

// Damage that comes after Open is reported when the segment is read.
func TestDamageInUse(t *testing.T) {
	t.Parallel()
	dir, told := t.TempDir(), &reports{}
	j := open(t, journal.Settings{Dir: dir, Observer: told})
	for n := range 3 {
		appendOne(t, j, rec(n, fmt.Sprint("record ", n)))
	}
	s := rotate(t, j)
	name := filepath.Join(dir, fmt.Sprintf("%016x.seg", s.Number))
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	at := strings.Index(string(content), "record 1")
	content[at] ^= 1
	require.NoError(t, os.WriteFile(name, content, 0o600))
	require.Equal(t, map[int]string{0: "record 0", 2: "record 2"}, data(t, s))
	require.Len(t, told.all(), 1)
	require.Equal(t, name, told.all()[0].File)
	copies, err := os.ReadDir(filepath.Join(dir, "damaged"))
	require.NoError(t, err)
	require.Len(t, copies, 1)
	kept, err := os.ReadFile(filepath.Join(dir, "damaged", copies[0].Name()))
	require.NoError(t, err)
	require.Equal(t, content, kept)
}

func TestLoadedRecordsStay(t *testing.T) {
	t.Parallel()
	for _, c := range []journal.Compression{journal.CompressionNone, journal.CompressionLZ4} {
		t.Run(string(c), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			j := open(t, journal.Settings{Dir: dir, Compression: c})
			want := make([][]byte, 40)
			size := int64(0)
			for i := range want {
				want[i] = bytes.Repeat(fmt.Appendf(nil, "record %d, ", i), 2000*(i%3)+1)
				size += int64(len(want[i]))
				appendOne(t, j, rec(i, string(want[i])))
			}
			s := rotate(t, j)
			// What was loaded and released before must not show in what is loaded after it.
			before, err := s.Load()
			require.NoError(t, err)
			before.Release()
			got, err := s.Load()
			require.NoError(t, err)
			require.Equal(t, want, got.Records)
			require.Equal(t, size, got.Bytes)

			name := filepath.Join(dir, fmt.Sprintf("%016x.seg", s.Number))
			content, err := os.ReadFile(name)
			require.NoError(t, err)
			at := bytes.Index(content, []byte("record 7, "))
			content[at] ^= 1
			require.NoError(t, os.WriteFile(name, content, 0o600))
			damaged, err := s.Load()
			require.NoError(t, err)
			require.Equal(t, want, got.Records, "what was loaded before is not touched")
			require.Equal(t, size-int64(len(want[7])), damaged.Bytes)
			want[7] = nil
			require.Equal(t, want, damaged.Records)
		})
	}
}

func TestNewerVersionIsLeftAlone(t *testing.T) {
	t.Parallel()
	im := makeImage(t, journal.CompressionNone, false, func(int) int { return 1 })
	for name := range im.files {
		if strings.HasSuffix(name, "LOCK") {
			continue
		}
		fs := crashfs.From(im.files)
		f, err := fs.OpenWrite(name)
		require.NoError(t, err)
		_, err = f.WriteAt(newerPrelude(im.files[name]), 0)
		require.NoError(t, err)
		before := fs.Files()
		_, err = journal.Open(t.Context(), journal.Settings{Dir: "/journal", FS: fs})
		require.ErrorIs(t, err, journal.ErrNewer)
		require.ErrorContains(t, err, name)
		require.Equal(t, before, fs.Files())
	}
}
