package agenttrailexporter

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/agenttrail/agenttrail/exporter/agenttrailexporter/internal/metadata"
	"github.com/agenttrail/agenttrail/exporter/column"
	"github.com/agenttrail/agenttrail/exporter/delivery"
	"github.com/agenttrail/agenttrail/exporter/mapping"
)

// telemetry counts what the exporter does.
type telemetry struct {
	builder  *metadata.TelemetryBuilder
	tables   [column.TableCount]metric.MeasurementOption
	adjusts  [mapping.NumReasons]metric.MeasurementOption
	tableKVs [column.TableCount]attribute.KeyValue
}

var _ delivery.Observer = (*telemetry)(nil)

func newTelemetry(set component.TelemetrySettings) (*telemetry, error) {
	b, err := metadata.NewTelemetryBuilder(set)
	if err != nil {
		return nil, fmt.Errorf("make metrics: %w", err)
	}
	t := &telemetry{builder: b}
	for table := range column.TableCount {
		t.tableKVs[table] = attribute.String("table", table.String())
		t.tables[table] = metric.WithAttributeSet(attribute.NewSet(t.tableKVs[table]))
	}
	for reason := range mapping.NumReasons {
		t.adjusts[reason] = metric.WithAttributeSet(attribute.NewSet(attribute.String("reason", reason.String())))
	}
	return t, nil
}

func (t *telemetry) observeQueue(bytes func() int64) error {
	err := t.builder.RegisterAgenttrailExporterQueueBytesCallback(func(_ context.Context, o metric.Int64Observer) error {
		o.Observe(bytes())
		return nil
	})
	if err != nil {
		return fmt.Errorf("make metrics: %w", err)
	}
	return nil
}

func (t *telemetry) shutdown() { t.builder.Shutdown() }

// Stored implements [delivery.Observer].
func (t *telemetry) Stored(table column.Table, rows, bytes int, elapsed time.Duration) {
	ctx := context.Background()
	t.builder.AgenttrailExporterStoredRows.Add(ctx, int64(rows), t.tables[table])
	t.builder.AgenttrailExporterSentBytes.Add(ctx, int64(bytes), t.tables[table])
	t.builder.AgenttrailExporterInsertDuration.Record(ctx, elapsed.Seconds(), t.tables[table])
}

// Retried implements [delivery.Observer].
func (t *telemetry) Retried(table column.Table, reason string) {
	t.builder.AgenttrailExporterRetriedInserts.Add(context.Background(), 1,
		metric.WithAttributeSet(attribute.NewSet(t.tableKVs[table], attribute.String("reason", reason))))
}

// Refused implements [delivery.Observer].
func (t *telemetry) Refused(reason delivery.Reason) {
	t.builder.AgenttrailExporterRefusedRequests.Add(context.Background(), 1,
		metric.WithAttributeSet(attribute.NewSet(attribute.String("reason", string(reason)))))
}

func (t *telemetry) stored(ctx context.Context) {
	t.builder.AgenttrailExporterRequests.Add(ctx, 1)
}

func (t *telemetry) adjusted(ctx context.Context, stats *mapping.Stats) {
	for reason, n := range stats.Adjusted {
		if n > 0 {
			t.builder.AgenttrailExporterAdjustedValues.Add(ctx, int64(n), t.adjusts[reason]) //nolint:gosec // A count of values in memory.
		}
	}
}
