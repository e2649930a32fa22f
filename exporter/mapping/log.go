package mapping

import (
	"encoding/binary"
	"strings"
	"time"

	"github.com/agenttrail/agenttrail/exporter/record"
	"github.com/agenttrail/agenttrail/exporter/row"
)

// eventNames are the legacy places of an event's name, after LogRecord.EventName.
var eventNames = newTable(
	source{key: "event.name", from: "semconv before event_name, deprecated"},
	source{key: "otel.event.name", from: "semconv, for logging libraries"},
)

// categoryRule is one row of the table of categories of events. Names ending in a dot are prefixes.
type categoryRule struct {
	name     string
	category row.Category
	from     string
}

// eventCategories says what an event is about. An error level or an exception makes any record one about an error.
var eventCategories = []categoryRule{
	{"session.", row.CategoryUserAction, "semconv session.start, session.end"},
	{"browser.", row.CategoryUserAction, "semconv browser events"},
	{"app.widget.", row.CategoryUserAction, "semconv app.widget.click"},
	{"app.screen.", row.CategoryUserAction, "semconv app.screen.click"},
	{"user.", row.CategoryUserAction, "by convention"},
	{"user_action", row.CategoryUserAction, "by convention"},
	{"click", row.CategoryUserAction, "by convention"},
	{"page_view", row.CategoryUserAction, "by convention"},
	{"user_prompt", row.CategoryUserAction, "claude code"},
	{"claude_code.user_prompt", row.CategoryUserAction, "claude code"},
	{"tool_decision", row.CategoryUserAction, "claude code: accepted or rejected by the user"},
	{"claude_code.tool_decision", row.CategoryUserAction, "claude code"},
	{"api_request", row.CategoryPerformance, "claude code: duration, tokens, cost"},
	{"claude_code.api_request", row.CategoryPerformance, "claude code"},
	{"tool_result", row.CategoryExecution, "claude code"},
	{"claude_code.tool_result", row.CategoryExecution, "claude code"},
	{"gen_ai.", row.CategoryExecution, "semconv messages and evaluations"},
}

// durations are attributes that make a record one about performance, when nothing else says what it is about.
var durations = newTable(
	source{key: "duration", from: "by convention"},
	source{key: "duration_ms", from: "by convention"},
	source{key: "durationMs", from: "by convention"},
	source{key: "latency", from: "by convention"},
	source{key: "latency_ms", from: "by convention"},
	source{key: "latencyMs", from: "by convention"},
	source{key: "elapsed_ms", from: "by convention"},
	source{key: "response_time_ms", from: "by convention"},
	source{key: "http.server.request.duration", from: "semconv, the name of the metric"},
	source{key: "gen_ai.client.operation.duration", from: "semconv, the name of the metric"},
)

// userActions are attributes that make a record one about a user.
var userActions = newTable(
	source{key: "user.action", from: "by convention"},
	source{key: "user_action", from: "by convention"},
)

var logCategories = map[string]row.Category{
	"execution":   row.CategoryExecution,
	"error":       row.CategoryError,
	"performance": row.CategoryPerformance,
	"user_action": row.CategoryUserAction,
}

// levelNames are the severity texts that are read when there is no severity number; they compare without case.
var levelNames = []struct {
	text     string
	severity uint8
}{
	{"TRACE", 1},
	{"VERBOSE", 1},
	{"DEBUG", 5},
	{"INFO", 9},
	{"INFORMATION", 9},
	{"NOTICE", 10},
	{"WARN", 13},
	{"WARNING", 13},
	{"ERROR", 17},
	{"ERR", 17},
	{"SEVERE", 17},
	{"CRITICAL", 21},
	{"CRIT", 21},
	{"FATAL", 21},
	{"ALERT", 21},
	{"EMERG", 21},
	{"EMERGENCY", 21},
	{"PANIC", 21},
}

// codeKeys are the attributes that go into the context of a log record.
var codeKeys = newTable(
	source{key: "code.function.name", from: "semconv v1.30"},
	source{key: "code.file.path", from: "semconv v1.30"},
	source{key: "code.line.number", from: "semconv v1.30"},
	source{key: "code.column.number", from: "semconv v1.30"},
	source{key: "code.stacktrace", from: "semconv v1.24"},
	source{key: "code.function", from: "semconv before v1.30"},
	source{key: "code.namespace", from: "semconv before v1.30"},
	source{key: "code.filepath", from: "semconv before v1.30"},
	source{key: "code.lineno", from: "semconv before v1.30"},
	source{key: "code.column", from: "semconv before v1.30"},
)

// Severity numbers at which levels begin.
const (
	severityInfo  = 9
	severityWarn  = 13
	severityError = 17
	severityFatal = 21
)

