package agenttrail

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// ModelCall describes a call of a model that starts.
type ModelCall struct {
	// Provider is who serves the model, by semconv's names: openai, anthropic, gcp.vertex_ai, aws.bedrock and so on.
	Provider string
	// Model is the one that is asked for.
	Model string
	// Operation is chat when it is empty; others are text_completion, generate_content and embeddings.
	Operation string
	// StartedAt is when it started; now, when it is zero.
	StartedAt time.Time
	// Attributes are further attributes, for example gen_ai.request.temperature.
	Attributes []attribute.KeyValue
}

// ToolCall describes a call of a tool that starts.
type ToolCall struct {
	Name string
	// ID is that which the model gave the call.
	ID string
	// Type is function when it is empty; others are extension and datastore.
	Type string
	// StartedAt is when it started; now, when it is zero.
	StartedAt time.Time
	// Attributes are further attributes.
	Attributes []attribute.KeyValue
}

// StepKind is what a step is, as in Span.operation.
type StepKind string

const (
	// StepPlain is any work.
	StepPlain StepKind = "step"
	// StepRetrieval looks something up.
	StepRetrieval StepKind = "retrieval"
	// StepMemory reads or writes a memory.
	StepMemory StepKind = "memory"
)

// Step is a part of a run that goes on. Its methods may be called from many goroutines, on nil, and after its end, when
// they do nothing.
type Step struct {
	exec    *Execution
	span    trace.Span
	started time.Time
	model   bool

	mu       sync.Mutex
	ended    bool
	provider string
	asked    string // Model that was asked for.
	answered string
	usage    Usage
	used     bool
	first    time.Time
	finish   []string
}

// StartModelCall begins a call of a model. What it used becomes part of what the run used.
func StartModelCall(ctx context.Context, c ModelCall) (context.Context, *Step) {
	operation := c.Operation
	if operation == "" {
		operation = "chat"
	}
	s := &Step{model: true, provider: c.Provider, asked: c.Model}
	buf := buffers.take()
	attrs := append(buf.attrs, keyGenAIOperation.String(operation), keyProvider.String(c.Provider), keyRequestModel.String(c.Model))
	return s.start(ctx, operation+" "+c.Model, trace.SpanKindClient, c.StartedAt, buf, append(attrs, c.Attributes...))
}

// StartTool begins a call of a tool.
func StartTool(ctx context.Context, c ToolCall) (context.Context, *Step) {
	kind := c.Type
	if kind == "" {
		kind = "function"
	}
	buf := buffers.take()
	attrs := append(buf.attrs, keyGenAIOperation.String("execute_tool"), keyToolName.String(c.Name), keyToolType.String(kind))
	if c.ID != "" {
		attrs = append(attrs, keyToolCallID.String(c.ID))
	}
	return (&Step{}).start(ctx, "execute_tool "+c.Name, trace.SpanKindInternal, c.StartedAt, buf, append(attrs, c.Attributes...))
}

// StartStep begins any other part of a run.
func StartStep(ctx context.Context, kind StepKind, name string, attributes ...attribute.KeyValue) (context.Context, *Step) {
	buf := buffers.take()
	attrs := append(buf.attrs, keyOperation.String(string(kind)))
	return (&Step{}).start(ctx, name, trace.SpanKindInternal, time.Time{}, buf, append(attrs, attributes...))
}

// start begins the span of a step, and takes the buffer of its attributes back. Without a Trail in the context it is one
// that records nothing.
func (s *Step) start(ctx context.Context, name string, kind trace.SpanKind, at time.Time, buf *buffer, attrs []attribute.KeyValue) (context.Context, *Step) {
	sc := scopeFrom(ctx)
	attrs = sc.identity.append(attrs)
	buf.attrs = attrs
	defer buffers.give(buf)
	if sc.trail == nil {
		return ctx, nil
	}
	s.exec, s.started = sc.exec, at
	if at.IsZero() {
		s.started = time.Now()
	}
	ctx, s.span = sc.trail.tracer.Start(ctx, name, trace.WithSpanKind(kind), trace.WithTimestamp(s.started), trace.WithAttributes(attrs...))
	return ctx, s
}

