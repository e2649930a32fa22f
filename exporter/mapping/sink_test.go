package mapping

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/agenttrail/agenttrail/exporter/record"
	"github.com/agenttrail/agenttrail/exporter/row"
)

// rows is a sink that keeps every row as JSON with the names of the columns, fields of zero value left out.
type rows struct {
	Executions []map[string]any `json:"AgentExecution,omitempty"`
	Requests   []map[string]any `json:"RequestLog,omitempty"`
	Errors     []map[string]any `json:"SystemErrors,omitempty"`
	Logs       []map[string]any `json:"AgentLog,omitempty"`
	Spans      []map[string]any `json:"Span,omitempty"`
	Security   []map[string]any `json:"SecurityEvents,omitempty"`
	Metrics    []map[string]any `json:"SystemMetrics,omitempty"`
	Stats      map[string]int   `json:"stats,omitempty"`
}

func (r *rows) addStats(s Stats) {
	r.Stats = map[string]int{}
	put := func(name string, n int) {
		if n != 0 {
			r.Stats[name] = n
		}
	}
	put("executions", s.Executions)
	put("spans", s.Spans)
	put("logs", s.Logs)
	put("requests", s.Requests)
	put("errors", s.Errors)
	put("metrics", s.Metrics)
	put("securityEvents", s.SecurityEvents)
	for i, n := range s.Adjusted {
		put(Reason(i).String(), int(n))
	}
}

func (r *rows) Execution(e *row.Execution) {
	r.Executions = append(r.Executions, compact(map[string]any{
		"id": e.ID, "traceId": id(e.TraceID[:]), "spanId": id(e.SpanID[:]), "parentSpanId": id(e.ParentSpanID[:]),
		"parentExecutionId": e.ParentExecutionID, "agentId": e.AgentID, "agentName": e.AgentName,
		"agentVersion": e.AgentVersion, "userId": e.UserID, "sessionId": e.SessionID,
		"status":    map[row.Status]string{1: "success", 2: "failed", 3: "timeout", 4: "error"}[e.Status],
		"startedAt": stamp(e.StartedAt), "duration": e.Duration, "responseTime": e.ResponseTime,
		"processingTime": e.ProcessingTime, "queueTime": e.QueueTime, "errorCode": e.ErrorCode,
		"errorMessage": e.ErrorMessage, "httpStatus": e.HTTPStatus, "creditsConsumed": int64(e.CreditsConsumed),
		"model": e.Model, "provider": e.Provider, "tokens": tokens(e.Tokens), "cost": cost(e.Cost), "priceVersion": e.PriceVersion,
		"userAgent": e.UserAgent, "ipAddress": e.IPAddress, "serviceName": e.ServiceName,
		"environment": e.Environment, "dialect": e.Dialect, "attributes": attrMap(e.Attributes),
	}))
}

func (r *rows) Span(s *row.Span) {
	events := []any{}
	for _, e := range s.Events {
		events = append(events, compact(map[string]any{"timestamp": stamp(int64(e.Time)), "name": e.Name, "attributes": attrMap(e.Attrs)}))
	}
	links := []any{}
	for _, l := range s.Links {
		links = append(links, compact(map[string]any{"traceId": id(l.TraceID[:]), "spanId": id(l.SpanID[:]), "attributes": attrMap(l.Attrs)}))
	}
	r.Spans = append(r.Spans, compact(map[string]any{
		"traceId": id(s.TraceID[:]), "spanId": id(s.SpanID[:]), "parentSpanId": id(s.ParentSpanID[:]), "name": s.Name,
		"kind": int(s.Kind), "startedAt": stamp(s.StartedAt), "duration": s.Duration, "status": int(s.Status),
		"statusMessage": s.StatusMessage, "agentId": s.AgentID, "executionId": s.ExecutionID, "userId": s.UserID,
		"sessionId": s.SessionID, "operation": s.Operation, "model": s.Model, "provider": s.Provider, "tool": s.Tool,
		"tokens": tokens(s.Tokens), "cost": cost(s.Cost), "priceVersion": s.PriceVersion, "serviceName": s.ServiceName, "environment": s.Environment,
		"scopeName": s.ScopeName, "scopeVersion": s.ScopeVersion, "resourceAttributes": attrMap(s.ResourceAttributes),
		"attributes": attrMap(s.Attributes), "events": events, "links": links,
	}))
}

func (r *rows) Log(l *row.Log) {
	r.Logs = append(r.Logs, compact(map[string]any{
		"id": id(l.ID[:]), "timestamp": stamp(l.Timestamp), "executionId": l.ExecutionID, "agentId": l.AgentID,
		"userId": l.UserID, "sessionId": l.SessionID, "traceId": id(l.TraceID[:]), "spanId": id(l.SpanID[:]),
		"category": map[row.Category]string{1: "execution", 2: "error", 3: "performance", 4: "user_action"}[l.Category],
		"level":    map[row.Level]string{1: "debug", 2: "info", 3: "warn", 4: "error"}[l.Level],
		"message":  l.Message, "context": json.RawMessage(l.Context), "metadata": attrMap(l.Metadata),
		"eventName": l.EventName, "severityNumber": l.SeverityNumber, "serviceName": l.ServiceName,
		"environment": l.Environment, "resourceAttributes": attrMap(l.ResourceAttributes),
	}))
}

