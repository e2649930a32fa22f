package journal

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// memory is a file that is only read.
type memory struct{ *bytes.Reader }

func (memory) WriteAt([]byte, int64) (int, error) { return 0, errors.ErrUnsupported }
func (memory) Truncate(int64) error               { return errors.ErrUnsupported }
func (memory) Sync() error                        { return nil }
func (memory) Close() error                       { return nil }
func (m memory) Size() (int64, error)             { return m.Reader.Size(), nil }

var _ io.ReaderAt = memory{}

// FuzzSegment reads whatever stands in a segment's file.
func FuzzSegment(f *testing.F) {
	names, err := filepath.Glob("testdata/v1/*.*")
	require.NoError(f, err)
	require.Greater(f, len(names), 3)
	for _, name := range names {
		b, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) { readAll(t, b) })
}

// FuzzRecords has checksums that are right over fields that are not.
func FuzzRecords(f *testing.F) {
	f.Add(bytes.Repeat([]byte{1, 0, 0, 0, 0, 0, 0, 0}, 20))
	f.Add([]byte("\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x08\x00\x00\x00\xff\xff\xff\x3f"))
	f.Fuzz(func(t *testing.T, b []byte) {
		head := fileHeader{kind: kindSegment, number: 2}
		file := head.encode()
		for len(b) >= recordHead {
			at := len(file)
			file = le.AppendUint32(file, recordMagic)
			file = append(file, b[4:recordHead]...)
			b = b[recordHead:]
			if kind := recordKind(file[at+4]); kind == kindRecord {
				n := min(int(file[at+16]), len(b))
				le.PutUint32(file[at+16:], uint32(n))
				file = append(file, b[:n]...)
				file = le.AppendUint32(file, crcOf(b[:n]))
				b = b[n:]
			}
			bind(file[at:], head.seed(), int64(at), le.Uint32(file[at+8:]))
		}
		readAll(t, append(file, b...))
	})
}

// readAll says that nothing panics, and that both passes over a file agree.
func readAll(t *testing.T, b []byte) {
	t.Helper()
	src := &source{f: memory{bytes.NewReader(b)}, size: int64(len(b))}
	head, start, _, err := src.header("file")
	if err != nil {
		return
	}
	require.LessOrEqual(t, start, int64(len(b)))
	s := &Segment{Number: head.number, Run: head.run, start: start}
	in, err := inspect(s, src, "file")
	require.NoError(t, err)
	require.Less(t, s.count, 1+len(b))
	for _, d := range in.damages {
		require.GreaterOrEqual(t, d.Bytes, int64(0))
		require.LessOrEqual(t, d.Offset+d.Bytes, int64(len(b)))
	}
	n := 0
	late, err := s.read(src, "file", func(i int, _ []byte) error {
		require.Less(t, i, s.count)
		n++
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, in.good, n+len(late), "data that cannot be decompressed is found only by the second pass")
}
