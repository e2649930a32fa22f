// Starts the API, lets several users run its agents, and prints the runs that AgentTrail should now show.

import { setTimeout as sleep } from 'node:timers/promises';
import { listen } from './server.ts';
import { endpoint, runs, sdk } from './telemetry.ts';

type Expected = { agent: string; status: 'success' | 'failed' | 'timeout' | 'error'; inputTokens: number; outputTokens: number };
type Scenario = { name: string; agent: string; question: string; user: string; session: string; hangUp?: boolean; patience?: number; expect: Expected[] };

const success = (agent: string, inputTokens: number, outputTokens: number): Expected => ({ agent, status: 'success', inputTokens, outputTokens });
const scenarios: Scenario[] = [
  { name: 'stream', agent: 'greeter', question: 'Hello', user: 'ada', session: 'ada-1', expect: [success('greeter', 10, 5)] },
  { name: 'tool', agent: 'weather', question: 'Weather in Zurich?', user: 'ada', session: 'ada-1', expect: [success('weather', 40, 10)] },
  { name: 'tool fails, run recovers', agent: 'weather', question: 'Weather in Atlantis?', user: 'bob', session: 'bob-1', expect: [success('weather', 40, 10)] },
  { name: 'agent calls agent', agent: 'planner', question: 'What to wear in Zurich?', user: 'bob', session: 'bob-1', expect: [success('planner', 40, 10), success('weather', 40, 10)] },
  { name: 'model fails', agent: 'weather', question: 'Hit the rate limit', user: 'bob', session: 'bob-2', expect: [{ agent: 'weather', status: 'error', inputTokens: 0, outputTokens: 0 }] },
  { name: 'timeout', agent: 'weather', question: 'Please think forever', user: 'eve', session: 'eve-1', patience: 1000, expect: [{ agent: 'weather', status: 'timeout', inputTokens: 0, outputTokens: 0 }] },
  { name: 'user leaves', agent: 'greeter', question: 'Tell me everything', user: 'eve', session: 'eve-1', hangUp: true, expect: [{ agent: 'greeter', status: 'failed', inputTokens: 0, outputTokens: 0 }] },
  { name: 'no such agent', agent: 'nobody', question: 'Hello', user: 'eve', session: 'eve-1', expect: [] },
];

// play sends one question and returns the trace that answered it.
async function play(url: string, { agent, question, user, session, hangUp, patience }: Scenario): Promise<{ traceId: string; httpStatus: number }> {
  const left = new AbortController();
  const headers: Record<string, string> = { 'x-user-id': user, 'x-session-id': session };
  if (patience) headers['x-patience-ms'] = String(patience);
  const response = await fetch(`${url}/agents/${agent}/runs`, { method: 'POST', body: question, headers, signal: left.signal });
  const answer = { traceId: response.headers.get('x-trace-id') ?? '', httpStatus: response.status };
  if (hangUp) left.abort();
  else await response.text();
  return answer;
}

// ended waits for the runs of a trace: one that was cut off ends a little after its client left.
async function ended(traceId: string, expected: Expected[]) {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const found = expected.map(({ agent }) => runs.find(traceId, agent));
    if (found.every((run) => run !== undefined)) return found.map((run) => run!);
    if (Date.now() > deadline) throw new Error(`trace ${traceId}: a run of ${expected.map((e) => e.agent)} did not end`);
    await sleep(10);
  }
}

const reachable = await fetch(`${endpoint.replace(/\/$/, '')}/v1/traces`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"resourceSpans":[]}' }).catch(() => undefined);
if (!reachable?.ok) {
  console.error(`Nothing takes OTLP at ${endpoint}. Start "agenttrail up", or set OTEL_EXPORTER_OTLP_ENDPOINT.`);
  process.exit(1);
}

const json = process.argv.includes('--json');
const server = await listen();
for (const scenario of scenarios) {
  const { name, user, session } = scenario;
  const { traceId, httpStatus } = await play(server.url, scenario);
  const found = await ended(traceId, scenario.expect);
  for (const [i, expected] of scenario.expect.entries()) {
    const { spanId, executionId } = found[i];
    const line = { scenario: name, traceId, spanId, executionId, ...expected, user, session, httpStatus };
    console.log(json ? JSON.stringify(line) : `${name.padEnd(25)} ${expected.agent.padEnd(8)} ${expected.status.padEnd(8)} ${user.padEnd(4)} run ${executionId} trace ${traceId}`);
  }
}
await server.close();
await sdk.shutdown(); // Sends what is still waiting.
if (!json) console.log(`\nSent to ${endpoint}.`);
