package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/ledger/jobs"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
	"github.com/agenttrail/agenttrail/schema"
)

// instance is one of several services on the same database.
type instance struct {
	*jobs.Runner
	registry *prometheus.Registry
}

func database(t *testing.T) string {
	t.Helper()
	url := enginetest.Postgres(t).Database(t)
	_, err := schema.MigratePostgres(t.Context(), url)
	require.NoError(t, err)
	return url
}

// newInstance makes one whose jobs wait for a connection for long: of those that run once an hour none may fail for that.
func newInstance(t *testing.T, url string, list []jobs.Job, workers ...jobs.Registration) *instance {
	t.Helper()
	store, err := pgstore.Open(t.Context(), pgstore.Settings{URL: url, MaxConns: 6, AcquireTimeout: time.Minute})
	require.NoError(t, err)
	t.Cleanup(store.Close)
	in := &instance{registry: prometheus.NewRegistry()}
	in.Runner, err = jobs.New(t.Context(), jobs.Settings{
		URL: url, Locker: store, Jobs: list, Workers: workers, Logger: slog.New(slog.DiscardHandler), Registry: in.registry,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, in.Shutdown(context.Background())) })
	return in
}

func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, 2*time.Minute, 5*time.Millisecond, what)
}

// metric adds up what a metric has under all labels that are given as pairs.
func metric(t *testing.T, registry *prometheus.Registry, name string, labels ...string) (sum float64) {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() != "agenttrail_ledger_"+name {
			continue
		}
	each:
		for _, m := range f.GetMetric() {
			have := map[string]string{}
			for _, l := range m.GetLabel() {
				have[l.GetName()] = l.GetValue()
			}
			for i := 0; i < len(labels); i += 2 {
				if have[labels[i]] != labels[i+1] {
					continue each
				}
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

func TestOneInstanceAtATime(t *testing.T) {
	t.Parallel()
	url := database(t)
	var inside, together, runs atomic.Int64
	// An interval that the queue does not tell apart, so that it is the lock that is tested.
	job := jobs.Job{Name: "alone", Every: 20 * time.Millisecond, Run: func(ctx context.Context) (int, bool, error) {
		if inside.Add(1) > 1 {
			together.Add(1)
		}
		defer inside.Add(-1)
		runs.Add(1)
		select {
		case <-time.After(150 * time.Millisecond):
		case <-ctx.Done():
		}
		return 1, false, nil
	}}
	var all []*instance
	for range 3 {
		in := newInstance(t, url, []jobs.Job{job})
		require.NoError(t, in.Start(t.Context()))
		all = append(all, in)
	}
	outcome := func(what string) (n float64) {
		for _, in := range all {
			n += metric(t, in.registry, "job_runs_total", "job_name", "alone", "outcome", what)
		}
		return n
	}
	soon(t, "runs of one and others that are skipped", func() bool { return runs.Load() > 5 && outcome("skipped") > 0 })
	for _, in := range all {
		require.NoError(t, in.Shutdown(t.Context()))
	}
	require.Zero(t, together.Load(), "two instances were at it together")
	require.Zero(t, inside.Load(), "a run went on after the shutdown")
	require.Positive(t, outcome("success"))
	require.LessOrEqual(t, outcome("success"), float64(runs.Load()))
}

func TestOnceInAnInterval(t *testing.T) {
	t.Parallel()
	url := database(t)
	var runs atomic.Int64
	job := jobs.Job{Name: "rare", Every: 24 * time.Hour, Run: func(context.Context) (int, bool, error) {
		runs.Add(1)
		return 1, false, nil
	}}
	for i := range 3 { // Each that starts has it due at once.
		mark := fmt.Sprintf("mark-%d", i) // What only this instance puts in.
		in := newInstance(t, url, []jobs.Job{job, {Name: mark, Every: 100 * time.Millisecond, Run: job.Run}})
		require.NoError(t, in.Start(t.Context()))
		soon(t, "the instance leads", func() bool { return metric(t, in.registry, "job_items_total", "job_name", mark) > 0 })
		require.NoError(t, in.Shutdown(t.Context()))
	}
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	var n int
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM river.river_job WHERE args ->> 'name' = 'rare'").Scan(&n))
	require.LessOrEqual(t, n, 2, "one for each interval, of which midnight may divide two")
	require.Positive(t, n)
}

func TestFailureIsCountedAndTriedAgain(t *testing.T) {
	t.Parallel()
	var runs atomic.Int64
	in := newInstance(t, database(t), []jobs.Job{{Name: "fails", Every: 10 * time.Millisecond, Run: func(context.Context) (int, bool, error) {
		switch runs.Add(1) {
		case 1:
			return 0, false, errors.New("broken")
		case 2:
			panic("broken")
		}
		return 5, false, nil
	}}})
	require.NoError(t, in.Start(t.Context()))
	soon(t, "success", func() bool {
		return metric(t, in.registry, "job_runs_total", "job_name", "fails", "outcome", "success") > 0
	})
	soon(t, "failures in the queue", func() bool {
		return metric(t, in.registry, "job_queue", "job_name", "fails", "state", "discarded") >= 2
	})
	require.NoError(t, in.Shutdown(t.Context()))
	require.InDelta(t, 2, metric(t, in.registry, "job_runs_total", "job_name", "fails", "outcome", "failure"), 0)
	require.GreaterOrEqual(t, metric(t, in.registry, "job_items_total", "job_name", "fails"), 5.)
	require.InDelta(t, time.Now().Unix(), metric(t, in.registry, "job_last_success_timestamp_seconds", "job_name", "fails"), 60)
}

func TestMoreToDoIsDoneAtOnce(t *testing.T) {
	t.Parallel()
	var runs atomic.Int64
	in := newInstance(t, database(t), []jobs.Job{{Name: "much", Every: time.Hour, Run: func(context.Context) (int, bool, error) {
		return 1, runs.Add(1) < 10, nil
	}}})
	require.NoError(t, in.Start(t.Context()))
	soon(t, "all is done", func() bool { return runs.Load() == 10 })
}

func TestShutdownInterrupts(t *testing.T) {
	t.Parallel()
	url := database(t)
	var once sync.Once
	began := make(chan struct{})
	in := newInstance(t, url, []jobs.Job{{Name: "long", Every: time.Hour, Run: func(ctx context.Context) (int, bool, error) {
		once.Do(func() { close(began) })
		<-ctx.Done()
		return 0, false, ctx.Err()
	}}})
	require.NoError(t, in.Start(t.Context()))
	soon(t, "the job runs", func() bool {
		select {
		case <-began:
			return true
		default:
			return false
		}
	})
	require.NoError(t, in.Shutdown(t.Context()))
	require.NoError(t, in.Shutdown(t.Context()), "twice")
	require.ErrorContains(t, in.Start(t.Context()), "shut down before")
	require.Zero(t, metric(t, in.registry, "job_runs_total", "outcome", "failure"), "to be interrupted is no failure")
	never := newInstance(t, url, nil)
	require.NoError(t, never.Shutdown(t.Context()), "without Start")
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	in := newInstance(t, database(t), []jobs.Job{{Name: "hangs", Every: time.Hour, Timeout: 50 * time.Millisecond, Run: func(ctx context.Context) (int, bool, error) {
		<-ctx.Done()
		return 0, false, ctx.Err()
	}}})
	require.NoError(t, in.Start(t.Context()))
	soon(t, "it is ended", func() bool {
		return metric(t, in.registry, "job_runs_total", "job_name", "hangs", "outcome", "failure") > 0
	})
}

// mail is a job that is inserted.
type mail struct {
	To string `json:"to"`
}

func (mail) Kind() string { return "mail" }

type mailer struct {
	river.WorkerDefaults[mail]

	sent chan string
}

func (m *mailer) Work(ctx context.Context, j *river.Job[mail]) error {
	if j.Attempt == 1 && j.Args.To == "flaky" {
		return errors.New("broken")
	}
	select {
	case m.sent <- j.Args.To:
	case <-ctx.Done():
	}
	return nil
}

func (m *mailer) NextRetry(*river.Job[mail]) time.Time { return time.Now() }

func TestInsertedWithTheTransaction(t *testing.T) {
	t.Parallel()
	url := database(t)
	m := &mailer{sent: make(chan string, 10)}
	in := newInstance(t, url, nil, jobs.Work(m))
	require.NoError(t, in.Start(t.Context()))
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	for _, to := range []string{"rolled back", "committed"} {
		tx, err := conn.Begin(t.Context())
		require.NoError(t, err)
		require.NoError(t, in.InsertTx(t.Context(), tx, mail{to}, nil))
		if to == "committed" {
			require.NoError(t, tx.Commit(t.Context()))
		} else {
			require.NoError(t, tx.Rollback(t.Context()))
		}
	}
	require.Equal(t, "committed", <-m.sent)
	require.NoError(t, in.Insert(t.Context(), mail{"flaky"}, nil))
	require.Equal(t, "flaky", <-m.sent, "it is tried again")
	soon(t, "success", func() bool {
		return metric(t, in.registry, "job_runs_total", "job_name", "mail", "outcome", "success") == 2
	})
	require.InDelta(t, 1, metric(t, in.registry, "job_runs_total", "job_name", "mail", "outcome", "failure"), 0)
}

// TestKilledInstance leaves behind what an instance that was killed in the middle of a job does.
func TestKilledInstance(t *testing.T) {
	t.Parallel()
	url := database(t)
	var runs atomic.Int64
	job := jobs.Job{Name: "expire", Every: time.Second, Run: func(context.Context) (int, bool, error) {
		runs.Add(1)
		return 1, false, nil
	}}
	first := newInstance(t, url, []jobs.Job{job})
	require.NoError(t, first.Start(t.Context()))
	soon(t, "a run", func() bool { return runs.Load() > 0 })
	require.NoError(t, first.Shutdown(t.Context()))
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	tag, err := conn.Exec(t.Context(), "UPDATE river.river_job SET state = 'running', finalized_at = NULL, attempted_at = now() WHERE id = (SELECT max(id) FROM river.river_job)")
	require.NoError(t, err)
	require.EqualValues(t, 1, tag.RowsAffected())
	before := runs.Load()
	second := newInstance(t, url, []jobs.Job{job})
	require.NoError(t, second.Start(t.Context()))
	soon(t, "the next interval is not held up", func() bool { return runs.Load() > before })
}

// TestDatabaseAway starts before the database has its schema, and goes on once it has.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	url := enginetest.Postgres(t).Database(t)
	var runs atomic.Int64
	in := newInstance(t, url, []jobs.Job{{Name: "late", Every: time.Second, Run: func(context.Context) (int, bool, error) {
		runs.Add(1)
		return 1, false, nil
	}}})
	require.NoError(t, in.Start(t.Context()))
	_, err := schema.MigratePostgres(t.Context(), url)
	require.NoError(t, err)
	soon(t, "a run", func() bool { return runs.Load() > 0 })
}
