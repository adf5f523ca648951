// A second kind of call beside MCP goes the same way: the same stages, the same log, the same end, and nothing in src that knows of it.
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createParser } from 'eventsource-parser';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { type CallRow, queryAudit } from '../../src/audit/query.ts';
import { verifyAudit } from '../../src/audit/verify.ts';
import type { Call } from '../../src/core/call.ts';
import { CallContext } from '../../src/core/call-context.ts';
import { Cancellation } from '../../src/core/cancellation.ts';
import { InFlight } from '../../src/core/in-flight.ts';
import { listen } from '../../src/downstream/http-servers.ts';
import { buildPipeline, deliver, type Sink } from '../../src/gateway/pipeline.ts';
import { unknownMcp } from '../../src/gateway/resolve.ts';
import { compilePolicy, rulesOfServer } from '../../src/policy/policy.ts';
import { InFlightMemory } from '../../src/quota/in-flight-memory.ts';
import { ECHO, makeCall, policyEntry } from '../audit/bare-call.ts';
import { makeReply, openLog } from '../audit/calls.ts';
import { open } from '../integration/harness/raw.ts';
import { PARROT, echoKind, echoRoute } from './echo-calls.ts';

const DENIED_AT = 'gateway.json:7:21';

/** A gateway of both kinds, as far as a call gets to see one: pipeline, log on disk, and a port of its own. */
async function world({ holdAt }: { holdAt?: string } = {}) {
  const { log, folder } = openLog();
  const [stopping, ending, inFlight] = [new Cancellation(), new Cancellation(), new InFlight()];
  const [held, reached] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const echo = echoKind((word) => {
    if (word !== holdAt) return undefined;
    reached.resolve();
    return held.promise;
  });
  const mcp = {
    resolve: (_call: Call, ctx: CallContext) => void Object.assign(ctx, { target: ECHO, requested: ECHO.exposed }),
    dispatch: () => Promise.resolve(makeReply()),
    unknown: unknownMcp,
  };
  const policy = compilePolicy([
    ...rulesOfServer(policyEntry('everything')),
    {
      server: PARROT,
      kinds: ['voice'],
      patterns: { allow: ['*'], deny: ['loud'] },
      name: `parrots.${PARROT}.voices`,
      placeOf: (path) => (path === 'deny.0' ? DENIED_AT : undefined),
    },
  ]);
  const handle = buildPipeline({
    logger: pino({ level: 'silent' }),
    audit: log,
    memory: new InFlightMemory(),
    stopping,
    kinds: { mcp, echo },
  });

  const rows = () => [...queryAudit(folder)].filter((row): row is CallRow => row.kind === 'call').reverse();
  /** What each sink was given, and what the log on disk said of the newest call at that moment. */
  const given: string[] = [];
  const watched = <Last>(sink: Sink<Last>): Sink<Last> => {
    const note = (what: string) => given.push(`${what} (${rows().at(-1)?.status ?? 'not recorded'})`);
    return {
      frame: (frame) => {
        note(JSON.stringify(frame));
        return sink.frame?.(frame);
      },
      end: (reply) => {
        note('end');
        return sink.end(reply);
      },
      fail: (error) => {
        note(error.code);
        return sink.fail(error);
      },
    };
  };
  const gateway = {
    deliver: <Last>(call: Call, sink: Sink<Last>): Promise<Last> => {
      const ctx = new CallContext({ policy: policy.viewFor(call), config: 'c' });
      return inFlight.track(deliver(call, { ctx, handle, ending, sink: watched(sink) }));
    },
  };
  const { url, finish } = await listen(echoRoute(gateway), { host: '127.0.0.1', port: 0 });
  /** Resolves when no call is in flight. */
  const idle = () => inFlight.settled(30_000);
  onTestFinished(async () => {
    ending.abort();
    await idle();
    await finish();
  });
  return {
    ...{ log, folder, stopping, ending, gateway, rows, given },
    reached: reached.promise,
    release: () => held.resolve(),
    idle,
    ask: (body: unknown, path = '/v1/echo') => ask(url, path, typeof body === 'string' ? body : JSON.stringify(body)),
  };
}

