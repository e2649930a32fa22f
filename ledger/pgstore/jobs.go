package pgstore

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/agenttrail/agenttrail/ledger"
)

// partitionsAhead is for how many months ahead Maintain makes tables.
const partitionsAhead = 3

// eventLifetime is how long events wait in the outbox.
const eventLifetime = 7 * 24 * time.Hour

// purgeBatch is the most rows that one statement of Maintain removes.
const purgeBatch = 10_000

// ExpireDue implements [ledger.Jobs].
func (s *Store) ExpireDue(ctx context.Context, limit int) (ledger.Expired, error) {
	var done ledger.Expired
	at, tell := s.now()
	if tell == nil {
		var err error
		if at, err = readOne(ctx, s, "time", "SELECT clock_timestamp()", nil, pgx.RowTo[time.Time]); err != nil {
			return done, err
		}
	}
	for _, kind := range []struct {
		due   string
		count *int
		one   func(ctx context.Context, id uuid.UUID) (bool, error)
	}{
		{"SELECT id FROM ledger.holds WHERE status = 'active' AND expires_at <= $1 ORDER BY expires_at LIMIT $2", &done.Holds, s.expireHold},
		{"SELECT id FROM ledger.approvals WHERE status = 'pending' AND expires_at <= $1 ORDER BY expires_at LIMIT $2", &done.Approvals, s.expireApproval},
		{"SELECT user_id FROM ledger.wallets WHERE next_expiry <= $1 AND EXISTS (SELECT FROM ledger.due_credits(user_id, $1)) ORDER BY next_expiry LIMIT $2", &done.Grants, s.expireGrants},
	} {
		due, err := read(ctx, s, kind.due, []any{at, limit}, pgx.RowTo[uuid.UUID])
		if err != nil {
			return done, err
		}
		for _, id := range due {
			expired, err := kind.one(ctx, id)
			if err != nil {
				return done, err
			}
			if expired {
				*kind.count++
			}
		}
	}
	return done, nil
}

func expiryCall() *ledger.Call { return &ledger.Call{Actor: ledger.System("expiry")} }

func (s *Store) expireHold(ctx context.Context, id uuid.UUID) (expired bool, err error) {
	call := expiryCall()
	_, tell := s.now()
	err = s.unit(ctx, true, func(conn *pgxpool.Conn) error {
		outcome, _, _, err := callSettle(ctx, conn, []any{call.Actor.String(), "", call.Actor.Principal, "", []byte{}, id, nil, "expire", nil, tell})
		expired = outcome == "ok"
		return err
	})
	return expired, err
}

func (s *Store) expireApproval(ctx context.Context, id uuid.UUID) (bool, error) {
	return write(ctx, s, expiryCall(), func(ctx context.Context, w *work) (bool, error) {
		a, err := queryOne(ctx, w, "approval", selectApproval+" WHERE p.id = $1", []any{id}, scanApproval)
		if err != nil {
			return false, err
		}
		if _, err := w.lockWallet(ctx, a.UserID); err != nil {
			return false, err
		}
		a, err = queryOne(ctx, w, "approval", selectApproval+" WHERE p.id = $1", []any{id}, scanApproval)
		if err != nil || a.Status != ledger.ApprovalPending {
			return false, err
		}
		at, err := w.clock(ctx)
		if err != nil || at.Before(a.ExpiresAt) {
			return false, err
		}
		return true, w.closeApproval(ctx, a, ledger.ApprovalExpired, ledger.StatusExpired, "", at)
	})
}

func (s *Store) expireGrants(ctx context.Context, user uuid.UUID) (bool, error) {
	return write(ctx, s, expiryCall(), func(ctx context.Context, w *work) (bool, error) {
		if _, err := w.lockWallet(ctx, user); err != nil {
			return false, err
		}
		at, err := w.clock(ctx)
		if err != nil {
			return false, err
		}
		var taken int
		err = w.QueryRow(ctx, "SELECT ledger.sweep($1, $2)", user, at).Scan(&taken)
		return taken > 0, err
	})
}

