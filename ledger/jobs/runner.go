package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
)

// Schema is the schema in Postgres that has the queue; package schema makes it under the same name.
const Schema = "river"

const (
	// maxConns is the size of the queue's own pool: one connection listens, the others fetch and finish jobs. What jobs
	// do, they do on connections of the store.
	maxConns = 4
	// maxWorkers is how many jobs run at once in one instance. Each job at an interval keeps a connection of the store
	// for its lock.
	maxWorkers = 4
	// rescueAfter is when a job whose instance has died is tried again.
	rescueAfter = 2 * time.Minute
	// keepDone is for how long rows of jobs that are done stay, and keepFailed of those that have failed for good.
	keepDone, keepFailed = time.Hour, 7 * 24 * time.Hour
	// firstPause and lastPause are between attempts to start on a database that does not answer.
	firstPause, lastPause = 200 * time.Millisecond, 5 * time.Second
)

// Locker lets one instance at a time run a job.
type Locker interface {
	// Exclusive runs f while no other instance runs one under the same name. It does nothing, and says so, when another
	// does.
	Exclusive(ctx context.Context, name string, f func(ctx context.Context) error) (ran bool, err error)
}

// Settings are what a [Runner] needs.
type Settings struct {
	URL      string                // of the database, postgres://…
	Locker   Locker                // for jobs at intervals
	Jobs     []Job                 // at intervals
	Workers  []Registration        // for jobs that are inserted
	Logger   *slog.Logger          // gets what fails
	Registry prometheus.Registerer // gets the metrics
}

// Registration adds a worker for one kind of job.
type Registration func(*river.Workers) error

// Work registers a worker for jobs that are inserted with args of type T. See [river.Worker] for what it may set.
func Work[T river.JobArgs](worker river.Worker[T]) Registration {
	return func(all *river.Workers) error { return river.AddWorkerSafely(all, worker) }
}

// Runner runs jobs from Start until Shutdown.
type Runner struct {
	pool   *pgxpool.Pool
	client *river.Client[pgx.Tx]

	mu      sync.Mutex
	stop    context.CancelFunc
	running sync.WaitGroup
}

// New makes a runner and registers its metrics. It does not wait for the database.
func New(ctx context.Context, s Settings) (*Runner, error) {
	m, err := newMetrics(s.Registry)
	if err != nil {
		return nil, err
	}
	cfg, err := pgxpool.ParseConfig(s.URL)
	if err != nil {
		return nil, fmt.Errorf("read address of jobs: %w", err)
	}
	cfg.MaxConns = maxConns
	cfg.ConnConfig.ConnectTimeout = 5 * time.Second
	cfg.ConnConfig.RuntimeParams["application_name"] = "agenttrail-jobs"
	cfg.ConnConfig.RuntimeParams["timezone"] = "UTC"
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open jobs: %w", err)
	}
	fail := func(err error) (*Runner, error) {
		pool.Close()
		return nil, err
	}
	workers := river.NewWorkers()
	intervals := newIntervals(s.Locker, s.Jobs)
	for _, add := range append([]Registration{Work(intervals)}, s.Workers...) {
		if err := add(workers); err != nil {
			return fail(fmt.Errorf("register worker: %w", err))
		}
	}
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Schema:                      Schema,
		Logger:                      slog.New(quiet{s.Logger.Handler()}),
		Queues:                      map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: maxWorkers}},
		Workers:                     workers,
		FetchOnlyKnownKinds:         true, // Another release, with more kinds, may share the queue.
		PeriodicJobs:                intervals.schedule(),
		Middleware:                  []rivertype.Middleware{m},
		ErrorHandler:                &reporter{s.Logger},
		JobTimeout:                  DefaultTimeout,
		RescueStuckJobsAfter:        rescueAfter,
		CompletedJobRetentionPeriod: keepDone,
		CancelledJobRetentionPeriod: keepFailed,
		DiscardedJobRetentionPeriod: keepFailed,
	})
	if err != nil {
		return fail(fmt.Errorf("open jobs: %w", err))
	}
	if err := s.Registry.Register(newQueueMetrics(pool)); err != nil {
		return fail(fmt.Errorf("register metrics of the queue: %w", err))
	}
	return &Runner{pool: pool, client: client}, nil
}

// Insert puts a job into the queue.
func (r *Runner) Insert(ctx context.Context, args river.JobArgs, opts *river.InsertOpts) error {
	if _, err := r.client.Insert(ctx, args, opts); err != nil {
		return fmt.Errorf("insert job %s: %w", args.Kind(), err)
	}
	return nil
}

// InsertTx puts a job into the queue when the transaction commits, and only then.
func (r *Runner) InsertTx(ctx context.Context, tx pgx.Tx, args river.JobArgs, opts *river.InsertOpts) error {
	if _, err := r.client.InsertTx(ctx, tx, args, opts); err != nil {
		return fmt.Errorf("insert job %s: %w", args.Kind(), err)
	}
	return nil
}

// Start begins to run jobs, as soon as the database answers. It may be called once.
func (r *Runner) Start(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stop != nil {
		return errors.New("start jobs: they were started or shut down before")
	}
	ctx, r.stop = context.WithCancel(context.WithoutCancel(ctx))
	r.running.Go(func() { r.work(ctx) })
	return nil
}

// work runs jobs until ctx is done, and then interrupts those that run and waits for them.
func (r *Runner) work(ctx context.Context) {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		// The client must outlive ctx, for it takes its end for a wish to finish what runs.
		if err := r.client.Start(context.WithoutCancel(ctx)); err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
	<-ctx.Done()
	_ = r.client.StopAndCancel(context.WithoutCancel(ctx)) // Fails with the context only, which has no end.
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
	go func() {
		r.running.Wait()
		r.pool.Close()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop jobs: %w", context.Cause(ctx))
	}
}
