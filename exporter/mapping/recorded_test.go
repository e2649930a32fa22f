package mapping

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/agenttrail/agenttrail/exporter/frompdata"
	"github.com/agenttrail/agenttrail/exporter/record"
)

// scenario is what really happened while a request was recorded, written down by the program that played the scenario.
type scenario struct {
	What     string         `json:"what"`
	Runs     []truthRun     `json:"runs"`
	Requests []truthRequest `json:"requests"`
	Calls    []truthCall    `json:"calls"`

	wire string

	Ambiguous      string   `json:"ambiguous"`
	MustNotContain []string `json:"mustNotContain"`
}

type truthRun struct {
	Agent        *string  `json:"agent"`
	Outcome      string   `json:"outcome"`
	Model        string   `json:"model"`
	Provider     string   `json:"provider"`
	User         string   `json:"user"`
	Session      string   `json:"session"`
	ErrorType    string   `json:"errorType"`
	ErrorMessage string   `json:"errorMessage"`
	OnWire       string   `json:"errorTypeOnWire"`
	NestedIn     string   `json:"nestedIn"`
	CostUSD      string   `json:"costUSD"`
	Input        *uint64  `json:"inputTokens"`
	Output       *uint64  `json:"outputTokens"`
	CacheRead    uint64   `json:"cacheReadTokens"`
	CacheWrite   uint64   `json:"cacheWriteTokens"`
	Reasoning    uint64   `json:"reasoningTokens"`
	ModelCalls   *int     `json:"modelCalls"`
	ToolCalls    *int     `json:"toolCalls"`
	Unsaid       []string `json:"unsaid"`
}

type truthRequest struct {
	Method    string   `json:"method"`
	Path      string   `json:"path"`
	Query     string   `json:"query"`
	Status    *uint16  `json:"status"`
	IP        string   `json:"ip"`
	UserAgent string   `json:"userAgent"`
	Failed    bool     `json:"failed"`
	Unsaid    []string `json:"unsaid"`

	RequestHeaders  map[string]string `json:"requestHeaders"`
	ResponseHeaders map[string]string `json:"responseHeaders"`
}

type truthCall struct {
	Model  string `json:"model"`
	Input  uint64 `json:"inputTokens"`
	Output uint64 `json:"outputTokens"`
}

// outcomes says which status stands for what happened.
var outcomes = map[string]string{
	"success":   "success",
	"error":     "error",
	"timeout":   "timeout",
	"failed":    "failed",
	"cancelled": "failed",
	"refused":   "success", // A content filter is an answer; no status says that it failed.
}

