package fromwire

import (
	"math"

	"github.com/agenttrail/agenttrail/exporter/record"
)

// enum reads the field at hand as the number of an enum. pdata, too, takes it modulo 2^32.
func (r *reader) enum() int32 {
	return int32(r.varint()) //nolint:gosec // See above.
}

// double reads the field at hand as a floating-point number.
func (r *reader) double() float64 { return math.Float64frombits(r.fixed64()) }

// optional reads the field at hand as a floating-point number that could have been left out.
func (r *reader) optional() record.OptionalDouble {
	return record.OptionalDouble{Value: r.double(), Known: true}
}

// zigzag reads the field at hand as a sint32. As in pdata, bits beyond the 33rd are lost.
func (r *reader) zigzag() int32 {
	v := r.varint()
	return int32(uint32(v>>1)) ^ -int32(v&1) //nolint:gosec // See above.
}

// fixed64s reads the field at hand as the bytes of one number of 8 bytes, or of many that are packed.
func (r *reader) fixed64s() []byte {
	if r.wire == wireLen {
		b := r.bytes()
		if len(b)%8 != 0 {
			r.fail(reasonPackedI64)
			return nil
		}
		return b
	}
	from := r.pos
	r.fixed64()
	if r.err != nil {
		return nil
	}
	return r.buf[from:r.pos]
}

// appendVarints reads the field at hand as one number, or as many that are packed.
func (r *reader) appendVarints(dst []uint64) []uint64 {
	if r.wire != wireLen {
		return append(dst, r.varint())
	}
	end := r.open()
	for r.pos < len(r.buf) {
		dst = append(dst, r.uvarint())
	}
	r.close(end, "")
	return dst
}
