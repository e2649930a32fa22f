package pgstore

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/agenttrail/agenttrail/ledger"
)

const (
	// spendingMark is how far spending was added up.
	spendingMark = "spending"
	// commitSlack is for how long a capture may not be seen by who adds up: it takes its time before it commits.
	commitSlack = 5 * time.Minute
	// topUsers is how many users a forecast of an agent names.
	topUsers = 20
)

// AddUpSpending adds up what was captured since it last did, by the hour, and removes what no forecast looks back at. Each
// hour is set anew, so it may run twice.
func (s *Store) AddUpSpending(ctx context.Context) (int, error) {
	at, err := s.clock(ctx)
	if err != nil {
		return 0, err
	}
	mark, err := s.Mark(ctx, spendingMark)
	if err != nil {
		return 0, err
	}
	oldest := at.Add(-ledger.MaxForecastWindow - time.Hour)
	from := mark.Upto.Add(-commitSlack)
	if from.Before(oldest) {
		from = oldest
	}
	var n int
	err = s.unit(ctx, true, func(conn *pgxpool.Conn) error {
		tx, err := conn.Begin(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // Does nothing after a commit.
		// The first time, and after a long stop, it is a month.
		if _, err := tx.Exec(ctx, "SELECT set_config('statement_timeout', '0', true)"); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, "SELECT ledger.add_up_spending($1)", from.Truncate(time.Hour)).Scan(&n); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM ledger.spending_hours WHERE hour < $1", oldest.Truncate(time.Hour)); err != nil {
			return err
		}
		return tx.Commit(ctx)
	})
	if err != nil {
		return 0, err
	}
	return n, s.SetMark(ctx, spendingMark, ledger.Mark{Upto: at, FullAt: at}, at)
}

// clock is the time of the database.
func (s *Store) clock(ctx context.Context) (time.Time, error) {
	at, tell := s.now()
	if tell != nil {
		return at, nil
	}
	return readOne(ctx, s, "time", "SELECT clock_timestamp()", nil, pgx.RowTo[time.Time])
}

// share is what was captured in a window of one key.
type share struct {
	user, agent, mandate uuid.UUID
	slug                 string
	executions           int64
	captured             int64
	first                time.Time
}

// shares adds up what was captured by user, agent and mandate since a moment. The hour in which the window begins counts
// in full.
func shares(ctx context.Context, q querier, condition string, value any, since time.Time) ([]share, error) {
	rows, err := q.Query(ctx, `SELECT s.user_id, s.agent_id, s.mandate_id, a.slug, sum(s.executions)::bigint, sum(s.captured)::bigint, min(s.hour)
		FROM ledger.spending_hours s JOIN ledger.agents a ON a.id = s.agent_id WHERE `+condition+` AND s.hour >= date_trunc('hour', $2::timestamptz, 'UTC') GROUP BY 1, 2, 3, 4`, value, since)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (share, error) {
		var s share
		return s, row.Scan(&s.user, &s.agent, &s.mandate, &s.slug, &s.executions, &s.captured, &s.first)
	})
}

// burn adds shares up.
func burn(list []share, at time.Time, window time.Duration) ledger.Burn {
	var executions int64
	var captured ledger.Credits
	first := at
	for _, s := range list {
		executions += s.executions
		captured += ledger.Credits(s.captured)
		if s.first.Before(first) {
			first = s.first
		}
	}
	return ledger.NewBurn(executions, captured, first, at, window)
}

// by groups shares.
func by(list []share, key func(share) uuid.UUID) map[uuid.UUID][]share {
	groups := map[uuid.UUID][]share{}
	for _, s := range list {
		groups[key(s)] = append(groups[key(s)], s)
	}
	return groups
}

// purse is what a user has to spend.
type purse struct {
	lots         []ledger.Lot
	posted, held ledger.Credits
}

