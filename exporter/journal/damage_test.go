package journal_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/agenttrail/agenttrail/exporter/journal"
	"github.com/agenttrail/agenttrail/internal/crashfs"
)

// reports collects what an Observer is told.
type reports struct {
	mu   sync.Mutex
	list []journal.Damage
}

func (*reports) Committed(int, int, time.Duration) {}
func (*reports) Failed(int, journal.Reason)        {}
func (*reports) Duplicate()                        {}
func (r *reports) Damaged(d journal.Damage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, d)
}

func (r *reports) all() []journal.Damage {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.list)
}

// image is a folder of a journal and what is in it.
type image struct {
	files map[string][]byte
	want  map[string]string // Data by token and index.
	known []journal.Hash
}

// helper is what testing.T and rapid.T have.
type helper interface {
	require.TestingT
	Helper()
}

// makeImage fills a journal: one segment stored and removed, two closed, one of them with progress, one open.
func makeImage(t *testing.T, c journal.Compression, killed bool, size func(i int) int) image {
	t.Helper()
	fs := crashfs.New()
	j, err := journal.Open(t.Context(), journal.Settings{Dir: "/journal", FS: fs, Layout: []byte("[]"), Compression: c})
	require.NoError(t, err)
	im := image{want: map[string]string{}}
	request, n := 0, 0
	add := func(parts int) {
		request++
		recs := make([]*journal.Record, parts)
		for p := range recs {
			n++
			text := fmt.Sprintf("record %d %s", n, strings.Repeat("row ", size(n)))
			recs[p] = &journal.Record{Hash: hash(request), Part: uint32(p), Data: []byte(text)}
		}
		appendOne(t, j, recs...)
	}
	fill := func() {
		add(1)
		add(2)
		add(1)
	}
	fill()
	require.NoError(t, rotate(t, j).Remove(t.Context()))
	for i := range 3 {
		fill()
		switch i {
		case 0:
			rotate(t, j)
		case 1:
			s := rotate(t, j)
			require.NoError(t, s.SetProgress(t.Context(), journal.Progress{
				Done: []string{"Span"}, Split: map[string][]journal.Range{"AgentLog": {{From: 0, To: 2}, {From: 2, To: 4}}},
			}))
		}
	}
	if killed {
		fs.Kill()
	}
	_ = j.Close(t.Context())
	im.files = fs.Files()
	maps.DeleteFunc(im.files, func(name string, _ []byte) bool { return strings.HasSuffix(name, "/reserve") })
	whole := open(t, journal.Settings{Dir: "/journal", FS: crashfs.From(im.files)})
	require.Empty(t, whole.Recovery().Damages)
	require.Zero(t, whole.Recovery().Torn)
	require.Equal(t, 12, whole.Recovery().Records)
	deliver(t, whole, func(key, data string) { im.want[key] = data })
	for n := range 30 {
		if whole.Known(hash(n)) {
			im.known = append(im.known, hash(n))
		}
	}
	require.Len(t, im.want, 12)
	require.Len(t, im.known, 12)
	closeNow(t, whole)
	return im
}

func deliver(t helper, j *journal.Journal, fn func(key, data string)) {
	t.Helper()
	for _, s := range j.Recovery().Segments {
		require.NoError(t, s.Each(func(i int, data []byte) error {
			fn(s.Token(fmt.Sprint(i)), string(data))
			return nil
		}))
	}
}

// openImage reads a folder that was changed. What it delivers must be what was written, each once.
func openImage(t helper, im image, files map[string][]byte) (r journal.Recovery, delivered, known int, seen []journal.Damage) {
	t.Helper()
	told := &reports{}
	j, err := journal.Open(ctx, journal.Settings{Dir: "/journal", FS: crashfs.From(files), Observer: told})
	require.NoError(t, err)
	got := map[string]bool{}
	deliver(t, j, func(key, data string) {
		require.False(t, got[key])
		got[key] = true
		require.Equal(t, im.want[key], data)
	})
	for _, h := range im.known {
		if j.Known(h) {
			known++
		}
	}
	r = j.Recovery()
	require.Len(t, got, r.Records)
	require.NoError(t, j.Close(ctx))
	return r, len(got), known, told.all()
}

