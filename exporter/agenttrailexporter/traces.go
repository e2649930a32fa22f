package agenttrailexporter

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/agenttrail/agenttrail/exporter/delivery"
	"github.com/agenttrail/agenttrail/exporter/frompdata"
	"github.com/agenttrail/agenttrail/exporter/mapping"
)

func (e *agentExporter) pushTraces(ctx context.Context, td ptrace.Traces) error {
	received := time.Now()
	return e.push(ctx, func(w *worker, batch *delivery.Batch) mapping.Stats {
		frompdata.Traces(td, &w.traces)
		defer w.traces.Reset()
		return w.mapper.Traces(&w.traces, received, batch)
	})
}
