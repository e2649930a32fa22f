package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

const sourceChunk = 256 << 10

// source reads a file in large pieces.
type source struct {
	f    File
	size int64
	buf  []byte
	at   int64 // Offset of buf.

	// whole: the file is read in one piece into this memory, and what bytes returns stays valid as long as that does.
	whole *readMemory
}

func openSource(fs FS, name string) (*source, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &source{f: f, size: size}, nil
}

// bytes returns n bytes, fewer at the end of the file. They are valid until the next call, or, of a whole file, always.
func (s *source) bytes(off int64, n int) ([]byte, error) {
	if rest := s.size - off; int64(n) > rest {
		n = int(max(rest, 0))
	}
	if off >= s.at && off+int64(n) <= s.at+int64(len(s.buf)) {
		return s.buf[off-s.at:][:n], nil
	}
	want := int(min(int64(max(n, sourceChunk)), s.size-off))
	switch {
	case s.whole != nil:
		want = int(s.size - off)
		s.buf = s.whole.room(want)
		s.whole.take(want)
	case cap(s.buf) < want:
		s.buf = make([]byte, want)
	}
	s.buf, s.at = s.buf[:want], off
	if got, err := s.f.ReadAt(s.buf, off); err != nil && (!errors.Is(err, io.EOF) || got < want) {
		s.buf = s.buf[:0]
		return nil, fmt.Errorf("read: %w", err)
	}
	return s.buf[:n], nil
}

func (s *source) Close() error { return s.f.Close() }

// header reads the file's header, from its second copy if need be. start is where the records begin.
func (s *source) header(name string) (h fileHeader, start int64, damages []Damage, err error) {
	length, err := s.headerAt(&h, 0)
	if err == nil {
		both, err := s.bytes(0, 2*length)
		if err != nil {
			return h, 0, nil, err
		}
		if len(both) < 2*length || !bytes.Equal(both[:length], both[length:]) {
			damages = append(damages, Damage{name, int64(length), int64(len(both) - length), "the second copy of the header is not readable"})
		}
		return h, int64(len(both)), damages, nil
	}
	if !errors.Is(err, errHeader) {
		return h, 0, nil, err
	}
	for at := int64(1); at < min(s.size, maxLayout); at++ {
		piece, err := s.bytes(at, sourceChunk/2)
		if err != nil {
			return h, 0, nil, err
		}
		i := bytes.Index(piece, le.AppendUint32(nil, fileMagic))
		if i < 0 {
			at += int64(max(len(piece)-4, 0))
			continue
		}
		at += int64(i)
		length, err := s.headerAt(&h, at)
		if err == nil && int64(length) == at {
			damages = append(damages, Damage{name, 0, at, "the first copy of the header is not readable"})
			return h, 2 * at, damages, nil
		}
		if err != nil && !errors.Is(err, errHeader) {
			return h, 0, nil, err
		}
	}
	return h, 0, []Damage{{name, 0, s.size, "the header is not readable, neither is its copy"}}, errHeader
}

func (s *source) headerAt(h *fileHeader, at int64) (int, error) {
	b, err := s.bytes(at, preludeSize)
	if err != nil {
		return 0, err
	}
	length, err := prelude(b)
	if err != nil {
		return 0, err
	}
	if b, err = s.bytes(at, length); err != nil {
		return 0, err
	}
	if len(b) < length {
		return 0, errHeader
	}
	return length, h.parse(b)
}
