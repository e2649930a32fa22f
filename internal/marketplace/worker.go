package marketplace

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/propagation"

	agenttrail "github.com/agenttrail/agenttrail/sdk"
	"github.com/agenttrail/agenttrail/sdk/ledgerclient"
)

// How long credits are held: for a run, which ends before, and for one whose worker is lost.
const (
	holdFor     = 40 * time.Second
	holdForLost = 8 * time.Second
)

// lostShare is how many runs lose their worker before they begin.
const lostShare = 0.004

// codeRejected is the code of a run that somebody has decided against.
const codeRejected = "approval_rejected"

// workers is how many runs can be under way at once. The others wait in the queue.
const workers = 200

// job is a run in the queue. Of its request only the message goes along, as to another process.
type job struct {
	plan    *run
	message propagation.MapCarrier
	answer  chan error // Has room for one.
}

// hand puts a job into the queue and waits until it is done.
func (m *market) hand(ctx context.Context, j job) error {
	select {
	case m.queue <- j:
		return <-j.answer
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// staff does jobs until ctx ends.
func (m *market) staff(ctx context.Context) {
	for {
		select {
		case j := <-m.queue:
			j.answer <- m.work(agenttrail.Propagator().Extract(ctx, j.message), j.plan)
		case <-ctx.Done():
			return
		}
	}
}

// work does a run when it has waited for as long as it was to.
func (m *market) work(ctx context.Context, r *run) error {
	if err := m.wait(ctx, r.requested.Add(r.queue)); err != nil {
		return err
	}
	if m.chance(lostShare) {
		return m.loseWorker(ctx, r)
	}
	err := m.paidRun(ctx, r)
	waiting, ok := errors.AsType[*ledgerclient.ApprovalRequiredError](err)
	if !ok {
		return err
	}
	hold, err := m.decide(ctx, waiting.Approval.ID)
	if err != nil {
		return err
	}
	return m.paidWith(ctx, r, hold)
}

// paidRun does a run that its user pays for.
func (m *market) paidRun(ctx context.Context, r *run) error { return m.paidWith(ctx, r, uuid.Nil) }

// paidWith does a run with a hold that is there already, unless it is nil.
func (m *market) paidWith(ctx context.Context, r *run, hold uuid.UUID) error {
	policy := ledgerclient.ReleaseOnFailure
	if r.agent.paidAnyway {
		policy = ledgerclient.ChargeOnFailure
	}
	described := describe(r)
	if !agenttrail.IsPlanned(ctx) {
		described.ID = "" // A run that a run calls gets an id of its own.
	}
	return m.desk.runtime.PaidRun(ctx, m.runtime.Trail, ledgerclient.PaidRun{
		Run: described, MandateID: r.user.mandate, TTL: holdFor, HoldID: hold, OnFailure: policy,
	}, func(ctx context.Context, x *agenttrail.Execution) error {
		r.id, r.start, r.price = x.ID(), time.Now(), m.desk.price(r.agent)
		err := m.perform(ctx, r, x)
		m.ended(r.id, time.Now())
		m.tally.ended(err)
		return err
	})
}

// loseWorker authorizes a run and forgets it, as a worker does that dies then: its hold expires.
func (m *market) loseWorker(ctx context.Context, r *run) error {
	if _, err := m.desk.runtime.Authorize(ctx, ledgerclient.Authorize{UserID: r.user.id, MandateID: r.user.mandate, Agent: r.agent.slug, ExecutionID: r.id, TTL: holdForLost}); err != nil {
		return err
	}
	m.tally.count(&m.tally.lost)
	ctx = m.apiTrail.Context(ctx)
	agenttrail.Log(ctx, slog.LevelError, agenttrail.CategoryError, "the worker of a run is gone")
	return &problem{"worker_lost", "the worker of the run is gone"}
}

// decide is somebody who decides about a run after a moment's thought, mostly in favor of it. It returns the run's hold.
func (m *market) decide(ctx context.Context, approval uuid.UUID) (uuid.UUID, error) {
	m.tally.count(&m.tally.approvals)
	if err := m.wait(ctx, time.Now().Add(time.Duration(300+m.draw(1500))*time.Millisecond)); err != nil {
		return uuid.Nil, err
	}
	if m.chance(0.2) {
		if _, err := m.desk.boss.Reject(ctx, approval, "too expensive for what it is"); err != nil {
			return uuid.Nil, err
		}
		return uuid.Nil, &problem{codeRejected, "the run was decided against"}
	}
	a, err := m.desk.boss.Approve(ctx, approval, "")
	if err != nil {
		return uuid.Nil, err
	}
	return a.Hold.ID, nil
}
