package record

import (
	"math"
	"strconv"
)

// ValueKind says how to read a [Value].
type ValueKind uint8

// The kinds of OTLP's AnyValue. Arrays and maps arrive as JSON text, written by the front end.
const (
	ValueEmpty ValueKind = iota
	ValueString
	ValueBool
	ValueInt
	ValueDouble
	ValueBytes // Str holds the raw bytes
	ValueArray // Str holds a JSON array
	ValueMap   // Str holds a JSON object
)

// Value is one attribute value or log body.
type Value struct {
	Kind ValueKind
	Num  uint64 // bool (0 or 1), int (two's complement), double (IEEE 754 bits)
	Str  string
}

// Bool returns a boolean value. It, Int and Double mean nothing on a value of another kind.
func (v Value) Bool() bool { return v.Num != 0 }

// Int returns an integer value.
func (v Value) Int() int64 { return int64(v.Num) } //nolint:gosec // Num holds the two's complement.

// Double returns a floating-point value.
func (v Value) Double() float64 { return math.Float64frombits(v.Num) }

// AppendText appends the value as the text that the tables store: numbers in the shortest form that reads back to
// the same value, booleans as true and false, bytes in base64 (as OTLP's JSON mapping), arrays and maps as JSON.
func (v Value) AppendText(dst []byte) []byte {
	switch v.Kind {
	case ValueBool:
		return strconv.AppendBool(dst, v.Bool())
	case ValueInt:
		return strconv.AppendInt(dst, v.Int(), 10)
	case ValueDouble:
		return appendDouble(dst, v.Double())
	case ValueBytes:
		return appendBase64(dst, v.Str)
	case ValueEmpty:
		return dst
	default:
		return append(dst, v.Str...)
	}
}

// String returns a string value.
func String(s string) Value { return Value{Kind: ValueString, Str: s} }

// Int returns an integer value.
func Int(i int64) Value { return Value{Kind: ValueInt, Num: uint64(i)} } //nolint:gosec // Num holds the two's complement.

// Double returns a floating-point value.
func Double(f float64) Value { return Value{Kind: ValueDouble, Num: math.Float64bits(f)} }

// Bool returns a boolean value.
func Bool(b bool) Value {
	if b {
		return Value{Kind: ValueBool, Num: 1}
	}
	return Value{Kind: ValueBool}
}
