package journal_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/agenttrail/agenttrail/exporter/journal"
	"github.com/agenttrail/agenttrail/internal/crashfs"
)

// world is a journal that is used, and hurt, in every order, and what it promised.
type world struct {
	t   *rapid.T
	fs  *crashfs.FS
	rng *rand.Rand
	j   *journal.Journal // nil if it could not be opened.
	s   journal.Settings

	requests [][]string   // Data of the parts of every request that was ever tried.
	acked    map[int]bool // By number of the request.
	pending  []*journal.Segment
	progress map[string]journal.Progress

	// The database: tokens that were stored, and the records by request and part.
	tokens map[string]bool
	stored map[[2]int]int
}

// TestEverythingInEveryOrder says that whatever happens, what was acknowledged is stored once and the rest at most once.
// The database knows tokens, as ClickHouse does.
func TestEverythingInEveryOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := &world{
			t: t, fs: crashfs.New(), rng: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)),
			s: journal.Settings{Dir: "/journal", Layout: []byte("layout")}, acked: map[int]bool{},
			progress: map[string]journal.Progress{}, tokens: map[string]bool{}, stored: map[[2]int]int{},
		}
		if rapid.Bool().Draw(t, "lz4") {
			w.s.Compression = journal.CompressionLZ4
		}
		w.s.FS = w.fs
		w.s = journal.WithRetry(w.s, time.Nanosecond) // So that repairs are tried among everything else.
		w.open()
		defer func() { w.close() }()
		t.Repeat(map[string]func(*rapid.T){
			"append":   func(*rapid.T) { w.append(1 + w.rng.IntN(4)) },
			"resend":   func(*rapid.T) { w.resend() },
			"rotate":   func(*rapid.T) { w.rotate() },
			"store":    func(*rapid.T) { w.store() },
			"progress": func(*rapid.T) { w.setProgress() },
			"fault":    func(*rapid.T) { w.fault() },
			"heal":     func(*rapid.T) { w.heal() },
			"die soon": func(*rapid.T) { w.dieSoon() },
			"crash":    func(*rapid.T) { w.crash() },
			"close":    func(*rapid.T) { w.close(); w.open() },
		})
		w.heal()
		w.rotate()
		w.crash()
		for range 3 { // Again and again: what is removed stays so.
			for len(w.pending) > 0 {
				w.store()
			}
			w.crash()
		}
		for n := range w.acked {
			for part := range w.requests[n] {
				require.Equal(w.t, 1, w.stored[[2]int{n, part}], "acknowledged request %d part %d", n, part)
			}
		}
	})
}

func (w *world) open() {
	j, err := journal.Open(context.Background(), w.s)
	if err != nil { // A fault, such as death.
		w.t.Log("open", err)
		w.fs.Crash(w.rng)
		j, err = journal.Open(context.Background(), w.s)
	}
	require.NoError(w.t, err)
	w.j = j
	r := j.Recovery()
	require.Empty(w.t, r.Damages)
	w.pending = r.Segments
	for _, s := range w.pending {
		if p, ok := w.progress[s.Token("")]; ok {
			require.Equal(w.t, p, s.Progress())
		}
	}
	for n := range w.acked {
		require.True(w.t, j.Known(hash(n)), "acknowledged request %d", n)
	}
}

func (w *world) heal() {
	w.fs.SetFault(nil)
	w.fs.SetCapacity(0)
	w.fs.SetReadOnly(false)
}

func (w *world) fault() {
	switch w.rng.IntN(4) {
	case 0:
		w.fs.SetCapacity(max(1, w.fs.Used()+int64(w.rng.IntN(3000))-100))
	case 1:
		w.fs.SetReadOnly(true)
	default:
		// Some of the next operations fail.
		ops := []crashfs.Op{
			crashfs.OpSync, crashfs.OpWrite, crashfs.OpTruncate, crashfs.OpCreate, crashfs.OpRename, crashfs.OpSyncDir, crashfs.OpRemove,
		}
		op, all, left, rng := ops[w.rng.IntN(len(ops))], w.rng.IntN(4) == 0, 1+w.rng.IntN(4), rand.New(rand.NewPCG(w.rng.Uint64(), 2))
		if w.rng.IntN(2) == 0 {
			op = crashfs.OpSync
		}
		var mu sync.Mutex
		w.fs.SetFault(func(o crashfs.Op, _ string) error {
			mu.Lock()
			defer mu.Unlock()
			if o == crashfs.OpRead || o == crashfs.OpOpen || left == 0 || o != op && !all || rng.IntN(3) == 0 {
				return nil
			}
			left--
			return syscall.EIO
		})
	}
}

// dieSoon lets all operations fail from some point on, which is a crash at this point. Some fail before, so that there
// is something to repair.
func (w *world) dieSoon() {
	var mu sync.Mutex
	left, sick, rng := w.rng.IntN(40), w.rng.IntN(2) == 0, rand.New(rand.NewPCG(w.rng.Uint64(), 3))
	w.fs.SetFault(func(op crashfs.Op, _ string) error {
		mu.Lock()
		defer mu.Unlock()
		if left == 0 {
			return errors.New("dead")
		}
		left--
		if sick && op != crashfs.OpRead && op != crashfs.OpOpen && rng.IntN(8) == 0 {
			return syscall.EIO
		}
		return nil
	})
	for range 1 + w.rng.IntN(6) {
		switch w.rng.IntN(4) {
		case 0:
			w.rotate()
		case 1:
			w.store()
		default:
			w.append(1 + w.rng.IntN(3))
		}
	}
	w.crash()
}

