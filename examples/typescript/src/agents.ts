// Three agents: weather uses a tool, planner uses the weather agent as its tool, greeter streams.

import { randomUUID } from 'node:crypto';
import { generateText, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';
import { model } from './model.ts';

// Caller is for whom an agent runs, and the id of the run. It is the AI SDK's runtime context.
export type Caller = { userId: string; sessionId: string; runId: string };

// common says which agent this is and for whom; includeRuntimeContext lets these three values, and no others, out into
// telemetry.
const common = (agent: string, runtimeContext: Caller, abortSignal?: AbortSignal) => ({
  model,
  runtimeContext,
  abortSignal,
  telemetry: { functionId: agent, includeRuntimeContext: { userId: true, sessionId: true, runId: true } },
});
const city = z.object({ city: z.string() });

const forecast = tool({
  description: 'The weather in a city',
  inputSchema: city,
  execute: async ({ city }) => {
    if (city === 'Atlantis') throw new Error('no such city: Atlantis');
    return { city, celsius: 11 };
  },
});

export async function weather(question: string, caller: Caller, signal?: AbortSignal): Promise<string> {
  const { text } = await generateText({
    ...common('weather', caller, signal),
    prompt: question,
    tools: { forecast },
    stopWhen: stepCountIs(5),
  });
  return text;
}

export async function planner(question: string, caller: Caller, signal?: AbortSignal): Promise<string> {
  const askWeather = tool({
    description: 'Ask the weather agent',
    inputSchema: city,
    // A run of another agent is another run.
    execute: ({ city }) => weather(`Weather in ${city}?`, { ...caller, runId: randomUUID() }, signal),
  });
  const { text } = await generateText({
    ...common('planner', caller, signal),
    prompt: question,
    tools: { askWeather },
    stopWhen: stepCountIs(5),
  });
  return text;
}

export function greeter(question: string, caller: Caller, signal: AbortSignal): AsyncIterable<string> {
  return streamText({ ...common('greeter', caller, signal), prompt: question }).textStream;
}
