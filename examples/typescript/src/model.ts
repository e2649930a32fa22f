// A model that needs no key and no network. It reads what to do from the question, and counts 10 tokens for each
// message that it reads and 5 for each answer that it gives.

import { APICallError } from 'ai';
import { MockLanguageModelV4, simulateReadableStream } from 'ai/test';

type Options = Parameters<MockLanguageModelV4['doGenerate']>[0];
type Result = Awaited<ReturnType<MockLanguageModelV4['doGenerate']>>;
type Content = Result['content'][number];

const usageOf = ({ prompt }: Options): Result['usage'] => ({
  inputTokens: { total: 10 * prompt.length, noCache: 10 * prompt.length, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 5, text: 5, reasoning: 0 },
});

async function answer(options: Options): Promise<Content> {
  const { prompt, tools = [], abortSignal } = options;
  const question = JSON.stringify(prompt.find((message) => message.role === 'user')?.content);
  if (question.includes('rate limit')) {
    throw new APICallError({ message: 'Rate limit reached', statusCode: 429, isRetryable: false, url: 'https://api.example.com/v1/chat', requestBodyValues: {} });
  }
  if (question.includes('think forever')) {
    await new Promise((_, reject) => abortSignal?.addEventListener('abort', () => reject(abortSignal.reason)));
  }
  const tool = tools[0];
  if (tool && prompt.at(-1)?.role !== 'tool') {
    const city = /in (\w+)/.exec(question)?.[1] ?? 'Zurich';
    return { type: 'tool-call', toolCallId: `call-${tool.name}`, toolName: tool.name, input: JSON.stringify({ city }) };
  }
  return { type: 'text', text: 'Take a coat' };
}

export const model = new MockLanguageModelV4({
  provider: 'example',
  modelId: 'example-1',
  doGenerate: async (options) => {
    const content = await answer(options);
    const calls = content.type === 'tool-call';
    return {
      content: [content],
      finishReason: { unified: calls ? 'tool-calls' : 'stop', raw: undefined },
      usage: usageOf(options),
      warnings: [],
    };
  },
  doStream: async (options) => ({
    stream: simulateReadableStream({
      chunkDelayInMs: 40,
      chunks: [
        { type: 'stream-start', warnings: [] },
        { type: 'text-start', id: '1' },
        ...['Take', ' a', ' coat'].map((delta) => ({ type: 'text-delta' as const, id: '1', delta })),
        { type: 'text-end', id: '1' },
        { type: 'finish', finishReason: { unified: 'stop', raw: undefined }, usage: usageOf(options) },
      ],
    }),
  }),
});
