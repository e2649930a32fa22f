package mapping

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/exporter/record"
)

func TestParseDecimal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in    string
		scale int
		want  int64
		got   verdict
	}{
		{"1.250001", 6, 1_250_001, readOK},
		{"0.1", 9, 100_000_000, readOK},
		{" 12 ", 0, 12, readOK},
		{"12.0", 0, 12, readOK},
		{"-3", 6, -3_000_000, readOK},
		{"+.5", 6, 500_000, readOK},
		{"1e3", 6, 1_000_000_000, readOK},
		{"1.5e-6", 6, 2, readRounded},
		{"1.4e-6", 6, 1, readRounded},
		{"4e-7", 6, 0, readRounded},
		{"0.0000001", 6, 0, readRounded},
		{"0.9999999", 6, 1_000_000, readRounded},
		{"99999999999999999999", 0, 0, readOutOfRange},
		{"1e400", 0, 0, readOutOfRange},
		{"1e999999999", 0, 0, readWrongType},
		{"", 6, 0, readWrongType},
		{".", 6, 0, readWrongType},
		{"1,5", 6, 0, readWrongType},
		{"1.2.3", 6, 0, readWrongType},
		{"NaN", 6, 0, readWrongType},
		{"0x10", 6, 0, readWrongType},
	} {
		n, got := parseDecimal(c.in, c.scale)
		require.Equal(t, c.got, got, "%q", c.in)
		require.Equal(t, c.want, n, "%q", c.in)
	}
	n, got := decimalOf(record.Double(0.000019999999999999998), 9)
	require.Equal(t, readRounded, got)
	require.Equal(t, int64(20_000), n)
}

func TestNormalizedMessagesAreEqual(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{"order 17 not found", "order 92345 not found"},
		{"get https://a.example/x?y=1: refused", "get http://b/: refused"},
		{"user 'ann' is blocked", "user 'bob o' is blocked"},
		{`key "a" missing`, `key "b c" missing`},
		{"run 0191f1b2-7c1d-7e3a-9b1e-3f6f1c2d3e4f lost", "run 01a2b3c4-7c1d-7e3a-9b1e-aaaaaaaaaaaa lost"},
		{"dial 10.0.0.1:5432 failed", "dial 192.168.1.20:80 failed"},
		{"at 0xdeadbeef01", "at 0x1f2e3d4c5b"},
		{"a  b\n", "a b"},
	} {
		require.Equal(t, string(appendNormalized(nil, c[0])), strings.TrimSpace(string(appendNormalized(nil, c[1]))), "%q", c)
	}
	for _, c := range [][2]string{
		{"order not found", "user not found"},
		{"can't open it", "can't close it"},
		{"timeout", "refused"},
	} {
		require.NotEqual(t, string(appendNormalized(nil, c[0])), string(appendNormalized(nil, c[1])))
	}
}

func TestMessagesLoseTheirStack(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][2]string{
		"boom":                         {"boom", ""},
		"Error: boom\n    at f (x.js)": {"Error: boom", "Error"},
		"slow down\n\nAPIError: slow down\n    at f (x.js)":                                     {"slow down", "APIError"},
		"ValueError('x')Traceback (most recent call last):\n  File \"a.py\"\nValueError: x":     {"ValueError('x')", ""},
		"Traceback (most recent call last):\n  File \"a.py\", line 1\n    f()\nValueError: bad": {"ValueError: bad", "ValueError"},
		"java.io.IOException: gone\n\tat a.b.C(D.java:1)":                                       {"java.io.IOException: gone", "java.io.IOException"},
		"panic: x\ngoroutine 1 [running]":                                                       {"panic: x", ""},
		`Error in agent run: {"error":"MaxTurnsExceededError: Max turns (2) exceeded"}`:         {"Max turns (2) exceeded", "MaxTurnsExceededError"},
		`Error in agent run: {"error":"Error: rate \"limited\""}`:                               {`rate "limited"`, ""},
		`Error in agent run: not JSON`:                                                          {"not JSON", ""},
		"the errors: none":                                                                      {"the errors: none", ""},
	} {
		message, kind := splitType(withoutStack(in))
		if strings.HasSuffix(in, "not JSON") {
			message = strings.TrimPrefix(message, "Error in agent run: ")
		}
		require.Equal(t, want, [2]string{message, kind}, "%q", in)
	}
}

