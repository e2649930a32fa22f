package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	pierrec "github.com/pierrec/lz4/v4"

	"github.com/agenttrail/agenttrail/exporter/lz4"
)

// A file is its header, twice, and then records and marks. All numbers are little endian.
//
//	header  magic "ATJ1", version u16, kind u8, 0, length u32, CRC32C of these     the same in every version
//	        run [16], number u64, created i64, replaces u64, layout encoding u8,
//	        layout raw length u32, layout length u32, layout, CRC32C of all of it
//	record  magic "ATJr", kind u8, encoding u8, place u16, index u32, part u32, length u32, raw length u32,
//	        hash [16], places u16, 0 u16, CRC32C of kind of file, run, number, offset and these
//	        data, CRC32C of the data xor that of the header
//	mark    as a record without data; hash is the time i64 (Unix, ns) and how long the segment before is at least u64,
//	        part is how much lower its number is, 0 if there is none
const (
	fileMagic   = 0x314a5441 // ATJ1
	recordMagic = 0x724a5441 // ATJr

	version = 1

	preludeSize    = 16
	bodySize       = 16 + 8 + 8 + 8 + 1 + 4 + 4
	recordHead     = 48
	headCRCAt      = recordHead - 4
	recordOverhead = recordHead + 4

	maxRecord = 1 << 30
	maxLayout = 16 << 20
)

type fileKind uint8

const (
	kindSegment fileKind = iota + 1
	kindWindow
	kindProgress
)

type recordKind uint8

const (
	kindRecord recordKind = iota + 1
	kindCommit
	kindClose
)

const (
	encodingNone = iota
	encodingLZ4
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	le         = binary.LittleEndian

	errHeader = errors.New("the header is not readable")
)

type fileHeader struct {
	kind     fileKind
	run      [16]byte
	number   uint64
	created  int64
	replaces uint64
	layout   []byte
}

// seed begins the CRC of every record of the file.
func (h *fileHeader) seed() uint32 {
	return crc32.Checksum(le.AppendUint64(append([]byte{byte(h.kind)}, h.run[:]...), h.number), castagnoli)
}

// encode returns the header, twice.
func (h *fileHeader) encode() []byte {
	layout, encoding := h.layout, byte(encodingNone)
	if _, packed := appendPacked(nil, layout, &lz4.Compressor{}); packed != nil {
		layout, encoding = packed, encodingLZ4
	}
	dst := le.AppendUint32(nil, fileMagic)
	dst = le.AppendUint16(dst, version)
	dst = append(dst, byte(h.kind), 0)
	dst = le.AppendUint32(dst, uint32(preludeSize+bodySize+len(layout)+4)) //nolint:gosec // At most maxLayout.
	dst = le.AppendUint32(dst, crcOf(dst))
	dst = append(dst, h.run[:]...)
	dst = le.AppendUint64(dst, h.number)
	dst = le.AppendUint64(dst, uint64(h.created)) //nolint:gosec // Back again in parse.
	dst = le.AppendUint64(dst, h.replaces)
	dst = append(dst, encoding)
	dst = le.AppendUint32(dst, uint32(len(h.layout))) //nolint:gosec // At most maxLayout.
	dst = le.AppendUint32(dst, uint32(len(layout)))   //nolint:gosec // At most maxLayout.
	dst = append(dst, layout...)
	dst = le.AppendUint32(dst, crcOf(dst))
	return append(dst, dst...)
}

// prelude reads what every version has, and returns the length of the header.
func prelude(b []byte) (length int, err error) {
	if len(b) < preludeSize || le.Uint32(b) != fileMagic || crc32.Checksum(b[:12], castagnoli) != le.Uint32(b[12:]) {
		return 0, errHeader
	}
	if v := le.Uint16(b[4:]); v != version {
		return 0, fmt.Errorf("%w: its version is %d, this program knows %d: start the newer program, or move the file away",
			ErrNewer, v, version)
	}
	length = int(le.Uint32(b[8:]))
	if length < preludeSize+bodySize+4 || length > maxLayout+preludeSize+bodySize+4 {
		return 0, errHeader
	}
	return length, nil
}

