package delivery

import (
	"context"
	"errors"
	"sync"
	"time"
)

// gate bounds the memory of a writer. It lets a few requests at a time make their rows, and only while the rows that
// wait are below the limit; so the limit is exceeded by at most what those few make. The requests that wait for it are
// in memory too: when they are too many, the next is refused at once.
type gate struct {
	slots  chan struct{} // One element per request that makes its rows.
	limit  int64
	closed chan struct{}

	mu      sync.Mutex
	bytes   int64
	waiting int64         // Bytes of requests that wait.
	freed   chan struct{} // Closed and replaced when bytes falls below the limit.
}

func newGate(slots int, limit int64) *gate {
	return &gate{slots: make(chan struct{}, slots), limit: limit, closed: make(chan struct{}), freed: make(chan struct{})}
}

// waitingPart is which part of the limit the requests that wait may take.
const waitingPart = 4

var (
	errOverload = errors.New("too much is waiting to be stored: ClickHouse is slower than its clients")
	errStopping = errors.New("the exporter is being shut down")
)

// enter waits for room with a request of a size. Who enters must leave.
func (g *gate) enter(ctx context.Context, size int64, wait time.Duration) error {
	select {
	case <-g.closed: // It wins over a free slot.
		return errStopping
	default:
	}
	select {
	case g.slots <- struct{}{}:
		if g.room() == nil {
			return nil
		}
	default:
		if !g.queue(size) {
			return errOverload
		}
		err := g.waitSlot(ctx, wait)
		g.unqueue(size)
		if err != nil {
			return err
		}
	}
	if err := g.waitRoom(ctx, wait); err != nil {
		g.leave()
		return err
	}
	return nil
}

// queue reports whether a request of a size may wait; one may always.
func (g *gate) queue(size int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waiting > 0 && g.waiting+size > g.limit/waitingPart {
		return false
	}
	g.waiting += size
	return true
}

func (g *gate) unqueue(size int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting -= size
}

func (g *gate) leave() { <-g.slots }

func (g *gate) waitSlot(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case g.slots <- struct{}{}:
		return nil
	case <-g.closed:
		return errStopping
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return errOverload
	}
}

func (g *gate) waitRoom(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		freed := g.room()
		if freed == nil {
			return nil
		}
		select {
		case <-freed:
		case <-g.closed:
			return errStopping
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
			return errOverload
		}
	}
}

// room returns nil if there is room, else a channel that is closed when there is some again.
func (g *gate) room() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.bytes < g.limit {
		return nil
	}
	return g.freed
}

func (g *gate) add(n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.bytes
	g.bytes += n
	if before >= g.limit && g.bytes < g.limit {
		close(g.freed)
		g.freed = make(chan struct{})
	}
}

func (g *gate) used() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.bytes
}
