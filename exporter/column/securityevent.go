package column

import "github.com/agenttrail/agenttrail/exporter/row"

// securityBlock holds rows of SecurityEvents.
type securityBlock struct {
	block
	id, timestamp                       fixed
	kind                                lowCardinality
	severity, outcome                   fixed
	actor, userID, ipAddress, userAgent text
	resource, message                   text
	details                             attrMap
	traceID, spanID, executionID        text
	component, environment              lowCardinality
}

const (
	typeSecuritySeverity = "Enum8('info' = 0, 'warning' = 1, 'error' = 2, 'critical' = 3)"
	typeSecurityOutcome  = "Enum8('unknown' = 0, 'success' = 1, 'failure' = 2, 'denied' = 3)"
)

func (b *securityBlock) init() {
	b.fields = []field{
		col("id", typeUUID, &b.id),
		col("timestamp", typeTime, &b.timestamp),
		col("type", typeLowCardinality, &b.kind),
		col("severity", typeSecuritySeverity, &b.severity),
		col("outcome", typeSecurityOutcome, &b.outcome),
		col("actor", typeString, &b.actor),
		col("userId", typeString, &b.userID),
		col("ipAddress", typeString, &b.ipAddress),
		col("userAgent", typeString, &b.userAgent),
		col("resource", typeString, &b.resource),
		col("message", typeString, &b.message),
		col("details", typeMap, &b.details),
		col("traceId", typeString, &b.traceID),
		col("spanId", typeString, &b.spanID),
		col("executionId", typeString, &b.executionID),
		col("component", typeLowCardinality, &b.component),
		col("environment", typeLowCardinality, &b.environment),
	}
}

// Append adds a row. The order is that of the columns.
func (b *securityBlock) Append(e *row.SecurityEvent) {
	b.rows++
	b.id.addUUID(e.ID)
	b.timestamp.addInt64(e.Timestamp)
	b.kind.add(e.Type)
	b.severity.addUint8(knownOrZero(uint8(e.Severity), uint8(row.SeverityCritical))) //nolint:gosec // A negative one is none.
	b.outcome.addUint8(knownOrZero(uint8(e.Outcome), uint8(row.OutcomeDenied)))      //nolint:gosec // A negative one is none.
	b.actor.add(e.Actor)
	b.userID.add(e.UserID)
	b.ipAddress.add(e.IPAddress)
	b.userAgent.add(e.UserAgent)
	b.resource.add(e.Resource)
	b.message.add(e.Message)
	b.details.add(e.Details)
	b.traceID.addTraceID(e.TraceID)
	b.spanID.addSpanID(e.SpanID)
	b.executionID.add(e.ExecutionID)
	b.component.add(e.Component)
	b.environment.add(e.Environment)
}