// Maintain implements [ledger.Jobs].
func (s *Store) Maintain(ctx context.Context) error {
	now, _ := s.now()
	err := s.unit(ctx, true, func(conn *pgxpool.Conn) error {
		_, err := conn.Exec(ctx, "SELECT ledger.make_audit_partitions($1)", partitionsAhead)
		return err
	})
	keys := s.purge(ctx, "idempotency_keys", now.Add(-ledger.KeyLifetime))
	events := s.purge(ctx, "outbox", now.Add(-eventLifetime))
	return errors.Join(err, keys, events)
}

// purge removes old rows, some at a time so that no lock is held for long.
func (s *Store) purge(ctx context.Context, table string, before time.Time) error {
	for {
		var n int64
		err := s.unit(ctx, true, func(conn *pgxpool.Conn) error {
			tag, err := conn.Exec(ctx, "DELETE FROM ledger."+table+" WHERE ctid = ANY (ARRAY(SELECT ctid FROM ledger."+table+" WHERE created_at < $1 LIMIT $2))", before, purgeBatch)
			n = tag.RowsAffected()
			return err
		})
		if err != nil || n < purgeBatch {
			return err
		}
	}
}

// Totals implements [ledger.Jobs].
func (s *Store) Totals(ctx context.Context) (ledger.Totals, error) {
	t := ledger.Totals{Holds: map[ledger.HoldStatus]int64{}}
	err := s.inTx(ctx, func(q querier) error {
		var due *time.Duration
		var active int64
		err := q.QueryRow(ctx, `SELECT (SELECT count(*) FROM ledger.wallets WHERE NOT closed), (SELECT coalesce(sum(posted), 0)::bigint FROM ledger.wallets), (SELECT coalesce(sum(held), 0)::bigint FROM ledger.wallets),
			(SELECT count(*) FROM ledger.holds WHERE status = 'active'), d.n, d.age, (SELECT count(*) FROM ledger.approvals WHERE status = 'pending')
			FROM (SELECT count(*) AS n, clock_timestamp() - min(expires_at) AS age FROM ledger.holds WHERE status = 'active' AND expires_at <= clock_timestamp()) d`).
			Scan(&t.Users, (*int64)(&t.Posted), (*int64)(&t.Held), &active, &t.HoldsDue, &due, &t.Approvals)
		if err != nil {
			return err
		}
		t.Holds[ledger.HoldActive] = active
		if due != nil {
			t.OldestDue = *due
		}
		for _, trail := range ledger.Trails() {
			var n int64
			if err := q.QueryRow(ctx, "SELECT count(*) FROM ledger."+string(trail)+" WHERE id > (SELECT coalesce(max(upto_id), 0) FROM ledger.audit_blocks WHERE trail = $1)", string(trail)).Scan(&n); err != nil {
				return err
			}
			t.Unsealed += n
		}
		return keyTotals(ctx, q, &t)
	})
	return t, err
}

// keyTotals counts API keys and finds those that end soon. One that was replaced ends because it should.
func keyTotals(ctx context.Context, q querier, t *ledger.Totals) error {
	if err := q.QueryRow(ctx, "SELECT count(*) FROM ledger.api_keys WHERE (revoked_at IS NULL OR revoked_at > clock_timestamp()) AND (expires_at IS NULL OR expires_at > clock_timestamp())").Scan(&t.Keys); err != nil {
		return err
	}
	rows, err := q.Query(ctx, `SELECT name, prefix, expires_at FROM ledger.api_keys WHERE revoked_at IS NULL AND replaced_by IS NULL
		AND expires_at BETWEEN clock_timestamp() - interval '1 day' AND clock_timestamp() + interval '30 days' ORDER BY expires_at, id LIMIT 20`)
	if err != nil {
		return err
	}
	t.Expiring, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (k ledger.KeyExpiry, err error) {
		return k, row.Scan(&k.Name, &k.Prefix, &k.ExpiresAt)
	})
	return err
}
