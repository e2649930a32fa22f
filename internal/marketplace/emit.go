package marketplace

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/trace"
)

// Attribute keys of our own namespace that the simulation sets; all the others are OpenTelemetry's.
const (
	keyExecutionID = "agenttrail.execution.id"
	keyParentID    = "agenttrail.execution.parent_id"
	keyStatus      = "agenttrail.execution.status"
	keyQueueTime   = "agenttrail.execution.queue_time_ms"
	keyCredits     = "agenttrail.credits"
	keyCost        = "agenttrail.cost_usd"
	keyCategory    = "agenttrail.log.category"
)

// emitter turns planned runs into the spans and log records that an API server and an agent runtime would have sent.
type emitter struct {
	api, runtime *service
}

// emit sends everything that a finished run left behind, with the times of the plan.
func (e *emitter) emit(ctx context.Context, r *run) {
	route := "/v1/agents/{agent}/runs"
	reqCtx, request := e.api.tracer.Start(ctx, "POST "+route, trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(r.requested),
		trace.WithAttributes(
			attribute.String("http.request.method", "POST"),
			attribute.String("url.scheme", "https"),
			attribute.String("url.path", "/v1/agents/"+r.agent.slug+"/runs"),
			attribute.String("http.route", route),
			attribute.String("server.address", "api.marketplace.example"),
			attribute.String("client.address", r.user.ip),
			attribute.String("user_agent.original", r.user.userAgent),
			attribute.String("user.id", r.user.id.String()),
			attribute.String("session.id", r.session),
			attribute.String(keyExecutionID, r.id),
			attribute.String("gen_ai.agent.id", r.agent.slug),
			attribute.StringSlice("http.request.header.content-type", []string{"application/json"}),
			attribute.StringSlice("http.request.header.x-request-id", []string{r.id}),
		))
	e.log(reqCtx, e.api, r, r.requested, log.SeverityInfo, "user_action", "run requested", attribute.String("user.action", "run"))
	e.emitRun(reqCtx, r, "")
	answered := r.end().Add(3 * time.Millisecond)
	request.SetAttributes(attribute.Int("http.response.status_code", r.httpStatus))
	if r.httpStatus >= 500 {
		request.SetAttributes(attribute.String("error.type", strconv.Itoa(r.httpStatus)))
		request.SetStatus(codes.Error, "")
	}
	if r.outcome == outcomeSuccess && r.id[0] < '2' {
		e.log(reqCtx, e.api, r, answered, log.SeverityInfo, "user_action", "run rated", attribute.Int("rating", 3+int(r.id[1])%3))
	}
	request.End(trace.WithTimestamp(answered))
}

func (e *emitter) emitRun(ctx context.Context, r *run, parent string) {
	input, output, cached := r.tokens()
	ctx, span := e.runtime.tracer.Start(ctx, "invoke_agent "+r.agent.name, trace.WithTimestamp(r.start), trace.WithAttributes(
		attribute.String("gen_ai.operation.name", "invoke_agent"),
		attribute.String("gen_ai.agent.id", r.agent.slug),
		attribute.String("gen_ai.agent.name", r.agent.name),
		attribute.String("gen_ai.agent.version", r.agent.version),
		attribute.String("gen_ai.provider.name", r.agent.model.provider),
		attribute.String("gen_ai.request.model", r.agent.model.name),
		attribute.String("gen_ai.conversation.id", r.session),
		attribute.String("user.id", r.user.id.String()),
		attribute.Int64("gen_ai.usage.input_tokens", input),
		attribute.Int64("gen_ai.usage.output_tokens", output),
		attribute.Int64("gen_ai.usage.cache_read.input_tokens", cached),
		attribute.String(keyExecutionID, r.id),
		attribute.Float64(keyQueueTime, float64(r.queue.Nanoseconds())/1e6),
		attribute.String(keyCredits, decimal(r.credits(), 6)),
		attribute.String(keyCost, decimal(r.nanoUSD(), 9)),
	))
	if parent != "" {
		span.SetAttributes(attribute.String(keyParentID, parent))
	}
	e.log(ctx, e.runtime, r, r.start, log.SeverityInfo, "execution", "execution started")
	for i := range r.steps {
		e.emitStep(ctx, r, &r.steps[i])
	}
	end := r.end()
	if r.outcome == outcomeSuccess {
		e.log(ctx, e.runtime, r, end, log.SeverityInfo, "execution", "execution finished", attribute.Int64("gen_ai.usage.output_tokens", output))
	} else {
		span.SetAttributes(attribute.String("error.type", r.fault.kind))
		span.SetStatus(codes.Error, r.fault.message)
		if r.outcome == outcomeFailed {
			span.SetAttributes(attribute.String(keyStatus, outcomeFailed))
			e.log(ctx, e.runtime, r, end, log.SeverityWarn, "execution", "execution ended without a result: "+r.fault.message)
		} else {
			exception(span, end, r.fault)
			e.log(ctx, e.runtime, r, end, log.SeverityError, "error", "execution broke: "+r.fault.message,
				attribute.String("exception.type", r.fault.kind), attribute.String("exception.message", r.fault.message))
		}
	}
	if r.duration > 6*time.Second {
		e.log(ctx, e.runtime, r, end, log.SeverityWarn, "performance", "execution took longer than 6 s", attribute.Int64("duration_ms", r.duration.Milliseconds()))
	}
	span.End(trace.WithTimestamp(end))
}