// checkFlip says that a flipped byte is reported where it is, and costs at most what it was part of.
func checkFlip(t helper, im image, name string, at int, mask byte) {
	t.Helper()
	files := maps.Clone(im.files)
	files[name] = slices.Clone(files[name])
	files[name][at] ^= mask
	r, delivered, _, seen := openImage(t, im, files)
	require.Zero(t, r.Torn, "%s at %d", name, at)
	require.Len(t, r.Damages, 1, "%s at %d", name, at)
	d := r.Damages[0]
	require.Equal(t, name, d.File)
	require.LessOrEqual(t, d.Offset, int64(at))
	require.Greater(t, d.Offset+d.Bytes, int64(at), "%s at %d", name, at)
	require.Equal(t, r.Damages, seen)
	require.GreaterOrEqual(t, delivered, len(im.want)-1, "%s at %d", name, at)
	progress := 0
	for _, s := range r.Segments {
		if p := s.Progress(); len(p.Done) == 1 && len(p.Split["AgentLog"]) == 2 {
			progress++
		}
	}
	require.Equal(t, 1, progress, "%s at %d", name, at)
}

func TestEveryFlippedByteIsFound(t *testing.T) {
	t.Parallel()
	for _, killed := range []bool{false, true} {
		for _, c := range []journal.Compression{journal.CompressionNone, journal.CompressionLZ4} {
			t.Run(fmt.Sprintf("%s/killed=%v", c, killed), func(t *testing.T) {
				t.Parallel()
				im := makeImage(t, c, killed, func(i int) int { return i % 3 * 5 })
				total := 0
				for name, content := range im.files {
					for at := range content {
						total++
						checkFlip(t, im, name, at, 1<<(at%8))
					}
				}
				require.Greater(t, total, 2000)
			})
		}
	}
}

func TestFlippedBytesOfLongFilesAreFound(t *testing.T) {
	t.Parallel()
	im := makeImage(t, journal.CompressionNone, true, func(i int) int { return i * 2000 })
	names := slices.Sorted(maps.Keys(im.files))
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(names).Draw(t, "file")
		at := rapid.IntRange(0, len(im.files[name])-1).Draw(t, "offset")
		checkFlip(t, im, name, at, byte(rapid.IntRange(1, 255).Draw(t, "mask")))
	})
}

// Several things may break; then less is promised: nothing wrong, nothing twice, no panic.
func TestRandomDamage(t *testing.T) {
	t.Parallel()
	im := makeImage(t, journal.CompressionLZ4, true, func(i int) int { return i * 40 })
	names := slices.Sorted(maps.Keys(im.files))
	rapid.Check(t, func(t *rapid.T) {
		files := maps.Clone(im.files)
		for range rapid.IntRange(1, 5).Draw(t, "times") {
			name := rapid.SampledFrom(names).Draw(t, "file")
			b := slices.Clone(files[name])
			if len(b) == 0 {
				continue
			}
			from := rapid.IntRange(0, len(b)-1).Draw(t, "from")
			to := min(len(b), from+rapid.IntRange(1, 200).Draw(t, "length"))
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				copy(b[from:to], rapid.SliceOfN(rapid.Byte(), to-from, to-from).Draw(t, "bytes"))
			case 1:
				b = b[:from]
			case 2:
				b = slices.Delete(b, from, to)
			case 3: // A stretch of another place or file.
				other := im.files[rapid.SampledFrom(names).Draw(t, "other")]
				b = slices.Replace(b, from, to, other[:min(len(other), 300)]...)
			}
			files[name] = b
		}
		openImage(t, im, files)
	})
}

