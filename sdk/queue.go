package agenttrail

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// batching says what waits in memory and how much goes together.
type batching struct {
	maxCount int
	maxBytes int64
	batch    int
	delay    time.Duration
}

var defaultBatching = batching{maxCount: 16384, maxBytes: 32 << 20, batch: 1024, delay: 500 * time.Millisecond}

// batchBytes is about how large a batch may be. gRPC servers refuse requests of more than 4 MiB by default.
const batchBytes = 2 << 20

var (
	errFull    = errors.New("the buffer is full")
	errStopped = errors.New("telemetry was shut down before")
)

// queue holds what ended until the collector has taken it. put never waits; one goroutine sends, in order.
type queue[T any] struct {
	set      batching
	delivery delivery
	send     func(context.Context, []T) error
	lost     func(int, error)

	mu       sync.Mutex
	waiting  []item[T]
	count    int   // Waiting and being sent.
	bytes    int64 // Of both.
	accepted uint64
	settled  uint64        // Of the accepted ones: taken, refused or lost.
	wanted   uint64        // Until here somebody waits.
	moved    chan struct{} // Closed when settled moves; nil when nobody waits.
	closed   bool
	trouble  error // Why the last attempt failed; nil when it did not.

	wake, nudge chan struct{}
	stop        context.CancelFunc // Ends the goroutine that sends.
	done        chan struct{}
}

type item[T any] struct {
	value T
	bytes int64
}

func newQueue[T any](set batching, d delivery, send func(context.Context, []T) error, lost func(int, error)) *queue[T] {
	q := &queue[T]{
		set: set, delivery: d, send: send, lost: lost,
		wake: make(chan struct{}, 1), nudge: make(chan struct{}, 1), done: make(chan struct{}),
	}
	ctx, stop := context.WithCancel(context.Background()) //nolint:gosec // G118: shutdown calls it.
	q.stop = stop
	go q.run(ctx)
	return q
}

// put adds something of about so many bytes, or counts it as lost.
func (q *queue[T]) put(value T, bytes int64) {
	q.mu.Lock()
	switch {
	case q.closed:
		q.mu.Unlock()
		q.lost(1, errStopped)
		return
	case q.count >= q.set.maxCount || q.bytes+bytes > q.set.maxBytes:
		err := errFull
		if q.trouble != nil {
			err = fmt.Errorf("%w: %w", errFull, q.trouble)
		}
		q.mu.Unlock()
		q.lost(1, err)
		return
	}
	q.waiting = append(q.waiting, item[T]{value, bytes})
	q.count++
	q.bytes += bytes
	q.accepted++
	n := len(q.waiting)
	q.mu.Unlock()
	if n == 1 || n == q.set.batch {
		signalOn(q.wake)
	}
}

// flush waits until what was put before is settled.
func (q *queue[T]) flush(ctx context.Context) error {
	q.mu.Lock()
	until := q.accepted
	q.wanted = max(q.wanted, until)
	q.mu.Unlock()
	signalOn(q.wake)
	signalOn(q.nudge)
	for {
		q.mu.Lock()
		if q.settled >= until {
			q.mu.Unlock()
			return nil
		}
		if q.moved == nil {
			q.moved = make(chan struct{})
		}
		moved, trouble, left := q.moved, q.trouble, until-q.settled
		q.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			err := fmt.Errorf("%d not sent: %w", left, ctx.Err())
			if trouble != nil {
				err = fmt.Errorf("%w: %w", err, trouble)
			}
			return err
		}
	}
}

// shutdown takes no more, sends what is there within ctx, and counts the rest as lost.
func (q *queue[T]) shutdown(ctx context.Context) error {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	err := q.flush(ctx)
	q.stop()
	<-q.done
	return err
}

// run sends batches until the queue is stopped.
func (q *queue[T]) run(ctx context.Context) {
	defer close(q.done)
	due := time.NewTimer(0)
	defer due.Stop()
	armed := true
	for {
		select {
		case <-ctx.Done():
			q.abandon()
			return
		case <-due.C:
			armed = false
			q.sendWaiting(ctx, true)
		case <-q.wake:
			q.sendWaiting(ctx, false)
		}
		if !armed && q.isWaiting() {
			due.Reset(q.set.delay)
			armed = true
		}
	}
}

func (q *queue[T]) isWaiting() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting) > 0
}

// sendWaiting sends full batches, and those that somebody waits for; if due is set, all that waited when it began.
func (q *queue[T]) sendWaiting(ctx context.Context, due bool) {
	q.mu.Lock()
	until := q.accepted
	q.mu.Unlock()
	for ctx.Err() == nil {
		q.mu.Lock()
		n := len(q.waiting)
		if asked := q.settled < q.wanted || (due && q.settled < until); n == 0 || (n < q.set.batch && !asked) {
			q.mu.Unlock()
			return
		}
		batch, bytes := q.take()
		q.mu.Unlock()
		err := q.delivery.deliver(ctx, q.nudge, func(ctx context.Context) error { return q.send(ctx, batch) }, q.fail)
		if err != nil {
			q.lost(len(batch), err)
		}
		q.settle(len(batch), bytes, err)
	}
}

// take removes a batch from what waits. The caller holds the lock.
func (q *queue[T]) take() (batch []T, bytes int64) {
	n := 0
	for ; n < min(len(q.waiting), q.set.batch); n++ {
		if bytes += q.waiting[n].bytes; bytes > batchBytes && n > 0 {
			bytes -= q.waiting[n].bytes
			break
		}
	}
	batch = make([]T, n)
	for i := range batch {
		batch[i] = q.waiting[i].value
	}
	rest := copy(q.waiting, q.waiting[n:])
	clear(q.waiting[rest:])
	q.waiting = q.waiting[:rest]
	return batch, bytes
}

func (q *queue[T]) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.trouble = err
}

func (q *queue[T]) settle(n int, bytes int64, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.trouble = err
	q.count -= n
	q.bytes -= bytes
	q.settled += uint64(n) //nolint:gosec // A length.
	if q.moved != nil {
		close(q.moved)
		q.moved = nil
	}
}

// abandon counts what waits as lost.
func (q *queue[T]) abandon() {
	q.mu.Lock()
	q.closed = true
	n, bytes, err := len(q.waiting), int64(0), q.trouble
	for i := range q.waiting {
		bytes += q.waiting[i].bytes
	}
	q.waiting = nil
	q.mu.Unlock()
	if n == 0 {
		return
	}
	if err == nil {
		err = errStopped
	}
	q.lost(n, err)
	q.settle(n, bytes, err)
}

// signalOn wakes who listens, now or later, without waiting.
func signalOn(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
