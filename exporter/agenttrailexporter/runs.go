package agenttrailexporter

import (
	"context"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/agenttrail/agenttrail/exporter/row"
)

// countedRuns is how long before its request arrives a run may have ended to be counted. What is older says nothing
// about how the agent does now: alerts on the counters would take a history that is filled in for an outage.
const countedRuns = 15 * time.Minute

// otherAgents stands for agents beyond Config.MaxAgentSeries, and unknownAgent for a run that names none.
const (
	otherAgents  = "_other"
	unknownAgent = "_unknown"
)

// agentSeries are the attributes of one agent in the counters of runs.
type agentSeries struct {
	duration metric.MeasurementOption
	statuses [row.StatusError + 1]metric.MeasurementOption
}

// agentLabels knows the agents that have series of their own, the first ones that were seen, so that agents whose ids
// never end cannot fill the memory of who reads the metrics.
type agentLabels struct {
	limit int

	mu     sync.RWMutex
	series map[string]*agentSeries
}

func newAgentLabels(limit int) *agentLabels {
	l := &agentLabels{limit: limit, series: map[string]*agentSeries{}}
	l.series[otherAgents] = newAgentSeries(otherAgents)
	return l
}

func newAgentSeries(agent string) *agentSeries {
	name := attribute.String("agent", agent)
	s := &agentSeries{duration: with(name)}
	for status, text := range map[row.Status]string{row.StatusSuccess: "success", row.StatusFailed: "failed", row.StatusTimeout: "timeout", row.StatusError: "error"} {
		s.statuses[status] = with(name, attribute.String("status", text))
	}
	return s
}

// of returns the series of an agent. The name is valid during the call only.
func (l *agentLabels) of(agent string) *agentSeries {
	if agent == "" {
		agent = unknownAgent
	}
	l.mu.RLock()
	s, full := l.series[agent], len(l.series) > l.limit
	l.mu.RUnlock()
	if s != nil {
		return s
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.series[agent] != nil:
		return l.series[agent]
	case full || len(l.series) > l.limit:
		return l.series[otherAgents]
	}
	agent = strings.Clone(agent)
	l.series[agent] = newAgentSeries(agent)
	return l.series[agent]
}

// endedRun is a run to be counted once it is durable.
type endedRun struct {
	agent   *agentSeries
	status  row.Status
	seconds float64
}

// runSink passes rows on and remembers the runs among them that have just ended.
type runSink struct {
	row.Sink
	labels *agentLabels
	since  int64 // In Unix nanoseconds; runs that ended before are not counted.
	runs   []endedRun
}

// Execution implements [row.Sink].
func (s *runSink) Execution(e *row.Execution) {
	if float64(e.StartedAt)+e.Duration*float64(time.Millisecond) >= float64(s.since) {
		status := e.Status
		if status < row.StatusSuccess || status > row.StatusError {
			status = row.StatusError // As it is stored.
		}
		s.runs = append(s.runs, endedRun{s.labels.of(e.AgentID), status, e.Duration / 1e3})
	}
	s.Sink.Execution(e)
}

// ran counts runs of a request that is durable.
func (t *telemetry) ran(runs []endedRun) {
	ctx := context.Background()
	for _, r := range runs {
		t.builder.AgenttrailExporterAgentRuns.Add(ctx, 1, r.agent.statuses[r.status])
		t.builder.AgenttrailExporterAgentRunDuration.Record(ctx, r.seconds, r.agent.duration)
	}
}
