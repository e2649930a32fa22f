package agenttrail_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	agenttrail "github.com/agenttrail/agenttrail/sdk"
)

// schemaError is an error of the program under test that has a code of its own.
type schemaError struct{ field string }

func (e *schemaError) Error() string {
	return "answer does not match the schema: " + e.field + " is missing"
}
func (*schemaError) ErrorCode() string { return "invalid_output" }

var planner = agenttrail.Agent{ID: "travel-planner", Name: "Travel Planner", Version: "2.1.0"}

// shop is a program of two services: an API that runs an agent, and the search that a tool of the agent asks.
type shop struct {
	api, search   *agenttrail.Trail
	apiURL        string
	runID, subRun string
	requests      metric.Int64Counter
}

func newShop(t *testing.T, b backend) *shop {
	t.Helper()
	s := &shop{api: b.service(t, "travel-api"), search: b.service(t, "travel-search")}
	searching := httptest.NewServer(s.search.Middleware(http.HandlerFunc(s.serveSearch)))
	t.Cleanup(searching.Close)
	var err error
	s.requests, err = s.api.MeterProvider().Meter("travel").Int64Counter("travel.plans", metric.WithUnit("{plan}"))
	require.NoError(t, err)
	client := &http.Client{Transport: s.api.Transport(nil)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/plans/{kind}", func(w http.ResponseWriter, r *http.Request) { s.servePlan(w, r, client, searching.URL) })
	serving := httptest.NewServer(s.api.Middleware(mux, agenttrail.WithBodies(1024), agenttrail.WithRequestHeaders("Content-Type", "Authorization"), agenttrail.WithResponseHeaders("Content-Type")))
	t.Cleanup(serving.Close)
	s.apiURL = serving.URL
	return s
}

func (s *shop) serveSearch(w http.ResponseWriter, r *http.Request) {
	agenttrail.Log(r.Context(), slog.LevelInfo, agenttrail.CategoryPerformance, "searched", slog.Int("hits", 3))
	_, _ = io.WriteString(w, "3 flights")
}

func (s *shop) servePlan(w http.ResponseWriter, r *http.Request, client *http.Client, searchURL string) {
	ctx := agenttrail.WithIdentity(r.Context(), agenttrail.Identity{UserID: "user-7", SessionID: "session-3"})
	_, _ = io.Copy(io.Discard, r.Body)
	s.requests.Add(ctx, 2, metric.WithAttributes(attribute.String("kind", r.PathValue("kind"))))
	agenttrail.Log(ctx, slog.LevelInfo, agenttrail.CategoryUserAction, "plan asked for")
	agenttrail.RecordSecurity(ctx, agenttrail.SecurityEvent{
		Type: agenttrail.SecurityPolicyViolation, Outcome: agenttrail.OutcomeDenied, Severity: agenttrail.SeverityWarning,
		Resource: "tool/transfer_money", Message: "the agent may not use this tool", Details: []slog.Attr{slog.String("rule", "no-money")},
	})
	err := s.plan(ctx, client, searchURL, r.PathValue("kind") == "impossible")
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusUnprocessableEntity)
		agenttrail.SetRequestError(ctx, err)
		_, _ = io.WriteString(w, `{"error":"no plan","session_token":"st-1"}`)
		return
	}
	_, _ = io.WriteString(w, `{"plan":"take the train"}`)
}

