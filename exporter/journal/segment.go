package journal

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Segment is a closed segment: its records never change again.
type Segment struct {
	Number uint64   // Unique in the folder among segments that exist.
	Run    [16]byte // Random, of the run that wrote it.

	j         *Journal
	layout    []byte
	recovered bool
	created   time.Time
	start     int64 // Where records begin in the file.
	end       int64 // Where they end.
	size      int64 // Of the file.
	count     int   // Records, and those that were lost.

	skip map[uint32]struct{} // Records that are readable but not delivered: parts of a request that is not complete.
	bad  map[int64]struct{}  // Offsets of what is known to be unreadable.

	mu       sync.Mutex
	records  []*Record // nil if recovered or spilled.
	progress Progress
	logged   bool // Its hashes are in the window's file.
	removed  bool
}

// Token returns the deduplication token of the segment's rows of a table.
func (s *Segment) Token(table string) string {
	return hex.EncodeToString(s.Run[:]) + "/" + strconv.FormatUint(s.Number, 10) + "/" + table
}

// Layout returns what [Settings.Layout] was when the segment was written.
func (s *Segment) Layout() []byte { return s.layout }

// Recovered reports whether an earlier run wrote the segment.
func (s *Segment) Recovered() bool { return s.recovered }

// Len returns the number of records, with those of a recovered segment that cannot be read: every index is below it.
func (s *Segment) Len() int { return s.count }

// Records returns the records by their index; nil if the segment was recovered or spilled. A Value is nil if its
// Append was given up before the record became durable; then Each has its data.
func (s *Segment) Records() []*Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.records
}

// Memory returns the bytes of the Values that the segment keeps.
func (s *Segment) Memory() (bytes int64) {
	for _, r := range s.Records() {
		bytes += r.Bytes
	}
	return bytes
}

// Bytes returns the size of the file.
func (s *Segment) Bytes() int64 { return s.size }

// Created returns when the segment's first record became durable, by the clock of then.
func (s *Segment) Created() time.Time { return s.created }

// Spill forgets the records and their Values.
func (s *Segment) Spill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = nil
}

// Each reads the records back, in order, with their index. Records that cannot be read are skipped; if they became
// unreadable after Open or Append, that is reported. data is valid during the call.
func (s *Segment) Each(fn func(i int, data []byte) error) error { return s.each(nil, fn) }

// Loaded is the records of a segment in memory.
type Loaded struct {
	Records [][]byte // By index; nil if they cannot be read.
	Bytes   int64    // What all of them take of the memory.

	memory readMemory
}

// Release gives the memory back: nobody may look at the records any more.
func (l *Loaded) Release() {
	l.Records = nil
	l.memory.release()
}

// Load is [Segment.Each] with records that stay valid until they are released. Those that are not are left to the
// collector of garbage.
func (s *Segment) Load() (*Loaded, error) {
	l := &Loaded{Records: make([][]byte, s.count), memory: readMemory{from: &s.j.read}}
	if err := s.each(&l.memory, func(i int, data []byte) error {
		l.Records[i] = data
		l.Bytes += int64(len(data))
		return nil
	}); err != nil {
		l.Release()
		return nil, err
	}
	return l, nil
}

// each does the work of Each and, if the data is to stay valid in a memory, of Load.
func (s *Segment) each(stay *readMemory, fn func(i int, data []byte) error) error {
	name := s.j.segmentName(s.Number)
	src, err := openSource(s.j.fs, name)
	if err != nil {
		return fault("read segment", err)
	}
	src.whole = stay
	damages, readErr := s.read(src, name, fn)
	err = errors.Join(readErr, src.Close())
	if len(damages) > 0 {
		s.j.damaged(name, damages)
	}
	if err != nil {
		return fmt.Errorf("read segment %s: %w", name, err)
	}
	return nil
}

// read reads the records from a source.
func (s *Segment) read(src *source, name string, fn func(i int, data []byte) error) (damages []Damage, err error) {
	var raw []byte
	err = scan(src, s.seed(), s.start, s.end, true, func(it *item) error {
		if it.known && it.head.kind != kindRecord {
			return nil
		}
		if !it.ok {
			if _, known := s.bad[it.off]; !known {
				damages = append(damages, Damage{name, it.off, it.end - it.off, it.reason()})
			}
			return nil
		}
		if _, skip := s.skip[it.head.index]; skip {
			return nil
		}
		if it.head.encoding != encodingNone && src.whole != nil && canUnpack(it.data, int(it.head.raw)) {
			raw = src.whole.room(int(it.head.raw))
		}
		data, damage := unpack(raw, it.data, it.head.encoding, int(it.head.raw))
		if damage != nil {
			damages = append(damages, Damage{name, it.off, it.end - it.off, damage.Error()})
			return nil //nolint:nilerr // It is reported.
		}
		switch {
		case it.head.encoding == encodingNone:
		case src.whole != nil:
			src.whole.take(len(data))
		default:
			raw = data
		}
		return fn(int(it.head.index), data)
	})
	return damages, err
}

func (s *Segment) seed() uint32 {
	return (&fileHeader{kind: kindSegment, run: s.Run, number: s.Number}).seed()
}

// hashes returns the hashes of the records.
func (s *Segment) hashes() ([]Hash, error) {
	var hashes []Hash
	add := func(h Hash) {
		if h != (Hash{}) && (len(hashes) == 0 || hashes[len(hashes)-1] != h) {
			hashes = append(hashes, h)
		}
	}
	if records := s.Records(); records != nil {
		for _, r := range records {
			add(r.Hash)
		}
		return hashes, nil
	}
	src, err := openSource(s.j.fs, s.j.segmentName(s.Number))
	if err != nil {
		return nil, err
	}
	err = scan(src, s.seed(), s.start, s.end, false, func(it *item) error {
		if _, bad := s.bad[it.off]; bad || !it.record() {
			return nil
		}
		if _, skip := s.skip[it.head.index]; !skip {
			add(it.head.hash)
		}
		return nil
	})
	return hashes, errors.Join(err, src.Close())
}

// Progress returns what SetProgress was told last, also by an earlier run.
func (s *Segment) Progress() Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Progress{Done: slices.Clone(s.progress.Done), Split: maps.Clone(s.progress.Split)}
}

// SetProgress makes the progress durable.
func (s *Segment) SetProgress(_ context.Context, p Progress) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.j.writeProgress(s, p); err != nil {
		return fault("write progress of segment", err)
	}
	s.progress = Progress{Done: slices.Clone(p.Done), Split: maps.Clone(p.Split)}
	return nil
}

// Remove forgets the segment: all of it is stored. Its hashes stay known. It may be called again after an error.
func (s *Segment) Remove(context.Context) error {
	s.mu.Lock()
	done, logged := s.removed, s.logged
	s.mu.Unlock()
	if done {
		return nil
	}
	if !logged {
		hashes, err := s.hashes()
		if err != nil {
			return fault("read hashes of segment", err)
		}
		if err := s.j.remember(hashes); err != nil {
			return fault("remember hashes of segment", err)
		}
		s.mu.Lock()
		s.logged = true
		s.mu.Unlock()
	}
	if err := s.j.unlink(s); err != nil {
		return fault("remove segment", err)
	}
	s.mu.Lock()
	s.removed, s.records = true, nil
	s.mu.Unlock()
	return nil
}
