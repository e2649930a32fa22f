package column

import "encoding/binary"

// TableAs is a table of another version: what this version has in From, under another name and with columns of which
// some are missing or in another order.
type TableAs struct {
	TableLayout
	From Table
}

// AppendRecordAs writes a record as another version would have done.
func AppendRecordAs(dst []byte, s *Set, tables []TableAs) []byte {
	var head, data []byte
	n := byte(0)
	for i, t := range tables {
		b := s.block(t.From)
		if b.rows == 0 {
			continue
		}
		n++
		start := len(data)
		for _, c := range t.Columns {
			for _, f := range b.fields {
				if f.Column == c {
					data = f.col.appendData(f.col.appendPrefix(data))
				}
			}
		}
		head = binary.AppendUvarint(head, uint64(i))
		head = binary.AppendUvarint(head, uint64(b.rows))
		head = binary.LittleEndian.AppendUint64(head, uint64(len(data)-start))
	}
	dst = append(dst, recordWithoutLengths, n)
	return append(append(dst, head...), data...)
}

// AddSample adds a row of every table.
var AddSample = addSample