func readPurse(ctx context.Context, q querier, user uuid.UUID) (purse, error) {
	var p purse
	if err := q.QueryRow(ctx, "SELECT posted, held FROM ledger.wallets WHERE user_id = $1", user).Scan((*int64)(&p.posted), (*int64)(&p.held)); err != nil {
		return p, err
	}
	// What was voided is there for as long as it is on hold.
	rows, err := q.Query(ctx, "SELECT remaining, priority, CASE WHEN voided_at IS NOT NULL THEN timestamptz '0001-01-01' ELSE expires_at END, created_at FROM ledger.credit_grants WHERE user_id = $1 AND open ORDER BY priority, credit_grants.expires_at, created_at, id", user)
	if err != nil {
		return p, err
	}
	p.lots, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (ledger.Lot, error) {
		var l ledger.Lot
		return l, row.Scan((*int64)(&l.Remaining), &l.Priority, &l.ExpiresAt, &l.CreatedAt)
	})
	return p, err
}

func checkWindow(window time.Duration) (time.Duration, error) {
	if window == 0 {
		return ledger.DefaultForecastWindow, nil
	}
	if window < ledger.MinForecastWindow || window > ledger.MaxForecastWindow {
		return 0, ledger.Invalid("windowHours", "must be 1 to 720")
	}
	return window, nil
}

// UserForecast implements [ledger.Forecasts].
func (s *Store) UserForecast(ctx context.Context, actor ledger.Actor, user uuid.UUID, window time.Duration) (ledger.UserForecast, error) {
	f := ledger.UserForecast{UserID: user}
	if err := actor.MayTouch(user); err != nil {
		return f, err
	}
	window, err := checkWindow(window)
	if err != nil {
		return f, err
	}
	if f.At, err = s.clock(ctx); err != nil {
		return f, err
	}
	err = s.inTx(ctx, func(q querier) error {
		if _, err := readUser(ctx, q, user); err != nil {
			return err
		}
		f, err = userForecast(ctx, q, user, f.At, window)
		return err
	})
	return f, err
}

func userForecast(ctx context.Context, q querier, user uuid.UUID, at time.Time, window time.Duration) (ledger.UserForecast, error) {
	f := ledger.UserForecast{UserID: user, At: at, Window: ledger.Seconds(window / time.Second), Agents: []ledger.AgentShare{}, Mandates: []ledger.MandateForecast{}}
	p, err := readPurse(ctx, q, user)
	if err != nil {
		return f, err
	}
	list, err := shares(ctx, q, "s.user_id = $1", user, at.Add(-window))
	if err != nil {
		return f, err
	}
	f.Held, f.Available, f.Burn = p.held, p.posted-p.held, burn(list, at, window)
	f.RunsOutAt = ledger.RunsOut(at, p.lots, p.held, f.Burn.PerDay)
	for agent, part := range by(list, func(s share) uuid.UUID { return s.agent }) {
		b := burn(part, at, window)
		f.Agents = append(f.Agents, ledger.AgentShare{AgentID: agent, Agent: part[0].slug, Burn: b, RunsOutAt: ledger.RunsOut(at, p.lots, p.held, b.PerDay)})
	}
	slices.SortFunc(f.Agents, func(a, b ledger.AgentShare) int { return compareBurn(a.Burn, b.Burn, a.AgentID, b.AgentID) })
	f.Mandates, err = mandateForecasts(ctx, q, f, list, window)
	return f, err
}

func compareBurn(a, b ledger.Burn, x, y uuid.UUID) int {
	if a.Captured != b.Captured {
		if a.Captured > b.Captured {
			return -1
		}
		return 1
	}
	return slices.Compare(x[:], y[:])
}

