package agenttrailexporter

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/agenttrail/agenttrail/exporter/delivery"
	"github.com/agenttrail/agenttrail/exporter/direct"
	"github.com/agenttrail/agenttrail/exporter/frompdata"
	"github.com/agenttrail/agenttrail/exporter/fromwire"
	"github.com/agenttrail/agenttrail/exporter/journal"
	"github.com/agenttrail/agenttrail/exporter/mapping"
)

func (e *agentExporter) pushTraces(ctx context.Context, td ptrace.Traces) error {
	received := time.Now()
	wire := take(ctx, direct.SignalTraces, td.ResourceSpans().Len() == 0)
	records := 0
	defer func() { wire.Release(records) }()
	return e.push(ctx, request{
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
			return w.mapper.Traces(&w.traces, received, batch)
		},
		done: func(w *worker) { w.traces.Reset() },
	})
}