// parse reads one copy of a header, whose prelude is valid.
func (h *fileHeader) parse(b []byte) error {
	end := len(b) - 4
	if crc32.Checksum(b[:end], castagnoli) != le.Uint32(b[end:]) {
		return errHeader
	}
	h.kind = fileKind(b[6])
	p := b[preludeSize:end]
	copy(h.run[:], p)
	h.number = le.Uint64(p[16:])
	h.created = int64(le.Uint64(p[24:])) //nolint:gosec // Back again from encode.
	h.replaces = le.Uint64(p[32:])
	encoding, raw, n := p[40], int(le.Uint32(p[41:])), int(le.Uint32(p[45:]))
	p = p[bodySize:]
	if n != len(p) || raw > maxLayout {
		return errHeader
	}
	var err error
	if h.layout, err = unpack(nil, p, encoding, raw); err != nil {
		return errHeader
	}
	h.layout = bytes.Clone(h.layout)
	return nil
}

type recordHeader struct {
	kind     recordKind
	encoding uint8
	place    uint16 // Among the records of the same request.
	places   uint16 // Records of the same request.
	index    uint32
	part     uint32
	length   uint32
	raw      uint32
	hash     Hash
	crc      uint32
}

func (h *recordHeader) put(b []byte) {
	le.PutUint32(b, recordMagic)
	b[4], b[5] = byte(h.kind), h.encoding
	le.PutUint16(b[6:], h.place)
	le.PutUint32(b[8:], h.index)
	le.PutUint32(b[12:], h.part)
	le.PutUint32(b[16:], h.length)
	le.PutUint32(b[20:], h.raw)
	copy(b[24:40], h.hash[:])
	le.PutUint16(b[40:], h.places)
}

// bind gives a record or mark that was put into b its place. What it had before is replaced, but the CRC of the data
// must not be bound yet.
func bind(b []byte, seed uint32, offset int64, index uint32) {
	crc := bindHead(b, seed, offset, index)
	if recordKind(b[4]) == kindRecord {
		tail := b[len(b)-4:]
		le.PutUint32(tail, le.Uint32(tail)^crc)
	}
}

// bindHead is bind for the head alone, whose CRC it returns.
func bindHead(b []byte, seed uint32, offset int64, index uint32) uint32 {
	le.PutUint32(b[8:], index)
	crc := headCRC(b, seed, offset)
	le.PutUint32(b[headCRCAt:], crc)
	return crc
}

// previous is what a mark says of the segment before, so that it is noticed if that was cut off.
type previous struct {
	back   uint32 // Its number is so much lower.
	length int64  // What was durable of it when it was closed, in bytes.
}

func (h *recordHeader) previous() previous {
	return previous{h.part, int64(le.Uint64(h.hash[8:]))} //nolint:gosec // Back again from appendMark.
}

// headCRC is the CRC of the header of a record at an offset.
func headCRC(b []byte, seed uint32, offset int64) uint32 {
	var at [8]byte
	le.PutUint64(at[:], uint64(offset)) //nolint:gosec // Not negative.
	return crc32.Update(crc32.Update(seed, castagnoli, at[:]), castagnoli, b[:headCRCAt])
}

