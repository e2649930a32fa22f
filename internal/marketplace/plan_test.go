package marketplace

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPlan(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	draw := func(seed uint64) []*run {
		p := newPlanner(seed, catalog(), people(200))
		var runs []*run
		for range 3000 {
			runs = append(runs, p.plan(p.arrival(from, from.Add(24*time.Hour))))
		}
		return runs
	}
	runs := draw(5)

	t.Run("OneSeedDrawsOneHistory", func(t *testing.T) {
		t.Parallel()
		again := draw(5)
		for i := range runs {
			require.Equal(t, runs[i].id, again[i].id)
			require.Equal(t, runs[i].duration, again[i].duration)
		}
		require.NotEqual(t, runs[0].id, draw(6)[0].id)
	})
	t.Run("RunsAreConsistent", func(t *testing.T) {
		t.Parallel()
		outcomes, hours := map[string]int{}, map[int]int{}
		for _, r := range runs {
			require.False(t, r.requested.Before(from) || !r.requested.Before(from.Add(24*time.Hour)))
			require.Equal(t, r.start, r.requested.Add(r.queue))
			require.Equal(t, r.outcome == outcomeSuccess, r.fault == nil)
			require.NotEmpty(t, r.steps)
			for _, s := range r.steps {
				require.LessOrEqual(t, s.cached, s.input)
				require.True(t, s.kind == stepAgent || s.offset+s.duration <= r.duration, "steps end before their run")
			}
			outcomes[r.outcome]++
			hours[r.requested.Hour()]++
		}
		require.Len(t, outcomes, 4)
		require.Greater(t, outcomes[outcomeSuccess], 2500)
		require.Greater(t, hours[10], 3*hours[3], "mornings are busier than nights")
	})
}

func TestReportText(t *testing.T) {
	t.Parallel()
	require.Equal(t, "999", thousands(999))
	require.Equal(t, "1,000", thousands(1000))
	require.Equal(t, "12,345,678", thousands(12345678))
	require.Equal(t, "▁█▄", sparkline([]uint64{0, 14, 7}))
	require.Equal(t, "▁▁", sparkline([]uint64{0, 0}))
	require.Equal(t, "ab…", cut("abcdef", 3))
	require.Equal(t, "a b", cut("a\nb", 3))
}
