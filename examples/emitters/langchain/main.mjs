// LangChain with @arizeai/openinference-instrumentation-langchain: runnables become CHAIN, LLM and TOOL spans; user and
// session are in the JSON of the metadata attribute.

import { LangChainInstrumentation } from '@arizeai/openinference-instrumentation-langchain';
import * as CallbackManagerModule from '@langchain/core/callbacks/manager';
import { AIMessage } from '@langchain/core/messages';
import { StringOutputParser } from '@langchain/core/output_parsers';
import { ChatPromptTemplate } from '@langchain/core/prompts';
import { RunnableLambda } from '@langchain/core/runnables';
import { tool } from '@langchain/core/tools';
import { FakeListChatModel } from '@langchain/core/utils/testing';
import { apiError, main, sleep, start } from 'emitter-lib';
import { z } from 'zod';

const config = (runName, more = {}) => ({ runName, metadata: { user_id: 'user-1', session_id: 'session-1', tenant: 'acme' }, tags: ['demo'], ...more });
const who = { user: 'user-1', session: 'session-1' };
const prompt = ChatPromptTemplate.fromMessages([['system', 'Be brief'], ['human', '{question}']]);
const chain = (model) => prompt.pipe(model).pipe(new StringOutputParser());

// Metered reports its model and its token counts as ChatOpenAI does; FakeListChatModel reports neither.
class Metered extends FakeListChatModel {
  constructor(input, output, text) {
    super({ responses: [text] });
    Object.assign(this, { input, output, text });
  }
  invocationParams() {
    return { model: 'mock-large-1', temperature: 0 };
  }
  getLsParams(options) {
    return { ...super.getLsParams(options), ls_provider: 'openai', ls_model_name: 'mock-large-1' };
  }
  async _generate() {
    const { input, output, text } = this;
    const message = new AIMessage({
      content: text,
      usage_metadata: { input_tokens: input, output_tokens: output, total_tokens: input + output, input_token_details: { cache_read: 4 } },
      response_metadata: { model_name: 'mock-large-1', finish_reason: 'stop' },
    });
    return { generations: [{ text, message }], llmOutput: { tokenUsage: { promptTokens: input, completionTokens: output, totalTokens: input + output } } };
  }
}
const withUsage = (input, output, text = '11 degrees') => new Metered(input, output, text);
class Failing extends FakeListChatModel {
  constructor(failure) {
    super({ responses: ['never'] });
    this.failure = failure;
  }
  async _generate(messages, options) {
    await this.failure(options);
  }
}
const weather = tool(async ({ city }) => {
  await sleep(2);
  if (city === 'Atlantis') throw new Error('no such city: Atlantis');
  return '11 degrees';
}, { name: 'weather', description: 'Weather in a city', schema: z.object({ city: z.string() }) });

