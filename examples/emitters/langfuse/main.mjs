// @langfuse/tracing: observations told apart by langfuse.observation.type. Its span processor adds user, session,
// environment and release; without it, plain OTLP carries the observations alone.

import { LangfuseSpanProcessor } from '@langfuse/otel';
import { propagateAttributes, startActiveObservation, startObservation } from '@langfuse/tracing';
import { main, serviceProvider, sleep, start } from 'emitter-lib';

const model = 'gpt-4o-mini';
const who = { user: 'user-1', session: 'session-1' };
const facts = { model, tokensOn: 'model calls' };

const generation = (input, output, more = {}) => startActiveObservation('answer', async (span) => {
  span.update({ model, input: [{ role: 'user', content: 'Weather?' }], modelParameters: { temperature: 0 } });
  await sleep(2);
  span.update({
    output: { role: 'assistant', content: '11 degrees' }, completionStartTime: new Date(),
    usageDetails: { input, output, total: input + output, cache_read_input_tokens: 5 },
    costDetails: { input: input * 1e-6, output: output * 4e-6, total: input * 1e-6 + output * 4e-6 }, ...more,
  });
}, { asType: 'generation' });
const asUser = (user, session, work) => propagateAttributes({ userId: user, sessionId: session, traceName: 'weather-request', tags: ['demo'], metadata: { tenant: 'acme' }, version: '1.4.0' }, work);
const agent = (name, work) => startActiveObservation(name, work, { asType: 'agent' });

const run = (work, { processor = true } = {}) => async () => {
  const { stop } = processor
    ? serviceProvider((exporter) => [new LangfuseSpanProcessor({ exporter, publicKey: 'pk-not-a-key', secretKey: 'sk-not-a-key', baseUrl: 'http://127.0.0.1:1', environment: 'staging', release: 'r-42', mediaUploadEnabled: false })])
    : start();
  try {
    return await work();
  } finally {
    await stop();
  }
};
const thrown = async (promise) => {
  const error = await promise.then(() => undefined, (e) => e);
  if (!error) throw new Error('the scenario was to fail and did not');
  return { errorType: error.name, errorMessage: error.message };
};

