package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// metrics counts what is run, of every kind.
type metrics struct {
	river.MiddlewareDefaults

	runs    *prometheus.CounterVec
	done    *prometheus.CounterVec
	last    *prometheus.GaugeVec
	seconds *prometheus.HistogramVec
}

// The label is not "job": that is what Prometheus calls the target.
func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "agenttrail_ledger_job_runs_total", Help: "Runs of each job by outcome: success, failure, or skipped because another instance was at it.",
		}, []string{"job_name", "outcome"}),
		done: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "agenttrail_ledger_job_items_total", Help: "Things that each job dealt with.",
		}, []string{"job_name"}),
		last: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "agenttrail_ledger_job_last_success_timestamp_seconds", Help: "When each job last succeeded in this instance.",
		}, []string{"job_name"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "agenttrail_ledger_job_duration_seconds", Help: "How long runs of each job took.",
			Buckets: []float64{.005, .05, .5, 5, 50, 500},
		}, []string{"job_name"}),
	}
	for _, c := range []prometheus.Collector{m.runs, m.done, m.last, m.seconds} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics of jobs: %w", err)
		}
	}
	return m, nil
}

// run is what a worker tells of its run.
type run struct {
	done    int
	skipped bool
}

type runKey struct{}

func runOf(ctx context.Context) *run {
	if r, ok := ctx.Value(runKey{}).(*run); ok {
		return r
	}
	return &run{}
}

// Work implements [rivertype.WorkerMiddleware].
func (m *metrics) Work(ctx context.Context, job *rivertype.JobRow, inner func(context.Context) error) (err error) {
	name, began, r := nameOf(job), time.Now(), &run{}
	panicked := true
	defer func() {
		m.done.WithLabelValues(name).Add(float64(r.done))
		switch {
		case panicked:
			m.runs.WithLabelValues(name, "failure").Inc()
		case interrupted(ctx, err):
		case err != nil:
			m.runs.WithLabelValues(name, "failure").Inc()
		case r.skipped:
			m.runs.WithLabelValues(name, "skipped").Inc()
		default:
			m.runs.WithLabelValues(name, "success").Inc()
			m.last.WithLabelValues(name).SetToCurrentTime()
			m.seconds.WithLabelValues(name).Observe(time.Since(began).Seconds())
		}
	}()
	err = inner(context.WithValue(ctx, runKey{}, r))
	panicked = false
	return err
}

// interrupted tells whether a job ended because the service stops, or goes on later as it wished.
func interrupted(ctx context.Context, err error) bool {
	if _, ok := errors.AsType[*rivertype.JobSnoozeError](err); ok {
		return true
	}
	return err != nil && ctx.Err() != nil && !errors.Is(context.Cause(ctx), context.DeadlineExceeded)
}

// nameOf is the name of a job at an interval, else its kind.
func nameOf(job *rivertype.JobRow) string {
	var args intervalArgs
	if job.Kind == args.Kind() && json.Unmarshal(job.EncodedArgs, &args) == nil && args.Name != "" {
		return args.Name
	}
	return job.Kind
}

// queueMetrics tells what is in the queue, for all instances together.
type queueMetrics struct {
	pool   *pgxpool.Pool
	queued *prometheus.Desc
	oldest *prometheus.Desc
}

func newQueueMetrics(pool *pgxpool.Pool) *queueMetrics {
	return &queueMetrics{
		pool: pool,
		queued: prometheus.NewDesc("agenttrail_ledger_job_queue",
			"Jobs that are not done, by state: available, running, scheduled, retryable after a failure, discarded after too many. Of all instances.", []string{"job_name", "state"}, nil),
		oldest: prometheus.NewDesc("agenttrail_ledger_job_queue_oldest_seconds",
			"For how long the oldest job that could run has been waiting. Of all instances.", nil, nil),
	}
}

// Describe implements [prometheus.Collector].
func (q *queueMetrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- q.queued
	ch <- q.oldest
}

// Collect implements [prometheus.Collector]. It gives nothing while the database does not answer.
func (q *queueMetrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	rows, err := q.pool.Query(ctx, `SELECT coalesce(CASE kind WHEN 'interval' THEN args ->> 'name' END, kind), state::text, count(*),
		coalesce(max(extract(epoch FROM clock_timestamp() - scheduled_at)) FILTER (WHERE state = 'available'), 0)::float8
		FROM `+Schema+`.river_job WHERE state NOT IN ('completed', 'cancelled') GROUP BY 1, 2`)
	if err != nil {
		return
	}
	type count struct {
		job, state string
		n          int64
		waiting    float64
	}
	counts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (count, error) {
		var c count
		return c, row.Scan(&c.job, &c.state, &c.n, &c.waiting)
	})
	if err != nil {
		return
	}
	oldest := 0.
	for _, c := range counts {
		oldest = max(oldest, c.waiting)
		ch <- prometheus.MustNewConstMetric(q.queued, prometheus.GaugeValue, float64(c.n), c.job, c.state)
	}
	ch <- prometheus.MustNewConstMetric(q.oldest, prometheus.GaugeValue, oldest)
}
