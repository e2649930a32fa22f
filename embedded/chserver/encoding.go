package chserver

import (
	"compress/bzip2"
	"compress/gzip"
	"compress/zlib"
	"io"
	"strings"

	"github.com/andybalholm/brotli"
	kgzip "github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	kzlib "github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// decodeBody undoes the Content-Encoding of a request.
func decodeBody(encoding string, body io.Reader) (io.Reader, func(), error) {
	none := func() {}
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return body, none, nil
	case "gzip", "x-gzip":
		return &lazyReader{open: func() (io.Reader, error) { return gzip.NewReader(body) }}, none, nil
	case "deflate":
		return &lazyReader{open: func() (io.Reader, error) { return zlib.NewReader(body) }}, none, nil
	case "zstd":
		dec, err := zstd.NewReader(body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return nil, none, err
		}
		return dec, dec.Close, nil
	case "br":
		return brotli.NewReader(body), none, nil
	case "lz4":
		return lz4.NewReader(body), none, nil
	case "snappy":
		return snappy.NewReader(body), none, nil
	case "bz2":
		return bzip2.NewReader(body), none, nil
	}
	return nil, none, newError(codeNotImplemented, "Unknown compression method '%s' in Content-Encoding. Only 'gzip', 'deflate', 'br', 'zstd', 'lz4', 'snappy' and 'bz2' are supported", encoding)
}

// lazyReader opens a decompressor that reads its header at once only when the first byte is asked for.
type lazyReader struct {
	open func() (io.Reader, error)
	r    io.Reader
}

func (l *lazyReader) Read(p []byte) (int, error) {
	if l.r == nil {
		r, err := l.open()
		if err != nil {
			return 0, err
		}
		l.r = r
	}
	return l.r.Read(p)
}

// chooseEncoding picks the compression of the answer from Accept-Encoding, in ClickHouse's order of preference. Quality values
// are ignored except zero.
func chooseEncoding(accept string) string {
	offered := map[string]bool{}
	for item := range strings.SplitSeq(accept, ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(item), ";")
		q := strings.ReplaceAll(params, " ", "")
		if q == "q=0" || strings.HasPrefix(q, "q=0.0") && strings.Trim(q[len("q=0."):], "0") == "" {
			continue
		}
		offered[strings.ToLower(strings.TrimSpace(name))] = true
	}
	for _, name := range []string{"zstd", "br", "lz4", "snappy", "gzip", "deflate"} {
		if offered[name] {
			return name
		}
	}
	return ""
}

// flushWriter is a compressor that can be flushed in the middle.
type flushWriter interface {
	io.WriteCloser
	Flush() error
}

// newEncoder makes the compressor for an encoding that chooseEncoding gave. level is http_zlib_compression_level.
func newEncoder(encoding string, level int, w io.Writer) (flushWriter, error) {
	level = min(max(level, 1), 9)
	switch encoding {
	case "zstd":
		return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(level)))
	case "br":
		return brotli.NewWriterLevel(w, level), nil
	case "lz4":
		return lz4.NewWriter(w), nil
	case "snappy":
		return snappy.NewBufferedWriter(w), nil
	case "gzip":
		return kgzip.NewWriterLevel(w, level)
	default:
		return kzlib.NewWriterLevel(w, level)
	}
}
