package otlp

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBufferPool(t *testing.T) {
	t.Parallel()
	var p bufferPool
	for _, length := range []int{0, 1, 255, 256, 257, 4096, 4097, 1 << 20, 1<<24 - 1, 1 << 24, 1<<24 + 1} {
		b := p.Get(length)
		require.Len(t, *b, length)
		p.Put(b)
		again := p.Get(length)
		require.Len(t, *again, length)
		require.Less(t, cap(*again), 2*max(length, 256), "no more than twice what was asked for")
	}
	small := make([]byte, 300)
	p.Put(&small)
	for range 10 {
		require.Equal(t, 512, cap(*p.Get(300)), "what it did not make is not kept")
	}
}