var idLogCategory = keys.intern(KeyLogCategory)

// Logs maps the log records of a request and hands the rows to the sink.
func (m *Mapper) Logs(l *record.Logs, received time.Time, sink row.Sink) Stats {
	m.begin(received, l.Resources, l.Scopes)
	m.errs, m.depths = m.errs[:0], m.depths[:0]
	m.errIndex.reset(len(l.Records))
	m.ordinals = m.ordinals[:0]
	m.ordIndex.reset(len(l.Records))
	for i := range l.Records {
		m.emitLog(l, &l.Records[i], sink)
	}
	m.emitErrors(sink)
	m.release()
	return m.stats
}

func (m *Mapper) emitLog(l *record.Logs, r *record.Log, sink row.Sink) {
	v, scope, res := &m.v, &l.Scopes[r.Scope], &m.resources[r.Resource]
	attrs := m.scan(v, r.Attrs)
	d := m.scopes[r.Scope]
	at, original := m.logTime(r)
	x := &m.log
	*x = row.Log{
		ID:                 m.logID(r, scope, res),
		Timestamp:          at,
		TraceID:            r.TraceID,
		SpanID:             r.SpanID,
		Metadata:           m.withOriginal(attrs, original),
		EventName:          m.name(r.EventName),
		SeverityNumber:     r.Severity,
		ServiceName:        res.service,
		Environment:        m.environmentOf(res, d),
		ResourceAttributes: res.attrs,
		Context:            m.contextOf(r, v, scope),
	}
	x.ExecutionID, _ = m.text(v, executionIDs, d)
	x.AgentID, _ = m.text(v, namedAgents, d)
	fill(&x.AgentID, res.agentID)
	x.UserID, _ = m.text(v, userIDs, d)
	x.SessionID, _ = m.text(v, sessionIDs, d)
	if x.EventName == "" {
		x.EventName, _ = m.text(v, eventNames, d)
	}
	if x.Message = m.bodyText(r.Body); x.Message == "" {
		x.Message = x.EventName
	}
	threw := present(v, idExceptionType) || present(v, idExceptionMessage) || isExceptionEvent(x.EventName)
	severity := severityOf(r, threw)
	x.Level = levelOf(severity)
	x.Category = m.categoryOf(v, x, threw)
	m.stats.Logs++
	sink.Log(x)
	m.emitSecurity(x, v, d, severity, sink)
	if threw || severity >= severityError {
		m.addLogError(x, v, severity)
	}
}

// logTime returns when a record happened, else when it was observed, else when it was received.
func (m *Mapper) logTime(r *record.Log) (int64, uint64) {
	if r.Time == 0 && r.Observed == 0 {
		m.stats.Adjusted[ReasonMissingTime]++
	}
	if r.Time != 0 {
		return m.instant(r.Time)
	}
	return m.instant(r.Observed)
}

// logID is computed from all that the record tells; equal records of one request differ by their ordinal.
func (m *Mapper) logID(r *record.Log, scope *record.Scope, res *resourceFacts) row.UUID {
	b := appendText(m.idScratch[:0], domainLog)
	b = binary.LittleEndian.AppendUint64(b, res.hash.low)
	b = binary.LittleEndian.AppendUint64(b, res.hash.high)
	b = appendText(b, scope.Name)
	b = appendText(b, scope.Version)
	b = binary.LittleEndian.AppendUint64(b, r.Time)
	b = binary.LittleEndian.AppendUint64(b, r.Observed)
	b = append(b, r.TraceID[:]...)
	b = append(b, r.SpanID[:]...)
	b = append(b, r.Severity)
	b = appendText(b, r.SeverityText)
	b = appendText(b, r.EventName)
	b = appendValue(b, r.Body)
	b = appendAttrs(b, r.Attrs)
	m.idScratch = b
	return m.distinct(hash128(b))
}

// severityOf returns the severity number of a record, by its text when it has none. An exception without either is
// an error.
func severityOf(r *record.Log, threw bool) uint8 {
	if r.Severity != 0 {
		return r.Severity
	}
	for i := range levelNames {
		if strings.EqualFold(r.SeverityText, levelNames[i].text) {
			return levelNames[i].severity
		}
	}
	if threw {
		return severityError
	}
	return severityInfo
}

func levelOf(severity uint8) row.Level {
	switch {
	case severity >= severityError:
		return row.LevelError
	case severity >= severityWarn:
		return row.LevelWarn
	case severity >= severityInfo:
		return row.LevelInfo
	default:
		return row.LevelDebug
	}
}

