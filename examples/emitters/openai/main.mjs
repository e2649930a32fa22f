// @opentelemetry/instrumentation-openai: model calls only, plus metrics and, when asked for, content as log records.
// A run around them is the application's own span, here by the GenAI conventions.

import { createRequire } from 'node:module';
import { SpanStatusCode, trace } from '@opentelemetry/api';
import { registerInstrumentations } from '@opentelemetry/instrumentation';
import { OpenAIInstrumentation } from '@opentelemetry/instrumentation-openai';
import { main, sleep, start } from 'emitter-lib';
import { startOpenAI } from 'emitter-lib/openai-server';

const require = createRequire(import.meta.url);
const model = 'gpt-4o-mini';
const tokens = { inputTokens: 20, outputTokens: 8 };
const call = { model, ...tokens };

const run = (work, { client: options, content = false } = {}) => async () => {
  const { stop } = start();
  const off = registerInstrumentations({ instrumentations: [new OpenAIInstrumentation({ captureMessageContent: content })] });
  const { OpenAI } = require('openai');
  const server = await startOpenAI();
  try {
    return await work(new OpenAI({ apiKey: 'not-a-key', baseURL: server.baseURL, maxRetries: 0, ...options }));
  } finally {
    await server.stop();
    off();
    await stop();
  }
};
const thrown = async (promise) => {
  const error = await promise.then(() => undefined, (e) => e);
  if (!error) throw new Error('the scenario was to fail and did not');
  return { errorType: error.constructor.name, errorMessage: error.message };
};
const ask = (client, content, more = {}, options = {}) => client.chat.completions.create({ model, messages: [{ role: 'user', content }], ...more }, options);

// agent is how an application adds the run that the instrumentation cannot know.
const agent = (name, work) => trace.getTracer('weather-service').startActiveSpan(`invoke_agent ${name}`, { attributes: { 'gen_ai.operation.name': 'invoke_agent', 'gen_ai.agent.name': name, 'gen_ai.provider.name': 'openai', 'user.id': 'user-1', 'gen_ai.conversation.id': 'session-1' } }, async (span) => {
  try {
    return await work();
  } catch (error) {
    span.recordException(error);
    span.setAttribute('error.type', error.constructor.name);
    span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
    throw error;
  } finally {
    span.end();
  }
});
const who = { agent: 'weather-agent', user: 'user-1', session: 'session-1', tokensOn: 'model calls', provider: 'openai' };

