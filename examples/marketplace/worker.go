package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/propagation"

	agenttrail "github.com/agenttrail/agenttrail/sdk"
	"github.com/agenttrail/agenttrail/sdk/ledgerclient"
)

// jobsAtOnce is how many runs a worker has at once.
const jobsAtOnce = 4

// worker takes jobs and runs agents.
type worker struct {
	s      settings
	name   string
	trail  *agenttrail.Trail
	client *ledgerclient.Client
	http   *http.Client // Of agents and their tools.
	queue  *http.Client
}

// work is the worker process. Interrupted, it ends the runs that it is at.
func work(ctx context.Context, s settings) error {
	debug.SetGCPercent(200)
	trail, err := start(ctx, s, "marketplace-worker")
	if err != nil {
		return err
	}
	client, err := call(s, s.Outbox) //nolint:contextcheck // The outbox works until Close.
	if err != nil {
		return errors.Join(err, trail.Shutdown(ctx))
	}
	w := &worker{
		s: s, name: os.Getenv("MARKETPLACE_WORKER"), trail: trail, client: client,
		http: &http.Client{Transport: trail.Transport(nil), Timeout: 10 * time.Second}, queue: &http.Client{Timeout: 10 * time.Second},
	}
	var all sync.WaitGroup
	for i := range jobsAtOnce {
		all.Go(func() { w.loop(ctx, rand.New(rand.NewPCG(s.Seed, uint64(i)))) }) //nolint:gosec // It needs to be repeatable.
	}
	all.Wait()
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	return errors.Join(client.Close(ending), trail.Shutdown(ending))
}

func (w *worker) loop(ctx context.Context, rng *rand.Rand) {
	for ctx.Err() == nil {
		j, ok, err := w.take(ctx)
		if err != nil {
			time.Sleep(100 * time.Millisecond) // The API server is not there.
			continue
		}
		if ok {
			working := context.WithoutCancel(ctx)
			outcome := w.do(working, j, rng)
			w.flush(working)
			w.tell(working, j, outcome)
		}
	}
}

// flush lets a job be done only when the collector has its run: what a worker is killed with before, is delivered again.
// When the collector is away, the job does not wait for it.
func (w *worker) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_ = w.trail.Flush(ctx) // It is sent later, unless the worker is killed before.
}

// do runs the agent of a job, paid by its user.
func (w *worker) do(ctx context.Context, j job, rng *rand.Rand) (outcome string) {
	defer func() {
		if recover() != nil { // The run has recorded it.
			outcome = jobFailed
		}
	}()
	ctx = agenttrail.Propagator().Extract(ctx, propagation.MapCarrier(j.Headers))
	mandate, err := uuid.Parse(j.MandateID)
	if err != nil {
		return jobRefused
	}
	kind, _, _ := strings.Cut(j.Agent, "-")
	err = w.client.PaidRun(ctx, w.trail, ledgerclient.PaidRun{
		Run:       agenttrail.Run{ID: j.ExecutionID, Agent: agenttrail.Agent{ID: j.Agent, Name: kind, Version: "1.0.0"}},
		MandateID: mandate, TTL: w.s.Hold, OnFailure: policies[kind],
	}, func(ctx context.Context, run *agenttrail.Execution) error {
		return kinds[kind](&task{w: w, rng: rng, run: run}, ctx)
	})
	if err == nil {
		return jobSucceeded
	}
	if _, refused := errors.AsType[*ledgerclient.Problem](err); refused {
		return jobRefused
	}
	if s, settled := errors.AsType[*ledgerclient.SettledError](err); settled && s.Hold.Captured > 0 {
		return jobSucceeded // By a worker that did not live to say so.
	}
	return jobFailed
}

func (w *worker) take(ctx context.Context) (j job, ok bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.s.API+"/queue/"+w.name, http.NoBody)
	if err != nil {
		return j, false, err
	}
	resp, err := w.queue.Do(req)
	if err != nil {
		return j, false, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return j, false, nil
	}
	if err := json.NewDecoder(resp.Body).Decode(&j); err != nil {
		return j, false, fmt.Errorf("read job: %w", err)
	}
	return j, true, nil
}

func (w *worker) tell(ctx context.Context, j job, outcome string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.s.API+"/queue/"+w.name+"/"+j.ExecutionID+"/"+outcome, http.NoBody)
	if err != nil {
		return
	}
	if resp, err := w.queue.Do(req); err == nil {
		_ = resp.Body.Close()
	}
}
