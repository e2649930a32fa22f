package agenttrailexporter

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/agenttrail/agenttrail/exporter/delivery"
	"github.com/agenttrail/agenttrail/exporter/frompdata"
	"github.com/agenttrail/agenttrail/exporter/journal"
	"github.com/agenttrail/agenttrail/exporter/mapping"
)

func (e *agentExporter) pushMetrics(ctx context.Context, md pmetric.Metrics) error {
	received := time.Now()
	return e.push(ctx, request{
		read: func(w *worker) journal.Hash {
			frompdata.Metrics(md, &w.metrics)
			return w.metrics.Hash()
		},
		rows: func(w *worker, batch *delivery.Batch) mapping.Stats {
			return w.mapper.Metrics(&w.metrics, received, batch)
		},
		done: func(w *worker) { w.metrics.Reset() },
	})
}
