package agenttrailexporter

import (
	"context"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.uber.org/zap"

	"github.com/agenttrail/agenttrail/exporter/agenttrailexporter/internal/metadata"
)

// NewFactory returns the factory of the exporter.
func NewFactory() exporter.Factory {
	f := &factory{exporters: map[*Config]*agentExporter{}}
	return exporter.NewFactory(
		metadata.Type,
		createDefaultConfig,
		exporter.WithTraces(f.createTraces, metadata.TracesStability),
		exporter.WithLogs(f.createLogs, metadata.LogsStability),
		exporter.WithMetrics(f.createMetrics, metadata.MetricsStability),
	)
}

// factory makes one exporter per configuration, so that all signals are stored together and share one limit of
// memory.
type factory struct {
	mu        sync.Mutex
	exporters map[*Config]*agentExporter
}

func (f *factory) exporter(set exporter.Settings, cfg *Config) *agentExporter {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.exporters[cfg]
	if e == nil {
		e = newExporter(set, cfg, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			delete(f.exporters, cfg)
		})
		f.exporters[cfg] = e
	}
	return e
}

func (f *factory) createTraces(ctx context.Context, set exporter.Settings, config component.Config) (exporter.Traces, error) {
	use := &use{exporter: f.exporter(set, config.(*Config))}
	return exporterhelper.NewTraces(ctx, silent(set), config, use.exporter.pushTraces, use.options()...)
}

func (f *factory) createLogs(ctx context.Context, set exporter.Settings, config component.Config) (exporter.Logs, error) {
	use := &use{exporter: f.exporter(set, config.(*Config))}
	return exporterhelper.NewLogs(ctx, silent(set), config, use.exporter.pushLogs, use.options()...)
}

func (f *factory) createMetrics(ctx context.Context, set exporter.Settings, config component.Config) (exporter.Metrics, error) {
	use := &use{exporter: f.exporter(set, config.(*Config))}
	return exporterhelper.NewMetrics(ctx, silent(set), config, use.exporter.pushMetrics, use.options()...)
}

// silent is for the helper, which would log every request that is refused: the exporter itself tells when that begins and
// when it is over, and counts.
func silent(set exporter.Settings) exporter.Settings {
	set.Logger = zap.NewNop()
	return set
}

// use is one signal's hold on an exporter, which runs from the first start to the last shutdown.
type use struct {
	exporter *agentExporter
	started  bool
}

func (u *use) options() []exporterhelper.Option {
	return []exporterhelper.Option{
		exporterhelper.WithCapabilities(consumer.Capabilities{MutatesData: false}),
		exporterhelper.WithTimeout(exporterhelper.TimeoutConfig{Timeout: 0}), // The writer has its own.
		exporterhelper.WithStart(u.start),
		exporterhelper.WithShutdown(u.shutdown),
	}
}

func (u *use) start(ctx context.Context, host component.Host) error {
	if err := u.exporter.start(ctx, host); err != nil {
		return err
	}
	u.started = true
	return nil
}

func (u *use) shutdown(ctx context.Context) error {
	if !u.started {
		return nil
	}
	u.started = false
	return u.exporter.shutdown(ctx)
}
