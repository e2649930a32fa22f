package agenttrail

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Agent is who runs. The id is what AgentMetrics groups by: stable, and one of few.
type Agent struct {
	ID      string
	Name    string // For people; the id when it is empty.
	Version string
}

// Run describes a run that starts. Only the agent's id must be there.
type Run struct {
	Agent Agent
	// ID is the id of the run. When it is empty it is that of a run that was planned ([Trail.PlanExecution]) and has not
	// started yet, else a new one.
	ID string
	// UserID and SessionID say for whom it runs; when they are empty, the context does.
	UserID, SessionID string
	// QueuedAt is when the run was asked for; the time until it starts is the queue time. When it is zero, a planned run
	// knows it.
	QueuedAt time.Time
	// StartedAt is when it started; now, when it is zero.
	StartedAt time.Time
	// Imported says that the run is one of the past that is told of later, and was charged elsewhere: the ledger is not
	// expected to know it.
	Imported bool
	// Attributes are further attributes of the run.
	Attributes []attribute.KeyValue
}

// Execution is a run that goes on. Its methods may be called from many goroutines, on nil, and after its end, when they
// do nothing.
type Execution struct {
	scope   scope
	span    trace.Span
	started time.Time
	queue   time.Duration
	parent  *Execution // That called this one.

	mu       sync.Mutex
	ended    bool
	usage    Usage
	used     bool // usage is known.
	unpriced bool // A call has no cost.
	model    string
	provider string
	credits  Credits
	charged  bool // credits are known.
	first    time.Time
	stopped  time.Time
	failure  error
	told     error // The last error that a step or a run below recorded.
}

// StartExecution begins a run, and returns a context in which steps, log records and requests belong to it. Below another
// run it is a run of its own, with that one as parent.
func (t *Trail) StartExecution(ctx context.Context, r Run) (context.Context, *Execution) {
	outer := scopeFrom(ctx)
	now := r.StartedAt
	if now.IsZero() {
		now = time.Now()
	}
	e := &Execution{scope: *outer, started: now, parent: outer.exec}
	e.identify(&r, outer)
	if !r.QueuedAt.IsZero() {
		e.queue = max(0, now.Sub(r.QueuedAt))
	} else if outer.planned && e.scope.identity.ExecutionID == outer.identity.ExecutionID && !outer.queuedAt.IsZero() {
		e.queue = max(0, now.Sub(outer.queuedAt))
	}
	e.scope.trail, e.scope.exec, e.scope.planned, e.scope.queuedAt = t, e, false, time.Time{}

	buf := buffers.take()
	attrs := append(buf.attrs, keyGenAIOperation.String("invoke_agent"))
	attrs = e.scope.identity.append(attrs)
	if r.Agent.Name != "" {
		attrs = append(attrs, keyAgentName.String(r.Agent.Name))
	}
	if r.Agent.Version != "" {
		attrs = append(attrs, keyAgentVersion.String(r.Agent.Version))
	}
	if id := e.parentID(outer); id != "" {
		attrs = append(attrs, keyParentID.String(id))
	}
	if e.queue > 0 {
		attrs = append(attrs, keyQueueTime.Float64(millis(e.queue)))
	}
	if q := outer.request; q != nil {
		attrs = append(attrs, keyClientAddress.String(q.clientAddress), keyUserAgent.String(q.userAgent))
		q.noteRun(e)
	}
	if r.Imported {
		attrs = append(attrs, keyImported.Bool(true))
	}
	attrs = append(attrs, r.Attributes...)
	ctx, e.span = t.tracer.Start(ctx, "invoke_agent "+nameOf(r.Agent), trace.WithTimestamp(now), trace.WithAttributes(attrs...))
	buf.attrs = attrs
	buffers.give(buf)
	return withScope(ctx, &e.scope), e
}

// identify settles the ids of the run.
func (e *Execution) identify(r *Run, outer *scope) {
	id := Identity{ExecutionID: r.ID, AgentID: r.Agent.ID, UserID: r.UserID, SessionID: r.SessionID}
	if id.ExecutionID == "" && outer.planned {
		id.ExecutionID = outer.identity.ExecutionID
	}
	if id.ExecutionID == "" {
		id.ExecutionID = newID()
	}
	fill(&id.AgentID, r.Agent.Name)
	fill(&id.UserID, outer.identity.UserID)
	fill(&id.SessionID, outer.identity.SessionID)
	e.scope.identity = id
}

// parentID returns the run that called this one: one of this program, or of the program that called it.
func (e *Execution) parentID(outer *scope) string {
	own := e.scope.identity.ExecutionID
	if outer.exec != nil && outer.exec.ID() != own {
		return outer.exec.ID()
	}
	if outer.planned || outer.identity.ExecutionID == own {
		return ""
	}
	return outer.identity.ExecutionID
}

func nameOf(a Agent) string {
	if a.Name != "" {
		return a.Name
	}
	return a.ID
}

// newID returns an id that sorts by time.
func newID() string {
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.NewString() // It panics where there is no randomness at all.
	}
	return id.String()
}

// Execute starts a run, calls f and ends the run with its error. A panic of f is recorded and goes on; so is the end of
// its goroutine by [runtime.Goexit], as of a run that broke.
func (t *Trail) Execute(ctx context.Context, r Run, f func(context.Context, *Execution) error) (err error) {
	ctx, e := t.StartExecution(ctx, r)
	err = errExited
	defer e.End(&err)
	err = f(ctx, e)
	return err
}

// errExited stays the error of a function that neither returned nor panicked.
var errExited error = exitError{}

type exitError struct{}

