package agenttrailexporter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/agenttrail/agenttrail/exporter/agenttrailexporter/internal/metadata"
	"github.com/agenttrail/agenttrail/exporter/column"
	"github.com/agenttrail/agenttrail/exporter/delivery"
	"github.com/agenttrail/agenttrail/exporter/journal"
	"github.com/agenttrail/agenttrail/exporter/mapping"
	"github.com/agenttrail/agenttrail/exporter/row"
)

// telemetry counts what the exporter does.
type telemetry struct {
	builder *metadata.TelemetryBuilder
	tables  map[string]metric.MeasurementOption
	adjusts [mapping.NumReasons]metric.MeasurementOption
}

var _ delivery.Observer = (*telemetry)(nil)

func newTelemetry(set component.TelemetrySettings) (*telemetry, error) {
	b, err := metadata.NewTelemetryBuilder(set)
	if err != nil {
		return nil, fmt.Errorf("make metrics: %w", err)
	}
	t := &telemetry{builder: b, tables: map[string]metric.MeasurementOption{}}
	for table := range column.TableCount {
		t.tables[table.String()] = with(tableAttribute(table.String()))
	}
	for reason := range mapping.NumReasons {
		t.adjusts[reason] = with(reasonAttribute(reason.String()))
	}
	return t, nil
}

func tableAttribute(table string) attribute.KeyValue   { return attribute.String("table", table) }
func reasonAttribute(reason string) attribute.KeyValue { return attribute.String("reason", reason) }

func with(kvs ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(kvs...))
}

// table returns the attributes of a table. One of another version's layout is not among those made in advance.
func (t *telemetry) table(name string) metric.MeasurementOption {
	if o, ok := t.tables[name]; ok {
		return o
	}
	return with(tableAttribute(name))
}

// begin makes the series of what seldom happens, so that the first time is a step from zero and not a series that was
// not there: a rate needs the point before.
func (t *telemetry) begin() {
	ctx := context.Background()
	for _, reason := range delivery.Reasons() {
		t.builder.AgenttrailExporterRefusedRequests.Add(ctx, 0, with(reasonAttribute(string(reason))))
	}
	t.builder.AgenttrailExporterDuplicateRequests.Add(ctx, 0)
	for _, table := range t.tables {
		t.builder.AgenttrailExporterExpiredRows.Add(ctx, 0, table)
	}
	t.builder.AgenttrailExporterDamagedRecords.Add(ctx, 0)
	for _, status := range newAgentSeries(otherAgents).statuses[row.StatusSuccess:] {
		t.builder.AgenttrailExporterAgentRuns.Add(ctx, 0, status)
	}
}

// observe reports what the writer and its journal hold.
func (t *telemetry) observe(w *delivery.Writer, cfg journal.Settings) error {
	ints := func(value func() int64) metric.Int64Callback {
		return func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(value())
			return nil
		}
	}
	err := errors.Join(
		t.builder.RegisterAgenttrailExporterQueueBytesCallback(ints(w.QueueBytes)),
		t.builder.RegisterAgenttrailExporterBacklogBytesCallback(ints(func() int64 {
			bytes, _, _ := w.Backlog()
			return bytes
		})),
		t.builder.RegisterAgenttrailExporterJournalSegmentsCallback(ints(func() int64 {
			_, _, segments := w.Backlog()
			return int64(segments)
		})),
		t.builder.RegisterAgenttrailExporterBacklogAgeCallback(func(_ context.Context, o metric.Float64Observer) error {
			age := time.Duration(0)
			if _, oldest, segments := w.Backlog(); segments > 0 {
				age = max(0, time.Since(oldest))
			}
			o.Observe(age.Seconds())
			return nil
		}),
		t.builder.RegisterAgenttrailExporterJournalLimitCallback(ints(func() int64 { return cfg.MaxBytes })),
		t.builder.RegisterAgenttrailExporterDeadLettersCallback(func(_ context.Context, o metric.Int64Observer) error {
			n, err := journal.CountDeadLetters(cfg.Dir)
			if err == nil {
				o.Observe(int64(n))
			}
			return err
		}),
	)
	if err != nil {
		return fmt.Errorf("make metrics: %w", err)
	}
	return nil
}

func (t *telemetry) shutdown() { t.builder.Shutdown() }

// Acknowledged implements [delivery.Observer].
func (t *telemetry) Acknowledged(rows *[column.TableCount]int, elapsed time.Duration) {
	ctx := context.Background()
	t.builder.AgenttrailExporterRequests.Add(ctx, 1)
	t.builder.AgenttrailExporterAppendDuration.Record(ctx, elapsed.Seconds())
	for table, n := range rows {
		if n > 0 {
			t.builder.AgenttrailExporterAcknowledgedRows.Add(ctx, int64(n), t.table(column.Table(table).String()))
		}
	}
}

// Expired implements [delivery.Observer].
func (t *telemetry) Expired(table column.Table, rows int) {
	t.builder.AgenttrailExporterExpiredRows.Add(context.Background(), int64(rows), t.table(table.String()))
}

// Duplicate implements [delivery.Observer].
func (t *telemetry) Duplicate() {
	t.builder.AgenttrailExporterDuplicateRequests.Add(context.Background(), 1)
}

// Refused implements [delivery.Observer].
func (t *telemetry) Refused(reason delivery.Reason) {
	t.builder.AgenttrailExporterRefusedRequests.Add(context.Background(), 1, with(reasonAttribute(string(reason))))
}

// Synced implements [delivery.Observer].
func (t *telemetry) Synced(elapsed time.Duration) {
	t.builder.AgenttrailExporterFsyncDuration.Record(context.Background(), elapsed.Seconds())
}

// Stored implements [delivery.Observer].
func (t *telemetry) Stored(table string, rows, bytes int, elapsed time.Duration) {
	ctx := context.Background()
	t.builder.AgenttrailExporterStoredRows.Add(ctx, int64(rows), t.table(table))
	t.builder.AgenttrailExporterSentBytes.Add(ctx, int64(bytes), t.table(table))
	t.builder.AgenttrailExporterInsertDuration.Record(ctx, elapsed.Seconds(), t.table(table))
}

// Retried implements [delivery.Observer].
func (t *telemetry) Retried(table, reason string) {
	t.builder.AgenttrailExporterRetriedInserts.Add(context.Background(), 1, with(tableAttribute(table), reasonAttribute(reason)))
}

// DeadLettered implements [delivery.Observer].
func (t *telemetry) DeadLettered(table, reason string, rows int) {
	t.builder.AgenttrailExporterDeadLetteredRows.Add(context.Background(), int64(rows), with(tableAttribute(table), reasonAttribute(reason)))
}

// Damaged implements [delivery.Observer].
func (t *telemetry) Damaged() {
	t.builder.AgenttrailExporterDamagedRecords.Add(context.Background(), 1)
}

func (t *telemetry) adjusted(ctx context.Context, stats *mapping.Stats) {
	for reason, n := range stats.Adjusted {
		if n > 0 {
			t.builder.AgenttrailExporterAdjustedValues.Add(ctx, int64(n), t.adjusts[reason]) //nolint:gosec // A count of values in memory.
		}
	}
}
