package record

import (
	"math"
	"strconv"
)

// MaxDepth is how deep arrays and maps may nest before the rest is replaced by [TooDeep].
const MaxDepth = 64

// TooDeep stands, as a JSON string, for what nests deeper than [MaxDepth].
const TooDeep = `"…[nested too deep]"`

const hexDigits = "0123456789abcdef"

// AppendJSONString appends s as a JSON string. Bytes that are not valid UTF-8 pass through, for the mapping to
// repair and count.
func AppendJSONString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
		}
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// AppendJSON appends the value as JSON: an empty value as null, bytes as a base64 string, and the numbers that JSON
// does not have as the strings NaN, Infinity and -Infinity, as in OTLP's JSON mapping.
func (v Value) AppendJSON(dst []byte) []byte {
	switch v.Kind {
	case ValueEmpty:
		return append(dst, "null"...)
	case ValueString:
		return AppendJSONString(dst, v.Str)
	case ValueBytes:
		dst = append(dst, '"')
		dst = appendBase64(dst, v.Str)
		return append(dst, '"')
	case ValueDouble:
		return appendJSONDouble(dst, v.Double())
	case ValueBool:
		return strconv.AppendBool(dst, v.Bool())
	case ValueInt:
		return strconv.AppendInt(dst, v.Int(), 10)
	default:
		return append(dst, v.Str...)
	}
}

func appendJSONDouble(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		dst = append(dst, '"')
		dst = appendDouble(dst, f)
		return append(dst, '"')
	}
	return appendDouble(dst, f)
}