func TestTypesOfErrors(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"TimeoutError", "asyncio.TimeoutError", "httpx.ReadTimeout", "openai.APITimeoutError", "context.deadlineExceededError",
		"context.DeadlineExceeded", "DEADLINE_EXCEEDED", "ETIMEDOUT", "UND_ERR_HEADERS_TIMEOUT", "java.net.SocketTimeoutException",
		"408", "504", "timeout", "APIConnectionTimeoutError",
	} {
		require.True(t, matchType(timeoutTypes, name), name)
	}
	for _, name := range []string{"", "RateLimitError", "500", "TimeoutBudgetError", "ECONNABORTED"} {
		require.False(t, matchType(timeoutTypes, name), name)
	}
	for _, name := range []string{"AbortError", "asyncio.exceptions.CancelledError", "canceled", "APIUserAbortError", "KeyboardInterrupt"} {
		require.True(t, matchType(cancelTypes, name), name)
	}
	require.False(t, matchType(cancelTypes, "ECONNABORTED"))
	for name, want := range map[string]bool{
		"ValueError": true, "openai.RateLimitError": true, "500": true, "_OTHER": true, "server_error": true,
		"429": false, "rate_limit_exceeded": false, "tool_error": false, "content_filter": false, "": false,
	} {
		require.Equal(t, want, namesException(name), name)
	}
	require.True(t, isTimeoutMessage("Post \"http://x\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)"))
	require.True(t, isTimeoutMessage("4 DEADLINE_EXCEEDED: too late"))
	require.False(t, isTimeoutMessage("the deadline exceeded our hopes"))
}

func TestMoments(t *testing.T) {
	t.Parallel()
	const want = uint64(1_700_000_000_500_000_000)
	for _, v := range []record.Value{
		record.String("1700000000.5"), record.String("t=1700000000.5"), record.String("t=1700000000500"), record.Int(1_700_000_000_500_000),
		record.Int(1_700_000_000_500_000_000), record.Double(1700000000.5), record.String(`"2023-11-14T22:13:20.5Z"`),
		{Kind: record.ValueArray, Str: `["t=1700000000500","x"]`},
	} {
		got, ok := momentOf(v)
		require.True(t, ok, "%+v", v)
		require.Equal(t, want, got, "%+v", v)
	}
	for _, s := range []string{"", "yesterday", "-1", "NaN", "0", "99999999999999999999999"} {
		_, ok := momentOf(record.String(s))
		require.False(t, ok, s)
	}
}

// one maps a request of spans with one resource and scope.
func one(t *testing.T, cfg Config, spans ...record.Span) (*rows, Stats) {
	t.Helper()
	in := &record.Traces{Resources: []record.Resource{{}}, Scopes: []record.Scope{{}}, Spans: spans}
	out := &rows{}
	stats := New(cfg).Traces(in, receivedAt, out)
	return out, stats
}

func TestHugeAndBrokenTextsAreCut(t *testing.T) {
	t.Parallel()
	huge := strings.Repeat("ä", 5<<20)
	got, stats := one(t, Config{}, record.Span{Name: "x\xff", Attrs: record.Attrs{
		{Key: "before", Value: record.String("1")},
		{Key: "big", Value: record.String(huge)},
		{Key: "bad\xfe", Value: record.String("a\xffb")},
		{Key: "bytes", Value: record.Value{Kind: record.ValueBytes, Str: strings.Repeat("x", 1<<20)}},
		{Key: "user.id", Value: record.String(strings.Repeat("u", 5000))},
		{Key: "after", Value: record.String("2")},
	}})
	a := got.Spans[0]["attributes"].(map[string]string)
	require.Equal(t, "1", a["before"])
	require.Equal(t, "2", a["after"])
	require.Equal(t, strings.Repeat("ä", 32<<10)+"…[truncated 10420224 bytes]", a["big"])
	require.Equal(t, "a\uFFFDb", a["bad\uFFFD"])
	require.True(t, strings.HasSuffix(a["bytes"], "…[truncated 999424 bytes]"), a["bytes"][len(a["bytes"])-40:])
	require.Equal(t, strings.Repeat("u", 1024)+"…[truncated 3976 bytes]", got.Spans[0]["userId"])
	require.Equal(t, "x\uFFFD", got.Spans[0]["name"])
	require.Equal(t, uint64(3), stats.Adjusted[ReasonTruncated])
	require.Equal(t, uint64(3), stats.Adjusted[ReasonInvalidUTF8], "the name, a key and a value")
}

