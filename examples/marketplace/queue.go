package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// job is a run that a user asked for.
type job struct {
	ExecutionID string            `json:"executionId"`
	Agent       string            `json:"agent"`
	UserID      string            `json:"userId"`
	MandateID   string            `json:"mandateId"`
	Headers     map[string]string `json:"headers"` // Trace and ids, by the SDK's propagator.
}

// Outcomes of jobs, as workers tell them.
const (
	jobSucceeded = "succeeded"
	jobFailed    = "failed"
	jobRefused   = "refused"
)

// queue hands jobs to workers, each to one at a time, until they say how it went.
type queue struct {
	mu      sync.Mutex
	waiting []job
	taken   map[string]map[string]job // By worker and run.
	gone    map[string]bool           // Workers that are no more; requests of theirs may still wait.
	counts  map[string]int
	arrived chan struct{} // Closed when there is something new.
	moved   chan struct{} // Closed when something is done.
}

func newQueue() *queue {
	return &queue{taken: map[string]map[string]job{}, gone: map[string]bool{}, counts: map[string]int{}, arrived: make(chan struct{}), moved: make(chan struct{})}
}

func (q *queue) put(jobs ...job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, jobs...)
	close(q.arrived)
	q.arrived = make(chan struct{})
}

// take waits for a job.
func (q *queue) take(ctx context.Context, worker string) (job, bool) {
	for {
		q.mu.Lock()
		if q.gone[worker] {
			q.mu.Unlock()
			return job{}, false
		}
		if len(q.waiting) > 0 {
			j := q.waiting[0]
			q.waiting = q.waiting[1:]
			if q.taken[worker] == nil {
				q.taken[worker] = map[string]job{}
			}
			q.taken[worker][j.ExecutionID] = j
			q.mu.Unlock()
			return j, true
		}
		arrived := q.arrived
		q.mu.Unlock()
		select {
		case <-arrived:
		case <-ctx.Done():
			return job{}, false
		}
	}
}

// done takes a job off the queue.
func (q *queue) done(worker, executionID, outcome string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, ok := q.taken[worker][executionID]; !ok {
		return // It was delivered again meanwhile.
	}
	delete(q.taken[worker], executionID)
	q.counts[outcome]++
	close(q.moved)
	q.moved = make(chan struct{})
}

// deliverAgain puts back what a worker was at that is no more, and returns the runs.
func (q *queue) deliverAgain(worker string) (ids []string) {
	q.mu.Lock()
	var jobs []job
	for id, j := range q.taken[worker] {
		jobs, ids = append(jobs, j), append(ids, id)
	}
	delete(q.taken, worker)
	q.gone[worker] = true
	q.mu.Unlock()
	q.put(jobs...)
	slices.Sort(ids)
	return ids
}

// drained waits until every job is done, for as long as jobs get done: not longer than patience between two of them.
func (q *queue) drained(ctx context.Context, patience time.Duration) error {
	for {
		q.mu.Lock()
		left := len(q.waiting)
		for _, jobs := range q.taken {
			left += len(jobs)
		}
		moved := q.moved
		q.mu.Unlock()
		if left == 0 {
			return nil
		}
		select {
		case <-moved:
		case <-time.After(patience):
			return fmt.Errorf("%d runs are not over, and nothing has happened for %s", left, patience)
		case <-ctx.Done():
			return fmt.Errorf("%d runs were not over when the marketplace was stopped: %w", left, ctx.Err())
		}
	}
}

func (q *queue) outcomes() (succeeded, failed, refused int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.counts[jobSucceeded], q.counts[jobFailed], q.counts[jobRefused]
}
