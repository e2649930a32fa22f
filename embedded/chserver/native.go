package chserver

import (
	"errors"
	"io"
)

// The engine writes Native blocks of protocol revision 0. A client that sets client_protocol_version expects those of its
// revision: from revision 1 on every block begins with its info, and from revision 54454 on every column has a byte that says
// whether it has a custom serialization (src/Formats/NativeWriter.cpp). nativeWriter puts these bytes in between and passes
// everything else on unchanged.
const revisionCustomSerialization = 54454

// blockInfo is field 1, is_overflows: false; field 2, bucket_num: -1; end of fields.
var blockInfo = []byte{1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0}

type nativeWriter struct {
	w        io.Writer
	revision uint64
	pending  []byte // a block that was not complete yet
	cuts     []int
}

// Write takes output of the engine. Blocks are passed on when they are complete, which mostly is at once: the engine gives
// out its results block by block.
func (n *nativeWriter) Write(p []byte) (int, error) {
	buf := p
	if len(n.pending) > 0 {
		n.pending = append(n.pending, p...)
		buf = n.pending
	}
	for len(buf) > 0 {
		size, err := n.block(buf)
		if errors.Is(err, errShortBlock) {
			n.pending = append([]byte(nil), buf...)
			return len(p), nil
		}
		if err != nil {
			return 0, err
		}
		buf = buf[size:]
	}
	n.pending = n.pending[:0]
	return len(p), nil
}

// Flush says that the output is complete.
func (n *nativeWriter) Flush() error {
	if len(n.pending) > 0 {
		return newError(codeCannotReadAllData, "The result ends in the middle of a Native block")
	}
	return nil
}

// block passes one block on and gives its size in buf.
func (n *nativeWriter) block(buf []byte) (int, error) {
	r := &blockReader{buf: buf}
	columns, err := r.uvarint()
	if err != nil {
		return 0, err
	}
	rows, err := r.uvarint()
	if err != nil {
		return 0, err
	}
	n.cuts = n.cuts[:0]
	for range columns {
		if _, err := r.str(); err != nil {
			return 0, err
		}
		name, err := r.str()
		if err != nil {
			return 0, err
		}
		n.cuts = append(n.cuts, r.pos)
		if rows == 0 {
			continue
		}
		t := parseColumnType(name)
		if err := t.prefix(r); err != nil {
			return 0, err
		}
		if err := t.data(r, rows); err != nil {
			return 0, err
		}
	}
	return r.pos, n.emit(buf[:r.pos])
}

func (n *nativeWriter) emit(block []byte) error {
	if _, err := n.w.Write(blockInfo); err != nil {
		return err
	}
	from := 0
	if n.revision >= revisionCustomSerialization {
		for _, cut := range n.cuts {
			if _, err := n.w.Write(block[from:cut]); err != nil {
				return err
			}
			if _, err := n.w.Write([]byte{0}); err != nil {
				return err
			}
			from = cut
		}
	}
	_, err := n.w.Write(block[from:])
	return err
}
