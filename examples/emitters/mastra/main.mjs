// Mastra with its OtelExporter: GenAI names and mastra.* attributes, made from Mastra's own tracing when a span ends.
// It stands alone: its OpenTelemetry is older than the other recorders'.

import { Agent } from '@mastra/core/agent';
import { Mastra } from '@mastra/core/mastra';
import { RequestContext } from '@mastra/core/request-context';
import { createTool } from '@mastra/core/tools';
import { createStep, createWorkflow } from '@mastra/core/workflows';
import { Observability } from '@mastra/observability';
import { OtelExporter } from '@mastra/otel-exporter';
import { MockLanguageModelV4 } from 'ai/test';
import { simulateReadableStream } from 'ai';
import { z } from 'zod';
import { apiError, main, service, sleep } from '../lib/cli.mjs';

const model = 'mock-large-1';
const provider = 'mock-provider';
// The span of a run has neither model nor tokens: they are on its model calls.
const facts = { model, provider, tokensOn: 'model calls' };
const who = { user: 'user-1', session: 'session-1' };

const usage = (input, output) => ({
  inputTokens: { total: input, noCache: input - 4, cacheRead: 4, cacheWrite: 0 },
  outputTokens: { total: output, text: output, reasoning: 0 },
});
const text = (value, input, output) => ({ content: [{ type: 'text', text: value }], finishReason: { unified: 'stop', raw: 'stop' }, usage: usage(input, output), warnings: [] });
const call = (toolName, args, input, output) => ({
  content: [{ type: 'tool-call', toolCallId: `call-${toolName}`, toolName, input: JSON.stringify(args) }],
  finishReason: { unified: 'tool-calls', raw: 'tool_calls' }, usage: usage(input, output), warnings: [],
});
const hang = ({ abortSignal }) => new Promise((_, reject) => abortSignal.addEventListener('abort', () => reject(abortSignal.reason), { once: true }));

// mock answers call n with the n-th answer, as a result or as the stream that says the same.
function mock(...answers) {
  let n = 0;
  const next = async (options) => {
    const answer = answers[Math.min(n++, answers.length - 1)];
    if (answer instanceof Error) throw answer;
    return typeof answer === 'function' ? answer(options) : answer;
  };
  const doStream = async (options) => {
    const { content: [part], finishReason, usage } = await next(options);
    const parts = part.type === 'text'
      ? [{ type: 'text-start', id: '1' }, { type: 'text-delta', id: '1', delta: part.text }, { type: 'text-end', id: '1' }]
      : [part];
    return { stream: simulateReadableStream({ chunks: [{ type: 'stream-start', warnings: [] }, ...parts, { type: 'finish', finishReason, usage }] }) };
  };
  return new MockLanguageModelV4({ modelId: model, provider, doGenerate: next, doStream });
}
const weather = createTool({
  id: 'weather', description: 'Weather in a city', inputSchema: z.object({ city: z.string() }), outputSchema: z.any(),
  execute: async (input) => {
    await sleep(3);
    const city = input.city ?? input.context?.city;
    if (city === 'Atlantis') throw new Error('no such city: Atlantis');
    return { city, celsius: 11 };
  },
});
const agent = (name, model, more = {}) => new Agent({ id: name, name, instructions: 'Be brief', model, maxRetries: 0, ...more });

const run = (build, work) => async () => {
  const parts = build();
  const observability = new Observability({
    configs: {
      otel: {
        serviceName: service['service.name'],
        exporters: [new OtelExporter({ provider: { custom: { endpoint: `${process.env.OTEL_EXPORTER_OTLP_ENDPOINT}/v1/traces`, protocol: 'http/protobuf' } }, signals: { logs: false } })],
      },
    },
  });
  const mastra = new Mastra({ ...parts, observability, logger: false });
  try {
    return await work(mastra);
  } finally {
    await sleep(50);
    await observability.shutdown();
  }
};
const options = { tracingOptions: { metadata: { userId: 'user-1', sessionId: 'session-1', tenant: 'acme' } }, maxSteps: 5 };
const thrown = async (promise) => {
  const error = await promise.then(() => undefined, (e) => e);
  return error ? { errorType: error.name, errorMessage: error.message } : { threw: false }; // An aborted generate returns.
};
const one = (model, more) => () => ({ agents: { weather: agent('weather-agent', model, more) } });

