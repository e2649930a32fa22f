package fromwire

import "github.com/agenttrail/agenttrail/exporter/record"

// appendArray appends the ArrayValue in the field at hand as JSON. depth is how many arrays and maps are around it. What nests
// deeper than [record.MaxDepth] is checked, but left out.
func appendArray(dst []byte, r *reader, depth int) []byte {
	if depth >= record.MaxDepth {
		check(r, messageArray)
		return append(dst, record.TooDeep...)
	}
	end := r.open()
	dst = append(dst, '[')
	for first := true; r.next(); {
		if r.num != 1 {
			r.skip()
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		start := len(dst)
		dst = appendValue(dst, start, r, depth+1)
		dst = orNull(dst, start)
	}
	r.close(end, "ArrayValue")
	return append(dst, ']')
}

// appendMap appends the KeyValueList in the field at hand as JSON, members in the order in which they arrived.
func appendMap(dst []byte, r *reader, depth int) []byte {
	if depth >= record.MaxDepth {
		check(r, messageMap)
		return append(dst, record.TooDeep...)
	}
	end := r.open()
	dst = append(dst, '{')
	for first := true; r.next(); {
		if r.num != 1 {
			r.skip()
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = appendMember(dst, r, depth+1)
	}
	r.close(end, "KeyValueList")
	return append(dst, '}')
}

// appendMember appends the KeyValue in the field at hand. Its key may come last, but JSON wants it first; so its fields,
// not what is in them, are gone over twice.
func appendMember(dst []byte, r *reader, depth int) []byte {
	end := r.open()
	start := r.pos
	var key string
	for r.next() {
		switch r.num {
		case 1:
			key = r.text()
		case 2:
			r.bytes()
		case 3: // An index into a table of strings, which only profiles have.
			r.varint()
		default:
			r.skip()
		}
	}
	r.rewind(start)
	dst = append(record.AppendJSONString(dst, key), ':')
	from := len(dst)
	for r.next() {
		if r.num == 2 {
			dst = appendValue(dst, from, r, depth)
		} else {
			r.skip()
		}
	}
	r.close(end, "KeyValue")
	return orNull(dst, from)
}

// appendValue appends the AnyValue in the field at hand, or a further piece of one, whose JSON begins at start. The last
// of its fields wins; without any nothing is appended.
func appendValue(dst []byte, start int, r *reader, depth int) []byte {
	end := r.open()
	for r.next() {
		switch r.num {
		case 5:
			dst = appendArray(dst[:start], r, depth)
		case 6:
			dst = appendMap(dst[:start], r, depth)
		default:
			var v record.Value
			if scalar(r, &v) {
				dst = v.AppendJSON(dst[:start])
			}
		}
	}
	r.close(end, "AnyValue")
	return dst
}

// orNull appends null when nothing was appended since start: a value without any field is empty.
func orNull(dst []byte, start int) []byte {
	if len(dst) == start {
		return append(dst, "null"...)
	}
	return dst
}
