// Vercel AI SDK 6 with experimental_telemetry: the ai.* attributes.

import { APICallError, generateObject, generateText, simulateReadableStream, stepCountIs, streamText, tool } from 'ai';
import { MockLanguageModelV3 } from 'ai/test';
import { main, sleep, start } from 'emitter-lib';
import { z } from 'zod';

const model = 'mock-large-1';
const provider = 'mock-provider';
const facts = { model, provider };

const usage = (input, output, { cacheRead = 0, reasoning = 0 } = {}) => ({
  inputTokens: { total: input, noCache: input - cacheRead, cacheRead, cacheWrite: 0 },
  outputTokens: { total: output, text: output - reasoning, reasoning },
});
const stop = { unified: 'stop', raw: 'stop' };
const text = (value, tokens) => ({ content: [{ type: 'text', text: value }], finishReason: stop, usage: tokens, warnings: [] });
const call = (toolName, input, tokens) => ({
  content: [{ type: 'tool-call', toolCallId: `call-${toolName}`, toolName, input: JSON.stringify(input) }],
  finishReason: { unified: 'tool-calls', raw: 'tool_calls' }, usage: tokens, warnings: [],
});
const rateLimited = (isRetryable) => new APICallError({
  message: 'Rate limit reached for mock-large-1', url: 'https://api.example.com/v1/chat', requestBodyValues: {}, statusCode: 429,
  responseHeaders: { 'retry-after-ms': '5' }, isRetryable,
});
// mock answers call n with the n-th answer: a result, an error to throw, or a function of the call's options.
function mock(...answers) {
  let n = 0;
  const next = async (options) => {
    const answer = answers[Math.min(n++, answers.length - 1)];
    if (answer instanceof Error) throw answer;
    return typeof answer === 'function' ? answer(options) : answer;
  };
  return new MockLanguageModelV3({ modelId: model, provider, doGenerate: next, doStream: next });
}
const hang = ({ abortSignal }) =>
  new Promise((_, reject) => abortSignal.addEventListener('abort', () => reject(abortSignal.reason), { once: true }));
