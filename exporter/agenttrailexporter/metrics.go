package agenttrailexporter

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/agenttrail/agenttrail/exporter/delivery"
	"github.com/agenttrail/agenttrail/exporter/frompdata"
	"github.com/agenttrail/agenttrail/exporter/mapping"
)

func (e *agentExporter) pushMetrics(ctx context.Context, md pmetric.Metrics) error {
	received := time.Now()
	return e.push(ctx, func(w *worker, batch *delivery.Batch) mapping.Stats {
		frompdata.Metrics(md, &w.metrics)
		defer w.metrics.Reset()
		return w.mapper.Metrics(&w.metrics, received, batch)
	})
}