func (w *world) crash() {
	if w.rng.IntN(3) == 0 {
		w.fs.Kill()
	} else {
		w.fs.Crash(w.rng)
	}
	_ = w.j.Close(context.Background()) // Its goroutines; the files are gone for it.
	w.open()
}

func (w *world) close() {
	_ = w.j.Close(context.Background())
}

func (w *world) append(n int) {
	var wg sync.WaitGroup
	from := len(w.requests)
	oks := make([]bool, n)
	for i := range n {
		parts := make([]string, 1+w.rng.IntN(3)*w.rng.IntN(2))
		for p := range parts {
			// Who wrote it is in the data, for the check of what is read.
			b := binary.LittleEndian.AppendUint32(nil, uint32(from+i))
			b = binary.LittleEndian.AppendUint32(b, uint32(p))
			filler := byte(w.rng.IntN(3)) // Zeros, too.
			parts[p] = string(append(b, bytes.Repeat([]byte{filler}, w.rng.IntN(3)*w.rng.IntN(700))...))
		}
		w.requests = append(w.requests, parts)
	}
	for i := range n {
		wg.Go(func() { oks[i] = w.send(from + i) })
	}
	wg.Wait()
	for i, ok := range oks {
		if ok {
			w.acked[from+i] = true
		}
	}
}

func (w *world) send(n int) bool {
	var recs []*journal.Record
	for p, d := range w.requests[n] {
		recs = append(recs, &journal.Record{Hash: hash(n), Part: uint32(p), Data: []byte(d), Value: d})
	}
	_, err := w.j.Append(context.Background(), recs...)
	return err == nil
}

// resend does what a client does that was not answered, or refused.
func (w *world) resend() {
	if len(w.requests) == 0 {
		return
	}
	n := w.rng.IntN(len(w.requests))
	ok := w.send(n)
	if w.acked[n] {
		require.True(w.t, ok, "a request that was acknowledged is a duplicate")
	}
	if ok {
		w.acked[n] = true
	}
}

func (w *world) rotate() {
	s, err := w.j.Rotate(context.Background())
	if err == nil && s != nil {
		w.pending = append(w.pending, s)
	}
}

func (w *world) setProgress() {
	if len(w.pending) == 0 {
		return
	}
	s := w.pending[w.rng.IntN(len(w.pending))]
	p := journal.Progress{Done: []string{strconv.Itoa(w.rng.IntN(100))}}
	if err := s.SetProgress(context.Background(), p); err == nil {
		w.progress[s.Token("")] = p
	} else {
		delete(w.progress, s.Token("")) // The old or the new one.
	}
}

// store delivers a segment and removes it.
func (w *world) store() {
	if len(w.pending) == 0 {
		return
	}
	i := w.rng.IntN(len(w.pending))
	s := w.pending[i]
	records := map[[2]int]bool{}
	last := -1
	err := s.Each(func(i int, data []byte) error {
		require.Greater(w.t, i, last)
		require.Less(w.t, i, s.Len())
		last = i
		n, part := int(binary.LittleEndian.Uint32(data)), int(binary.LittleEndian.Uint32(data[4:]))
		require.Equal(w.t, w.requests[n][part], string(data))
		records[[2]int{n, part}] = true
		if rs := s.Records(); rs != nil {
			require.Equal(w.t, hash(n), rs[i].Hash)
			require.Equal(w.t, string(data), rs[i].Value)
		}
		return nil
	})
	if err != nil {
		return // A fault.
	}
	if rs := s.Records(); rs != nil {
		require.Len(w.t, records, len(rs))
	}
	if !w.tokens[s.Token("T")] {
		w.tokens[s.Token("T")] = true
		for r := range records {
			w.stored[r]++
			require.Equal(w.t, 1, w.stored[r], "request %d part %d is stored twice", r[0], r[1])
		}
	}
	if w.rng.IntN(4) == 0 {
		return // Only stored; sent again under its token.
	}
	if err := s.Remove(context.Background()); err == nil {
		w.pending = append(w.pending[:i], w.pending[i+1:]...)
	}
}

// TestMissingFsyncIsNoticed says that the test above would notice.
func TestMissingFsyncIsNoticed(t *testing.T) {
	t.Parallel()
	fs := crashfs.New()
	j, err := journal.Open(t.Context(), journal.Settings{Dir: "/journal", FS: fs})
	require.NoError(t, err)
	appendOne(t, j, rec(1, "first")) // The file is there.
	fs.SetFault(func(op crashfs.Op, _ string) error {
		if op == crashfs.OpSync {
			return crashfs.Skip
		}
		return nil
	})
	appendOne(t, j, rec(2, "second"))
	lost := false
	for seed := range uint64(20) {
		copied := fs.Copy()
		copied.Crash(rand.New(rand.NewPCG(seed, 1)))
		after := open(t, journal.Settings{Dir: "/journal", FS: copied})
		require.True(t, after.Known(hash(1)))
		lost = lost || !after.Known(hash(2))
	}
	require.True(t, lost)
	closeNow(t, j)
}
