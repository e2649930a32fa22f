package chserver

import (
	"context"
	"sync/atomic"
)

// limiter bounds the statements that run at once, and those that wait.
type limiter struct {
	slots     chan struct{}
	waiting   atomic.Int64
	maxQueued int64
}

func newLimiter(slots, maxQueued int) *limiter {
	return &limiter{slots: make(chan struct{}, slots), maxQueued: int64(maxQueued)}
}

// acquire takes a slot, waiting for one until ctx ends.
func (l *limiter) acquire(ctx context.Context) error {
	select {
	case l.slots <- struct{}{}:
		return nil
	default:
	}
	if l.waiting.Add(1) > l.maxQueued {
		l.waiting.Add(-1)
		return newError(codeTooManyQueries, "Too many simultaneous queries. Maximum: %d running and %d waiting", cap(l.slots), l.maxQueued)
	}
	defer l.waiting.Add(-1)
	select {
	case l.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return newError(codeQueryWasCancelled, "Query was cancelled while it waited for its turn")
	}
}

func (l *limiter) release() { <-l.slots }