func (s *shop) plan(ctx context.Context, client *http.Client, searchURL string, impossible bool) (err error) {
	started := time.Now()
	ctx, run := s.api.StartExecution(ctx, agenttrail.Run{Agent: planner, QueuedAt: started.Add(-40 * time.Millisecond), StartedAt: started})
	defer run.End(&err)
	if impossible {
		logger := slog.New(s.api.Handler())
		err := fmt.Errorf("make plan: %w", &schemaError{"days"})
		logger.ErrorContext(ctx, "no plan", "error", err, "attempt", 2)
		return err
	}
	s.runID = run.ID()

	modelCtx, call := agenttrail.StartModelCall(ctx, agenttrail.ModelCall{Provider: "openai", Model: "gpt-5-mini", StartedAt: started})
	call.FirstOutputAt(started.Add(120 * time.Millisecond))
	call.SetUsage(agenttrail.Usage{InputTokens: 900, OutputTokens: 100, CacheReadTokens: 300, CacheWriteTokens: 20, ReasoningTokens: 40, Cost: 1_250_000})
	call.SetResponse("gpt-5-mini-2026-01", "tool_calls")
	agenttrail.Log(modelCtx, slog.LevelInfo, agenttrail.CategoryExecution, "model asks for a tool")
	call.EndAt(started.Add(200*time.Millisecond), nil)

	toolCtx, tool := agenttrail.StartTool(ctx, agenttrail.ToolCall{Name: "search_flights", ID: "call_1"})
	req, err := http.NewRequestWithContext(toolCtx, http.MethodGet, searchURL+"/flights?to=oslo&api_key=k-123", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	tool.End(nil)

	_, lookup := agenttrail.StartStep(ctx, agenttrail.StepRetrieval, "look up weather")
	handled := errors.New("weather is away")
	lookup.End(&handled) // The run goes on without it.

	subErr := s.api.Execute(ctx, agenttrail.Run{Agent: agenttrail.Agent{ID: "summarizer"}}, func(_ context.Context, sub *agenttrail.Execution) error {
		s.subRun = sub.ID()
		sub.AddUsage("anthropic", "claude-haiku-4-5", agenttrail.Usage{InputTokens: 10, OutputTokens: 5, Cost: 1})
		return nil
	})
	run.FirstOutputAt(started.Add(300 * time.Millisecond))
	run.AddCredits(2_500_000)
	run.AddCredits(1)
	return subErr
}

func (s *shop) post(t *testing.T, path, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.apiURL+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer very-secret")
	req.Header.Set("User-Agent", "shop-test/1")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

// TestEndToEnd lets a program of two services leave its traces in a real ClickHouse, through a real collector.
func TestEndToEnd(t *testing.T) {
	t.Parallel()
	b := startBackend(t)
	s := newShop(t, b)
	require.Equal(t, http.StatusOK, s.post(t, "/v1/plans/trip?coupon=X&token=abc", `{"to":"Oslo","password":"hunter2"}`))
	require.Equal(t, http.StatusUnprocessableEntity, s.post(t, "/v1/plans/impossible", `{"to":"Atlantis"}`))
	flush(t, s.api)
	flush(t, s.search)

	runs := b.rows(t, 3, "SELECT * FROM AgentExecution ORDER BY startedAt, id")
	byID := map[any]map[string]any{}
	for _, r := range runs {
		byID[r["id"]] = r
	}
	ids := map[string]any{"executionId": s.runID, "agentId": "travel-planner", "userId": "user-7", "sessionId": "session-3"}

	t.Run("AgentExecution", func(t *testing.T) {
		t.Parallel()
		run := byID[s.runID]
		requireRow(t, run, map[string]any{
			"agentId": "travel-planner", "agentName": "Travel Planner", "agentVersion": "2.1.0", "userId": "user-7", "sessionId": "session-3",
			"status": "success", "errorCode": "", "httpStatus": 200, "creditsConsumed": "2.500001", "model": "gpt-5-mini-2026-01", "provider": "openai",
			"inputTokens": 900, "outputTokens": 100, "cacheReadTokens": 300, "cacheWriteTokens": 20, "reasoningTokens": 40, "cost": "0.00125",
			"queueTime": 40, "responseTime": 340, "userAgent": "shop-test/1", "ipAddress": "127.0.0.1", "serviceName": "travel-api", "environment": "test", "parentExecutionId": "",
		})
		requireFilled(t, run, "traceId", "spanId", "parentSpanId", "startedAt", "duration", "processingTime", "dialect")
		requireRow(t, byID[s.subRun], map[string]any{
			"agentId": "summarizer", "agentName": "summarizer", "userId": "user-7", "sessionId": "session-3", "parentExecutionId": s.runID,
			"status": "success", "inputTokens": 10, "outputTokens": 5, "model": "claude-haiku-4-5", "provider": "anthropic", "cost": "0.000000001", "creditsConsumed": "0",
		})
		for id, r := range byID {
			if id != s.runID && id != s.subRun {
				requireRow(t, r, map[string]any{
					"agentId": "travel-planner", "status": "failed", "errorCode": "invalid_output", "httpStatus": 422,
					"errorMessage": "make plan: answer does not match the schema: days is missing",
				})
			}
		}
	})
	t.Run("Span", func(t *testing.T) {
		t.Parallel()
		spans := b.rows(t, 8, "SELECT * FROM Span WHERE traceId = '"+byID[s.runID]["traceId"].(string)+"' ORDER BY startedAt")
		kinds := map[string]int{}
		for _, sp := range spans {
			kinds[sp["operation"].(string)]++
			requireFilled(t, sp, "executionId", "agentId", "userId", "sessionId", "scopeName", "scopeVersion", "serviceName", "environment")
			if sp["operation"] == "inference" {
				requireRow(t, sp, map[string]any{"model": "gpt-5-mini-2026-01", "provider": "openai", "inputTokens": 900, "reasoningTokens": 40, "cost": "0.00125", "duration": 200, "kind": "client", "executionId": s.runID})
			}
			if sp["operation"] == "tool" {
				requireRow(t, sp, map[string]any{"tool": "search_flights", "status": "unset"})
			}
			if sp["operation"] == "retrieval" {
				requireRow(t, sp, map[string]any{"status": "error", "statusMessage": "weather is away"})
			}
			require.NotContains(t, fmt.Sprint(sp), "k-123")
		}
		require.Equal(t, map[string]int{"request": 2, "agent": 2, "inference": 1, "tool": 1, "retrieval": 1, "": 1}, kinds)
	})
	t.Run("AgentLog", func(t *testing.T) {
		t.Parallel()
		asked := b.rows(t, 2, "SELECT * FROM AgentLog WHERE message = 'plan asked for'")
		requireRow(t, asked[0], map[string]any{"category": "user_action", "level": "info", "userId": "user-7", "sessionId": "session-3", "serviceName": "travel-api", "environment": "test"})
		model := b.rows(t, 1, "SELECT * FROM AgentLog WHERE message = 'model asks for a tool'")[0]
		requireRow(t, model, ids)
		requireRow(t, model, map[string]any{"category": "execution", "traceId": byID[s.runID]["traceId"]})
		requireFilled(t, model, "spanId", "timestamp")
		searched := b.rows(t, 1, "SELECT * FROM AgentLog WHERE message = 'searched'")[0]
		requireRow(t, searched, ids)
		requireRow(t, searched, map[string]any{"category": "performance", "serviceName": "travel-search", "metadata": searched["metadata"]})
		require.Contains(t, fmt.Sprint(searched["metadata"]), "hits:3")
		failed := b.rows(t, 1, "SELECT * FROM AgentLog WHERE message = 'no plan'")[0]
		requireRow(t, failed, map[string]any{"category": "error", "level": "error", "agentId": "travel-planner"})
		require.Contains(t, fmt.Sprint(failed["metadata"]), "attempt:2")
	})
	t.Run("RequestLog", func(t *testing.T) {
		t.Parallel()
		ok := b.rows(t, 1, "SELECT * FROM RequestLog WHERE serviceName = 'travel-api' AND httpStatus = 200")[0]
		requireRow(t, ok, ids)
		requireRow(t, ok, map[string]any{
			"method": "POST", "route": "/v1/plans/{kind}", "path": "/v1/plans/trip", "url": s.apiURL + "/v1/plans/trip?coupon=X&token=[redacted]",
			"userAgent": "shop-test/1", "ipAddress": "127.0.0.1", "errorCode": "", "traceId": byID[s.runID]["traceId"],
			"requestBody": `{"to":"Oslo","password":"[redacted]"}`, "responseBody": `{"plan":"take the train"}`,
		})
		headers := asJSON(t, ok["requestHeaders"])
		require.Equal(t, map[string]any{"content-type": "application/json", "authorization": "[redacted]"}, headers)
		require.Equal(t, map[string]any{"content-type": "application/json"}, asJSON(t, ok["responseHeaders"]))
		requireFilled(t, ok, "timestamp", "duration", "spanId", "environment")
		bad := b.rows(t, 1, "SELECT * FROM RequestLog WHERE httpStatus = 422")[0]
		requireRow(t, bad, map[string]any{"errorCode": "invalid_output", "errorMessage": "make plan: answer does not match the schema: days is missing", "responseBody": `{"error":"no plan","session_token":"[redacted]"}`})
		inner := b.rows(t, 1, "SELECT * FROM RequestLog WHERE serviceName = 'travel-search'")[0]
		requireRow(t, inner, ids)
		requireRow(t, inner, map[string]any{"method": "GET", "path": "/flights", "requestBody": ""})
	})
	t.Run("SystemErrors", func(t *testing.T) {
		t.Parallel()
		weather := b.rows(t, 1, "SELECT * FROM SystemErrors FINAL WHERE message = 'weather is away'")[0]
		requireRow(t, weather, map[string]any{
			"executionId": s.runID, "agentId": "travel-planner", "userId": "user-7",
			"errorType": "*errors.errorString", "errorCode": "error", "severity": "error", "component": "travel-api",
		})
		schema := b.rows(t, 1, "SELECT * FROM SystemErrors FINAL WHERE message LIKE 'make plan%'")[0]
		requireRow(t, schema, map[string]any{"errorType": "*agenttrail_test.schemaError", "errorCode": "invalid_output", "severity": "error", "agentId": "travel-planner", "userId": "user-7"})
		requireFilled(t, schema, "id", "executionId", "traceId", "fingerprint", "timestamp", "details")
		b.rows(t, 2, "SELECT * FROM SystemErrors FINAL")
	})
	t.Run("SecurityEvents", func(t *testing.T) {
		t.Parallel()
		e := b.rows(t, 2, "SELECT * FROM SecurityEvents")[0]
		requireRow(t, e, map[string]any{
			"type": "policy.violation", "outcome": "denied", "severity": "warning", "actor": "user-7", "userId": "user-7", "resource": "tool/transfer_money",
			"ipAddress": "127.0.0.1", "userAgent": "shop-test/1", "message": "the agent may not use this tool",
		})
		require.Contains(t, fmt.Sprint(e["details"]), "rule:no-money")
	})
	t.Run("SystemMetrics", func(t *testing.T) {
		t.Parallel()
		trip := b.rows(t, 1, "SELECT * FROM SystemMetrics WHERE metric = 'travel.plans' AND attributes['kind'] = 'trip' LIMIT 1")[0]
		requireRow(t, trip, map[string]any{"value": 2, "unit": "{plan}", "component": "travel-api", "environment": "test"})
		requireFilled(t, trip, "id", "timestamp")
		lost := b.rows(t, 2, "SELECT component, max(value) AS most FROM SystemMetrics WHERE metric = 'agenttrail.sdk.lost' GROUP BY component")
		for _, l := range lost {
			require.Zero(t, l["most"], l["component"])
		}
	})
	t.Run("OneIDFindsAll", func(t *testing.T) {
		t.Parallel()
		sources := b.rows(t, 5, fmt.Sprintf("SELECT source, count() AS n FROM ExecutionTrail(id = '%s') GROUP BY source ORDER BY source", s.runID))
		var names []any
		for _, r := range sources {
			names = append(names, r["source"])
		}
		require.Equal(t, []any{"error", "execution", "log", "request", "span"}, names)
	})
}

func asJSON(t *testing.T, v any) map[string]any {
	t.Helper()
	if m, ok := v.(map[string]any); ok {
		return m
	}
	var m map[string]any
	require.NoError(t, json.Unmarshal([]byte(v.(string)), &m))
	return m
}