const scenarios = {
  success: {
    what: 'one generate that answers, user and session as tracing metadata',
    run: run(one(mock(text('11 degrees', 20, 8))), async (mastra) => {
      await mastra.getAgent('weather').generate('Weather?', options);
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...facts, ...who, inputTokens: 20, outputTokens: 8, cacheReadTokens: 4, modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  tool: {
    what: 'two steps: a tool call that works, then the answer',
    run: run(one(mock(call('weather', { city: 'Zurich' }, 20, 8), text('11 degrees', 31, 6)), { tools: { weather } }), async (mastra) => {
      await mastra.getAgent('weather').generate('Weather?', options);
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...facts, ...who, inputTokens: 51, outputTokens: 14, cacheReadTokens: 8, modelCalls: 2, toolCalls: 1, tools: ['weather'] }] };
    }),
  },
  'tool-fails-and-recovers': {
    what: 'the tool throws, the model answers all the same',
    run: run(one(mock(call('weather', { city: 'Atlantis' }, 20, 8), text('Unknown city', 31, 6)), { tools: { weather } }), async (mastra) => {
      await mastra.getAgent('weather').generate('Weather?', options);
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...facts, ...who, inputTokens: 51, outputTokens: 14, cacheReadTokens: 8, modelCalls: 2, toolCalls: 1, failedTools: [{ tool: 'weather', errorMessage: 'no such city: Atlantis' }] }] };
    }),
  },
  stream: {
    what: 'stream, read to its end',
    run: run(one(mock(text('11 degrees', 9, 4))), async (mastra) => {
      const result = await mastra.getAgent('weather').stream('Weather?', options);
      for await (const chunk of result.textStream) void chunk;
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...facts, ...who, inputTokens: 9, outputTokens: 4, cacheReadTokens: 4, modelCalls: 1, toolCalls: 0, stream: true }] };
    }),
  },
  error: {
    what: 'the model throws an APIError with status 429',
    run: run(one(mock(apiError(429, 'Rate limit reached'))), async (mastra) => {
      const error = await thrown(mastra.getAgent('weather').generate('Weather?', options));
      return { runs: [{ agent: 'weather-agent', outcome: 'error', ...facts, ...who, ...error, errorTypeOnWire: 'unknown', httpStatus: 429, unsaid: ['errorType', 'httpStatus'], modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  timeout: {
    what: 'AbortSignal.timeout ends the run: generate returns, every span is OK, only the output says aborted',
    run: run(one(mock(hang)), async (mastra) => {
      const keepAlive = setTimeout(() => {}, 2000);
      const error = await thrown(mastra.getAgent('weather').generate('Weather?', { ...options, abortSignal: AbortSignal.timeout(30) }));
      clearTimeout(keepAlive);
      return { runs: [{ agent: 'weather-agent', outcome: 'timeout', saidOutcome: 'cancelled', unsaid: ['outcome'], ...facts, ...who, ...error, modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  cancelled: {
    what: 'the caller aborts: generate returns, every span is OK, only the output says aborted',
    run: run(one(mock(hang)), async (mastra) => {
      const abort = new AbortController();
      setTimeout(() => abort.abort(), 30);
      const error = await thrown(mastra.getAgent('weather').generate('Weather?', { ...options, abortSignal: abort.signal }));
      return { runs: [{ agent: 'weather-agent', outcome: 'cancelled', ...facts, ...who, ...error, modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  nested: {
    what: 'planner has weather-agent as a sub-agent: two runs',
    run: run(() => {
      const inner = agent('weather-agent', mock(text('11 degrees', 31, 6)), { description: 'Knows the weather' });
      return { agents: { weather: inner, planner: agent('planner', mock(call('agent-weather', { prompt: 'Weather?' }, 25, 9), text('Take a coat', 44, 5)), { agents: { weather: inner } }) } };
    }, async (mastra) => {
      await mastra.getAgent('planner').generate('What to wear?', options);
      return { runs: [
        { agent: 'planner', outcome: 'success', ...facts, ...who, inputTokens: 69, outputTokens: 14, cacheReadTokens: 8, modelCalls: 2, toolCalls: 1 },
        { agent: 'weather-agent', outcome: 'success', ...facts, inputTokens: 31, outputTokens: 6, cacheReadTokens: 4, modelCalls: 1, toolCalls: 0, nestedIn: 'planner' },
      ] };
    }),
  },
  workflow: {
    what: 'a workflow with one step that runs the agent',
    run: run(() => {
      const step = createStep({
        id: 'ask', inputSchema: z.object({ question: z.string() }), outputSchema: z.object({ answer: z.string() }),
        execute: async ({ inputData, mastra, tracingContext }) => ({ answer: (await mastra.getAgent('weather').generate(inputData.question, { ...options, tracingContext })).text }),
      });
      const advice = createWorkflow({ id: 'travel-advice', inputSchema: z.object({ question: z.string() }), outputSchema: z.object({ answer: z.string() }) }).then(step).commit();
      return { agents: { weather: agent('weather-agent', mock(text('11 degrees', 20, 8))) }, workflows: { advice } };
    }, async (mastra) => {
      const run = await mastra.getWorkflow('advice').createRun();
      await run.start({ inputData: { question: 'Weather?' }, requestContext: new RequestContext(), tracingOptions: options.tracingOptions });
      return { runs: [
        { agent: 'travel-advice', kind: 'workflow', outcome: 'success', ...who },
        { agent: 'weather-agent', outcome: 'success', ...facts, inputTokens: 20, outputTokens: 8, cacheReadTokens: 4, modelCalls: 1, toolCalls: 0, nestedIn: 'travel-advice' },
      ] };
    }),
  },
};

await main({ dir: import.meta.dirname, emitter: '@mastra/otel-exporter', scenarios });
process.exit(); // Mastra's timers keep the process alive.
