package chserver

import (
	"encoding/binary"
	"errors"
	"io"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/go-faster/city"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// ClickHouse's own compression (compress=1, decompress=1): frames of a CityHash128 checksum, a method byte, the sizes with
// and without compression, and the data (src/Compression/CompressedReadBufferBase.cpp).
const (
	frameChecksumSize = 16
	frameHeaderSize   = 9 // method, compressed size including this header, uncompressed size
	frameMaxSize      = 1 << 30
	frameWriteSize    = 1 << 20 // max_compress_block_size

	frameMethodNone = 0x02
	frameMethodLZ4  = 0x82
	frameMethodZSTD = 0x90
)

// frameReader decompresses a sequence of frames.
type frameReader struct {
	r             io.Reader
	skipChecksums bool // http_native_compression_disable_checksumming_on_decompress
	head          [frameChecksumSize + frameHeaderSize]byte
	raw, data     []byte
	pos           int
	zstd          *zstd.Decoder
}

func (f *frameReader) Read(p []byte) (int, error) {
	for f.pos >= len(f.data) {
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, f.data[f.pos:])
	f.pos += n
	return n, nil
}

// Close frees the decompressor.
func (f *frameReader) Close() {
	if f.zstd != nil {
		f.zstd.Close()
	}
}

func (f *frameReader) next() error {
	f.data, f.pos = f.data[:0], 0
	if _, err := io.ReadFull(f.r, f.head[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return io.EOF
		}
		return frameReadError(err)
	}
	size := binary.LittleEndian.Uint32(f.head[frameChecksumSize+1:])
	plain := binary.LittleEndian.Uint32(f.head[frameChecksumSize+5:])
	if size < frameHeaderSize || size > frameMaxSize || plain > frameMaxSize {
		return newError(codeTooLargeCompressed, "Wrong or too large size of a compressed block: %d compressed, %d uncompressed. "+
			"Most likely the data is corrupted or not compressed with ClickHouse's format", size, plain)
	}
	f.raw = grow(f.raw, int(size))
	copy(f.raw, f.head[frameChecksumSize:])
	// Read piece by piece: a wrong size must not take memory that no data comes for.
	if err := readFull(f.r, f.raw[frameHeaderSize:]); err != nil {
		return frameReadError(err)
	}
	if !f.skipChecksums {
		sum := city.CH128(f.raw)
		if sum.Low != binary.LittleEndian.Uint64(f.head[0:]) || sum.High != binary.LittleEndian.Uint64(f.head[8:]) {
			return newError(codeChecksumMismatch, "Checksum doesn't match: corrupted data. Reference: %016x%016x. Actual: %016x%016x. Size of compressed block: %d",
				binary.LittleEndian.Uint64(f.head[0:]), binary.LittleEndian.Uint64(f.head[8:]), sum.Low, sum.High, size)
		}
	}
	return f.decompress(f.raw[0], f.raw[frameHeaderSize:], int(plain))
}

func (f *frameReader) decompress(method byte, src []byte, plain int) error {
	switch method {
	case frameMethodNone:
		f.data = append(f.data, src...)
	case frameMethodLZ4:
		f.data = grow(f.data, plain)
		n, err := lz4.UncompressBlock(src, f.data)
		if err != nil {
			return newError(codeCannotDecompress, "Cannot decompress LZ4-encoded data: %s", err)
		}
		f.data = f.data[:n]
	case frameMethodZSTD:
		if f.zstd == nil {
			dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(frameMaxSize))
			if err != nil {
				return err
			}
			f.zstd = dec
		}
		out, err := f.zstd.DecodeAll(src, grow(f.data, plain)[:0])
		if err != nil {
			return newError(codeCannotDecompress, "Cannot decompress ZSTD-encoded data: %s", err)
		}
		f.data = out
	default:
		return newError(codeCannotDecompress, "Unknown compression method 0x%02x of a compressed block", method)
	}
	if len(f.data) != plain {
		return newError(codeCannotDecompress, "Decompressed block has %d bytes instead of %d", len(f.data), plain)
	}
	return nil
}

func grow(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

// readFull fills b.
func readFull(r io.Reader, b []byte) error {
	_, err := io.ReadFull(r, b)
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func frameReadError(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return newError(codeCannotReadAllData, "Cannot read all data: the compressed body ends in the middle of a block")
	}
	return err
}

// frameWriter compresses what is written to it into frames of at most frameWriteSize bytes.
type frameWriter struct {
	w   io.Writer
	c   *compress.Writer
	buf []byte
}

// newFrameWriter takes the method of the setting network_compression_method.
func newFrameWriter(w io.Writer, method string) *frameWriter {
	m := compress.LZ4
	switch strings.ToUpper(method) {
	case "ZSTD":
		m = compress.ZSTD
	case "NONE":
		m = compress.None
	}
	return &frameWriter{w: w, c: compress.NewWriter(compress.LevelZero, m)}
}

func (f *frameWriter) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		if len(f.buf) == 0 && len(p) >= frameWriteSize { // whole frames need no copy
			if err := f.frame(p[:frameWriteSize]); err != nil {
				return 0, err
			}
			p = p[frameWriteSize:]
			continue
		}
		n := min(frameWriteSize-len(f.buf), len(p))
		f.buf = append(f.buf, p[:n]...)
		p = p[n:]
		if len(f.buf) == frameWriteSize {
			if err := f.Flush(); err != nil {
				return 0, err
			}
		}
	}
	return total, nil
}

// Flush writes what was held back as a frame.
func (f *frameWriter) Flush() error {
	if len(f.buf) == 0 {
		return nil
	}
	err := f.frame(f.buf)
	f.buf = f.buf[:0]
	return err
}

func (f *frameWriter) frame(p []byte) error {
	if err := f.c.Compress(p); err != nil {
		return err
	}
	_, err := f.w.Write(f.c.Data)
	return err
}
