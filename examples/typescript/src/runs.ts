import type { ReadableSpan, SpanProcessor } from '@opentelemetry/sdk-trace-base';

export interface Run {
  traceId: string;
  spanId: string;
  agent: string;
  executionId: string;
}

// RunList remembers every agent run that ended.
export class RunList implements SpanProcessor {
  private readonly ended: Run[] = [];

  onStart(): void {}

  onEnd(span: ReadableSpan): void {
    if (span.attributes['gen_ai.operation.name'] !== 'invoke_agent') return;
    this.ended.push({ ...span.spanContext(), agent: String(span.attributes['gen_ai.agent.name']), executionId: String(span.attributes['agenttrail.execution.id']) });
  }

  find(traceId: string, agent: string): Run | undefined {
    return this.ended.find((run) => run.traceId === traceId && run.agent === agent);
  }

  async forceFlush(): Promise<void> {}
  async shutdown(): Promise<void> {}
}
