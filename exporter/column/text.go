package column

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"

	"github.com/agenttrail/agenttrail/exporter/record"
)

// text is a column of strings, each with its length in front.
type text struct{ buf []byte }

func (c *text) add(s string) {
	c.buf = binary.AppendUvarint(c.buf, uint64(len(s)))
	c.buf = append(c.buf, s...)
}

// addTraceID appends a trace id as 32 hex digits, or nothing if it is absent.
func (c *text) addTraceID(id [16]byte) {
	if id == ([16]byte{}) {
		c.buf = append(c.buf, 0)
		return
	}
	c.buf = append(c.buf, 2*16)
	c.buf = hex.AppendEncode(c.buf, id[:])
}

// addSpanID appends a span id as 16 hex digits, or nothing if it is absent.
func (c *text) addSpanID(id [8]byte) {
	if id == ([8]byte{}) {
		c.buf = append(c.buf, 0)
		return
	}
	c.buf = append(c.buf, 2*8)
	c.buf = hex.AppendEncode(c.buf, id[:])
}

// addValue appends a value as its text, see [record.Value.AppendText].
func (c *text) addValue(v *record.Value) {
	switch v.Kind {
	case record.ValueString, record.ValueArray, record.ValueMap:
		c.add(v.Str)
	case record.ValueBytes:
		c.buf = binary.AppendUvarint(c.buf, uint64(base64.StdEncoding.EncodedLen(len(v.Str)))) //nolint:gosec // A length.
		c.buf = v.AppendText(c.buf)
	default:
		// The text of a number or a boolean is always shorter than 128 bytes, so its length is one byte.
		at := len(c.buf)
		c.buf = v.AppendText(append(c.buf, 0))
		n := len(c.buf) - at - 1
		if n >= 0x80 {
			panic("BUG: the text of a number has 128 bytes or more")
		}
		c.buf[at] = byte(n) //nolint:gosec // Checked above.
	}
}

func (c *text) reset()                         { c.buf = shrink(c.buf) }
func (c *text) size() int                      { return len(c.buf) }
func (c *text) appendPrefix(dst []byte) []byte { return dst }
func (c *text) appendData(dst []byte) []byte   { return append(dst, c.buf...) }
func (c *text) merge(src column)               { c.buf = append(c.buf, src.(*text).buf...) }
