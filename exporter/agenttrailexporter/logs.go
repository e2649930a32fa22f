package agenttrailexporter

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/agenttrail/agenttrail/exporter/delivery"
	"github.com/agenttrail/agenttrail/exporter/frompdata"
	"github.com/agenttrail/agenttrail/exporter/mapping"
)

func (e *agentExporter) pushLogs(ctx context.Context, ld plog.Logs) error {
	received := time.Now()
	return e.push(ctx, func(w *worker, batch *delivery.Batch) mapping.Stats {
		frompdata.Logs(ld, &w.logs)
		defer w.logs.Reset()
		return w.mapper.Logs(&w.logs, received, batch)
	})
}
