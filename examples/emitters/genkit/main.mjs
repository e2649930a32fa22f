// Genkit: flows, models and tools as spans with genkit:* attributes. It stands alone: its OpenTelemetry is of line 1.

import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { Resource } from '@opentelemetry/resources';
import { BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { GenkitError, genkit, z } from 'genkit';
import { enableTelemetry, flushTracing } from 'genkit/tracing';
import { main, service, sleep } from '../lib/cli.mjs';

// Tokens are inside the JSON of a model span's output; the generate spans around it repeat them.
const facts = { model: 'mock/large-1', tokensOn: 'model calls' };
const usage = (inputTokens, outputTokens) => ({ inputTokens, outputTokens, totalTokens: inputTokens + outputTokens });
const text = (value, input, output) => ({ message: { role: 'model', content: [{ text: value }] }, finishReason: 'stop', usage: usage(input, output) });
const call = (name, args, input, output) => ({ message: { role: 'model', content: [{ toolRequest: { name, ref: `call-${name}`, input: args } }] }, finishReason: 'stop', usage: usage(input, output) });

const run = (answers, work) => async () => {
  await enableTelemetry({ resource: new Resource(service), autoDetectResources: false, spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url: `${process.env.OTEL_EXPORTER_OTLP_ENDPOINT}/v1/traces` }))] });
  const ai = genkit({});
  let n = 0;
  const model = ai.defineModel({ name: 'mock/large-1', supports: { tools: true, multiturn: true } }, async (request, streamingCallback) => {
    await sleep(2);
    const answer = answers[Math.min(n++, answers.length - 1)];
    if (answer instanceof Error) throw answer;
    if (typeof answer === 'function') return answer();
    if (streamingCallback) streamingCallback({ content: answer.message.content });
    return answer;
  });
  const weather = ai.defineTool({ name: 'weather', description: 'Weather in a city', inputSchema: z.object({ city: z.string() }), outputSchema: z.any() }, async ({ city }) => {
    if (city === 'Atlantis') throw new Error('no such city: Atlantis');
    return { celsius: 11 };
  });
  const flow = (name, fn) => ai.defineFlow({ name, inputSchema: z.any(), outputSchema: z.any() }, fn);
  try {
    return await work({ ai, model, weather, flow });
  } finally {
    await sleep(20);
    await flushTracing();
  }
};
const thrown = async (promise) => {
  const error = await promise.then(() => undefined, (e) => e);
  if (!error) throw new Error('the scenario was to fail and did not');
  return { errorType: error.name, errorMessage: error.message };
};

const scenarios = {
  success: {
    what: 'a flow with one model call',
    run: run([text('11 degrees', 20, 8)], async ({ ai, model, flow }) => {
      await flow('weather-agent', async (prompt) => (await ai.generate({ model, prompt })).text)('Weather?');
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...facts, inputTokens: 20, outputTokens: 8, modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  tool: {
    what: 'model, tool, model in a flow',
    run: run([call('weather', { city: 'Zurich' }, 20, 8), text('11 degrees', 31, 6)], async ({ ai, model, weather, flow }) => {
      await flow('weather-agent', async (prompt) => (await ai.generate({ model, prompt, tools: [weather] })).text)('Weather?');
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...facts, inputTokens: 51, outputTokens: 14, modelCalls: 2, toolCalls: 1, tools: ['weather'] }] };
    }),
  },
  'tool-fails-and-recovers': {
    what: 'the tool throws, which ends generate; the flow catches it and asks again without tools',
    run: run([call('weather', { city: 'Atlantis' }, 20, 8), text('Unknown city', 31, 6)], async ({ ai, model, weather, flow }) => {
      await flow('weather-agent', async (prompt) => {
        await ai.generate({ model, prompt, tools: [weather] }).catch(() => undefined);
        return (await ai.generate({ model, prompt })).text;
      })('Weather?');
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...facts, inputTokens: 51, outputTokens: 14, modelCalls: 2, toolCalls: 1, failedTools: [{ tool: 'weather', errorType: 'Error', errorMessage: 'no such city: Atlantis' }] }] };
    }),
  },
  stream: {
    what: 'generateStream in a flow',
    run: run([text('11 degrees', 9, 4)], async ({ ai, model, flow }) => {
      await flow('weather-agent', async (prompt) => {
        const { stream, response } = ai.generateStream({ model, prompt });
        for await (const chunk of stream) void chunk;
        return (await response).text;
      })('Weather?');
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...facts, inputTokens: 9, outputTokens: 4, modelCalls: 1, toolCalls: 0, stream: true }] };
    }),
  },
  error: {
    what: 'the model throws RESOURCE_EXHAUSTED',
    run: run([new GenkitError({ status: 'RESOURCE_EXHAUSTED', message: 'Rate limit reached' })], async ({ ai, model, flow }) => {
      const error = await thrown(flow('weather-agent', async (prompt) => (await ai.generate({ model, prompt })).text)('Weather?'));
      return { runs: [{ agent: 'weather-agent', outcome: 'error', ...facts, ...error, errorCode: 'RESOURCE_EXHAUSTED', errorTypeOnWire: '429', modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  timeout: {
    what: 'AbortSignal.timeout is thrown by the model',
    run: run([() => new Promise((_, reject) => { const s = AbortSignal.timeout(15); s.addEventListener('abort', () => reject(s.reason)); })], async ({ ai, model, flow }) => {
      const keepAlive = setTimeout(() => {}, 2000); // AbortSignal.timeout alone does not keep the process running.
      const error = await thrown(flow('weather-agent', async (prompt) => (await ai.generate({ model, prompt })).text)('Weather?'));
      clearTimeout(keepAlive);
      return { runs: [{ agent: 'weather-agent', outcome: 'timeout', ...facts, ...error, errorTypeOnWire: '23', modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  nested: {
    what: 'the planner flow calls the weather-agent flow: two runs',
    run: run([text('11 degrees', 31, 6), text('Take a coat', 44, 5)], async ({ ai, model, flow }) => {
      const inner = flow('weather-agent', async (prompt) => (await ai.generate({ model, prompt })).text);
      await flow('planner', async (prompt) => (await ai.generate({ model, prompt: `${await inner('Weather?')} ${prompt}` })).text)('What to wear?');
      return { runs: [
        { agent: 'planner', outcome: 'success', ...facts, inputTokens: 44, outputTokens: 5, modelCalls: 1, toolCalls: 0 },
        { agent: 'weather-agent', outcome: 'success', ...facts, inputTokens: 31, outputTokens: 6, modelCalls: 1, toolCalls: 0, nestedIn: 'planner' },
      ] };
    }),
  },
  'model-only': {
    what: 'generate without a flow: no run',
    run: run([text('11 degrees', 20, 8)], async ({ ai, model }) => {
      await ai.generate({ model, prompt: 'Weather?' });
      return { runs: [], calls: [{ model: 'mock/large-1', inputTokens: 20, outputTokens: 8, outcome: 'success' }] };
    }),
  },
};

await main({ dir: import.meta.dirname, emitter: 'genkit', scenarios });
process.exit(); // Genkit's telemetry keeps the process alive.
