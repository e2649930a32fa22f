package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const recorded = "../../../exporter/mapping/testdata/recorded"

// baseline is a recording with what the comparison has to look at.
var baseline = map[string]string{
	"a.expect.json": `{"emitter": "lib", "version": "1.0", "runs": [{"outcome": "success", "durationMs": 5, "errorMessage": "no"}]}`,
	"a.traces.json": `{"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "weather"}}]},
 "scopeSpans": [{"scope": {"name": "lib", "version": "1.0"}, "spans": [
  {"traceId": "t0", "spanId": "root", "name": "run", "startTimeUnixNano": "100", "status": {"code": 1},
   "attributes": [{"key": "tokens", "value": {"intValue": "12"}}, {"key": "latency_ms", "value": {"doubleValue": 1.5}}]},
  {"traceId": "t0", "spanId": "chat", "parentSpanId": "root", "name": "chat", "startTimeUnixNano": "110",
   "events": [{"name": "exception", "timeUnixNano": "111", "attributes": [
    {"key": "exception.type", "value": {"stringValue": "TypeError"}},
    {"key": "exception.stacktrace", "value": {"stringValue": "TypeError: no\n    at f (main.mjs:1:2)"}}]}]},
  {"traceId": "t0", "spanId": "tool", "parentSpanId": "chat", "name": "tool", "startTimeUnixNano": "120",
   "links": [{"traceId": "t0", "spanId": "root"}]}]}]}]}`,
	"a.traces.2.json": `{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "t1", "spanId": "late", "parentSpanId": "gone", "name": "late"}]}]}]}`,
	"a.logs.json": `{"resourceLogs": [{"scopeLogs": [{"logRecords": [
  {"timeUnixNano": "5", "traceId": "t0", "spanId": "chat", "severityNumber": 9, "body": {"stringValue": "hello at 2026-11-23T20:42:24.5Z"}}]}]}]}`,
	"a.metrics.json": `{"resourceMetrics": [{"scopeMetrics": [{"metrics": [
  {"name": "took", "unit": "s", "histogram": {"aggregationTemporality": 2, "dataPoints": [{"timeUnixNano": "5", "count": "2", "sum": 0.25}]}},
  {"name": "usage", "unit": "{token}", "sum": {"dataPoints": [{"timeUnixNano": "5", "asInt": "12"}]}}]}]}]}`,
}

// write writes a recording to a folder, with old texts replaced by new ones.
func write(t *testing.T, replace ...string) string {
	t.Helper()
	dir := t.TempDir()
	var changed bool
	for name, text := range baseline {
		other := strings.NewReplacer(replace...).Replace(text)
		changed = changed || other != text
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(other), 0o600))
	}
	require.Equal(t, len(replace) > 0, changed, "%q is not in the recording", replace)
	return dir
}

func TestWhatDiffersFromRunToRunIsLeftOut(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string][]string{
		"nothing":        nil,
		"ids":            {`"root"`, `"r"`, `"chat", "parent`, `"zz", "parent`, `"parentSpanId": "chat"`, `"parentSpanId": "zz"`, `"spanId": "chat", "sev`, `"spanId": "zz", "sev`, `"t0"`, `"x9"`, `"t1"`, `"a1"`},
		"times":          {`"startTimeUnixNano": "1`, `"startTimeUnixNano": "9`, `"timeUnixNano": "`, `"timeUnixNano": "7`, "20:42:24.5Z", "21:00:00Z"},
		"durations":      {`"doubleValue": 1.5`, `"doubleValue": 2.25`, `"durationMs": 5`, `"durationMs": 7`},
		"stack traces":   {"at f (main.mjs:1:2)", "at g (other.mjs:9:9)\\n    at h"},
		"sums of times":  {`"sum": 0.25`, `"sum": 0.75`},
		"order of attrs": {`{"key": "tokens", "value": {"intValue": "12"}}, {"key": "latency_ms", "value": {"doubleValue": 1.5}}`, `{"key": "latency_ms", "value": {"doubleValue": 1}}, {"key": "tokens", "value": {"intValue": "12"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			require.NoError(t, compare(&out, write(t), write(t, replace...)), "%s", &out)
			require.Contains(t, out.String(), "4 same, 0 different")
		})
	}
}

func TestDifferencesAreFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		old, now string
		lines    []string // what the answer must have
	}{
		"value":           {`"intValue": "12"}`, `"intValue": "13"}`, []string{"different  a.traces", "-     tokens = int 12", "+     tokens = int 13"}},
		"type of a value": {`"intValue": "12"}`, `"stringValue": "12"}`, []string{`+     tokens = "12"`}},
		"name of a value": {`"key": "tokens"`, `"key": "input_tokens"`, []string{"+     input_tokens = int 12"}},
		"status":          {`"code": 1`, `"code": 2`, []string{"-     status: {code: 1}", "+     status: {code: 2}"}},
		"place":           {`"parentSpanId": "chat"`, `"parentSpanId": "root"`, []string{"-           span tool", "+       span tool"}},
		"parent":          {`"parentSpanId": "gone", `, "", []string{"-   span late s1, parent elsewhere", "+   span late s1"}},
		"exception":       {`"TypeError"}`, `"RangeError"}`, []string{`+           exception.type = "RangeError"`}},
		"link":            {`[{"traceId": "t0", "spanId": "root"}]`, `[{"traceId": "t0", "spanId": "chat"}]`, []string{"link t2 s2", "link t2 s3"}},
		"scope":           {`"lib", "version": "1.0"}`, `"lib", "version": "1.1"}`, []string{`version: "1.1"`}},
		"resource":        {`"weather"`, `"climate"`, []string{`resource {service.name = "climate"}`}},
		"body":            {"hello", "bye", []string{"different  a.logs", `+ record "bye at <time>"`}},
		"span of a log":   {`"spanId": "chat", "sev`, `"spanId": "tool", "sev`, []string{"-   in t2 s3", "+   in t2 s4"}},
		"severity":        {`"severityNumber": 9`, `"severityNumber": 17`, []string{"+   severityNumber: 17"}},
		"count of times":  {`"count": "2"`, `"count": "3"`, []string{"different  a.metrics", `count: "3"`}},
		"sum of tokens":   {`"asInt": "12"`, `"asInt": "13"`, []string{`asInt: "13"`}},
		"what happened":   {`"outcome": "success"`, `"outcome": "error"`, []string{"different  a.expect", `outcome: "error"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			require.ErrorIs(t, compare(&out, write(t), write(t, c.old, c.now)), errDifferent)
			for _, l := range c.lines {
				require.Contains(t, out.String(), l)
			}
		})
	}
}

