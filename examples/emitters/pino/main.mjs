// pino with @opentelemetry/instrumentation-pino: application logs as log records, in and out of a run.

import { createRequire } from 'node:module';
import { SpanStatusCode, trace } from '@opentelemetry/api';
import { registerInstrumentations } from '@opentelemetry/instrumentation';
import { PinoInstrumentation } from '@opentelemetry/instrumentation-pino';
import { main, sleep, start } from 'emitter-lib';

const require = createRequire(import.meta.url);

const run = (work) => async () => {
  const { stop } = start();
  const off = registerInstrumentations({ instrumentations: [new PinoInstrumentation()] });
  const pino = require('pino');
  const logger = pino({ level: 'trace', base: { component: 'weather' } }, { write: () => {} });
  try {
    return await work(logger);
  } finally {
    await sleep(20);
    off();
    await stop();
  }
};
const agent = (name, work) => trace.getTracer('weather-service').startActiveSpan(`invoke_agent ${name}`, { attributes: { 'gen_ai.operation.name': 'invoke_agent', 'gen_ai.agent.name': name, 'user.id': 'user-1', 'session.id': 'session-1' } }, async (span) => {
  try {
    await work(span);
  } finally {
    span.end();
  }
});
const result = { agent: 'weather-agent', user: 'user-1', session: 'session-1', modelCalls: 0, toolCalls: 0 };

const scenarios = {
  levels: {
    what: 'one record of each of the six levels, outside of any run',
    run: run(async (logger) => {
      const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];
      for (const level of levels) logger[level](`this is ${level}`);
      return { runs: [], logs: levels.map((level) => ({ level, message: `this is ${level}`, inRun: false })) };
    }),
  },
  run: {
    what: 'records with fields in a run; a child logger carries the user; none has a category',
    run: run(async (logger) => {
      await agent('weather-agent', async () => {
        const child = logger.child({ userId: 'user-1', requestId: 'req-77' });
        child.info({ city: 'Zurich', attempt: 1, nested: { a: [1, 2] } }, 'asking for the weather');
        child.warn({ durationMs: 812.5 }, 'the weather is slow');
      });
      return { runs: [{ ...result, outcome: 'success' }], logs: [
        { level: 'info', message: 'asking for the weather', inRun: true, fields: { city: 'Zurich', attempt: 1, userId: 'user-1', requestId: 'req-77' } },
        { level: 'warn', message: 'the weather is slow', inRun: true, fields: { durationMs: 812.5, userId: 'user-1', requestId: 'req-77' } },
      ] };
    }),
  },
  error: {
    what: 'the error that fails the run is recorded on its span and logged: one error, reported twice',
    run: run(async (logger) => {
      await agent('weather-agent', async (span) => {
        const error = Object.assign(new TypeError('city is undefined'), { detail: 'from the cache' });
        logger.error(error, 'run failed');
        span.recordException(error);
        span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
      });
      return { runs: [{ ...result, outcome: 'error', errorType: 'TypeError', errorMessage: 'city is undefined' }], logs: [{ level: 'error', message: 'run failed', inRun: true, errorType: 'TypeError', errorMessage: 'city is undefined' }], errors: 1 };
    }),
  },
  'error-as-field': {
    what: 'an error logged as a field, and one as the message; the run survives both',
    run: run(async (logger) => {
      await agent('weather-agent', async () => {
        logger.error({ err: new RangeError('too far') }, 'forecast dropped');
        logger.error(new Error('socket closed'));
      });
      return { runs: [{ ...result, outcome: 'success' }], logs: [
        { level: 'error', message: 'forecast dropped', inRun: true, errorType: 'RangeError', errorMessage: 'too far' },
        { level: 'error', message: 'socket closed', inRun: true, errorType: 'Error', errorMessage: 'socket closed' },
      ] };
    }),
  },
  secrets: {
    what: 'records with what should not be logged: a bearer token, a card number, an address',
    run: run(async (logger) => {
      logger.info({ headers: { authorization: 'Bearer abc.def.ghi' }, email: 'ada@example.com', card: '4111 1111 1111 1111' }, 'paid by ada@example.com');
      return { runs: [], logs: [{ level: 'info', message: 'paid by ada@example.com', inRun: false }] };
    }),
  },
};

await main({ dir: import.meta.dirname, emitter: '@opentelemetry/instrumentation-pino', scenarios });
