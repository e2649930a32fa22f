package delivery

import (
	"context"
	"time"

	"github.com/agenttrail/agenttrail/exporter/column"
)

// rotatePause is the pause after the journal could not close a segment.
const rotatePause = 250 * time.Millisecond

// seal closes the open segment when it is time, and once more when stop is closed.
func (w *Writer) seal(ctx context.Context, stop <-chan struct{}) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var stopping bool
		select {
		case <-w.journal.Changed():
		case <-w.open.changed:
		case <-w.lanes.changed:
		case <-timer.C:
		case <-stop:
			stopping = true
		}
		due, again := w.due(time.Now())
		if due || stopping {
			err := w.rotate(ctx)
			again = w.set.openAtMost
			if err != nil {
				again = rotatePause
			}
			w.disk.note("close segment", err)
		}
		if stopping {
			return
		}
		timer.Reset(again)
	}
}

// due reports whether the open segment is to be closed now, and when to look again if not.
func (w *Writer) due(now time.Time) (due bool, again time.Duration) {
	records, _, since := w.journal.OpenStats()
	if records == 0 {
		return false, w.set.openAtMost
	}
	age := now.Sub(since)
	if age >= w.set.openAtMost || w.open.isFull() {
		return true, 0
	}
	idle, broken := w.lanes.idle(w.open.tables(), w.set.Senders)
	interval := w.set.FlushInterval
	if broken {
		interval = max(interval, w.set.brokenFlush)
	}
	switch {
	case age < interval:
		return false, interval - age
	case idle:
		return true, 0
	default:
		return false, w.set.openAtMost - age
	}
}

// rotate closes the open segment and passes it on.
func (w *Writer) rotate(ctx context.Context) error {
	js, err := w.journal.Rotate(ctx)
	if err != nil || js == nil {
		return err
	}
	w.pressure.look()
	s := newSegment(w, js)
	records := js.Records()
	parts, data, memory := make([]*part, len(records)), make([][]byte, len(records)), int64(0)
	for i, r := range records {
		p, ok := r.Value.(*part)
		if !ok {
			panic("BUG: a record of this run has no rows in memory")
		}
		parts[i], data[i] = p, *p.data
		memory += p.bytes
		for t := range column.TableCount {
			if p.rows[t] > 0 {
				s.count(t.String(), p.rows[t], p.sizes[t])
			}
		}
	}
	w.open.leave(parts)
	s.hold(newHeld(data, func() {
		w.gate.add(-memory)
		for _, p := range parts {
			w.recycler.Put(p.data)
		}
	}))
	// The oldest are kept in memory, because they are sent next.
	if !w.loader.mayWait(s, memory) {
		s.spill()
	}
	w.feed(s)
	return nil
}
