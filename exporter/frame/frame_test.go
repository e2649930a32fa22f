package frame

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/stretchr/testify/require"
)

// TestClickHousesClientReadsFrames reads frames of each method with the reader of ClickHouse's own Go client.
func TestClickHousesClientReadsFrames(t *testing.T) {
	t.Parallel()
	for _, m := range []Method{MethodNone, MethodLZ4, MethodZSTD} {
		e, err := NewEncoder(m)
		require.NoError(t, err)
		var all, packed []byte
		for _, data := range [][]byte{{7}, columns(100), bytes.Repeat([]byte("abc"), 50_000), columns(300_000)} {
			all = append(all, data...)
			packed = e.Append(packed, data)
		}
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
