// The API in front of the agents: POST /agents/{agent}/runs with the question as body.

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { context, trace } from '@opentelemetry/api';
import { SeverityNumber, logs } from '@opentelemetry/api-logs';
import { RPCType, getRPCMetadata } from '@opentelemetry/core';
import { type Caller, greeter, planner, weather } from './agents.ts';

const logger = logs.getLogger('weather-api');
const patience = 60_000; // ms, unless who asks has less

// log writes one record. It carries the ids of the active trace by itself; the category is AgentTrail's only addition.
function log(category: 'execution' | 'error' | 'performance' | 'user_action', severity: SeverityNumber, body: string, agent: string, caller: Caller): void {
  logger.emit({
    eventName: 'agent.run.finished',
    severityNumber: severity,
    severityText: SeverityNumber[severity],
    body,
    attributes: { 'agenttrail.log.category': category, 'gen_ai.agent.name': agent, 'user.id': caller.userId, 'session.id': caller.sessionId },
  });
}

async function handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const route = getRPCMetadata(context.active());
  if (route?.type === RPCType.HTTP) route.route = '/agents/{agent}/runs'; // A web framework's instrumentation does this.
  res.setHeader('x-trace-id', trace.getActiveSpan()?.spanContext().traceId ?? '');

  const agent = /^\/agents\/(\w+)\/runs$/.exec(req.url ?? '')?.[1] ?? '';
  const caller = { userId: String(req.headers['x-user-id']), sessionId: String(req.headers['x-session-id']), runId: randomUUID() };
  const question = await text(req);
  const hungUp = new AbortController();
  res.on('close', () => res.writableFinished || hungUp.abort());

  try {
    switch (agent) {
      case 'greeter':
        for await (const word of greeter(question, caller, hungUp.signal)) {
          if (!res.write(word)) await once(res, 'drain', { signal: hungUp.signal });
        }
        break;
      case 'weather':
        res.write(await weather(question, caller, AbortSignal.timeout(Number(req.headers['x-patience-ms'] ?? patience))));
        break;
      case 'planner':
        res.write(await planner(question, caller));
        break;
      default:
        res.statusCode = 404;
    }
    if (hungUp.signal.aborted) log('user_action', SeverityNumber.INFO, `${agent}: the user left`, agent, caller);
    else if (res.statusCode === 200) log('execution', SeverityNumber.INFO, `${agent}: done`, agent, caller);
  } catch (error) {
    const { name, message } = error as Error;
    const timedOut = name === 'TimeoutError';
    res.statusCode = timedOut ? 504 : 502;
    log(timedOut ? 'performance' : 'error', timedOut ? SeverityNumber.WARN : SeverityNumber.ERROR, `${agent}: ${message}`, agent, caller);
  }
  res.end();
}

// listen starts the API on a free port of this machine.
export async function listen() {
  const server = createServer((req, res) => void handle(req, res));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return { url: `http://127.0.0.1:${address.port}`, close: () => { server.closeAllConnections(); return once(server.close(), 'close'); } };
}
