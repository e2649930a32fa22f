package main

import (
	"context"
	"fmt"
	"os"

	"github.com/open-telemetry/opentelemetry-collector-contrib/exporter/clickhouseexporter"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/service/telemetry/otelconftelemetry"
)

// rivalCommand is the first argument that makes this program a collector with contrib's exporter.
const rivalCommand = "contrib-collector"

// rivalConfig is the pipeline that contrib's README recommends: the exporter's own queue with batches of 5,000 rows at
// least. Blocking on overflow is added, without which it would drop what it cannot store in time. Everything else is
// the default, asynchronous inserts and LZ4 included.
const rivalConfig = `
receivers:
  otlp: {protocols: {grpc: {endpoint: %q, max_recv_msg_size_mib: 64}}}
exporters:
  clickhouse:
    endpoint: %q
    database: %s
    timeout: 30s
    sending_queue:
      num_consumers: 10
      block_on_overflow: true
      batch: {min_size: 5000, flush_timeout: 5s}
service:
  pipelines:
    traces: {receivers: [otlp], exporters: [clickhouse]}
    logs: {receivers: [otlp], exporters: [clickhouse]}
  telemetry:
    logs: {level: warn}
    metrics:
      readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: %d}}}}]
`

// runRival runs a collector with contrib's exporter until it gets a signal.
func runRival(config string) error {
	col, err := otelcol.NewCollector(otelcol.CollectorSettings{
		BuildInfo: component.BuildInfo{Command: "contrib", Version: "bench"},
		Factories: func() (otelcol.Factories, error) {
			receivers, err := otelcol.MakeFactoryMap[receiver.Factory](otlpreceiver.NewFactory())
			if err != nil {
				return otelcol.Factories{}, err
			}
			exporters, err := otelcol.MakeFactoryMap[exporter.Factory](clickhouseexporter.NewFactory())
			if err != nil {
				return otelcol.Factories{}, err
			}
			return otelcol.Factories{Receivers: receivers, Exporters: exporters, Telemetry: otelconftelemetry.NewFactory()}, nil
		},
		ConfigProviderSettings: otelcol.ConfigProviderSettings{ResolverSettings: confmap.ResolverSettings{
			URIs:              []string{"yaml:" + config},
			ProviderFactories: []confmap.ProviderFactory{yamlprovider.NewFactory()},
		}},
	})
	if err != nil {
		return fmt.Errorf("make collector: %w", err)
	}
	fmt.Fprintln(os.Stderr, "contrib collector starts")
	return col.Run(context.Background())
}
