package agenttrailexporter

import (
	"context"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/agenttrail/agenttrail/exporter/delivery"
	"github.com/agenttrail/agenttrail/exporter/direct"
	"github.com/agenttrail/agenttrail/exporter/frompdata"
	"github.com/agenttrail/agenttrail/exporter/fromwire"
	"github.com/agenttrail/agenttrail/exporter/journal"
	"github.com/agenttrail/agenttrail/exporter/mapping"
)

func (e *agentExporter) pushTraces(ctx context.Context, td ptrace.Traces) error {
	received := e.now()
	wire := take(ctx, direct.SignalTraces, td.ResourceSpans().Len() == 0)
	records := 0
	sink := &runSink{labels: e.agents, since: received.Add(-countedRuns).UnixNano()}
	defer func() { wire.Release(records) }()
	return e.push(ctx, request{
		size: sizeOf(wire, td.SpanCount()),
		read: func(w *worker) (journal.Hash, error) {
			if wire == nil {
				frompdata.Traces(td, &w.traces)
			} else if err := fromwire.Traces(wire.Body, &w.traces); err != nil {
				return journal.Hash{}, err
			}
			records = len(w.traces.Spans)
			return w.traces.Hash(), nil
		},
		rows: func(w *worker, batch *delivery.Batch) mapping.Stats {
			sink.Sink = batch
			return w.mapper.Traces(&w.traces, received, sink)
		},
		stored: func() { e.telemetry.ran(sink.runs) }, //nolint:contextcheck // Metrics need none.
		done:   func(w *worker) { w.traces.Reset() },
	})
}

const (
	// requestBytes is about what a request that waits takes beside its content: a goroutine, buffers of the server.
	requestBytes = 16 << 10
	// recordBytes is about what a record of pdata takes.
	recordBytes = 1 << 10
)

// sizeOf is about how many bytes of memory a request takes.
func sizeOf(wire *direct.Request, records int) int64 {
	if wire != nil {
		return int64(len(wire.Body)) + requestBytes
	}
	return int64(records)*recordBytes + requestBytes
}
