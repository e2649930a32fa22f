// @arizeai/openinference-core: spans told apart by openinference.span.kind, user and session through the context.

import { getLLMAttributes, setMetadata, setSession, setTags, setUser, traceAgent, traceChain, traceLLM, traceTool } from '@arizeai/openinference-core';
import { context, trace } from '@opentelemetry/api';
import { apiError, main, sleep, start } from 'emitter-lib';

const model = 'mock-large-1';
const provider = 'openai';

// llm is a model call that answers, or throws what it is given.
const llm = ({ prompt, completion, cacheRead, error, wait = 2, stream }) =>
  traceLLM(async (question) => {
    await sleep(wait);
    if (error) throw error;
    const span = trace.getActiveSpan();
    span.setAttributes(getLLMAttributes({
      provider, system: 'openai', modelName: model, invocationParameters: { temperature: 0, stream: Boolean(stream) },
      inputMessages: [{ role: 'user', content: question }], outputMessages: [{ role: 'assistant', content: '11 degrees' }],
      tokenCount: { prompt, completion, total: prompt + completion, promptDetails: { cacheRead } },
    }));
    return '11 degrees';
  }, { name: 'ChatCompletion' });

const tool = (work) => traceTool(work, { name: 'weather', attributes: { 'tool.name': 'weather', 'tool.parameters': '{"city":"Zurich"}' } });
const agent = (name, work) => traceAgent(work, { name, attributes: { 'agent.name': name } });

const asUser = (user, session, work) => {
  let ctx = setSession(context.active(), { sessionId: session });
  ctx = setUser(ctx, { userId: user });
  ctx = setMetadata(ctx, { tenant: 'acme' });
  ctx = setTags(ctx, ['demo']);
  return context.with(ctx, work);
};
const run = (work, options) => async () => {
  const { stop } = start(options);
  try {
    return await work();
  } finally {
    await stop();
  }
};
// OpenTelemetry's recordException prefers error.code to error.name: a DOMException's code is a number from 1998.
const thrown = async (promise) => {
  const error = await promise.then(() => undefined, (e) => e);
  if (!error) throw new Error('the scenario was to fail and did not');
  return { errorType: error.name, errorMessage: error.message };
};
const who = { user: 'user-1', session: 'session-1' };
// An AGENT span has neither model nor tokens: they are on its LLM spans.
const facts = { model, provider, tokensOn: 'model calls' };

