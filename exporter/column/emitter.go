package column

import "encoding/binary"

// emitter takes the bytes of a block in order and passes them on in frames of one size, so that a large block is never
// in memory as a whole.
type emitter struct {
	frame []byte // What is not passed on; its capacity is the size of a frame.
	flush func(frame []byte) (next []byte, err error)
	whole func(p []byte) // Takes long pieces as they are, if not nil.
	err   error
}

// wholeBytes is how long a piece must be to be passed on as it is. Shorter ones are copied, so that a block does not fall
// into many small parts.
const wholeBytes = 4 << 10

// put takes p.
func (e *emitter) put(p []byte) {
	if e.whole != nil && len(p) >= wholeBytes {
		if len(e.frame) > 0 {
			e.pass()
		}
		if e.err == nil {
			e.whole(p)
		}
		return
	}
	for len(p) > cap(e.frame)-len(e.frame) {
		n := cap(e.frame) - len(e.frame)
		e.frame = append(e.frame, p[:n]...)
		p = p[n:]
		e.pass()
	}
	e.frame = append(e.frame, p...)
}

// room makes sure that n bytes can be appended to frame.
func (e *emitter) room(n int) {
	if cap(e.frame)-len(e.frame) < n {
		e.pass()
	}
}

func (e *emitter) uint64(v uint64) {
	e.room(8)
	e.frame = binary.LittleEndian.AppendUint64(e.frame, v)
}

func (e *emitter) uvarint(v uint64) {
	e.room(binary.MaxVarintLen64)
	e.frame = binary.AppendUvarint(e.frame, v)
}

func (e *emitter) string(s string) {
	e.uvarint(uint64(len(s)))
	e.put([]byte(s))
}

// pass passes the frame on. After an error nothing is.
func (e *emitter) pass() {
	if e.err == nil {
		next, err := e.flush(e.frame)
		if err == nil {
			e.frame = next[:0]
			return
		}
		e.err = err
	}
	e.frame = e.frame[:0]
}

// pieces are bytes that stand in records, of which they are joined.
type pieces struct {
	list        [][]byte
	bytes       int
	kept, keptN int
}

func (p *pieces) add(b []byte) {
	if len(b) > 0 {
		p.list = append(p.list, b)
		p.bytes += len(b)
	}
}

func (p *pieces) keep() { p.kept, p.keptN = p.bytes, len(p.list) }

func (p *pieces) undo() {
	clear(p.list[p.keptN:])
	p.list, p.bytes = p.list[:p.keptN], p.kept
}

func (p *pieces) reset() {
	clear(p.list)
	p.list, p.bytes = p.list[:0], 0
}

func (p *pieces) size() int { return p.bytes }

func (p *pieces) emit(e *emitter) {
	for _, b := range p.list {
		e.put(b)
	}
}
