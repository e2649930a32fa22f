package delivery

import (
	"context"
	"time"

	"github.com/agenttrail/agenttrail/exporter/column"
	"github.com/agenttrail/agenttrail/exporter/journal"
)

// part is a set of rows of a request: what becomes one record of the journal. It keeps them as the record has them,
// since a set takes many times the memory of a few rows.
type part struct {
	data  *[]byte // Of the writer's recycler.
	bytes int64   // Of memory.
	rows  [column.TableCount]int
	sizes [column.TableCount]int
}

// partBytes is about how much memory a part takes beside its data, here and in the journal.
const partBytes = 512

// recordBytes is about how much longer a record is than what [column.Set.Size] says of its rows: each column may have a
// few numbers in front.
const recordBytes = 4 << 10

// copiedBytes is up to which size a record is copied into a buffer that fits: many small ones would else take several
// times what they need.
const copiedBytes = 64 << 10

// appending is a request on its way into the journal. It goes on when its client has left: whether it became durable
// must be known, because its rows count.
type appending struct {
	w       *Writer
	parts   []*part
	records []*journal.Record
	bytes   int64 // That the journal needs for it.
	expired [column.TableCount]expired
}

// newAppending encodes the sets, which are the caller's again.
func newAppending(w *Writer, hash journal.Hash, sets []*column.Set) *appending {
	a := &appending{w: w}
	for i, s := range sets {
		p := &part{data: w.record(s)}
		p.bytes = int64(cap(*p.data)) + partBytes
		for t := range column.TableCount {
			p.rows[t], p.sizes[t] = s.Rows(t), s.Size(t)
		}
		a.parts = append(a.parts, p)
		a.records = append(a.records, &journal.Record{Hash: hash, Part: uint32(i), Data: *p.data, Value: p, Bytes: p.bytes})
		a.bytes += int64(len(*p.data))
		w.gate.add(p.bytes)
	}
	w.gate.add(a.bytes)
	return a
}

// record encodes a set as a record.
func (w *Writer) record(s *column.Set) *[]byte {
	size := int(setBytes(s)) + recordBytes
	if size > copiedBytes {
		b := w.recycler.Get(size)
		*b = s.AppendRecord(*b)
		return b
	}
	scratch := w.enc.buffer()
	defer w.enc.release(scratch)
	*scratch = s.AppendRecord(*scratch)
	b := w.recycler.Get(len(*scratch))
	*b = append(*b, *scratch...)
	return b
}

// run ignores when its client leaves. It returns when the request is durable, or is not and never will be.
func (a *appending) run(ctx context.Context, began time.Time) *Error {
	w := a.w
	duplicate := false
	err := w.open.admit(a.parts, w.set.MaxWait)
	if err == nil {
		duplicate, err = w.journal.Append(ctx, a.records...)
		if duplicate || err != nil {
			w.open.leave(a.parts)
		}
		w.open.landed()
	}
	w.gate.add(-a.bytes)
	if duplicate || err != nil {
		for _, p := range a.parts {
			w.gate.add(-p.bytes)
			w.recycler.Put(p.data)
		}
	}
	switch {
	case err != nil:
		return w.notDurable(err)
	case duplicate:
		w.set.Observer.Duplicate()
		return nil
	}
	var rows [column.TableCount]int
	for _, p := range a.parts {
		for t, n := range p.rows {
			rows[t] += n
		}
	}
	w.set.Observer.Acknowledged(&rows, time.Since(began))
	for t, e := range a.expired {
		if e.rows > 0 {
			w.set.Observer.Expired(column.Table(t), e.rows)
			w.retention.note(time.Now(), column.Table(t), e)
		}
	}
	return nil
}