var receivedAt = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// TestRecordedTruth maps what real emitters sent and compares it with what happened.
func TestRecordedTruth(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/recorded/*.expect.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".expect.json")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var want scenario
			raw, err := os.ReadFile(f)
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(raw, &want))
			base := strings.TrimSuffix(f, ".expect.json")
			got := mapFile(t, base)
			wire, _ := os.ReadFile(base + ".traces.json")
			want.wire = string(wire)
			checkRuns(t, want, got)
			checkRequests(t, want.Requests, got)
			if !lostCalls(want) {
				checkCalls(t, want.Calls, got)
			}
			text, err := json.Marshal(got)
			require.NoError(t, err)
			for _, secret := range want.MustNotContain {
				require.NotContains(t, string(text), secret)
			}
		})
	}
}

// mapFile maps <base>.traces.json and <base>.logs.json, where they exist, else <base>.metrics.json.
func mapFile(t *testing.T, base string) *rows {
	t.Helper()
	out, found := &rows{}, false
	more, err := filepath.Glob(base + ".traces.[0-9].json")
	require.NoError(t, err)
	for _, f := range append(more, base+".traces.json") {
		raw, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		found = true
		td, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(raw)
		require.NoError(t, err)
		var in record.Traces
		frompdata.Traces(td, &in)
		out.addStats(New(Config{}).Traces(&in, receivedAt, out))
	}
	if raw, err := os.ReadFile(base + ".logs.json"); err == nil {
		found = true
		ld, err := (&plog.JSONUnmarshaler{}).UnmarshalLogs(raw)
		require.NoError(t, err)
		var in record.Logs
		frompdata.Logs(ld, &in)
		out.addStats(New(Config{}).Logs(&in, receivedAt, out))
	}
	if raw, err := os.ReadFile(base + ".metrics.json"); err == nil && !found {
		found = true
		md, err := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(raw)
		require.NoError(t, err)
		var in record.Metrics
		frompdata.Metrics(md, &in)
		out.addStats(New(Config{}).Metrics(&in, receivedAt, out))
	}
	if !found {
		out.addStats(Stats{})
	}
	return out
}

func checkRuns(t *testing.T, want scenario, got *rows) {
	t.Helper()
	if want.Ambiguous != "" {
		return
	}
	require.Len(t, got.Executions, len(want.Runs), "%s\n%s", want.What, show(got.Executions))
	used := map[int]bool{}
	for _, w := range want.Runs {
		e := findRun(t, w, got, used)
		said := func(field string) bool {
			return !slices.Contains(w.Unsaid, field)
		}
		eq := func(field, value, column string) {
			if value != "" && said(field) && strings.Contains(want.wire, value) {
				require.Equal(t, value, e[column], "%s: %s\n%s", value, field, show(e))
			}
		}
		if said("outcome") {
			status := outcomes[w.Outcome]
			if w.Outcome == "error" && strings.Contains(want.What, "the run catches a failure") {
				status = "failed" // Nothing was thrown out of the run.
			}
			require.Equal(t, status, e["status"], "%s\n%s", w.Outcome, show(e))
		}
		eq("user", w.User, "userId")
		eq("session", w.Session, "sessionId")
		if model, _ := e["model"].(string); w.Model != "" && said("model") && (model != "" || saysModel(got)) {
			// The model that answered may be a version of the one asked for.
			require.True(t, strings.HasPrefix(model, w.Model), show(e))
		}
		eq("provider", w.Provider, "provider")
		if w.OnWire == "" || e["errorCode"] != w.OnWire { // What the SDK wrote instead of the type is no better known.
			eq("errorType", w.ErrorType, "errorCode")
		}
		eq("errorMessage", w.ErrorMessage, "errorMessage")
		checkTokens(t, w, e)
		if w.CostUSD != "" && said("costUSD") {
			nano, v := parseDecimal(w.CostUSD, 9)
			require.Equal(t, readOK, v)
			require.Equal(t, nano, e["cost"], show(e))
		}
		if w.NestedIn != "" {
			parent := ""
			for _, p := range got.Executions {
				if p["agentName"] == w.NestedIn {
					parent, _ = p["id"].(string)
				}
			}
			require.NotEmpty(t, parent)
			require.Equal(t, parent, e["parentExecutionId"])
		}
		apart := lostCalls(want)
		if w.ModelCalls != nil && said("modelCalls") && !apart {
			require.Equal(t, *w.ModelCalls, count(got, e["id"], "inference"), "model calls of %s\n%s", show(e), show(got.Spans))
		}
		if w.ToolCalls != nil && said("toolCalls") && !apart {
			// A tool call that an error cut short was perhaps never sent.
			require.Equal(t, min(*w.ToolCalls, countAll(got, "tool")), count(got, e["id"], "tool"), "tool calls of %s", show(e))
		}
	}
}

func saysModel(got *rows) bool {
	for _, s := range got.Spans {
		if s["model"] != nil {
			return true
		}
	}
	return false
}

// lostCalls reports whether calls cannot be counted: they were never exported, or came in another request.
func lostCalls(want scenario) bool {
	return strings.Contains(want.What, "one span per request") || strings.Contains(want.What, "the client gives up")
}

func findRun(t *testing.T, w truthRun, got *rows, used map[int]bool) map[string]any {
	t.Helper()
	for i, e := range got.Executions {
		if !used[i] && (w.Agent == nil || e["agentName"] == *w.Agent) {
			used[i] = true
			return e
		}
	}
	require.Fail(t, "no run of agent", "%s\n%s", *w.Agent, show(got.Executions))
	return nil
}

func checkTokens(t *testing.T, w truthRun, e map[string]any) {
	t.Helper()
	if w.Input == nil && w.Output == nil {
		return
	}
	want := map[string]uint64{}
	put := func(k string, n uint64) {
		if n != 0 {
			want[k] = n
		}
	}
	for _, u := range w.Unsaid {
		if strings.HasSuffix(u, "okens") {
			return
		}
	}
	if w.Input != nil {
		put("input", *w.Input)
	}
	if w.Output != nil {
		put("output", *w.Output)
	}
	got, _ := e["tokens"].(map[string]uint64)
	// Not every scenario writes down the parts.
	put("cacheRead", max(w.CacheRead, got["cacheRead"]))
	put("cacheWrite", max(w.CacheWrite, got["cacheWrite"]))
	put("reasoning", max(w.Reasoning, got["reasoning"]))
	if len(want) == 0 {
		require.Nil(t, e["tokens"], show(e))
		return
	}
	require.Equal(t, any(want), e["tokens"], show(e))
}

func checkRequests(t *testing.T, want []truthRequest, got *rows) {
	t.Helper()
	if want == nil {
		return
	}
	require.Len(t, got.Requests, len(want), show(got.Requests))
	for _, w := range want {
		var q map[string]any
		for _, r := range got.Requests {
			if r["path"] == w.Path {
				q = r
			}
		}
		require.NotNil(t, q, "no request for %s in %s", w.Path, show(got.Requests))
		require.Equal(t, w.Method, q["method"])
		if w.Status != nil {
			require.Equal(t, *w.Status, q["httpStatus"])
		}
		if w.Query != "" {
			require.True(t, strings.HasSuffix(q["url"].(string), "?"+w.Query), "%s", q["url"])
		}
		if w.IP != "" {
			require.Equal(t, w.IP, strings.TrimPrefix(q["ipAddress"].(string), "::ffff:"))
		}
		if w.UserAgent != "" {
			require.Equal(t, w.UserAgent, q["userAgent"])
		}
		if w.Failed {
			require.NotEmpty(t, q["errorCode"], show(q))
		}
		checkHeaders(t, w.RequestHeaders, q["requestHeaders"])
		checkHeaders(t, w.ResponseHeaders, q["responseHeaders"])
	}
}

func checkHeaders(t *testing.T, want map[string]string, got any) {
	t.Helper()
	for k, v := range want {
		require.Equal(t, v, got.(map[string]string)[k], k)
	}
}

func checkCalls(t *testing.T, want []truthCall, got *rows) {
	t.Helper()
	for _, w := range want {
		found := false
		for _, s := range got.Spans {
			if s["model"] == nil {
				continue
			}
			u, _ := s["tokens"].(map[string]uint64)
			found = found || (strings.HasPrefix(s["model"].(string), w.Model) && u["input"] == w.Input && u["output"] == w.Output)
		}
		require.True(t, found, "no call %+v in %s", w, show(got.Spans))
	}
}

func count(got *rows, execution any, operation string) int {
	n := 0
	for _, s := range got.Spans {
		if s["executionId"] == execution && s["operation"] == operation {
			n++
		}
	}
	return n
}

func countAll(got *rows, operation string) int {
	n := 0
	for _, s := range got.Spans {
		if s["operation"] == operation {
			n++
		}
	}
	return n
}

func show(v any) string {
	b, _ := json.MarshalIndent(v, "", " ")
	return string(b)
}