// mandateForecasts are those of a user's active mandates.
func mandateForecasts(ctx context.Context, q querier, f ledger.UserForecast, list []share, window time.Duration) ([]ledger.MandateForecast, error) {
	rows, err := q.Query(ctx, `SELECT m.id, u.total_used, v.rules, g.left_seconds, g.tripped_at, coalesce(g.row_version, 0)
		FROM ledger.mandates m JOIN ledger.mandate_usage u ON u.mandate_id = m.id LEFT JOIN ledger.mandate_guards g ON g.mandate_id = m.id,
			LATERAL (SELECT v.rules FROM ledger.mandate_versions v WHERE v.mandate_id = m.id AND v.effective_at <= $2 ORDER BY v.version DESC LIMIT 1) v
		WHERE m.user_id = $1 AND m.status = 'active' ORDER BY m.created_at, m.id`, f.UserID, f.At)
	if err != nil {
		return nil, err
	}
	groups := by(list, func(s share) uuid.UUID { return s.mandate })
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (ledger.MandateForecast, error) {
		var m ledger.MandateForecast
		var used ledger.Credits
		var rules ledger.Rules
		g := ledger.Guard{}
		if err := row.Scan(&m.MandateID, (*int64)(&used), &rules, &g.LeftSeconds, &g.TrippedAt, &g.RowVersion); err != nil {
			return m, err
		}
		if g.RowVersion > 0 {
			g.MandateID = m.MandateID
			m.Guard = &g
		}
		m.Burn, m.RunsOutAt = burn(groups[m.MandateID], f.At, window), f.RunsOutAt
		if rules.MaxTotal != nil {
			left := max(0, *rules.MaxTotal-used)
			m.Left = &left
			if end := ledger.RunsOut(f.At, []ledger.Lot{{Remaining: left}}, 0, m.Burn.PerDay); end != nil && (m.RunsOutAt == nil || end.Before(*m.RunsOutAt)) {
				m.RunsOutAt = end
			}
		}
		return m, nil
	})
}

// AgentForecast implements [ledger.Forecasts].
func (s *Store) AgentForecast(ctx context.Context, actor ledger.Actor, slugOrID string, window time.Duration) (ledger.AgentForecast, error) {
	f := ledger.AgentForecast{TopUsers: []ledger.UserShare{}}
	if err := actor.Require(ledger.ScopeManage, ledger.ScopeAdmin); err != nil {
		return f, err
	}
	if actor.UserID != uuid.Nil {
		return f, ledger.Errorf(ledger.CodeForbidden, "a key that acts for a user cannot read what others spend")
	}
	window, err := checkWindow(window)
	if err != nil {
		return f, err
	}
	agent, err := s.Agent(ctx, actor, slugOrID)
	if err != nil {
		return f, err
	}
	f.AgentID, f.Window = agent.ID, ledger.Seconds(window/time.Second)
	if f.At, err = s.clock(ctx); err != nil {
		return f, err
	}
	err = s.inTx(ctx, func(q querier) error {
		f.TopUsers, f.RunsOutAt = []ledger.UserShare{}, nil
		list, err := shares(ctx, q, "s.agent_id = $1", agent.ID, f.At.Add(-window))
		if err != nil {
			return err
		}
		f.Burn = burn(list, f.At, window)
		groups := by(list, func(s share) uuid.UUID { return s.user })
		f.Users = int64(len(groups))
		for user, part := range groups {
			f.TopUsers = append(f.TopUsers, ledger.UserShare{UserID: user, Burn: burn(part, f.At, window)})
		}
		slices.SortFunc(f.TopUsers, func(a, b ledger.UserShare) int { return compareBurn(a.Burn, b.Burn, a.UserID, b.UserID) })
		f.TopUsers = f.TopUsers[:min(topUsers, len(f.TopUsers))]
		for i := range f.TopUsers {
			all, err := userForecast(ctx, q, f.TopUsers[i].UserID, f.At, window)
			if err != nil {
				return err
			}
			f.TopUsers[i].RunsOutAt = all.RunsOutAt
			if end := all.RunsOutAt; end != nil && (f.RunsOutAt == nil || end.Before(*f.RunsOutAt)) {
				f.RunsOutAt = end
			}
		}
		return nil
	})
	return f, err
}
