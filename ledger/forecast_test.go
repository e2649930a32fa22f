package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/ledger"
)

func TestRunsOut(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	day := func(n float64) *time.Time {
		x := at.Add(time.Duration(n * 24 * float64(time.Hour)))
		return &x
	}
	lot := func(credits int64, priority int, expires *time.Time) ledger.Lot {
		return ledger.Lot{Remaining: ledger.Credits(credits) * ledger.Credit, Priority: priority, ExpiresAt: expires, CreatedAt: at}
	}
	f := func(name string, want *time.Time, held, perDay int64, lots ...ledger.Lot) {
		t.Helper()
		have := ledger.RunsOut(at, lots, ledger.Credits(held)*ledger.Credit, ledger.Credits(perDay)*ledger.Credit)
		require.Equal(t, want, have, name)
	}
	f("nothing is there", day(0), 0, 1)
	f("nothing is spent", nil, 0, 0, lot(1, 100, nil))
	f("steadily", day(5), 0, 2, lot(10, 100, nil))
	f("what is held is spent already", day(4), 2, 2, lot(10, 100, nil))
	f("all is held", day(0), 10, 2, lot(4, 1, nil), lot(6, 2, nil))
	f("more than a year", nil, 0, 1, lot(1000, 100, nil))
	f("nothing is spent and all expires", day(3), 0, 0, lot(10, 100, day(3)))
	f("what expires is lost", day(3), 0, 2, lot(10, 100, day(3)))
	f("then the next", day(8), 0, 2, lot(10, 1, day(3)), lot(10, 2, nil))
	f("what expires first of equals is used first", day(10), 0, 2, lot(10, 100, nil), lot(10, 100, day(6)))
	f("what comes later expires before its turn", day(5), 0, 2, lot(10, 1, nil), lot(10, 2, day(4)))
	f("what comes later loses a part", day(6), 0, 2, lot(10, 1, nil), lot(10, 2, day(6)))
	f("what has expired is not there", day(1), 0, 2, lot(10, 1, day(-1)), lot(2, 2, nil))
}

func TestBurn(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 8, 0, 0, 0, 0, time.UTC)
	f := func(want, captured ledger.Credits, since, window time.Duration) {
		t.Helper()
		require.Equal(t, want, ledger.NewBurn(1, captured, at.Add(-since), at, window).PerDay)
	}
	f(ledger.Credit, 7*ledger.Credit, 7*24*time.Hour, 7*24*time.Hour)
	f(ledger.Credit, 7*ledger.Credit, 1000*24*time.Hour, 7*24*time.Hour)
	f(3*ledger.Credit, 6*ledger.Credit, 48*time.Hour, 7*24*time.Hour)
	f(24*ledger.Credit, ledger.Credit, time.Second, 7*24*time.Hour)
	f(333333, ledger.Credit, 72*time.Hour, 7*24*time.Hour)
	require.Positive(t, ledger.NewBurn(1, ledger.MaxCredits, at, at, time.Hour).PerDay, "it does not overflow")
	f(0, 0, 0, time.Hour)
}
