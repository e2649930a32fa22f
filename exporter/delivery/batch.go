package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/agenttrail/agenttrail/exporter/column"
	"github.com/agenttrail/agenttrail/exporter/row"
)

// Batch takes the rows of one request. It is filled by one goroutine, then committed or discarded, once.
type Batch struct {
	w        *Writer
	sets     []*column.Set // Those before the last are full.
	bytes    int64         // Of the full ones; of all once committed.
	tooLarge bool
	finished bool // Committed or discarded.

	gone chan struct{} // Closed when the request does not wait any longer.
	done chan struct{} // Closed when no part is left.

	mu   sync.Mutex
	left int
	err  *Error
}

// part is one set of rows of a batch, the unit that is grouped and sent.
type part struct {
	batch *Batch
	set   *column.Set
	bytes int64
	rows  [column.TableCount]int
	sizes [column.TableCount]int
}

func newPart(b *Batch, s *column.Set) *part {
	p := &part{batch: b, set: s}
	for t := range column.TableCount {
		p.rows[t], p.sizes[t] = s.Rows(t), s.Size(t)
		p.bytes += int64(p.sizes[t])
	}
	return p
}

var _ row.Sink = (*Batch)(nil)

// Span implements [row.Sink].
func (b *Batch) Span(r *row.Span) {
	if s := b.room(column.TableSpan); s != nil {
		s.Span(r)
	}
}

// Execution implements [row.Sink].
func (b *Batch) Execution(r *row.Execution) {
	if s := b.room(column.TableAgentExecution); s != nil {
		s.Execution(r)
	}
}

// Log implements [row.Sink].
func (b *Batch) Log(r *row.Log) {
	if s := b.room(column.TableAgentLog); s != nil {
		s.Log(r)
	}
}

// Request implements [row.Sink].
func (b *Batch) Request(r *row.Request) {
	if s := b.room(column.TableRequestLog); s != nil {
		s.Request(r)
	}
}

// Error implements [row.Sink].
func (b *Batch) Error(r *row.Error) {
	if s := b.room(column.TableSystemErrors); s != nil {
		s.Error(r)
	}
}

// Metric implements [row.Sink].
func (b *Batch) Metric(r *row.Metric) {
	if s := b.room(column.TableSystemMetrics); s != nil {
		s.Metric(r)
	}
}

// SecurityEvent implements [row.Sink].
func (b *Batch) SecurityEvent(r *row.SecurityEvent) {
	if s := b.room(column.TableSecurityEvents); s != nil {
		s.SecurityEvent(r)
	}
}

// room returns the set for the next row of t. It returns nil once the request is too large to be stored, so that a
// small request that grows huge, such as one with a large resource on many spans, costs no more than the limit.
func (b *Batch) room(t column.Table) *column.Set {
	if b.tooLarge {
		return nil
	}
	var last *column.Set
	if n := len(b.sets); n > 0 {
		last = b.sets[n-1]
		size := last.Size(t)
		if last.Rows(t) < b.w.set.MaxBlockRows && size < b.w.set.MaxBlockBytes {
			// Every table is checked before its own rows, so together they may take a few times the limit of one.
			if b.bytes+int64(size) <= b.w.set.MaxRequestBytes {
				return last
			}
		}
		if b.bytes+setBytes(last) > b.w.set.MaxRequestBytes {
			b.tooLarge = true
			b.release()
			return nil
		}
		b.bytes += setBytes(last)
	}
	last = b.w.enc.set()
	b.sets = append(b.sets, last)
	return last
}

func setBytes(s *column.Set) int64 {
	n := 0
	for t := range column.TableCount {
		n += s.Size(t)
	}
	return int64(n)
}

// Rows returns how many rows the batch has.
func (b *Batch) Rows() int {
	n := 0
	for _, s := range b.sets {
		for t := range column.TableCount {
			n += s.Rows(t)
		}
	}
	return n
}

// Discard gives up a batch that is not committed. After Commit it does nothing, so it can be deferred.
func (b *Batch) Discard() {
	if b.finished {
		return
	}
	b.finished = true
	b.release()
	b.w.gate.leave()
}

func (b *Batch) release() {
	for _, s := range b.sets {
		b.w.enc.releaseSet(s)
	}
	b.sets, b.bytes = nil, 0
}

// Commit hands the rows over and waits until all of them are stored, ctx is done, or they cannot be stored. Then the
// error is an [*Error]. When ctx ends first, the rows may be stored or not.
func (b *Batch) Commit(ctx context.Context) error {
	err := b.commit(ctx)
	if err == nil {
		return nil
	}
	b.w.set.Observer.Refused(err.Reason)
	return err
}

func (b *Batch) commit(ctx context.Context) *Error {
	if b.finished {
		panic("BUG: batch is committed twice")
	}
	defer b.Discard()
	if b.tooLarge {
		return &Error{Reason: ReasonTooLarge, Err: fmt.Errorf("the rows of the request take more than %d bytes: send smaller requests, or raise max_request_bytes of the exporter", b.w.set.MaxRequestBytes)}
	}
	if b.Rows() == 0 {
		return nil
	}
	parts := make([]*part, len(b.sets))
	for i, s := range b.sets {
		s.EndRequest()
		parts[i] = newPart(b, s)
	}
	b.left = len(parts)
	b.gone, b.done = make(chan struct{}), make(chan struct{})
	if err := b.w.enqueue(parts); err != nil {
		return err
	}
	// The parts belong to the writer now, which returns each of them with finish.
	b.finished, b.sets = true, nil
	b.w.gate.leave()

	select {
	case <-b.done:
	case <-ctx.Done():
		close(b.gone)
		select {
		case <-b.done: // It was safe all the same.
		default:
			return &Error{Reason: ReasonCanceled, RetryAfter: b.w.retryAfter(), Err: fmt.Errorf("wait for clickhouse: %w", context.Cause(ctx))}
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// finish reports the outcome of one part. A failure for good outweighs one that can be retried: the request must not
// come again only to fail again.
func (b *Batch) finish(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			e = &Error{Reason: ReasonUnavailable, RetryAfter: b.w.retryAfter(), Err: err}
		}
		if b.err == nil || !b.err.Permanent() && e.Permanent() {
			b.err = e
		}
	}
	b.left--
	if b.left == 0 {
		close(b.done)
	}
}
