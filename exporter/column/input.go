package column

import (
	"encoding/binary"
	"fmt"
)

// input is what is left of the data that is being read.
type input struct {
	data []byte
	ids  []uint32 // Memory for the ids of a dictionary.
}

func (in *input) take(n uint64) ([]byte, error) {
	if n > uint64(len(in.data)) {
		return nil, fmt.Errorf("%w: %d bytes are missing", ErrRecord, n-uint64(len(in.data)))
	}
	head := in.data[:n:n]
	in.data = in.data[n:]
	return head, nil
}

// takeEach takes n values of the given width.
func (in *input) takeEach(n, width uint64) ([]byte, error) {
	if n > uint64(len(in.data))/width {
		return nil, fmt.Errorf("%w: %d values of %d bytes are more than its %d bytes", ErrRecord, n, width, len(in.data))
	}
	return in.take(n * width)
}

func (in *input) uint64() (uint64, error) {
	b, err := in.take(8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// uvarint reads a number that was written in as few bytes as possible.
func (in *input) uvarint() (uint64, error) {
	v, n := binary.Uvarint(in.data)
	if n <= 0 || n > 1 && in.data[n-1] == 0 {
		return 0, fmt.Errorf("%w: a length cannot be read", ErrRecord)
	}
	in.data = in.data[n:]
	return v, nil
}

// text takes a string, without its length.
func (in *input) text() ([]byte, error) {
	n, err := in.uvarint()
	if err != nil {
		return nil, err
	}
	return in.take(n)
}
