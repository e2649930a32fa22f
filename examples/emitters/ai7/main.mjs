// Vercel AI SDK 7 with @ai-sdk/otel: GenAI conventions, agent name from telemetry.functionId.

import { LegacyOpenTelemetry, OpenTelemetry } from '@ai-sdk/otel';
import { APICallError, ToolLoopAgent, embed, generateObject, generateText, registerTelemetry, simulateReadableStream, stepCountIs, streamText, tool } from 'ai';
import { MockEmbeddingModelV4, MockLanguageModelV4 } from 'ai/test';
import { main, sleep, start } from 'emitter-lib';
import { z } from 'zod';

const model = 'mock-large-1';
const provider = 'mock-provider';
const facts = { model, provider };

const usage = (input, output, { cacheRead = 0, cacheWrite = 0, reasoning = 0 } = {}) => ({
  inputTokens: { total: input, noCache: input - cacheRead - cacheWrite, cacheRead, cacheWrite },
  outputTokens: { total: output, text: output - reasoning, reasoning },
});
const stop = { unified: 'stop', raw: 'stop' };
const text = (value, tokens, finishReason = stop) => ({
  content: [{ type: 'text', text: value }],
  finishReason,
  usage: tokens,
  warnings: [],
  response: { id: 'resp-1', modelId: `${model}-2026-10-01`, timestamp: new Date() },
});
const call = (toolName, input, tokens) => ({
  content: [{ type: 'tool-call', toolCallId: `call-${toolName}`, toolName, input: JSON.stringify(input) }],
  finishReason: { unified: 'tool-calls', raw: 'tool_calls' },
  usage: tokens,
  warnings: [],
});
const rateLimited = (isRetryable) =>
  new APICallError({
    message: 'Rate limit reached for mock-large-1',
    url: 'https://api.example.com/v1/chat',
    requestBodyValues: {},
    statusCode: 429,
    responseHeaders: { 'retry-after-ms': '5' },
    isRetryable,
  });
// mock answers call n with the n-th answer: a result, an error to throw, or a function of the call's options.
function mock(...answers) {
  let n = 0;
  const next = async (options) => {
    const answer = answers[Math.min(n++, answers.length - 1)];
    if (answer instanceof Error) throw answer;
    return typeof answer === 'function' ? answer(options) : answer;
  };
  return new MockLanguageModelV4({ modelId: model, provider, doGenerate: next, doStream: next });
}
// hang never answers, but honours the abort signal, as fetch does.
const hang = ({ abortSignal }) =>
  new Promise((_, reject) => abortSignal.addEventListener('abort', () => reject(abortSignal.reason), { once: true }));
const chunks = (parts, delay = 2) => ({
  stream: simulateReadableStream({ chunks: [{ type: 'stream-start', warnings: [] }, ...parts], chunkDelayInMs: delay }),
});
const words = (...list) => [
  { type: 'text-start', id: '1' },
  ...list.map((delta) => ({ type: 'text-delta', id: '1', delta })),
  { type: 'text-end', id: '1' },
];

const weather = tool({
  description: 'Weather in a city',
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => {
    await sleep(3);
    if (city === 'Atlantis') throw new Error('no such city: Atlantis');
    return { city, celsius: 11 };
  },
});

// context is how an application says who runs the agent; enrich puts it on every span under the standard names.
const context = (userId, sessionId) => ({
  runtimeContext: { userId, sessionId, apiKey: 'never-exported' },
  include: { userId: true, sessionId: true },
});
const enrich = ({ runtimeContext }) => ({ 'user.id': runtimeContext?.userId, 'session.id': runtimeContext?.sessionId });
const agent = (functionId, who, more = {}) => ({
  ...(who && { runtimeContext: who.runtimeContext }),
  telemetry: { functionId, ...(who && { includeRuntimeContext: who.include }), ...more },
  maxRetries: 0,
});

// run wraps one scenario: telemetry up, work, flush, facts.
const run = (work, { otel = { enrichSpan: enrich }, ...options } = {}) => async () => {
  const { stop: flush } = start(options);
  registerTelemetry(otel instanceof LegacyOpenTelemetry ? otel : new OpenTelemetry(otel));
  try {
    return await work();
  } finally {
    await flush();
  }
};
const thrown = async (promise) => {
  const error = await promise.then(() => undefined, (e) => e);
  if (!error) throw new Error('the scenario was to fail and did not');
  return { errorType: error.name, errorMessage: error.message };
};
const drain = async (stream) => {
  for await (const part of stream) void part;
};
const who = context('user-1', 'session-1');

