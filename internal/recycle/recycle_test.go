package recycle_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/recycle"
)

func TestBytes(t *testing.T) {
	t.Parallel()
	var r recycle.Bytes
	for _, n := range []int{0, 1, 511, 512, 513, 4096, 4097, 1 << 20, 1<<23 - 1, 1 << 23, 1<<23 + 1} {
		for range 3 {
			b := r.Get(n)
			require.Empty(t, *b)
			require.GreaterOrEqual(t, cap(*b), n)
			require.LessOrEqual(t, cap(*b), max(n+n/4, 512), "at most a quarter is not used")
			*b = append(*b, make([]byte, n)...)
			r.Put(b)
		}
	}
	other := make([]byte, 0, 600)
	r.Put(&other)
	for range 10 {
		require.Equal(t, 640, cap(*r.Get(600)), "what it did not make is not kept")
	}
}
