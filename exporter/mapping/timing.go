package mapping

import (
	"strconv"
	"strings"
	"time"

	"github.com/agenttrail/agenttrail/exporter/record"
)

// Factors to milliseconds.
const (
	inMillis  = 1
	inSeconds = 1000
)

// firstOutputs is the time from the start of a span to the first output of the model.
var firstOutputs = newTable(
	source{key: "gen_ai.response.time_to_first_chunk", scale: inSeconds, from: "semconv v1.41"},
	source{key: "gen_ai.client.operation.time_to_first_chunk", scale: inSeconds, from: "@ai-sdk/otel 1.0, the name of the metric"},
	source{key: "gen_ai.server.time_to_first_token", only: DialectStrands, scale: inMillis, from: "strands"},
	source{key: "gen_ai.server.time_to_first_token", scale: inSeconds, from: "semconv v1.28, the name of the metric"},
	source{key: "gen_ai.latency.time_to_first_token", scale: inSeconds, from: "vLLM"},
	source{key: "ai.response.msToFirstChunk", scale: inMillis, from: "ai v4 to v6"},
)

// firstOutputTimes is the moment of the first output.
var firstOutputTimes = newTable(
	source{key: "langfuse.observation.completion_start_time", from: "langfuse: a quoted ISO 8601 time"},
	source{key: "mastra.completion_start_time", from: "mastra"},
)

// firstOutputEvent is the span event of the first output of the AI SDK v4 to v6.
const firstOutputEvent = "ai.stream.firstChunk"

var (
	queueTimes      = newTable(source{key: KeyExecutionQueueTime, scale: inMillis, from: "agenttrail"})
	responseTimes   = newTable(source{key: KeyExecutionResponseTime, scale: inMillis, from: "agenttrail"})
	processingTimes = newTable(source{key: KeyExecutionProcessingTime, scale: inMillis, from: "agenttrail"})

	// innerQueueTimes is a time in a queue that the span itself contains.
	innerQueueTimes = newTable(source{key: "gen_ai.latency.time_in_queue", scale: inSeconds, from: "vLLM"})

	// requestTimes are headers in which a proxy says when it took the request.
	requestTimes = newTable(
		source{key: "http.request.header.x-request-start", from: "heroku, nginx, envoy"},
		source{key: "http.request.header.x_request_start", from: "the same, semconv before v1.24"},
		source{key: "http.request.header.x-queue-start", from: "new relic"},
		source{key: "http.request.header.x_queue_start", from: "the same, semconv before v1.24"},
	)
)

// maxFuture is how far a time may lie after the receipt of its record.
const maxFuture = 24 * time.Hour

// maxQueue is the longest time in a queue that is believed when it is the difference of two clocks.
const maxQueue = time.Hour

// period is when a span ran.
type period struct {
	start    int64 // ns since the epoch
	duration float64
	original uint64 // the start that the emitter gave, where it could not be true; else 0
}

// periodOf reads the times of a span. Without a start it is the end, else the time of receipt.
func (m *Mapper) periodOf(s *record.Span) period {
	var p period
	start := s.Start
	switch {
	case s.Start == 0 || s.End == 0:
		m.stats.Adjusted[ReasonMissingTime]++
		start = max(s.Start, s.End)
	case s.End < s.Start:
		m.stats.Adjusted[ReasonEndBeforeStart]++
	default:
		p.duration = float64(s.End-s.Start) / 1e6
	}
	p.start, p.original = m.instant(start)
	return p
}

// instant returns a time as it is stored. Zero, or later than a day after receipt, becomes the time of receipt; in
// the latter case original is what the emitter gave.
func (m *Mapper) instant(ns uint64) (at int64, original uint64) {
	switch {
	case ns == 0:
		return m.received, 0
	case ns > m.latest:
		m.stats.Adjusted[ReasonFutureTime]++
		return m.received, ns
	}
	return int64(ns), 0 //nolint:gosec // In range, see above.
}

// firstOutput returns the time from the start of the span to its first output, ms.
func (m *Mapper) firstOutput(s *record.Span, v *view, d Dialect) (float64, bool) {
	if f, ok := m.millis(v, firstOutputs, d); ok {
		return f, true
	}
	at, ok := m.moment(v, firstOutputTimes, d)
	for i := range s.Events {
		if !ok && s.Events[i].Name == firstOutputEvent {
			at, ok = s.Events[i].Time, true
		}
	}
	if !ok || at < s.Start || s.Start == 0 || at-s.Start > uint64(maxMillis*time.Millisecond) {
		return 0, false
	}
	return float64(at-s.Start) / 1e6, true
}

// moment returns the first time that the table finds, ns since the epoch.
func (m *Mapper) moment(v *view, t *table, d Dialect) (uint64, bool) {
	if !v.has.intersects(&t.need) {
		return 0, false
	}
	for i := range t.rows {
		x, ok := t.rows[i].value(v, d)
		if !ok {
			continue
		}
		if ns, ok := momentOf(x); ok {
			return ns, true
		}
		m.blame(v, t.rows[i].id, ReasonWrongType)
	}
	return 0, false
}

// momentOf reads an ISO 8601 time, or a count of s, ms, µs or ns since the epoch, told apart by its size. It may be
// quoted, be the first element of an array, and start with "t=".
func momentOf(v record.Value) (uint64, bool) {
	var s string
	switch v.Kind {
	case record.ValueString, record.ValueArray:
		s = strings.Trim(v.Str, "[]\" \t")
		s, _, _ = strings.Cut(s, "\"")
		s = strings.TrimPrefix(s, "t=")
	case record.ValueInt:
		return epochNanos(float64(v.Int()), true, uint64(max(0, v.Int())))
	case record.ValueDouble:
		return epochNanos(v.Double(), false, 0)
	default:
		return 0, false
	}
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return epochNanos(float64(n), true, n)
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return epochNanos(f, false, 0)
	}
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || at.Year() < 1970 || at.Year() > 2200 {
		return 0, false
	}
	return uint64(at.UnixNano()), true
}

// epochNanos scales a count since the epoch to ns; exact is the count itself when it is whole.
func epochNanos(f float64, whole bool, exact uint64) (uint64, bool) {
	scale := uint64(1)
	switch {
	case !(f > 0) || f >= 7e18: // Also not a number, and past 2191.
		return 0, false
	case f < 1e11:
		scale = 1e9
	case f < 1e14:
		scale = 1e6
	case f < 1e17:
		scale = 1e3
	}
	if whole {
		if exact > 7e18/scale {
			return 0, false
		}
		return exact * scale, true
	}
	return uint64(f * float64(scale)), f*float64(scale) < 7e18
}
