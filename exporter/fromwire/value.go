package fromwire

import "github.com/agenttrail/agenttrail/exporter/record"

// attr decodes a KeyValue and adds it to the arena.
func attr(a *record.Arena, r reader) *Error {
	var key string
	var v record.Value
	for r.next() {
		switch r.num {
		case 1:
			key = text(r.bytes())
		case 2:
			r.within(value(a, r.message(), &v))
		case 3: // An index into a table of strings, which only profiles have.
			r.varint()
		default:
			r.skip()
		}
	}
	if r.err == nil {
		a.AddAttr(key, v)
	}
	return r.end("KeyValue")
}

// value decodes an AnyValue, or a further piece of one, into v. The last of its fields wins; without any v stays as it is.
func value(a *record.Arena, r reader, v *record.Value) *Error {
	for r.next() {
		if r.num == 5 || r.num == 6 {
			kind := record.ValueArray
			if r.num == 6 {
				kind = record.ValueMap
			}
			json := appendNested(a.Text(), &r, 0)
			*v = record.Value{Kind: kind, Str: a.TakeText(json)}
			continue
		}
		scalar(&r, v)
	}
	return r.end("AnyValue")
}

// scalar reads the field at hand of an AnyValue, other than an array or map, into v, and says whether it is one that v
// is read from.
func scalar(r *reader, v *record.Value) bool {
	switch r.num {
	case 1:
		*v = record.Value{Kind: record.ValueString, Str: text(r.bytes())}
	case 2:
		*v = record.Bool(r.varint() != 0)
	case 3:
		*v = record.Value{Kind: record.ValueInt, Num: r.varint()}
	case 4:
		*v = record.Value{Kind: record.ValueDouble, Num: r.fixed64()}
	case 7:
		*v = record.Value{Kind: record.ValueBytes, Str: text(r.bytes())}
	case 8: // An index into a table of strings, which only profiles have: nothing that can be read.
		r.varint()
		*v = record.Value{}
	default:
		r.skip()
		return false
	}
	return true
}

// appendNested appends the array or map in the field at hand of an AnyValue as JSON, members in the order in which they
// arrived. What nests deeper than [record.MaxDepth] is checked, but left out.
func appendNested(dst []byte, r *reader, depth int) []byte {
	kind, m := messageArray, r.message()
	if r.num == 6 {
		kind = messageMap
	}
	var err *Error
	switch {
	case depth >= record.MaxDepth:
		dst, err = append(dst, record.TooDeep...), check(m, kind)
	case kind == messageArray:
		dst, err = appendArray(dst, m, depth)
	default:
		dst, err = appendMap(dst, m, depth)
	}
	r.within(err)
	return dst
}

func appendArray(dst []byte, r reader, depth int) ([]byte, *Error) {
	dst = append(dst, '[')
	first := true
	for r.next() {
		if r.num != 1 {
			r.skip()
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		start := len(dst)
		var err *Error
		dst, err = appendValue(dst, start, r.message(), depth+1)
		r.within(err)
		dst = orNull(dst, start)
	}
	return append(dst, ']'), r.end("ArrayValue")
}

func appendMap(dst []byte, r reader, depth int) ([]byte, *Error) {
	dst = append(dst, '{')
	first := true
	for r.next() {
		if r.num != 1 {
			r.skip()
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		var err *Error
		dst, err = appendMember(dst, r.message(), depth)
		r.within(err)
	}
	return append(dst, '}'), r.end("KeyValueList")
}

// appendMember appends a KeyValue of a map. Its key may come last, but JSON wants it first; so its fields, not what is
// in them, are gone over twice.
func appendMember(dst []byte, r reader, depth int) ([]byte, *Error) {
	whole := r
	var key []byte
	for r.next() {
		switch r.num {
		case 1:
			key = r.bytes()
		case 2:
			r.bytes()
		case 3:
			r.varint()
		default:
			r.skip()
		}
	}
	if r.err != nil {
		return dst, r.end("KeyValue")
	}
	dst = append(record.AppendJSONString(dst, text(key)), ':')
	start := len(dst)
	for r = whole; r.next(); {
		if r.num != 2 {
			r.skip()
			continue
		}
		var err *Error
		dst, err = appendValue(dst, start, r.message(), depth+1)
		r.within(err)
	}
	return orNull(dst, start), r.end("KeyValue")
}

// appendValue appends an AnyValue, or a further piece of one, whose JSON begins at start. The last of its fields wins.
func appendValue(dst []byte, start int, r reader, depth int) ([]byte, *Error) {
	for r.next() {
		if r.num == 5 || r.num == 6 {
			dst = appendNested(dst[:start], &r, depth)
			continue
		}
		var v record.Value
		if scalar(&r, &v) {
			dst = v.AppendJSON(dst[:start])
		}
	}
	return dst, r.end("AnyValue")
}

// orNull appends null when nothing was appended since start: a value without any field is empty.
func orNull(dst []byte, start int) []byte {
	if len(dst) == start {
		return append(dst, "null"...)
	}
	return dst
}