func (m *Mapper) categoryOf(v *view, x *row.Log, threw bool) row.Category {
	if own, ok := v.get(idLogCategory); ok {
		if c, ok := logCategories[own.Str]; ok {
			return c
		}
		m.stats.Adjusted[ReasonUnknownValue]++
	}
	if threw || x.Level == row.LevelError {
		return row.CategoryError
	}
	for i := range eventCategories {
		r := &eventCategories[i]
		if x.EventName == r.name || (strings.HasSuffix(r.name, ".") && strings.HasPrefix(x.EventName, r.name)) {
			return r.category
		}
	}
	switch {
	case v.has.intersects(&userActions.need):
		return row.CategoryUserAction
	case v.has.intersects(&durations.need):
		return row.CategoryPerformance
	default:
		return row.CategoryExecution
	}
}

// isExceptionEvent recognizes the events of semconv for exceptions: exception, and <operation>.exception.
func isExceptionEvent(name string) bool {
	return name == exceptionEvent || strings.HasSuffix(name, ".exception")
}

// contextOf returns the JSON object of what a record belongs to.
func (m *Mapper) contextOf(r *record.Log, v *view, scope *record.Scope) string {
	dst := m.arena.Text()
	dst = append(dst, '{')
	empty := len(dst)
	if scope.Name != "" || scope.Version != "" {
		dst = append(dst, `"scope":{"name":`...)
		dst = record.AppendJSONString(dst, scope.Name)
		if scope.Version != "" {
			dst = append(dst, `,"version":`...)
			dst = record.AppendJSONString(dst, scope.Version)
		}
		dst = append(dst, '}')
	}
	if v.has.intersects(&codeKeys.need) {
		for i := range codeKeys.rows {
			id := codeKeys.rows[i].id
			if x, ok := v.get(id); ok {
				dst = appendComma(dst, empty)
				dst = record.AppendJSONString(dst, keys.names[id])
				dst = append(dst, ':')
				dst = x.AppendJSON(dst)
			}
		}
	}
	if r.SeverityText != "" {
		dst = appendComma(dst, empty)
		dst = append(dst, `"severityText":`...)
		dst = record.AppendJSONString(dst, r.SeverityText)
	}
	return m.contextText(append(dst, '}'))
}

// contextText keeps the context as valid UTF-8. A context that is too large would not be JSON when cut.
func (m *Mapper) contextText(dst []byte) string {
	s := m.arena.TakeText(dst)
	if len(s) > m.cfg.MaxAttributeBytes {
		m.stats.Adjusted[ReasonTruncated]++
		return "{}"
	}
	return m.clean(s, len(s))
}

func appendComma(dst []byte, empty int) []byte {
	if len(dst) > empty {
		return append(dst, ',')
	}
	return dst
}

// addLogError adds the error that a log record reports, once for each exception of a trace.
func (m *Mapper) addLogError(x *row.Log, v *view, severity uint8) {
	kind := m.name(v.str(idExceptionType))
	message := m.message(v.str(idExceptionMessage))
	exceptional := kind != "" || message != ""
	if message == "" {
		message = m.message(x.Message)
	}
	code, _ := m.text(v, errorTypes, DialectNone)
	fill(&code, kind)
	fill(&code, m.name(leadingType(message)))
	fill(&code, "error")
	e := len(m.errs)
	if exceptional {
		var known bool
		if e, known = m.enterError(x.TraceID, kind, message); known {
			fill(&m.errs[e].ErrorType, kind)
			return
		}
	} else {
		m.errs = append(m.errs, row.Error{})
		m.depths = append(m.depths, plainRecord)
	}
	m.errs[e] = row.Error{
		Timestamp:   x.Timestamp,
		ErrorCode:   code,
		ErrorType:   kind,
		Severity:    severityRow(severity),
		Component:   x.ServiceName,
		AgentID:     x.AgentID,
		UserID:      x.UserID,
		ExecutionID: x.ExecutionID,
		TraceID:     x.TraceID,
		SpanID:      x.SpanID,
		Message:     message,
		Details:     m.logDetails(x),
		Environment: x.Environment,
	}
}

func severityRow(severity uint8) row.Severity {
	switch {
	case severity >= severityFatal:
		return row.SeverityCritical
	case severity >= severityError:
		return row.SeverityError
	default:
		return row.SeverityWarning
	}
}

// logDetails returns what a record tells beside type and message.
func (m *Mapper) logDetails(x *row.Log) record.Attrs {
	mark := m.arena.AttrMark()
	for i := range x.Metadata {
		if k := x.Metadata[i].Key; k != "exception.type" && k != "exception.message" {
			m.arena.AddAttr(k, x.Metadata[i].Value)
		}
	}
	if x.EventName != "" {
		m.arena.AddAttr("log.event_name", record.String(x.EventName))
	}
	return m.arena.TakeAttrs(mark)
}
