package delivery

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRequestsThatWaitAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, 400)
		require.NoError(t, g.enter(t.Context(), 1000, time.Second), "nothing waits: it may be large")
		outcome := make(chan error, 3)
		wait := func(size int64) {
			go func() { outcome <- g.enter(t.Context(), size, time.Second) }()
			synctest.Wait()
		}
		wait(60)
		wait(40)
		began := time.Now()
		require.ErrorIs(t, g.enter(t.Context(), 1, time.Second), errOverload, "100 of 400 bytes wait")
		require.Zero(t, time.Since(began), "it is refused at once")
		g.leave()
		require.NoError(t, <-outcome)
		wait(60)
		require.Empty(t, outcome, "there is room to wait again")
		require.ErrorIs(t, <-outcome, errOverload, "the others waited for too long")
		require.ErrorIs(t, <-outcome, errOverload)
		require.Zero(t, g.waiting)
		wait(1000) // Alone, any size may wait.
		require.Empty(t, outcome)
		g.leave()
		require.NoError(t, <-outcome)
		g.leave()
	})
}
