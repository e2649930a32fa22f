// A loopback server that speaks enough of the OpenAI API for a client and its instrumentation.

import { createServer } from 'node:http';

// startOpenAI answers each chat completion with what the last message asks for: "fail 429", "fail once", "hang", "stall"
// (a stream that stops), "tool" ("tool for ever": also after its result), or else with an answer. Token counts and the
// arguments of the tool are as given. It returns the base address and a function that ends it.
export async function startOpenAI({ args = { city: 'Zurich' }, input = 20, output = 8, cached = 5, reasoning = 3 } = {}) {
  let calls = 0;
  const usage = {
    prompt_tokens: input, completion_tokens: output, total_tokens: input + output,
    prompt_tokens_details: { cached_tokens: cached }, completion_tokens_details: { reasoning_tokens: reasoning },
  };
  const server = createServer(async (req, res) => {
    let text = '';
    for await (const chunk of req) text += chunk;
    const body = JSON.parse(text);
    const last = body.messages?.at(-1) ?? {};
    const prompt = String(last.content);
    calls++;
    const send = (status, value, headers = {}) => {
      res.writeHead(status, { 'content-type': 'application/json', 'x-request-id': 'req-77', ...headers });
      res.end(JSON.stringify(value));
    };
    if (req.url.endsWith('/embeddings')) {
      return send(200, { object: 'list', model: body.model, data: [{ object: 'embedding', index: 0, embedding: [0.1, 0.2] }], usage: { prompt_tokens: 6, total_tokens: 6 } });
    }
    if (prompt.startsWith('hang')) return;
    if (prompt.startsWith('fail 429')) return send(429, { error: { message: 'Rate limit reached', type: 'requests', code: 'rate_limit_exceeded' } });
    if (prompt.startsWith('fail once') && calls === 1) return send(500, { error: { message: 'The server had an error', type: 'server_error' } }, { 'retry-after-ms': '5' });
    const common = { id: 'chatcmpl-1', created: 1795392000, model: `${body.model}-2026-10-01`, system_fingerprint: 'fp-1' };
    if (body.stream) {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      const chunk = (choices, more = {}) => res.write(`data: ${JSON.stringify({ ...common, object: 'chat.completion.chunk', choices, ...more })}\n\n`);
      chunk([{ index: 0, delta: { role: 'assistant', content: '11 ' } }]);
      if (prompt.startsWith('stall')) return;
      chunk([{ index: 0, delta: { content: 'degrees' } }]);
      chunk([{ index: 0, delta: {}, finish_reason: 'stop' }]);
      if (body.stream_options?.include_usage) chunk([], { usage });
      res.end('data: [DONE]\n\n');
      return;
    }
    const forEver = body.messages?.some(({ content }) => String(content).startsWith('tool for ever'));
    const wantsTool = forEver || prompt.startsWith('tool');
    const message = wantsTool
      ? { role: 'assistant', content: null, tool_calls: [{ id: 'call-weather', type: 'function', function: { name: 'weather', arguments: JSON.stringify(args) } }] }
      : { role: 'assistant', content: '11 degrees' };
    send(200, { ...common, object: 'chat.completion', choices: [{ index: 0, message, finish_reason: wantsTool ? 'tool_calls' : 'stop' }], usage });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = () => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); });
  return { baseURL: `http://127.0.0.1:${server.address().port}/v1`, stop };
}
