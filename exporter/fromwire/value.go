package fromwire

import (
	"encoding/binary"

	"github.com/agenttrail/agenttrail/exporter/record"
)

// attr decodes the KeyValue in the field at hand and adds it to the arena.
func attr(a *record.Arena, r *reader) {
	if plainAttr(a, r) {
		return
	}
	end := r.open()
	var key string
	var v record.Value
	for r.next() {
		switch r.num {
		case 1:
			key = r.text()
		case 2:
			value(a, r, &v)
		case 3: // An index into a table of strings, which only profiles have.
			r.varint()
		default:
			r.skip()
		}
	}
	a.AddAttr(key, v)
	r.close(end, "KeyValue")
}

// The first bytes of what encoders write of a KeyValue and of an AnyValue.
const (
	tagKey    = 1<<3 | byte(wireLen)
	tagValue  = 2<<3 | byte(wireLen)
	tagString = 1<<3 | byte(wireLen)
	tagBool   = 2<<3 | byte(wireVarint)
	tagInt    = 3<<3 | byte(wireVarint)
	tagDouble = 4<<3 | byte(wireI64)
)

// plainAttr is a faster [attr] for nearly all attributes: a KeyValue of less than 128 bytes, so that every length in it
// is one byte, with one key and one scalar value, in either order. It says false, and does nothing, for all others.
func plainAttr(a *record.Arena, r *reader) bool {
	if r.wire != wireLen || r.pos >= len(r.buf) {
		return false
	}
	n := int(r.buf[r.pos])
	if n >= 0x80 || n >= len(r.buf)-r.pos {
		return false
	}
	kv := r.buf[r.pos+1 : r.pos+1+n]
	if len(kv) < 2 {
		return false
	}
	first := 2 + int(kv[1])
	if first+2 > len(kv) || first+2+int(kv[first+1]) != len(kv) {
		return false
	}
	key, val := kv[2:first], kv[first+2:]
	switch {
	case kv[0] == tagKey && kv[first] == tagValue:
	case kv[0] == tagValue && kv[first] == tagKey:
		key, val = val, key
	default:
		return false
	}
	if len(val) < 2 {
		return false
	}
	var v record.Value
	switch {
	case val[0] == tagString && int(val[1]) == len(val)-2:
		v = record.Value{Kind: record.ValueString, Str: text(val[2:])}
	case val[0] == tagInt && len(val) == 2 && val[1] < 0x80:
		v = record.Value{Kind: record.ValueInt, Num: uint64(val[1])}
	case val[0] == tagInt && len(val) == 3 && val[1] >= 0x80 && val[2] < 0x80:
		v = record.Value{Kind: record.ValueInt, Num: uint64(val[1]&0x7f) | uint64(val[2])<<7}
	case val[0] == tagBool && len(val) == 2 && val[1] < 0x80:
		v = record.Bool(val[1] != 0)
	case val[0] == tagDouble && len(val) == 9:
		v = record.Value{Kind: record.ValueDouble, Num: binary.LittleEndian.Uint64(val[1:])}
	default:
		return false
	}
	a.AddAttr(text(key), v)
	r.pos += 1 + n
	return true
}

// value decodes the AnyValue in the field at hand, or a further piece of one, into v. The last of its fields wins;
// without any v stays as it is.
func value(a *record.Arena, r *reader, v *record.Value) {
	end := r.open()
	for r.next() {
		switch r.num {
		case 5:
			*v = record.Value{Kind: record.ValueArray, Str: a.TakeText(appendArray(a.Text(), r, 0))}
		case 6:
			*v = record.Value{Kind: record.ValueMap, Str: a.TakeText(appendMap(a.Text(), r, 0))}
		default:
			scalar(r, v)
		}
	}
	r.close(end, "AnyValue")
}

// scalar reads the field at hand of an AnyValue, other than an array or map, into v, and says whether it belongs to the
// value at all.
func scalar(r *reader, v *record.Value) bool {
	switch r.num {
	case 1:
		*v = record.Value{Kind: record.ValueString, Str: r.text()}
	case 2:
		*v = record.Bool(r.varint() != 0)
	case 3:
		*v = record.Value{Kind: record.ValueInt, Num: r.varint()}
	case 4:
		*v = record.Value{Kind: record.ValueDouble, Num: r.fixed64()}
	case 7:
		*v = record.Value{Kind: record.ValueBytes, Str: r.text()}
	case 8: // An index into a table of strings, which only profiles have: an empty value.
		r.varint()
		*v = record.Value{}
	default:
		r.skip()
		return false
	}
	return true
}
