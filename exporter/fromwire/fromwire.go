// Package fromwire fills the neutral records of package record from OTLP's protobuf bytes, without pdata in between.
//
// It is one of the front ends of the exporter. Its records are those that package frompdata makes of what pdata's own
// decoder (ptraceotlp, plogotlp, pmetricotlp, v1.68.0) makes of the same bytes, and it rejects what that decoder
// rejects: whether a request came through a receiver's pdata or straight from the wire must not show in any row. Fuzz
// tests compare the two. So where protobuf's specification and pdata differ, pdata is followed; the tests name those
// places.
//
// Decoding takes one pass: resources and scopes are filled in when they come, which may be after their records. What protobuf
// allows but hardly anybody sends, such as a scope in two pieces or attributes between events, takes a second pass over
// the fields of that one message. Work and memory grow linearly with the size of the request, whatever is in it.
package fromwire

import (
	"fmt"
	"unsafe"

	"github.com/agenttrail/agenttrail/exporter/record"
)

// Traces fills t with the spans of b, an ExportTraceServiceRequest, in their order. t is reset first, and is empty after an
// error, which wraps an [*Error].
//
// Strings in t alias b: the caller keeps b unchanged until it resets t.
func Traces(b []byte, t *record.Traces) error {
	t.Reset()
	q := request{
		arena: &t.Arena, resources: &t.Resources, scopes: &t.Scopes, traces: t,
		names: names{"ExportTraceServiceRequest", "ResourceSpans", "ScopeSpans"},
	}
	if err := q.decode(b); err != nil {
		t.Reset()
		return fmt.Errorf("decode traces: %w", err)
	}
	return nil
}

// Logs fills l with the log records of b, an ExportLogsServiceRequest. The rules are those of [Traces].
func Logs(b []byte, l *record.Logs) error {
	l.Reset()
	q := request{
		arena: &l.Arena, resources: &l.Resources, scopes: &l.Scopes, logs: l,
		names: names{"ExportLogsServiceRequest", "ResourceLogs", "ScopeLogs"},
	}
	if err := q.decode(b); err != nil {
		l.Reset()
		return fmt.Errorf("decode logs: %w", err)
	}
	return nil
}

// Metrics fills m with the metric points of b, an ExportMetricsServiceRequest. The rules are those of [Traces].
func Metrics(b []byte, m *record.Metrics) error {
	m.Reset()
	q := request{
		arena: &m.Arena, resources: &m.Resources, scopes: &m.Scopes, metrics: m,
		names: names{"ExportMetricsServiceRequest", "ResourceMetrics", "ScopeMetrics"},
	}
	if err := q.decode(b); err != nil {
		m.Reset()
		return fmt.Errorf("decode metrics: %w", err)
	}
	return nil
}

// text is b as a string, without a copy.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// cut shortens s to n elements. The rest is cleared, so that it does not keep the request alive.
func cut[T any](s []T, n int) []T {
	clear(s[n:])
	return s[:n]
}
