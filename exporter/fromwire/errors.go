package fromwire

import "fmt"

// Error says where a request is malformed. Its sender has to mend it: the same bytes are never accepted.
type Error struct {
	Message string // the message that the field belongs to, as OTLP names it
	Field   int32  // number of the field, 0 when its tag cannot be read
	Wire    uint8  // wire type of the field, meaningless when its tag cannot be read
	Offset  int    // of the field's tag from the beginning of the request, bytes
	Reason  string
}

// Error implements error.
func (e *Error) Error() string {
	if e.Field == 0 {
		return fmt.Sprintf("malformed %s: tag at byte %d: %s", e.Message, e.Offset, e.Reason)
	}
	return fmt.Sprintf("malformed %s: field %d with wire type %d at byte %d: %s", e.Message, e.Field, e.Wire, e.Offset, e.Reason)
}

// What can be wrong with a field.
const (
	reasonEnds      = "the message ends within it"
	reasonLong      = "a number in it has more than 10 bytes"
	reasonNumber    = "field numbers are positive"
	reasonWire      = "another wire type belongs there"
	reasonNoWire    = "there is no such wire type"
	reasonEndGroup  = "it ends a group that has not begun"
	reasonTraceID   = "a trace id has 16 bytes"
	reasonSpanID    = "a span id has 8 bytes"
	reasonPackedI64 = "its length is no multiple of 8"
)
