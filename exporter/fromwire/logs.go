package fromwire

import "github.com/agenttrail/agenttrail/exporter/record"

// logs are the log records of a request.
type logs record.Logs

func (l *logs) names() (request, resource, scope string) {
	return "ExportLogsServiceRequest", "ResourceLogs", "ScopeLogs"
}

func (l *logs) size() size { return size{records: len(l.Records)} }

func (l *logs) drop(to size) { l.Records = cut(l.Records, to.records) }

func (l *logs) add(r reader, resource, scope int) *Error {
	l.Records = append(l.Records, record.Log{Resource: resource, Scope: scope})
	return decodeLog(&l.Arena, r, &l.Records[len(l.Records)-1])
}

func decodeLog(a *record.Arena, r reader, l *record.Log) *Error {
	mark := a.AttrMark()
	for r.next() {
		switch r.num {
		case 1:
			l.Time = r.fixed64()
		case 2:
			l.Severity = record.SeverityOf(int32(r.varint())) //nolint:gosec // pdata, too, takes enums modulo 2^32.
		case 3:
			l.SeverityText = text(r.bytes())
		case 5:
			r.within(value(a, r.message(), &l.Body))
		case 6:
			r.within(attr(a, r.message()))
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
			l.EventName = text(r.bytes())
		default:
			r.skip()
		}
	}
	l.Attrs = a.TakeAttrs(mark)
	return r.end("LogRecord")
}
