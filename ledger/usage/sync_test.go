package usage_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/embedded/chserver"
	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/chread"
	"github.com/agenttrail/agenttrail/ledger/jobs"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
	"github.com/agenttrail/agenttrail/ledger/usage"
	"github.com/agenttrail/agenttrail/schema"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

var operator = ledger.Actor{Principal: "key:operator", Scopes: []ledger.Scope{ledger.ScopeAdmin}}

// bundle is a ledger with telemetry.
type bundle struct {
	*pgstore.Store
	url      string
	ch       *enginetest.CH
	database string
	reader   *chread.Reader
	rng      *rand.Rand
	users    []uuid.UUID
}

var agents = []string{"planner", "painter", "poet"}

// patience is how long the database may take: on a machine that is busy nothing is to fail for that.
const patience = time.Minute

func setup(t *testing.T, ch *enginetest.CH) *bundle {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	b := &bundle{url: enginetest.Postgres(t).Database(t), ch: ch, database: ch.Database(t), rng: rand.New(rand.NewPCG(seed, 1))}
	_, err := schema.MigratePostgres(t.Context(), b.url)
	require.NoError(t, err)
	_, err = schema.MigrateClickHouse(t.Context(), ch.URL, schema.ClickHouseConfig{Database: b.database})
	require.NoError(t, err)
	b.Store, err = pgstore.Open(t.Context(), pgstore.Settings{URL: b.url, AcquireTimeout: patience, LockTimeout: patience, StatementTimeout: patience})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	b.reader, err = chread.Open(chread.Settings{URL: ch.URL, Database: b.database})
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.reader.Close() })
	for i := range 4 {
		u, err := b.CreateUser(t.Context(), &ledger.Call{Actor: operator}, ledger.UserInput{Email: fmt.Sprintf("user%d@example.com", i)})
		require.NoError(t, err)
		b.users = append(b.users, u.ID)
	}
	for _, slug := range agents {
		_, err := b.RegisterAgent(t.Context(), &ledger.Call{Actor: operator}, ledger.AgentInput{Slug: slug, Name: slug, Category: "art", OwnerID: b.users[0]})
		require.NoError(t, err)
	}
	return b
}

// store has telemetry store some runs that began up to so long ago.
func (b *bundle) store(t *testing.T, n int, ago time.Duration) {
	t.Helper()
	var rows strings.Builder
	for range n {
		user := b.users[b.rng.IntN(len(b.users))].String()
		switch b.rng.IntN(20) {
		case 0:
			user = ""
		case 1:
			user = "no uuid"
		case 2:
			user = uuid.NewString() // whom the ledger does not know
		}
		at := time.Now().UTC().Add(-time.Duration(b.rng.Int64N(int64(ago))))
		fmt.Fprintf(&rows, "%s\t%s\t%s\t%s\t%s\t%.3f\t%s\n", uuid.NewString(), slices.Concat(agents, []string{"unregistered"})[b.rng.IntN(4)], user, []string{"success", "failed", "timeout", "error"}[min(3, b.rng.IntN(8))],
			at.Format("2006-01-02 15:04:05.000000000"), b.rng.Float64()*1e4, ledger.Credits(b.rng.Int64N(1e7)))
	}
	b.ch.Exec(t, "INSERT INTO "+b.database+".AgentExecution (id, agentId, userId, status, startedAt, duration, creditsConsumed) FORMAT TabSeparated\n"+rows.String())
}

