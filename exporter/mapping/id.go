package mapping

import (
	"encoding/binary"
	"hash/maphash"

	"github.com/go-faster/city"

	"github.com/agenttrail/agenttrail/exporter/record"
	"github.com/agenttrail/agenttrail/exporter/row"
)

// Ids of rows that the emitter gave none are CityHash128 (version 1.0.2, frozen as a part of ClickHouse's protocol)
// of an unambiguous serialization of their content, stored as UUIDs of version 8 (RFC 9562). Changing the hash or
// the serialization changes the ids, and with them what a replay writes.

// id128 is a hash of content.
type id128 struct{ low, high uint64 }

// ordinal counts equal contents in one request.
type ordinal struct {
	id    id128
	count uint32
}

// Domains keep ids of different tables apart.
const (
	domainLog      = "log"
	domainRequest  = "request"
	domainRun      = "run"
	domainError    = "error"
	domainMetric   = "metric"
	domainResource = "resource"
)

func appendText(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

func appendValue(dst []byte, v record.Value) []byte {
	dst = append(dst, byte(v.Kind))
	dst = binary.LittleEndian.AppendUint64(dst, v.Num)
	return appendText(dst, v.Str)
}

func appendAttrs(dst []byte, attrs record.Attrs) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(attrs)))
	for i := range attrs {
		dst = appendText(dst, attrs[i].Key)
		dst = appendValue(dst, attrs[i].Value)
	}
	return dst
}

// appendSpan appends what tells one span without an id from another.
func appendSpan(dst []byte, s *record.Span) []byte {
	dst = appendText(dst, s.Name)
	dst = binary.LittleEndian.AppendUint64(dst, s.Start)
	dst = binary.LittleEndian.AppendUint64(dst, s.End)
	return appendAttrs(dst, s.Attrs)
}

func hash128(b []byte) id128 {
	h := city.CH128(b)
	return id128{h.Low, h.High}
}

// uuid stores a hash as a UUID of version 8.
func (h id128) uuid() row.UUID {
	var u row.UUID
	binary.BigEndian.PutUint64(u[:8], h.high)
	binary.BigEndian.PutUint64(u[8:], h.low)
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return u
}

func (m *Mapper) hashResource(r *record.Resource) id128 {
	b := appendText(m.idScratch[:0], domainResource)
	b = appendAttrs(b, r.Attrs)
	m.idScratch = b
	return hash128(b)
}

// distinct returns an id for content that may occur more than once in a request: the first is the hash itself, the
// second is another one.
func (m *Mapper) distinct(h id128) row.UUID {
	sum := maphash.Comparable(keys.seed, h) // Not h itself: contents can be made to collide in its low bits.
	p := m.ordIndex.start(sum)
	for ; m.ordIndex.used(p); p = m.ordIndex.next(p) {
		if o := &m.ordinals[m.ordIndex.slots[p].idx]; o.id == h {
			o.count++
			b := appendText(m.idScratch[:0], "again")
			b = binary.LittleEndian.AppendUint64(b, h.low)
			b = binary.LittleEndian.AppendUint64(b, h.high)
			b = binary.AppendUvarint(b, uint64(o.count))
			m.idScratch = b
			return hash128(b).uuid()
		}
	}
	m.ordIndex.set(p, sum, len(m.ordinals))
	m.ordinals = append(m.ordinals, ordinal{id: h})
	return h.uuid()
}

// hashSpanID hashes the ids of a span for look-up.
func hashSpanID(trace *[16]byte, id *[8]byte) uint64 {
	var b [24]byte
	copy(b[:], trace[:])
	copy(b[16:], id[:])
	return maphash.Bytes(keys.seed, b[:])
}
