package mapping

import (
	"encoding/binary"
	"hash/maphash"

	"github.com/agenttrail/agenttrail/exporter/record"
	"github.com/agenttrail/agenttrail/exporter/row"
)

// exception is an exception that was recorded as an event of a span.
type exception struct {
	span    int32
	event   int32
	kind    string // exception.type
	inText  string // the type that the text of the message names, for emitters that give no other
	message string // without stack trace
}

// typeName returns the type of an exception, "" when nothing tells.
func (e *exception) typeName() string {
	if e.kind != "" {
		return e.kind
	}
	return e.inText
}

const exceptionEvent = "exception" // semconv v1.0

// domExceptions are the codes that the JavaScript SDK writes as exception.type of a DOMException, whose name it drops.
var domExceptions = map[string]string{
	"19": "NetworkError",
	"20": "AbortError",
	"23": "TimeoutError",
}

// plainRecord stands for the depth of an error that is a log record without an exception: each is its own error.
const plainRecord = -2

var (
	idExceptionType    = keys.intern("exception.type")
	idExceptionMessage = keys.intern("exception.message")
)

// readExceptions collects the exceptions of a span.
func (m *Mapper) readExceptions(s *record.Span, n *node, i int) {
	n.exc = int32(len(m.excs)) //nolint:gosec // An index of a request.
	for k := range s.Events {
		if s.Events[k].Name != exceptionEvent {
			continue
		}
		m.load(&m.ev, s.Events[k].Attrs)
		kind := m.ev.str(idExceptionType)
		if name, ok := domExceptions[kind]; ok {
			kind = name
		}
		message, inText := splitType(withoutStack(m.ev.str(idExceptionMessage)))
		m.excs = append(m.excs, exception{
			span:    int32(i), //nolint:gosec // An index of a request.
			event:   int32(k),
			kind:    m.name(kind),
			inText:  m.name(inText),
			message: m.clean(message, m.cfg.MaxAttributeBytes),
		})
		n.excs++
	}
}

// lastException returns the last exception of a span, the one that ended it, or nil.
func (m *Mapper) lastException(n *node) *exception {
	if n.excs == 0 {
		return nil
	}
	return &m.excs[n.exc+n.excs-1]
}

// findErrors collects the errors of the request: each exception once, where it is innermost, and failed spans that no
// exception explains.
//
// A failed span without an exception is explained by a failed child, or by an exception of the spans above it as long
// as all between have failed: the error went up. An HTTP request is explained by anything failed below it.
func (m *Mapper) findErrors(t *record.Traces) {
	m.errs, m.depths = m.errs[:0], m.depths[:0]
	m.errIndex.reset(2 * (len(m.excs) + len(m.nodes)))
	for i := range m.nodes {
		n := &m.nodes[i]
		if n.excs == 0 {
			explained := n.chained || n.failedIn || (n.class == classRequest && n.failedBy)
			if n.failing && !explained {
				m.addSpanError(t, i, nil)
			}
			continue
		}
		for k := n.exc; k < n.exc+n.excs; k++ {
			m.addSpanError(t, i, &m.excs[k])
		}
	}
}

// addSpanError adds an error of a span, or moves one that is known already to a span further in.
func (m *Mapper) addSpanError(t *record.Traces, i int, exc *exception) {
	s, n := &t.Spans[i], &m.nodes[i]
	res := &m.resources[s.Resource]
	before := m.stats
	defer func() { m.stats = before }() // What is wrong with the span is counted for the span.
	m.load(&m.v, s.Attrs)
	kind, message, inText := "", "", ""
	if exc != nil {
		kind, message, inText = exc.kind, exc.message, exc.inText
	}
	if message == "" {
		message = m.messageOf(s, &m.v, n.dialect, exc)
	}
	code, _ := m.text(&m.v, errorTypes, n.dialect)
	fill(&code, kind)
	fill(&code, inText)
	if code == "" && n.httpStatus >= 500 && n.request {
		code = m.uintText(uint64(n.httpStatus))
	}
	if n.isRun { // The code of its row.
		fill(&code, m.candidates[n.candidate].code)
	}
	fill(&code, m.name(leadingType(message)))
	fill(&code, "error")
	if kind == "" && message == "" {
		message = code
	}
	e, known := m.enterError(s.TraceID, kind, message)
	x := &m.errs[e]
	if known && n.depth <= m.depths[e] {
		fill(&x.ErrorType, kind)
		return
	}
	fill(&kind, x.ErrorType)
	m.depths[e] = n.depth
	*x = row.Error{
		ErrorCode:   code,
		ErrorType:   kind,
		Severity:    row.SeverityError,
		Component:   res.service,
		UserID:      n.effUser,
		TraceID:     s.TraceID,
		SpanID:      s.SpanID,
		Message:     message,
		Environment: n.environment,
	}
	x.ExecutionID, x.AgentID = m.belonging(n)
	if exc == nil {
		x.Timestamp = m.instantQuiet(max(s.End, s.Start))
		x.Details = m.spanDetails(s, nil)
		return
	}
	at := s.Events[exc.event].Time
	if at == 0 {
		at = max(s.End, s.Start)
	}
	x.Timestamp = m.instantQuiet(at)
	x.Details = m.spanDetails(s, s.Events[exc.event].Attrs)
	if !n.failing { // It was handled.
		x.Severity = row.SeverityWarning
	}
}

