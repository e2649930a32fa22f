package stripepay

import (
	"context"

	"github.com/riverqueue/river"
)

// EventArgs are the arguments of the job that processes an event.
type EventArgs struct {
	Event string `json:"event"`
}

// Kind implements [river.JobArgs].
func (EventArgs) Kind() string { return "stripe_event" }

// Worker runs jobs with [EventArgs].
type Worker struct {
	river.WorkerDefaults[EventArgs]

	Service *Service
}

// Work implements [river.Worker].
func (w *Worker) Work(ctx context.Context, j *river.Job[EventArgs]) error {
	return w.Service.Process(ctx, j.Args.Event)
}
