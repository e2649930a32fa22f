package delivery

import (
	"fmt"
	"sync"

	"github.com/agenttrail/agenttrail/exporter/column"
	"github.com/agenttrail/agenttrail/exporter/frame"
)

// frameBytes is how much goes into one compressed frame: a part of the nearest large cache, so that it is still there
// when it is compressed. ClickHouse takes frames of up to 1 MiB and more.
const frameBytes = 256 << 10

// keepBytes is how large a buffer may be to be kept for reuse.
const keepBytes = 8 << 20

// encoder turns blocks into bodies of INSERTs. It may be used by several goroutines.
type encoder struct {
	method     frame.Method
	compressed bool
	sets       sync.Pool // *column.Set, for requests
	buffers    sync.Pool // *[]byte
	framers    sync.Pool // *framer
}

// framer makes frames.
type framer struct {
	frames *frame.Encoder
	buf    []byte // One of them, before compression.
}

func newEncoder(c Compression) (*encoder, error) {
	e := &encoder{compressed: true}
	switch c {
	case CompressionNone:
		e.compressed = false
	case CompressionLZ4:
		e.method = frame.MethodLZ4
	case CompressionZSTD:
		e.method = frame.MethodZSTD
	default:
		return nil, fmt.Errorf("unknown compression %q: use lz4, zstd or none", c)
	}
	e.sets.New = func() any { return column.NewSet() }
	e.buffers.New = func() any { return new([]byte) }
	return e, nil
}

func (e *encoder) set() *column.Set { return e.sets.Get().(*column.Set) }

func (e *encoder) releaseSet(s *column.Set) {
	s.Reset()
	e.sets.Put(s)
}

// buffer returns an empty buffer, to be released.
func (e *encoder) buffer() *[]byte { return e.buffers.Get().(*[]byte) }

func (e *encoder) release(b *[]byte) {
	if cap(*b) <= keepBytes {
		*b = (*b)[:0]
		e.buffers.Put(b)
	}
}

func (e *encoder) framer() (*framer, error) {
	if f, ok := e.framers.Get().(*framer); ok {
		return f, nil
	}
	f := &framer{buf: make([]byte, 0, frameBytes)}
	if !e.compressed {
		return f, nil
	}
	var err error
	f.frames, err = frame.NewEncoder(e.method)
	return f, err
}

// body makes the body of an INSERT of the rows of a table. The caller releases it.
func (e *encoder) body(blocks *column.Blocks, table string) (*[]byte, error) {
	f, err := e.framer()
	if err != nil {
		return nil, err
	}
	defer e.framers.Put(f)
	body := e.buffer()
	if err := blocks.EmitNative(table, f.buf, func(p []byte) error {
		if e.compressed {
			*body = f.frames.Append(*body, p)
		} else {
			*body = append(*body, p...)
		}
		return nil
	}); err != nil {
		e.release(body)
		return nil, err
	}
	return body, nil
}
