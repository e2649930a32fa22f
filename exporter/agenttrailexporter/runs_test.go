package agenttrailexporter

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/agenttrail/agenttrail/exporter/agenttrailexporter/internal/metadatatest"
)

// runOf adds a run of an agent that ended some time ago.
func runOf(td ptrace.Traces, agent string, ago, took time.Duration, code ptrace.StatusCode, errorType string) {
	s := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	if agent != "" {
		s.SetName("invoke_agent " + agent)
	}
	s.SetTraceID(pcommon.TraceID{1, byte(len(agent)), byte(td.ResourceSpans().Len())})
	s.SetSpanID(pcommon.SpanID{2, byte(td.ResourceSpans().Len())})
	end := time.Now().Add(-ago)
	s.SetStartTimestamp(pcommon.NewTimestampFromTime(end.Add(-took)))
	s.SetEndTimestamp(pcommon.NewTimestampFromTime(end))
	s.Attributes().PutStr("gen_ai.operation.name", "invoke_agent")
	if agent != "" {
		s.Attributes().PutStr("gen_ai.agent.id", agent)
	}
	if errorType != "" {
		s.Attributes().PutStr("error.type", errorType)
	}
	s.Status().SetCode(code)
}

// countedSeries returns agent_runs by agent and status, and agent_run_duration by agent: how many, and their sum in seconds.
func countedSeries(t *testing.T, tel *componenttest.Telemetry) (runs map[string]int64, durations map[string]string) {
	t.Helper()
	runs, durations = map[string]int64{}, map[string]string{}
	m, err := tel.GetMetric("otelcol_agenttrail_exporter_agent_runs")
	require.NoError(t, err)
	for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
		agent, _ := p.Attributes.Value("agent")
		status, _ := p.Attributes.Value("status")
		runs[agent.AsString()+" "+status.AsString()] = p.Value
	}
	if m, err = tel.GetMetric("otelcol_agenttrail_exporter_agent_run_duration"); err == nil {
		for _, p := range m.Data.(metricdata.Histogram[float64]).DataPoints {
			agent, _ := p.Attributes.Value("agent")
			durations[agent.AsString()] = fmt.Sprintf("%d in %.1f s", p.Count, p.Sum)
		}
	}
	return runs, durations
}

func TestRunsOfAgentsAreCounted(t *testing.T) {
	t.Parallel()
	tel := componenttest.NewTelemetry()
	cfg := config(t, newRecorder(t).URL)
	cfg.MaxAgentSeries = 2
	exp, err := NewFactory().CreateTraces(t.Context(), metadatatest.NewSettings(tel), cfg)
	require.NoError(t, err)
	require.NoError(t, exp.Start(t.Context(), componenttest.NewNopHost()))
	defer func() { require.NoError(t, exp.Shutdown(t.Context())) }()

	none := map[string]int64{"_other success": 0, "_other failed": 0, "_other timeout": 0, "_other error": 0}
	runs, _ := countedSeries(t, tel)
	require.Equal(t, none, runs, "before any run")

	td := ptrace.NewTraces()
	runOf(td, "a", 0, 2*time.Second, ptrace.StatusCodeOk, "")
	runOf(td, "a", time.Minute, 4*time.Second, ptrace.StatusCodeError, "RateLimitError")
	runOf(td, "a", 14*time.Minute, 30*time.Minute, ptrace.StatusCodeError, "timeout") // It began long before, and ended just now.
	runOf(td, "a", 16*time.Minute, time.Second, ptrace.StatusCodeOk, "")              // Of the past.
	runOf(td, "", 0, time.Second, ptrace.StatusCodeOk, "")
	runOf(td, "b", 0, time.Second, ptrace.StatusCodeOk, "") // One agent too many.
	runOf(td, "c", 0, time.Second, ptrace.StatusCodeOk, "")
	require.NoError(t, exp.ConsumeTraces(t.Context(), td))
	require.NoError(t, exp.ConsumeTraces(t.Context(), td), "a request that comes again")

	runs, durations := countedSeries(t, tel)
	require.Equal(t, map[string]int64{
		"a success": 1, "a error": 1, "a timeout": 1, "_unknown success": 1,
		"_other success": 2, "_other failed": 0, "_other timeout": 0, "_other error": 0,
	}, runs)
	require.Equal(t, map[string]string{"a": "3 in 1806.0 s", "_unknown": "1 in 1.0 s", "_other": "2 in 2.0 s"}, durations)
}

func TestDeadLettersThatWaitAreTold(t *testing.T) {
	t.Parallel()
	tel := componenttest.NewTelemetry()
	cfg := config(t, newRecorder(t).URL)
	exp, err := NewFactory().CreateTraces(t.Context(), metadatatest.NewSettings(tel), cfg)
	require.NoError(t, err)
	require.NoError(t, exp.Start(t.Context(), componenttest.NewNopHost()))
	defer func() { require.NoError(t, exp.Shutdown(t.Context())) }()
	gauge := func(name string) int64 {
		m, err := tel.GetMetric("otelcol_agenttrail_exporter_" + name)
		require.NoError(t, err)
		return m.Data.(metricdata.Gauge[int64]).DataPoints[0].Value
	}
	require.Zero(t, gauge("dead_letters"))
	require.Equal(t, cfg.Journal.MaxBytes, gauge("journal_limit"))
	dir := filepath.Join(cfg.Journal.Directory, "deadletter")
	require.NoError(t, os.MkdirAll(dir, 0o700))
	for _, name := range []string{"one.json", "one.native", "two.json"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	require.EqualValues(t, 2, gauge("dead_letters"))
}
