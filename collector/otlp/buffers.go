package otlp

import (
	"math/bits"
	"sync"

	"google.golang.org/grpc/mem"
)

const (
	minBufferLog = 8  // The smallest buffers have 256 bytes,
	maxBufferLog = 24 // and the largest that are kept 16 MiB.
)

// bufferPool keeps the memory into which gRPC reads requests. That of the library clears all of a buffer whenever it is
// used again, which is a part of what a request costs; here a buffer is read into before anything of it is looked at.
type bufferPool struct {
	pools [maxBufferLog - minBufferLog + 1]sync.Pool // Of *[]byte, by the logarithm of their size.
}

var _ mem.BufferPool = (*bufferPool)(nil)

// Get implements [mem.BufferPool].
func (p *bufferPool) Get(length int) *[]byte {
	log := max(bits.Len(uint(max(length, 1)-1)), minBufferLog) // 1<<(log-1) < length <= 1<<log
	if log > maxBufferLog {
		b := make([]byte, length)
		return &b
	}
	b, ok := p.pools[log-minBufferLog].Get().(*[]byte)
	if !ok {
		fresh := make([]byte, 1<<log)
		b = &fresh
	}
	*b = (*b)[:length]
	return b
}

// Put implements [mem.BufferPool].
func (p *bufferPool) Put(b *[]byte) {
	size := cap(*b)
	log := bits.Len(uint(size)) - 1
	if size != 1<<log || log < minBufferLog || log > maxBufferLog {
		return // It is not one of these.
	}
	p.pools[log-minBufferLog].Put(b)
}