const scenarios = {
  success: {
    what: 'one chat completion without a run around it',
    run: run(async (client) => {
      await ask(client, 'Weather?', { temperature: 0.2, max_tokens: 100 });
      return { runs: [], calls: [{ ...call, outcome: 'success' }] };
    }),
  },
  agent: {
    what: 'two chat completions and a tool call inside a run that the application traces; tokens only on the model calls',
    run: run(async (client) => {
      await agent('weather-agent', async () => {
        await ask(client, 'tool please');
        await trace.getTracer('weather-service').startActiveSpan('execute_tool weather', { attributes: { 'gen_ai.operation.name': 'execute_tool', 'gen_ai.tool.name': 'weather', 'gen_ai.tool.call.id': 'call-weather' } }, async (span) => span.end());
        await ask(client, 'Weather?');
      });
      return { runs: [{ ...who, outcome: 'success', model, inputTokens: 40, outputTokens: 16, modelCalls: 2, toolCalls: 1 }], calls: [{ ...call, outcome: 'success' }, { ...call, outcome: 'success' }] };
    }),
  },
  content: {
    what: 'a run with message content switched on: prompts and answers arrive as log records with event names',
    run: run(async (client) => {
      await agent('weather-agent', () => ask(client, 'Weather?'));
      return { runs: [{ ...who, outcome: 'success', model, ...tokens, modelCalls: 1, toolCalls: 0 }], calls: [{ ...call, outcome: 'success' }], logRecords: 2 };
    }, { content: true }),
  },
  stream: {
    what: 'a streamed answer with usage in the last chunk',
    run: run(async (client) => {
      await agent('weather-agent', async () => {
        for await (const chunk of await ask(client, 'Weather?', { stream: true, stream_options: { include_usage: true } })) void chunk;
      });
      return { runs: [{ ...who, outcome: 'success', model, ...tokens, modelCalls: 1, toolCalls: 0, stream: true }], calls: [{ ...call, outcome: 'success' }] };
    }),
  },
  'stream-without-usage': {
    what: 'a streamed answer without usage: nobody knows the tokens',
    run: run(async (client) => {
      await agent('weather-agent', async () => {
        for await (const chunk of await ask(client, 'Weather?', { stream: true })) void chunk;
      });
      return { runs: [{ ...who, outcome: 'success', model, inputTokens: 0, outputTokens: 0, modelCalls: 1, toolCalls: 0, stream: true }], calls: [{ model, outcome: 'success' }] };
    }),
  },
  error: {
    what: '429 from the provider, thrown through the run',
    run: run(async (client) => {
      const error = await thrown(agent('weather-agent', () => ask(client, 'fail 429')));
      return { runs: [{ ...who, outcome: 'error', model, ...error, httpStatus: 429, unsaid: ['httpStatus'], modelCalls: 1, toolCalls: 0 }], calls: [{ model, outcome: 'error', errorType: error.errorType }] };
    }),
  },
  'retry-recovers': {
    what: '500 first, then an answer; the client retries below the instrumentation, which sees one call that works',
    run: run(async (client) => {
      await agent('weather-agent', () => ask(client, 'fail once'));
      return { runs: [{ ...who, outcome: 'success', model, ...tokens, modelCalls: 1, toolCalls: 0 }], calls: [{ ...call, outcome: 'success' }] };
    }, { client: { maxRetries: 2 } }),
  },
  timeout: {
    what: 'the client gives up after 30 ms',
    run: run(async (client) => {
      const error = await thrown(agent('weather-agent', () => ask(client, 'hang')));
      return { runs: [{ ...who, outcome: 'timeout', model, ...error, modelCalls: 1, toolCalls: 0 }], calls: [{ model, outcome: 'timeout', errorType: error.errorType }] };
    }, { client: { timeout: 30 } }),
  },
  cancelled: {
    what: 'the caller aborts the request',
    run: run(async (client) => {
      const abort = new AbortController();
      setTimeout(() => abort.abort(), 30);
      const error = await thrown(agent('weather-agent', () => ask(client, 'hang', {}, { signal: abort.signal })));
      return { runs: [{ ...who, outcome: 'cancelled', model, ...error, modelCalls: 1, toolCalls: 0 }], calls: [{ model, outcome: 'cancelled', errorType: error.errorType }] };
    }),
  },
  'stream-cancelled': {
    what: 'the reader leaves the stream after the first chunk; the run ends without an error',
    run: run(async (client) => {
      await agent('weather-agent', async () => {
        for await (const chunk of await ask(client, 'stall', { stream: true })) { void chunk; break; }
      });
      await sleep(20);
      return { runs: [{ ...who, outcome: 'success', model, unsaid: ['model', 'modelCalls'], modelCalls: 1, toolCalls: 0, stream: true }], note: 'the run itself ended well: the application stopped reading on purpose' };
    }),
  },
  embeddings: {
    what: 'one embedding: no run',
    run: run(async (client) => {
      await client.embeddings.create({ model: 'text-embedding-3-small', input: 'Zurich', encoding_format: 'float' });
      return { runs: [], calls: [{ model: 'text-embedding-3-small', inputTokens: 6, outcome: 'success' }] };
    }),
  },
};

await main({ dir: import.meta.dirname, emitter: '@opentelemetry/instrumentation-openai', scenarios });
