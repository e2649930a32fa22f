package pgstore

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/agenttrail/agenttrail/ledger"
)

func readMandate(ctx context.Context, q querier, id uuid.UUID, at time.Time) (ledger.Mandate, error) {
	return queryOne(ctx, q, "mandate", "SELECT "+mandateColumns+" FROM "+mandateTables+" WHERE m.id = $2", []any{at, id}, scanMandate)
}

// CreateMandate implements [ledger.Mandates].
func (s *Store) CreateMandate(ctx context.Context, call *ledger.Call, in ledger.MandateInput) (ledger.Mandate, error) {
	if err := call.Actor.Require(ledger.ScopeManage); err != nil {
		return ledger.Mandate{}, err
	}
	if err := call.Actor.MayTouch(in.UserID); err != nil {
		return ledger.Mandate{}, err
	}
	if err := in.Validate(); err != nil {
		return ledger.Mandate{}, err
	}
	return write(ctx, s, call, func(ctx context.Context, w *work) (ledger.Mandate, error) {
		own, err := w.lockWallet(ctx, in.UserID)
		if err != nil {
			return ledger.Mandate{}, err
		}
		if own.closed {
			return ledger.Mandate{}, refusedBecause(ledger.CodeUserClosed)
		}
		at, err := w.clock(ctx)
		if err != nil {
			return ledger.Mandate{}, err
		}
		id := orNew(in.ID)
		if _, err := w.Exec(ctx, "INSERT INTO ledger.mandates (id, user_id, name, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)", id, in.UserID, in.Name, at); err != nil {
			return ledger.Mandate{}, err
		}
		return w.addRules(ctx, id, 1, in.Rules, in.EffectiveAt, at)
	})
}

// addRules adds a version of a mandate.
func (w *work) addRules(ctx context.Context, id uuid.UUID, version int, rules ledger.Rules, effective, at time.Time) (ledger.Mandate, error) {
	text, err := json.Marshal(rules)
	if err != nil {
		return ledger.Mandate{}, fmt.Errorf("write rules: %w", err)
	}
	if effective.IsZero() {
		effective = at
	}
	if effective.Before(at) {
		return ledger.Mandate{}, ledger.Invalid("effectiveAt", "must not be in the past")
	}
	if _, err := w.Exec(ctx, "INSERT INTO ledger.mandate_versions (mandate_id, version, rules, effective_at, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6)",
		id, version, text, effective, at, w.call.Actor.String()); err != nil {
		return ledger.Mandate{}, err
	}
	return readMandate(ctx, w, id, at)
}

// changeMandate locks the wallet of a mandate's user and then runs f with the mandate as it is.
func (s *Store) changeMandate(ctx context.Context, call *ledger.Call, id uuid.UUID, version int, f func(ctx context.Context, w *work, m ledger.Mandate, at time.Time) error) (ledger.Mandate, error) {
	if err := call.Actor.Require(ledger.ScopeManage); err != nil {
		return ledger.Mandate{}, err
	}
	return write(ctx, s, call, func(ctx context.Context, w *work) (ledger.Mandate, error) {
		at, err := w.clock(ctx)
		if err != nil {
			return ledger.Mandate{}, err
		}
		m, err := readMandate(ctx, w, id, at)
		if err == nil {
			err = call.Actor.MayTouch(m.UserID)
		}
		if err == nil {
			_, err = w.lockWallet(ctx, m.UserID)
		}
		if err == nil {
			at, err = w.clock(ctx)
		}
		if err == nil {
			m, err = readMandate(ctx, w, id, at)
		}
		if err == nil {
			err = ifVersion(version, m.RowVersion)
		}
		if err == nil && m.Status == ledger.MandateRevoked {
			err = ledger.Errorf(ledger.CodeConflict, "the mandate is revoked")
		}
		if err == nil {
			err = f(ctx, w, m, at)
		}
		if err != nil {
			return ledger.Mandate{}, err
		}
		return readMandate(ctx, w, id, at)
	})
}

// ReplaceRules implements [ledger.Mandates].
func (s *Store) ReplaceRules(ctx context.Context, call *ledger.Call, id uuid.UUID, in ledger.MandateVersionInput) (ledger.Mandate, error) {
	if err := in.Rules.Validate(); err != nil {
		return ledger.Mandate{}, err
	}
	return s.changeMandate(ctx, call, id, in.IfVersion, func(ctx context.Context, w *work, _ ledger.Mandate, at time.Time) error {
		var version int
		if err := w.QueryRow(ctx, "SELECT max(version) + 1 FROM ledger.mandate_versions WHERE mandate_id = $1", id).Scan(&version); err != nil {
			return err
		}
		_, err := w.addRules(ctx, id, version, in.Rules, in.EffectiveAt, at)
		return err
	})
}

// SuspendMandate implements [ledger.Mandates].
func (s *Store) SuspendMandate(ctx context.Context, call *ledger.Call, id uuid.UUID, in ledger.MandateChange) (ledger.Mandate, error) {
	return s.switchMandate(ctx, call, id, in, ledger.MandateActive, ledger.MandateSuspended)
}

// ResumeMandate implements [ledger.Mandates].
func (s *Store) ResumeMandate(ctx context.Context, call *ledger.Call, id uuid.UUID, in ledger.MandateChange) (ledger.Mandate, error) {
	return s.switchMandate(ctx, call, id, in, ledger.MandateSuspended, ledger.MandateActive)
}

