package fromwire

import (
	"encoding/binary"
	"fmt"
)

// wireType is how a field is written.
type wireType uint8

// The wire types of protobuf's encoding.
const (
	wireVarint     wireType = 0
	wireI64        wireType = 1
	wireLen        wireType = 2
	wireStartGroup wireType = 3
	wireEndGroup   wireType = 4
	wireI32        wireType = 5
)

// Error says where a request is malformed. Its sender has to mend it: the same bytes are never accepted.
type Error struct {
	Message string // the message that the field belongs to, as OTLP names it
	Field   int32  // number of the field, 0 when its tag cannot be read
	Wire    uint8  // wire type of the field, meaningless when its tag cannot be read
	Offset  int    // of the field's tag from the beginning of the request, bytes
	Reason  string
}

// Error implements error.
func (e *Error) Error() string {
	if e.Field == 0 {
		return fmt.Sprintf("malformed %s: tag at byte %d: %s", e.Message, e.Offset, e.Reason)
	}
	return fmt.Sprintf("malformed %s: field %d with wire type %d at byte %d: %s", e.Message, e.Field, e.Wire, e.Offset, e.Reason)
}

// What can be wrong with a field.
const (
	reasonEnds      = "the message ends within it"
	reasonLong      = "its number has more than 10 bytes"
	reasonNumber    = "field numbers are positive"
	reasonWire      = "wrong wire type"
	reasonNoWire    = "there is no such wire type"
	reasonEndGroup  = "no group has begun"
	reasonTraceID   = "a trace id has 16 bytes"
	reasonSpanID    = "a span id has 8 bytes"
	reasonPackedI64 = "the length is no multiple of 8"
)

// reader reads the fields of one message. Offsets are those of the whole request, so that errors can tell them.
//
// An error sticks: afterwards there is no next field, and what is read is empty.
type reader struct {
	buf  []byte // the request up to the end of the message
	pos  int    // of the next byte
	tag  int    // offset of the tag of the field at hand
	num  int32  // number of the field at hand
	wire wireType
	err  *Error
}

// next goes to the next field and says whether there is one. The caller then reads its value, or skips it.
func (r *reader) next() bool {
	r.tag = r.pos
	if r.pos < len(r.buf) {
		if c := r.buf[r.pos]; c-8 < 0x78 { // The tag is one byte, for fields 1 to 15.
			r.pos++
			r.num, r.wire = int32(c>>3), wireType(c&7)
			return true
		}
		return r.longTag()
	}
	return false
}

func (r *reader) longTag() bool {
	r.num = 0
	v := r.uvarint()
	if r.err != nil {
		return false
	}
	// pdata takes field numbers modulo 2^32.
	num := int32(v >> 3) //nolint:gosec // See above.
	if num <= 0 {
		r.fail(reasonNumber)
		return false
	}
	r.num, r.wire = num, wireType(v&7)
	return true
}

// fail notes what is wrong with the field at hand, unless something was wrong before.
func (r *reader) fail(reason string) {
	if r.err == nil {
		r.err = &Error{Field: r.num, Wire: uint8(r.wire), Offset: r.tag, Reason: reason}
	}
	r.pos = len(r.buf)
}

// within takes over an error of the message in the field at hand.
func (r *reader) within(err *Error) {
	if err != nil {
		r.err = err
		r.pos = len(r.buf)
	}
}

// end returns the error of the message or of one within; name is the message's.
func (r *reader) end(name string) *Error {
	if r.err != nil && r.err.Message == "" {
		r.err.Message = name
	}
	return r.err
}

func (r *reader) expect(w wireType) bool {
	if r.wire != w {
		r.fail(reasonWire)
		return false
	}
	return true
}

// uvarint reads a number at pos, whatever the wire type. As in pdata, bits beyond the 64th are lost without an error.
func (r *reader) uvarint() uint64 {
	var v uint64
	for shift := uint(0); shift < 64; shift += 7 {
		if r.pos >= len(r.buf) {
			r.fail(reasonEnds)
			return 0
		}
		c := r.buf[r.pos]
		r.pos++
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v
		}
	}
	r.fail(reasonLong)
	return 0
}

// varint reads the field at hand as a number.
func (r *reader) varint() uint64 {
	if !r.expect(wireVarint) {
		return 0
	}
	return r.uvarint()
}

// fixed64 reads the field at hand as a number of 8 bytes.
func (r *reader) fixed64() uint64 {
	if !r.expect(wireI64) {
		return 0
	}
	if len(r.buf)-r.pos < 8 {
		r.fail(reasonEnds)
		return 0
	}
	v := binary.LittleEndian.Uint64(r.buf[r.pos:])
	r.pos += 8
	return v
}

// fixed32 reads the field at hand as a number of 4 bytes.
func (r *reader) fixed32() {
	if r.expect(wireI32) {
		r.advance(4)
	}
}

// payload goes over a length and as many bytes, whatever the wire type, and returns where these begin.
func (r *reader) payload() int {
	if r.pos < len(r.buf) {
		if n := int(r.buf[r.pos]); n < 0x80 && n < len(r.buf)-r.pos {
			r.pos += n + 1
			return r.pos - n
		}
	}
	n := r.uvarint()
	if rest := r.buf[r.pos:]; r.err != nil || n > uint64(len(rest)) {
		r.fail(reasonEnds)
		return r.pos
	}
	from := r.pos
	r.pos += int(n) //nolint:gosec // It is no more than the length of the request.
	return from
}

// bytes reads the field at hand as bytes that alias the request.
func (r *reader) bytes() []byte {
	if !r.expect(wireLen) {
		return nil
	}
	from := r.payload()
	return r.buf[from:r.pos]
}

// message reads the field at hand as a message.
func (r *reader) message() reader {
	if !r.expect(wireLen) {
		return reader{}
	}
	from := r.payload()
	return reader{buf: r.buf[:r.pos], pos: from}
}

func (r *reader) traceID(dst *[16]byte) {
	switch b := r.bytes(); len(b) {
	case 16:
		*dst = [16]byte(b)
	case 0:
		*dst = [16]byte{}
	default:
		r.fail(reasonTraceID)
	}
}

func (r *reader) spanID(dst *[8]byte) {
	switch b := r.bytes(); len(b) {
	case 8:
		*dst = [8]byte(b)
	case 0:
		*dst = [8]byte{}
	default:
		r.fail(reasonSpanID)
	}
}

func (r *reader) advance(n int) {
	if len(r.buf)-r.pos < n {
		r.fail(reasonEnds)
		return
	}
	r.pos += n
}

// skip goes over the field at hand, which nobody knows.
//
// Groups, which OTLP does not have, are treated as pdata treats them: empty ones are skipped; of others, only what is
// up to the end of their first field, so that what follows counts as fields of the message, and the group's end as an error.
func (r *reader) skip() {
	for depth := 0; r.pos < len(r.buf); {
		switch r.wire {
		case wireVarint:
			r.uvarint()
			return
		case wireI64:
			r.advance(8)
			return
		case wireLen:
			r.payload()
			return
		case wireI32:
			r.advance(4)
			return
		case wireStartGroup:
			depth++
		case wireEndGroup:
			if depth == 0 {
				r.fail(reasonEndGroup)
				return
			}
			depth--
		default:
			r.fail(reasonNoWire)
			return
		}
		if depth == 0 || !r.next() {
			return
		}
	}
	r.fail(reasonEnds)
}
