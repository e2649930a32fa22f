package mapping

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// facts are columns of one row that must be so; they are written from the text of the conventions and from what the
// emitters are known to send, not from what the mapping gave.
type facts map[string]any

func tok(in, out, read, write, reasoning uint64) map[string]uint64 {
	m := map[string]uint64{}
	for k, v := range map[string]uint64{"input": in, "output": out, "cacheRead": read, "cacheWrite": write, "reasoning": reasoning} {
		if v != 0 {
			m[k] = v
		}
	}
	return m
}

func TestFacts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		executions, requests, errors []facts
	}{
		"genai-v1.36": {executions: []facts{
			{
				"agentId": "asst_1", "agentName": "planner", "sessionId": "conv-7", "userId": "u-9", "status": "success", "duration": 1000.0,
				"tokens": tok(100, 20, 0, 0, 0), "model": "gpt-4o-2024-08-06", "provider": "openai", "environment": "staging",
				"dialect": "otel_genai", "id": "0000000000000001", "responseTime": 60.0,
			},
			{"agentId": "weather", "parentExecutionId": "0000000000000001", "userId": "u-9", "tokens": tok(30, 5, 0, 0, 0), "model": "gpt-4o-mini"},
		}},
		"genai-v0.1.0": {executions: []facts{
			{"agentId": "travel", "status": "success", "userId": "u-1", "tokens": nil, "errorCode": nil},
			{"agentId": "flights", "parentExecutionId": "0000000000000001", "tokens": tok(50, 10, 20, 5, 4), "model": "m-1", "provider": "acme", "userId": "u-1"},
			{"agentId": "hotels", "status": "failed", "errorCode": "content_filter", "errorMessage": "blocked", "tokens": tok(7, 1, 0, 0, 0), "model": "m-2"},
		}, errors: []facts{{"errorCode": "content_filter", "agentId": "hotels", "message": "blocked"}}},
		"google-adk": {executions: []facts{
			{"id": "e-123", "agentId": "root_agent", "sessionId": "s-1", "tokens": tok(11, 3, 0, 0, 0), "dialect": "google_adk"},
			{"id": "0000000000000005", "agentId": "helper", "parentExecutionId": "e-123", "tokens": tok(2, 1, 0, 0, 0)},
		}},
		"google-adk-split": {executions: []facts{
			{"id": "0000000000000005", "agentId": "helper"}, // The root of the invocation is in another request.
		}},
		"two-instrumentations": {executions: []facts{{"agentId": "greeter", "tokens": tok(10, 2, 0, 0, 0), "cost": int64(500_000_000)}}},
		"ai-sdk-aborted-stream": {
			executions: []facts{
				{"agentId": "greeter", "status": "failed", "errorCode": "aborted"},
				{"agentId": "done", "status": "success", "errorCode": nil},
			},
		},
		"pydantic-ai": {executions: []facts{
			{"id": "call-77", "agentId": "support", "tokens": tok(40, 8, 6, 0, 0), "cost": int64(150_000), "model": "claude-x", "provider": "anthropic", "dialect": "pydantic_ai"},
		}},
		"strands": {executions: []facts{
			{"agentId": "Strands Agents", "status": "success", "tokens": tok(12, 4, 3, 2, 0), "userId": "u-1", "sessionId": "s-1", "dialect": "strands", "responseTime": 42.0},
		}, errors: []facts{{"errorType": "ZeroDivisionError", "message": "division by zero", "severity": "error"}}},
		"genkit": {executions: []facts{
			{"agentId": "menuFlow", "status": "error", "errorCode": "GenkitError", "sessionId": "gs-1", "tokens": tok(21, 4, 0, 0, 2), "model": "googleai/gemini"},
			{"agentId": "innerFlow", "status": "success", "parentExecutionId": "0000000000000001"},
		}, errors: []facts{{"errorType": "GenkitError", "agentId": "menuFlow"}}},
		"langsmith": {executions: []facts{
			{"id": "0191-run", "agentId": "my_chain", "sessionId": "th-1", "userId": "u-3", "tokens": tok(9, 2, 4, 0, 1), "model": "gpt-4o"},
		}},
		"openlit": {executions: []facts{
			{"id": "exec-1", "agentId": "writer", "status": "failed", "errorMessage": "quota exhausted", "cost": int64(1_100_000), "userId": "u-2", "sessionId": "s-2", "environment": "qa"},
		}, errors: []facts{{"message": "quota exhausted"}}},
		"vllm": {executions: []facts{
			{"agentId": "direct", "queueTime": 50.0, "processingTime": 950.0, "responseTime": 200.0},
		}},
		"claude-code": {executions: []facts{
			{"agentId": "claude-code", "tokens": tok(1060, 30, 1000, 50, 0), "cost": int64(12_300_000), "model": "claude-opus", "userId": "u-1", "dialect": "claude_code"},
		}, errors: []facts{{"agentId": "claude-code"}}},
		"mcp": {executions: []facts{{"agentId": "m", "status": "success"}}, errors: []facts{{"errorCode": "tool_error", "message": "bad query"}}},
		"openinference-openai-agents": {executions: []facts{
			{"agentId": "support", "status": "error", "errorMessage": "Error: rate limited", "tokens": tok(20, 2, 8, 0, 0), "cost": int64(2_000_000), "duration": 500.0},
			{"agentId": "Agent workflow", "status": "success"},
			{"agentId": "triage", "parentExecutionId": "000000000000000b"},
			{"agentId": "refunds", "parentExecutionId": "000000000000000b", "tokens": tok(5, 1, 0, 0, 0)},
		}, errors: []facts{{"message": "Error: rate limited", "spanId": "0000000000000002"}}},
		"own-around-ai-sdk": {
			executions: []facts{{
				"id": "exec-42", "agentId": "ag-7", "agentName": "support", "agentVersion": "3", "creditsConsumed": int64(1_250_001), "cost": int64(4_000_000),
				"tokens": tok(33, 4, 0, 0, 0), "httpStatus": uint16(200), "ipAddress": "203.0.113.9", "userAgent": "Mozilla/5.0", "userId": "u-5",
				"sessionId": "s-1", "queueTime": 50.0, "responseTime": 160.0, "status": "success", "provider": "openai",
			}},
			requests: []facts{{
				"url": "https://api.example.com/agents/7/run?stream=1", "route": "/agents/:id/run", "executionId": "exec-42", "agentId": "ag-7",
				"requestHeaders":  map[string]string{"content-type": "application/json", "x-request-start": "t=1795460689970"},
				"responseHeaders": map[string]string{"vary": "a, b"}, "requestBody": `{"q":1}`, "userId": "u-5", "sessionId": "s-1",
			}},
		},
		"http-old-names": {requests: []facts{
			{"method": "GET", "url": "http://h:8080/a/b?x=1", "path": "/a/b", "httpStatus": uint16(503), "errorCode": "503", "ipAddress": "198.51.100.2", "userAgent": "curl", "requestHeaders": map[string]string{"x-forwarded-for": "1.2.3.4"}},
			{"url": "https://h/b?y=2", "path": "/b", "httpStatus": uint16(404), "errorCode": nil, "ipAddress": "10.0.0.1"},
		}, errors: []facts{{"errorCode": "503", "spanId": "0000000000000003"}}},
		"own-status": {executions: []facts{
			{"agentId": "a", "status": "failed", "errorCode": "no_answer"},
			{"agentId": "b", "status": "success", "errorMessage": nil},
			{"agentId": "c", "status": "timeout", "errorCode": "timeout"},
			{"agentId": "d", "status": "error", "errorCode": "*errors.errorString"},
			{"agentId": "e", "status": "timeout", "errorCode": "httpx.ReadTimeout"},
			{"agentId": "f", "status": "timeout", "errorCode": "504"},
			{"agentId": "g", "status": "failed", "errorCode": "429"},
			{"agentId": "h", "status": "error", "errorCode": "500"},
			{"agentId": "i", "status": "success"},
			{"agentId": "j", "status": "failed", "errorCode": "asyncio.exceptions.CancelledError"},
			{"agentId": "k", "queueTime": 5.0, "responseTime": 7.5, "processingTime": 3.0},
		}, errors: []facts{{"agentId": "a"}, {"agentId": "b"}, {"agentId": "c"}, {"agentId": "d"}, {"agentId": "e"}, {"agentId": "f"}, {"agentId": "g"}, {"agentId": "h"}, {"severity": "warning"}, {"agentId": "j"}}},
		"same-exception": {
			executions: []facts{{"agentId": "z", "status": "error", "errorCode": "openai.RateLimitError"}},
			requests:   []facts{{"executionId": "0000000000000008", "errorCode": "500"}},
			errors:     []facts{{"errorType": "openai.RateLimitError", "spanId": "0000000000000009", "executionId": "0000000000000008"}},
		},
		"hostile": {executions: []facts{
			{"agentId": "self"},
			{"agentId": "loop"},
			{"agentId": "twin"},
			{"agentId": "types", "sessionId": "77", "userId": nil, "tokens": tok(0, 12, 0, 0, 0), "creditsConsumed": nil, "cost": nil},
			{"agentId": "f", "startedAt": "2026-12-01T12:00:00Z", "duration": nil},
			{"agentId": "bw", "duration": nil},
			{"agentId": "ne", "startedAt": "2026-11-23T19:04:50Z", "duration": nil},
			{"agentId": "nt", "startedAt": "2026-12-01T12:00:00Z"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := mapFile(t, "testdata/handmade-"+name)
			check(t, "AgentExecution", c.executions, got.Executions)
			check(t, "RequestLog", c.requests, got.Requests)
			check(t, "SystemErrors", c.errors, got.Errors)
		})
	}
}

