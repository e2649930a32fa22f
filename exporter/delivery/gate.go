package delivery

import (
	"context"
	"errors"
	"sync"
	"time"
)

// gate bounds the memory of a writer. It lets a few requests at a time make their rows, and only while the rows that
// wait are below the limit; so the limit is exceeded by at most what those few make.
type gate struct {
	slots  chan struct{} // One element per request that makes its rows.
	limit  int64
	closed chan struct{}

	mu    sync.Mutex
	bytes int64
	freed chan struct{} // Closed and replaced when bytes falls below the limit.
}

func newGate(slots int, limit int64) *gate {
	return &gate{slots: make(chan struct{}, slots), limit: limit, closed: make(chan struct{}), freed: make(chan struct{})}
}

var (
	errOverload = errors.New("too much is waiting to be stored: ClickHouse is slower than its clients")
	errStopping = errors.New("the exporter is being shut down")
)

// enter waits for room. Who enters must leave.
func (g *gate) enter(ctx context.Context, wait time.Duration) error {
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
		if err := g.waitSlot(ctx, wait); err != nil {
			return err
		}
	}
	if err := g.waitRoom(ctx, wait); err != nil {
		g.leave()
		return err
	}
	return nil
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
