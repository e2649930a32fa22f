package frompdata

import (
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/agenttrail/agenttrail/exporter/record"
)

// Traces fills dst with the spans of td, in their order. dst is reset first; its strings alias td.
func Traces(td ptrace.Traces, dst *record.Traces) {
	dst.Reset()
	a := &dst.Arena
	for _, rs := range td.ResourceSpans().All() {
		dst.Resources = append(dst.Resources, resource(a, rs.Resource(), rs.SchemaUrl()))
		for _, ss := range rs.ScopeSpans().All() {
			dst.Scopes = append(dst.Scopes, scope(a, ss.Scope()))
			for _, s := range ss.Spans().All() {
				dst.Spans = append(dst.Spans, span(a, s, len(dst.Resources)-1, len(dst.Scopes)-1))
			}
		}
	}
}

func span(a *record.Arena, s ptrace.Span, res, scp int) record.Span {
	return record.Span{
		TraceID:       s.TraceID(),
		SpanID:        s.SpanID(),
		ParentSpanID:  s.ParentSpanID(),
		Name:          s.Name(),
		Kind:          record.KindOf(int32(s.Kind())),
		Start:         uint64(s.StartTimestamp()),
		End:           uint64(s.EndTimestamp()),
		Status:        record.StatusOf(int32(s.Status().Code())),
		StatusMessage: s.Status().Message(),
		Attrs:         attrs(a, s.Attributes()),
		Events:        events(a, s.Events()),
		Links:         links(a, s.Links()),
		Resource:      res,
		Scope:         scp,
	}
}

func events(a *record.Arena, es ptrace.SpanEventSlice) []record.Event {
	mark := a.EventMark()
	for _, e := range es.All() {
		a.AddEvent(record.Event{Time: uint64(e.Timestamp()), Name: e.Name(), Attrs: attrs(a, e.Attributes())})
	}
	return a.TakeEvents(mark)
}

func links(a *record.Arena, ls ptrace.SpanLinkSlice) []record.Link {
	mark := a.LinkMark()
	for _, l := range ls.All() {
		a.AddLink(record.Link{TraceID: l.TraceID(), SpanID: l.SpanID(), Attrs: attrs(a, l.Attributes())})
	}
	return a.TakeLinks(mark)
}
