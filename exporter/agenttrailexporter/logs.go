package agenttrailexporter

import (
	"context"

	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/agenttrail/agenttrail/exporter/delivery"
	"github.com/agenttrail/agenttrail/exporter/direct"
	"github.com/agenttrail/agenttrail/exporter/frompdata"
	"github.com/agenttrail/agenttrail/exporter/fromwire"
	"github.com/agenttrail/agenttrail/exporter/journal"
	"github.com/agenttrail/agenttrail/exporter/mapping"
)

func (e *agentExporter) pushLogs(ctx context.Context, ld plog.Logs) error {
	received := e.now()
	wire := take(ctx, direct.SignalLogs, ld.ResourceLogs().Len() == 0)
	records := 0
	defer func() { wire.Release(records) }()
	return e.push(ctx, request{
		size: sizeOf(wire, ld.LogRecordCount()),
		read: func(w *worker) (journal.Hash, error) {
			if wire == nil {
				frompdata.Logs(ld, &w.logs)
			} else if err := fromwire.Logs(wire.Body, &w.logs); err != nil {
				return journal.Hash{}, err
			}
			records = len(w.logs.Records)
			return w.logs.Hash(), nil
		},
		rows: func(w *worker, batch *delivery.Batch) mapping.Stats {
			return w.mapper.Logs(&w.logs, received, batch)
		},
		done: func(w *worker) { w.logs.Reset() },
	})
}
