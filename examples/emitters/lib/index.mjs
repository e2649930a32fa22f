// The OpenTelemetry setup that the recorders share. It says nothing about the machine it runs on: no resource detectors.

import { metrics } from '@opentelemetry/api';
import { logs } from '@opentelemetry/api-logs';
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-proto';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { BatchSpanProcessor, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import { service } from './cli.mjs';

export * from './cli.mjs';

// start registers the global providers and returns a function that flushes and stops them.
//
// processors come before the exporting one, as an emitter that enriches spans wants it. With onePerRequest every span
// is exported by itself, children first: the worst split that a batch boundary can make.
export function start({ processors = [], onePerRequest = false } = {}) {
  const resource = resourceFromAttributes(service);
  const exporter = new OTLPTraceExporter();
  const tracerProvider = new NodeTracerProvider({
    resource,
    spanProcessors: [...processors, onePerRequest ? new SimpleSpanProcessor(exporter) : new BatchSpanProcessor(exporter)],
  });
  tracerProvider.register();

  const loggerProvider = new LoggerProvider({
    resource,
    processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter() })],
  });
  logs.setGlobalLoggerProvider(loggerProvider);

  const meterProvider = new MeterProvider({
    resource,
    readers: [new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter(), exportIntervalMillis: 3_600_000 })],
  });
  metrics.setGlobalMeterProvider(meterProvider);

  const stop = async () => {
    await tracerProvider.shutdown();
    await loggerProvider.shutdown();
    await meterProvider.shutdown();
  };
  return { tracerProvider, loggerProvider, meterProvider, stop };
}

// serviceProvider is start for an emitter that brings its own span processor: processors gets the OTLP exporter.
export function serviceProvider(processors) {
  const provider = new NodeTracerProvider({ resource: resourceFromAttributes(service), spanProcessors: processors(new OTLPTraceExporter()) });
  provider.register();
  return { tracerProvider: provider, stop: () => provider.shutdown() };
}
