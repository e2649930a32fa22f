// Package column turns rows into column blocks in ClickHouse's Native format.
//
// A [Set] has one block per table and is a [row.Sink]: every row is copied into buffers that already have the layout
// of the wire, so that encoding a block is little more than joining them. Buffers are reused after Reset, and nothing
// is allocated per row once they have grown.
//
// The columns of ch-go are not used: its LowCardinality keeps the strings that it was given until the block is
// encoded, but a row's strings are only valid during the call, and its Map takes a Go map per row.
//
// A set can also be written as a record, which is a block per table without names, to be kept on disk. [Blocks] joins
// such records to the same blocks that their sets would have given, byte for byte, also when another version with other
// tables and columns wrote them.
//
// Blocks are written at protocol revision 0, the one of INSERT bodies over HTTP: no block info in front, and no byte
// for custom serializations behind a column's type.
package column

import (
	"encoding/binary"
	"math"
)

// column is one column of a block.
type column interface {
	// reset forgets all values and keeps the memory.
	reset()
	// size is about how many bytes appendData would write.
	size() int
	// appendPrefix appends what comes before the data of the column, such as the version of a LowCardinality.
	appendPrefix(dst []byte) []byte
	// appendData appends the values.
	appendData(dst []byte) []byte
	// merge appends the values of src, which must be a column of the same type.
	merge(src column)
}

// fixed is a column of values of one width, little endian.
type fixed struct{ buf []byte }

func (c *fixed) addInt8(v int8)       { c.buf = append(c.buf, byte(v)) } //nolint:gosec // Two's complement.
func (c *fixed) addUint8(v uint8)     { c.buf = append(c.buf, v) }
func (c *fixed) addUint16(v uint16)   { c.buf = binary.LittleEndian.AppendUint16(c.buf, v) }
func (c *fixed) addUint64(v uint64)   { c.buf = binary.LittleEndian.AppendUint64(c.buf, v) }
func (c *fixed) addInt64(v int64)     { c.addUint64(uint64(v)) } //nolint:gosec // Two's complement.
func (c *fixed) addFloat64(v float64) { c.addUint64(math.Float64bits(v)) }

func (c *fixed) addBool(v bool) {
	if v {
		c.addUint8(1)
		return
	}
	c.addUint8(0)
}

// addUUID appends an id given in RFC 9562 byte order. ClickHouse keeps a UUID as two little-endian numbers of 8 bytes,
// the first half first.
func (c *fixed) addUUID(id [16]byte) {
	c.addUint64(binary.BigEndian.Uint64(id[:8]))
	c.addUint64(binary.BigEndian.Uint64(id[8:]))
}

func (c *fixed) reset()                         { c.buf = shrink(c.buf) }
func (c *fixed) size() int                      { return len(c.buf) }
func (c *fixed) appendPrefix(dst []byte) []byte { return dst }
func (c *fixed) appendData(dst []byte) []byte   { return append(dst, c.buf...) }
func (c *fixed) merge(src column)               { c.buf = append(c.buf, src.(*fixed).buf...) }

// nullable is a column of 8-byte values that may be NULL.
type nullable struct{ nulls, values fixed }

func (c *nullable) addInt64(v int64, known bool) {
	if !known {
		c.nulls.addUint8(1)
		c.values.addInt64(0)
		return
	}
	c.nulls.addUint8(0)
	c.values.addInt64(v)
}

func (c *nullable) addFloat64(v float64, known bool) {
	c.addInt64(int64(math.Float64bits(v)), known) //nolint:gosec // Bits.
}

func (c *nullable) reset() {
	c.nulls.reset()
	c.values.reset()
}

func (c *nullable) size() int                      { return c.nulls.size() + c.values.size() }
func (c *nullable) appendPrefix(dst []byte) []byte { return dst }
func (c *nullable) appendData(dst []byte) []byte {
	return c.values.appendData(c.nulls.appendData(dst))
}

func (c *nullable) merge(src column) {
	s := src.(*nullable)
	c.nulls.merge(&s.nulls)
	c.values.merge(&s.values)
}

// offsets holds the end of every row of an array among all its elements.
type offsets struct{ ends []uint64 }

func (o *offsets) last() uint64 {
	if len(o.ends) == 0 {
		return 0
	}
	return o.ends[len(o.ends)-1]
}

// end ends a row of n elements.
func (o *offsets) end(n int) { o.ends = append(o.ends, o.last()+uint64(n)) } //nolint:gosec // A length.

func (o *offsets) reset() { o.ends = shrink(o.ends) }

func (o *offsets) appendData(dst []byte) []byte {
	for _, end := range o.ends {
		dst = binary.LittleEndian.AppendUint64(dst, end)
	}
	return dst
}

func (o *offsets) merge(src *offsets) {
	base := o.last()
	for _, end := range src.ends {
		o.ends = append(o.ends, base+end)
	}
}

// array is a column of arrays. Arrays of one nested structure share their offsets; the first of them owns these.
type array struct {
	off  *offsets
	owns bool
	elem column
}

func (c *array) reset() {
	if c.owns {
		c.off.reset()
	}
	c.elem.reset()
}

func (c *array) size() int                      { return 8*len(c.off.ends) + c.elem.size() }
func (c *array) appendPrefix(dst []byte) []byte { return c.elem.appendPrefix(dst) }
func (c *array) appendData(dst []byte) []byte   { return c.elem.appendData(c.off.appendData(dst)) }

func (c *array) merge(src column) {
	s := src.(*array)
	if c.owns {
		c.off.merge(s.off)
	}
	c.elem.merge(s.elem)
}

// keepBytes is how much memory a buffer may keep for the next block. One huge value must not be paid for ever.
const keepBytes = 4 << 20

// shrink empties s and lets go of its memory if that is much.
func shrink[E byte | uint32 | uint64 | string](s []E) []E {
	if cap(s) > keepBytes {
		return nil
	}
	return s[:0]
}
