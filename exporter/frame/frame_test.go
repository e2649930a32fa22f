package frame

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/pierrec/lz4/v4"
	"github.com/stretchr/testify/require"
)

// requireSame requires that another implementation decompresses what the compressor made to what it was given.
func requireSame(t require.TestingT, c *compressor, data []byte) {
	packed := c.append([]byte("before"), data)
	require.True(t, bytes.HasPrefix(packed, []byte("before")))
	packed = packed[len("before"):]
	require.LessOrEqual(t, len(packed), bound(len(data)))
	got := make([]byte, len(data))
	if len(data) == 0 {
		require.Equal(t, []byte{0}, packed)
		return
	}
	n, err := lz4.UncompressBlock(packed, got)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got[:n]), "decompressed bytes differ")
}

// inputs are bytes of several kinds: of few and many different values, repeated near and far, in every length that the
// ends of blocks treat apart.
func inputs(f func(name string, data []byte)) {
	r := rand.New(rand.NewPCG(1, 2))
	random := func(n, values int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.IntN(values))
		}
		return b
	}
	for n := range 300 {
		f("zeros", make([]byte, n))
		f("few", random(n, 2))
		f("many", random(n, 256))
	}
	for _, n := range []int{1000, 65535, 65536, 65537, 70000, 200_000} {
		f("zeros", make([]byte, n))
		f("two", random(n, 2))
		f("few", random(n, 5))
		f("many", random(n, 256))
		once := random(n, 256)
		f("repeated", append(once, once...))
		f("repeated far", append(append(once[:500:500], random(maxDistance-500, 256)...), once...))
		f("text", []byte(strings.Repeat("the quick brown fox jumps over the lazy dog. ", n/45)))
	}
}

func TestOthersDecompressWhatIsCompressed(t *testing.T) {
	t.Parallel()
	c := &compressor{} // One for all: it has seen other data.
	inputs(func(name string, data []byte) {
		t.Log(name, len(data))
		requireSame(t, c, data)
	})
}

func TestTheSameDataGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	used := &compressor{}
	inputs(func(_ string, data []byte) {
		require.Equal(t, (&compressor{}).append(nil, data), used.append(nil, data))
	})
}

func FuzzLZ4(f *testing.F) {
	f.Add([]byte("abcabcabcabcabcabcabc"), uint16(3))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, uint16(1000))
	c := &compressor{}
	f.Fuzz(func(t *testing.T, data []byte, repeat uint16) {
		requireSame(t, c, data)
		if len(data) > 0 {
			requireSame(t, c, bytes.Repeat(data, 1+int(repeat)%(1+100_000/len(data))))
		}
	})
}

// TestClickHousesClientReadsFrames reads frames of each method with the reader of ClickHouse's own Go client.
func TestClickHousesClientReadsFrames(t *testing.T) {
	t.Parallel()
	for _, m := range []Method{MethodNone, MethodLZ4, MethodZSTD} {
		e, err := NewEncoder(m)
		require.NoError(t, err)
		var all, packed []byte
		inputs(func(_ string, data []byte) {
			if len(data) == 0 {
				return
			}
			all = append(all, data...)
			packed = e.Append(packed, data)
		})
		got := make([]byte, len(all))
		_, err = io.ReadFull(compress.NewReader(bytes.NewReader(packed)), got)
		require.NoError(t, err)
		require.True(t, bytes.Equal(all, got))
	}
	_, err := NewEncoder(7)
	require.ErrorContains(t, err, "0x7 is not known")
}

// BenchmarkFrame compares with the library that others use. An operation is a megabyte of columns of texts and
// numbers.
func BenchmarkFrame(b *testing.B) {
	data := columns(1 << 20)
	b.Run("lz4", func(b *testing.B) {
		e, err := NewEncoder(MethodLZ4)
		require.NoError(b, err)
		var dst []byte
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			dst = e.Append(dst[:0], data)
		}
		b.ReportMetric(float64(len(data))/float64(len(dst)), "ratio")
	})
	b.Run("library", func(b *testing.B) {
		w := compress.NewWriter(compress.LevelZero, compress.LZ4)
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			require.NoError(b, w.Compress(data))
		}
		b.ReportMetric(float64(len(data))/float64(len(w.Data)), "ratio")
	})
}

// columns returns about n bytes as columns have them: a quarter numbers, then ids, then texts of words that come again.
func columns(n int) []byte {
	r := rand.New(rand.NewPCG(3, 4))
	var b []byte
	for at := uint64(1_767_225_600_000_000_000); len(b) < n/4; at += r.Uint64N(1_000_000) {
		for i := range 8 {
			b = append(b, byte(at>>(8*i)))
		}
	}
	for len(b) < n/2 {
		b = append(b, 32)
		for range 32 {
			b = append(b, "0123456789abcdef"[r.IntN(16)])
		}
	}
	words := make([]string, 3000)
	for i := range words {
		for range 2 + r.IntN(8) {
			words[i] += string(rune('a' + r.IntN(26)))
		}
	}
	for len(b) < n {
		b = append(b, words[min(len(words)-1, int(r.ExpFloat64()*500))]...)
		b = append(b, ' ')
	}
	return b[:n]
}
