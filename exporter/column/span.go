package column

import (
	"github.com/agenttrail/agenttrail/exporter/record"
	"github.com/agenttrail/agenttrail/exporter/row"
)

// spanBlock holds rows of Span.
type spanBlock struct {
	block
	traceID, spanID, parentSpanID     text
	name                              lowCardinality
	kind, startedAt, duration, status fixed
	statusMessage                     text
	agentID                           lowCardinality
	executionID, userID, sessionID    text
	operation, model, provider, tool  lowCardinality
	tokens                            tokenColumns
	cost                              nullable
	priceVersion                      lowCardinality
	serviceName, environment          lowCardinality
	scopeName, scopeVersion           lowCardinality
	resourceAttributes, attributes    attrMap
	eventEnds                         offsets
	eventTime                         fixed
	eventName                         lowCardinality
	eventAttributes                   attrMap
	linkEnds                          offsets
	linkTraceID, linkSpanID           text
	linkAttributes                    attrMap
}

const (
	typeSpanKind   = "Enum8('unspecified' = 0, 'internal' = 1, 'server' = 2, 'client' = 3, 'producer' = 4, 'consumer' = 5)"
	typeSpanStatus = "Enum8('unset' = 0, 'ok' = 1, 'error' = 2)"
)

func (b *spanBlock) init() {
	b.fields = []field{
		col("traceId", typeString, &b.traceID),
		col("spanId", typeString, &b.spanID),
		col("parentSpanId", typeString, &b.parentSpanID),
		col("name", typeLowCardinality, &b.name),
		col("kind", typeSpanKind, &b.kind),
		col("startedAt", typeTime, &b.startedAt),
		col("duration", typeFloat64, &b.duration),
		col("status", typeSpanStatus, &b.status),
		col("statusMessage", typeString, &b.statusMessage),
		col("agentId", typeLowCardinality, &b.agentID),
		col("executionId", typeString, &b.executionID),
		col("userId", typeString, &b.userID),
		col("sessionId", typeString, &b.sessionID),
		col("operation", typeLowCardinality, &b.operation),
		col("model", typeLowCardinality, &b.model),
		col("provider", typeLowCardinality, &b.provider),
		col("tool", typeLowCardinality, &b.tool),
	}
	b.fields = append(b.fields, b.tokens.fields()...)
	b.fields = append(b.fields,
		col("cost", typeCost, &b.cost),
		col("priceVersion", typeLowCardinality, &b.priceVersion),
		col("serviceName", typeLowCardinality, &b.serviceName),
		col("environment", typeLowCardinality, &b.environment),
		col("scopeName", typeLowCardinality, &b.scopeName),
		col("scopeVersion", typeLowCardinality, &b.scopeVersion),
		col("resourceAttributes", typeMap, &b.resourceAttributes),
		col("attributes", typeMap, &b.attributes),
		col("events.timestamp", "Array("+typeTime+")", &array{off: &b.eventEnds, owns: true, elem: &b.eventTime}),
		col("events.name", "Array("+typeLowCardinality+")", &array{off: &b.eventEnds, elem: &b.eventName}),
		col("events.attributes", "Array("+typeMap+")", &array{off: &b.eventEnds, elem: &b.eventAttributes}),
		col("links.traceId", "Array("+typeString+")", &array{off: &b.linkEnds, owns: true, elem: &b.linkTraceID}),
		col("links.spanId", "Array("+typeString+")", &array{off: &b.linkEnds, elem: &b.linkSpanID}),
		col("links.attributes", "Array("+typeMap+")", &array{off: &b.linkEnds, elem: &b.linkAttributes}),
	)
}

// Append adds a row. The order is that of the columns.
func (b *spanBlock) Append(s *row.Span) {
	b.rows++
	b.traceID.addTraceID(s.TraceID)
	b.spanID.addSpanID(s.SpanID)
	b.parentSpanID.addSpanID(s.ParentSpanID)
	b.name.add(s.Name)
	b.kind.addUint8(knownOrZero(uint8(s.Kind), uint8(record.KindConsumer)))
	b.startedAt.addInt64(s.StartedAt)
	b.duration.addFloat64(s.Duration)
	b.status.addUint8(knownOrZero(uint8(s.Status), uint8(record.StatusError)))
	b.statusMessage.add(s.StatusMessage)
	b.agentID.add(s.AgentID)
	b.executionID.add(s.ExecutionID)
	b.userID.add(s.UserID)
	b.sessionID.add(s.SessionID)
	b.operation.add(s.Operation)
	b.model.add(s.Model)
	b.provider.add(s.Provider)
	b.tool.add(s.Tool)
	b.tokens.add(&s.Tokens)
	b.cost.addInt64(s.Cost.NanoUSD, s.Cost.Known)
	b.priceVersion.add(s.PriceVersion)
	b.serviceName.add(s.ServiceName)
	b.environment.add(s.Environment)
	b.scopeName.add(s.ScopeName)
	b.scopeVersion.add(s.ScopeVersion)
	b.resourceAttributes.addShared(s.ResourceAttributes)
	b.attributes.add(s.Attributes)
	for i := range s.Events {
		e := &s.Events[i]
		b.eventTime.addUint64(e.Time)
		b.eventName.add(e.Name)
		b.eventAttributes.add(e.Attrs)
	}
	b.eventEnds.ends = append(b.eventEnds.ends, b.eventEnds.last()+uint64(len(s.Events)))
	for i := range s.Links {
		l := &s.Links[i]
		b.linkTraceID.addTraceID(l.TraceID)
		b.linkSpanID.addSpanID(l.SpanID)
		b.linkAttributes.add(l.Attrs)
	}
	b.linkEnds.ends = append(b.linkEnds.ends, b.linkEnds.last()+uint64(len(s.Links)))
}

// knownOrZero returns v unless it is a number that a later version of OTLP may have added, see [enumOr].
func knownOrZero(v, highest uint8) uint8 {
	if v > highest {
		return 0
	}
	return v
}
