// @opentelemetry/instrumentation-http: the API in front of the agents. Server spans, outgoing calls, header capture.

import { createRequire } from 'node:module';
import { SpanStatusCode, trace } from '@opentelemetry/api';
import { registerInstrumentations } from '@opentelemetry/instrumentation';
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http';
import { main, sleep, start } from 'emitter-lib';

const require = createRequire(import.meta.url);
const agentName = 'weather-agent';

// listen starts an instrumented server; http is loaded after the instrumentation, which patches it on load.
async function listen(handler) {
  const http = require('node:http');
  const server = http.createServer(handler);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const port = server.address().port;
  return { http, server, port, close: () => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); }) };
}

// request uses a socket of its own, so that only what the scenario asks for is instrumented on the client's side.
async function request(port, { method = 'GET', path = '/', headers = {}, body = '', hangUpAfter }) {
  const net = await import('node:net');
  const lines = [`${method} ${path} HTTP/1.1`, `Host: api.example.com`, 'Connection: close'];
  for (const [key, value] of Object.entries(headers)) lines.push(`${key}: ${value}`);
  if (body) lines.push('Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`);
  const socket = net.connect(port, '127.0.0.1');
  socket.write(`${lines.join('\r\n')}\r\n\r\n${body}`);
  if (hangUpAfter) {
    await sleep(hangUpAfter);
    socket.destroy();
    return;
  }
  let response = '';
  for await (const chunk of socket) response += chunk;
  return Number(response.split(' ')[1]);
}

const run = (handler, work, config = {}) => async () => {
  const { stop } = start();
  const off = registerInstrumentations({ instrumentations: [new HttpInstrumentation(config)] });
  const server = await listen(handler);
  try {
    return await work(server);
  } finally {
    await server.close();
    off();
    await stop();
  }
};

// api is a small service with a run in it, traced by hand with the GenAI conventions.
function api(req, res) {
  const url = new URL(req.url, 'http://api.example.com');
  const answer = (status, body) => {
    res.statusCode = status;
    res.setHeader('content-type', 'application/json'); // Headers given to writeHead are not captured.
    res.setHeader('x-request-id', 'req-77');
    res.end(JSON.stringify(body));
  };
  req.resume();
  if (url.pathname === '/missing') return answer(404, { error: 'no such agent' });
  if (url.pathname === '/busy') return answer(503, { error: 'overloaded' });
  if (url.pathname === '/slow') return; // Never answers.
  const outcome = url.searchParams.get('outcome') ?? 'success';
  trace.getTracer('weather-service').startActiveSpan(`invoke_agent ${agentName}`, (span) => {
    span.setAttributes({ 'gen_ai.operation.name': 'invoke_agent', 'gen_ai.agent.name': agentName, 'gen_ai.request.model': 'mock-large-1', 'user.id': 'user-1', 'session.id': 'session-1' });
    setTimeout(() => {
      if (outcome === 'success') span.setAttributes({ 'gen_ai.usage.input_tokens': 21, 'gen_ai.usage.output_tokens': 7 });
      else {
        span.setAttribute('error.type', 'RateLimitError');
        span.recordException(Object.assign(new Error('Rate limit reached'), { name: 'RateLimitError' }));
        span.setStatus({ code: SpanStatusCode.ERROR, message: 'Rate limit reached' });
      }
      span.end();
      answer(outcome === 'success' ? 200 : 500, { outcome });
    }, 5);
  });
}

const success = { agent: agentName, outcome: 'success', model: 'mock-large-1', inputTokens: 21, outputTokens: 7, user: 'user-1', session: 'session-1' };
const captured = {
  headersToSpanAttributes: { server: { requestHeaders: ['X-Request-Start', 'X-Tenant', 'Accept'], responseHeaders: ['X-Request-Id', 'Content-Type'] } },
};

const scenarios = {
  ok: {
    what: 'GET that starts a run and answers 200, with a query string',
    run: run(api, async ({ port }) => {
      const status = await request(port, { path: '/v1/agents/weather/runs?outcome=success', headers: { 'User-Agent': 'curl/8.9.1' } });
      return { requests: [{ method: 'GET', path: '/v1/agents/weather/runs', query: 'outcome=success', status, userAgent: 'curl/8.9.1', ip: '127.0.0.1' }], runs: [success] };
    }),
  },
  'not-found': {
    what: 'GET that answers 404: the server worked, the span has no error status',
    run: run(api, async ({ port }) => ({ requests: [{ method: 'GET', path: '/missing', status: await request(port, { path: '/missing' }), ip: '127.0.0.1' }], runs: [] })),
  },
  unavailable: {
    what: 'GET that answers 503: the span has an error status and no error.type',
    run: run(api, async ({ port }) => ({ requests: [{ method: 'GET', path: '/busy', status: await request(port, { path: '/busy' }), ip: '127.0.0.1', failed: true }], runs: [] })),
  },
  'failed-run': {
    what: 'POST that starts a run which fails; the answer is 500',
    run: run(api, async ({ port }) => {
      const status = await request(port, { method: 'POST', path: '/v1/agents/weather/runs?outcome=error', body: '{"q":"Weather?"}' });
      return { requests: [{ method: 'POST', path: '/v1/agents/weather/runs', query: 'outcome=error', status, ip: '127.0.0.1', failed: true }], runs: [{ agent: agentName, outcome: 'error', model: 'mock-large-1', errorType: 'RateLimitError', errorMessage: 'Rate limit reached', user: 'user-1', session: 'session-1' }] };
    }),
  },
  forwarded: {
    what: 'through two proxies: the client is the first address of X-Forwarded-For',
    run: run(api, async ({ port }) => {
      const status = await request(port, { path: '/v1/agents/weather/runs', headers: { 'User-Agent': 'Mozilla/5.0 (X11; Linux x86_64)', 'X-Forwarded-For': '203.0.113.9, 10.1.2.3', 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'agents.example.com' } });
      return { requests: [{ method: 'GET', path: '/v1/agents/weather/runs', status, ip: '203.0.113.9', userAgent: 'Mozilla/5.0 (X11; Linux x86_64)' }], runs: [success] };
    }),
  },
  headers: {
    what: 'request and response headers captured by configuration, with a load balancer queue time and secrets in the query',
    run: run(api, async ({ port }) => {
      const queuedAt = Date.now() - 40;
      const status = await request(port, { path: '/v1/agents/weather/runs?sig=s3cr3t&outcome=success', headers: { 'X-Request-Start': `t=${queuedAt}`, 'X-Tenant': 'acme', Accept: 'application/json', Authorization: 'Bearer never-recorded' } });
      return { requests: [{ method: 'GET', path: '/v1/agents/weather/runs', status, requestHeaders: { 'x-request-start': `t=${queuedAt}`, 'x-tenant': 'acme', accept: 'application/json' }, responseHeaders: { 'x-request-id': 'req-77', 'content-type': 'application/json' }, queuedAtMs: queuedAt, minQueueMs: 40 }], runs: [success], mustNotContain: ['never-recorded', 's3cr3t'] };
    }, captured),
  },
  'odd-method': {
    what: 'a method that HTTP knows and the conventions do not list: PURGE becomes _OTHER',
    run: run(api, async ({ port }) => ({ requests: [{ method: 'PURGE', path: '/missing', status: await request(port, { method: 'PURGE', path: '/missing' }) }], runs: [] })),
  },
  'client-hangs-up': {
    what: 'the client closes the connection before there is an answer; the span says 200, which was never sent',
    run: run(api, async ({ port }) => {
      await request(port, { path: '/slow', hangUpAfter: 25 });
      await sleep(25);
      return { requests: [{ method: 'GET', path: '/slow', status: null, unsaid: ['status'] }], runs: [] };
    }),
  },
  'remote-parent': {
    what: 'the caller sends traceparent: the server span has a parent that this service never exports',
    run: run(api, async ({ port }) => {
      const traceId = '0af7651916cd43dd8448eb211c80319c';
      const status = await request(port, { path: '/v1/agents/weather/runs', headers: { traceparent: `00-${traceId}-b7ad6b7169203331-01` } });
      return { requests: [{ method: 'GET', path: '/v1/agents/weather/runs', status, traceId, parentSpanId: 'b7ad6b7169203331' }], runs: [{ ...success, traceId }] };
    }),
  },
  'outgoing-call': {
    what: 'a server that calls another server: CLIENT spans with 200 and 404 are not requests to us, the 404 has error status',
    run: run((req, res) => { req.resume(); res.writeHead(req.url.startsWith('/upstream/none') ? 404 : 200).end('{}'); }, async ({ http, port }) => {
      const get = (path) => new Promise((resolve, reject) => http.get({ host: '127.0.0.1', port, path, agent: false }, (res) => { res.resume(); res.on('end', () => resolve(res.statusCode)); }).on('error', reject));
      const ok = await get('/upstream/ok');
      const none = await get('/upstream/none');
      return { requests: [{ method: 'GET', path: '/upstream/ok', status: ok }, { method: 'GET', path: '/upstream/none', status: none }], clientCalls: 2, runs: [] };
    }),
  },
};

await main({ dir: import.meta.dirname, emitter: '@opentelemetry/instrumentation-http', scenarios });
