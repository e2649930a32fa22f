package column

import "github.com/agenttrail/agenttrail/exporter/row"

// requestBlock holds rows of RequestLog.
type requestBlock struct {
	block
	id, timestamp                         fixed
	method                                lowCardinality
	url, path                             text
	route                                 lowCardinality
	httpStatus, duration                  fixed
	requestHeaders                        attrMap
	requestBody                           text
	responseHeaders                       attrMap
	responseBody                          text
	errorCode                             lowCardinality
	errorMessage                          text
	agentID                               lowCardinality
	executionID, userID, sessionID        text
	ipAddress, userAgent, traceID, spanID text
	serviceName, environment              lowCardinality
}

func (b *requestBlock) init() {
	b.fields = []field{
		col("id", typeUUID, &b.id),
		col("timestamp", typeTime, &b.timestamp),
		col("method", typeLowCardinality, &b.method),
		col("url", typeString, &b.url),
		col("path", typeString, &b.path),
		col("route", typeLowCardinality, &b.route),
		col("httpStatus", typeUint16, &b.httpStatus),
		col("duration", typeFloat64, &b.duration),
		col("requestHeaders", typeMap, &b.requestHeaders),
		col("requestBody", typeString, &b.requestBody),
		col("responseHeaders", typeMap, &b.responseHeaders),
		col("responseBody", typeString, &b.responseBody),
		col("errorCode", typeLowCardinality, &b.errorCode),
		col("errorMessage", typeString, &b.errorMessage),
		col("agentId", typeLowCardinality, &b.agentID),
		col("executionId", typeString, &b.executionID),
		col("userId", typeString, &b.userID),
		col("sessionId", typeString, &b.sessionID),
		col("ipAddress", typeString, &b.ipAddress),
		col("userAgent", typeString, &b.userAgent),
		col("traceId", typeString, &b.traceID),
		col("spanId", typeString, &b.spanID),
		col("serviceName", typeLowCardinality, &b.serviceName),
		col("environment", typeLowCardinality, &b.environment),
	}
}

// Append adds a row. The order is that of the columns.
func (b *requestBlock) Append(r *row.Request) {
	b.rows++
	b.id.addUUID(r.ID)
	b.timestamp.addInt64(r.Timestamp)
	b.method.add(r.Method)
	b.url.add(r.URL)
	b.path.add(r.Path)
	b.route.add(r.Route)
	b.httpStatus.addUint16(r.HTTPStatus)
	b.duration.addFloat64(r.Duration)
	b.requestHeaders.add(r.RequestHeaders)
	b.requestBody.add(r.RequestBody)
	b.responseHeaders.add(r.ResponseHeaders)
	b.responseBody.add(r.ResponseBody)
	b.errorCode.add(r.ErrorCode)
	b.errorMessage.add(r.ErrorMessage)
	b.agentID.add(r.AgentID)
	b.executionID.add(r.ExecutionID)
	b.userID.add(r.UserID)
	b.sessionID.add(r.SessionID)
	b.ipAddress.add(r.IPAddress)
	b.userAgent.add(r.UserAgent)
	b.traceID.addTraceID(r.TraceID)
	b.spanID.addSpanID(r.SpanID)
	b.serviceName.add(r.ServiceName)
	b.environment.add(r.Environment)
}
