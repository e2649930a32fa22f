package fromwire

// message is a message that may nest in itself through others.
type message uint8

const (
	messageNone message = iota
	messageKeyValue
	messageValue
	messageArray
	messageMap
)

// String returns what OTLP calls the message.
func (m message) String() string {
	switch m {
	case messageKeyValue:
		return "KeyValue"
	case messageValue:
		return "AnyValue"
	case messageArray:
		return "ArrayValue"
	default:
		return "KeyValueList"
	}
}

// open reads the field at hand of m, unless that is a message which has to be looked into, and says which.
func (m message) open(r *reader) message {
	switch {
	case m == messageArray && r.num == 1:
		return messageValue
	case m == messageMap && r.num == 1:
		return messageKeyValue
	case m == messageKeyValue && r.num == 2:
		return messageValue
	case m == messageValue && r.num == 5:
		return messageArray
	case m == messageValue && r.num == 6:
		return messageMap
	case m == messageKeyValue && r.num == 1, m == messageValue && (r.num == 1 || r.num == 7):
		r.bytes()
	case m == messageKeyValue && r.num == 3, m == messageValue && (r.num == 2 || r.num == 3 || r.num == 8):
		r.varint()
	case m == messageValue && r.num == 4:
		r.fixed64()
	default:
		r.skip()
	}
	return messageNone
}

// check reads a message that is not kept. However deep it nests, that takes no stack of the goroutine: what is deeper
// than [record.MaxDepth] still decides whether the request is malformed.
func check(r reader, m message) *Error {
	type outer struct {
		end     int
		message message
	}
	var few [16]outer
	stack := few[:0]
	for {
		for r.next() {
			inner := m.open(&r)
			if inner == messageNone {
				continue
			}
			in := r.message()
			if r.err != nil {
				break
			}
			if in.pos < len(in.buf) { // Empty ones are fine.
				stack = append(stack, outer{len(r.buf), m})
				r, m = in, inner
			}
		}
		if r.err != nil || len(stack) == 0 {
			return r.end(m.String())
		}
		top := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		r.buf, m = r.buf[:top.end], top.message
	}
}

// checkEntityRef reads an EntityRef, of which nothing is kept.
func checkEntityRef(r reader) *Error {
	for r.next() {
		switch r.num {
		case 1, 2, 3, 4: // Schema URL, type, keys of the id and of the description.
			r.bytes()
		default:
			r.skip()
		}
	}
	return r.end("EntityRef")
}

// checkExemplar reads an Exemplar, of which nothing is kept.
func checkExemplar(r reader) *Error {
	var traceID [16]byte
	var spanID [8]byte
	for r.next() {
		switch r.num {
		case 2, 3, 6: // Time, value as double, value as int.
			r.fixed64()
		case 4:
			r.spanID(&spanID)
		case 5:
			r.traceID(&traceID)
		case 7:
			r.within(check(r.message(), messageKeyValue))
		default:
			r.skip()
		}
	}
	return r.end("Exemplar")
}
