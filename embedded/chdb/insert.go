package chdb

import (
	"errors"
	"unsafe"
)

// Insert is a running INSERT that takes its data in chunks. Its connection runs nothing else until Close.
type Insert struct {
	conn   *Conn
	handle cInsert
	ended  bool
}

// errInsertEnded says that an insert was used after Done or Close.
var errInsertEnded = errors.New("write insert data: the insert has ended")

// Insert starts an INSERT whose data follows through Write. sql is the statement without FORMAT clause and data.
func (c *Conn) Insert(sql, format string, params ...Param) (*Insert, error) {
	var a args
	defer a.release()
	p := a.params(params)
	q, qn := a.str(sql)
	f, fn := a.str(format)
	h := c.lib.streamInsertWithParamsN(*c.handle, q, qn, f, fn, p.names, p.nameLens, p.values, p.valueLens, p.count)
	if h == nil {
		return nil, parseException("the engine gave no insert stream")
	}
	if msg := c.lib.streamInsertError(h); msg != nil {
		err := parseException(goString(msg))
		c.lib.destroyInsertStream(h)
		return nil, err
	}
	return &Insert{conn: c, handle: h}, nil
}

// Write hands over a chunk of data; the engine copies it. It blocks while the engine is behind. When it fails, the
// reason comes from Done.
func (i *Insert) Write(data []byte) (int, error) {
	if i.handle == nil || i.ended {
		return 0, errInsertEnded
	}
	if len(data) == 0 {
		return 0, nil
	}
	var a args
	defer a.release()
	p := unsafe.SliceData(data)
	a.pin.Pin(p)
	if i.conn.lib.streamAppend(i.handle, unsafe.Pointer(p), uintptr(len(data))) != 0 {
		return 0, errors.New("write insert data: the engine has stopped the insert")
	}
	return len(data), nil
}

// Done says that all data was written, waits until it is committed and gives the counts.
func (i *Insert) Done() (Stats, error) {
	if i.handle == nil || i.ended {
		return Stats{}, errInsertEnded
	}
	i.ended = true
	r, err := i.conn.result(i.conn.lib.streamDone(i.handle))
	if err != nil {
		return Stats{}, err
	}
	defer r.Close()
	return r.Stats(), nil
}

// Close frees the insert; without Done before, it is cancelled and what was not committed yet is dropped. Closing again
// does nothing.
func (i *Insert) Close() {
	if i.handle == nil {
		return
	}
	if !i.ended {
		i.ended = true
		i.conn.lib.streamCancelInsert(i.handle)
	}
	i.conn.lib.destroyInsertStream(i.handle)
	i.handle = nil
}
