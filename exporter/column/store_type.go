package column

import (
	"fmt"
	"strconv"
	"strings"
)

// newStore returns a store for values of a ClickHouse type: for every type that a [Layout] has, and for those that one
// of another version may well have.
func newStore(typ string) (store, error) {
	switch typ {
	case typeString:
		return &texts{}, nil
	case typeLowCardinality:
		return &words{}, nil
	case typeMap:
		return &maps{}, nil
	}
	if inner, ok := argument(typ, "Array"); ok && !strings.HasPrefix(inner, "Array(") {
		elem, err := newStore(inner)
		if err != nil {
			return nil, err
		}
		a := &arrays{elem: elem}
		a.ends = &a.own
		return a, nil
	}
	if inner, ok := argument(typ, "Nullable"); ok {
		values, err := newScalars(inner)
		if err != nil {
			return nil, err
		}
		return &nullables{nulls: scalars{width: 1, valid: &zeroOrOne}, values: *values}, nil
	}
	return newScalars(typ)
}

var widths = map[string]uint64{
	"UInt8": 1, "UInt16": 2, "UInt32": 4, "UInt64": 8, "Int8": 1, "Int16": 2, "Int32": 4, "Int64": 8,
	"Float32": 4, "Float64": 8, "UUID": 16, "DateTime": 4, "IPv4": 4, "IPv6": 16,
}

var zeroOrOne = [256]bool{0: true, 1: true}

func newScalars(typ string) (*scalars, error) {
	if width, ok := widths[typ]; ok {
		return &scalars{width: width}, nil
	}
	if typ == typeBool {
		return &scalars{width: 1, valid: &zeroOrOne}, nil
	}
	if _, ok := argument(typ, "DateTime64"); ok {
		return &scalars{width: 8}, nil
	}
	if args, ok := argument(typ, "Decimal"); ok {
		precision, _, _ := strings.Cut(args, ",")
		if p, err := strconv.Atoi(precision); err == nil && p >= 1 && p <= 38 {
			switch {
			case p <= 9:
				return &scalars{width: 4}, nil
			case p <= 18:
				return &scalars{width: 8}, nil
			default:
				return &scalars{width: 16}, nil
			}
		}
	}
	if args, ok := argument(typ, "Enum8"); ok {
		if valid, ok := enumValues(args); ok {
			return &scalars{width: 1, valid: valid}, nil
		}
	}
	return nil, fmt.Errorf("this program does not know type %s: use the version that wrote it, or a newer one", typ)
}

// argument returns what stands between the parentheses behind name.
func argument(typ, name string) (string, bool) {
	typ, ok := strings.CutPrefix(typ, name+"(")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(typ, ")")
}

// enumValues reads the numbers of an enum from what its names stand for, as in 'a' = 1, 'b' = 2. The names of ours have
// no quotes.
func enumValues(args string) (*[256]bool, bool) {
	var valid [256]bool
	for {
		name, rest, ok := strings.Cut(strings.TrimPrefix(args, "'"), "' = ")
		if !ok || !strings.HasPrefix(args, "'") || strings.ContainsAny(name, `'\`) {
			return nil, false
		}
		number, next, more := strings.Cut(rest, ", ")
		v, err := strconv.ParseInt(number, 10, 8)
		if err != nil {
			return nil, false
		}
		valid[uint8(v)] = true //nolint:gosec // Two's complement, as it is written.
		if !more {
			return &valid, true
		}
		args = next
	}
}
