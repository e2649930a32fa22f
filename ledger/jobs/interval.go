package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river"
)

// DefaultTimeout bounds one run of a job.
const DefaultTimeout = time.Minute

// Job is something to do again and again.
type Job struct {
	// Name identifies the job among all instances.
	Name string
	// Every is the time from one run to the next; a run that takes longer makes the next ones wait or be left out. The
	// queue tells intervals apart from one second on: shorter ones may be put in by two instances.
	Every time.Duration
	// Timeout bounds one run, so that a lock is never held for good; DefaultTimeout if 0.
	Timeout time.Duration
	// Run does it once and returns how many things it dealt with. When there is more to do at once it says so, and is
	// run again.
	Run func(ctx context.Context) (done int, more bool, err error)
}

// intervalArgs are the arguments of jobs at intervals, which share one kind.
type intervalArgs struct {
	Name string `json:"name"`
}

// Kind implements [river.JobArgs].
func (intervalArgs) Kind() string { return "interval" }

// intervals is the worker of jobs at intervals.
type intervals struct {
	river.WorkerDefaults[intervalArgs]

	locker Locker
	jobs   map[string]Job
}

func newIntervals(locker Locker, list []Job) *intervals {
	w := &intervals{locker: locker, jobs: map[string]Job{}}
	for _, job := range list {
		if _, ok := w.jobs[job.Name]; ok {
			panic("BUG: two jobs are called " + job.Name)
		}
		w.jobs[job.Name] = job
	}
	return w
}

// schedule has every job due at once and then at its interval.
//
// A job is unique in its interval, and not for as long as another one waits or runs: the row of an instance that was
// killed is in the way of nobody. One that fails is not tried again either, for the next one comes.
func (w *intervals) schedule() []*river.PeriodicJob {
	all := make([]*river.PeriodicJob, 0, len(w.jobs))
	for _, job := range w.jobs {
		opts := &river.InsertOpts{MaxAttempts: 1}
		if job.Every >= time.Second {
			opts.UniqueOpts = river.UniqueOpts{ByArgs: true, ByPeriod: job.Every}
		}
		all = append(all, river.NewPeriodicJob(river.PeriodicInterval(job.Every),
			func() (river.JobArgs, *river.InsertOpts) { return intervalArgs{job.Name}, opts },
			&river.PeriodicJobOpts{ID: job.Name, RunOnStart: true}))
	}
	return all
}

// Timeout implements [river.Worker].
func (w *intervals) Timeout(j *river.Job[intervalArgs]) time.Duration {
	if t := w.jobs[j.Args.Name].Timeout; t > 0 {
		return t
	}
	return DefaultTimeout
}

// Work implements [river.Worker].
func (w *intervals) Work(ctx context.Context, j *river.Job[intervalArgs]) error {
	job, ok := w.jobs[j.Args.Name]
	if !ok {
		return river.JobCancel(errors.New("this release has no such job"))
	}
	run := runOf(ctx)
	ran, err := w.locker.Exclusive(ctx, job.Name, func(ctx context.Context) error {
		for more := true; more; {
			var done int
			var err error
			done, more, err = job.Run(ctx)
			run.done += done
			if err != nil {
				return err
			}
		}
		return nil
	})
	run.skipped = !ran && err == nil
	if err != nil {
		return fmt.Errorf("%s: %w", job.Name, err)
	}
	return nil
}