// equal compares all statistics in the ledger with what the runs themselves say.
func (b *bundle) equal(t *testing.T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), b.url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	table := func(sql string) string {
		rows, err := conn.Query(t.Context(), sql)
		require.NoError(t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		if len(lines) == 0 {
			return ""
		}
		return strings.Join(lines, "\n") + "\n"
	}
	from := " FROM " + b.database + ".AgentExecution AS e "
	require.Equal(t, b.ch.Exec(t, `SELECT agentId, count(), countIf(status = 'success'), countIf(status IN ('failed', 'error')), countIf(status = 'timeout'),
			sum(toInt64(round(duration * 1e6))), toInt64(sum(e.creditsConsumed) * 1000000)`+from+"GROUP BY agentId ORDER BY agentId"),
		table(`SELECT concat_ws(E'\t', agent, executions, successful, failed, timeouts, duration_ns, credits) FROM ledger.agent_statistics ORDER BY agent COLLATE "C"`))
	require.Equal(t, b.ch.Exec(t, `SELECT userId, agentId, sum(n), sum(ok), toInt64(sum(credits) * 1000000), uniqExact(day), argMax(hour, (byHour, -hour)), formatDateTime(max(last), '%Y-%m-%d %H:%i:%S.%f', 'UTC') FROM (
			SELECT userId, agentId, toDate(startedAt) AS day, toHour(startedAt) AS hour, count() AS n, countIf(status = 'success') AS ok, sum(e.creditsConsumed) AS credits, toDateTime64(max(startedAt), 6, 'UTC') AS last, sum(count()) OVER (PARTITION BY userId, agentId, toHour(startedAt)) AS byHour`+from+`
			WHERE toUUIDOrNull(userId) IS NOT NULL GROUP BY userId, agentId, day, hour)
		GROUP BY userId, agentId ORDER BY userId, agentId`),
		table(`SELECT concat_ws(E'\t', user_id, agent, executions, successful, credits, days, preferred_hour, to_char(last_used_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')) FROM ledger.user_agent_statistics ORDER BY user_id, agent COLLATE "C"`))
}

func (b *bundle) sync(t *testing.T) int {
	t.Helper()
	n, err := usage.Sync(t.Context(), b.reader, b.Store)
	require.NoError(t, err)
	return n
}

