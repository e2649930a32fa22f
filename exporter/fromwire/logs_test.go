package fromwire

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/exporter/record"
)

var everyLogField = join(
	fix(1, 1<<63), num(2, 17), str(3, "ERROR"), str(4, "deprecated name"), msg(5, str(1, "body")), pair(6, "a", num(3, 1)), num(7, 9), fix32(8),
	str(9, traceID), str(10, spanID), fix(11, 2), str(12, "event"),
)

func TestLogRecords(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fields []byte
		want   record.Log
	}{
		"nothing": {nil, record.Log{}},
		"every field": {
			everyLogField,
			record.Log{
				Time: 1 << 63, Observed: 2, Severity: 17, SeverityText: "ERROR", EventName: "event", Body: record.String("body"),
				TraceID: [16]byte([]byte(traceID)), SpanID: [8]byte([]byte(spanID)), Attrs: attrs("a", record.Int(1)),
			},
		},
		"severities that nobody knows": {num(2, 25), record.Log{}},
		"negative severities":          {num(2, math.MaxUint64), record.Log{}},
		"a body in pieces":             {join(msg(5, str(1, "first")), pair(6, "a"), msg(5, num(3, 7)), msg(5)), record.Log{Body: record.Int(7), Attrs: attrs("a", record.Value{})}},
		"a body with structure": {
			join(pair(6, "a", msg(5, msg(1, num(3, 1)))), msg(5, msg(6, pair(1, "k", num(2, 1)))), pair(6, "b", msg(5))),
			record.Log{
				Body:  record.Value{Kind: record.ValueMap, Str: `{"k":true}`},
				Attrs: attrs("a", record.Value{Kind: record.ValueArray, Str: "[1]"}, "b", record.Value{Kind: record.ValueArray, Str: "[]"}),
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := record1(c.fields)
			require.True(t, newComparer().requireLogs(t, b))
			var got record.Logs
			require.NoError(t, Logs(b, &got))
			require.Equal(t, []record.Log{c.want}, got.Records)
		})
	}
}
