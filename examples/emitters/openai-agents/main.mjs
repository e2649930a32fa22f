// OpenAI Agents SDK with @arizeai/openinference-instrumentation-openai-agents: runs, agents, handoffs and guardrails.

import { OpenAIAgentsInstrumentation } from '@arizeai/openinference-instrumentation-openai-agents';
import * as agents from '@openai/agents';
import { OpenAI } from 'openai';
import { z } from 'zod';
import { main, sleep, start } from 'emitter-lib';
import { startOpenAI } from 'emitter-lib/openai-server';

const model = 'gpt-4o-mini';
const facts = { model, tokensOn: 'model calls' };
const tokens = (calls) => ({ inputTokens: 20 * calls, outputTokens: 8 * calls, cacheReadTokens: 5 * calls, reasoningTokens: 3 * calls, modelCalls: calls });
// The instrumentation makes the SDK's trace an AGENT span of its own, named after the workflow.
const inWorkflow = (name, ...runs) => [{ agent: name, kind: 'workflow', outcome: 'success' }, ...runs.map((run) => ({ nestedIn: name, ...run }))];
// When the run throws, the span of its workflow is never sent, and the error of the others is wrapped.
const failed = (run, { wireType = 'Error', ...error }) => ({
  runs: [{ ...run, ...error, errorMessageOnWire: `Error in agent run: ${JSON.stringify({ error: `${wireType}: ${error.errorMessage}` })}`, unsaid: ['errorType', 'errorMessage', 'httpStatus'] }],
  lostRuns: [{ agent: 'Agent workflow', kind: 'workflow', outcome: 'error' }],
});

const run = (work, { client: options, server: answers } = {}) => async () => {
  const { stop } = start();
  new OpenAIAgentsInstrumentation().manuallyInstrument(agents);
  const server = await startOpenAI(answers);
  const client = new OpenAI({ apiKey: 'not-a-key', baseURL: server.baseURL, maxRetries: 0, ...options });
  const chat = new agents.OpenAIChatCompletionsModel(client, model);
  const agent = (name, more = {}) => new agents.Agent({ name, instructions: 'Be brief', model: chat, ...more });
  try {
    return await work({ agent, go: (a, input, more) => agents.run(a, input, { maxTurns: 4, ...more }) });
  } finally {
    await sleep(20);
    await agents.getGlobalTraceProvider().forceFlush();
    await server.stop();
    await stop();
  }
};
const thrown = async (promise) => {
  const error = await promise.then(() => undefined, (e) => e);
  if (!error) throw new Error('the scenario was to fail and did not');
  return { errorType: error.constructor.name, errorMessage: error.message };
};
let weatherCalls = 0;
const weather = (fail) => agents.tool({
  name: 'weather', description: 'Weather in a city', parameters: z.object({ city: z.string() }),
  execute: async () => { weatherCalls++; if (fail) throw new Error('no such city: Atlantis'); return '11 degrees'; },
});

