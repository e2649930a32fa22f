package agenttrailexporter

import (
	"context"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/agenttrail/agenttrail/exporter/delivery"
	"github.com/agenttrail/agenttrail/exporter/direct"
	"github.com/agenttrail/agenttrail/exporter/frompdata"
	"github.com/agenttrail/agenttrail/exporter/fromwire"
	"github.com/agenttrail/agenttrail/exporter/journal"
	"github.com/agenttrail/agenttrail/exporter/mapping"
)

func (e *agentExporter) pushMetrics(ctx context.Context, md pmetric.Metrics) error {
	received := e.now()
	wire := take(ctx, direct.SignalMetrics, md.ResourceMetrics().Len() == 0)
	records := 0
	defer func() { wire.Release(records) }()
	return e.push(ctx, request{
		size: sizeOf(wire, md.DataPointCount()),
		read: func(w *worker) (journal.Hash, error) {
			if wire == nil {
				frompdata.Metrics(md, &w.metrics)
			} else if err := fromwire.Metrics(wire.Body, &w.metrics); err != nil {
				return journal.Hash{}, err
			}
			records = len(w.metrics.Points)
			return w.metrics.Hash(), nil
		},
		rows: func(w *worker, batch *delivery.Batch) mapping.Stats {
			return w.mapper.Metrics(&w.metrics, received, batch)
		},
		done: func(w *worker) { w.metrics.Reset() },
	})
}