// parse reports whether b begins with the header of a record or mark that was written at this offset.
func (h *recordHeader) parse(b []byte, seed uint32, offset int64) bool {
	if len(b) < recordHead || le.Uint32(b) != recordMagic {
		return false
	}
	h.crc = le.Uint32(b[headCRCAt:])
	if headCRC(b, seed, offset) != h.crc {
		return false
	}
	h.kind, h.encoding = recordKind(b[4]), b[5]
	h.place = le.Uint16(b[6:])
	h.index = le.Uint32(b[8:])
	h.part = le.Uint32(b[12:])
	h.length = le.Uint32(b[16:])
	h.raw = le.Uint32(b[20:])
	copy(h.hash[:], b[24:40])
	h.places = le.Uint16(b[40:])
	if int64(h.index) > offset/recordOverhead { // More than fit before it.
		return false
	}
	switch h.kind {
	case kindRecord:
		return h.length <= maxRecord && h.raw <= maxRecord
	case kindCommit, kindClose:
		return h.length == 0
	}
	return false
}

// framedRecord is a record that is not in one piece: what stands before and behind its data, and the data.
type framedRecord struct {
	ends [recordOverhead]byte
	data []byte
}

func (f *framedRecord) head() []byte { return f.ends[:recordHead] }
func (f *framedRecord) tail() []byte { return f.ends[recordHead:] }
func (f *framedRecord) size() int    { return recordOverhead + len(f.data) }

// put writes the ends, not bound to a place yet.
func (f *framedRecord) put(h recordHeader) {
	h.length = uint32(len(f.data)) //nolint:gosec // At most maxRecord.
	h.put(f.head())
	le.PutUint32(f.tail(), crcOf(f.data))
}

// bind gives the record its place.
func (f *framedRecord) bind(seed uint32, offset int64, index uint32) {
	crc := bindHead(f.head(), seed, offset, index)
	le.PutUint32(f.tail(), le.Uint32(f.tail())^crc)
}

// appendRecord appends a record that is not bound to a place yet, in one piece and not compressed.
func appendRecord(dst []byte, h recordHeader, data []byte) []byte {
	h.kind, h.encoding, h.raw = kindRecord, encodingNone, uint32(len(data)) //nolint:gosec // At most maxRecord.
	f := framedRecord{data: data}
	f.put(h)
	return append(append(append(dst, f.head()...), data...), f.tail()...)
}

// appendPacked appends data to dst, compressed, and returns what it appended: nil if that is not shorter.
func appendPacked(dst, data []byte, c *lz4.Compressor) (all, packed []byte) {
	start := len(dst)
	all = c.Append(dst, data)
	if packed = all[start:]; len(packed) >= len(data) {
		return all[:start], nil
	}
	return all, packed
}

// appendMark appends a mark and binds it.
func appendMark(dst []byte, kind recordKind, seed uint32, offset, now int64, index uint32, before previous) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, recordHead)...)
	h := recordHeader{kind: kind, part: before.back}
	le.PutUint64(h.hash[:], uint64(now))            //nolint:gosec // A time.
	le.PutUint64(h.hash[8:], uint64(before.length)) //nolint:gosec // Not negative.
	h.put(dst[start:])
	bind(dst[start:], seed, offset, index)
	return dst
}

func crcOf(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

func crcUpdate(crc uint32, b []byte) uint32 { return crc32.Update(crc, castagnoli, b) }

func grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	return append(b, make([]byte, n)...)[:len(b)]
}

// canUnpack reports whether data can be raw bytes, compressed: LZ4 cannot shrink them to less than a 256th.
func canUnpack(data []byte, raw int) bool { return raw > 0 && raw <= 256*(len(data)+1) }

// unpack returns the raw data, in dst if it has room and data is compressed.
func unpack(dst, data []byte, encoding byte, raw int) ([]byte, error) {
	switch encoding {
	case encodingNone:
		if len(data) != raw {
			return nil, errors.New("the data has a wrong length")
		}
		return data, nil
	case encodingLZ4:
		if !canUnpack(data, raw) {
			return nil, errors.New("the data has a wrong length")
		}
		dst = grow(dst[:0], raw)[:raw]
		n, err := pierrec.UncompressBlock(data, dst)
		if err != nil || n != raw {
			return nil, errors.New("the data cannot be decompressed")
		}
		return dst, nil
	}
	return nil, errors.New("the data has an unknown encoding")
}
