package fromwire

import "github.com/agenttrail/agenttrail/exporter/record"

func addSpan(t *record.Traces, r *reader, resource, scope int) {
	t.Spans = append(t.Spans, record.Span{Resource: resource, Scope: scope})
	decodeSpan(&t.Arena, r, &t.Spans[len(t.Spans)-1])
}

func decodeSpan(a *record.Arena, r *reader, s *record.Span) {
	end := r.open()
	start := r.pos
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
			s.Name = r.text()
		case 6:
			s.Kind = record.KindOf(r.enum())
		case 7:
			s.Start = r.fixed64()
		case 8:
			s.End = r.fixed64()
		case 9:
			attrs.open(a)
			attr(a, r)
		case 10, 12, 14: // How many attributes, events and links were dropped.
			r.varint()
		case 11:
			attrs.close(a)
			addEvent(a, r)
		case 13:
			attrs.close(a)
			addLink(a, r)
		case 15:
			decodeStatus(r, s)
		case 16: // Flags.
			r.fixed32()
		default:
			r.skip()
		}
	}
	attrs.close(a)
	s.Attrs = attrs.taken
	if attrs.split {
		r.rewind(start)
		s.Attrs = gather(a, r, 9)
	}
	s.Events, s.Links = a.TakeEvents(events), a.TakeLinks(links)
	r.close(end, "Span")
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

func decodeStatus(r *reader, s *record.Span) {
	end := r.open()
	for r.next() {
		switch r.num {
		case 2:
			s.StatusMessage = r.text()
		case 3:
			s.Status = record.StatusOf(r.enum())
		default:
			r.skip()
		}
	}
	r.close(end, "Status")
}

func addEvent(a *record.Arena, r *reader) {
	end := r.open()
	var e record.Event
	mark := a.AttrMark()
	for r.next() {
		switch r.num {
		case 1:
			e.Time = r.fixed64()
		case 2:
			e.Name = r.text()
		case 3:
			attr(a, r)
		case 4: // How many attributes were dropped.
			r.varint()
		default:
			r.skip()
		}
	}
	e.Attrs = a.TakeAttrs(mark)
	a.AddEvent(e)
	r.close(end, "Span.Event")
}

func addLink(a *record.Arena, r *reader) {
	end := r.open()
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
			attr(a, r)
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
	r.close(end, "Span.Link")
}
