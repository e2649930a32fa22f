package frame

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/go-faster/city"
	"github.com/klauspost/compress/zstd"

	"github.com/agenttrail/agenttrail/exporter/lz4"
)

// Method is how a frame is compressed.
type Method byte

// The methods, by the byte that stands for them in a frame.
const (
	MethodNone Method = 0x02
	MethodLZ4  Method = 0x82
	MethodZSTD Method = 0x90
)

const (
	checksumSize = 16
	// headSize is that of the method, the size of the frame without the checksum, and the size before compression.
	headSize = 1 + 4 + 4
	// MaxBytes is how much one frame may hold: more than ClickHouse reads into a buffer at once makes no sense.
	MaxBytes = 64 << 20
)

// Bound is how many bytes a frame with n bytes of data may take, and how much room makes [Encoder.Append] allocate
// nothing.
func Bound(n int) int { return checksumSize + headSize + lz4.Room(n) }

// Encoder appends frames. It is not safe for concurrent use.
type Encoder struct {
	method Method
	lz4    *lz4.Compressor
	zstd   *zstd.Encoder
}

// NewEncoder returns an encoder for a method.
func NewEncoder(m Method) (*Encoder, error) {
	e := &Encoder{method: m}
	switch m {
	case MethodNone:
	case MethodLZ4:
		e.lz4 = &lz4.Compressor{}
	case MethodZSTD:
		var err error
		if e.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true)); err != nil {
			return nil, fmt.Errorf("make compressor: %w", err)
		}
	default:
		return nil, fmt.Errorf("make compressor: method %#x is not known", byte(m))
	}
	return e, nil
}

// Append appends one frame with data, at most [MaxBytes] of it, to dst.
func (e *Encoder) Append(dst, data []byte) []byte {
	if len(data) > MaxBytes {
		panic("BUG: a frame is too large")
	}
	start := len(dst)
	dst = slices.Grow(dst, checksumSize+headSize)[:start+checksumSize+headSize]
	switch e.method {
	case MethodLZ4:
		dst = e.lz4.Append(dst, data)
	case MethodZSTD:
		dst = e.zstd.EncodeAll(data, dst)
	default:
		dst = append(dst, data...)
	}
	size := len(dst) - start - checksumSize
	if size > math.MaxUint32 {
		panic("BUG: a compressed frame is too large")
	}
	head := dst[start+checksumSize:]
	head[0] = byte(e.method)
	binary.LittleEndian.PutUint32(head[1:], uint32(size))      //nolint:gosec // Checked above.
	binary.LittleEndian.PutUint32(head[5:], uint32(len(data))) //nolint:gosec // At most MaxBytes.
	sum := city.CH128(head)
	binary.LittleEndian.PutUint64(dst[start:], sum.Low)
	binary.LittleEndian.PutUint64(dst[start+8:], sum.High)
	return dst
}
