package column

import (
	"encoding/binary"
	"fmt"
)

// ends are the offsets of lists.
type ends struct {
	off  offsets
	kept int
}

func (e *ends) keep() { e.kept = len(e.off.ends) }
func (e *ends) undo() { e.off.ends = e.off.ends[:e.kept] }

func (e *ends) emit(to *emitter) {
	for _, end := range e.off.ends {
		to.uint64(end)
	}
}

// read adds the ends of n lists and returns how many elements these have.
func (e *ends) read(in *input, n uint64) (elements uint64, err error) {
	raw, err := in.takeEach(n, 8)
	if err != nil {
		return 0, err
	}
	base := e.off.last()
	for ; len(raw) > 0; raw = raw[8:] {
		end := binary.LittleEndian.Uint64(raw)
		// Every element takes at least a byte.
		if end < elements || end > uint64(len(in.data)) {
			return 0, fmt.Errorf("%w: a list ends at %d, the one before it at %d", ErrRecord, end, elements)
		}
		elements = end
		e.off.ends = append(e.off.ends, base+end)
	}
	return elements, nil
}

// readSame reads the ends of n lists, which must be those that read added last.
func (e *ends) readSame(in *input, n uint64) (elements uint64, err error) {
	raw, err := in.takeEach(n, 8)
	if err != nil {
		return 0, err
	}
	base := uint64(0)
	if e.kept > 0 {
		base = e.off.ends[e.kept-1]
	}
	for _, want := range e.off.ends[e.kept:] {
		elements = want - base
		if end := binary.LittleEndian.Uint64(raw); end != elements {
			return 0, fmt.Errorf("%w: a list ends at %d, that of another column at %d", ErrRecord, end, elements)
		}
		raw = raw[8:]
	}
	return elements, nil
}

// arrays are lists of values.
type arrays struct {
	own  ends
	ends *ends // Of columns of one nested structure, those of the first; else own.
	elem store
}

func (c *arrays) reset() {
	c.own.off.reset()
	c.elem.reset()
}

func (c *arrays) size() int             { return 8*len(c.ends.off.ends) + c.elem.size() }
func (c *arrays) emitPrefix(e *emitter) { c.elem.emitPrefix(e) }

func (c *arrays) emit(e *emitter) {
	c.ends.emit(e)
	c.elem.emit(e)
}

func (c *arrays) keep() {
	c.own.keep()
	c.elem.keep()
}

func (c *arrays) undo() {
	c.own.undo()
	c.elem.undo()
}

func (c *arrays) readPrefix(in *input) error { return c.elem.readPrefix(in) }

func (c *arrays) read(in *input, n uint64) error {
	read := c.own.read
	if c.ends != &c.own {
		read = c.ends.readSame
	}
	elements, err := read(in, n)
	if err != nil {
		return err
	}
	return c.elem.read(in, elements)
}

// maps are lists of pairs of strings, the first of which has a dictionary.
type maps struct {
	ends ends
	keys words
	vals texts
}

func (c *maps) reset() {
	c.ends.off.reset()
	c.keys.reset()
	c.vals.reset()
}

func (c *maps) size() int             { return 8*len(c.ends.off.ends) + c.keys.size() + c.vals.size() }
func (c *maps) emitPrefix(e *emitter) { c.keys.emitPrefix(e) }

func (c *maps) emit(e *emitter) {
	c.ends.emit(e)
	c.keys.emit(e)
	c.vals.emit(e)
}

func (c *maps) keep() {
	c.ends.keep()
	c.keys.keep()
	c.vals.keep()
}

func (c *maps) undo() {
	c.ends.undo()
	c.keys.undo()
	c.vals.undo()
}

func (c *maps) readPrefix(in *input) error { return c.keys.readPrefix(in) }

func (c *maps) read(in *input, n uint64) error {
	elements, err := c.ends.read(in, n)
	if err != nil {
		return err
	}
	if err := c.keys.read(in, elements); err != nil {
		return err
	}
	return c.vals.read(in, elements)
}
