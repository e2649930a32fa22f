package agenttrail

import (
	"context"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
)

// keyQueuedAt is the member of the baggage that says that the run of agenttrail.execution.id has yet to start, and since
// when it waits, ms since the epoch.
const keyQueuedAt = "agenttrail.execution.queued_at"

// maxBaggageID is how long an id from the baggage of a request may be. Longer ones are not taken: nobody should make
// the spans of others large.
const maxBaggageID = 256

// Propagator carries trace context, baggage and the ids of [Identity] in headers of HTTP or messages. [Trail.Middleware]
// and [Trail.Transport] use it by themselves; for a queue, inject into the message and extract where it is worked on:
//
//	agenttrail.Propagator().Inject(ctx, propagation.MapCarrier(message.Headers))
//	ctx = agenttrail.Propagator().Extract(ctx, propagation.MapCarrier(message.Headers))
//
// The ids are members of the W3C baggage with the names of the attributes: agenttrail.execution.id, agenttrail.agent.id,
// agenttrail.user.id and agenttrail.session.id.
func Propagator() propagation.TextMapPropagator { return propagator{} }

type propagator struct{}

var traceContext propagation.TraceContext

func (propagator) Fields() []string { return []string{"traceparent", "tracestate", "baggage"} }

func (propagator) Inject(ctx context.Context, carrier propagation.TextMapCarrier) {
	traceContext.Inject(ctx, carrier)
	b := baggage.FromContext(ctx)
	s := scopeFrom(ctx)
	for _, m := range [...]struct{ key, value string }{
		{string(keyExecutionID), s.identity.ExecutionID},
		{string(keyAgentID), s.identity.AgentID},
		{string(keyUserID), s.identity.UserID},
		{string(keySessionID), s.identity.SessionID},
		{keyQueuedAt, queuedText(s)},
	} {
		// What a program before us wrote is about its own run.
		b = b.DeleteMember(m.key)
		if m.value == "" {
			continue
		}
		member, err := baggage.NewMemberRaw(m.key, m.value)
		if err != nil {
			continue // Not UTF-8.
		}
		if with, err := b.SetMember(member); err == nil {
			b = with
		}
	}
	propagation.Baggage{}.Inject(baggage.ContextWithBaggage(ctx, b), carrier)
}

func queuedText(s *scope) string {
	if !s.planned || s.queuedAt.IsZero() {
		return ""
	}
	return strconv.FormatInt(s.queuedAt.UnixMilli(), 10)
}

func (propagator) Extract(ctx context.Context, carrier propagation.TextMapCarrier) context.Context {
	ctx = traceContext.Extract(ctx, carrier)
	if carrier.Get("baggage") == "" {
		return ctx
	}
	ctx = propagation.Baggage{}.Extract(ctx, carrier)
	b := baggage.FromContext(ctx)
	id := Identity{
		ExecutionID: baggageID(b, string(keyExecutionID)),
		AgentID:     baggageID(b, string(keyAgentID)),
		UserID:      baggageID(b, string(keyUserID)),
		SessionID:   baggageID(b, string(keySessionID)),
	}
	if id == (Identity{}) {
		return ctx
	}
	s := *scopeFrom(ctx)
	s.identity = id
	s.planned, s.queuedAt = false, time.Time{}
	if ms, err := strconv.ParseInt(b.Member(keyQueuedAt).Value(), 10, 64); err == nil && ms > 0 && id.ExecutionID != "" {
		s.planned, s.queuedAt = true, time.UnixMilli(ms)
	}
	return withScope(ctx, &s)
}

func baggageID(b baggage.Baggage, key string) string {
	id := b.Member(key).Value()
	if len(id) > maxBaggageID {
		return ""
	}
	return id
}
