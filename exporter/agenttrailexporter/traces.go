package agenttrailexporter

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/agenttrail/agenttrail/exporter/delivery"
	"github.com/agenttrail/agenttrail/exporter/frompdata"
	"github.com/agenttrail/agenttrail/exporter/journal"
	"github.com/agenttrail/agenttrail/exporter/mapping"
)

func (e *agentExporter) pushTraces(ctx context.Context, td ptrace.Traces) error {
	received := time.Now()
	return e.push(ctx, request{
		read: func(w *worker) journal.Hash {
			frompdata.Traces(td, &w.traces)
			return w.traces.Hash()
		},
		rows: func(w *worker, batch *delivery.Batch) mapping.Stats {
			return w.mapper.Traces(&w.traces, received, batch)
		},
		done: func(w *worker) { w.traces.Reset() },
	})
}
