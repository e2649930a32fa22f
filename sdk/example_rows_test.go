package agenttrail_test

import (
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/agenttrail/agenttrail/exporter/fromwire"
	"github.com/agenttrail/agenttrail/exporter/mapping"
	"github.com/agenttrail/agenttrail/exporter/record"
	"github.com/agenttrail/agenttrail/exporter/row"
	agenttrail "github.com/agenttrail/agenttrail/sdk"
)

// stored has the rows that the collector would store of what the examples send: it maps them as that does.
var stored rows

// rows is what became of requests, by table; a row has the columns that examples show.
type rows struct {
	mu     sync.Mutex
	tables map[string][]map[string]string
}

// print writes the rows of a table and forgets them, the columns with a comma between.
func (r *rows) print(table string, columns ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, found := range r.tables[table] {
		var values []string
		for _, c := range columns {
			values = append(values, found[c])
		}
		fmt.Println(strings.TrimRight(table+": "+strings.Join(values, ", "), " ,"))
	}
	delete(r.tables, table)
}

// forget forgets all rows.
func (r *rows) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tables = nil
}

func (r *rows) serve() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if err := r.take(req); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	}))
}

func (r *rows) take(req *http.Request) error {
	unzipped, err := gzip.NewReader(req.Body)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(unzipped)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tables == nil {
		r.tables = map[string][]map[string]string{}
	}
	m := mapping.New(mapping.Config{})
	switch req.URL.Path {
	case "/v1/traces":
		var t record.Traces
		if err := fromwire.Traces(body, &t); err != nil {
			return err
		}
		m.Traces(&t, time.Now(), r)
	case "/v1/logs":
		var l record.Logs
		if err := fromwire.Logs(body, &l); err != nil {
			return err
		}
		m.Logs(&l, time.Now(), r)
	case "/v1/metrics":
		var x record.Metrics
		if err := fromwire.Metrics(body, &x); err != nil {
			return err
		}
		m.Metrics(&x, time.Now(), r)
	}
	return nil
}

func (r *rows) add(table string, columns map[string]string) {
	for name, value := range columns {
		columns[name] = strings.Clone(value) // A row is valid only during the call.
	}
	r.tables[table] = append(r.tables[table], columns)
}

func (r *rows) Execution(e *row.Execution) {
	r.add("AgentExecution", map[string]string{
		"id": e.ID, "agentId": e.AgentID, "agentVersion": e.AgentVersion, "userId": e.UserID, "sessionId": e.SessionID, "parentExecutionId": e.ParentExecutionID,
		"status": [...]string{"", "success", "failed", "timeout", "error"}[e.Status], "errorCode": e.ErrorCode, "errorMessage": e.ErrorMessage,
		"creditsConsumed": agenttrail.Credits(e.CreditsConsumed).String(), "cost": agenttrail.USD(e.Cost.NanoUSD).String(), "model": e.Model,
		"inputTokens": fmt.Sprint(e.Tokens.Input), "outputTokens": fmt.Sprint(e.Tokens.Output), "queueTime": fmt.Sprint(e.QueueTime),
		"responseTime": fmt.Sprint(e.ResponseTime), "duration": fmt.Sprint(e.Duration), "serviceName": e.ServiceName, "environment": e.Environment,
		"topic": attr(e.Attributes, "topic"),
	})
}

func (r *rows) Span(s *row.Span) {
	r.add("Span", map[string]string{
		"name": s.Name, "operation": s.Operation, "executionId": s.ExecutionID, "agentId": s.AgentID, "model": s.Model, "tool": s.Tool,
		"statusMessage": s.StatusMessage, "inputTokens": fmt.Sprint(s.Tokens.Input), "cost": agenttrail.USD(s.Cost.NanoUSD).String(),
		"userId": s.UserID, "serviceName": s.ServiceName, "shard": attr(s.Attributes, "shard"), "url": attr(s.Attributes, "url.full"),
	})
}

func (r *rows) Log(l *row.Log) {
	r.add("AgentLog", map[string]string{
		"message": l.Message, "category": [...]string{"", "execution", "error", "performance", "user_action"}[l.Category],
		"level": [...]string{"", "debug", "info", "warn", "error"}[l.Level], "executionId": l.ExecutionID, "agentId": l.AgentID, "userId": l.UserID,
		"ticket": attr(l.Metadata, "ticket"),
	})
}

func (r *rows) Request(q *row.Request) {
	r.add("RequestLog", map[string]string{
		"method": q.Method, "path": q.Path, "route": q.Route, "httpStatus": fmt.Sprint(q.HTTPStatus), "errorCode": q.ErrorCode, "errorMessage": q.ErrorMessage,
		"executionId": q.ExecutionID, "agentId": q.AgentID, "userId": q.UserID, "ipAddress": q.IPAddress, "requestBody": q.RequestBody, "responseBody": q.ResponseBody,
		"authorization": attr(q.RequestHeaders, "authorization"), "x-request-id": attr(q.RequestHeaders, "x-request-id"), "retry-after": attr(q.ResponseHeaders, "retry-after"),
		"trace": hex.EncodeToString(q.TraceID[:]),
	})
}

func (r *rows) Error(e *row.Error) {
	r.add("SystemErrors", map[string]string{"errorCode": e.ErrorCode, "errorType": e.ErrorType, "message": e.Message, "agentId": e.AgentID, "executionId": e.ExecutionID})
}

func (r *rows) Metric(m *row.Metric) {
	if m.Metric == "agenttrail.sdk.lost" {
		return
	}
	r.add("SystemMetrics", map[string]string{"metric": m.Metric, "value": fmt.Sprint(m.Value), "unit": m.Unit, "component": m.Component})
}

func (r *rows) SecurityEvent(e *row.SecurityEvent) {
	r.add("SecurityEvents", map[string]string{
		"type": e.Type, "outcome": [...]string{"unknown", "success", "failure", "denied"}[e.Outcome], "severity": [...]string{"info", "warning", "error", "critical"}[e.Severity],
		"actor": e.Actor, "userId": e.UserID, "resource": e.Resource, "message": e.Message,
	})
}

func attr(attrs record.Attrs, key string) string {
	for i := range attrs {
		if attrs[i].Key == key {
			return string(attrs[i].Value.AppendText(nil))
		}
	}
	return ""
}