// What a crash leaves of the last group is no damage: cut off anywhere, or not written from some sector on.
func TestTornTail(t *testing.T) {
	t.Parallel()
	im := makeImage(t, journal.CompressionNone, true, func(i int) int { return i % 4 * 120 })
	var last string
	for _, name := range slices.Sorted(maps.Keys(im.files)) {
		if strings.HasSuffix(name, ".seg") && len(im.files[name]) > 500 {
			last = name
		}
	}
	whole := im.files[last]
	before := 0
	for at := strings.Index(string(whole), "ATJr"); at <= len(whole); at++ {
		for _, zeros := range []bool{false, true} {
			if zeros && at%crashfs.Sector != 0 {
				continue
			}
			files := maps.Clone(im.files)
			files[last] = slices.Clone(whole[:at])
			if zeros {
				files[last] = append(files[last], make([]byte, len(whole)-at)...)
			}
			r, delivered, known, _ := openImage(t, im, files)
			require.Empty(t, r.Damages, "at %d", at)
			require.GreaterOrEqual(t, delivered, max(8, before), "at %d", at)
			require.GreaterOrEqual(t, known, 9)
			require.LessOrEqual(t, r.Torn, 1)
			if !zeros {
				before = delivered
			}
		}
	}
	require.Equal(t, 12, before)
}

func openRecovery(t *testing.T, files map[string][]byte) journal.Recovery {
	t.Helper()
	j := open(t, journal.Settings{Dir: "/journal", FS: crashfs.From(files)})
	defer closeNow(t, j)
	return j.Recovery()
}

// A closed segment that is cut off is damage, since the next one tells how long it was.
func TestClosedSegmentCutOff(t *testing.T) {
	t.Parallel()
	im := makeImage(t, journal.CompressionNone, true, func(int) int { return 3 })
	r := openRecovery(t, im.files)
	first := r.Segments[0]
	name := filepath.Join("/journal", fmt.Sprintf("%016x.seg", first.Number))
	whole := im.files[name]
	const marks = 96 // A commit mark and the close mark, after the last record.
	for at := strings.Index(string(whole), "ATJr"); at < len(whole)-marks; at++ {
		files := maps.Clone(im.files)
		files[name] = whole[:at]
		r, delivered, _, _ := openImage(t, im, files)
		require.Len(t, r.Damages, 1)
		require.Equal(t, int64(at), r.Damages[0].Offset)
		require.GreaterOrEqual(t, delivered, 8)
	}
}

// Parts of a request that was not completely written are not delivered: nobody was told that it is durable, and it
// comes again.
func TestIncompleteRequestIsNotDelivered(t *testing.T) {
	t.Parallel()
	fs := crashfs.New()
	j := open(t, journal.Settings{Dir: "/journal", FS: fs})
	appendOne(t, j, rec(1, "one"))
	appendOne(t, j, &journal.Record{Hash: hash(2), Data: []byte("part 0")}, &journal.Record{Hash: hash(2), Part: 1, Data: []byte("part 1")})
	files := fs.Files()
	closeNow(t, j)
	var name string
	for n, content := range files {
		if strings.Contains(string(content), "part 1") {
			name = n
		}
	}
	cut := strings.Index(string(files[name]), "part 1")
	files[name] = files[name][:cut+3]
	j = open(t, journal.Settings{Dir: "/journal", FS: crashfs.From(files)})
	require.Equal(t, 1, j.Recovery().Torn)
	require.Equal(t, map[int]string{0: "one"}, data(t, j.Recovery().Segments[0]))
	require.False(t, j.Known(hash(2)))
	closeNow(t, j)
}

// A client that knows the format cannot have its data taken for a record, not even beside damage.
func TestRecordsInDataAreNotRead(t *testing.T) {
	t.Parallel()
	donor := makeImage(t, journal.CompressionNone, false, func(int) int { return 1 })
	var inner []byte
	for name, content := range donor.files {
		if strings.HasSuffix(name, ".seg") {
			inner = content
		}
	}
	fs := crashfs.New()
	j := open(t, journal.Settings{Dir: "/journal", FS: fs})
	appendOne(t, j, rec(1, string(inner)))
	appendOne(t, j, rec(2, "two"))
	closeNow(t, j)
	files := fs.Files()
	for name, content := range files {
		if at := strings.Index(string(content), "ATJr"); strings.HasSuffix(name, ".seg") {
			content[at] ^= 1 // The header of the first record.
			files[name] = content
		}
	}
	j = open(t, journal.Settings{Dir: "/journal", FS: crashfs.From(files)})
	require.Len(t, j.Recovery().Damages, 1)
	require.Equal(t, map[int]string{1: "two"}, data(t, j.Recovery().Segments[0]))
	closeNow(t, j)
}
