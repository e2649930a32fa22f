package recycle

import (
	"slices"
	"sync"
	"time"
)

// idle is after which time without use the buffers of a Large are left to the collector of garbage.
const idle = 10 * time.Second

// Large keeps a few large buffers, of similar size, from one use to the next. [Bytes] is no place for them: what it keeps
// goes with every second collection of garbage, which is sooner than a large buffer is needed again.
//
// Its methods may be called from any number of goroutines.
type Large struct {
	// Limit is how many bytes are kept at most.
	Limit int

	mu    sync.Mutex
	bytes int
	free  []*[]byte
	timer *time.Timer
}

// Get returns an empty buffer with room for n bytes. What was in it before is left in it.
func (r *Large) Get(n int) *[]byte {
	r.mu.Lock()
	best := -1
	for i, b := range r.free {
		if cap(*b) >= n && (best < 0 || cap(*b) < cap(*r.free[best])) {
			best = i
		}
	}
	if best >= 0 {
		b := r.free[best]
		r.free = slices.Delete(r.free, best, best+1)
		r.bytes -= cap(*b)
		r.mu.Unlock()
		return b
	}
	r.mu.Unlock()
	// A little more, so that it has room for the next one too.
	b := make([]byte, 0, n+n/8)
	return &b
}

// Put takes a buffer back, which nobody may use any more.
func (r *Large) Put(b *[]byte) {
	*b = (*b)[:0]
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bytes+cap(*b) > r.Limit {
		return
	}
	r.free = append(r.free, b)
	r.bytes += cap(*b)
	if r.timer == nil {
		r.timer = time.AfterFunc(idle, r.drop)
	}
	r.timer.Reset(idle)
}

func (r *Large) drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.free)
	r.free, r.bytes = r.free[:0], 0
}
