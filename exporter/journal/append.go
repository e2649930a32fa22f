package journal

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/agenttrail/agenttrail/exporter/lz4"
)

// request is what one call of Append waits for.
type request struct {
	records []*Record
	hash    Hash
	framed  []framedRecord // Not bound to a place yet.
	size    int64          // Of these in a file.
	packed  []byte         // Memory for data that is compressed or copied.
	lz4     lz4.Compressor
	done    chan error
	waiters []chan error // Of duplicates.
}

const maxPooledBuffer = 1 << 20

func (j *Journal) release(r *request) {
	clear(r.records[:cap(r.records)])
	clear(r.framed)
	r.records, r.framed, r.size, r.packed, r.waiters = r.records[:0], r.framed[:0], 0, r.packed[:0], nil
	if cap(r.packed) > maxPooledBuffer {
		r.packed = nil
	}
	j.requests.Put(r)
}

// Append writes the records of one request. It returns nil when they are durable.
//
// A request whose hash is durable already is a duplicate: nothing is written. If the same hash is on its way, Append
// waits for it. All records of a request have the same hash.
//
// If ctx is done first, the request may become durable all the same; sent again it is a duplicate then. Every other
// error is an [*Error]. After an error, and of a duplicate, the records and their Values are the caller's again.
func (j *Journal) Append(ctx context.Context, recs ...*Record) (duplicate bool, err error) {
	if len(recs) == 0 {
		return false, nil
	}
	if err := check(recs); err != nil {
		return false, err
	}
	r, _ := j.requests.Get().(*request)
	if r == nil {
		r = &request{done: make(chan error, 1)}
	}
	r.hash = recs[0].Hash
	r.records = append(r.records, recs...)
	if duplicate, err := j.begin(ctx, r); duplicate || err != nil {
		j.release(r)
		return duplicate, err
	}
	compress := j.compresses()
	for i, rec := range recs {
		head := recordHeader{hash: rec.Hash, part: rec.Part, place: uint16(i), places: uint16(len(recs))} //nolint:gosec // Checked.
		r.frame(head, rec.Data, compress, ctx.Done() != nil)
	}
	if err := j.enqueue(r); err != nil {
		j.release(r)
		return false, err
	}
	select {
	case err = <-r.done:
	case <-ctx.Done():
		if gone := j.abandon(ctx, r); gone != nil {
			return false, gone
		}
		err = <-r.done
	}
	j.release(r)
	return false, err
}

// compresses reports whether records are compressed now.
func (j *Journal) compresses() bool {
	switch j.s.Compression {
	case CompressionLZ4:
		return true
	case CompressionAuto:
		return j.behind.Load()
	default:
		return false
	}
}

// frame adds a record. Its data stays where it is, unless it is compressed or the caller may go away with it while it
// is written.
func (r *request) frame(h recordHeader, data []byte, compress, owned bool) {
	h.kind, h.encoding, h.raw = kindRecord, encodingNone, uint32(len(data)) //nolint:gosec // At most maxRecord.
	body := data
	if compress {
		if r.packed, body = appendPacked(r.packed, data, &r.lz4); body != nil {
			h.encoding = encodingLZ4
		} else {
			body = data
		}
	}
	if owned && h.encoding == encodingNone {
		start := len(r.packed)
		r.packed = append(r.packed, data...)
		body = r.packed[start:]
	}
	r.framed = append(r.framed, framedRecord{data: body})
	f := &r.framed[len(r.framed)-1]
	f.put(h)
	r.size += int64(f.size())
}

func check(recs []*Record) error {
	if len(recs) > math.MaxUint16 {
		return errors.New("append to journal: a request has too many records")
	}
	for _, rec := range recs {
		if rec.Hash != recs[0].Hash {
			return errors.New("append to journal: BUG: records of different requests")
		}
		if len(rec.Data) > maxRecord {
			return errors.New("append to journal: a record is longer than 1 GiB")
		}
	}
	return nil
}

// begin finds out whether the request is a duplicate, and marks its hash as being on its way.
func (j *Journal) begin(ctx context.Context, r *request) (duplicate bool, err error) {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return false, errClosed
	}
	if r.hash == (Hash{}) {
		j.mu.Unlock()
		return false, nil
	}
	if j.window.has(r.hash, j.now()) {
		j.mu.Unlock()
		j.s.Observer.Duplicate()
		return true, nil
	}
	first := j.inflight[r.hash]
	if first == nil {
		j.inflight[r.hash] = r
		j.mu.Unlock()
		return false, nil
	}
	outcome := make(chan error, 1)
	first.waiters = append(first.waiters, outcome)
	j.mu.Unlock()
	select {
	case err := <-outcome:
		if err != nil {
			return false, err
		}
		j.s.Observer.Duplicate()
		return true, nil
	case <-ctx.Done():
		return false, fmt.Errorf("append to journal: %w", context.Cause(ctx))
	}
}

func (j *Journal) enqueue(r *request) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	size := r.size
	var err error
	switch {
	case j.closed:
		err = errClosed
	case j.bytes+j.queued+size+2*recordHead > j.s.MaxBytes:
		err = &Error{ReasonFull, fmt.Errorf("append to journal: its %d bytes are used up: "+
			"see why the database does not take rows, or allow more bytes", j.s.MaxBytes)}
	default:
		j.queue = append(j.queue, r)
		j.queued += size
		signal(j.wake)
		return nil
	}
	j.settle(r, err)
	return err
}

// settle tells those who wait for the same hash; mu is held.
func (j *Journal) settle(r *request, err error) {
	if r.hash != (Hash{}) {
		delete(j.inflight, r.hash)
	}
	for _, w := range r.waiters {
		w <- err
	}
	r.waiters = r.waiters[:0]
}

// abandon is called when the caller goes away, and returns why. It returns nil if the outcome is known already.
func (j *Journal) abandon(ctx context.Context, r *request) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(r.done) > 0 {
		return nil
	}
	err := fmt.Errorf("append to journal: %w", context.Cause(ctx))
	if i := slices.Index(j.queue, r); i >= 0 && len(r.waiters) == 0 {
		j.queue = slices.Delete(j.queue, i, i+1)
		j.queued -= r.size
		j.settle(r, err)
		return err
	}
	for i, rec := range r.records { // The caller's may change from now on.
		r.records[i] = &Record{Hash: rec.Hash, Part: rec.Part}
	}
	return err
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
