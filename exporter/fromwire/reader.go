package fromwire

import "encoding/binary"

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

// reader reads the fields of a request, message within message. Offsets are those of the whole request, so that
// errors can tell them.
//
// An error sticks: afterwards no message has a next field, and all that is read is empty.
type reader struct {
	buf  []byte // the request up to the end of the message at hand
	pos  int    // of the next byte
	tag  int    // offset of the tag of the field at hand
	num  int32  // number of the field at hand
	wire wireType
	err  *Error
}

// fail notes what is wrong with the field at hand, unless something was wrong before.
func (r *reader) fail(reason string) {
	if r.err == nil {
		r.err = &Error{Field: r.num, Wire: uint8(r.wire), Offset: r.tag, Reason: reason}
	}
	r.buf, r.pos = nil, 0
}

// open goes into the message in the field at hand. Until the call of close with the result, its fields are those that
// are read.
func (r *reader) open() (end int) {
	end = len(r.buf)
	r.expect(wireLen)
	n := r.length()
	if r.err != nil {
		return notOpen
	}
	r.buf = r.buf[:r.pos+n]
	return end
}

// notOpen is the end for which close knows that an error is not one of the message.
const notOpen = -1

// close goes back to the message around one that was read to its end. name is the one's, for an error in it.
func (r *reader) close(end int, name string) {
	if r.err == nil {
		r.buf = r.buf[:end]
	} else if r.err.Message == "" && end != notOpen {
		r.err.Message = name
	}
}

// rewind goes back to where pos was before, in the same message.
func (r *reader) rewind(pos int) {
	if r.err == nil {
		r.pos = pos
	}
}

// next goes to the next field of the message and says whether there is one. The caller then reads its value, or skips it.
func (r *reader) next() bool {
	if r.pos >= len(r.buf) {
		return false
	}
	r.tag = r.pos
	if c := r.buf[r.pos]; c-8 < 0x78 { // The tag is one byte, for fields 1 to 15.
		r.pos++
		r.num, r.wire = int32(c>>3), wireType(c&7)
		return true
	}
	return r.longTag()
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

func (r *reader) expect(w wireType) {
	if r.wire != w {
		r.fail(reasonWire)
	}
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

// length reads a length at pos, whatever the wire type, and sees to it that as many bytes follow.
func (r *reader) length() int {
	if r.pos < len(r.buf) {
		if n := int(r.buf[r.pos]); n < 0x80 && n < len(r.buf)-r.pos {
			r.pos++
			return n
		}
	}
	n := r.uvarint()
	if n > uint64(len(r.buf[r.pos:])) {
		r.fail(reasonEnds)
		return 0
	}
	return int(n) //nolint:gosec // It is no more than the length of the request.
}

// varint reads the field at hand as a number.
func (r *reader) varint() uint64 {
	r.expect(wireVarint)
	return r.uvarint()
}

// fixed64 reads the field at hand as a number of 8 bytes.
func (r *reader) fixed64() uint64 {
	r.expect(wireI64)
	if len(r.buf)-r.pos < 8 {
		r.fail(reasonEnds)
		return 0
	}
	v := binary.LittleEndian.Uint64(r.buf[r.pos:])
	r.pos += 8
	return v
}

// fixed32 goes over the field at hand, a number of 4 bytes.
func (r *reader) fixed32() {
	r.expect(wireI32)
	r.advance(4)
}

// bytes reads the field at hand as bytes that alias the request.
func (r *reader) bytes() []byte {
	r.expect(wireLen)
	n := r.length()
	r.pos += n
	return r.buf[r.pos-n : r.pos]
}

// text reads the field at hand as a string that aliases the request. It need not be UTF-8.
func (r *reader) text() string { return text(r.bytes()) }

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
// up to the end of their first field, so that what follows counts as fields of the message, and the group's end as an
// error.
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
			n := r.length()
			r.pos += n
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
		if depth == 0 {
			return
		}
		if !r.next() {
			break
		}
	}
	r.fail(reasonEnds)
}
