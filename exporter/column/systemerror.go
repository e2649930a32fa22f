package column

import "github.com/agenttrail/agenttrail/exporter/row"

// errorBlock holds rows of SystemErrors.
type errorBlock struct {
	block
	id, timestamp                        fixed
	errorCode, errorType                 lowCardinality
	severity                             fixed
	component, agentID                   lowCardinality
	userID, executionID, traceID, spanID text
	fingerprint                          fixed
	message                              text
	details                              attrMap
	environment                          lowCardinality
}

const typeErrorSeverity = "Enum8('warning' = 1, 'error' = 2, 'critical' = 3)"

func (b *errorBlock) init() {
	b.fields = []field{
		col("id", typeUUID, &b.id),
		col("timestamp", typeTime, &b.timestamp),
		col("errorCode", typeLowCardinality, &b.errorCode),
		col("errorType", typeLowCardinality, &b.errorType),
		col("severity", typeErrorSeverity, &b.severity),
		col("component", typeLowCardinality, &b.component),
		col("agentId", typeLowCardinality, &b.agentID),
		col("userId", typeString, &b.userID),
		col("executionId", typeString, &b.executionID),
		col("traceId", typeString, &b.traceID),
		col("spanId", typeString, &b.spanID),
		col("fingerprint", typeUint64, &b.fingerprint),
		col("message", typeString, &b.message),
		col("details", typeMap, &b.details),
		col("environment", typeLowCardinality, &b.environment),
	}
}

// Append adds a row. The order is that of the columns.
func (b *errorBlock) Append(e *row.Error) {
	b.rows++
	b.id.addUUID(e.ID)
	b.timestamp.addInt64(e.Timestamp)
	b.errorCode.add(e.ErrorCode)
	b.errorType.add(e.ErrorType)
	b.severity.addInt8(enumOr(int8(e.Severity), int8(row.SeverityCritical), int8(row.SeverityError)))
	b.component.add(e.Component)
	b.agentID.add(e.AgentID)
	b.userID.add(e.UserID)
	b.executionID.add(e.ExecutionID)
	b.traceID.addTraceID(e.TraceID)
	b.spanID.addSpanID(e.SpanID)
	b.fingerprint.addUint64(e.Fingerprint)
	b.message.add(e.Message)
	b.details.add(e.Details)
	b.environment.add(e.Environment)
}