const words = (...list) => [
  { type: 'text-start', id: '1' }, ...list.map((delta) => ({ type: 'text-delta', id: '1', delta })), { type: 'text-end', id: '1' },
];
const weather = tool({
  description: 'Weather in a city', inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => {
    await sleep(3);
    if (city === 'Atlantis') throw new Error('no such city: Atlantis');
    return { city, celsius: 11 };
  },
});
const agent = (functionId, user = 'user-1', session = 'session-1') => ({
  maxRetries: 0, experimental_telemetry: { isEnabled: true, functionId, metadata: { userId: user, sessionId: session, tenant: 'acme' } },
});
const who = { user: 'user-1', session: 'session-1' };
const run = (work, options) => async () => {
  const { stop: flush } = start(options);
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

const scenarios = {
  success: {
    what: 'one generateText; user and session as telemetry metadata; the caller sets its own user-agent header',
    run: run(async () => {
      await generateText({ model: mock(text('Hello', usage(12, 5, { cacheRead: 4, reasoning: 3 }))), prompt: 'Hi', headers: { 'user-agent': 'weather-service/1.4' }, ...agent('greeter') });
      return { runs: [{ agent: 'greeter', outcome: 'success', ...facts, ...who, inputTokens: 12, outputTokens: 5, cacheReadTokens: 4, reasoningTokens: 3, userAgent: null, modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  bare: {
    what: 'telemetry enabled and nothing else: no function id, user or session',
    run: run(async () => {
      await generateText({ model: mock(text('Hello', usage(12, 5))), prompt: 'Hi', experimental_telemetry: { isEnabled: true } });
      return { runs: [{ agent: null, outcome: 'success', ...facts, inputTokens: 12, outputTokens: 5, modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  tool: {
    what: 'two steps: a tool call that works, then the answer',
    run: run(async () => {
      await generateText({ model: mock(call('weather', { city: 'Zurich' }, usage(20, 8)), text('11 degrees', usage(31, 6))), prompt: 'Weather?', tools: { weather }, stopWhen: stepCountIs(5), ...agent('weather-agent') });
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...facts, ...who, inputTokens: 51, outputTokens: 14, modelCalls: 2, toolCalls: 1, tools: ['weather'] }] };
    }),
  },
  'tool-fails-and-recovers': {
    what: 'the tool throws, the model answers all the same',
    run: run(async () => {
      await generateText({ model: mock(call('weather', { city: 'Atlantis' }, usage(20, 8)), text('Unknown city', usage(40, 9))), prompt: 'Weather?', tools: { weather }, stopWhen: stepCountIs(5), ...agent('weather-agent') });
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...facts, ...who, inputTokens: 60, outputTokens: 17, modelCalls: 2, toolCalls: 1, failedTools: [{ tool: 'weather', errorType: 'Error', errorMessage: 'no such city: Atlantis' }] }] };
    }),
  },
  stream: {
    what: 'streamText, read to its end',
    run: run(async () => {
      const result = streamText({ model: mock({ stream: simulateReadableStream({ chunks: [{ type: 'stream-start', warnings: [] }, ...words('Hel', 'lo'), { type: 'finish', finishReason: stop, usage: usage(9, 4) }], chunkDelayInMs: 2 }) }), prompt: 'Hi', ...agent('greeter') });
      for await (const part of result.textStream) void part;
      return { runs: [{ agent: 'greeter', outcome: 'success', ...facts, ...who, inputTokens: 9, outputTokens: 4, modelCalls: 1, toolCalls: 0, stream: true }] };
    }),
  },
  error: {
    what: 'the model answers 429 and nothing is retried',
    run: run(async () => {
      const error = await thrown(generateText({ model: mock(rateLimited(false)), prompt: 'Hi', ...agent('greeter') }));
      return { runs: [{ agent: 'greeter', outcome: 'error', ...facts, ...who, ...error, httpStatus: 429, unsaid: ['httpStatus'], modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  'retry-recovers': {
    what: 'the model answers 429 once, then works: a failed doGenerate inside a successful run',
    run: run(async () => {
      await generateText({ model: mock(rateLimited(true), text('Hello', usage(12, 5))), prompt: 'Hi', ...agent('greeter'), maxRetries: 2 });
      return { runs: [{ agent: 'greeter', outcome: 'success', ...facts, ...who, inputTokens: 12, outputTokens: 5, attempts: 2, toolCalls: 0 }] };
    }),
  },
  timeout: {
    what: 'the model hangs and AbortSignal.timeout(20) ends the run',
    run: run(async () => {
      const error = await thrown(generateText({ model: mock(hang), prompt: 'Hi', ...agent('greeter'), abortSignal: AbortSignal.timeout(20) }));
      return { runs: [{ agent: 'greeter', outcome: 'timeout', ...facts, ...who, ...error, modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  cancelled: {
    what: 'the caller aborts generateText',
    run: run(async () => {
      const abort = new AbortController();
      setTimeout(() => abort.abort(), 20);
      const error = await thrown(generateText({ model: mock(hang), prompt: 'Hi', ...agent('greeter'), abortSignal: abort.signal }));
      return { runs: [{ agent: 'greeter', outcome: 'cancelled', ...facts, ...who, ...error, modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  'stream-cancelled': {
    what: 'the reader aborts streamText after the second word',
    run: run(async () => {
      const abort = new AbortController();
      const result = streamText({
        model: mock(({ abortSignal }) => ({
          stream: new ReadableStream({
            start(controller) {
              controller.enqueue({ type: 'stream-start', warnings: [] });
              for (const part of words('Hel', 'lo')) controller.enqueue(part);
              abortSignal.addEventListener('abort', () => controller.error(abortSignal.reason), { once: true });
            },
          }),
        })),
        prompt: 'Hi', ...agent('greeter'), abortSignal: abort.signal,
      });
      let seen = 0;
      for await (const part of result.fullStream) if (part.type === 'text-delta' && ++seen === 2) abort.abort();
      await sleep(5);
      return { runs: [{ agent: 'greeter', outcome: 'cancelled', ...facts, ...who, unsaid: ['outcome', 'modelCalls'], modelCalls: 1, toolCalls: 0, stream: true }] };
    }),
  },
  'stream-error': {
    what: 'the stream breaks after the first word',
    run: run(async () => {
      const result = streamText({ model: mock({ stream: simulateReadableStream({ chunks: [{ type: 'stream-start', warnings: [] }, { type: 'text-start', id: '1' }, { type: 'text-delta', id: '1', delta: 'Hel' }, { type: 'error', error: new Error('connection reset by peer') }] }) }), prompt: 'Hi', onError: () => {}, ...agent('greeter') });
      for await (const part of result.fullStream) void part;
      await sleep(5);
      return { runs: [{ agent: 'greeter', outcome: 'error', ...facts, ...who, errorMessage: 'connection reset by peer', unsaid: ['errorMessage'], modelCalls: 1, toolCalls: 0, stream: true }] };
    }),
  },
  object: {
    what: 'generateObject',
    run: run(async () => {
      await generateObject({ model: mock(text('{"city":"Zurich"}', usage(18, 7))), prompt: 'A city', schema: z.object({ city: z.string() }), ...agent('extractor') });
      return { runs: [{ agent: 'extractor', outcome: 'success', ...facts, ...who, inputTokens: 18, outputTokens: 7, modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  nested: {
    what: 'planner calls weather-agent through a tool: two runs',
    run: run(async () => {
      const askWeather = tool({
        description: 'Ask the weather agent', inputSchema: z.object({ question: z.string() }),
        execute: async ({ question }) => (await generateText({ model: mock(text('11 degrees', usage(31, 6))), prompt: question, ...agent('weather-agent') })).text,
      });
      await generateText({ model: mock(call('askWeather', { question: 'Weather?' }, usage(25, 9)), text('Take a coat', usage(44, 5))), prompt: 'What to wear?', tools: { askWeather }, stopWhen: stepCountIs(5), ...agent('planner') });
      return { runs: [
        { agent: 'planner', outcome: 'success', ...facts, ...who, inputTokens: 69, outputTokens: 14, modelCalls: 2, toolCalls: 1 },
        { agent: 'weather-agent', outcome: 'success', ...facts, ...who, inputTokens: 31, outputTokens: 6, modelCalls: 1, toolCalls: 0, nestedIn: 'planner' },
      ] };
    }),
  },
  users: {
    what: 'two users in two sessions',
    run: run(async () => {
      for (const n of [1, 2]) await generateText({ model: mock(text('Hello', usage(10 + n, n))), prompt: 'Hi', ...agent('greeter', `user-${n}`, `session-${n}`) });
      return { runs: [1, 2].map((n) => ({ agent: 'greeter', outcome: 'success', ...facts, user: `user-${n}`, session: `session-${n}`, inputTokens: 10 + n, outputTokens: n, modelCalls: 1, toolCalls: 0 })) };
    }),
  },
};

await main({ dir: import.meta.dirname, emitter: 'ai', scenarios });