/** Sends a request; resolves when its answer begins. */
async function ask(origin: string, path: string, body: string) {
  const request = open(origin, { path, body, headers: { 'Content-Type': 'application/json' } });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const frames = framesOf(response);
  return {
    status: response.statusCode,
    next: async () => (await frames.next()).value,
    /** Every frame that is left. Throws where the stream is cut off. */
    rest: async () => {
      const left: unknown[] = [];
      for await (const frame of frames) left.push(frame);
      return left;
    },
    leave: () => request.destroy(),
  };
}

async function* framesOf(response: IncomingMessage): AsyncGenerator<unknown, undefined> {
  const arrived: string[] = [];
  const parser = createParser({ onEvent: ({ data }) => arrived.push(data) });
  response.setEncoding('utf8');
  for await (const text of response) {
    parser.feed(text as string);
    for (const data of arrived.splice(0)) yield data === '[DONE]' ? data : (JSON.parse(data) as unknown);
  }
  return undefined;
}

const failed = (code: string) => ({ error: { code, message: expect.any(String) as string } });

test('an echo is a frame for each word, its intent committed before the first and its outcome before the last', async () => {
  const { ask, given, rows, folder } = await world();
  const heard = await ask({ text: 'one  [DONE] three\n' });

  expect(heard.status).toBe(200);
  expect(await heard.rest()).toEqual([{ word: 'one' }, { word: '[DONE]' }, { word: 'three' }, '[DONE]']);
  expect(given).toEqual([
    '{"word":"one"} (in flight)',
    '{"word":"[DONE]"} (in flight)',
    '{"word":"three"} (in flight)',
    'end (ok)',
  ]);
  expect(rows()).toMatchObject([
    {
      method: 'echo',
      exposed: 'plain',
      server: PARROT,
      principal: { id: 'local' },
      downstream: { dialect: 'echo', transport: 'http' },
      decision: { allowed: true },
      shape: { text: 'string(18)' },
      requestBytes: 30,
      status: 'ok',
    },
  ]);
  expect(verifyAudit(folder)).toMatchObject({ ok: true, records: 3 });
});

test('an echo and an MCP call share pipeline and log, and each is answered by its own kind', async () => {
  const { ask, gateway, rows } = await world({ holdAt: 'two' });
  const heard = await ask({ text: 'one two' });
  const reply = await gateway.deliver(makeCall(), {
    end: (answered) => answered,
    fail: (error) => {
      throw error;
    },
  });

  expect(await heard.next()).toEqual({ word: 'one' });
  expect(reply).toEqual(makeReply());
  expect(rows()).toMatchObject([
    { method: 'echo', status: 'in flight' },
    { method: 'tools/call', status: 'ok', downstream: { era: 'modern' } },
  ]);
});

test('a voice that policy denies is refused as one that nobody has, and the record says what denied it', async () => {
  const { ask, given, rows } = await world();
  const denied = await ask({ text: 'one two' }, '/v1/echo?voice=loud');
  const unknown = await ask({ text: 'one two' }, '/v1/echo?voice=shrill');
  const told = (voice: string) => [
    { error: { code: 'unknown_target', message: `Nobody here has the voice ${voice}.` } },
  ];

  expect(await denied.rest()).toEqual(told('loud'));
  expect(await unknown.rest()).toEqual(told('shrill'));
  expect(denied.status).toBe(unknown.status);
  expect(given).toEqual(['unknown_target (refused)', 'unknown_target (refused)']);
  expect(rows()).toMatchObject([
    {
      method: 'echo',
      exposed: 'loud',
      server: PARROT,
      decision: { allowed: false, rule: `parrots.${PARROT}.voices.deny`, source: DENIED_AT },
      status: 'refused',
      error: 'unknown_target',
    },
    { method: 'echo', exposed: 'shrill', decision: { allowed: false, rule: 'unknown' }, status: 'refused' },
  ]);
});

