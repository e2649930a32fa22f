// Traceloop's SDK: decorators make workflow, agent, task and tool spans, its OpenAI instrumentation makes model calls.
// It stands alone: its OpenTelemetry is older than the other recorders'.

import * as traceloop from '@traceloop/node-server-sdk';
import { OpenAI } from 'openai';
import { main, service, sleep } from '../lib/cli.mjs';
import { startOpenAI } from '../lib/openai-server.mjs';

const model = 'gpt-4o-mini';
const facts = { model, tokensOn: 'model calls' };
const who = { user: 'user-1', session: 'session-1' };
const asUser = (work) => traceloop.withAssociationProperties({ user_id: 'user-1', session_id: 'session-1', tenant: 'acme' }, work);

const run = (work, options) => async () => {
  traceloop.initialize({
    appName: service['service.name'], baseUrl: process.env.OTEL_EXPORTER_OTLP_ENDPOINT, apiKey: 'not-a-key', instrumentModules: { openAI: OpenAI },
    traceloopSyncEnabled: false, silenceInitializationMessage: true,
  });
  const server = await startOpenAI();
  const client = new OpenAI({ apiKey: 'not-a-key', baseURL: server.baseURL, maxRetries: 0, ...options });
  const ask = (content, more) => client.chat.completions.create({ model, messages: [{ role: 'user', content }], ...more });
  try {
    return await work(ask);
  } finally {
    await sleep(20);
    await traceloop.forceFlush();
    await server.stop();
  }
};
const thrown = async (promise) => {
  const error = await promise.then(() => undefined, (e) => e);
  if (!error) throw new Error('the scenario was to fail and did not');
  return { errorType: error.constructor.name, errorMessage: error.message };
};
const weather = (work) => traceloop.withTool({ name: 'weather' }, work, { city: 'Zurich' });

const scenarios = {
  success: {
    what: 'an agent with one model call',
    run: run(async (ask) => {
      await asUser(() => traceloop.withAgent({ name: 'weather-agent' }, async () => (await ask('Weather?')).choices[0].message.content));
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...facts, ...who, inputTokens: 20, outputTokens: 8, modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  workflow: {
    what: 'a workflow around an agent around a task',
    run: run(async (ask) => {
      await asUser(() => traceloop.withWorkflow({ name: 'travel-advice' }, () => traceloop.withAgent({ name: 'weather-agent' }, () => traceloop.withTask({ name: 'answer' }, async () => (await ask('Weather?')).choices[0].message.content))));
      return { runs: [
        { agent: 'travel-advice', kind: 'workflow', outcome: 'success', ...who },
        { agent: 'weather-agent', outcome: 'success', ...facts, ...who, inputTokens: 20, outputTokens: 8, modelCalls: 1, toolCalls: 0, nestedIn: 'travel-advice' },
      ] };
    }),
  },
  'workflow-only': {
    what: 'a workflow with a model call and no agent: a run all the same',
    run: run(async (ask) => {
      await asUser(() => traceloop.withWorkflow({ name: 'travel-advice' }, async () => (await ask('Weather?')).choices[0].message.content));
      return { runs: [{ agent: 'travel-advice', kind: 'workflow', outcome: 'success', ...facts, ...who, inputTokens: 20, outputTokens: 8, modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  tool: {
    what: 'model, tool, model, in a conversation, which the SDK makes a workflow',
    run: run(async (ask) => {
      await traceloop.withAssociationProperties({ user_id: 'user-1' }, () => traceloop.withConversation('conversation-1', () => traceloop.withAgent({ name: 'weather-agent' }, async () => {
        await ask('tool please');
        await weather(async () => ({ celsius: 11 }));
        return (await ask('Weather?')).choices[0].message.content;
      })));
      const inConversation = { outcome: 'success', user: 'user-1', session: 'conversation-1' };
      return { runs: [
        { agent: 'conversation.conversation-1', kind: 'workflow', ...inConversation },
        { agent: 'weather-agent', ...inConversation, ...facts, inputTokens: 40, outputTokens: 16, modelCalls: 2, toolCalls: 1, tools: ['weather'], nestedIn: 'conversation.conversation-1' },
      ] };
    }),
  },
  'tool-fails-and-recovers': {
    what: 'the tool rejects: its span is never ended and so never sent; the agent goes on',
    run: run(async (ask) => {
      await asUser(() => traceloop.withAgent({ name: 'weather-agent' }, async () => {
        await ask('tool please');
        await weather(async () => { await sleep(1); throw new Error('no such city: Atlantis'); }).catch(() => 'unknown');
        return (await ask('Weather?')).choices[0].message.content;
      }));
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...facts, ...who, inputTokens: 40, outputTokens: 16, modelCalls: 2, toolCalls: 1, unsaid: ['toolCalls', 'failedTools'], failedTools: [{ tool: 'weather', errorType: 'Error', errorMessage: 'no such city: Atlantis' }] }] };
    }),
  },
  stream: {
    what: 'the answer is streamed',
    run: run(async (ask) => {
      await asUser(() => traceloop.withAgent({ name: 'weather-agent' }, async () => {
        let text = '';
        for await (const chunk of await ask('Weather?', { stream: true, stream_options: { include_usage: true } })) text += chunk.choices[0]?.delta?.content ?? '';
        return text;
      }));
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...facts, ...who, inputTokens: 20, outputTokens: 8, unsaid: ['inputTokens', 'outputTokens'], modelCalls: 1, toolCalls: 0, stream: true }] };
    }),
  },
  error: {
    what: 'the model answers 429: the agent span is never ended and so never sent',
    run: run(async (ask) => {
      const error = await asUser(() => thrown(traceloop.withAgent({ name: 'weather-agent' }, async () => (await ask('fail 429')).choices[0].message.content)));
      return { runs: [], lostRuns: [{ agent: 'weather-agent', outcome: 'error', ...error, ...facts, ...who }] };
    }),
  },
  timeout: {
    what: 'the client gives up after 30 ms; the agent catches it and answers something else',
    run: run(async (ask) => {
      await asUser(() => traceloop.withAgent({ name: 'weather-agent' }, async () => (await ask('hang').catch(() => undefined))?.choices[0].message.content ?? 'no answer'));
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...facts, ...who, modelCalls: 1, toolCalls: 0 }], calls: [{ model, outcome: 'timeout' }] };
    }, { timeout: 30 }),
  },
  nested: {
    what: 'planner runs weather-agent inside itself: two runs',
    run: run(async (ask) => {
      await asUser(() => traceloop.withAgent({ name: 'planner' }, async () => {
        await traceloop.withTool({ name: 'ask-weather' }, () => traceloop.withAgent({ name: 'weather-agent' }, async () => (await ask('Weather?')).choices[0].message.content));
        return (await ask('What to wear?')).choices[0].message.content;
      }));
      return { runs: [
        { agent: 'planner', outcome: 'success', ...facts, ...who, inputTokens: 20, outputTokens: 8, modelCalls: 1, toolCalls: 1 },
        { agent: 'weather-agent', outcome: 'success', ...facts, ...who, inputTokens: 20, outputTokens: 8, modelCalls: 1, toolCalls: 0, nestedIn: 'planner' },
      ] };
    }),
  },
};

await main({ dir: import.meta.dirname, emitter: '@traceloop/node-server-sdk', scenarios });
process.exit(); // Its telemetry of itself keeps the process alive.
