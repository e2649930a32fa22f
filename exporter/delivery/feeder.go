package delivery

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

// feeder passes closed segments on to the tables they have rows of, in order. Those of an earlier run are first, and
// are looked into one after the other: there may be many.
type feeder struct {
	w    *Writer
	wake chan struct{}

	mu    sync.Mutex
	queue []*segment
}

// feed queues a segment.
func (w *Writer) feed(s *segment) {
	w.feeder.mu.Lock()
	w.feeder.queue = append(w.feeder.queue, s)
	w.feeder.mu.Unlock()
	signal(w.feeder.wake)
}

func (f *feeder) next() *segment {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queue) == 0 {
		return nil
	}
	return f.queue[0]
}

func (f *feeder) pop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queue[0] = nil
	f.queue = f.queue[1:]
}

// waiting returns how many segments are not passed on.
func (f *feeder) waiting() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.queue)
}

// run works until the writer is stopped.
func (f *feeder) run() {
	var later []*segment
	ticker := time.NewTicker(f.w.set.feedPause)
	defer ticker.Stop()
	for {
		for s := f.next(); s != nil && f.w.life.Err() == nil; s = f.next() {
			if err := s.look(); err != nil {
				f.w.set.Logger.Error("A segment of the journal cannot be read; it is tried again, and others are not held up",
					zap.String("segment", s.j.Token("")), zap.Error(err))
				later = append(later, s)
			} else {
				s.queue()
			}
			f.pop() // Only now: it is always in one place or the other.
		}
		select {
		case <-f.wake:
		case <-ticker.C:
			later = slices.DeleteFunc(later, func(s *segment) bool {
				if s.look() != nil {
					return false
				}
				s.queue()
				return true
			})
		case <-f.w.life.Done():
			return
		}
	}
}

// look finds out what a segment of an earlier run holds.
func (s *segment) look() error {
	if !s.j.Recovered() {
		return nil
	}
	s.tables, s.totals = nil, map[string]extent{}
	if err := s.each(func(_ int, table string, rows, bytes int) { s.count(table, rows, bytes) }); err != nil {
		return fmt.Errorf("look into segment: %w", err)
	}
	if len(s.toStore()) > 0 {
		return nil
	}
	// It was kept although all is stored, perhaps because of a record that cannot be read. That shows only now.
	return s.verify()
}

// toStore returns the tables in which the rows of the segment are not stored.
func (s *segment) toStore() (tables []string) {
	stored := s.j.Progress().Done
	for _, t := range s.tables {
		if !slices.Contains(stored, t) {
			tables = append(tables, t)
		}
	}
	return tables
}

// queue queues the rows of the segment for every table that they are not stored in.
func (s *segment) queue() {
	tables := s.toStore()
	s.mu.Lock()
	s.done, s.left = s.j.Progress().Done, len(tables)
	s.mu.Unlock()
	if len(tables) == 0 {
		s.w.keeper.done(s, true)
		return
	}
	for _, t := range tables {
		s.w.lanes.push(t, s)
	}
}
