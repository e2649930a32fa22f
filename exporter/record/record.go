// Package record is the neutral view of OpenTelemetry spans, log records and metric points that the row mapping reads.
//
// A front end fills a [Traces], [Logs] or [Metrics] from whatever it received: package frompdata from pdata, package
// fromwire from protobuf's bytes. The mapping never sees what the front end saw, so both give the same rows.
//
// Everything here is a flat arena that is reused from request to request: after Reset nothing is freed, and strings
// alias the memory of the request. A view is therefore valid only until the request is done.
package record

// Kind is the OTLP span kind, numbered as in the protocol.
type Kind uint8

// The span kinds of OTLP's trace.proto.
const (
	KindUnspecified Kind = iota
	KindInternal
	KindServer
	KindClient
	KindProducer
	KindConsumer
)

// StatusCode is the OTLP span status code, numbered as in the protocol.
type StatusCode uint8

// The status codes of OTLP's trace.proto.
const (
	StatusUnset StatusCode = iota
	StatusOK
	StatusError
)

// Resource is what produced the records that point to it.
type Resource struct {
	Attrs     Attrs
	SchemaURL string
}

// Scope is the instrumentation library that made the records that point to it.
type Scope struct {
	Name    string
	Version string
	Attrs   Attrs
}

// Event is a span event.
type Event struct {
	Time  uint64 // ns since the epoch
	Name  string
	Attrs Attrs
}

// Link is a span link.
type Link struct {
	TraceID [16]byte
	SpanID  [8]byte
	Attrs   Attrs
}

// Span is one span. Resource and Scope are indexes into the [Traces] it belongs to.
type Span struct {
	TraceID       [16]byte // zero: absent
	SpanID        [8]byte  // zero: absent
	ParentSpanID  [8]byte  // zero: a root
	Name          string
	Kind          Kind
	Start, End    uint64 // ns since the epoch, 0: absent
	Status        StatusCode
	StatusMessage string
	Attrs         Attrs
	Events        []Event
	Links         []Link
	Resource      int
	Scope         int
}

// Log is one log record. Resource and Scope are indexes into the [Logs] it belongs to.
type Log struct {
	Time, Observed uint64 // ns since the epoch, 0: absent
	Severity       uint8  // OpenTelemetry severity number, 0: absent
	SeverityText   string
	EventName      string
	Body           Value
	TraceID        [16]byte
	SpanID         [8]byte
	Attrs          Attrs
	Resource       int
	Scope          int
}

// Traces is one OTLP trace request.
type Traces struct {
	Resources []Resource
	Scopes    []Scope
	Spans     []Span
	Arena
}

// Reset empties the request and keeps its memory for the next one.
func (t *Traces) Reset() {
	t.Resources = recycle(t.Resources)
	t.Scopes = recycle(t.Scopes)
	t.Spans = recycle(t.Spans)
	t.Arena.Reset()
}

// Logs is one OTLP log request.
type Logs struct {
	Resources []Resource
	Scopes    []Scope
	Records   []Log
	Arena
}

// Reset empties the request and keeps its memory for the next one.
func (l *Logs) Reset() {
	l.Resources = recycle(l.Resources)
	l.Scopes = recycle(l.Scopes)
	l.Records = recycle(l.Records)
	l.Arena.Reset()
}
