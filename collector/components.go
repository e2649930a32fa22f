package collector

import (
	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/healthcheckextension"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/debugexporter"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/memorylimiterprocessor"
	"go.opentelemetry.io/collector/receiver"

	"github.com/agenttrail/agenttrail/collector/hostmetrics"
	"github.com/agenttrail/agenttrail/collector/otlp"
	"github.com/agenttrail/agenttrail/collector/selfmetrics"
	"github.com/agenttrail/agenttrail/exporter/agenttrailexporter"
)

// Components returns the factories of everything that a configuration of this distribution may name. To have more,
// put the exporter into a distribution of your own: builder-config.yaml shows how.
func Components() (otelcol.Factories, error) { return components(nil) }

func components(watch *watch) (otelcol.Factories, error) {
	receivers, err := otelcol.MakeFactoryMap[receiver.Factory](
		otlp.NewFactory(), hostmetrics.NewFactory(), selfmetrics.NewFactory(watch.gather),
	)
	if err != nil {
		return otelcol.Factories{}, err
	}
	processors, err := otelcol.MakeFactoryMap[processor.Factory](memorylimiterprocessor.NewFactory())
	if err != nil {
		return otelcol.Factories{}, err
	}
	exporters, err := otelcol.MakeFactoryMap[exporter.Factory](agenttrailexporter.NewFactory(), debugexporter.NewFactory())
	if err != nil {
		return otelcol.Factories{}, err
	}
	extensions, err := otelcol.MakeFactoryMap[extension.Factory](healthcheckextension.NewFactory())
	if err != nil {
		return otelcol.Factories{}, err
	}
	f := otelcol.Factories{
		Receivers:  receivers,
		Processors: processors,
		Exporters:  exporters,
		Extensions: extensions,
		Telemetry:  newTelemetryFactory(watch),
	}
	f.ReceiverModules = modules(receivers, "github.com/agenttrail/agenttrail")
	f.ProcessorModules = modules(processors, "go.opentelemetry.io/collector/processor/memorylimiterprocessor")
	f.ExtensionModules = modules(extensions, "github.com/open-telemetry/opentelemetry-collector-contrib/extension/healthcheckextension")
	return f, nil
}

// modules says which module a component comes from.
func modules[F any](factories map[component.Type]F, module string) map[component.Type]string {
	m := make(map[component.Type]string, len(factories))
	for t := range factories {
		m[t] = module
	}
	return m
}
