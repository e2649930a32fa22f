package marketplace

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	agenttrail "github.com/agenttrail/agenttrail/sdk"
)

// emitter turns planned runs into what an API server and an agent runtime would have recorded with the SDK.
type emitter struct {
	api, runtime *service
}

// emit records everything that a finished run left behind, with the times of the plan.
func (e *emitter) emit(ctx context.Context, r *run) {
	route := "/v1/agents/{agent}/runs"
	ctx = agenttrail.WithIdentity(ctx, agenttrail.Identity{ExecutionID: r.id, AgentID: r.agent.slug, UserID: r.user.id.String(), SessionID: r.session})
	ctx, request := e.api.tracer.Start(e.api.Context(ctx), "POST "+route, trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(r.requested),
		trace.WithAttributes(
			attribute.String("http.request.method", "POST"),
			attribute.String("url.scheme", "https"),
			attribute.String("url.path", "/v1/agents/"+r.agent.slug+"/runs"),
			attribute.String("http.route", route),
			attribute.String("server.address", "api.marketplace.example"),
			attribute.String("client.address", r.user.ip),
			attribute.String("user_agent.original", r.user.userAgent),
			attribute.String("agenttrail.user.id", r.user.id.String()),
			attribute.String("agenttrail.session.id", r.session),
			attribute.String("agenttrail.execution.id", r.id),
			attribute.String("agenttrail.agent.id", r.agent.slug),
			attribute.StringSlice("http.request.header.content-type", []string{"application/json"}),
			attribute.StringSlice("http.request.header.x-request-id", []string{r.id}),
		))
	log(ctx, e.api, r.requested, slog.LevelInfo, agenttrail.CategoryUserAction, "run requested", slog.String("user.action", "run")) //nolint:sloglint // A name of OpenTelemetry.
	e.emitRun(ctx, r)
	answered := r.end().Add(3 * time.Millisecond)
	request.SetAttributes(attribute.Int("http.response.status_code", r.httpStatus))
	if r.httpStatus >= 500 {
		request.SetAttributes(attribute.String("error.type", strconv.Itoa(r.httpStatus)))
		request.SetStatus(codes.Error, "")
	}
	if r.outcome == outcomeSuccess && r.id[0] < '2' {
		log(ctx, e.api, answered, slog.LevelInfo, agenttrail.CategoryUserAction, "run rated", slog.Int("rating", 3+int(r.id[1])%3))
	}
	request.End(trace.WithTimestamp(answered))
}

func (e *emitter) emitRun(ctx context.Context, r *run) {
	ctx, execution := e.runtime.StartExecution(ctx, agenttrail.Run{
		ID: r.id, Agent: agenttrail.Agent{ID: r.agent.slug, Name: r.agent.name, Version: r.agent.version},
		UserID: r.user.id.String(), SessionID: r.session, QueuedAt: r.requested, StartedAt: r.start,
	})
	log(ctx, e.runtime, r.start, slog.LevelInfo, agenttrail.CategoryExecution, "execution started")
	for i := range r.steps {
		e.emitStep(ctx, r, &r.steps[i])
	}
	end := r.end()
	_, output := r.tokens()
	switch r.outcome {
	case outcomeSuccess:
		log(ctx, e.runtime, end, slog.LevelInfo, agenttrail.CategoryExecution, "execution finished", slog.Int64("gen_ai.usage.output_tokens", output)) //nolint:sloglint // A name of OpenTelemetry.
	case outcomeFailed:
		log(ctx, e.runtime, end, slog.LevelWarn, agenttrail.CategoryExecution, "execution ended without a result: "+r.fault.message)
	default:
		log(ctx, e.runtime, end, slog.LevelError, agenttrail.CategoryError, "execution broke: "+r.fault.message, slog.Any("error", r.fault))
	}
	if r.duration > 6*time.Second {
		log(ctx, e.runtime, end, slog.LevelWarn, agenttrail.CategoryPerformance, "execution took longer than 6 s", slog.Int64("duration_ms", r.duration.Milliseconds()))
	}
	execution.AddCredits(agenttrail.Credits(r.credits()))
	execution.EndAt(end, r.err())
}

func (e *emitter) emitStep(ctx context.Context, r *run, s *step) {
	start := r.start.Add(s.offset)
	end := start.Add(s.duration)
	var span *agenttrail.Step
	switch s.kind {
	case stepAgent:
		e.emitRun(ctx, s.child)
		return
	case stepTool:
		ctx, span = agenttrail.StartTool(ctx, agenttrail.ToolCall{Name: s.tool, ID: "call_" + r.id[:8], StartedAt: start})
		log(ctx, e.runtime, start, slog.LevelDebug, agenttrail.CategoryExecution, "calling tool "+s.tool, slog.String("gen_ai.tool.name", s.tool)) //nolint:sloglint // A name of OpenTelemetry.
	default:
		ctx, span = agenttrail.StartModelCall(ctx, agenttrail.ModelCall{
			Provider: r.agent.model.provider, Model: r.agent.model.name, StartedAt: start,
			Attributes: []attribute.KeyValue{attribute.Float64("gen_ai.request.temperature", 0.2), attribute.String("server.address", "models.example.com")},
		})
		if s.fault == nil {
			span.SetUsage(agenttrail.Usage{InputTokens: s.input, OutputTokens: s.output, CacheReadTokens: s.cached, Cost: s.cost(r.agent.model)})
			span.SetResponse(r.agent.model.name, "stop")
			span.FirstOutputAt(start.Add(s.first))
		}
	}
	if s.fault != nil && s.fault != r.fault {
		log(ctx, e.runtime, end, slog.LevelWarn, agenttrail.CategoryExecution, "step did not succeed, going on: "+s.fault.message)
	}
	span.EndAt(end, s.err())
}

// log records a message with the time of the plan.
func log(ctx context.Context, s *service, at time.Time, level slog.Level, category agenttrail.Category, message string, attrs ...slog.Attr) {
	r := slog.NewRecord(at, level, message, 0)
	r.AddAttrs(attrs...)
	_ = s.Handler().Handle(agenttrail.WithCategory(ctx, category), r) // It has no errors.
}
