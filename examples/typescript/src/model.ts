// A model that needs no key and no network. It reads what to do from the question, and counts 10 tokens for each
// message that it reads and 5 for each answer that it gives.

import { ReadableStream as WebStream } from 'node:stream/web';
import { setTimeout as sleep } from 'node:timers/promises';
import { APICallError } from 'ai';
import { MockLanguageModelV4 } from 'ai/test';

type Options = Parameters<MockLanguageModelV4['doGenerate']>[0];
type Result = Awaited<ReturnType<MockLanguageModelV4['doGenerate']>>;
type Content = Result['content'][number];
type Stream = Awaited<ReturnType<MockLanguageModelV4['doStream']>>['stream'];
type Part = Stream extends ReadableStream<infer P> ? P : never;

const questionOf = ({ prompt }: Options) => JSON.stringify(prompt.find((message) => message.role === 'user')?.content);
const aborted = (signal?: AbortSignal) => new Promise<never>((_, reject) => {
  if (signal?.aborted) reject(signal.reason);
  signal?.addEventListener('abort', () => reject(signal.reason));
});

const usageOf = ({ prompt }: Options): Result['usage'] => ({
  inputTokens: { total: 10 * prompt.length, noCache: 10 * prompt.length, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 5, text: 5, reasoning: 0 },
});

async function answer(options: Options): Promise<Content> {
  const { prompt, tools = [], abortSignal } = options;
  const question = questionOf(options);
  if (question.includes('rate limit')) {
    throw new APICallError({ message: 'Rate limit reached', statusCode: 429, isRetryable: false, url: 'https://api.example.com/v1/chat', requestBodyValues: {} });
  }
  if (question.includes('think forever')) await aborted(abortSignal);
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
  doStream: async (options) => ({ stream: WebStream.from(parts(options)) as Stream }),
});

async function* parts(options: Options): AsyncGenerator<Part> {
  yield { type: 'stream-start', warnings: [] };
  yield { type: 'text-start', id: '1' };
  for (const delta of ['Take', ' a', ' coat']) {
    await sleep(20);
    yield { type: 'text-delta', id: '1', delta };
  }
  if (questionOf(options).includes('everything')) await aborted(options.abortSignal);
  yield { type: 'text-end', id: '1' };
  yield { type: 'finish', finishReason: { unified: 'stop', raw: undefined }, usage: usageOf(options) };
}
