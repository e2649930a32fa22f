package mapping

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/agenttrail/agenttrail/exporter/frompdata"
	"github.com/agenttrail/agenttrail/exporter/record"
	"github.com/agenttrail/agenttrail/schema/prices"
)

const testPrices = `{"version": "test-1", "asOf": "2026-01-01", "about": "", "aliases": {}, "prices": [
	{"provider": "acme", "model": "big", "effectiveFrom": "2026-01-01", "input": "2", "output": "8", "cacheRead": "0.5", "source": "test"},
	{"provider": "acme", "model": "big", "effectiveFrom": "2026-06-01", "input": "1", "output": "4", "source": "test"},
	{"provider": "acme", "model": "small", "effectiveFrom": "2026-01-01", "input": "0.1", "output": "0.4", "source": "test"}]}`

// pricedRun builds a request with one run and its model calls, and maps it with the test's prices.
func pricedRun(t *testing.T, at time.Time, run map[string]any, calls ...map[string]any) rows {
	t.Helper()
	list, err := prices.Load(strings.NewReader(testPrices))
	require.NoError(t, err)
	td := ptrace.NewTraces()
	spans := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans()
	add := func(n, parent byte, attrs map[string]any) {
		s := spans.AppendEmpty()
		s.SetTraceID(pcommon.TraceID{1})
		s.SetSpanID(pcommon.SpanID{n})
		if parent != 0 {
			s.SetParentSpanID(pcommon.SpanID{parent})
		}
		s.SetStartTimestamp(pcommon.NewTimestampFromTime(at))
		s.SetEndTimestamp(pcommon.NewTimestampFromTime(at.Add(time.Second)))
		require.NoError(t, s.Attributes().FromRaw(attrs))
	}
	run["gen_ai.operation.name"] = "invoke_agent"
	add(1, 0, run)
	for i, c := range calls {
		c["gen_ai.operation.name"] = "chat"
		add(byte(i+2), 1, c)
	}
	var in record.Traces
	frompdata.Traces(td, &in)
	var out rows
	New(Config{Prices: list}).Traces(&in, at.Add(time.Minute), &out)
	return out
}

func call(model string, input, output int) map[string]any {
	return map[string]any{"gen_ai.provider.name": "acme", "gen_ai.request.model": model, "gen_ai.usage.input_tokens": input, "gen_ai.usage.output_tokens": output}
}

func TestPrices(t *testing.T) {
	t.Parallel()
	march, july := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	f := func(name string, got rows, cost, version any) {
		t.Helper()
		require.Len(t, got.Executions, 1, name)
		require.Equal(t, cost, got.Executions[0]["cost"], name)
		require.Equal(t, version, got.Executions[0]["priceVersion"], name)
	}
	// 1000 × 2 USD/M + 100 × 8 USD/M = 0.0028 USD.
	f("one call", pricedRun(t, march, map[string]any{}, call("big", 1000, 100)), int64(2_800_000), "test-1")
	f("a later price", pricedRun(t, july, map[string]any{}, call("big", 1000, 100)), int64(1_400_000), "test-1")
	// 0.0028 + 2000 × 0.1/M = 0.003.
	f("two models", pricedRun(t, march, map[string]any{}, call("big", 1000, 100), call("small", 2000, 0)), int64(3_000_000), "test-1")
	cached := call("big", 1000, 0)
	cached["gen_ai.usage.cache_read.input_tokens"] = 400
	// 600 × 2/M + 400 × 0.5/M = 0.0014.
	f("cached tokens", pricedRun(t, march, map[string]any{}, cached), int64(1_400_000), "test-1")
	f("an unknown model", pricedRun(t, march, map[string]any{}, call("unheard-of", 1000, 100)), nil, nil)
	f("a part without a price", pricedRun(t, march, map[string]any{}, call("big", 1000, 100), call("unheard-of", 1, 1)), nil, nil)
	f("before the first price", pricedRun(t, march.AddDate(-1, 0, 0), map[string]any{}, call("big", 1000, 100)), nil, nil)
	f("the emitter knows better", pricedRun(t, march, map[string]any{"agenttrail.cost_usd": "0.5"}, call("big", 1000, 100)), int64(500_000_000), nil)
	own := call("big", 1000, 100)
	own["gen_ai.usage.cost"] = 0.25
	f("the emitter of the call knows better", pricedRun(t, march, map[string]any{}, own), int64(250_000_000), nil)
	f("only the run tells its tokens", pricedRun(t, march, call("small", 1_000_000, 1_000_000)), int64(500_000_000), "test-1")
	f("nothing to price", pricedRun(t, march, map[string]any{}), nil, nil)
	f("the run's aggregate does not count again", pricedRun(t, march, call("big", 1000, 100), call("big", 1000, 100)), int64(2_800_000), "test-1")
}
