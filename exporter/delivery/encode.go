package delivery

import (
	"fmt"
	"sync"

	"github.com/ClickHouse/ch-go/compress"

	"github.com/agenttrail/agenttrail/exporter/column"
)

// frameBytes is how much goes into one compressed frame, as in ClickHouse's own max_compress_block_size.
const frameBytes = 1 << 20

// keepBytes is how large a buffer may be to be kept for reuse.
const keepBytes = 8 << 20

// encoder turns sets into bodies of INSERTs. It may be used by several goroutines.
type encoder struct {
	method      compress.Method
	compressed  bool
	sets        sync.Pool // *column.Set, for requests
	buffers     sync.Pool // *[]byte
	compressors sync.Pool // *compress.Writer
}

func newEncoder(c Compression) (*encoder, error) {
	e := &encoder{compressed: true}
	switch c {
	case CompressionNone:
		e.compressed = false
	case CompressionLZ4:
		e.method = compress.LZ4
	case CompressionZSTD:
		e.method = compress.ZSTD
	default:
		return nil, fmt.Errorf("unknown compression %q: use lz4, zstd or none", c)
	}
	e.sets.New = func() any { return column.NewSet() }
	e.buffers.New = func() any { return new([]byte) }
	e.compressors.New = func() any { return compress.NewWriter(compress.LevelZero, e.method) }
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

// body makes the body of an INSERT of a block in Native format, which it releases. The caller releases the body.
func (e *encoder) body(native *[]byte) (*[]byte, error) {
	if !e.compressed {
		return native, nil
	}
	body, err := e.compress(*native)
	e.release(native)
	return body, err
}

func (e *encoder) compress(native []byte) (*[]byte, error) {
	w := e.compressors.Get().(*compress.Writer)
	defer e.compressors.Put(w)
	body := e.buffer()
	for len(native) > 0 {
		n := min(len(native), frameBytes)
		if err := w.Compress(native[:n]); err != nil {
			e.release(body)
			return nil, fmt.Errorf("compress block: %w", err)
		}
		*body = append(*body, w.Data...)
		native = native[n:]
	}
	return body, nil
}