const scenarios = {
  success: {
    what: 'one agent, one model call',
    run: run(async ({ agent, go }) => {
      await go(agent('weather-agent'), 'Weather?');
      return { runs: inWorkflow('Agent workflow', { agent: 'weather-agent', outcome: 'success', ...facts, ...tokens(1), toolCalls: 0 }) };
    }),
  },
  grouped: {
    what: 'the same inside withTrace, which names the workflow and groups by session',
    run: run(async ({ agent, go }) => {
      await agents.withTrace('travel-advice', () => go(agent('weather-agent'), 'Weather?'), { groupId: 'session-1', metadata: { userId: 'user-1' } });
      return { runs: inWorkflow('travel-advice', { agent: 'weather-agent', outcome: 'success', ...facts, ...tokens(1), user: 'user-1', session: 'session-1', unsaid: ['user', 'session'], toolCalls: 0 }) };
    }),
  },
  tool: {
    what: 'model, tool, model',
    run: run(async ({ agent, go }) => {
      await go(agent('weather-agent', { tools: [weather(false)] }), 'tool please');
      return { runs: inWorkflow('Agent workflow', { agent: 'weather-agent', outcome: 'success', ...facts, ...tokens(2), toolCalls: 1, tools: ['weather'] }) };
    }),
  },
  'tool-fails-and-recovers': {
    what: 'the tool throws; the SDK tells the model, which answers',
    run: run(async ({ agent, go }) => {
      await go(agent('weather-agent', { tools: [weather(true)] }), 'tool please');
      return { runs: inWorkflow('Agent workflow', { agent: 'weather-agent', outcome: 'success', ...facts, ...tokens(2), toolCalls: 1, failedTools: [{ tool: 'weather', errorMessage: 'no such city: Atlantis' }] }) };
    }),
  },
  error: {
    what: 'the model answers 429 and the run throws',
    run: run(async ({ agent, go }) => {
      const error = await thrown(go(agent('weather-agent'), 'fail 429'));
      return failed({ agent: 'weather-agent', outcome: 'error', ...facts, httpStatus: 429, modelCalls: 1, toolCalls: 0 }, error);
    }),
  },
  'too-many-turns': {
    what: 'the agent calls its tool for ever and is stopped after two turns; the tool call of the second is not made',
    run: run(async ({ agent, go }) => {
      const error = await thrown(go(agent('weather-agent', { tools: [weather(false)], modelSettings: { toolChoice: 'required' }, resetToolChoice: false }), 'tool for ever', { maxTurns: 2 }));
      return failed({ agent: 'weather-agent', outcome: 'error', ...facts, ...tokens(2), toolCalls: weatherCalls }, { ...error, wireType: error.errorType });
    }),
  },
  timeout: {
    what: 'the client gives up after 40 ms',
    run: run(async ({ agent, go }) => {
      const error = await thrown(go(agent('weather-agent'), 'hang'));
      return failed({ agent: 'weather-agent', outcome: 'timeout', ...facts, modelCalls: 1, toolCalls: 0 }, error);
    }, { client: { timeout: 40 } }),
  },
  cancelled: {
    what: 'the caller aborts the run',
    run: run(async ({ agent, go }) => {
      const abort = new AbortController();
      setTimeout(() => abort.abort(), 40);
      const error = await thrown(go(agent('weather-agent'), 'hang', { signal: abort.signal }));
      return failed({ agent: 'weather-agent', outcome: 'cancelled', ...facts, modelCalls: 1, toolCalls: 0 }, error);
    }),
  },
  stream: {
    what: 'the run is streamed to its end',
    run: run(async ({ agent, go }) => {
      const result = await go(agent('weather-agent'), 'Weather?', { stream: true });
      for await (const event of result) void event;
      await result.completed;
      return { runs: inWorkflow('Agent workflow', { agent: 'weather-agent', outcome: 'success', ...facts, ...tokens(1), toolCalls: 0, stream: true }) };
    }),
  },
  nested: {
    what: 'planner has weather-agent as a tool: two runs',
    run: run(async ({ agent, go }) => {
      const inner = agent('weather-agent').asTool({ toolName: 'weather', toolDescription: 'Ask the weather agent' });
      await go(agent('planner', { tools: [inner] }), 'tool please');
      return { runs: inWorkflow('Agent workflow',
        { agent: 'planner', outcome: 'success', ...facts, ...tokens(2), toolCalls: 1 },
        { agent: 'weather-agent', outcome: 'success', ...facts, ...tokens(1), toolCalls: 0, nestedIn: 'planner' },
      ) };
    }, { server: { args: { input: 'Weather?' } } }),
  },
};

await main({ dir: import.meta.dirname, emitter: '@arizeai/openinference-instrumentation-openai-agents', scenarios });
process.exit(); // The SDK's own timers keep the process alive.
