package fromwire

import "github.com/agenttrail/agenttrail/exporter/record"

// spans are the spans of a request.
type spans record.Traces

func (t *spans) names() (request, resource, scope string) {
	return "ExportTraceServiceRequest", "ResourceSpans", "ScopeSpans"
}

func (t *spans) size() size { return size{records: len(t.Spans)} }

func (t *spans) drop(to size) { t.Spans = cut(t.Spans, to.records) }

func (t *spans) add(r reader, resource, scope int) *Error {
	t.Spans = append(t.Spans, record.Span{Resource: resource, Scope: scope})
	return decodeSpan(&t.Arena, r, &t.Spans[len(t.Spans)-1])
}

func decodeSpan(a *record.Arena, r reader, s *record.Span) *Error {
	whole := r
	attrs := run{}
	events, links := a.EventMark(), a.LinkMark()
	for r.next() {
		switch r.num {
		case 1:
			r.traceID(&s.TraceID)
		case 2:
			r.spanID(&s.SpanID)
		case 3: // Trace state.
			r.bytes()
		case 4:
			r.spanID(&s.ParentSpanID)
		case 5:
			s.Name = text(r.bytes())
		case 6:
			s.Kind = record.KindOf(int32(r.varint())) //nolint:gosec // pdata, too, takes enums modulo 2^32.
		case 7:
			s.Start = r.fixed64()
		case 8:
			s.End = r.fixed64()
		case 9:
			attrs.open(a)
			r.within(attr(a, r.message()))
		case 10, 12, 14: // How many attributes, events and links were dropped.
			r.varint()
		case 11:
			attrs.close(a)
			r.within(addEvent(a, r.message()))
		case 13:
			attrs.close(a)
			r.within(addLink(a, r.message()))
		case 15:
			r.within(decodeStatus(r.message(), s))
		case 16: // Flags.
			r.fixed32()
		default:
			r.skip()
		}
	}
	attrs.close(a)
	s.Attrs = attrs.taken
	if attrs.split && r.err == nil {
		s.Attrs = gather(a, whole, 9)
	}
	s.Events, s.Links = a.TakeEvents(events), a.TakeLinks(links)
	return r.end("Span")
}

// run finds the attributes of a span, whose events and links add attributes to the same arena. All senders write them
// in one run; when others are in between, they have to be gathered.
type run struct {
	mark   int
	isOpen bool
	closed bool
	split  bool
	taken  record.Attrs
}

// open is called before each attribute of the span.
func (u *run) open(a *record.Arena) {
	if u.isOpen {
		return
	}
	u.mark, u.isOpen = a.AttrMark(), true
	u.split = u.closed
}

// close is called before what may add other attributes, and at the end.
func (u *run) close(a *record.Arena) {
	if !u.isOpen {
		return
	}
	u.taken = a.TakeAttrs(u.mark)
	u.isOpen, u.closed = false, true
}

func decodeStatus(r reader, s *record.Span) *Error {
	for r.next() {
		switch r.num {
		case 2:
			s.StatusMessage = text(r.bytes())
		case 3:
			s.Status = record.StatusOf(int32(r.varint())) //nolint:gosec // pdata, too, takes enums modulo 2^32.
		default:
			r.skip()
		}
	}
	return r.end("Status")
}

func addEvent(a *record.Arena, r reader) *Error {
	var e record.Event
	mark := a.AttrMark()
	for r.next() {
		switch r.num {
		case 1:
			e.Time = r.fixed64()
		case 2:
			e.Name = text(r.bytes())
		case 3:
			r.within(attr(a, r.message()))
		case 4: // How many attributes were dropped.
			r.varint()
		default:
			r.skip()
		}
	}
	e.Attrs = a.TakeAttrs(mark)
	a.AddEvent(e)
	return r.end("Span.Event")
}

func addLink(a *record.Arena, r reader) *Error {
	var l record.Link
	mark := a.AttrMark()
	for r.next() {
		switch r.num {
		case 1:
			r.traceID(&l.TraceID)
		case 2:
			r.spanID(&l.SpanID)
		case 3: // Trace state.
			r.bytes()
		case 4:
			r.within(attr(a, r.message()))
		case 5: // How many attributes were dropped.
			r.varint()
		case 6: // Flags.
			r.fixed32()
		default:
			r.skip()
		}
	}
	l.Attrs = a.TakeAttrs(mark)
	a.AddLink(l)
	return r.end("Span.Link")
}
