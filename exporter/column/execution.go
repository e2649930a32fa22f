package column

import "github.com/agenttrail/agenttrail/exporter/row"

// executionBlock holds rows of AgentExecution.
type executionBlock struct {
	block
	id, traceID, spanID, parentSpanID, parentExecutionID text
	agentID, agentName, agentVersion                     lowCardinality
	userID, sessionID                                    text
	status, startedAt                                    fixed
	duration, responseTime, processingTime, queueTime    fixed
	errorCode                                            lowCardinality
	errorMessage                                         text
	httpStatus, credits                                  fixed
	model, provider                                      lowCardinality
	tokens                                               tokenColumns
	cost                                                 nullable
	priceVersion                                         lowCardinality
	userAgent, ipAddress                                 text
	serviceName, environment, dialect                    lowCardinality
	attributes                                           attrMap
}

const typeExecutionStatus = "Enum8('success' = 1, 'failed' = 2, 'timeout' = 3, 'error' = 4)"

func (b *executionBlock) init() {
	b.fields = []field{
		col("id", typeString, &b.id),
		col("traceId", typeString, &b.traceID),
		col("spanId", typeString, &b.spanID),
		col("parentSpanId", typeString, &b.parentSpanID),
		col("parentExecutionId", typeString, &b.parentExecutionID),
		col("agentId", typeLowCardinality, &b.agentID),
		col("agentName", typeLowCardinality, &b.agentName),
		col("agentVersion", typeLowCardinality, &b.agentVersion),
		col("userId", typeString, &b.userID),
		col("sessionId", typeString, &b.sessionID),
		col("status", typeExecutionStatus, &b.status),
		col("startedAt", typeTime, &b.startedAt),
		col("duration", typeFloat64, &b.duration),
		col("responseTime", typeFloat64, &b.responseTime),
		col("processingTime", typeFloat64, &b.processingTime),
		col("queueTime", typeFloat64, &b.queueTime),
		col("errorCode", typeLowCardinality, &b.errorCode),
		col("errorMessage", typeString, &b.errorMessage),
		col("httpStatus", typeUint16, &b.httpStatus),
		col("creditsConsumed", typeCredits, &b.credits),
		col("model", typeLowCardinality, &b.model),
		col("provider", typeLowCardinality, &b.provider),
	}
	b.fields = append(b.fields, b.tokens.fields()...)
	b.fields = append(b.fields,
		col("cost", typeCost, &b.cost),
		col("priceVersion", typeLowCardinality, &b.priceVersion),
		col("userAgent", typeString, &b.userAgent),
		col("ipAddress", typeString, &b.ipAddress),
		col("serviceName", typeLowCardinality, &b.serviceName),
		col("environment", typeLowCardinality, &b.environment),
		col("dialect", typeLowCardinality, &b.dialect),
		col("attributes", typeMap, &b.attributes),
	)
}

// Append adds a row. The order is that of the columns.
func (b *executionBlock) Append(e *row.Execution) {
	b.rows++
	b.id.add(e.ID)
	b.traceID.addTraceID(e.TraceID)
	b.spanID.addSpanID(e.SpanID)
	b.parentSpanID.addSpanID(e.ParentSpanID)
	b.parentExecutionID.add(e.ParentExecutionID)
	b.agentID.add(e.AgentID)
	b.agentName.add(e.AgentName)
	b.agentVersion.add(e.AgentVersion)
	b.userID.add(e.UserID)
	b.sessionID.add(e.SessionID)
	b.status.addInt8(enumOr(int8(e.Status), int8(row.StatusError), int8(row.StatusError)))
	b.startedAt.addInt64(e.StartedAt)
	b.duration.addFloat64(countable(e.Duration))
	b.responseTime.addFloat64(e.ResponseTime)
	b.processingTime.addFloat64(e.ProcessingTime)
	b.queueTime.addFloat64(e.QueueTime)
	b.errorCode.add(e.ErrorCode)
	b.errorMessage.add(e.ErrorMessage)
	b.httpStatus.addUint16(e.HTTPStatus)
	b.credits.addInt64(int64(e.CreditsConsumed))
	b.model.add(e.Model)
	b.provider.add(e.Provider)
	b.tokens.add(&e.Tokens)
	b.cost.addInt64(e.Cost.NanoUSD, e.Cost.Known)
	b.priceVersion.add(e.PriceVersion)
	b.userAgent.add(e.UserAgent)
	b.ipAddress.add(e.IPAddress)
	b.serviceName.add(e.ServiceName)
	b.environment.add(e.Environment)
	b.dialect.add(e.Dialect)
	b.attributes.add(e.Attributes)
}

// maxDuration is the longest duration of a run, ms; that is 317 years. Its nanoseconds fit into 64 bits.
const maxDuration = 1e13

// countable returns a duration that the views of AgentMetrics can sum. They turn it into whole nanoseconds, and a
// value for which that fails would make ClickHouse refuse the block of all neighbors, every time.
func countable(ms float64) float64 {
	switch {
	case !(ms > 0): // NaN too.
		return 0
	case ms > maxDuration:
		return maxDuration
	default:
		return ms
	}
}

// tokenColumns are the token counts of a run or a span.
type tokenColumns struct{ input, output, cacheRead, cacheWrite, reasoning fixed }

func (c *tokenColumns) fields() []field {
	return []field{
		col("inputTokens", typeUint64, &c.input),
		col("outputTokens", typeUint64, &c.output),
		col("cacheReadTokens", typeUint64, &c.cacheRead),
		col("cacheWriteTokens", typeUint64, &c.cacheWrite),
		col("reasoningTokens", typeUint64, &c.reasoning),
	}
}

func (c *tokenColumns) add(t *row.Tokens) {
	c.input.addUint64(t.Input)
	c.output.addUint64(t.Output)
	c.cacheRead.addUint64(t.CacheRead)
	c.cacheWrite.addUint64(t.CacheWrite)
	c.reasoning.addUint64(t.Reasoning)
}

// enumOr returns v if the enum, numbered from 1 to highest, has it, else other. ClickHouse stores a number that
// an enum does not have and then fails every query that reads the row, so none may get there.
func enumOr(v, highest, other int8) int8 {
	if v < 1 || v > highest {
		return other
	}
	return v
}
