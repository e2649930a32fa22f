// Package direct carries OTLP requests from a receiver to the exporter as the bytes that arrived, past pdata.
//
// A receiver that has a protobuf request puts it into the context of an empty pdata request, and sends that down its
// pipeline. Components that only decide whether something may pass, such as the memory limiter, work as always; the
// exporter finds the bytes in the context and decodes them itself. Components that read or change data must not be in
// such a pipeline, since they would see nothing.
//
// The bytes are in memory that the receiver uses again for other requests. It ends a request when the pipeline has
// returned, which tells it whether somebody still reads them; nobody can begin to after that. So a component that
// answers early and goes on by itself, which the exporter's promise forbids, finds nothing instead of something else.
package direct

import (
	"context"
	"sync"
)

// Signal says what a request holds.
type Signal uint8

// The signals.
const (
	SignalTraces Signal = iota
	SignalLogs
	SignalMetrics
)

// String returns the name that configurations have for the signal.
func (s Signal) String() string {
	switch s {
	case SignalTraces:
		return "traces"
	case SignalLogs:
		return "logs"
	case SignalMetrics:
		return "metrics"
	default:
		return "unknown"
	}
}

// Request is an OTLP request on its way.
type Request struct {
	// Signal says which message Body is: ExportTraceServiceRequest, ExportLogsServiceRequest or
	// ExportMetricsServiceRequest.
	Signal Signal
	// Body is the message in protobuf, not compressed. It is not changed by anybody.
	Body []byte

	mu      sync.Mutex
	taken   bool // By an exporter, now or before.
	readers int
	ended   bool
	records int
}

type key struct{}

// NewContext returns a context that carries r.
func NewContext(ctx context.Context, r *Request) context.Context {
	return context.WithValue(ctx, key{}, r)
}

// Take tells the receiver that an exporter looks after the request of a signal that ctx carries, whatever comes of it,
// and returns it, to be released. It returns nil if there is none or it has ended. One of another signal does not
// count: a connector may have made its own data of what it got.
func Take(ctx context.Context, signal Signal) *Request {
	r, ok := ctx.Value(key{}).(*Request)
	if !ok || r.Signal != signal {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return nil
	}
	r.taken = true
	r.readers++
	return r
}

// Release is called by who took the request, when it does not read Body any more. Records is how many spans, log
// records or metric points were found in it, 0 if it was not decoded. On nil it does nothing.
func (r *Request) Release(records int) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.readers--
	r.records = max(r.records, records)
}

// Outcome is what became of a request.
type Outcome struct {
	// Taken says that an exporter looked after it. If not, no one in the pipeline knows of it.
	Taken bool
	// Read says that an exporter still reads Body, whose memory must not be used again then.
	Read bool
	// Records is what the exporter found in it.
	Records int
}

// End is called by the receiver when the pipeline has returned. Nobody can take the request from then on.
func (r *Request) End() Outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	return Outcome{Taken: r.taken, Read: r.readers > 0, Records: r.records}
}
