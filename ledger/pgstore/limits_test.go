package pgstore_test

import (
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/ledger"
)

// pastHold is a hold with the rules that it was authorized under.
type pastHold struct {
	Mandate          uuid.UUID
	Amount, Captured int64
	Status           ledger.HoldStatus
	At               time.Time
	Resolved         *time.Time
	Receipt          struct {
		Available, Day, Week, Month, Total, DayCount, Count, Active int64
	}
	Rules ledger.Rules
}

// counts is what the hold took of limits at some moment.
func (h pastHold) counts(at time.Time) (amount, executions, active int64) {
	switch {
	case !h.At.Before(at):
		return 0, 0, 0
	case h.Resolved == nil || !h.Resolved.Before(at):
		return h.Amount, 1, 1
	case h.Status == ledger.HoldCaptured:
		return h.Captured, 1, 0
	default:
		return 0, 0, 0
	}
}

// limitsHeld plays all holds in the order of their times. At the moment of each, what counted is what its receipt says,
// and the limits of its rules permitted it.
func (st *storm) limitsHeld() {
	t := st.t
	rows, err := st.connect(t).Query(t.Context(), `SELECT h.mandate_id, h.amount, h.captured, h.status, h.authorized_at, h.resolved_at, t.receipt, v.rules
		FROM ledger.holds h JOIN ledger.transactions t ON t.id = h.id JOIN ledger.mandate_versions v ON v.mandate_id = h.mandate_id AND v.version = t.mandate_version ORDER BY h.authorized_at`)
	require.NoError(t, err)
	holds, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (pastHold, error) {
		var h pastHold
		return h, row.Scan(&h.Mandate, &h.Amount, &h.Captured, &h.Status, &h.At, &h.Resolved, &h.Receipt, &h.Rules)
	})
	require.NoError(t, err)
	byMandate := map[uuid.UUID][]pastHold{}
	for _, h := range holds {
		byMandate[h.Mandate] = append(byMandate[h.Mandate], h)
	}
	for _, own := range byMandate {
		for i, h := range own {
			loc, err := h.Rules.Location()
			require.NoError(t, err)
			w := ledger.WindowsAt(h.At, loc)
			var u ledger.Usage
			for _, before := range own[:i] {
				amount, n, active := before.counts(h.At)
				u.Total += ledger.Credits(amount)
				u.Count += n
				u.Active += active
				if !before.At.Before(w.DayStart) {
					u.Day += ledger.Credits(amount)
					u.DayCount += n
				}
				if !before.At.Before(w.WeekStart) {
					u.Week += ledger.Credits(amount)
				}
				if !before.At.Before(w.MonthStart) {
					u.Month += ledger.Credits(amount)
				}
			}
			r := h.Receipt
			told := ledger.Usage{
				Day: ledger.Credits(r.Day), Week: ledger.Credits(r.Week), Month: ledger.Credits(r.Month), Total: ledger.Credits(r.Total),
				DayCount: r.DayCount, Count: r.Count, Active: r.Active,
			}
			require.Equal(t, u, told, "hold of %s", h.At)
			for limit, used := range map[*ledger.Credits]ledger.Credits{
				h.Rules.MaxPerExecution: 0, h.Rules.MaxPerDay: u.Day, h.Rules.MaxPerWeek: u.Week, h.Rules.MaxPerMonth: u.Month, h.Rules.MaxTotal: u.Total,
			} {
				require.False(t, limit != nil && used+ledger.Credits(h.Amount) > *limit, "hold of %s exceeds a limit", h.At)
			}
			require.False(t, h.Rules.MaxCountPerDay != nil && u.DayCount >= *h.Rules.MaxCountPerDay, "hold of %s", h.At)
			require.False(t, h.Rules.MaxConcurrent != nil && u.Active >= *h.Rules.MaxConcurrent, "hold of %s", h.At)
			require.GreaterOrEqual(t, r.Available, h.Amount)
		}
	}
	require.True(t, slices.IsSortedFunc(holds, func(a, b pastHold) int { return a.At.Compare(b.At) }))
}