func TestTimesOfEventsAreBelievable(t *testing.T) {
	t.Parallel()
	at := uint64(receivedAt.UnixNano()) - 5e9
	got, stats := one(t, Config{}, record.Span{Name: "x", Start: at, End: at + 1e6, Events: []record.Event{
		{Name: "none"}, {Name: "future", Time: 1 << 63}, {Name: "good", Time: at + 5},
	}})
	events := got.Spans[0]["events"].([]any)
	require.Equal(t, stamp(int64(at)), events[0].(map[string]any)["timestamp"])
	require.Equal(t, stamp(receivedAt.UnixNano()), events[1].(map[string]any)["timestamp"])
	require.Equal(t, map[string]string{KeyOriginalTime: "9223372036854775808"}, events[1].(map[string]any)["attributes"])
	require.Equal(t, stamp(int64(at)+5), events[2].(map[string]any)["timestamp"])
	require.Equal(t, uint64(1), stats.Adjusted[ReasonFutureTime])
}

// TestManyRecordsTakeLinearTime would take minutes if anything were quadratic.
func TestManyRecordsTakeLinearTime(t *testing.T) {
	t.Parallel()
	const n = 100_000
	attrs := make(record.Attrs, n)
	for i := range attrs {
		attrs[i] = record.Attr{Key: "k" + strings.Repeat("x", i%7) + stamp(int64(i)), Value: record.Int(int64(i))}
	}
	spans := make([]record.Span, n)
	for i := range spans {
		spans[i] = record.Span{TraceID: [16]byte{1}, SpanID: spanID(i + 1), ParentSpanID: spanID(i), Name: "x", Kind: record.KindServer, Attrs: record.Attrs{
			{Key: "http.request.method", Value: record.String("GET")},
			{Key: "gen_ai.operation.name", Value: record.String("invoke_agent")},
			{Key: "gen_ai.agent.name", Value: record.String("a")},
			{Key: "mastra.metadata.runId", Value: record.String(stamp(int64(i)))},
		}, Events: []record.Event{{Name: "exception", Attrs: record.Attrs{
			{Key: "exception.type", Value: record.String(stamp(int64(i)))},
			{Key: "exception.message", Value: record.String("the same")},
		}}}}
	}
	spans[0].Attrs = attrs
	headers := make(record.Attrs, n)
	for i := range headers {
		headers[i] = record.Attr{Key: "http.request.header.a_" + stamp(int64(i)), Value: record.String("x")}
	}
	spans[1].Attrs = slices.Concat(headers, spans[1].Attrs)
	start := cpuTime(t)
	in := &record.Traces{Resources: []record.Resource{{}}, Scopes: []record.Scope{{}}, Spans: spans}
	New(Config{}).Traces(in, receivedAt, nothing{})
	require.Less(t, time.Duration(cpuTime(t)-start), time.Minute)
}

func spanID(i int) (id [8]byte) {
	for k := range id {
		id[k] = byte(i >> (8 * k))
	}
	return id
}

func TestStatusOfOkSpanWithErrorType(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status record.StatusCode
		want   string
	}{{record.StatusUnset, "error"}, {record.StatusOK, "success"}} {
		got, _ := one(t, Config{}, record.Span{TraceID: [16]byte{1}, SpanID: [8]byte{1}, Name: "x", Status: c.status, Attrs: record.Attrs{
			{Key: "gen_ai.operation.name", Value: record.String("invoke_agent")},
			{Key: "error.type", Value: record.String("ValueError")},
		}})
		require.Equal(t, c.want, got.Executions[0]["status"])
	}
}

func TestIDsAreVersion8(t *testing.T) {
	t.Parallel()
	got := hash128([]byte("x")).uuid()
	require.Equal(t, byte(0x80), got[6]&0xf0)
	require.Equal(t, byte(0x80), got[8]&0xc0)
}

func TestOwnAttributesWinOverTheRunAround(t *testing.T) {
	t.Parallel()
	agent := record.Attrs{{Key: KeyOperation, Value: record.String("agent")}, {Key: KeyAgentID, Value: record.String("a")}, {Key: KeyExecutionID, Value: record.String("run-1")}}
	got, _ := one(t, Config{},
		record.Span{TraceID: [16]byte{1}, SpanID: [8]byte{1}, Name: "run", Attrs: agent},
		record.Span{TraceID: [16]byte{1}, SpanID: [8]byte{2}, ParentSpanID: [8]byte{1}, Name: "child"},
		record.Span{TraceID: [16]byte{1}, SpanID: [8]byte{3}, ParentSpanID: [8]byte{1}, Name: "other", Attrs: record.Attrs{
			{Key: KeyAgentID, Value: record.String("b")}, {Key: KeyExecutionID, Value: record.String("run-2")},
		}},
	)
	require.Equal(t, "run-1", got.Spans[1]["executionId"])
	require.Equal(t, "a", got.Spans[1]["agentId"])
	require.Equal(t, "run-2", got.Spans[2]["executionId"])
	require.Equal(t, "b", got.Spans[2]["agentId"])
}
