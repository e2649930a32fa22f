package mapping

import (
	"math"
	"strconv"
	"strings"

	"github.com/agenttrail/agenttrail/exporter/record"
)

// verdict says what came of reading a value.
type verdict uint8

const (
	readOK verdict = iota
	readRounded
	readWrongType
	readOutOfRange
)

// parseDecimal reads a decimal number (digits, an optional fraction and exponent) as a count of 10^-scale, rounding
// half away from zero.
func parseDecimal(s string, scale int) (int64, verdict) {
	s = strings.TrimSpace(s)
	neg := false
	if s != "" && (s[0] == '-' || s[0] == '+') {
		neg, s = s[0] == '-', s[1:]
	}
	mantissa, exp, ok := cutExponent(s)
	if !ok {
		return 0, readWrongType
	}
	whole, frac, _ := strings.Cut(mantissa, ".")
	if whole == "" && frac == "" {
		return 0, readWrongType
	}
	// The digits up to the unit of the result are digits[:point]; what follows decides the rounding.
	point := len(whole) + exp + scale
	var n uint64
	rounded, up := false, false
	for i := range len(whole) + len(frac) {
		var c byte
		if i < len(whole) {
			c = whole[i]
		} else {
			c = frac[i-len(whole)]
		}
		switch {
		case c < '0' || c > '9':
			return 0, readWrongType
		case i < point:
			if n > (math.MaxInt64-9)/10 {
				return 0, readOutOfRange
			}
			n = n*10 + uint64(c-'0')
		case c != '0':
			rounded = true
			up = up || (i == point && c >= '5')
		}
	}
	for i := len(whole) + len(frac); i < point && n != 0; i++ {
		if n > (math.MaxInt64-9)/10 {
			return 0, readOutOfRange
		}
		n *= 10
	}
	if up {
		n++
	}
	r := int64(n)
	if neg {
		r = -r
	}
	if rounded {
		return r, readRounded
	}
	return r, readOK
}

func cutExponent(s string) (mantissa string, exp int, ok bool) {
	i := strings.IndexAny(s, "eE")
	if i < 0 {
		return s, 0, true
	}
	exp, err := strconv.Atoi(s[i+1:])
	if err != nil || exp > 400 || exp < -400 {
		return "", 0, false
	}
	return s[:i], exp, true
}

// decimalOf reads a number of any type as a count of 10^-scale. A double means the shortest decimal that reads back
// to it, so that 0.1 is one tenth.
func decimalOf(v record.Value, scale int) (int64, verdict) {
	switch v.Kind {
	case record.ValueString:
		return parseDecimal(v.Str, scale)
	case record.ValueInt, record.ValueDouble:
		if v.Kind == record.ValueDouble && (math.IsNaN(v.Double()) || math.IsInf(v.Double(), 0)) {
			return 0, readOutOfRange
		}
		var buf [40]byte
		return parseDecimalBytes(v.AppendText(buf[:0]), scale)
	default:
		return 0, readWrongType
	}
}

func parseDecimalBytes(b []byte, scale int) (int64, verdict) {
	return parseDecimal(string(b), scale)
}

// countOf reads a count of at most limit; anything that is not a whole number is not one.
func countOf(v record.Value, limit uint64) (uint64, verdict) {
	if v.Kind == record.ValueInt { // By far the most frequent.
		if v.Int() < 0 || uint64(v.Int()) > limit { //nolint:gosec // In range, see above.
			return 0, readOutOfRange
		}
		return uint64(v.Int()), readOK //nolint:gosec // In range, see above.
	}
	n, got := decimalOf(v, 0)
	switch {
	case got == readRounded:
		return 0, readWrongType
	case got != readOK:
		return 0, got
	case n < 0 || uint64(n) > limit:
		return 0, readOutOfRange
	}
	return uint64(n), readOK
}

// floatOf reads a number of any type that is finite and not negative.
func floatOf(v record.Value) (float64, verdict) {
	var f float64
	switch v.Kind {
	case record.ValueInt:
		f = float64(v.Int())
	case record.ValueDouble:
		f = v.Double()
	case record.ValueString:
		var err error
		if f, err = strconv.ParseFloat(strings.TrimSpace(v.Str), 64); err != nil {
			return 0, readWrongType
		}
	default:
		return 0, readWrongType
	}
	if math.IsNaN(f) || math.IsInf(f, 0) || f < 0 {
		return 0, readOutOfRange
	}
	return f, readOK
}