// instantQuiet is instant for a time that is counted elsewhere.
func (m *Mapper) instantQuiet(ns uint64) int64 {
	if ns == 0 || ns > m.latest {
		return m.received
	}
	return int64(ns) //nolint:gosec // In range, see above.
}

// spanDetails returns what the emitter told beside type and message: the other attributes of the exception, the stack
// trace among them, and the span.
func (m *Mapper) spanDetails(s *record.Span, attrs record.Attrs) record.Attrs {
	before := m.stats
	clean := m.scan(&m.ev, attrs)
	m.stats = before // Counted for the event of the span.
	mark := m.arena.AttrMark()
	for i := range clean {
		if k := clean[i].Key; k != "exception.type" && k != "exception.message" {
			m.arena.AddAttr(k, clean[i].Value)
		}
	}
	m.arena.AddAttr("span.name", record.String(m.name(s.Name)))
	if s.StatusMessage != "" {
		m.arena.AddAttr("span.status_message", record.String(m.clean(s.StatusMessage, m.cfg.MaxAttributeBytes)))
	}
	return m.arena.TakeAttrs(mark)
}

// maxTypesOfMessage is how many types with one message are told apart by looking at each.
const maxTypesOfMessage = 16

// enterError returns the entry of an error in errs, and whether it was there before. Within a trace, equal type and
// message are one error; so is the same message when one of the two reports has no type.
func (m *Mapper) enterError(trace [16]byte, kind, message string) (int, bool) {
	if trace != ([16]byte{}) {
		sum := m.hashError(trace, "", message)
		e, slot := m.findError(sum, trace, kind, message, maxTypesOfMessage)
		if e < 0 && slot < 0 {
			sum = m.hashError(trace, kind, message)
			e, slot = m.findError(sum, trace, kind, message, len(m.errs))
		}
		if e >= 0 {
			return e, true
		}
		m.errIndex.set(slot, sum, len(m.errs))
	}
	m.errs = append(m.errs, row.Error{TraceID: trace, ErrorType: kind, Message: message})
	m.depths = append(m.depths, -1)
	return len(m.errs) - 1, false
}

// findError returns the entry of an error, or -1 and the slot where it belongs, or -1 twice when the message has more
// types than limit.
func (m *Mapper) findError(sum uint64, trace [16]byte, kind, message string, limit int) (entry, slot int) {
	p := m.errIndex.start(sum)
	for types := 0; m.errIndex.used(p); p = m.errIndex.next(p) {
		e := int(m.errIndex.slots[p].idx)
		x := &m.errs[e]
		if m.errIndex.slots[p].sum != sum || x.TraceID != trace || x.Message != message {
			continue
		}
		if kind == "" || x.ErrorType == "" || x.ErrorType == kind {
			return e, -1
		}
		if types++; types > limit {
			return -1, -1
		}
	}
	return -1, p
}

func (m *Mapper) hashError(trace [16]byte, kind, message string) uint64 {
	b := append(m.idScratch[:0], trace[:]...)
	b = appendText(b, kind)
	b = append(b, message...)
	m.idScratch = b
	return maphash.Bytes(keys.seed, b)
}

// emitErrors settles the ids of the errors and hands them out.
func (m *Mapper) emitErrors(sink row.Sink) {
	m.ordinals = m.ordinals[:0]
	m.ordIndex.reset(len(m.errs))
	for i := range m.errs {
		x := &m.errs[i]
		m.identifyError(i)
		m.stats.Errors++
		sink.Error(x)
	}
}

// identifyError computes id and fingerprint. In a trace the id says type and message, so that the exception has the
// same one as span event and as log record; outside of one, and of a record without an exception, time and place as
// well.
func (m *Mapper) identifyError(i int) {
	x := &m.errs[i]
	kind := x.ErrorType
	fill(&kind, x.ErrorCode)
	x.Fingerprint = m.fingerprint(x.Component, kind, x.Message)
	b := appendText(m.idScratch[:0], domainError)
	b = append(b, x.TraceID[:]...)
	b = appendText(b, x.ErrorType)
	b = appendText(b, x.Message)
	if x.TraceID == (row.TraceID{}) || m.depths[i] == plainRecord {
		b = binary.LittleEndian.AppendUint64(b, uint64(x.Timestamp)) //nolint:gosec // In range, see above.
		b = append(b, x.SpanID[:]...)
		b = appendText(b, x.Component)
		b = appendAttrs(b, x.Details)
	}
	m.idScratch = b
	x.ID = m.distinct(hash128(b))
}
