package marketplace

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"

	agenttrail "github.com/agenttrail/agenttrail/sdk"
)

// performer lets planned runs happen, and records with the SDK what an agent runtime would have recorded.
type performer struct {
	runtime *service
	wait    func(ctx context.Context, until time.Time) error // Returns early with an error when ctx ends.
	call    func(ctx context.Context, r *run) error          // Does a run that a run calls.
}

// describe is the run as telemetry tells of it.
func describe(r *run) agenttrail.Run {
	return agenttrail.Run{
		ID: r.id, Agent: agenttrail.Agent{ID: r.agent.slug, Name: r.agent.name, Version: r.agent.version},
		UserID: r.user.id.String(), SessionID: r.session,
		Attributes: []attribute.KeyValue{attribute.String("agenttrail.client.address", r.user.ip), attribute.String("agenttrail.user_agent", r.user.userAgent)},
	}
}

// perform does what is planned, from r.start on, and returns how it ended.
func (p *performer) perform(ctx context.Context, r *run, x *agenttrail.Execution) error {
	log(ctx, p.runtime, r.start, slog.LevelInfo, agenttrail.CategoryExecution, "execution started")
	var output int64
	for i := range r.steps {
		s := &r.steps[i]
		if err := p.step(ctx, r, s); err != nil {
			log(ctx, p.runtime, time.Now(), slog.LevelWarn, agenttrail.CategoryExecution, "execution was interrupted")
			return err
		}
		if s.fault == nil && s.kind == stepChat {
			output += s.output
			x.AddCredits(agenttrail.Credits((s.input + s.output) * r.price / 1000))
		}
	}
	end := r.end()
	if err := p.wait(ctx, end); err != nil {
		return err
	}
	switch r.outcome {
	case outcomeSuccess:
		log(ctx, p.runtime, end, slog.LevelInfo, agenttrail.CategoryExecution, "execution finished", slog.Int64("gen_ai.usage.output_tokens", output)) //nolint:sloglint // A name of OpenTelemetry.
	case outcomeFailed:
		log(ctx, p.runtime, end, slog.LevelWarn, agenttrail.CategoryExecution, "execution ended without a result: "+r.fault.message)
	default:
		log(ctx, p.runtime, end, slog.LevelError, agenttrail.CategoryError, "execution broke: "+r.fault.message, slog.Any("error", r.fault))
	}
	if r.duration > 6*time.Second {
		log(ctx, p.runtime, end, slog.LevelWarn, agenttrail.CategoryPerformance, "execution took longer than 6 s", slog.Int64("duration_ms", r.duration.Milliseconds()))
	}
	return r.err()
}

// step does one step. Its error is that of an interruption; that of the step itself is recorded, and the run goes on.
func (p *performer) step(ctx context.Context, r *run, s *step) error {
	start := r.start.Add(s.offset)
	end := start.Add(s.duration)
	if err := p.wait(ctx, start); err != nil {
		return err
	}
	var span *agenttrail.Step
	switch s.kind {
	case stepAgent:
		s.child.start = start
		if err := p.call(ctx, s.child); err != nil {
			log(ctx, p.runtime, r.start.Add(s.offset+s.duration), slog.LevelWarn, agenttrail.CategoryExecution, "agent "+s.child.agent.slug+" gave no result, going on: "+err.Error())
		}
		return ctx.Err()
	case stepTool:
		ctx, span = agenttrail.StartTool(ctx, agenttrail.ToolCall{Name: s.tool, ID: "call_" + r.id[:8], StartedAt: start})
		log(ctx, p.runtime, start, slog.LevelDebug, agenttrail.CategoryExecution, "calling tool "+s.tool, slog.String("gen_ai.tool.name", s.tool)) //nolint:sloglint // A name of OpenTelemetry.
	default:
		ctx, span = agenttrail.StartModelCall(ctx, agenttrail.ModelCall{
			Provider: r.agent.model.provider, Model: r.agent.model.name, StartedAt: start,
			Attributes: []attribute.KeyValue{attribute.Float64("gen_ai.request.temperature", 0.2), attribute.String("server.address", "models.example.com")},
		})
	}
	if err := p.wait(ctx, end); err != nil {
		span.End(&err)
		return err
	}
	if s.kind == stepChat && s.fault == nil {
		span.SetUsage(agenttrail.Usage{InputTokens: s.input, OutputTokens: s.output, CacheReadTokens: s.cached, Cost: s.cost(r.agent.model)})
		span.SetResponse(r.agent.model.name, "stop")
		span.FirstOutputAt(start.Add(s.first))
	}
	if s.fault != nil && s.fault != r.fault {
		log(ctx, p.runtime, end, slog.LevelWarn, agenttrail.CategoryExecution, "step did not succeed, going on: "+s.fault.message)
	}
	span.EndAt(end, s.err())
	return nil
}

// log records a message with the time of the plan.
func log(ctx context.Context, s *service, at time.Time, level slog.Level, category agenttrail.Category, message string, attrs ...slog.Attr) {
	r := slog.NewRecord(at, level, message, 0)
	r.AddAttrs(attrs...)
	_ = s.Handler().Handle(agenttrail.WithCategory(ctx, category), r) // It has no errors.
}
