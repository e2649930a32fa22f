package delivery

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// keeper removes segments that are stored, and makes it durable which tables of the others are.
type keeper struct {
	w    *Writer
	wake chan struct{}

	mu      sync.Mutex
	stored  []*segment
	partial map[*segment]struct{} // Some of their tables are done, which is not durable.
}

func newKeeper(w *Writer) *keeper {
	return &keeper{w: w, wake: make(chan struct{}, 1), partial: map[*segment]struct{}{}}
}

// done notes that a table of the segment is done. last says that all are.
func (k *keeper) done(s *segment, last bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !last {
		k.partial[s] = struct{}{}
		return
	}
	delete(k.partial, s)
	k.stored = append(k.stored, s)
	signal(k.wake)
}

func (k *keeper) forget(s *segment) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.partial, s)
}

// run works until stop is closed, and then once more.
func (k *keeper) run(ctx context.Context, stop <-chan struct{}) {
	ticker := time.NewTicker(min(k.w.set.progressAfter, time.Second))
	defer ticker.Stop()
	for {
		select {
		case <-k.wake:
			k.removeStored(ctx)
		case now := <-ticker.C:
			k.removeStored(ctx)
			k.keepProgress(ctx, now)
			k.w.letters.tell(now)
			k.w.crowd.look(now)
		case <-stop:
			k.removeStored(ctx)
			k.keepProgress(ctx, time.Now().Add(k.w.set.progressAfter))
			return
		}
	}
}

func (k *keeper) removeStored(ctx context.Context) {
	k.mu.Lock()
	stored := k.stored
	k.stored = nil
	k.mu.Unlock()
	for i, s := range stored {
		err := s.remove(ctx)
		k.w.disk.note("remove segment", err)
		if err != nil {
			k.mu.Lock()
			k.stored = slices.Concat(stored[i:], k.stored) // The ticker tries again.
			k.mu.Unlock()
			return
		}
	}
	if len(stored) > 0 {
		k.w.pressure.look()
	}
}

// keepProgress makes progress durable that was not for some time: should the program be away for days, ClickHouse may
// have forgotten the tokens.
func (k *keeper) keepProgress(ctx context.Context, now time.Time) {
	k.mu.Lock()
	partial := maps.Clone(k.partial)
	k.mu.Unlock()
	for s := range partial {
		tried, err := s.keepProgress(ctx, now)
		if tried {
			k.w.disk.note("keep progress", err)
		}
		if err != nil {
			k.done(s, false)
			return
		}
	}
}

// keepProgress makes durable which tables are done, and lets go of the rows in memory: what is left takes its time.
func (s *segment) keepProgress(ctx context.Context, now time.Time) (tried bool, err error) {
	s.progress.Lock()
	defer s.progress.Unlock()
	s.mu.Lock()
	since := s.since
	s.mu.Unlock()
	if !s.removed && now.Sub(since) < s.w.set.progressAfter {
		return false, nil
	}
	s.w.keeper.forget(s) // What is done from now on brings it back.
	if s.removed {
		return false, nil
	}
	p := s.j.Progress()
	s.mu.Lock()
	p.Done = slices.Clone(s.done)
	s.mu.Unlock()
	if err := s.j.SetProgress(ctx, p); err != nil {
		return true, err
	}
	s.spill()
	return true, nil
}

// remove removes the file, whose rows are all stored.
func (s *segment) remove(ctx context.Context) error {
	s.progress.Lock()
	defer s.progress.Unlock()
	s.removed = true // Its progress is of no interest any more.
	if !s.unreadable.Load() {
		return s.j.Remove(ctx)
	}
	p := s.j.Progress()
	p.Done = s.tables
	return s.j.SetProgress(ctx, p)
}