func TestStatisticsEqualTelemetry(t *testing.T) {
	t.Parallel()
	b := setup(t, enginetest.ClickHouse(t))
	require.Zero(t, b.sync(t), "there is nothing yet")
	for range 4 {
		b.store(t, 300, 10*24*time.Hour) // Most of them late: of days and hours that were read before.
		require.Positive(t, b.sync(t))
		b.equal(t)
		b.sync(t)
		b.equal(t)
	}
	planner, err := b.AgentStatistics(t.Context(), operator, "planner")
	require.NoError(t, err)
	var rate, duration float64 // Not compared as texts: one of a few hundred means is just between two that can be written.
	_, err = fmt.Sscan(b.ch.Exec(t, "SELECT countIf(status = 'success') / count(), avg(duration) FROM "+b.database+".AgentExecution WHERE agentId = 'planner'"), &rate, &duration)
	require.NoError(t, err)
	require.InDelta(t, rate, *planner.SuccessRate, 1e-9)
	require.InDelta(t, duration, *planner.AvgDuration, 1e-6)
	require.Nil(t, planner.AvgRating)
	for i, rating := range []int{5, 4, 2} {
		_, err := b.PutInteraction(t.Context(), &ledger.Call{Actor: operator}, b.users[i], planner.AgentID, ledger.InteractionInput{Rating: &rating})
		require.NoError(t, err)
	}
	_, err = b.PutInteraction(t.Context(), &ledger.Call{Actor: operator}, b.users[3], planner.AgentID, ledger.InteractionInput{IsFavorite: true})
	require.NoError(t, err)
	planner, err = b.AgentStatistics(t.Context(), operator, planner.AgentID.String())
	require.NoError(t, err)
	require.EqualValues(t, 3, planner.Ratings)
	require.InDelta(t, 11./3, *planner.AvgRating, 1e-9)

	var all []ledger.UsageStatistics
	for cursor := ""; ; {
		page, err := b.UsageStatistics(t.Context(), operator, b.users[0], ledger.Page{Limit: 1, Cursor: cursor})
		require.NoError(t, err)
		all = append(all, page.Items...)
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	require.Len(t, all, 4, "the agent that the ledger does not know among them")
	for _, u := range all {
		require.Equal(t, u.Agent == "unregistered", u.AgentID == nil)
		require.InDelta(t, float64(u.Executions)/float64(u.Days), u.AvgExecutions, 1e-9)
		require.Equal(t, u.Credits/ledger.Credits(u.Days), u.AvgCredits)
	}
}

// TestIncremental sees that what did not change is not read, and that what telemetry lost goes once all is read anew.
func TestIncremental(t *testing.T) {
	t.Parallel()
	b := setup(t, enginetest.ClickHouse(t))
	b.ch.Exec(t, "INSERT INTO "+b.database+".AgentExecution (id, agentId, userId, status, startedAt, ingestedAt) SELECT toString(number), 'planner', '"+b.users[0].String()+"', 'success', now64(9), now64(3) - toIntervalHour(1) FROM numbers(10)")
	require.Equal(t, 2, b.sync(t))
	require.Zero(t, b.sync(t), "it was stored an hour ago and is not read again")
	// An INSERT that took two minutes: its rows bear the time of its beginning.
	b.ch.Exec(t, "INSERT INTO "+b.database+".AgentExecution (id, agentId, userId, status, startedAt, ingestedAt) VALUES ('slow', 'poet', '"+b.users[0].String()+"', 'success', now64(9), now64(3) - toIntervalMinute(2))")
	require.Equal(t, 2, b.sync(t))
	b.store(t, 1, time.Hour)
	require.Positive(t, b.sync(t))
	b.equal(t)
	for _, table := range []string{"AgentExecution", "AgentMetricsDaily", "UserAgentUsageDaily"} {
		b.ch.Exec(t, "DELETE FROM "+b.database+"."+table+" WHERE agentId = 'planner'")
	}
	mark, err := b.Mark(t.Context(), "statistics")
	require.NoError(t, err)
	conn, err := pgx.Connect(t.Context(), b.url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	_, err = conn.Exec(t.Context(), "UPDATE ledger.sync_marks SET full_at = $1", mark.FullAt.Add(-25*time.Hour))
	require.NoError(t, err)
	b.sync(t)
	b.equal(t)
}

// TestTelemetryAway stops ClickHouse while the job runs and runs are stored around it.
func TestTelemetryAway(t *testing.T) {
	t.Parallel()
	ch := enginetest.StartClickHouse(t, chserver.Config{})
	b := setup(t, ch)
	registry := prometheus.NewRegistry()
	runner, err := jobs.New(t.Context(), jobs.Settings{
		URL: b.url, Locker: b.Store, Logger: slog.New(slog.DiscardHandler), Registry: registry,
		Jobs: []jobs.Job{{Name: "usage", Every: 300 * time.Millisecond, Timeout: 10 * time.Second, Run: func(ctx context.Context) (int, bool, error) {
			n, err := usage.Sync(ctx, b.reader, b.Store)
			return n, false, err
		}}},
	})
	require.NoError(t, err)
	require.NoError(t, runner.Start(t.Context()))
	defer func() { require.NoError(t, runner.Shutdown(context.Background())) }()
	outcomes := func(outcome string) (n float64) {
		families, err := registry.Gather()
		require.NoError(t, err)
		for _, f := range families {
			for _, m := range f.GetMetric() {
				for _, l := range m.GetLabel() {
					if f.GetName() == "agenttrail_ledger_job_runs_total" && l.GetName() == "outcome" && l.GetValue() == outcome {
						n += m.GetCounter().GetValue()
					}
				}
			}
		}
		return n
	}
	after := func(outcome string) {
		before := outcomes(outcome)
		require.Eventually(t, func() bool { return outcomes(outcome) > before+1 }, 2*time.Minute, 10*time.Millisecond, outcome)
	}
	b.store(t, 200, 48*time.Hour)
	after("success")
	before, err := b.AgentStatistics(t.Context(), operator, "planner")
	require.NoError(t, err)
	ch.Kill()
	after("failure")
	// The ledger goes on, and shows what it knew.
	_, err = b.Grant(t.Context(), &ledger.Call{Actor: operator}, ledger.GrantInput{UserID: b.users[0], Category: ledger.GrantPromo, Amount: ledger.Credit})
	require.NoError(t, err)
	during, err := b.AgentStatistics(t.Context(), operator, "planner")
	require.NoError(t, err)
	require.Equal(t, before.Executions, during.Executions)
	ch.Restart(t)
	b.store(t, 200, 48*time.Hour)
	after("success")
	b.equal(t)
}
