package ledger

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestWindowsAt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, zone, at, day, dayEnd, week, month string }{
		{"utc", "UTC", "2026-11-28T12:00:00Z", "2026-11-28T00:00:00Z", "2026-11-29T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-01T00:00:00Z"},
		{"a day of 23 hours", "Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", "2026-03-22T23:00:00Z", "2026-02-28T23:00:00Z"},
		{"a day of 25 hours", "Europe/Berlin", "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", "2026-10-18T22:00:00Z", "2026-09-30T22:00:00Z"},
		{"forward at midnight", "Africa/Cairo", "2026-04-24T10:00:00Z", "2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z", "2026-04-19T22:00:00Z", "2026-03-31T22:00:00Z"},
		{"back over midnight", "Africa/Cairo", "2026-10-29T21:30:00Z", "2026-10-28T21:00:00Z", "2026-10-29T22:00:00Z", "2026-10-25T21:00:00Z", "2026-09-30T21:00:00Z"},
		{"midnight twice", "America/Havana", "2026-11-01T12:00:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z", "2026-10-26T04:00:00Z", "2026-11-01T04:00:00Z"},
		{"a date that was skipped", "Pacific/Apia", "2011-12-29T23:00:00Z", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-26T10:00:00Z", "2011-12-01T10:00:00Z"},
		{"a shift of half an hour", "Australia/Lord_Howe", "2026-04-05T01:00:00Z", "2026-04-04T13:00:00Z", "2026-04-05T13:30:00Z", "2026-03-29T13:00:00Z", "2026-03-31T13:00:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			loc, err := time.LoadLocation(c.zone)
			require.NoError(t, err)
			w := WindowsAt(moment(t, c.at), loc)
			require.Equal(t, []string{c.day, c.dayEnd, c.week, c.month}, []string{text(w.DayStart), text(w.DayEnd), text(w.WeekStart), text(w.MonthStart)})
		})
	}
}

func moment(t require.TestingT, s string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, s)
	require.NoError(t, err)
	return at
}

func text(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Whatever the zone does, windows hold their moment, follow each other without gaps, and a moment of the same date is in
// the same day.
func TestWindowsCoverTime(t *testing.T) {
	t.Parallel()
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "Africa/Cairo", "America/Havana", "Asia/Beirut", "Pacific/Apia", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns", "America/Sao_Paulo", "Africa/Casablanca", "Pacific/Kwajalein"}
	rapid.Check(t, func(t *rapid.T) {
		loc, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
		require.NoError(t, err)
		at := time.Unix(rapid.Int64Range(0, 2_000_000_000).Draw(t, "at"), 0)
		w := WindowsAt(at, loc)
		for _, span := range [][2]time.Time{{w.DayStart, w.DayEnd}, {w.WeekStart, w.WeekEnd}, {w.MonthStart, w.MonthEnd}} {
			require.False(t, at.Before(span[0]), "%s begins after %s", span[0], at)
			require.True(t, at.Before(span[1]), "%s ends before %s", span[1], at)
		}
		require.Equal(t, w.DayStart, WindowsAt(w.DayStart, loc).DayStart)
		require.Equal(t, w.DayStart, WindowsAt(w.DayEnd.Add(-1), loc).DayStart)
		require.Equal(t, w.DayEnd, WindowsAt(w.DayEnd, loc).DayStart)
		require.Equal(t, time.Monday, w.WeekStart.In(loc).Weekday())
		require.Equal(t, 1, w.MonthStart.In(loc).Day())
		require.False(t, w.DayStart.Before(w.WeekStart))
		require.False(t, w.DayStart.Before(w.MonthStart))
	})
}
