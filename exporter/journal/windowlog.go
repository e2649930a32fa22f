package journal

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

const maxWindowFiles = 8 // Of earlier runs; beyond, Open makes one of them.

// windowLog keeps the hashes of removed segments in files, one for each part of the window.
type windowLog struct {
	mu     sync.Mutex
	file   *windowFile
	old    []windowFile // Oldest first.
	number uint64
}

type windowFile struct {
	name   string
	f      File // nil if it is not written to any more.
	seed   uint32
	off    int64
	begun  time.Time
	ended  time.Time
	hashes int

	records uint32
}

// append makes hashes durable.
func (l *windowLog) append(j *Journal, hashes []Hash) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := j.now()
	l.forget(j, now)
	if len(hashes) == 0 {
		return nil
	}
	if f := l.file; f != nil && (now.Sub(f.begun) >= j.s.Window/generations || f.hashes >= max(1, j.s.WindowRequests/generations)) {
		l.end(earlier(now, f.begun.Add(j.s.Window/generations)))
	}
	if l.file == nil {
		if err := l.begin(j, now); err != nil {
			return err
		}
	}
	f := l.file
	b := appendHashes(nil, hashes, f.seed, f.off, f.records)
	_, err := f.f.WriteAt(b, f.off)
	if err == nil {
		err = f.f.Sync()
	}
	if err != nil {
		l.end(now) // What is in the file now is not known. Another one is made.
		return err
	}
	f.off += int64(len(b))
	f.hashes += len(hashes)
	f.records++
	return nil
}

func appendHashes(dst []byte, hashes []Hash, seed uint32, off int64, index uint32) []byte {
	data := make([]byte, 0, len(hashes)*len(Hash{}))
	for _, h := range hashes {
		data = append(data, h[:]...)
	}
	at := len(dst)
	dst = appendRecord(dst, recordHeader{places: 1}, data)
	bind(dst[at:], seed, off, index)
	return dst
}

// begin makes a new file.
func (l *windowLog) begin(j *Journal, now time.Time) error {
	l.number++
	head := fileHeader{kind: kindWindow, run: j.run, number: l.number, created: now.UnixNano()}
	name := filepath.Join(j.dir, windowPrefix+fileName(l.number, windowSuffix))
	b := head.encode()
	if err := replaceFile(j.fs, j.dir, name, b); err != nil {
		return err
	}
	f, err := j.fs.OpenWrite(name)
	if err != nil {
		return errors.Join(err, j.remove(name))
	}
	l.file = &windowFile{name: name, f: f, seed: head.seed(), off: int64(len(b)), begun: now}
	return nil
}

// end stops writing to the file.
func (l *windowLog) end(now time.Time) {
	f := *l.file
	_ = f.f.Close() // What was acknowledged is durable.
	f.f, f.ended = nil, now
	l.old, l.file = append(l.old, f), nil
}

// forget removes files whose hashes are all too old, or too many.
func (l *windowLog) forget(j *Journal, now time.Time) {
	later := 0
	if l.file != nil {
		later = l.file.hashes
	}
	for i, f := range slices.Backward(l.old) {
		if now.Sub(f.ended) < j.s.Window && later < j.s.WindowRequests {
			later += f.hashes
			continue
		}
		if err := j.remove(f.name); err == nil {
			l.old = append(l.old[:i], l.old[i+1:]...)
		}
	}
}

func (l *windowLog) close(j *Journal) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	f := l.file
	b := appendMark(nil, kindClose, f.seed, f.off, j.now().UnixNano(), 0, previous{})
	_, err := f.f.WriteAt(b, f.off)
	if err == nil {
		err = f.f.Sync()
	}
	l.file = nil
	return errors.Join(err, f.f.Close())
}

// readWindow reads a window's file whose header is readable.
func readWindow(src *source, name string, head *fileHeader, start int64) (hashes []Hash, torn bool, damages []Damage, err error) {
	var (
		pending []stretch
		closed  bool
	)
	err = scan(src, head.seed(), start, src.size, true, func(it *item) error {
		if !it.ok {
			pending = append(pending, stretch{it.off, it.end, it.cut, it.reason()})
			return nil
		}
		closed = closed || it.head.kind == kindClose
		for _, p := range pending { // Each record is durable before the next is written.
			damages = append(damages, Damage{name, p.off, p.end - p.off, p.reason})
		}
		pending = pending[:0]
		for b := it.data; len(b) >= len(Hash{}); b = b[len(Hash{}):] {
			hashes = append(hashes, Hash(b[:len(Hash{})]))
		}
		return nil
	})
	for _, p := range pending {
		t := p.cut && !closed
		if !t && !closed && err == nil {
			t, err = unwritten(src, p.off, p.end)
		}
		if t {
			torn = true
		} else {
			damages = append(damages, Damage{name, p.off, p.end - p.off, p.reason})
		}
	}
	return hashes, torn, damages, err
}

func isWindow(name string) bool {
	return strings.HasPrefix(name, windowPrefix) && strings.HasSuffix(name, windowSuffix)
}

// merge makes one file of those of earlier runs. If that fails, they stay.
func (l *windowLog) merge(j *Journal, hashes []Hash) {
	if n := len(hashes) - 2*j.s.WindowRequests; n > 0 {
		hashes = hashes[n:]
	}
	now := j.now()
	l.number++
	head := fileHeader{kind: kindWindow, run: j.run, number: l.number, created: now.UnixNano()}
	name := filepath.Join(j.dir, windowPrefix+fileName(l.number, windowSuffix))
	b := head.encode()
	b = appendHashes(b, hashes, head.seed(), int64(len(b)), 0)
	b = appendMark(b, kindClose, head.seed(), int64(len(b)), head.created, 0, previous{})
	if err := replaceFile(j.fs, j.dir, name, b); err != nil {
		return
	}
	for _, f := range l.old {
		j.clean(f.name)
	}
	l.old = []windowFile{{name: name, ended: now, hashes: len(hashes)}}
}
