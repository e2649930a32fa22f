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

// historian records runs of the past: what an API server and an agent runtime recorded then. The ledger has not seen them, and
// nobody can authorize what is over; they are marked as imported, so that it is not missed there. What they cost was
// charged then, by the same rules.
type historian struct {
	performer
	api *service
}

func newHistorian(api, runtime *service) *historian {
	h := &historian{api: api}
	h.performer = performer{
		runtime: runtime,
		wait:    func(context.Context, time.Time) error { return nil },
		call:    func(ctx context.Context, r *run) error { h.emitRun(ctx, r); return nil },
	}
	return h
}

// emit records everything that a finished run left behind, with the times of the plan.
func (h *historian) emit(ctx context.Context, r *run) {
	route := "/v1/agents/{agent}/runs"
	ctx = agenttrail.WithIdentity(ctx, agenttrail.Identity{ExecutionID: r.id, AgentID: r.agent.slug, UserID: r.user.id.String(), SessionID: r.session})
	ctx, request := h.api.tracer.Start(h.api.Context(ctx), "POST "+route, trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(r.requested),
		trace.WithAttributes(
			attribute.String("http.request.method", "POST"),
			attribute.String("url.scheme", "https"),
			attribute.String("url.path", "/v1/agents/"+r.agent.slug+"/runs"),
			attribute.String("http.route", route),
			attribute.String("server.address", apiHost),
			attribute.String("client.address", r.user.ip),
			attribute.String("user_agent.original", r.user.userAgent),
			attribute.String("agenttrail.user.id", r.user.id.String()),
			attribute.String("agenttrail.session.id", r.session),
			attribute.String("agenttrail.execution.id", r.id),
			attribute.String("agenttrail.agent.id", r.agent.slug),
			attribute.StringSlice("http.request.header.content-type", []string{"application/json"}),
			attribute.StringSlice("http.request.header.x-request-id", []string{r.id}),
		))
	log(ctx, h.api, r.requested, slog.LevelInfo, agenttrail.CategoryUserAction, "run requested", slog.String("user.action", "run")) //nolint:sloglint // A name of OpenTelemetry.
	h.emitRun(ctx, r)
	answered := r.end().Add(3 * time.Millisecond)
	request.SetAttributes(attribute.Int("http.response.status_code", r.httpStatus))
	if r.httpStatus >= 500 {
		request.SetAttributes(attribute.String("error.type", strconv.Itoa(r.httpStatus)))
		request.SetStatus(codes.Error, "")
	}
	if r.outcome == outcomeSuccess && r.id[0] < '2' {
		log(ctx, h.api, answered, slog.LevelInfo, agenttrail.CategoryUserAction, "run rated", slog.Int("rating", 3+int(r.id[1])%3))
	}
	request.End(trace.WithTimestamp(answered))
}

func (h *historian) emitRun(ctx context.Context, r *run) {
	described := describe(r)
	described.QueuedAt, described.StartedAt, described.Imported = r.requested, r.start, true
	ctx, x := h.runtime.StartExecution(ctx, described)
	err := h.perform(ctx, r, x)
	if r.outcome != outcomeSuccess && !r.agent.paidAnyway {
		x.SetCredits(0)
	}
	x.EndAt(r.end(), err)
}
