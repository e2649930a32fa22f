// Package direct carries OTLP requests from a receiver to the exporter as the bytes that arrived, past pdata.
//
// A receiver that has a protobuf request puts it into the context of an empty pdata request, and sends that down its
// pipeline. Components that only decide whether something may pass, such as the memory limiter, work as always; the
// exporter finds the bytes in the context and decodes them itself. Components that read or change data must not be in
// such a pipeline, since they would see nothing.
//
// The request is the receiver's again when the pipeline has returned, so nothing in between may answer before the
// exporter has, which is what the exporter's promise asks for anyway.
package direct

import "context"

// Signal says what a request holds.
type Signal uint8

// The signals.
const (
	SignalTraces Signal = iota
	SignalLogs
	SignalMetrics
)

// Request is an OTLP request on its way. It is used by one goroutine at a time.
type Request struct {
	// Signal says which message Body is: ExportTraceServiceRequest, ExportLogsServiceRequest or
	// ExportMetricsServiceRequest.
	Signal Signal
	// Body is the message in protobuf, not compressed. It is not changed by anybody.
	Body []byte

	taken   bool
	records int
}

type key struct{}

// NewContext returns a context that carries r.
func NewContext(ctx context.Context, r *Request) context.Context {
	return context.WithValue(ctx, key{}, r)
}

// FromContext returns the request of a signal that ctx carries, nil if there is none. One of another signal does not
// count: a connector may have made its own data of what it got.
func FromContext(ctx context.Context, signal Signal) *Request {
	if r, ok := ctx.Value(key{}).(*Request); ok && r.Signal == signal {
		return r
	}
	return nil
}

// Take tells the receiver that an exporter looks after the request, whatever comes of it.
func (r *Request) Take() { r.taken = true }

// Taken reports whether an exporter has looked after the request. If not, no one in the pipeline knows of it.
func (r *Request) Taken() bool { return r.taken }

// SetRecords says how many spans, log records or metric points the request has, once they are decoded.
func (r *Request) SetRecords(n int) { r.records = n }

// Records returns how many spans, log records or metric points were found in it.
func (r *Request) Records() int { return r.records }
