package delivery

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

const (
	// Smaller buffers are all of one size; larger ones are not kept, since few requests need them.
	minRecycledLog = 9
	maxRecycledLog = 23
	// Classes have four sizes for each doubling, so that at most a quarter of a buffer is not used.
	classes = 4 * (maxRecycledLog - minRecycledLog)
)

// recycler keeps buffers for records, by size. Their memory would else be cleared and paged in anew for every request.
type recycler struct{ pools [classes + 1]sync.Pool }

// class returns the class whose buffers have room for n bytes and the size of these; -1 if they are not kept.
func class(n int) (index, size int) {
	if n <= 1<<minRecycledLog {
		return 0, 1 << minRecycledLog
	}
	if n > 1<<maxRecycledLog {
		return -1, n
	}
	log := bits.Len(uint(n-1)) - 1 // 1<<log < n <= 1<<(log+1)
	step := 1 << (log - 2)
	quarter := (n - 1<<log + step - 1) / step // 1 to 4
	return 4*(log-minRecycledLog) + quarter, 1<<log + quarter*step
}

// get returns an empty buffer with room for n bytes.
func (r *recycler) get(n int) *[]byte {
	index, size := class(n)
	if index >= 0 {
		if b, ok := r.pools[index].Get().(*[]byte); ok {
			return b
		}
	}
	b := make([]byte, 0, size)
	return &b
}

// put takes a buffer back, which nobody may use any more.
func (r *recycler) put(b *[]byte) {
	index, size := class(cap(*b))
	if index < 0 || size != cap(*b) {
		return // It had to grow.
	}
	*b = (*b)[:0]
	r.pools[index].Put(b)
}

// held is the records of a segment in memory. Who uses them has a share; when the last one is gone, so are they.
type held struct {
	records [][]byte
	shares  atomic.Int32
	gone    func()
}

func newHeld(records [][]byte, gone func()) *held {
	h := &held{records: records, gone: gone}
	h.shares.Store(1)
	return h
}

func (h *held) share() *held {
	h.shares.Add(1)
	return h
}

func (h *held) release() {
	if h.shares.Add(-1) == 0 {
		h.gone()
	}
}
