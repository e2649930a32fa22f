package column

import "github.com/agenttrail/agenttrail/exporter/row"

// logBlock holds rows of AgentLog.
type logBlock struct {
	block
	id, timestamp                      fixed
	executionID                        text
	agentID                            lowCardinality
	userID, sessionID, traceID, spanID text
	category, level                    fixed
	message, context                   text
	metadata                           attrMap
	eventName                          lowCardinality
	severityNumber                     fixed
	serviceName, environment           lowCardinality
	resourceAttributes                 attrMap
}

const (
	typeLogCategory = "Enum8('execution' = 1, 'error' = 2, 'performance' = 3, 'user_action' = 4)"
	typeLogLevel    = "Enum8('debug' = 1, 'info' = 2, 'warn' = 3, 'error' = 4)"
)

func (b *logBlock) init() {
	b.fields = []field{
		col("id", typeUUID, &b.id),
		col("timestamp", typeTime, &b.timestamp),
		col("executionId", typeString, &b.executionID),
		col("agentId", typeLowCardinality, &b.agentID),
		col("userId", typeString, &b.userID),
		col("sessionId", typeString, &b.sessionID),
		col("traceId", typeString, &b.traceID),
		col("spanId", typeString, &b.spanID),
		col("category", typeLogCategory, &b.category),
		col("level", typeLogLevel, &b.level),
		col("message", typeString, &b.message),
		col("context", typeString, &b.context),
		col("metadata", typeMap, &b.metadata),
		col("eventName", typeLowCardinality, &b.eventName),
		col("severityNumber", typeUint8, &b.severityNumber),
		col("serviceName", typeLowCardinality, &b.serviceName),
		col("environment", typeLowCardinality, &b.environment),
		col("resourceAttributes", typeMap, &b.resourceAttributes),
	}
}

// Append adds a row. The order is that of the columns.
func (b *logBlock) Append(l *row.Log) {
	b.rows++
	b.id.addUUID(l.ID)
	b.timestamp.addInt64(l.Timestamp)
	b.executionID.add(l.ExecutionID)
	b.agentID.add(l.AgentID)
	b.userID.add(l.UserID)
	b.sessionID.add(l.SessionID)
	b.traceID.addTraceID(l.TraceID)
	b.spanID.addSpanID(l.SpanID)
	b.category.addInt8(enumOr(int8(l.Category), int8(row.CategoryUserAction), int8(row.CategoryExecution)))
	b.level.addInt8(enumOr(int8(l.Level), int8(row.LevelError), int8(row.LevelInfo)))
	b.message.add(l.Message)
	b.context.add(l.Context)
	b.metadata.add(l.Metadata)
	b.eventName.add(l.EventName)
	b.severityNumber.addUint8(l.SeverityNumber)
	b.serviceName.add(l.ServiceName)
	b.environment.add(l.Environment)
	b.resourceAttributes.addShared(l.ResourceAttributes)
}
