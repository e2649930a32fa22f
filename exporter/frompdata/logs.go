package frompdata

import (
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/agenttrail/agenttrail/exporter/record"
)

// Logs fills dst with the log records of ld, in their order. dst is reset first; its strings alias ld.
func Logs(ld plog.Logs, dst *record.Logs) {
	dst.Reset()
	a := &dst.Arena
	for _, rl := range ld.ResourceLogs().All() {
		dst.Resources = append(dst.Resources, resource(a, rl.Resource(), rl.SchemaUrl()))
		for _, sl := range rl.ScopeLogs().All() {
			dst.Scopes = append(dst.Scopes, scope(a, sl.Scope()))
			for _, l := range sl.LogRecords().All() {
				dst.Records = append(dst.Records, record.Log{
					Time:         uint64(l.Timestamp()),
					Observed:     uint64(l.ObservedTimestamp()),
					Severity:     record.SeverityOf(int32(l.SeverityNumber())),
					SeverityText: l.SeverityText(),
					EventName:    l.EventName(),
					Body:         value(a, l.Body()),
					TraceID:      l.TraceID(),
					SpanID:       l.SpanID(),
					Attrs:        attrs(a, l.Attributes()),
					Resource:     len(dst.Resources) - 1,
					Scope:        len(dst.Scopes) - 1,
				})
			}
		}
	}
}
