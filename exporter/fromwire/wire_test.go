package fromwire

import (
	"bytes"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// What the tests write messages with. The first argument is the number of the field.

func msg(n protowire.Number, fields ...[]byte) []byte {
	return tagged(n, protowire.BytesType, protowire.AppendBytes(nil, join(fields...)))
}

func str(n protowire.Number, s string) []byte { return msg(n, []byte(s)) }

func num(n protowire.Number, v uint64) []byte {
	return tagged(n, protowire.VarintType, protowire.AppendVarint(nil, v))
}

func fix(n protowire.Number, v uint64) []byte {
	return tagged(n, protowire.Fixed64Type, protowire.AppendFixed64(nil, v))
}

func dbl(n protowire.Number, v float64) []byte { return fix(n, math.Float64bits(v)) }

func fix32(n protowire.Number) []byte {
	return tagged(n, protowire.Fixed32Type, protowire.AppendFixed32(nil, math.MaxUint32))
}

func begin(n protowire.Number) []byte { return tagged(n, protowire.StartGroupType, nil) }
func end(n protowire.Number) []byte   { return tagged(n, protowire.EndGroupType, nil) }

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// pair is a KeyValue with the fields of its value.
func pair(n protowire.Number, key string, v ...[]byte) []byte {
	return msg(n, str(1, key), msg(2, v...))
}

// record1 is a request with one record, of which it takes the fields.
func record1(fields ...[]byte) []byte { return msg(1, msg(2, msg(2, fields...))) }

// metric1 is a request with one metric with one point: kind is the field of the metric that holds its data.
func metric1(kind protowire.Number, point ...[]byte) []byte {
	return record1(msg(kind, msg(1, point...)))
}

// tagged is a field with a value of any wire type.
func tagged(n protowire.Number, wire protowire.Type, v []byte) []byte {
	return append(protowire.AppendTag(nil, n, wire), v...)
}
