// What every recorder shares: an OpenTelemetry setup that says nothing about the machine it runs on, and the command
// line that record.sh uses.
//
//   node <emitter>/main.mjs --list        names the scenarios
//   node <emitter>/main.mjs <scenario>    runs one, sends it to OTEL_EXPORTER_OTLP_ENDPOINT, prints the facts as JSON

import { readFileSync } from 'node:fs';
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

// The resource of every recording. No detectors run: host and process attributes would name the machine.
export const service = {
  'service.name': 'weather-service',
  'service.version': '1.4.0',
  'deployment.environment.name': 'staging',
};

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

// main runs the scenario that the command line names. dir is the emitter's folder (import.meta.dirname), emitter the
// npm package that gives the recording its version. A scenario is { what, run }; run returns the facts, without having
// looked at any telemetry.
export async function main({ dir, emitter, scenarios }) {
  const name = process.argv[2];
  const version = JSON.parse(readFileSync(`${dir}/package.json`, 'utf8')).dependencies[emitter];
  if (name === '--list') {
    const short = emitter.replace(/^@/, '').replaceAll('/', '-');
    for (const scenario of Object.keys(scenarios)) console.log(`${scenario} ${short}-${version}-${scenario}`);
    return;
  }
  const scenario = scenarios[name];
  if (!scenario) {
    console.error(`unknown scenario ${name}; one of: ${Object.keys(scenarios).join(', ')}`);
    process.exitCode = 2;
    return;
  }
  const facts = await scenario.run();
  const out = { emitter, version, scenario: name, what: scenario.what, ...facts };
  console.log(JSON.stringify(out, null, 2));
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// apiError is what a provider's client throws for an HTTP error.
export function apiError(status, message) {
  return Object.assign(new Error(message), { name: 'APIError', status, statusCode: status });
}