test('a body without a text is a call that is refused and recorded; one that is no JSON never becomes a call', async () => {
  const { ask, rows } = await world();
  const malformed = await ask({ text: 7 });
  const garbled = await ask('{"text":');

  expect([malformed.status, await malformed.rest()]).toEqual([400, [failed('invalid_params')]]);
  expect([garbled.status, await garbled.rest()]).toEqual([400, [failed('parse_error')]]);
  expect(rows()).toMatchObject([{ method: 'echo', shape: { text: 'integer' }, decision: { rule: 'none' } }]);
});

test('no word is said where the intent cannot be committed', async () => {
  const { ask, log, given } = await world();
  log.close();
  const heard = await ask({ text: 'one two' });

  expect([heard.status, await heard.rest()]).toEqual([503, [failed('audit_unavailable')]]);
  expect(given).toEqual(['audit_unavailable (not recorded)']);
});

test('where the outcome cannot be committed the last frame says so, and the log that it is not known', async () => {
  const { ask, log, folder, given, rows, reached, release } = await world({ holdAt: 'two' });
  const heard = await ask({ text: 'one two' });
  await reached;
  log.close();
  release();

  expect(await heard.rest()).toEqual([{ word: 'one' }, { word: 'two' }, failed('audit_unavailable')]);
  expect(given.at(-1)).toBe('audit_unavailable (in flight)');
  openLog({ folder });
  expect(rows()).toMatchObject([{ method: 'echo', status: 'unknown', error: 'interrupted' }]);
});

test('when the caller goes away the stream is ended, and the call is recorded as cancelled', async () => {
  const { ask, given, rows, reached, idle } = await world({ holdAt: 'two' });
  const heard = await ask({ text: 'one two' });
  expect(await heard.next()).toEqual({ word: 'one' });
  await reached;
  heard.leave();
  await idle();

  expect(given).toEqual(['{"word":"one"} (in flight)', 'cancelled (cancelled)']);
  expect(rows()).toMatchObject([{ method: 'echo', status: 'cancelled', error: 'cancelled' }]);
});

test('a gateway that stops lets an echo finish and takes no new one', async () => {
  const { ask, rows, stopping, reached, release } = await world({ holdAt: 'two' });
  const heard = await ask({ text: 'one two' });
  await reached;
  stopping.abort();
  const refused = await ask({ text: 'three' });
  const told = await refused.rest();
  release();

  expect([refused.status, told]).toEqual([503, [failed('shutting_down')]]);
  expect(await heard.rest()).toEqual([{ word: 'one' }, { word: 'two' }, '[DONE]']);
  expect(rows()).toMatchObject([
    { method: 'echo', status: 'ok' },
    { method: 'echo', status: 'refused', error: 'shutting_down' },
  ]);
});

test('an echo that is cut short at shutdown ends with a last frame that says so, and is recorded', async () => {
  const { ask, given, rows, ending, reached, idle } = await world({ holdAt: 'two' });
  const heard = await ask({ text: 'one two' });
  await reached;
  ending.abort();
  await idle();

  expect(await heard.rest()).toEqual([{ word: 'one' }, failed('gateway_closed')]);
  expect(given.at(-1)).toBe('gateway_closed (unknown)');
  expect(rows()).toMatchObject([{ method: 'echo', status: 'unknown', error: 'gateway_closed' }]);
});

test('a reader who takes nothing does not keep an echo from being cut short and recorded', async () => {
  const { ask, rows, ending, idle } = await world();
  // more than two sockets hold; the answer begins with it
  const heard = await ask({ text: `${'x'.repeat(15 * 1024 * 1024)} two` });
  ending.abort();
  await idle();

  expect(rows()).toMatchObject([{ method: 'echo', status: 'unknown', error: 'gateway_closed' }]);
  heard.leave();
});
