package delivery

import (
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

// body is that of an INSERT, in parts: a block may be large, and would be copied often while it grows in one piece. Parts
// are in chunks of memory or, of a block that is not compressed, where the records have them. Who uses the body has a
// share, because a request that was given up may go on to read it for a while.
type body struct {
	enc    *encoder
	parts  [][]byte
	chunks []*[]byte
	held   *held // The records, if parts are in them.
	size   int
	shares atomic.Int32
}

// open returns a reader from the beginning, which has a share until it is closed.
func (b *body) open() io.ReadCloser {
	b.shares.Add(1)
	return &bodyReader{parts: b.parts, release: sync.OnceFunc(b.release)}
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
	b.chunks, b.parts = nil, nil
	if b.held != nil {
		b.held.release()
	}
}

// bodyReader reads parts. It fills what it is given, because what it is given becomes one write to the socket.
type bodyReader struct {
	parts   [][]byte
	at      int // In the first part.
	release func()
}

// Read implements [io.Reader].
func (r *bodyReader) Read(p []byte) (n int, err error) {
	for n < len(p) && len(r.parts) > 0 {
		c := copy(p[n:], r.parts[0][r.at:])
		n += c
		if r.at += c; r.at == len(r.parts[0]) {
			r.parts, r.at = r.parts[1:], 0
		}
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
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

// body makes the body of an INSERT of the rows of a table, which are in records that h holds. The caller has a share.
func (e *encoder) body(blocks *column.Blocks, table string, h *held) (*body, error) {
	b := &body{enc: e}
	b.shares.Store(1)
	fill := b.copy
	switch {
	case e.compressed:
		fill = b.compress
	case blocks.Size(table) >= h.bytes/2: // Else the few rows of a small table would keep much more in memory.
		fill, b.held = b.refer, h.share()
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
	if err := blocks.EmitNative(table, f.buf, func(p []byte) ([]byte, error) {
		last := b.room(frame.Bound(frameBytes))
		*last = f.frames.Append(*last, p)
		return p, nil
	}); err != nil {
		return err
	}
	for _, c := range b.chunks {
		b.add(*c)
	}
	return nil
}

// copy fills the body with the block as it is, which is written into the chunks at once.
func (b *body) copy(blocks *column.Blocks, table string) error {
	return blocks.EmitNative(table, b.tail(), b.written)
}

// refer fills the body with the block as it is: its long pieces stay in the records, what is between them goes into
// chunks.
func (b *body) refer(blocks *column.Blocks, table string) error {
	return blocks.EmitPieces(table, b.tail(), b.written, b.add)
}

// tail is the room of the last chunk.
func (b *body) tail() []byte {
	last := b.room(minFrame)
	return (*last)[len(*last):]
}

// written takes note of what was written to the tail, and returns the next.
func (b *body) written(p []byte) ([]byte, error) {
	last := b.chunks[len(b.chunks)-1]
	*last = (*last)[:len(*last)+len(p)]
	b.add(p)
	return b.tail(), nil
}

// minFrame is how much room a chunk must have to be written to.
const minFrame = 16 << 10

func (b *body) add(part []byte) {
	b.parts = append(b.parts, part)
	b.size += len(part)
}

// room returns a chunk that has room for n bytes.
func (b *body) room(n int) *[]byte {
	if k := len(b.chunks); k > 0 {
		if last := b.chunks[k-1]; cap(*last)-len(*last) >= n {
			return last
		}
	}
	c := b.enc.chunks.Get().(*[]byte)
	b.chunks = append(b.chunks, c)
	return c
}