func (exitError) Error() string { return "the goroutine ended before the function returned" }

// ID is the id of the run.
func (e *Execution) ID() string {
	if e == nil {
		return ""
	}
	return e.scope.identity.ExecutionID
}

// Identity is what the run, its steps and its log records carry.
func (e *Execution) Identity() Identity {
	if e == nil {
		return Identity{}
	}
	return e.scope.identity
}

// AddCredits adds to what the run costs its user.
func (e *Execution) AddCredits(c Credits) {
	e.change(func() { e.credits += c; e.charged = true })
}

// SetCredits says what the run costs its user, whatever was added before: what a ledger has captured, for example.
func (e *Execution) SetCredits(c Credits) {
	e.change(func() { e.credits, e.charged = c, true })
}

// Credits returns what the run costs its user so far; false when nobody has said.
func (e *Execution) Credits() (Credits, bool) {
	if e == nil {
		return 0, false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.credits, e.charged
}

// AddUsage adds what was used outside of the model calls that [StartModelCall] records.
func (e *Execution) AddUsage(provider, model string, u Usage) {
	e.change(func() { e.addUsage(provider, model, u) })
}

// addUsage sums up; the last model is that of the run. The caller holds the lock.
func (e *Execution) addUsage(provider, model string, u Usage) {
	e.usage.add(u)
	e.used = true
	e.unpriced = e.unpriced || u.Cost == 0
	if model != "" {
		e.model = model
	}
	if provider != "" {
		e.provider = provider
	}
}

// FirstOutput says that the user sees something of the answer now: the end of the response time. Later calls do nothing.
func (e *Execution) FirstOutput() { e.FirstOutputAt(time.Now()) }

// FirstOutputAt is FirstOutput for a moment in the past.
func (e *Execution) FirstOutputAt(at time.Time) {
	e.change(func() {
		if e.first.IsZero() {
			e.first = at
		}
	})
}

// Fail says that the run did not succeed, whatever End is given, for agents that report errors in their answers.
func (e *Execution) Fail(err error) {
	e.change(func() { e.failure = err })
}

// StatusWith returns how the run would end with an error, [Execution.Fail] considered.
func (e *Execution) StatusWith(err error) Status {
	if e != nil && err == nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		err = e.failure
	}
	return outcomeOf(err).status
}

// StopClock makes now the end of the run, whenever [Execution.End] is called: what comes between is no part of it.
func (e *Execution) StopClock() {
	now := time.Now()
	e.change(func() { e.stopped = now })
}

// SetAttributes adds attributes to the run.
func (e *Execution) SetAttributes(attrs ...attribute.KeyValue) {
	if e != nil {
		e.span.SetAttributes(attrs...)
	}
}

// change does something to a run that goes on.
func (e *Execution) change(f func()) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.ended {
		f()
	}
}

// End ends the run with the error that err points to, nil for none. Defer it: then a panic that passes is recorded, and
// goes on. Calls after the first do nothing. How the error becomes the status: [CodedError], [StatusedError], a deadline
// is [StatusTimeout], a cancellation is [StatusFailed], anything else is [StatusError].
func (e *Execution) End(err *error) {
	if v := recover(); v != nil {
		e.end(time.Now(), newPanic(v))
		panic(v)
	}
	if err != nil {
		e.end(time.Now(), *err)
		return
	}
	e.end(time.Now(), nil)
}

// EndAt ends the run at a moment in the past.
func (e *Execution) EndAt(at time.Time, err error) { e.end(at, err) }

func (e *Execution) end(at time.Time, err error) {
	if e == nil {
		return
	}
	e.mu.Lock()
	if e.ended {
		e.mu.Unlock()
		return
	}
	e.ended = true
	if err == nil {
		err = e.failure
	}
	if !e.stopped.IsZero() {
		at = e.stopped
	}
	buf := buffers.take()
	attrs := e.totals(buf.attrs)
	told := e.told
	e.mu.Unlock()

	o := outcomeOf(err)
	attrs = append(attrs, keyStatus.String(string(o.status)))
	if o.status != StatusSuccess {
		attrs = append(attrs, keyErrorCode.String(o.code), keyErrorType.String(o.code))
		if !sameError(err, told) {
			e.span.AddEvent("exception", trace.WithTimestamp(at), trace.WithAttributes(o.exception()...))
		}
		e.span.SetStatus(codes.Error, o.message)
		if e.parent != nil {
			e.parent.tell(err)
		}
		if q := e.scope.request; q != nil {
			q.tell(err)
		}
	}
	e.span.SetAttributes(attrs...)
	buf.attrs = attrs
	buffers.give(buf)
	e.span.End(trace.WithTimestamp(at))
}

// totals adds what the run used. The caller holds the lock.
func (e *Execution) totals(attrs []attribute.KeyValue) []attribute.KeyValue {
	if e.provider != "" {
		attrs = append(attrs, keyProvider.String(e.provider))
	}
	if e.model != "" {
		attrs = append(attrs, keyRequestModel.String(e.model))
	}
	if e.used {
		attrs = e.usage.append(attrs)
		if !e.unpriced {
			attrs = append(attrs, keyCost.String(e.usage.Cost.String()))
		}
	}
	if e.charged {
		attrs = append(attrs, keyCredits.String(e.credits.String()))
	}
	if !e.first.IsZero() {
		attrs = append(attrs, keyResponseTime.Float64(millis(e.queue+max(0, e.first.Sub(e.started)))))
	}
	return attrs
}

// tell notes an error that was recorded below, so that it is not recorded again.
func (e *Execution) tell(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.told = err
}

func millis(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
