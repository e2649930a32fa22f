package otlp

import (
	"google.golang.org/grpc/mem"

	"github.com/agenttrail/agenttrail/internal/recycle"
)

// bufferPool keeps the memory into which gRPC reads requests. That of the library clears all of a buffer whenever it is
// used again, which is a part of what a request costs; here a buffer is read into before anything of it is looked at.
type bufferPool struct{ recycle.Bytes }

var _ mem.BufferPool = (*bufferPool)(nil)

// Get implements [mem.BufferPool].
func (p *bufferPool) Get(length int) *[]byte {
	b := p.Bytes.Get(length)
	*b = (*b)[:length]
	return b
}
