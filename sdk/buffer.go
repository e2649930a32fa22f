package agenttrail

import (
	"sync"

	"go.opentelemetry.io/otel/attribute"
)

// buffer is memory for the attributes of one call. OpenTelemetry copies what it is given.
type buffer struct{ attrs []attribute.KeyValue }

// bufferPool keeps buffers between calls.
type bufferPool struct{ pool sync.Pool }

var buffers bufferPool

// maxBuffered is how many attributes a buffer may have that is kept.
const maxBuffered = 64

func (p *bufferPool) take() *buffer {
	if b, ok := p.pool.Get().(*buffer); ok {
		return b
	}
	return &buffer{attrs: make([]attribute.KeyValue, 0, 24)}
}

// give takes a buffer back. Nobody may use it any more.
func (p *bufferPool) give(b *buffer) {
	if cap(b.attrs) > maxBuffered {
		return
	}
	b.clear()
	p.pool.Put(b)
}

func (b *buffer) clear() {
	clear(b.attrs)
	b.attrs = b.attrs[:0]
}

// nameCache keeps the names of the spans of routes, which are few.
type nameCache struct {
	mu    sync.RWMutex
	names map[[2]string]string
}

var spanNames nameCache

// maxNames bounds what is kept of a program whose routes are not few.
const maxNames = 1024

func (c *nameCache) of(method, route string) string {
	key := [2]string{method, route}
	c.mu.RLock()
	name, ok := c.names[key]
	c.mu.RUnlock()
	if ok {
		return name
	}
	name = method + " " + route
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.names == nil {
		c.names = map[[2]string]string{}
	}
	if len(c.names) < maxNames {
		c.names[key] = name
	}
	return name
}
