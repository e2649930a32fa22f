package pgstore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/agenttrail/agenttrail/ledger"
)

// stripeEventLifetime is how long events are kept. Stripe can be asked for them for 30 days.
const stripeEventLifetime = 90 * 24 * time.Hour

// SaveEvent keeps an event unless it is there, and runs then, if there is one, in the same transaction.
func (s *Store) SaveEvent(ctx context.Context, e ledger.Event, then func(ctx context.Context, tx pgx.Tx) error) (fresh bool, err error) {
	err = s.unit(ctx, true, func(conn *pgxpool.Conn) error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			err := tx.QueryRow(ctx, `INSERT INTO ledger.stripe_events (id, type, api_version, livemode, object_id, payment_id, created, payload) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
				ON CONFLICT (id) DO UPDATE SET deliveries = stripe_events.deliveries + 1 RETURNING deliveries = 1`,
				e.ID, e.Type, e.APIVersion, e.Live, e.ObjectID, e.PaymentID, e.Created, []byte(e.Payload)).Scan(&fresh)
			if err != nil || !fresh || then == nil {
				return err
			}
			return then(ctx, tx)
		})
	})
	return fresh, err
}

// Event reads an event.
func (s *Store) Event(ctx context.Context, id string) (ledger.Event, error) {
	return readOne(ctx, s, "event", "SELECT id, type, api_version, livemode, object_id, payment_id, created, payload, state, attempts FROM ledger.stripe_events WHERE id = $1", []any{id},
		func(row pgx.CollectableRow) (ledger.Event, error) {
			var e ledger.Event
			return e, row.Scan(&e.ID, &e.Type, &e.APIVersion, &e.Live, &e.ObjectID, &e.PaymentID, &e.Created, (*[]byte)(&e.Payload), &e.State, &e.Attempts)
		})
}

// EndEvent says what became of an event. An empty state leaves it pending. One that was done with stays so.
func (s *Store) EndEvent(ctx context.Context, id string, state ledger.EventState, why string) error {
	return s.unit(ctx, true, func(conn *pgxpool.Conn) error {
		_, err := conn.Exec(ctx, `UPDATE ledger.stripe_events SET attempts = attempts + 1, last_error = $3, state = coalesce($2, state), processed_at = CASE WHEN $2 IS NOT NULL THEN clock_timestamp() END
			WHERE id = $1 AND state = 'pending'`, id, orNull(string(state)), clipText(why))
		return err
	})
}

// PendingEvents are the oldest that came before a time and are not done with, those first that were tried least often.
func (s *Store) PendingEvents(ctx context.Context, age time.Duration, limit int) ([]string, error) {
	at, _ := s.now()
	return read(ctx, s, "SELECT id FROM ledger.stripe_events WHERE state = 'pending' AND received_at <= $1 ORDER BY attempts, received_at LIMIT $2", []any{at.Add(-age), limit}, pgx.RowTo[string])
}

// UnknownEvents are the events among these that are not kept.
func (s *Store) UnknownEvents(ctx context.Context, ids []string) ([]string, error) {
	return read(ctx, s, "SELECT id.id FROM unnest($1::text[]) AS id (id) WHERE NOT EXISTS (SELECT FROM ledger.stripe_events e WHERE e.id = id.id)", []any{ids}, pgx.RowTo[string])
}

// PurgeEvents removes those that were done with so long ago that Stripe cannot send them any more.
func (s *Store) PurgeEvents(ctx context.Context) error {
	return s.unit(ctx, true, func(conn *pgxpool.Conn) error {
		_, err := conn.Exec(ctx, "DELETE FROM ledger.stripe_events WHERE ctid = ANY (ARRAY(SELECT ctid FROM ledger.stripe_events WHERE received_at < clock_timestamp() - $1::interval AND state IN ('processed', 'ignored') LIMIT $2))",
			stripeEventLifetime, purgeBatch)
		return err
	})
}