const run = (work) => async () => {
  const { stop } = start();
  const instrumentation = new LangChainInstrumentation();
  instrumentation.manuallyInstrument(CallbackManagerModule);
  try {
    return await work();
  } finally {
    await sleep(20); // LangChain ends its spans in callbacks that run in the background.
    await stop();
  }
};
const thrown = async (promise) => {
  const error = await promise.then(() => undefined, (e) => e);
  if (!error) throw new Error('the scenario was to fail and did not');
  return { errorType: error.name, errorMessage: error.message };
};
const hang = (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
const tokens = { model: 'mock-large-1', tokensOn: 'model calls' };

const scenarios = {
  success: {
    what: 'prompt, fake model, parser; FakeListChatModel reports neither model nor tokens',
    run: run(async () => {
      await chain(new FakeListChatModel({ responses: ['11 degrees'] })).invoke({ question: 'Weather?' }, config('weather-agent'));
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...who, modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  tokens: {
    what: 'the same with a model that reports its usage',
    run: run(async () => {
      await chain(withUsage(20, 8)).invoke({ question: 'Weather?' }, config('weather-agent'));
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...who, ...tokens, inputTokens: 20, outputTokens: 8, cacheReadTokens: 4, modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  tool: {
    what: 'model, tool, model in one lambda',
    run: run(async () => {
      const agent = RunnableLambda.from(async ({ question }, options) => {
        await withUsage(20, 8).invoke(question, options);
        const answer = await weather.invoke({ city: 'Zurich' }, options);
        return (await withUsage(31, 6).invoke(answer, options)).content;
      });
      await agent.invoke({ question: 'Weather?' }, config('weather-agent'));
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...who, ...tokens, inputTokens: 51, outputTokens: 14, cacheReadTokens: 8, modelCalls: 2, toolCalls: 1, tools: ['weather'] }] };
    }),
  },
  'tool-fails-and-recovers': {
    what: 'the tool throws, the lambda catches it and asks the model again',
    run: run(async () => {
      const agent = RunnableLambda.from(async ({ question }, options) => {
        await withUsage(20, 8).invoke(question, options);
        const answer = await weather.invoke({ city: 'Atlantis' }, options).catch(() => 'unknown');
        return (await withUsage(31, 6).invoke(answer, options)).content;
      });
      await agent.invoke({ question: 'Weather?' }, config('weather-agent'));
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...who, ...tokens, inputTokens: 51, outputTokens: 14, cacheReadTokens: 8, modelCalls: 2, toolCalls: 1, failedTools: [{ tool: 'weather', errorType: 'Error', errorMessage: 'no such city: Atlantis' }] }] };
    }),
  },
  stream: {
    what: 'the chain is streamed to its end',
    run: run(async () => {
      for await (const chunk of await chain(new FakeListChatModel({ responses: ['11 degrees'] })).stream({ question: 'Weather?' }, config('weather-agent'))) void chunk;
      return { runs: [{ agent: 'weather-agent', outcome: 'success', ...who, modelCalls: 1, toolCalls: 0, stream: true }] };
    }),
  },
  error: {
    what: 'the model throws an APIError with status 429',
    run: run(async () => {
      const error = await thrown(chain(new Failing(async () => { throw apiError(429, 'Rate limit reached'); })).invoke({ question: 'Weather?' }, config('weather-agent')));
      return { runs: [{ agent: 'weather-agent', outcome: 'error', ...who, ...error, httpStatus: 429, unsaid: ['httpStatus'], modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  timeout: {
    what: 'the timeout option of invoke ends the run',
    run: run(async () => {
      const error = await thrown(chain(new Failing(({ signal }) => hang(signal))).invoke({ question: 'Weather?' }, config('weather-agent', { timeout: 20 })));
      return { runs: [{ agent: 'weather-agent', outcome: 'timeout', ...who, ...error, modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  cancelled: {
    what: 'the caller aborts invoke',
    run: run(async () => {
      const abort = new AbortController();
      setTimeout(() => abort.abort(), 20);
      const error = await thrown(chain(new Failing(({ signal }) => hang(signal))).invoke({ question: 'Weather?' }, config('weather-agent', { signal: abort.signal })));
      return { runs: [{ agent: 'weather-agent', outcome: 'cancelled', ...who, ...error, modelCalls: 1, toolCalls: 0 }] };
    }),
  },
  nested: {
    what: 'planner runs the weather-agent chain inside itself: nothing but the names tells a step from an agent',
    run: run(async () => {
      const planner = RunnableLambda.from(async ({ question }, options) => {
        const answer = await chain(withUsage(31, 6)).invoke({ question }, { ...options, runName: 'weather-agent' });
        return (await withUsage(25, 9, 'Take a coat').invoke(answer, options)).content;
      });
      await planner.invoke({ question: 'What to wear?' }, config('planner'));
      return { runs: [{ agent: 'planner', outcome: 'success', ...who, ...tokens, inputTokens: 56, outputTokens: 15, cacheReadTokens: 8, modelCalls: 2, toolCalls: 0 }], ambiguous: 'weather-agent inside planner is a CHAIN like any other' };
    }),
  },
  users: {
    what: 'two users in two sessions',
    run: run(async () => {
      for (const n of [1, 2]) await chain(withUsage(10 + n, n)).invoke({ question: 'Weather?' }, config('weather-agent', { metadata: { user_id: `user-${n}`, session_id: `session-${n}` } }));
      return { runs: [1, 2].map((n) => ({ agent: 'weather-agent', outcome: 'success', ...tokens, user: `user-${n}`, session: `session-${n}`, inputTokens: 10 + n, outputTokens: n, cacheReadTokens: 4, modelCalls: 1, toolCalls: 0 })) };
    }),
  },
};

await main({ dir: import.meta.dirname, emitter: '@arizeai/openinference-instrumentation-langchain', scenarios });