func (s *Store) switchMandate(ctx context.Context, call *ledger.Call, id uuid.UUID, in ledger.MandateChange, from, to ledger.MandateStatus) (ledger.Mandate, error) {
	return s.changeMandate(ctx, call, id, in.IfVersion, func(ctx context.Context, w *work, m ledger.Mandate, at time.Time) error {
		if m.Status != from {
			return ledger.Errorf(ledger.CodeConflict, "the mandate is %s", m.Status)
		}
		_, err := w.Exec(ctx, "UPDATE ledger.mandates SET status = $2, updated_at = $3, row_version = row_version + 1 WHERE id = $1", id, string(to), at)
		return err
	})
}

// RevokeMandate implements [ledger.Mandates].
func (s *Store) RevokeMandate(ctx context.Context, call *ledger.Call, id uuid.UUID, in ledger.MandateChange) (ledger.Mandate, error) {
	if err := ledger.ValidateReason(in.Reason); err != nil {
		return ledger.Mandate{}, err
	}
	return s.changeMandate(ctx, call, id, in.IfVersion, func(ctx context.Context, w *work, _ ledger.Mandate, at time.Time) error {
		return w.revoke(ctx, "id", id, in.Reason, at, in.ReleaseHolds)
	})
}

// revoke revokes the mandates whose column has this value.
func (w *work) revoke(ctx context.Context, column string, id uuid.UUID, reason string, at time.Time, releaseHolds bool) error {
	if releaseHolds {
		if _, err := w.Exec(ctx, `UPDATE ledger.holds SET status = 'released', resolved_at = greatest($2, authorized_at), row_version = row_version + 1 WHERE mandate_id = $1 AND status = 'active'`, id, at); err != nil {
			return err
		}
	}
	_, err := w.Exec(ctx, `UPDATE ledger.mandates SET status = 'revoked', revoked_at = $2, revoked_by = $3, revoke_reason = $4, updated_at = $2, row_version = row_version + 1
		WHERE `+column+` = $1 AND status <> 'revoked'`, id, at, w.call.Actor.String(), reason)
	return err
}

// Mandate implements [ledger.Mandates].
func (s *Store) Mandate(ctx context.Context, actor ledger.Actor, id uuid.UUID) (ledger.Mandate, error) {
	q := s.mandateQuery(actor)
	q.where("m.id = $", id)
	return readOne(ctx, s, "mandate", "SELECT "+mandateColumns+" FROM "+mandateTables+q.conditionsSQL(), q.args, scanMandate)
}

// mandateQuery begins a query for mandates as they are now.
func (s *Store) mandateQuery(actor ledger.Actor) query {
	_, tell := s.now()
	q := query{args: []any{tell}} // What mandateTables takes.
	q.owner("m.user_id", actor)
	return q
}

// Mandates implements [ledger.Mandates].
func (s *Store) Mandates(ctx context.Context, actor ledger.Actor, f ledger.MandateFilter, p ledger.Page) (ledger.List[ledger.Mandate], error) {
	q := s.mandateQuery(actor)
	q.whereUser("m.user_id", f.UserID)
	q.whereText("m.status", string(f.Status))
	return list(ctx, s, "SELECT "+mandateColumns+" FROM "+mandateTables, q, byTime{"m.created_at", "m.id"}, p, scanMandate, func(m ledger.Mandate) string { return timeCursor(m.CreatedAt, m.ID) })
}

// MandateVersions implements [ledger.Mandates].
func (s *Store) MandateVersions(ctx context.Context, actor ledger.Actor, id uuid.UUID, p ledger.Page) (ledger.List[ledger.MandateVersion], error) {
	if _, err := s.Mandate(ctx, actor, id); err != nil {
		return ledger.List[ledger.MandateVersion]{}, err
	}
	q := query{}
	q.where("v.mandate_id = $", id)
	return list(ctx, s, "SELECT v.mandate_id, v.version, v.rules, v.effective_at, v.created_at, v.created_by FROM ledger.mandate_versions v", q, byNumber{"v.version"}, p,
		func(row pgx.CollectableRow) (ledger.MandateVersion, error) {
			var v ledger.MandateVersion
			return v, row.Scan(&v.MandateID, &v.Version, &v.Rules, &v.EffectiveAt, &v.CreatedAt, &v.CreatedBy)
		}, func(v ledger.MandateVersion) string { return strconv.Itoa(v.Version) })
}

// MandateUsage implements [ledger.Mandates].
func (s *Store) MandateUsage(ctx context.Context, actor ledger.Actor, id uuid.UUID) (ledger.Usage, error) {
	var f facts
	at, tell := s.now()
	err := s.inTx(ctx, func(q querier) error {
		if tell == nil {
			if err := q.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&at); err != nil {
				return err
			}
		}
		m, err := copyMandate(ctx, q, id, at)
		if err != nil {
			return err
		}
		if actor.MayTouch(m.UserID) != nil {
			return notFound("mandate")
		}
		return q.QueryRow(ctx, "SELECT day_used, week_used, month_used, total_used, day_count, total_count, active FROM ledger.usage_at($1, $2, $3, $4, $5)",
			id, m.Rules.TimeZone, m.windows.DayStart, m.windows.WeekStart, m.windows.MonthStart).Scan(&f.Day, &f.Week, &f.Month, &f.Total, &f.DayCount, &f.Count, &f.Active)
	})
	return f.usage(), err
}
