package jobs_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/ledger/jobs"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
)

// instance is one of several services on the same database.
type instance struct {
	*jobs.Runner
	registry *prometheus.Registry
}

func newInstance(t *testing.T, url string, list ...jobs.Job) *instance {
	t.Helper()
	store, err := pgstore.Open(t.Context(), pgstore.Settings{URL: url, MaxConns: 4})
	require.NoError(t, err)
	t.Cleanup(store.Close)
	in := &instance{registry: prometheus.NewRegistry()}
	in.Runner, err = jobs.New(store, list, slog.New(slog.DiscardHandler), in.registry)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, in.Shutdown(context.Background())) })
	return in
}

func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, 20*time.Second, time.Millisecond, what)
}

func TestOneInstanceAtATime(t *testing.T) {
	t.Parallel()
	url := enginetest.Postgres(t).Database(t)
	var inside, together, runs atomic.Int64
	job := jobs.Job{Name: "alone", Every: time.Millisecond, Run: func(ctx context.Context) (int, bool, error) {
		if inside.Add(1) > 1 {
			together.Add(1)
		}
		defer inside.Add(-1)
		runs.Add(1)
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
		}
		return 1, false, nil
	}}
	var all []*instance
	for range 3 {
		in := newInstance(t, url, job)
		require.NoError(t, in.Start(t.Context()))
		all = append(all, in)
	}
	soon(t, "runs", func() bool { return runs.Load() > 30 })
	for _, in := range all {
		require.NoError(t, in.Shutdown(t.Context()))
	}
	require.Zero(t, together.Load(), "two instances were at it together")
	require.Zero(t, inside.Load(), "a run went on after the shutdown")
	var ran, skipped float64
	for _, in := range all {
		ran += metric(t, in.registry, "success")
		skipped += metric(t, in.registry, "skipped")
	}
	require.Positive(t, ran)
	require.Positive(t, skipped)
	require.LessOrEqual(t, ran, float64(runs.Load()))
}

func metric(t *testing.T, registry *prometheus.Registry, outcome string) (sum float64) {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() != "agenttrail_ledger_job_runs_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "outcome" && l.GetValue() == outcome {
					sum += m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}

func TestFailureIsCountedAndTriedAgain(t *testing.T) {
	t.Parallel()
	var runs atomic.Int64
	in := newInstance(t, enginetest.Postgres(t).Database(t), jobs.Job{Name: "fails", Every: time.Millisecond, Run: func(context.Context) (int, bool, error) {
		if runs.Add(1) < 3 {
			return 0, false, errors.New("broken")
		}
		return 5, false, nil
	}})
	require.NoError(t, in.Start(t.Context()))
	soon(t, "success", func() bool { return metric(t, in.registry, "success") > 0 })
	require.NoError(t, in.Shutdown(t.Context()))
	require.InDelta(t, 2, metric(t, in.registry, "failure"), 0)
}

func TestMoreToDoIsDoneAtOnce(t *testing.T) {
	t.Parallel()
	var runs atomic.Int64
	in := newInstance(t, enginetest.Postgres(t).Database(t), jobs.Job{Name: "much", Every: time.Hour, Run: func(context.Context) (int, bool, error) {
		return 1, runs.Add(1) < 10, nil
	}})
	require.NoError(t, in.Start(t.Context()))
	soon(t, "all is done", func() bool { return runs.Load() == 10 })
}

func TestShutdownInterrupts(t *testing.T) {
	t.Parallel()
	var once sync.Once
	began := make(chan struct{})
	in := newInstance(t, enginetest.Postgres(t).Database(t), jobs.Job{Name: "long", Every: time.Hour, Run: func(ctx context.Context) (int, bool, error) {
		once.Do(func() { close(began) })
		<-ctx.Done()
		return 0, false, ctx.Err()
	}})
	require.NoError(t, in.Start(t.Context()))
	<-began
	require.NoError(t, in.Shutdown(t.Context()))
	require.NoError(t, in.Shutdown(t.Context()), "twice")
	require.ErrorContains(t, in.Start(t.Context()), "shut down before")
	require.Zero(t, metric(t, in.registry, "failure"), "to be interrupted is no failure")
	never := newInstance(t, enginetest.Postgres(t).Database(t))
	require.NoError(t, never.Shutdown(t.Context()), "without Start")
}
