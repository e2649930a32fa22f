package delivery

import (
	"context"
	"time"

	"github.com/agenttrail/agenttrail/exporter/column"
	"github.com/agenttrail/agenttrail/exporter/journal"
)

// appending is a request on its way into the journal. It goes on when its client has left: whether it became durable
// must be known, because its rows count.
type appending struct {
	w       *Writer
	parts   []*part
	records []*journal.Record
	data    []*[]byte
	bytes   int64 // Of data.
}

func newAppending(w *Writer, hash journal.Hash, sets []*column.Set) *appending {
	a := &appending{w: w}
	for i, s := range sets {
		s.EndRequest()
		p := newPart(s)
		data := w.enc.buffer()
		*data = s.AppendRecord(*data)
		a.parts = append(a.parts, p)
		a.data = append(a.data, data)
		a.bytes += int64(len(*data))
		a.records = append(a.records, &journal.Record{Hash: hash, Part: uint32(i), Data: *data, Value: p, Bytes: p.bytes})
		w.gate.add(p.bytes)
	}
	w.gate.add(a.bytes)
	return a
}

// run ignores when its client leaves. It returns when the request is durable, or is not and never will be.
func (a *appending) run(ctx context.Context, began time.Time) *Error {
	w := a.w
	// The sets may be sent, emptied and used again as soon as they are durable.
	var rows [column.TableCount]int
	for _, p := range a.parts {
		for t, n := range p.rows {
			rows[t] += n
		}
	}
	err := w.open.admit(a.parts, w.set.MaxWait)
	duplicate := false
	if err == nil {
		if duplicate, err = w.journal.Append(ctx, a.records...); duplicate || err != nil {
			w.open.leave(a.parts)
		}
	}
	for _, data := range a.data {
		w.enc.release(data)
	}
	w.gate.add(-a.bytes)
	if duplicate || err != nil {
		for _, p := range a.parts {
			w.release(p)
		}
	}
	switch {
	case err != nil:
		return w.notDurable(err)
	case duplicate:
		w.set.Observer.Duplicate()
	default:
		w.set.Observer.Acknowledged(&rows, time.Since(began))
	}
	return nil
}