const scenarios = {
  success: {
    what: 'an agent with one generation that reports usage and cost',
    run: run(async () => {
      await asUser('user-1', 'session-1', () => agent('weather-agent', async (span) => {
        span.update({ input: 'Weather?' });
        await generation(2000, 500);
        span.update({ output: '11 degrees' });
      }));
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...who, ...facts, inputTokens: 2000, outputTokens: 500, cacheReadTokens: 5, costUSD: '0.004', costOn: 'model calls', modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  plain: {
    what: 'the same without the Langfuse span processor: user and session have no way out',
    run: run(async () => {
      await asUser('user-1', 'session-1', () => agent('weather-agent', () => generation(2000, 500)));
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...who, unsaid: ['user', 'session'], ...facts, inputTokens: 2000, outputTokens: 500, cacheReadTokens: 5, costUSD: '0.004', costOn: 'model calls', modelCalls: 1, toolCalls: 0 }] };
    }, { processor: false }),
  },
  tool: {
    what: 'generation, tool, generation',
    run: run(async () => {
      await asUser('user-1', 'session-1', () => agent('weather-agent', async () => {
        await generation(20, 8);
        await startActiveObservation('weather', async (tool) => tool.update({ input: { city: 'Zurich' }, output: { celsius: 11 } }), { asType: 'tool' });
        await generation(31, 6);
      }));
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...who, ...facts, inputTokens: 51, outputTokens: 14, cacheReadTokens: 10, modelCalls: 2, toolCalls: 1, tools: ['weather'] }] };
    }),
  },
  'tool-fails-and-recovers': {
    what: 'the tool is marked with level ERROR by hand and the agent goes on',
    run: run(async () => {
      await asUser('user-1', 'session-1', () => agent('weather-agent', async () => {
        await generation(20, 8);
        await startActiveObservation('weather', async (tool) => tool.update({ input: { city: 'Atlantis' }, level: 'ERROR', statusMessage: 'no such city: Atlantis' }), { asType: 'tool' });
        await generation(31, 6);
      }));
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...who, ...facts, inputTokens: 51, outputTokens: 14, cacheReadTokens: 10, modelCalls: 2, toolCalls: 1, failedTools: [{ tool: 'weather', errorMessage: 'no such city: Atlantis' }] }] };
    }),
  },
  error: {
    what: 'the run catches a failure and says so with level ERROR: the OpenTelemetry status stays unset',
    run: run(async () => {
      await asUser('user-1', 'session-1', () => agent('weather-agent', async (span) => {
        await startActiveObservation('answer', async (g) => g.update({ model, level: 'ERROR', statusMessage: '429 Rate limit reached' }), { asType: 'generation' });
        span.update({ level: 'ERROR', statusMessage: '429 Rate limit reached' });
      }));
      return { runs: [{ agent: 'weather-agent', outcome: 'error', ...who, ...facts, errorMessage: '429 Rate limit reached', modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  'error-thrown': {
    what: 'the function inside the run throws',
    run: run(async () => {
      const error = await asUser('user-1', 'session-1', () => thrown(agent('weather-agent', async () => {
        await generation(20, 8);
        throw Object.assign(new Error('Rate limit reached'), { name: 'RateLimitError' });
      })));
      return { runs: [{ agent: 'weather-agent', outcome: 'error', ...who, ...facts, ...error, unsaid: ['errorType'], inputTokens: 20, outputTokens: 8, cacheReadTokens: 5, modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  warning: {
    what: 'the run ends with level WARNING: it did what was asked',
    run: run(async () => {
      await asUser('user-1', 'session-1', () => agent('weather-agent', async (span) => {
        await generation(20, 8);
        span.update({ level: 'WARNING', statusMessage: 'answered from a stale cache' });
      }));
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...who, ...facts, inputTokens: 20, outputTokens: 8, cacheReadTokens: 5, modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  timeout: {
    what: 'AbortSignal.timeout is thrown through the run',
    run: run(async () => {
      const keepAlive = setTimeout(() => {}, 1000); // AbortSignal.timeout alone does not keep the process running.
      const error = await asUser('user-1', 'session-1', () => thrown(agent('weather-agent', () => new Promise((_, reject) => {
        const signal = AbortSignal.timeout(15);
        signal.addEventListener('abort', () => reject(signal.reason));
      }))));
      clearTimeout(keepAlive);
      return { runs: [{ agent: 'weather-agent', outcome: 'timeout', ...who, ...error, unsaid: ['errorType'], modelCalls: 0, toolCalls: 0 }] };
    }),
  },
  cancelled: {
    what: 'AbortController.abort is thrown through the run',
    run: run(async () => {
      const abort = new AbortController();
      setTimeout(() => abort.abort(), 15);
      const error = await asUser('user-1', 'session-1', () => thrown(agent('weather-agent', () => new Promise((_, reject) => abort.signal.addEventListener('abort', () => reject(abort.signal.reason))))));
      return { runs: [{ agent: 'weather-agent', outcome: 'cancelled', ...who, ...error, unsaid: ['errorType'], modelCalls: 0, toolCalls: 0 }] };
    }),
  },
  'span-only': {
    what: 'an observation of type span with a generation below it and no agent',
    run: run(async () => {
      await asUser('user-1', 'session-1', () => startActiveObservation('handle-message', () => generation(12, 3)));
      return { runs: null, ambiguous: 'a root span with a model call below it: the emitter does not call it an agent', calls: [{ model, inputTokens: 12, outputTokens: 3, outcome: 'success' }] };
    }),
  },
  event: {
    what: 'an event observation inside a run: a span of no duration',
    run: run(async () => {
      await asUser('user-1', 'session-1', () => agent('weather-agent', async () => { startObservation('cache-hit', { input: 'Zurich' }, { asType: 'event' }); }));
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...who, modelCalls: 0, toolCalls: 0 }] };
    }),
  },
  nested: {
    what: 'planner calls weather-agent through a tool: two runs',
    run: run(async () => {
      await asUser('user-1', 'session-1', () => agent('planner', async () => {
        await generation(25, 9);
        await startActiveObservation('ask-weather', () => agent('weather-agent', () => generation(31, 6)), { asType: 'tool' });
        await generation(44, 5);
      }));
      return { runs: [
        { agent: 'planner', outcome: 'success', ...who, ...facts, inputTokens: 69, outputTokens: 14, cacheReadTokens: 10, modelCalls: 2, toolCalls: 1 },
        { agent: 'weather-agent', outcome: 'success', ...who, ...facts, inputTokens: 31, outputTokens: 6, cacheReadTokens: 5, modelCalls: 1, toolCalls: 0, nestedIn: 'planner' },
      ] };
    }),
  },
};

await main({ dir: import.meta.dirname, emitter: '@langfuse/tracing', scenarios });
