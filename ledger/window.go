package ledger

import "time"

// Windows are the day, the week and the month around a moment, in one time zone. Starts are inside, ends are not.
type Windows struct {
	DayStart, DayEnd     time.Time
	WeekStart, WeekEnd   time.Time
	MonthStart, MonthEnd time.Time
}

// WindowsAt returns the windows around t in loc. A day begins with the first moment that has its date, so it can be 23 or
// 25 hours long, and begins at 01:00 where the clocks go forward at midnight. Weeks begin on Monday.
func WindowsAt(t time.Time, loc *time.Location) Windows {
	y, m, d := t.In(loc).Date()
	if !t.Before(startOfDate(y, m, d+1, loc)) {
		d++ // The clocks went back over midnight: the next day has begun already.
	}
	date := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	y, m, d = date.Date()
	sinceMonday := (int(date.Weekday()) + 6) % 7
	return Windows{
		DayStart: startOfDate(y, m, d, loc), DayEnd: startOfDate(y, m, d+1, loc),
		WeekStart: startOfDate(y, m, d-sinceMonday, loc), WeekEnd: startOfDate(y, m, d-sinceMonday+7, loc),
		MonthStart: startOfDate(y, m, 1, loc), MonthEnd: startOfDate(y, m+1, 1, loc),
	}
}

// startOfDate returns the first moment with this date in loc, or with a later one where the zone skips it. Days and months
// out of range are carried over, as by [time.Date], whose result is not used here: it does not say which one it takes
// where midnight comes twice or never.
func startOfDate(y int, m time.Month, d int, loc *time.Location) time.Time {
	midnight := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	// No zone is further from UTC than this, so the date has not begun yet.
	from := midnight.Add(-26 * time.Hour).In(loc)
	for {
		_, end := from.ZoneBounds()
		_, offset := from.Zone()
		begin := midnight.Add(-time.Duration(offset) * time.Second)
		switch {
		case begin.Before(from): // The clocks were put forward over midnight.
			return from.UTC()
		case end.IsZero() || begin.Before(end):
			return begin
		}
		from = end
	}
}
