package recycle_test

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/recycle"
)

func TestLarge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := recycle.Large{Limit: 10 << 20}
		first := r.Get(4 << 20)
		require.Empty(t, *first)
		*first = (*first)[:4<<20]
		(*first)[0] = 7
		r.Put(first)
		runtime.GC()
		runtime.GC()
		runtime.GC()
		again := r.Get(4<<20 + 4<<16)
		require.Same(t, first, again, "it has room for a little more, and collections of garbage leave it")
		require.Empty(t, *again)
		require.EqualValues(t, 7, (*again)[:1][0], "it is not cleared")

		small := r.Get(1 << 20)
		r.Put(again)
		r.Put(small)
		require.Same(t, small, r.Get(1<<19), "the smallest that is large enough")
		r.Put(small)
		require.NotSame(t, first, r.Get(8<<20))

		other := r.Get(8 << 20)
		r.Put(other)
		require.NotSame(t, other, r.Get(8<<20), "no more than the limit is kept")

		time.Sleep(time.Minute)
		require.NotSame(t, first, r.Get(4<<20), "what was not used for long is not kept")
	})
}
