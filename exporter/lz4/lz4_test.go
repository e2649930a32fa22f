package lz4

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	pierrec "github.com/pierrec/lz4/v4"
	"github.com/stretchr/testify/require"
)

// requireSame requires that another implementation decompresses what the compressor made to what it was given.
func requireSame(t require.TestingT, c *Compressor, data []byte) {
	packed := c.Append([]byte("before"), data)
	require.True(t, bytes.HasPrefix(packed, []byte("before")))
	packed = packed[len("before"):]
	require.LessOrEqual(t, len(packed), bound(len(data)))
	got := make([]byte, len(data))
	if len(data) == 0 {
		require.Equal(t, []byte{0}, packed)
		return
	}
	n, err := pierrec.UncompressBlock(packed, got)
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
	c := &Compressor{} // One for all: it has seen other data.
	inputs(func(name string, data []byte) {
		t.Log(name, len(data))
		requireSame(t, c, data)
	})
}

func TestTheSameDataGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	used := &Compressor{}
	inputs(func(_ string, data []byte) {
		require.Equal(t, (&Compressor{}).Append(nil, data), used.Append(nil, data))
	})
}

func FuzzLZ4(f *testing.F) {
	f.Add([]byte("abcabcabcabcabcabcabc"), uint16(3))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, uint16(1000))
	c := &Compressor{}
	f.Fuzz(func(t *testing.T, data []byte, repeat uint16) {
		requireSame(t, c, data)
		if len(data) > 0 {
			requireSame(t, c, bytes.Repeat(data, 1+int(repeat)%(1+100_000/len(data))))
		}
	})
}
