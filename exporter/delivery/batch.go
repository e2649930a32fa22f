package delivery

import (
	"context"
	"fmt"
	"time"

	"github.com/agenttrail/agenttrail/exporter/column"
	"github.com/agenttrail/agenttrail/exporter/journal"
	"github.com/agenttrail/agenttrail/exporter/row"
)

// Batch takes the rows of one request. It is filled by one goroutine, then committed or discarded, once.
type Batch struct {
	w        *Writer
	hash     journal.Hash
	known    bool
	sets     []*column.Set // Those before the last are full.
	bytes    int64         // Of the full ones.
	tooLarge bool
	finished bool // Committed or discarded.

	cutoffs [column.TableCount]int64 // Rows from before are older than their table keeps rows.
	expired [column.TableCount]expired
}

// SetHash says which request it is, so that it is acknowledged and not stored when it comes again. known means that
// this is so now: its rows need not be made. A zero hash says nothing.
func (b *Batch) SetHash(h journal.Hash) (known bool) {
	b.hash = h
	b.known = b.w.journal.Known(h)
	return b.known
}

var _ row.Sink = (*Batch)(nil)

// Span implements [row.Sink].
func (b *Batch) Span(r *row.Span) {
	if s := b.room(column.TableSpan, r.StartedAt); s != nil {
		s.Span(r)
	}
}

// Execution implements [row.Sink].
func (b *Batch) Execution(r *row.Execution) {
	if s := b.room(column.TableAgentExecution, r.StartedAt); s != nil {
		s.Execution(r)
	}
}

// Log implements [row.Sink].
func (b *Batch) Log(r *row.Log) {
	if s := b.room(column.TableAgentLog, r.Timestamp); s != nil {
		s.Log(r)
	}
}

// Request implements [row.Sink].
func (b *Batch) Request(r *row.Request) {
	if s := b.room(column.TableRequestLog, r.Timestamp); s != nil {
		s.Request(r)
	}
}

// Error implements [row.Sink].
func (b *Batch) Error(r *row.Error) {
	if s := b.room(column.TableSystemErrors, r.Timestamp); s != nil {
		s.Error(r)
	}
}

// Metric implements [row.Sink].
func (b *Batch) Metric(r *row.Metric) {
	if s := b.room(column.TableSystemMetrics, r.Timestamp); s != nil {
		s.Metric(r)
	}
}

// SecurityEvent implements [row.Sink].
func (b *Batch) SecurityEvent(r *row.SecurityEvent) {
	if s := b.room(column.TableSecurityEvents, r.Timestamp); s != nil {
		s.SecurityEvent(r)
	}
}

// room returns the set for the next row of t, which is of the time at. It returns nil once the request is too large to be
// stored, so that a small request that grows huge, such as one with a large resource on many spans, costs no more than the
// limit.
func (b *Batch) room(t column.Table, at int64) *column.Set {
	if b.tooLarge {
		return nil
	}
	if at < b.cutoffs[t] {
		b.expired[t].add(1, at)
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

// Commit writes the rows to the journal and returns when they are durable there, or were already. The error is an
// [*Error]. When ctx ends first, the rows may become durable or not; sent again, they are stored once.
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
	if b.known {
		b.w.set.Observer.Duplicate()
		return nil
	}
	if b.Rows() == 0 {
		return nil
	}
	if !b.w.enter() {
		return comeBack(ReasonStopping, errStopping)
	}
	a := newAppending(b.w, b.hash, b.sets)
	a.expired = b.expired
	b.Discard()

	began := time.Now()
	done := make(chan *Error, 1)
	staying := context.WithoutCancel(ctx)
	go func() {
		defer b.w.appends.Done()
		done <- a.run(staying, began)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return comeBack(ReasonCanceled, fmt.Errorf("wait for the journal: %w", context.Cause(ctx)))
	}
}
