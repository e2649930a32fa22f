// Package recycle keeps buffers for further use.
package recycle

import (
	"math/bits"
	"sync"
)

const (
	// Smaller buffers are all of one size; larger ones are not kept, since few requests need them.
	minRecycledLog = 9
	maxRecycledLog = 23
	// Classes have four sizes for each doubling, so that at most a quarter of a buffer is not used.
	classes = 4 * (maxRecycledLog - minRecycledLog)
)

// Bytes keeps buffers by size. Their memory would else be cleared and paged in anew for every use; what is in one that was
// used before is left in it. The zero value is ready, for any number of goroutines.
type Bytes struct{ pools [classes + 1]sync.Pool }

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

// Get returns an empty buffer with room for n bytes.
func (r *Bytes) Get(n int) *[]byte {
	index, size := class(n)
	if index >= 0 {
		if b, ok := r.pools[index].Get().(*[]byte); ok {
			return b
		}
	}
	b := make([]byte, 0, size)
	return &b
}

// Put takes a buffer back, which nobody may use any more. One that Get did not make is left to the collector of garbage.
func (r *Bytes) Put(b *[]byte) {
	index, size := class(cap(*b))
	if index < 0 || size != cap(*b) {
		return // It had to grow.
	}
	*b = (*b)[:0]
	r.pools[index].Put(b)
}
