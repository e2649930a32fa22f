package journal

import (
	"bytes"
	"hash/crc32"
)

// item is something found in a file: a record, a mark, or a stretch that is neither.
type item struct {
	off, end int64
	head     recordHeader // Valid if known.
	known    bool         // The header is valid.
	ok       bool         // The data is, too.
	cut      bool         // The file ends in the middle of it.
	data     []byte       // As stored; valid until the scan goes on.
}

func (it *item) record() bool { return it.known && it.head.kind == kindRecord }

func (it *item) reason() string {
	if it.known {
		return "the data of a record does not match its checksum"
	}
	return "this is no record"
}

// scan calls fn for everything from start to end, in order. Without data the data of records is not looked at.
func scan(s *source, seed uint32, start, end int64, data bool, fn func(*item) error) error {
	end = min(end, s.size)
	next := uint32(0)
	for off := start; off < end; {
		it := item{off: off}
		if err := it.read(s, seed, end, data); err != nil {
			return err
		}
		if it.record() {
			if it.head.index < next {
				it.known, it.ok = false, false // Indexes rise.
			}
			next = max(next, it.head.index+1)
		}
		if err := fn(&it); err != nil {
			return err
		}
		off = it.end
	}
	return nil
}

func (it *item) read(s *source, seed uint32, end int64, data bool) error {
	it.end = end
	if end-it.off < recordHead {
		it.cut = true
		return nil
	}
	b, err := s.bytes(it.off, recordHead)
	if err != nil {
		return err
	}
	if it.known = it.head.parse(b, seed, it.off); !it.known {
		it.end, err = find(s, seed, it.off+1, end)
		return err
	}
	if it.head.kind != kindRecord {
		it.ok, it.end = true, it.off+recordHead
		return nil
	}
	stop := it.off + recordOverhead + int64(it.head.length)
	if stop > end {
		it.known, it.cut = false, true
		return nil
	}
	it.end = stop
	if !data {
		it.ok = true
		return nil
	}
	b, err = s.bytes(it.off+recordHead, int(it.head.length)+4)
	if err != nil {
		return err
	}
	it.data = b[:it.head.length]
	it.ok = crc32.Checksum(it.data, castagnoli)^it.head.crc == le.Uint32(b[it.head.length:])
	return nil
}

// find returns where the next record or mark begins, or end.
func find(s *source, seed uint32, off, end int64) (int64, error) {
	var h recordHeader
	magic := le.AppendUint32(nil, recordMagic)
	for end-off >= recordHead {
		piece, err := s.bytes(off, int(min(sourceChunk/2, end-off)))
		if err != nil {
			return 0, err
		}
		i := bytes.Index(piece, magic)
		if i < 0 {
			off += int64(len(piece) - 3)
			continue
		}
		off += int64(i)
		b, err := s.bytes(off, recordHead)
		if err != nil {
			return 0, err
		}
		if off+int64(len(b)) <= end && h.parse(b, seed, off) {
			return off, nil
		}
		off++
	}
	return end, nil
}

const sector = 512

// unwritten reports whether a stretch of a file looks as if a part of it never reached the disk: the part of it that is
// in one sector is all zeros.
func unwritten(s *source, off, end int64) (bool, error) {
	for at := off; at < end; {
		stop := min((at/sector+1)*sector, end)
		b, err := s.bytes(at, int(stop-at))
		if err != nil {
			return false, err
		}
		if len(bytes.Trim(b, "\x00")) == 0 {
			return true, nil
		}
		at = stop
	}
	return false, nil
}
