package otlp

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/agenttrail/agenttrail/exporter/direct"
)

// recordPaths are the fields that lead to a record, one message inside the other, of
// ExportTraceServiceRequest (resource_spans, scope_spans, spans), ExportLogsServiceRequest (resource_logs, scope_logs,
// log_records) and ExportMetricsServiceRequest (resource_metrics, scope_metrics, metrics, the kind of metric,
// data_points).
var recordPaths = [...][][]protowire.Number{
	direct.SignalTraces:  {{1}, {2}, {2}},
	direct.SignalLogs:    {{1}, {2}, {2}},
	direct.SignalMetrics: {{1}, {2}, {2}, {5, 7, 9, 10, 11}, {1}},
}

// count returns how many records a protobuf request has. It skips what is in them, which takes next to no time; of a
// malformed request it counts what comes before the damage.
func count(signal direct.Signal, body []byte) int { return countFields(recordPaths[signal], body) }

func countFields(path [][]protowire.Number, message []byte) int {
	n := 0
	for len(message) > 0 {
		number, wire, size := protowire.ConsumeTag(message)
		if size < 0 {
			return n
		}
		message = message[size:]
		size = protowire.ConsumeFieldValue(number, wire, message)
		if size < 0 {
			return n
		}
		if wire == protowire.BytesType && slices.Contains(path[0], number) {
			if len(path) == 1 {
				n++
			} else if field, ok := protowire.ConsumeBytes(message); ok >= 0 {
				n += countFields(path[1:], field)
			}
		}
		message = message[size:]
	}
	return n
}
