package pgstore

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/agenttrail/agenttrail/ledger"
)

// Mark is how far something was read; the zero Mark if it never was.
func (s *Store) Mark(ctx context.Context, name string) (ledger.Mark, error) {
	marks, err := read(ctx, s, "SELECT upto, full_at FROM ledger.sync_marks WHERE name = $1", []any{name}, pgx.RowToStructByPos[ledger.Mark])
	if err != nil || len(marks) == 0 {
		return ledger.Mark{}, err
	}
	return marks[0], nil
}

// SetMark writes down how far something was read. A mark never goes back: the instance that read less was overtaken.
func (s *Store) SetMark(ctx context.Context, name string, m ledger.Mark, at time.Time) error {
	return s.unit(ctx, true, func(conn *pgxpool.Conn) error {
		_, err := conn.Exec(ctx, `INSERT INTO ledger.sync_marks AS m (name, upto, full_at, synced_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (name) DO UPDATE SET upto = greatest(m.upto, excluded.upto), full_at = greatest(m.full_at, excluded.full_at), synced_at = greatest(m.synced_at, excluded.synced_at)`,
			name, m.Upto, m.FullAt, at)
		return err
	})
}

// SetAgentTotals writes statistics of agents down. Of two instances that read at once the one that began later wins.
func (s *Store) SetAgentTotals(ctx context.Context, at time.Time, list []ledger.AgentTotals) error {
	n := len(list)
	agents, durations := make([]string, n), make([]pgtype.Numeric, n)
	executions, successful, failed, timeouts, credits := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	for i, t := range list {
		agents[i], durations[i] = clean(t.Agent), pgtype.Numeric{Int: t.DurationNs, Valid: true}
		executions[i], successful[i], failed[i], timeouts[i], credits[i] = t.Executions, t.Successful, t.Failed, t.Timeouts, int64(t.Credits)
	}
	return s.unit(ctx, true, func(conn *pgxpool.Conn) error {
		_, err := conn.Exec(ctx, `INSERT INTO ledger.agent_statistics AS s (agent, executions, successful, failed, timeouts, duration_ns, credits, synced_at)
			SELECT u.*, $8 FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::numeric[], $7::bigint[]) AS u ORDER BY 1
			ON CONFLICT (agent) DO UPDATE SET (executions, successful, failed, timeouts, duration_ns, credits, synced_at) =
				(excluded.executions, excluded.successful, excluded.failed, excluded.timeouts, excluded.duration_ns, excluded.credits, excluded.synced_at)
			WHERE s.synced_at <= excluded.synced_at`,
			agents, executions, successful, failed, timeouts, durations, credits, at)
		return err
	})
}

// SetUsageTotals writes statistics of how users use agents down, as SetAgentTotals does.
func (s *Store) SetUsageTotals(ctx context.Context, at time.Time, list []ledger.UsageTotals) error {
	n := len(list)
	users, agents, last := make([]uuid.UUID, n), make([]string, n), make([]time.Time, n)
	executions, successful, credits, days, hours := make([]int64, n), make([]int64, n), make([]int64, n), make([]int, n), make([]int, n)
	for i, t := range list {
		users[i], agents[i], last[i] = t.UserID, clean(t.Agent), t.LastUsedAt
		executions[i], successful[i], credits[i], days[i], hours[i] = t.Executions, t.Successful, int64(t.Credits), t.Days, t.PreferredHour
	}
	return s.unit(ctx, true, func(conn *pgxpool.Conn) error {
		_, err := conn.Exec(ctx, `INSERT INTO ledger.user_agent_statistics AS s (user_id, agent, executions, successful, credits, days, preferred_hour, last_used_at, synced_at)
			SELECT u.*, $9 FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::int[], $7::smallint[], $8::timestamptz[]) AS u ORDER BY 1, 2
			ON CONFLICT (user_id, agent) DO UPDATE SET (executions, successful, credits, days, preferred_hour, last_used_at, synced_at) =
				(excluded.executions, excluded.successful, excluded.credits, excluded.days, excluded.preferred_hour, excluded.last_used_at, excluded.synced_at)
			WHERE s.synced_at <= excluded.synced_at`,
			users, agents, executions, successful, credits, days, hours, last, at)
		return err
	})
}

// RemoveStatistics removes what was written down before a moment.
func (s *Store) RemoveStatistics(ctx context.Context, before time.Time) error {
	return s.unit(ctx, true, func(conn *pgxpool.Conn) error {
		for _, table := range []string{"agent_statistics", "user_agent_statistics"} {
			if _, err := conn.Exec(ctx, "DELETE FROM ledger."+table+" WHERE synced_at < $1", before); err != nil {
				return err
			}
		}
		return nil
	})
}

// AgentStatistics implements [ledger.Statistics].
func (s *Store) AgentStatistics(ctx context.Context, _ ledger.Actor, slugOrID string) (ledger.AgentStatistics, error) {
	column, value := "a.slug", any(slugOrID)
	if id, err := uuid.Parse(slugOrID); err == nil {
		column, value = "a.id", id
	}
	return readOne(ctx, s, "agent", `SELECT a.id, a.slug, coalesce(t.executions, 0), coalesce(t.successful, 0), coalesce(t.failed, 0), coalesce(t.timeouts, 0),
			t.successful::float8 / t.executions, (t.duration_ns / 1000000 / t.executions)::float8, coalesce(t.credits, 0)::bigint, r.n, r.average, m.synced_at
		FROM ledger.agents a LEFT JOIN ledger.agent_statistics t ON t.agent = a.slug LEFT JOIN ledger.sync_marks m ON m.name = 'statistics',
			LATERAL (SELECT count(*) AS n, avg(i.rating)::float8 AS average FROM ledger.user_agent_interactions i WHERE i.agent_id = a.id AND i.rating IS NOT NULL) r
		WHERE `+column+" = $1", []any{value}, func(row pgx.CollectableRow) (ledger.AgentStatistics, error) {
		var t ledger.AgentStatistics
		return t, row.Scan(&t.AgentID, &t.Agent, &t.Executions, &t.Successful, &t.Failed, &t.Timeouts, &t.SuccessRate, &t.AvgDuration, (*int64)(&t.Credits), &t.Ratings, &t.AvgRating, &t.SyncedAt)
	})
}

// UsageStatistics implements [ledger.Statistics].
func (s *Store) UsageStatistics(ctx context.Context, actor ledger.Actor, user uuid.UUID, p ledger.Page) (ledger.List[ledger.UsageStatistics], error) {
	if _, err := s.User(ctx, actor, user); err != nil {
		return ledger.List[ledger.UsageStatistics]{}, err
	}
	q := query{}
	q.where("t.user_id = $", user)
	return list(ctx, s, `SELECT t.user_id, a.id, t.agent, t.executions, t.successful, t.credits::bigint, t.days, t.executions::float8 / t.days, div(t.credits, t.days)::bigint, t.preferred_hour, t.last_used_at, t.synced_at
		FROM ledger.user_agent_statistics t LEFT JOIN ledger.agents a ON a.slug = t.agent`, q, byText{"t.agent"}, p, func(row pgx.CollectableRow) (ledger.UsageStatistics, error) {
		var t ledger.UsageStatistics
		return t, row.Scan(&t.UserID, &t.AgentID, &t.Agent, &t.Executions, &t.Successful, (*int64)(&t.Credits), &t.Days, &t.AvgExecutions, (*int64)(&t.AvgCredits), &t.PreferredTimeOfDay, &t.LastUsedAt, &t.SyncedAt)
	}, func(t ledger.UsageStatistics) string { return textCursor(t.Agent) })
}