func TestLostRequests(t *testing.T) {
	t.Parallel()
	want, got := write(t), write(t)
	require.NoError(t, os.Remove(filepath.Join(got, "a.traces.2.json")))
	require.NoError(t, os.Remove(filepath.Join(got, "a.logs.json")))
	var out bytes.Buffer
	require.ErrorIs(t, compare(&out, want, got), errDifferent)
	require.Contains(t, out.String(), "-   span late")
	require.Contains(t, out.String(), `- record "hello`)
	require.Contains(t, out.String(), "2 same, 2 different;")
}

func TestNewAndGoneRecordings(t *testing.T) {
	t.Parallel()
	want, got := write(t), write(t)
	other := filepath.Join(want, "b.expect.json")
	require.NoError(t, os.WriteFile(other, []byte(`{"emitter": "lib", "version": "0.9"}`), 0o600))
	var out bytes.Buffer
	require.NoError(t, compare(&out, want, got), "an old version, not run")
	require.Contains(t, out.String(), "4 same, 0 different; 1 recordings of other emitters or versions left alone")
	require.NoError(t, os.WriteFile(other, []byte(`{"emitter": "lib", "version": "1.0"}`), 0o600))
	require.ErrorIs(t, compare(&out, want, got), errDifferent)
	require.Contains(t, out.String(), "gone       b")
	out.Reset()
	require.ErrorIs(t, compare(&out, got, want), errDifferent)
	require.Contains(t, out.String(), "new        b")
}

func TestNothingToCompare(t *testing.T) {
	t.Parallel()
	dir := write(t)
	require.ErrorContains(t, compare(&bytes.Buffer{}, dir, t.TempDir()), "no recordings in")
	require.ErrorContains(t, compare(&bytes.Buffer{}, dir, "no-such-folder"), "open recordings")
	broken := write(t, `{"emitter"`, `{emitter`)
	require.ErrorContains(t, compare(&bytes.Buffer{}, dir, broken), "a.expect.json: invalid character")
}

// TestRealRecordingsWithOtherIDsInOtherOrder renames all ids of what emitters really sent and turns the spans around.
func TestRealRecordingsWithOtherIDsInOtherOrder(t *testing.T) {
	t.Parallel()
	id := regexp.MustCompile(`"([0-9a-f]{16}|[0-9a-f]{32})"`)
	files, err := filepath.Glob(recorded + "/*.json")
	require.NoError(t, err)
	dir := t.TempDir()
	for _, f := range files {
		raw, err := os.ReadFile(f)
		require.NoError(t, err)
		if strings.Contains(f, ".traces.") || strings.Contains(f, ".logs.") {
			raw = id.ReplaceAllFunc(raw, func(b []byte) []byte {
				return []byte(strings.Map(func(r rune) rune {
					if i := strings.IndexRune("0123456789abcdef", r); i >= 0 {
						return rune("7c2e9a4f0b8d1356"[i])
					}
					return r
				}, string(b)))
			})
		}
		if strings.Contains(f, ".traces.") {
			raw = turned(t, raw)
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.Base(f)), raw, 0o600))
	}
	var out bytes.Buffer
	require.NoError(t, compare(&out, recorded, dir), "%s", &out)
}

func turned(t *testing.T, raw []byte) []byte {
	t.Helper()
	var o object
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	require.NoError(t, dec.Decode(&o))
	for _, r := range items(o, "resourceSpans") {
		for _, s := range items(r, "scopeSpans") {
			slices.Reverse(items(s, "spans"))
		}
	}
	out, err := json.Marshal(o)
	require.NoError(t, err)
	return out
}

func TestNormalText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"a", "plain text", "plain text"},
		{"a", "run 0af7651916cd43dd8448eb211c80319c of 00f067aa0ba902b7", "run <id> of <id>"},
		{"a", "gpt-4o-2024-08-06", "gpt-4o-2024-08-06"},
		{"a", "12", "12"},
		{"latency_ms", "12.5", "<number>"},
		{"ai.response.msToFirstChunk", "12.5", "<number>"},
		{"runtime", "nodejs", "nodejs"},
		{"user_agent", "Node.js/20.20.2", "node/<version>"},
		{"url", "http://127.0.0.1:41234/v1", "http://127.0.0.1:<port>/v1"},
		{"json", `{"b": 1, "a": {"createdAt": "2026-11-23T20:42:24Z", "durationMs": 3}}`, `{a: {createdAt: "<time>", durationMs: <number>}, b: 1}`},
		{"json", `{not json`, `{not json`},
		{"exception.stacktrace", "Error: no\n    at f\n    at g", "Error: no <stack>"},
		{"process.runtime.version", "20.20.2", "<node>"},
	} {
		require.Equal(t, c.want, normalText(c.name, c.in), c.in)
	}
}
