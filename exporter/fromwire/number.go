package fromwire

import (
	"math"

	"github.com/agenttrail/agenttrail/exporter/record"
)

// double reads the field at hand as a floating-point number.
func (r *reader) double() float64 { return math.Float64frombits(r.fixed64()) }

// optional reads the field at hand as a floating-point number that could have been left out.
func (r *reader) optional() record.OptionalDouble {
	return record.OptionalDouble{Value: r.double(), Known: true}
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
		v := r.varint()
		if r.err != nil {
			return dst
		}
		return append(dst, v)
	}
	packed := r.message()
	packed.tag, packed.num, packed.wire = r.tag, r.num, r.wire
	for packed.pos < len(packed.buf) {
		dst = append(dst, packed.uvarint())
	}
	r.within(packed.err)
	return dst
}

// zigzag undoes the encoding of sint32. As in pdata, bits beyond the 33rd are lost.
func zigzag(v uint64) int32 {
	return int32(uint32(v>>1)) ^ -int32(v&1) //nolint:gosec // See above.
}