// SetUsage says what a model call used. The last call counts.
func (s *Step) SetUsage(u Usage) {
	s.change(func() { s.usage, s.used = u, true })
}

// SetResponse says which model answered and why it ended, such as stop, length or tool_calls.
func (s *Step) SetResponse(model string, finishReasons ...string) {
	s.change(func() { s.answered, s.finish = model, finishReasons })
}

// FirstOutput says that the first part of the answer of a model arrives. Later calls do nothing.
func (s *Step) FirstOutput() { s.FirstOutputAt(time.Now()) }

// FirstOutputAt is FirstOutput for a moment in the past.
func (s *Step) FirstOutputAt(at time.Time) {
	s.change(func() {
		if s.first.IsZero() {
			s.first = at
		}
	})
}

// SetAttributes adds attributes to the step.
func (s *Step) SetAttributes(attrs ...attribute.KeyValue) {
	if s != nil {
		s.span.SetAttributes(attrs...)
	}
}

func (s *Step) change(f func()) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		f()
	}
}

// End ends the step with the error that err points to, nil for none. Defer it: then a panic that passes is recorded, and
// goes on. Calls after the first do nothing. An error of a step does not fail its run, which may go on without it.
func (s *Step) End(err *error) {
	if v := recover(); v != nil {
		s.end(time.Now(), newPanic(v))
		panic(v)
	}
	if err != nil {
		s.end(time.Now(), *err)
		return
	}
	s.end(time.Now(), nil)
}

// EndAt ends the step at a moment in the past.
func (s *Step) EndAt(at time.Time, err error) { s.end(at, err) }

func (s *Step) end(at time.Time, err error) {
	if s == nil {
		return
	}
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended = true
	buf := buffers.take()
	attrs := s.response(buf.attrs)
	s.mu.Unlock()

	if s.model && s.used {
		s.exec.AddUsage(s.provider, s.answered, s.usage)
	}
	if err != nil {
		o := outcomeOf(err)
		attrs = append(attrs, keyErrorType.String(o.code))
		s.span.AddEvent("exception", trace.WithTimestamp(at), trace.WithAttributes(o.exception()...))
		s.span.SetStatus(codes.Error, o.message)
		if s.exec != nil {
			s.exec.tell(err)
		}
	}
	s.span.SetAttributes(attrs...)
	buf.attrs = attrs
	buffers.give(buf)
	s.span.End(trace.WithTimestamp(at))
}

// response adds what came of a model call. The caller holds the lock.
func (s *Step) response(attrs []attribute.KeyValue) []attribute.KeyValue {
	if !s.model {
		return attrs
	}
	if s.answered == "" {
		s.answered = s.asked
	}
	if s.used {
		attrs = append(s.usage.append(attrs), keyResponseModel.String(s.answered))
		if s.usage.Cost != 0 {
			attrs = append(attrs, keyCost.String(s.usage.Cost.String()))
		}
	}
	if len(s.finish) > 0 {
		attrs = append(attrs, keyFinishReasons.StringSlice(s.finish))
	}
	if !s.first.IsZero() {
		attrs = append(attrs, keyFirstChunk.Float64(max(0, s.first.Sub(s.started)).Seconds()))
	}
	return attrs
}

// sameError reports whether an error is one that was recorded below already, perhaps wrapped since.
func sameError(err, told error) (same bool) {
	if told == nil {
		return false
	}
	defer func() { _ = recover() }() // Values that cannot be compared are not the same.
	if p, ok := errors.AsType[*panicError](err); ok {
		below, ok := errors.AsType[*panicError](told)
		return ok && p.text() == below.text()
	}
	return errors.Is(err, told)
}
