// Package jobs runs what the ledger does by itself at intervals: expiring holds, sealing audit trails, making
// partitions. Several instances of the service may run the same jobs; a lock lets one at a time do each.
package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Job is something to do again and again.
type Job struct {
	// Name identifies the job among all instances.
	Name string
	// Every is the time from the end of one run to the beginning of the next.
	Every time.Duration
	// Run does it once and returns how many things it dealt with. When there is more to do at once it says so.
	Run func(ctx context.Context) (done int, more bool, err error)
}

// Locker lets one instance at a time run a job.
type Locker interface {
	// Exclusive runs f while no other instance runs one under the same name. It does nothing, and says so, when
	// another does.
	Exclusive(ctx context.Context, name string, f func(ctx context.Context) error) (ran bool, err error)
}

// runTimeout bounds one run of a job, so that a lock is never held for good.
const runTimeout = time.Minute

// Runner runs jobs from Start until Shutdown.
type Runner struct {
	locker  Locker
	jobs    []Job
	logger  *slog.Logger
	runs    *prometheus.CounterVec
	done    *prometheus.CounterVec
	last    *prometheus.GaugeVec
	seconds *prometheus.HistogramVec

	mu      sync.Mutex
	stop    context.CancelFunc
	running sync.WaitGroup
}

// New makes a runner and registers its metrics.
func New(locker Locker, list []Job, logger *slog.Logger, registry prometheus.Registerer) (*Runner, error) {
	r := &Runner{
		locker: locker, jobs: list, logger: logger,
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "agenttrail_ledger_job_runs_total", Help: "Runs of each job by outcome: success, failure, or skipped because another instance was at it.",
		}, []string{"job", "outcome"}),
		done: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "agenttrail_ledger_job_items_total", Help: "Things that each job dealt with.",
		}, []string{"job"}),
		last: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "agenttrail_ledger_job_last_success_timestamp_seconds", Help: "When each job last succeeded in this instance.",
		}, []string{"job"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "agenttrail_ledger_job_duration_seconds", Help: "How long runs of each job took.",
			Buckets: []float64{.005, .05, .5, 5, 50},
		}, []string{"job"}),
	}
	for _, c := range []prometheus.Collector{r.runs, r.done, r.last, r.seconds} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics of jobs: %w", err)
		}
	}
	return r, nil
}

// Start begins to run the jobs, each at once for the first time. It may be called once.
func (r *Runner) Start(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stop != nil {
		return errors.New("start jobs: they were started or shut down before")
	}
	ctx, r.stop = context.WithCancel(context.WithoutCancel(ctx))
	for _, job := range r.jobs {
		r.running.Go(func() { r.repeat(ctx, job) })
	}
	return nil
}

// Shutdown interrupts what runs and waits for it. It may be called twice, and without Start.
func (r *Runner) Shutdown(ctx context.Context) error {
	r.mu.Lock()
	if r.stop == nil {
		r.stop = func() {}
	}
	r.stop()
	r.mu.Unlock()
	ended := make(chan struct{})
	go func() { r.running.Wait(); close(ended) }()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop jobs: %w", context.Cause(ctx))
	}
}

func (r *Runner) repeat(ctx context.Context, job Job) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		wait := job.Every
		if r.once(ctx, job) {
			wait = 0
		}
		timer.Reset(wait)
	}
}

// once runs a job and tells whether to go on at once.
func (r *Runner) once(ctx context.Context, job Job) (more bool) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	began := time.Now()
	var done int
	ran, err := r.locker.Exclusive(ctx, job.Name, func(ctx context.Context) (err error) {
		done, more, err = job.Run(ctx)
		return err
	})
	switch {
	case err != nil:
		if errors.Is(context.Cause(ctx), context.Canceled) {
			return false // Asked to stop.
		}
		r.runs.WithLabelValues(job.Name, "failure").Inc()
		r.logger.LogAttrs(ctx, slog.LevelError, "job failed; it is tried again", slog.String("job", job.Name), slog.Duration("again_in", job.Every), slog.Any("error", err))
		return false
	case !ran:
		r.runs.WithLabelValues(job.Name, "skipped").Inc()
		return false
	}
	r.runs.WithLabelValues(job.Name, "success").Inc()
	r.done.WithLabelValues(job.Name).Add(float64(done))
	r.last.WithLabelValues(job.Name).SetToCurrentTime()
	r.seconds.WithLabelValues(job.Name).Observe(time.Since(began).Seconds())
	return more
}