func (r *rows) Request(q *row.Request) {
	r.Requests = append(r.Requests, compact(map[string]any{
		"id": id(q.ID[:]), "timestamp": stamp(q.Timestamp), "method": q.Method, "url": q.URL, "path": q.Path,
		"route": q.Route, "httpStatus": q.HTTPStatus, "duration": q.Duration, "requestHeaders": attrMap(q.RequestHeaders),
		"requestBody": q.RequestBody, "responseHeaders": attrMap(q.ResponseHeaders), "responseBody": q.ResponseBody,
		"errorCode": q.ErrorCode, "errorMessage": q.ErrorMessage, "agentId": q.AgentID, "executionId": q.ExecutionID,
		"userId": q.UserID, "sessionId": q.SessionID, "ipAddress": q.IPAddress, "userAgent": q.UserAgent,
		"traceId": id(q.TraceID[:]), "spanId": id(q.SpanID[:]), "serviceName": q.ServiceName, "environment": q.Environment,
	}))
}

func (r *rows) Error(e *row.Error) {
	r.Errors = append(r.Errors, compact(map[string]any{
		"id": id(e.ID[:]), "timestamp": stamp(e.Timestamp), "errorCode": e.ErrorCode, "errorType": e.ErrorType,
		"severity":  map[row.Severity]string{1: "warning", 2: "error", 3: "critical"}[e.Severity],
		"component": e.Component, "agentId": e.AgentID, "userId": e.UserID, "executionId": e.ExecutionID,
		"traceId": id(e.TraceID[:]), "spanId": id(e.SpanID[:]), "fingerprint": fmt.Sprintf("%016x", e.Fingerprint),
		"message": e.Message, "details": attrMap(e.Details), "environment": e.Environment,
	}))
}

func (r *rows) SecurityEvent(e *row.SecurityEvent) {
	r.Security = append(r.Security, compact(map[string]any{
		"id": id(e.ID[:]), "timestamp": stamp(e.Timestamp), "type": e.Type,
		"severity": map[row.Severity]string{0: "info", 1: "warning", 2: "error", 3: "critical"}[e.Severity],
		"outcome":  map[row.Outcome]string{0: "unknown", 1: "success", 2: "failure", 3: "denied"}[e.Outcome],
		"actor":    e.Actor, "userId": e.UserID, "ipAddress": e.IPAddress, "userAgent": e.UserAgent, "resource": e.Resource,
		"message": e.Message, "details": attrMap(e.Details), "traceId": id(e.TraceID[:]), "spanId": id(e.SpanID[:]),
		"executionId": e.ExecutionID, "component": e.Component, "environment": e.Environment,
	}))
}

func (r *rows) Metric(x *row.Metric) {
	started := ""
	if x.StartedAt != 0 {
		started = stamp(x.StartedAt)
	}
	m := compact(map[string]any{
		"id": id(x.ID[:]), "timestamp": stamp(x.Timestamp), "startedAt": started, "metric": x.Metric,
		"kind":        map[record.MetricKind]string{1: "gauge", 2: "sum", 3: "histogram", 4: "exponential_histogram", 5: "summary"}[x.Kind],
		"temporality": map[record.Temporality]string{1: "delta", 2: "cumulative"}[x.Temporality],
		"value":       x.Value, "unit": x.Unit, "component": x.Component, "sum": x.Sum,
		"attributes": attrMap(x.Attributes), "resourceAttributes": attrMap(x.ResourceAttributes),
		"scopeName": x.ScopeName, "environment": x.Environment,
	})
	for k, v := range map[string]record.OptionalDouble{"min": x.Min, "max": x.Max} {
		if v.Known {
			m[k] = v.Value
		}
	}
	for k, v := range map[string][]float64{"bounds": x.Bounds, "quantileValues": x.QuantileValues} {
		if len(v) > 0 {
			m[k] = slices.Clone(v)
		}
	}
	if len(x.Counts) > 0 {
		m["counts"] = slices.Clone(x.Counts)
	}
	if x.Count > 0 {
		m["count"] = x.Count
	}
	if x.Monotonic {
		m["monotonic"] = true
	}
	r.Metrics = append(r.Metrics, m)
}

// compact leaves out what is empty, so that a golden file shows what was found.
func compact(m map[string]any) map[string]any {
	for k, v := range m {
		switch v := v.(type) {
		case string:
			if v == "" {
				delete(m, k)
			}
		case nil:
			delete(m, k)
		case map[string]string:
			if len(v) == 0 {
				delete(m, k)
			}
		case map[string]uint64:
			if len(v) == 0 {
				delete(m, k)
			}
		case []any:
			if len(v) == 0 {
				delete(m, k)
			}
		case float64:
			if v == 0 {
				delete(m, k)
			}
		case uint16:
			if v == 0 {
				delete(m, k)
			}
		case int64:
			if v == 0 {
				delete(m, k)
			}
		}
	}
	return m
}

func id(b []byte) string {
	for _, c := range b {
		if c != 0 {
			return hex.EncodeToString(b)
		}
	}
	return ""
}

func stamp(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }

func tokens(t row.Tokens) map[string]uint64 {
	out := map[string]uint64{}
	for k, v := range map[string]uint64{"input": t.Input, "output": t.Output, "cacheRead": t.CacheRead, "cacheWrite": t.CacheWrite, "reasoning": t.Reasoning} {
		if v != 0 {
			out[k] = v
		}
	}
	return out
}

func cost(c row.Cost) any {
	if !c.Known {
		return nil
	}
	return c.NanoUSD
}

func attrMap(attrs record.Attrs) map[string]string {
	out := map[string]string{}
	for i := range attrs {
		if _, dup := out[attrs[i].Key]; dup {
			panic("duplicate key " + attrs[i].Key)
		}
		out[attrs[i].Key] = string(attrs[i].Value.AppendText(nil))
	}
	return out
}