const scenarios = {
  success: {
    what: 'one generateText that answers; user and session on every span through enrichSpan',
    run: run(async () => {
      await generateText({ model: mock(text('Hello', usage(12, 5, { cacheRead: 4, cacheWrite: 2, reasoning: 3 }))), prompt: 'Hi', ...agent('greeter', who) });
      return { runs: [{ agent: 'greeter', outcome: 'success', ...facts, inputTokens: 12, outputTokens: 5, cacheReadTokens: 4, cacheWriteTokens: 2, reasoningTokens: 3, user: 'user-1', session: 'session-1', modelCalls: 1, toolCalls: 0 }] };
    }, { otel: { enrichSpan: enrich, usage: true } }),
  },
  bare: {
    what: 'one generateText without functionId, user or session: nothing names the agent but the service',
    run: run(async () => {
      await generateText({ model: mock(text('Hello', usage(12, 5))), prompt: 'Hi', maxRetries: 0 });
      return { runs: [{ agent: null, outcome: 'success', ...facts, inputTokens: 12, outputTokens: 5, modelCalls: 1, toolCalls: 0 }] };
    }, { otel: {} }),
  },
  'runtime-context': {
    what: 'user and session only as runtime context, exported under ai.settings.context.*; span named after the function',
    run: run(async () => {
      await generateText({ model: mock(text('Hello', usage(7, 3))), prompt: 'Hi', ...agent('greeter', who) });
      return { runs: [{ agent: 'greeter', outcome: 'success', ...facts, inputTokens: 7, outputTokens: 3, user: 'user-1', session: 'session-1', modelCalls: 1, toolCalls: 0 }] };
    }, { otel: { runtimeContext: true, agentSpanName: 'functionId' } }),
  },
  tool: {
    what: 'two steps: a tool call that works, then the answer',
    run: run(async () => {
      await generateText({
        model: mock(call('weather', { city: 'Zurich' }, usage(20, 8)), text('11 degrees', usage(31, 6))),
        prompt: 'Weather in Zurich?', tools: { weather }, stopWhen: stepCountIs(5), ...agent('weather-agent', who),
      });
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...facts, inputTokens: 51, outputTokens: 14, user: 'user-1', session: 'session-1', modelCalls: 2, toolCalls: 1, tools: ['weather'] }] };
    }),
  },
  'tool-fails-and-recovers': {
    what: 'the tool throws, the model reads the error and answers all the same: the run succeeds',
    run: run(async () => {
      await generateText({
        model: mock(call('weather', { city: 'Atlantis' }, usage(20, 8)), text('I do not know that city', usage(40, 9))),
        prompt: 'Weather in Atlantis?', tools: { weather }, stopWhen: stepCountIs(5), ...agent('weather-agent', who),
      });
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...facts, inputTokens: 60, outputTokens: 17, user: 'user-1', session: 'session-1', modelCalls: 2, toolCalls: 1, tools: ['weather'], failedTools: [{ tool: 'weather', errorType: 'Error', errorMessage: 'no such city: Atlantis' }] }] };
    }),
  },
  stream: {
    what: 'streamText, read to its end',
    run: run(async () => {
      const result = streamText({
        model: mock(chunks([...words('Hel', 'lo', '!'), { type: 'finish', finishReason: stop, usage: usage(9, 4) }])),
        prompt: 'Hi', ...agent('greeter', who),
      });
      await drain(result.textStream);
      return { runs: [{ agent: 'greeter', outcome: 'success', ...facts, inputTokens: 9, outputTokens: 4, user: 'user-1', session: 'session-1', modelCalls: 1, toolCalls: 0, stream: true }] };
    }),
  },
  error: {
    what: 'the model answers 429 and nothing is retried',
    run: run(async () => {
      const error = await thrown(generateText({ model: mock(rateLimited(false)), prompt: 'Hi', ...agent('greeter', who) }));
      return { runs: [{ agent: 'greeter', outcome: 'error', ...facts, ...error, httpStatus: 429, user: 'user-1', session: 'session-1', modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  'error-after-retries': {
    what: 'the model answers 429 three times; the SDK gives up with its own error type',
    run: run(async () => {
      const error = await thrown(generateText({ model: mock(rateLimited(true)), prompt: 'Hi', ...agent('greeter', who), maxRetries: 2 }));
      return { runs: [{ agent: 'greeter', outcome: 'error', ...facts, ...error, user: 'user-1', session: 'session-1', attempts: 3, toolCalls: 0 }] };
    }),
  },
  'retry-recovers': {
    what: 'the model answers 429 once, then works: the run succeeds',
    run: run(async () => {
      await generateText({ model: mock(rateLimited(true), text('Hello', usage(12, 5))), prompt: 'Hi', ...agent('greeter', who), maxRetries: 2 });
      return { runs: [{ agent: 'greeter', outcome: 'success', ...facts, inputTokens: 12, outputTokens: 5, user: 'user-1', session: 'session-1', attempts: 2, toolCalls: 0 }] };
    }),
  },
  'error-private': {
    what: 'the model answers 429 while recordInputs and recordOutputs are off: the SDK hides the message',
    run: run(async () => {
      const error = await thrown(generateText({ model: mock(rateLimited(false)), prompt: 'secret', ...agent('greeter', who, { recordInputs: false, recordOutputs: false }) }));
      return { runs: [{ agent: 'greeter', outcome: 'error', ...facts, ...error, httpStatus: 429, unsaid: ['errorType', 'errorMessage', 'httpStatus'], user: 'user-1', session: 'session-1', modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  timeout: {
    what: 'the model hangs and AbortSignal.timeout(20) ends the run',
    run: run(async () => {
      const error = await thrown(generateText({ model: mock(hang), prompt: 'Hi', ...agent('greeter', who), abortSignal: AbortSignal.timeout(20) }));
      return { runs: [{ agent: 'greeter', outcome: 'timeout', ...facts, ...error, user: 'user-1', session: 'session-1', modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  cancelled: {
    what: 'the caller aborts generateText while the model works',
    run: run(async () => {
      const abort = new AbortController();
      setTimeout(() => abort.abort(), 20);
      const error = await thrown(generateText({ model: mock(hang), prompt: 'Hi', ...agent('greeter', who), abortSignal: abort.signal }));
      return { runs: [{ agent: 'greeter', outcome: 'cancelled', ...facts, ...error, user: 'user-1', session: 'session-1', modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  'stream-cancelled': {
    what: 'the reader aborts streamText after the second word',
    run: run(async () => {
      const abort = new AbortController();
      const result = streamText({
        model: mock(({ abortSignal }) => ({
          stream: new ReadableStream({
            async start(controller) {
              controller.enqueue({ type: 'stream-start', warnings: [] });
              for (const part of words('Hel', 'lo')) controller.enqueue(part);
              abortSignal.addEventListener('abort', () => controller.error(abortSignal.reason), { once: true });
            },
          }),
        })),
        prompt: 'Hi', ...agent('greeter', who), abortSignal: abort.signal,
      });
      let seen = 0;
      for await (const part of result.fullStream) if (part.type === 'text-delta' && ++seen === 2) abort.abort();
      return { runs: [{ agent: 'greeter', outcome: 'cancelled', ...facts, unsaid: ['outcome'], user: 'user-1', session: 'session-1', modelCalls: 1, toolCalls: 0, stream: true }] };
    }),
  },
  'stream-error': {
    what: 'the stream breaks after the first word',
    run: run(async () => {
      const result = streamText({
        model: mock(chunks([{ type: 'text-start', id: '1' }, { type: 'text-delta', id: '1', delta: 'Hel' }, { type: 'error', error: new Error('connection reset by peer') }])),
        prompt: 'Hi', onError: () => {}, ...agent('greeter', who),
      });
      await drain(result.fullStream);
      return { runs: [{ agent: 'greeter', outcome: 'error', ...facts, errorMessage: 'connection reset by peer', unsaid: ['errorMessage', 'modelCalls'], user: 'user-1', session: 'session-1', modelCalls: 1, toolCalls: 0, stream: true }] };
    }),
  },
  'content-filter': {
    what: 'the provider stops the answer with its content filter: no error is thrown',
    run: run(async () => {
      await generateText({ model: mock(text('', usage(15, 1), { unified: 'content-filter', raw: 'content_filter' })), prompt: 'Hi', ...agent('greeter', who) });
      return { runs: [{ agent: 'greeter', outcome: 'refused', ...facts, finishReason: 'content-filter', inputTokens: 15, outputTokens: 1, user: 'user-1', session: 'session-1', modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  object: {
    what: 'generateObject',
    run: run(async () => {
      await generateObject({ model: mock(text('{"city":"Zurich"}', usage(18, 7))), prompt: 'A city', schema: z.object({ city: z.string() }), ...agent('extractor', who) });
      return { runs: [{ agent: 'extractor', outcome: 'success', ...facts, inputTokens: 18, outputTokens: 7, modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  embed: {
    what: 'one embedding and no agent: there is no run',
    run: run(async () => {
      const embedder = new MockEmbeddingModelV4({ modelId: 'mock-embed-1', provider, doEmbed: async () => ({ embeddings: [[0.1, 0.2]], usage: { tokens: 6 }, warnings: [] }) });
      await embed({ model: embedder, value: 'Zurich', telemetry: { functionId: 'indexer' } });
      return { runs: [] };
    }),
  },
  nested: {
    what: 'planner calls weather-agent as a tool; weather-agent calls its own tool: two runs in one trace',
    run: run(async () => {
      const inner = new ToolLoopAgent({
        model: mock(call('weather', { city: 'Zurich' }, usage(20, 8)), text('11 degrees', usage(31, 6))),
        tools: { weather }, ...agent('weather-agent', who),
      });
      const askWeather = tool({
        description: 'Ask the weather agent', inputSchema: z.object({ question: z.string() }),
        execute: async ({ question }) => (await inner.generate({ prompt: question })).text,
      });
      const outer = new ToolLoopAgent({
        model: mock(call('askWeather', { question: 'Weather in Zurich?' }, usage(25, 9)), text('Take a coat', usage(44, 5))),
        tools: { askWeather }, ...agent('planner', who),
      });
      await outer.generate({ prompt: 'What to wear in Zurich?' });
      const common = { outcome: 'success', ...facts, user: 'user-1', session: 'session-1', modelCalls: 2, toolCalls: 1 };
      return { runs: [
        { agent: 'planner', ...common, inputTokens: 69, outputTokens: 14, tools: ['askWeather'] },
        { agent: 'weather-agent', ...common, inputTokens: 51, outputTokens: 14, tools: ['weather'], nestedIn: 'planner' },
      ] };
    }),
  },
  'nested-error': {
    what: 'the agent behind the tool fails with 429, the planner recovers: one failed run inside a successful one',
    run: run(async () => {
      const inner = new ToolLoopAgent({ model: mock(rateLimited(false)), ...agent('weather-agent', who) });
      const askWeather = tool({
        description: 'Ask the weather agent', inputSchema: z.object({ question: z.string() }),
        execute: async ({ question }) => (await inner.generate({ prompt: question })).text,
      });
      const outer = new ToolLoopAgent({
        model: mock(call('askWeather', { question: 'Weather in Zurich?' }, usage(25, 9)), text('Better take a coat', usage(40, 6))),
        tools: { askWeather }, ...agent('planner', who),
      });
      await outer.generate({ prompt: 'What to wear in Zurich?' });
      return { runs: [
        { agent: 'planner', outcome: 'success', ...facts, inputTokens: 65, outputTokens: 15, user: 'user-1', session: 'session-1', modelCalls: 2, toolCalls: 1, tools: ['askWeather'] },
        { agent: 'weather-agent', outcome: 'error', ...facts, errorType: 'AI_APICallError', errorMessage: 'Rate limit reached for mock-large-1', httpStatus: 429, user: 'user-1', session: 'session-1', nestedIn: 'planner' },
      ] };
    }),
  },
  users: {
    what: 'three runs of two users in three sessions, in three traces and one request',
    run: run(async () => {
      const runs = [];
      for (const [user, session, input, output] of [['user-1', 'session-1', 10, 2], ['user-2', 'session-2', 11, 3], ['user-1', 'session-3', 12, 4]]) {
        await generateText({ model: mock(text('Hello', usage(input, output))), prompt: 'Hi', ...agent('greeter', context(user, session)) });
        runs.push({ agent: 'greeter', outcome: 'success', ...facts, inputTokens: input, outputTokens: output, user, session, modelCalls: 1, toolCalls: 0 });
      }
      return { runs };
    }),
  },
  split: {
    what: 'the tool scenario with one span per request, children first',
    run: run(async () => {
      await generateText({
        model: mock(call('weather', { city: 'Zurich' }, usage(20, 8)), text('11 degrees', usage(31, 6))),
        prompt: 'Weather in Zurich?', tools: { weather }, stopWhen: stepCountIs(5), ...agent('weather-agent', who),
      });
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...facts, inputTokens: 51, outputTokens: 14, user: 'user-1', session: 'session-1', modelCalls: 2, toolCalls: 1, tools: ['weather'] }] };
    }, { onePerRequest: true, otel: { enrichSpan: enrich } }),
  },
  legacy: {
    what: 'the tool scenario through LegacyOpenTelemetry: the ai.* attributes of versions 5 and 6',
    run: run(async () => {
      await generateText({
        model: mock(call('weather', { city: 'Zurich' }, usage(20, 8)), text('11 degrees', usage(31, 6))),
        prompt: 'Weather in Zurich?', tools: { weather }, stopWhen: stepCountIs(5), ...agent('weather-agent', who),
      });
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...facts, inputTokens: 51, outputTokens: 14, user: 'user-1', session: 'session-1', modelCalls: 2, toolCalls: 1, tools: ['weather'] }] };
    }, { otel: new LegacyOpenTelemetry() }),
  },
};

await main({ dir: import.meta.dirname, emitter: 'ai', scenarios });
