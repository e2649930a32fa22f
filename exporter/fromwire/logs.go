package fromwire

import "github.com/agenttrail/agenttrail/exporter/record"

func addLog(l *record.Logs, r *reader, resource, scope int) {
	l.Records = append(l.Records, record.Log{Resource: resource, Scope: scope})
	decodeLog(&l.Arena, r, &l.Records[len(l.Records)-1])
}

func decodeLog(a *record.Arena, r *reader, l *record.Log) {
	end := r.open()
	mark := a.AttrMark()
	for r.next() {
		switch r.num {
		case 1:
			l.Time = r.fixed64()
		case 2:
			l.Severity = record.SeverityOf(r.enum())
		case 3:
			l.SeverityText = r.text()
		case 5:
			value(a, r, &l.Body)
		case 6:
			attr(a, r)
		case 7: // How many attributes were dropped.
			r.varint()
		case 8: // Flags.
			r.fixed32()
		case 9:
			r.traceID(&l.TraceID)
		case 10:
			r.spanID(&l.SpanID)
		case 11:
			l.Observed = r.fixed64()
		case 12:
			l.EventName = r.text()
		default:
			r.skip()
		}
	}
	l.Attrs = a.TakeAttrs(mark)
	r.close(end, "LogRecord")
}
