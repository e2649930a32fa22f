package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/agenttrail/agenttrail/ledger"
)

const selectGuard = `SELECT g.mandate_id, g.left_seconds, g.tripped_at, g.row_version FROM ledger.mandate_guards g`

func scanGuard(row pgx.CollectableRow) (ledger.Guard, error) {
	var g ledger.Guard
	return g, row.Scan(&g.MandateID, &g.LeftSeconds, &g.TrippedAt, &g.RowVersion)
}

func readGuard(ctx context.Context, q querier, mandate uuid.UUID) (ledger.Guard, error) {
	g, err := queryOne(ctx, q, "guard", selectGuard+" WHERE g.mandate_id = $1", []any{mandate}, scanGuard)
	if ledger.CodeOf(err) == ledger.CodeNotFound {
		return ledger.Guard{MandateID: mandate}, nil
	}
	return g, err
}

// Guard implements [ledger.Forecasts].
func (s *Store) Guard(ctx context.Context, actor ledger.Actor, mandate uuid.UUID) (g ledger.Guard, err error) {
	if _, err := s.Mandate(ctx, actor, mandate); err != nil {
		return g, err
	}
	err = s.inTx(ctx, func(q querier) error {
		g, err = readGuard(ctx, q, mandate)
		return err
	})
	return g, err
}

// SetGuard implements [ledger.Forecasts].
func (s *Store) SetGuard(ctx context.Context, call *ledger.Call, mandate uuid.UUID, in ledger.GuardInput) (ledger.Guard, error) {
	if err := call.Actor.Require(ledger.ScopeManage); err != nil {
		return ledger.Guard{}, err
	}
	if err := in.Validate(); err != nil {
		return ledger.Guard{}, err
	}
	return write(ctx, s, call, func(ctx context.Context, w *work) (ledger.Guard, error) {
		owner, err := queryOne(ctx, w, "mandate", "SELECT user_id FROM ledger.mandates WHERE id = $1", []any{mandate}, pgx.RowTo[uuid.UUID])
		if err == nil {
			err = call.Actor.MayTouch(owner)
		}
		if err == nil {
			_, err = w.lockWallet(ctx, owner)
		}
		if err != nil {
			return ledger.Guard{}, err
		}
		g, err := readGuard(ctx, w, mandate)
		if err == nil && (in.IfVersion != ledger.NoInteraction || g.RowVersion != 0) {
			err = ifVersion(in.IfVersion, g.RowVersion)
		}
		if err != nil {
			return g, err
		}
		if _, err := w.Exec(ctx, `INSERT INTO ledger.mandate_guards AS g (mandate_id, left_seconds) VALUES ($1, $2)
			ON CONFLICT (mandate_id) DO UPDATE SET left_seconds = excluded.left_seconds, tripped_at = NULL, updated_at = clock_timestamp(), row_version = g.row_version + 1`, mandate, (*int64)(in.LeftSeconds)); err != nil {
			return g, err
		}
		return readGuard(ctx, w, mandate)
	})
}

// guardBatch is how many mandates are looked at together.
const guardBatch = 200

// CheckGuards suspends mandates whose credits would run out too soon, by the forecast of the default window, and returns how
// many. A mandate that somebody resumes is suspended again only after its forecast was above the threshold in between.
func (s *Store) CheckGuards(ctx context.Context) (suspended int, err error) {
	at, err := s.clock(ctx)
	if err != nil {
		return 0, err
	}
	after := uuid.Nil
	for {
		due, err := read(ctx, s, `SELECT g.mandate_id, m.user_id FROM ledger.mandate_guards g JOIN ledger.mandates m ON m.id = g.mandate_id
			WHERE g.left_seconds IS NOT NULL AND m.status = 'active' AND g.mandate_id > $1 ORDER BY 1 LIMIT $2`, []any{after, guardBatch}, func(row pgx.CollectableRow) (guarded, error) {
			var g guarded
			return g, row.Scan(&g.mandate, &g.user)
		})
		if err != nil || len(due) == 0 {
			return suspended, err
		}
		after = due[len(due)-1].mandate
		for _, g := range due {
			did, err := s.checkGuard(ctx, g, at)
			if err != nil {
				return suspended, fmt.Errorf("check guard of mandate %s: %w", g.mandate, err)
			}
			if did {
				suspended++
			}
		}
	}
}

type guarded struct{ mandate, user uuid.UUID }

// checkGuard suspends one mandate if its guard says so.
func (s *Store) checkGuard(ctx context.Context, of guarded, at time.Time) (suspended bool, err error) {
	return write(ctx, s, &ledger.Call{Actor: ledger.System("forecast")}, func(ctx context.Context, w *work) (bool, error) {
		if _, err := w.lockWallet(ctx, of.user); err != nil {
			return false, err
		}
		f, err := userForecast(ctx, w, of.user, at, ledger.DefaultForecastWindow)
		if err != nil {
			return false, err
		}
		for _, m := range f.Mandates {
			if m.MandateID != of.mandate || m.Guard == nil || m.Guard.LeftSeconds == nil {
				continue
			}
			// A mandate that nothing is spent by is no reason for anything, though its user's credits run out.
			low := m.Burn.Captured > 0 && m.RunsOutAt != nil && m.RunsOutAt.Sub(at) < time.Duration(*m.Guard.LeftSeconds)*time.Second
			switch {
			case low && m.Guard.TrippedAt == nil:
				if _, err := w.Exec(ctx, "UPDATE ledger.mandate_guards SET tripped_at = $2, updated_at = $2, row_version = row_version + 1 WHERE mandate_id = $1", of.mandate, at); err != nil {
					return false, err
				}
				tag, err := w.Exec(ctx, "UPDATE ledger.mandates SET status = 'suspended', updated_at = greatest($2, updated_at), row_version = row_version + 1 WHERE id = $1 AND status = 'active'", of.mandate, at)
				return tag.RowsAffected() == 1, err
			case !low && m.Guard.TrippedAt != nil:
				_, err := w.Exec(ctx, "UPDATE ledger.mandate_guards SET tripped_at = NULL, updated_at = $2, row_version = row_version + 1 WHERE mandate_id = $1", of.mandate, at)
				return false, err
			}
		}
		return false, nil
	})
}
