// OpenTelemetry and the AI SDK's integration. It is loaded with --import, before anything else, so that http is
// instrumented when the server loads it.

import { register } from 'node:module';
import { OpenTelemetry } from '@ai-sdk/otel';
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-proto';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http';
import { NodeSDK, logs, metrics, tracing } from '@opentelemetry/sdk-node';
import { registerTelemetry } from 'ai';
import { RunList } from './runs.ts';

register('@opentelemetry/instrumentation/hook.mjs', import.meta.url);

export const endpoint = (process.env.OTEL_EXPORTER_OTLP_ENDPOINT ??= 'http://127.0.0.1:4318');
process.env.OTEL_SERVICE_NAME ??= 'weather-api';
// The agents of this program have its version.
process.env.OTEL_RESOURCE_ATTRIBUTES ??= 'service.version=1.0.0,deployment.environment.name=demo,agenttrail.agent.version=1.0.0';

// runs is only for this example: it remembers the ids of the runs, for the list at the end.
export const runs = new RunList();

export const sdk = new NodeSDK({
  spanProcessors: [runs, new tracing.BatchSpanProcessor(new OTLPTraceExporter())],
  logRecordProcessors: [new logs.BatchLogRecordProcessor({ exporter: new OTLPLogExporter() })],
  metricReaders: [new metrics.PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter() })],
  instrumentations: [new HttpInstrumentation()],
});
sdk.start();

registerTelemetry(
  new OpenTelemetry({
    // The AI SDK names the agent (telemetry.functionId), the model and the tokens. Whose run it is, only the
    // application knows: two standard attributes.
    enrichSpan: ({ runtimeContext }) => ({
      'user.id': runtimeContext?.userId as string,
      'session.id': runtimeContext?.sessionId as string,
      // Without this, a run is known by the id of its span. With an id of its own, the ledger and the run
      // share it.
      'agenttrail.execution.id': runtimeContext?.runId as string,
      // What the run cost in credits has no convention; here every run has the same price.
      'agenttrail.credits': '0.25',
    }),
  }),
);
