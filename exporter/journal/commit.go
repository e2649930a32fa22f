package journal

import (
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
)

const (
	maxGroup     = 16 << 20 // Bytes that are written at once, unless one request has more.
	behindPart   = 8        // Which part of MaxBytes may wait before [CompressionAuto] compresses.
	retryInitial = 50 * time.Millisecond
	retryMax     = 5 * time.Second
)

// active is the file that is written.
type active struct {
	f    File
	seg  *Segment // Its end, size and count are those of what is durable.
	seed uint32

	durable int64    // Where the last group ends.
	before  previous // What its marks say.

	buf [recordHead]byte
}

// breakage is the state after an error that leaves it open what is on disk.
type breakage struct {
	err   error
	next  time.Time // When to repair again.
	pause time.Duration
	left  []uint64 // Segments of earlier attempts, to be removed.
}

// loop is the goroutine that writes.
func (j *Journal) loop() {
	defer j.done.Done()
	for {
		select {
		case <-j.wake:
			for j.commitGroup() {
			}
		case <-j.stop:
			for j.commitGroup() {
			}
			return
		}
	}
}

// commitGroup makes durable what waits. It returns false if there is nothing.
func (j *Journal) commitGroup() bool {
	j.commit.Lock()
	defer j.commit.Unlock()
	group, size := j.take()
	if len(group) == 0 {
		return false
	}
	records := 0
	for _, r := range group {
		records += len(r.records)
	}
	fsync, err := j.write(group, size, records)
	if err != nil {
		err = fault("append to journal", err)
	}
	j.mu.Lock()
	j.queued -= size
	if err == nil {
		j.attach(group)
	}
	for _, r := range group {
		j.settle(r, err)
		r.done <- err
	}
	j.mu.Unlock()
	n := len(group)
	clear(j.batch)
	if err != nil {
		var e *Error
		errors.As(err, &e)
		j.s.Observer.Failed(n, e.Reason)
		return true
	}
	j.s.Observer.Committed(n, int(size), fsync)
	signal(j.changed)
	return true
}

// take takes a group from the queue.
func (j *Journal) take() (group []*request, size int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.batch = j.batch[:0]
	n := 0
	for _, r := range j.queue {
		if n > 0 && size+r.size > maxGroup {
			break
		}
		n++
		size += r.size
		j.batch = append(j.batch, r)
	}
	rest := copy(j.queue, j.queue[n:])
	clear(j.queue[rest:])
	j.queue = j.queue[:rest]
	if rest > 0 {
		signal(j.wake)
	}
	return j.batch, size
}

// attach adds durable requests to the segment; mu is held.
func (j *Journal) attach(group []*request) {
	now := j.now()
	seg := j.active.seg
	for _, r := range group {
		seg.records = append(seg.records, r.records...)
		if r.hash != (Hash{}) {
			j.window.add(r.hash, now)
		}
		j.open.records += len(r.records)
	}
	if j.open.since.IsZero() {
		j.open.since, seg.created = now, now
	}
	j.count(seg)
}

// write makes a group durable, or sees to it that it is not in the file.
func (j *Journal) write(group []*request, size int64, records int) (fsync time.Duration, err error) {
	if err := j.ready(); err != nil {
		return 0, err
	}
	a := j.active
	off, index := a.seg.end, uint32(a.seg.count) //nolint:gosec // Checked by ready.
	j.pieces = j.pieces[:0]
	at := off
	for _, r := range group {
		for i := range r.framed {
			f := &r.framed[i]
			f.bind(a.seed, at, index)
			at += int64(f.size())
			index++
			j.pieces = append(j.pieces, f.head(), f.data, f.tail())
		}
	}
	err = j.writePieces(a.f, off, size)
	clear(j.pieces)
	if err != nil {
		if back := a.f.Truncate(off); back != nil {
			j.breakDown(errors.Join(err, back))
		} else if back = a.f.Sync(); back != nil {
			j.breakDown(errors.Join(err, back))
		}
		return 0, err
	}
	start := j.now()
	if err := a.f.Sync(); err != nil {
		j.breakDown(err)
		return 0, err
	}
	fsync = j.now().Sub(start)
	a.seg.count += records
	a.seg.end += size
	a.durable = a.seg.end
	a.commitMark(start)
	return fsync, nil
}

// writePieces writes j.pieces, which have size bytes, one behind the other.
func (j *Journal) writePieces(f File, off, size int64) error {
	if v, ok := f.(piecesWriter); ok {
		return v.WritePiecesAt(j.pieces, off)
	}
	if int64(cap(j.group)) < size {
		j.group = make([]byte, 0, size+size/4)
	}
	buf := j.group[:0]
	for _, p := range j.pieces {
		buf = append(buf, p...)
	}
	if cap(buf) > 2*maxGroup {
		j.group = nil
	}
	_, err := f.WriteAt(buf, off)
	return err
}

// commitMark says that all before it is durable. It becomes durable with the next group.
func (a *active) commitMark(now time.Time) { a.mark(kindCommit, now) }

// closeMark says that nothing follows.
func (a *active) closeMark(now time.Time) { a.mark(kindClose, now) }

func (a *active) mark(kind recordKind, now time.Time) {
	b := appendMark(a.buf[:0], kind, a.seed, a.seg.end, now.UnixNano(), uint32(a.seg.count), a.before) //nolint:gosec // Few.
	if _, err := a.f.WriteAt(b, a.seg.end); err == nil {
		a.seg.end += int64(len(b)) // Else what was written of it is written over, or is a torn tail.
	}
	a.seg.size = a.seg.end
}

// finish makes the mark durable.
func (a *active) finish() error { return errors.Join(a.f.Sync(), a.f.Close()) }

func (j *Journal) breakDown(err error) {
	j.broken = &breakage{err: err, pause: j.s.retry, next: j.now().Add(j.s.retry)}
	j.s.Logger.Error("the journal cannot be written to; requests are refused until it can. "+
		"See the system's log for errors of the disk.", zap.Error(err))
}

// ready sees to it that there is a file to write to.
func (j *Journal) ready() error {
	if b := j.broken; b != nil {
		if j.now().Before(b.next) {
			return b.err
		}
		if err := j.repair(); err != nil {
			b.err, b.pause = err, min(2*b.pause, retryMax)
			b.next = j.now().Add(b.pause)
			return err
		}
		j.broken = nil
		j.s.Logger.Info("the journal can be written to again")
	}
	if j.active != nil {
		return nil
	}
	a, err := j.spare.take(j)
	if err != nil {
		return fmt.Errorf("make segment: %w", err)
	}
	a.before = j.before(a.seg.Number)
	j.active = a
	j.mu.Lock()
	defer j.mu.Unlock()
	j.count(a.seg)
	return nil
}

// count takes note of the size of the active file; mu is held.
func (j *Journal) count(seg *Segment) {
	j.grow(seg.size - j.open.bytes)
	j.open.bytes = seg.size
}

// grow takes note of how many bytes more there are; mu is held.
func (j *Journal) grow(bytes int64) {
	j.bytes += bytes
	j.behind.Store(j.bytes > j.s.MaxBytes/behindPart)
}
