package delivery

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/agenttrail/agenttrail/exporter/column"
	"github.com/agenttrail/agenttrail/exporter/frame"
)

// frameBytes is how much goes into one compressed frame: a part of the nearest large cache, so that it is still there
// when it is compressed. ClickHouse takes frames of up to 1 MiB and more.
const frameBytes = 256 << 10

// chunkBytes is the size of the pieces of a body. A frame fits into an empty one, whatever its method.
const chunkBytes = 1 << 20

// keepBytes is how large a buffer may be to be kept for reuse.
const keepBytes = 8 << 20

// encoder turns blocks into bodies of INSERTs. It may be used by several goroutines.
type encoder struct {
	method     frame.Method
	compressed bool
	sets       sync.Pool // *column.Set, for requests
	buffers    sync.Pool // *[]byte
	framers    sync.Pool // *framer
	chunks     sync.Pool // *[]byte, of chunkBytes
}

// framer makes frames.
type framer struct {
	frames *frame.Encoder
	buf    []byte // One of them, before compression.
}

// body is that of an INSERT, in chunks: a block may be large, and would be copied often while it grows in one piece.
// Who uses it has a share, because a request that was given up may go on to read it for a while.
type body struct {
	enc    *encoder
	chunks []*[]byte
	size   int
	shares atomic.Int32
}

// open returns a reader from the beginning, which has a share until it is closed.
func (b *body) open() io.ReadCloser {
	parts := make([]io.Reader, len(b.chunks))
	for i, c := range b.chunks {
		parts[i] = bytes.NewReader(*c)
	}
	b.shares.Add(1)
	return &bodyReader{Reader: io.MultiReader(parts...), release: sync.OnceFunc(b.release)}
}

// release gives up a share. With the last one the memory is used again.
func (b *body) release() {
	if b.shares.Add(-1) > 0 {
		return
	}
	for _, c := range b.chunks {
		*c = (*c)[:0]
		b.enc.chunks.Put(c)
	}
	b.chunks = nil
}

type bodyReader struct {
	io.Reader
	release func()
}

// Close implements [io.Closer].
func (r *bodyReader) Close() error {
	r.release()
	return nil
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
		return nil, fmt.Errorf("unknown compression %q: use auto, lz4, zstd or none", c)
	}
	e.sets.New = func() any { return column.NewSet() }
	e.buffers.New = func() any { return new([]byte) }
	e.chunks.New = func() any {
		b := make([]byte, 0, chunkBytes)
		return &b
	}
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
	frames, err := frame.NewEncoder(e.method)
	if err != nil {
		return nil, err
	}
	return &framer{frames: frames, buf: make([]byte, 0, frameBytes)}, nil
}

// body makes the body of an INSERT of the rows of a table. The caller has a share.
func (e *encoder) body(blocks *column.Blocks, table string) (*body, error) {
	b := &body{enc: e}
	b.shares.Store(1)
	fill := b.copy
	if e.compressed {
		fill = b.compress
	}
	if err := fill(blocks, table); err != nil {
		b.release()
		return nil, err
	}
	return b, nil
}

// compress fills the body with compressed frames.
func (b *body) compress(blocks *column.Blocks, table string) error {
	f, err := b.enc.framer()
	if err != nil {
		return err
	}
	defer b.enc.framers.Put(f)
	return blocks.EmitNative(table, f.buf, func(p []byte) ([]byte, error) {
		last := b.room()
		before := len(*last)
		*last = f.frames.Append(*last, p)
		b.size += len(*last) - before
		return p, nil
	})
}

// copy fills the body with the block as it is, which is written into the chunks at once.
func (b *body) copy(blocks *column.Blocks, table string) error {
	last := b.grow()
	if err := blocks.EmitNative(table, *last, func(p []byte) ([]byte, error) {
		*last = p
		b.size += len(p)
		last = b.grow()
		return *last, nil
	}); err != nil {
		return err
	}
	b.chunks = b.chunks[:len(b.chunks)-1] // Nothing came after the last frame.
	b.enc.chunks.Put(last)
	return nil
}

// room returns a chunk that has room for a frame.
func (b *body) room() *[]byte {
	if n := len(b.chunks); n > 0 {
		if last := b.chunks[n-1]; cap(*last)-len(*last) >= frame.Bound(frameBytes) {
			return last
		}
	}
	return b.grow()
}

// grow adds an empty chunk.
func (b *body) grow() *[]byte {
	c := b.enc.chunks.Get().(*[]byte)
	b.chunks = append(b.chunks, c)
	return c
}