const scenarios = {
  success: {
    what: 'an agent with one model call; tokens are on the LLM span only',
    run: run(async () => {
      await asUser('user-1', 'session-1', () => agent('weather-agent', () => llm({ prompt: 20, completion: 8, cacheRead: 5 })('Weather?'))());
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...facts, ...who, inputTokens: 20, outputTokens: 8, cacheReadTokens: 5, modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  tool: {
    what: 'model, tool, model',
    run: run(async () => {
      await asUser('user-1', 'session-1', () => agent('weather-agent', async () => {
        await llm({ prompt: 20, completion: 8 })('Weather?');
        await tool(async () => ({ celsius: 11 }))({ city: 'Zurich' });
        return llm({ prompt: 31, completion: 6 })('Weather? 11');
      })());
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...facts, ...who, inputTokens: 51, outputTokens: 14, modelCalls: 2, toolCalls: 1, tools: ['weather'] }] };
    }),
  },
  'tool-fails-and-recovers': {
    what: 'the tool throws, the agent catches it and answers',
    run: run(async () => {
      await asUser('user-1', 'session-1', () => agent('weather-agent', async () => {
        await llm({ prompt: 20, completion: 8 })('Weather?');
        await tool(async () => { throw new Error('no such city: Atlantis'); })({ city: 'Atlantis' }).catch(() => 'unknown');
        return llm({ prompt: 31, completion: 6 })('Weather? unknown');
      })());
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...facts, ...who, inputTokens: 51, outputTokens: 14, modelCalls: 2, toolCalls: 1, failedTools: [{ tool: 'weather', errorType: 'Error', errorMessage: 'no such city: Atlantis' }] }] };
    }),
  },
  error: {
    what: 'the model throws an APIError with status 429',
    run: run(async () => {
      const error = await asUser('user-1', 'session-1', () => thrown(agent('weather-agent', () => llm({ error: apiError(429, 'Rate limit reached') })('Weather?'))()));
      return { runs: [{ agent: 'weather-agent', outcome: 'error', ...facts, ...who, ...error, httpStatus: 429, unsaid: ['httpStatus', 'model', 'provider'], modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  timeout: {
    what: 'AbortSignal.timeout ends the model call',
    run: run(async () => {
      const hang = traceLLM(() => new Promise((_, reject) => { const s = AbortSignal.timeout(15); s.addEventListener('abort', () => reject(s.reason)); }), { name: 'ChatCompletion' });
      const keepAlive = setTimeout(() => {}, 1000); // AbortSignal.timeout alone does not keep the process running.
      const error = await asUser('user-1', 'session-1', () => thrown(agent('weather-agent', () => hang())()));
      clearTimeout(keepAlive);
      return { runs: [{ agent: 'weather-agent', outcome: 'timeout', ...facts, ...who, ...error, errorTypeOnWire: '23', unsaid: ['model', 'provider'], modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  cancelled: {
    what: 'the caller aborts the model call',
    run: run(async () => {
      const abort = new AbortController();
      const hang = traceLLM(() => new Promise((_, reject) => abort.signal.addEventListener('abort', () => reject(abort.signal.reason))), { name: 'ChatCompletion' });
      setTimeout(() => abort.abort(), 15);
      const error = await asUser('user-1', 'session-1', () => thrown(agent('weather-agent', () => hang())()));
      return { runs: [{ agent: 'weather-agent', outcome: 'cancelled', ...facts, ...who, ...error, errorTypeOnWire: '20', unsaid: ['model', 'provider'], modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  chain: {
    what: 'a root CHAIN with a model call and no AGENT span: a run all the same, named by its span',
    run: run(async () => {
      await asUser('user-1', 'session-1', () => traceChain(() => llm({ prompt: 12, completion: 3 })('Weather?'), { name: 'answer-question' })());
      return { runs: [{ agent: 'answer-question', kind: 'workflow', outcome: 'success', ...facts, ...who, inputTokens: 12, outputTokens: 3, modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  'chain-around-agent': {
    what: 'a root CHAIN, then an AGENT, then a CHAIN and the model call',
    run: run(async () => {
      await asUser('user-1', 'session-1', () => traceChain(
        () => agent('weather-agent', () => traceChain(() => llm({ prompt: 12, completion: 3 })('Weather?'), { name: 'prompt' })())(), { name: 'pipeline' })());
      return { runs: [
        { agent: 'pipeline', kind: 'workflow', outcome: 'success', ...who },
        { agent: 'weather-agent', outcome: 'success', ...facts, ...who, inputTokens: 12, outputTokens: 3, modelCalls: 1, toolCalls: 0, nestedIn: 'pipeline' },
      ] };
    }),
  },
  nested: {
    what: 'planner calls weather-agent through a tool: two runs, each with its own tokens',
    run: run(async () => {
      const inner = agent('weather-agent', () => llm({ prompt: 31, completion: 6 })('Weather?'));
      await asUser('user-1', 'session-1', () => agent('planner', async () => {
        await llm({ prompt: 25, completion: 9 })('What to wear?');
        await traceTool(() => inner(), { name: 'ask-weather' })();
        return llm({ prompt: 44, completion: 5 })('What to wear at 11 degrees?');
      })());
      return { runs: [
        { agent: 'planner', outcome: 'success', ...facts, ...who, inputTokens: 69, outputTokens: 14, modelCalls: 2, toolCalls: 1 },
        { agent: 'weather-agent', outcome: 'success', ...facts, ...who, inputTokens: 31, outputTokens: 6, modelCalls: 1, toolCalls: 0, nestedIn: 'planner' },
      ] };
    }),
  },
  'model-only': {
    what: 'a model call without an agent around it: no run',
    run: run(async () => {
      await llm({ prompt: 5, completion: 2 })('Weather?');
      return { runs: [] };
    }),
  },
  users: {
    what: 'two users in two sessions',
    run: run(async () => {
      for (const n of [1, 2]) await asUser(`user-${n}`, `session-${n}`, () => agent('weather-agent', () => llm({ prompt: 10 + n, completion: n })('Weather?'))());
      return { runs: [1, 2].map((n) => ({ agent: 'weather-agent', outcome: 'success', ...facts, user: `user-${n}`, session: `session-${n}`, inputTokens: 10 + n, outputTokens: n, modelCalls: 1, toolCalls: 0 })) };
    }),
  },
  cost: {
    what: 'the application adds llm.cost.total to the model call',
    run: run(async () => {
      await asUser('user-1', 'session-1', () => agent('weather-agent', () => traceLLM(async () => {
        trace.getActiveSpan().setAttributes({ ...getLLMAttributes({ provider, modelName: model, tokenCount: { prompt: 1000, completion: 500, total: 1500 } }), 'llm.cost.prompt': 0.003, 'llm.cost.completion': 0.0075, 'llm.cost.total': 0.0105 });
        return 'ok';
      }, { name: 'ChatCompletion' })())());
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...facts, ...who, inputTokens: 1000, outputTokens: 500, costUSD: '0.0105', costOn: 'model calls', modelCalls: 1, toolCalls: 0 }] };
    }),
  },
};

await main({ dir: import.meta.dirname, emitter: '@arizeai/openinference-core', scenarios });
