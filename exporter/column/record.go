package column

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// A record holds the rows of a [Set] without the names of tables and columns, which the [Layout] has:
//
//	version      1 byte
//	tables       uvarint, how many are not empty
//	of each, by ascending index:
//	  index      uvarint, in the layout
//	  rows       uvarint, at least 1
//	  length     8 bytes, little endian, of its data
//	data of each table:
//	  lengths    uvarint each, of the columns of strings in order, those within maps and arrays among them
//	  columns    in order, as in a Native block
//
// The lengths stand in front so that the rows can be counted, a table be picked out, and strings be passed on, without
// reading the data. Records of version 1 have no lengths of columns.
const (
	recordVersion        = 2
	recordWithoutLengths = 1
)

// ErrRecord is wrapped by every error about a record that cannot be read.
var ErrRecord = errors.New("record is damaged")

// AppendRecord appends the rows of all tables to dst, as a record for [Blocks.Append].
func (s *Set) AppendRecord(dst []byte) []byte {
	tables := 0
	for t := range TableCount {
		if s.block(t).rows > 0 {
			tables++
		}
	}
	dst = append(dst, recordVersion, byte(tables))
	var lengths [TableCount]int // Where the length of each goes.
	for t := range TableCount {
		b := s.block(t)
		if b.rows == 0 {
			continue
		}
		dst = append(dst, byte(t))
		dst = binary.AppendUvarint(dst, uint64(b.rows)) //nolint:gosec // Never negative.
		lengths[t] = len(dst)
		dst = binary.LittleEndian.AppendUint64(dst, 0)
	}
	for t := range TableCount {
		b := s.block(t)
		if b.rows == 0 {
			continue
		}
		start := len(dst)
		for _, c := range b.texts {
			dst = binary.AppendUvarint(dst, uint64(len(c.buf)))
		}
		dst = b.appendData(dst)
		binary.LittleEndian.PutUint64(dst[lengths[t]:], uint64(len(dst)-start)) //nolint:gosec // Never negative.
	}
	return dst
}

// RecordTable says what a record holds of one table.
type RecordTable struct {
	Index int // Of the table in the layout.
	Rows  int // At least 1.
	Bytes int // Of its data, about its size in Native format.
}

// RecordRows appends to dst what a record holds of each table that is not empty, by ascending index. It reads only the
// head of the record. An error wraps [ErrRecord].
func RecordRows(dst []RecordTable, data []byte) ([]RecordTable, error) {
	tables, _, _, err := splitRecord(dst, data)
	return tables, err
}

// splitRecord returns what RecordRows does, the data of the tables behind it, and whether these have lengths.
func splitRecord(dst []RecordTable, data []byte) (tables []RecordTable, rest []byte, lengths bool, err error) {
	in := input{data: data}
	version, err := in.take(1)
	if err != nil {
		return dst, nil, false, err
	}
	if v := version[0]; v != recordVersion && v != recordWithoutLengths {
		return dst, nil, false, fmt.Errorf("%w: it has version %d, and this program reads versions %d and %d", ErrRecord, v, recordWithoutLengths, recordVersion)
	}
	dst, err = in.tables(dst, uint64(len(data)))
	return dst, in.data, version[0] == recordVersion, err
}

// tables reads what a record of some size holds of each table.
func (in *input) tables(dst []RecordTable, size uint64) ([]RecordTable, error) {
	count, err := in.uvarint()
	if err != nil {
		return dst, err
	}
	next, total := uint64(0), uint64(0) // The lowest index that may come, and the bytes of all tables.
	for range count {
		index, err := in.uvarint()
		if err != nil {
			return dst, err
		}
		rows, err := in.uvarint()
		if err != nil {
			return dst, err
		}
		length, err := in.uint64()
		if err != nil {
			return dst, err
		}
		// Every row takes at least a byte, so no number in a valid head is larger than the record.
		if index < next || index > math.MaxInt32 || rows == 0 || rows > length || length > size {
			return dst, fmt.Errorf("%w: table %d cannot have %d rows in %d bytes", ErrRecord, index, rows, length)
		}
		next = index + 1
		total += length
		dst = append(dst, RecordTable{Index: int(index), Rows: int(rows), Bytes: int(length)}) //nolint:gosec // Checked above.
	}
	if total != uint64(len(in.data)) {
		return dst, fmt.Errorf("%w: its tables have %d bytes, and it has %d", ErrRecord, total, len(in.data))
	}
	return dst, nil
}