func (e *emitter) emitStep(ctx context.Context, r *run, s *step) {
	start := r.start.Add(s.offset)
	end := start.Add(s.duration)
	var span trace.Span
	switch s.kind {
	case stepAgent:
		e.emitRun(ctx, s.child, r.id)
		return
	case stepTool:
		ctx, span = e.runtime.tracer.Start(ctx, "execute_tool "+s.tool, trace.WithTimestamp(start), trace.WithAttributes(
			attribute.String("gen_ai.operation.name", "execute_tool"),
			attribute.String("gen_ai.tool.name", s.tool),
			attribute.String("gen_ai.tool.type", "function"),
			attribute.String("gen_ai.tool.call.id", "call_"+r.id[:8]),
		))
		e.log(ctx, e.runtime, r, start, log.SeverityDebug, "execution", "calling tool "+s.tool, attribute.String("gen_ai.tool.name", s.tool))
	default:
		ctx, span = e.runtime.tracer.Start(ctx, "chat "+r.agent.model.name, trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(start), trace.WithAttributes(
			attribute.String("gen_ai.operation.name", "chat"),
			attribute.String("gen_ai.provider.name", r.agent.model.provider),
			attribute.String("gen_ai.request.model", r.agent.model.name),
			attribute.String("gen_ai.response.model", r.agent.model.name),
			attribute.Float64("gen_ai.request.temperature", 0.2),
			attribute.String("server.address", "models.example.com"),
		))
		if s.fault == nil {
			span.SetAttributes(
				attribute.Int64("gen_ai.usage.input_tokens", s.input),
				attribute.Int64("gen_ai.usage.output_tokens", s.output),
				attribute.Int64("gen_ai.usage.cache_read.input_tokens", s.cached),
				attribute.Float64("gen_ai.response.time_to_first_chunk", s.first.Seconds()),
				attribute.StringSlice("gen_ai.response.finish_reasons", []string{"stop"}),
			)
		}
	}
	if s.fault != nil {
		span.SetAttributes(attribute.String("error.type", s.fault.kind))
		span.SetStatus(codes.Error, s.fault.message)
		exception(span, end, s.fault)
		if s.fault != r.fault {
			e.log(ctx, e.runtime, r, end, log.SeverityWarn, "execution", "step did not succeed, going on: "+s.fault.message)
		}
	}
	span.End(trace.WithTimestamp(end))
}

func (e *emitter) log(ctx context.Context, s *service, r *run, at time.Time, severity log.Severity, category, message string, attrs ...attribute.KeyValue) {
	var rec log.Record
	rec.SetTimestamp(at)
	rec.SetObservedTimestamp(at)
	rec.SetSeverity(severity)
	rec.SetSeverityText(severity.String())
	rec.SetBody(attribute.StringValue(message))
	rec.AddAttributes(
		attribute.String(keyCategory, category),
		attribute.String(keyExecutionID, r.id),
		attribute.String("gen_ai.agent.id", r.agent.slug),
		attribute.String("user.id", r.user.id.String()),
		attribute.String("session.id", r.session),
	)
	rec.AddAttributes(attrs...)
	s.logger.Emit(ctx, rec)
}

func exception(span trace.Span, at time.Time, f *fault) {
	span.AddEvent("exception", trace.WithTimestamp(at), trace.WithAttributes(
		attribute.String("exception.type", f.kind),
		attribute.String("exception.message", f.message),
	))
}

// decimal writes an integer of the given scale as a decimal number, 1500000 with scale 6 as 1.500000.
func decimal(n int64, scale int) string {
	s := fmt.Sprintf("%0*d", scale+1, n)
	return s[:len(s)-scale] + "." + s[len(s)-scale:]
}
