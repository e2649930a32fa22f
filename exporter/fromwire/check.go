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

// read reads the field at hand of m, unless that is a message which has to be looked into, and says which.
func (m message) read(r *reader) message {
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

// check reads the message m in the field at hand, of which nothing is kept. However deep it nests, that takes no stack
// of the goroutine: what is deeper than [record.MaxDepth] still decides whether the request is malformed.
func check(r *reader, m message) {
	type outer struct {
		end     int
		message message
	}
	var few [16]outer
	stack := append(few[:0], outer{r.open(), m})
	for {
		for r.next() {
			if inner := m.read(r); inner != messageNone {
				stack = append(stack, outer{r.open(), m})
				m = inner
			}
		}
		top := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		r.close(top.end, m.String())
		if len(stack) == 0 {
			return
		}
		m = top.message
	}
}

// checkEntityRef reads the EntityRef in the field at hand, of which nothing is kept.
func checkEntityRef(r *reader) {
	end := r.open()
	for r.next() {
		switch r.num {
		case 1, 2, 3, 4: // Schema URL, type, keys of the id and of the description.
			r.bytes()
		default:
			r.skip()
		}
	}
	r.close(end, "EntityRef")
}

// checkExemplar reads the Exemplar in the field at hand, of which nothing is kept.
func checkExemplar(r *reader) {
	end := r.open()
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
			check(r, messageKeyValue)
		default:
			r.skip()
		}
	}
	r.close(end, "Exemplar")
}
