package agenttrailexporter

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/agenttrail/agenttrail/exporter/delivery"
	"github.com/agenttrail/agenttrail/exporter/frompdata"
	"github.com/agenttrail/agenttrail/exporter/journal"
	"github.com/agenttrail/agenttrail/exporter/mapping"
)

func (e *agentExporter) pushLogs(ctx context.Context, ld plog.Logs) error {
	received := time.Now()
	return e.push(ctx, request{
		read: func(w *worker) journal.Hash {
			frompdata.Logs(ld, &w.logs)
			return w.logs.Hash()
		},
		rows: func(w *worker, batch *delivery.Batch) mapping.Stats {
			return w.mapper.Logs(&w.logs, received, batch)
		},
		done: func(w *worker) { w.logs.Reset() },
	})
}