func check(t *testing.T, table string, want []facts, got []map[string]any) {
	t.Helper()
	require.Len(t, got, len(want), "%s: %s", table, show(got))
	for i, w := range want {
		for column, v := range w {
			require.Equal(t, v, got[i][column], "%s[%d].%s\n%s", table, i, column, show(got[i]))
		}
	}
}

func TestLogFacts(t *testing.T) {
	t.Parallel()
	got := mapFile(t, "testdata/handmade-logs")
	check(t, "AgentLog", []facts{
		{"executionId": "exec-1", "agentId": "ag-1", "userId": "u-1", "sessionId": "s-1", "category": "execution", "level": "info", "message": "started"},
		{"level": "warn", "message": `{"a":[1,"x",2.5]}`, "timestamp": "2026-11-23T19:04:50Z"},
		{"level": "error", "category": "error"},
		{"level": "error", "category": "error"},
		{"level": "warn", "category": "error", "message": "gen_ai.client.operation.exception"},
		{"level": "error"},
		{"category": "user_action", "eventName": "app.widget.click"},
		{"category": "user_action", "message": "session.start"},
		{"category": "performance", "level": "debug"},
		{"category": "execution"},
		{"category": "execution"},
		{"category": "performance", "level": "error"},
	}, got.Logs)
	require.JSONEq(t, `{"scope":{"name":"my.logger","version":"1.0.0"},"code.function.name":"main.run","code.line.number":12,"severityText":"INFO"}`,
		fmt.Sprintf("%s", got.Logs[0]["context"]))
	require.NotEqual(t, got.Logs[9]["id"], got.Logs[10]["id"], "equal records are two records")
	check(t, "SystemErrors", []facts{
		{"severity": "error", "message": "call failed for order 12345"},
		{"severity": "error", "message": "call failed for order 67890"},
		{"severity": "warning", "errorType": "openai.RateLimitError", "message": "slow down", "errorCode": "openai.RateLimitError"},
		{"severity": "critical", "message": "dying"},
		{"severity": "error"},
	}, got.Errors)
	require.Equal(t, got.Errors[0]["fingerprint"], got.Errors[1]["fingerprint"])

	// The same exception as span event, in another request.
	spans := mapFile(t, "testdata/handmade-same-exception")
	require.Equal(t, got.Errors[2]["id"], spans.Errors[0]["id"])
	require.Equal(t, got.Errors[2]["fingerprint"], spans.Errors[0]["fingerprint"])
}

func TestHostileIsCounted(t *testing.T) {
	t.Parallel()
	got := mapFile(t, "testdata/handmade-hostile").Stats
	require.Equal(t, 10, got["spans"])
	require.Equal(t, 1, got["parent_cycle"])
	require.Equal(t, 1, got["duplicate_span"])
	require.Equal(t, 1, got["future_time"])
	require.Equal(t, 1, got["end_before_start"])
	require.Equal(t, 2, got["missing_time"])
	require.Equal(t, 1, got["duplicate_key"])
	require.Equal(t, 2, got["wrong_type"], "an agent name that is a map and a user that is a list")
	require.Equal(t, 2, got["out_of_range"], "tokens of -5 and a cost of -1")
}
