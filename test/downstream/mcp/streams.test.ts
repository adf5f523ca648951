// Streams of legacy sessions over time, with short bounds: heartbeats, slow readers, polling, reconnecting, and sessions that expire.
import { Client as ClientV2, StreamableHTTPClientTransport as HttpV2 } from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as HttpV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { type Bounds, BOUNDS, boundsWith } from '../../../src/core/bounds/bounds.ts';
import { GatewayError } from '../../../src/core/errors.ts';
import { ALL_SERVERS } from '../../../src/core/call.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { LOCAL } from '../../../src/core/principal.ts';
import { endpointLimits } from '../../../src/downstream/mcp/limits.ts';
import type { CallRequest } from '../../../src/gateway/gateway.ts';
import { type EventStream, modern, open, openSession, send, stream } from '../../integration/harness/raw.ts';
import { said, startFront, type StubFront } from '../front.ts';

let front: StubFront;
afterEach(() => front.close());

/** A call that runs until the test ends it. */
class Held {
  readonly begun = Promise.withResolvers<CallRequest>();
  readonly end = Promise.withResolvers<string>();
  readonly call = async (request: CallRequest) => {
    this.begun.resolve(request);
    const cancelled = new Promise<never>((_resolve, reject) =>
      request.exchange.signal.onAbort(() => reject(new GatewayError('cancelled', 'The caller cancelled the call.'))),
    );
    return said(await Promise.race([this.end.promise, cancelled]));
  };
}

async function start(replaced: Partial<Bounds> = {}, now = () => performance.now()): Promise<Held> {
  const held = new Held();
  const bounds = boundsWith({ legacyStreamDelay: 5, modernStreamDelay: 5, ...replaced });
  front = await startFront(held.call, { limits: { ...endpointLimits(bounds), now } });
  return held;
}

const CALL = ['tools/call', { name: 't', arguments: {}, _meta: { progressToken: 1 } }] as const;
const lastId = (of: EventStream): string => [...of.raw().matchAll(/^id: (.*)$/gm)].at(-1)?.[1] ?? '';
const textOf = (message: JsonObject) => (message.result as { content: { text: string }[] }).content[0]?.text ?? '';
const progress = async (held: Held, count: number) =>
  (await held.begun.promise).exchange.progress({ progress: count, message: `p${count}` });

/** Resolves when the stream has received text that matches. */
async function seen(of: EventStream, pattern: RegExp): Promise<void> {
  while (!pattern.test(of.raw())) await new Promise((resolve) => setImmediate(resolve));
}

describe('A quiet stream', () => {
  test('shows life at every interval, in both eras, on calls and standing streams', async () => {
    await start({ streamHeartbeat: 10 });
    const session = await openSession(front.origin);
    const streams = [
      await stream(front.origin, session.request(...CALL)),
      await stream(front.origin, session.get()),
      await stream(front.origin, modern('tools/call', { name: 't' })),
      await stream(front.origin, { method: 'GET', path: '/sse', headers: { Accept: 'text/event-stream' } }),
    ];

    await Promise.all(streams.map((one) => seen(one, /:\n\n[^]*:\n\n[^]*:\n\n/)));
    for (const one of streams) expect(one.inbox.all).toEqual([]);
    streams.forEach((one) => one.close());
  });

  test('begins after a moment, and until then the answer may be plain JSON', async () => {
    const held = await start({ legacyStreamDelay: 60_000 });
    const session = await openSession(front.origin);
    const answered = send(front.origin, session.request(...CALL));
    await held.begun.promise;
    held.end.resolve('soon');

    expect((await answered).headers['content-type']).toBe('application/json');
  });

  test('beats every 15 s and begins after 1 s unless told otherwise', () => {
    expect(BOUNDS).toMatchObject({ streamHeartbeat: 15_000, legacyStreamDelay: 1_000, sessionIdleTime: 3_600_000 });
  });
});

describe('A reader at full speed', () => {
  test('gets an answer of any size on the stream of its call, in both eras', async () => {
    const held = await start({ slowReaderBuffer: 64 * 1024, slowReaderTime: 0, streamHeartbeat: 100 });
    const session = await openSession(front.origin);
    const large = 'x'.repeat(17 << 20);
    const streams = [
      await stream(front.origin, session.request(...CALL)),
      await stream(front.origin, modern('tools/call', { name: 't' })),
    ];
    for (const one of streams) await seen(one, /:\n\n/);
    held.end.resolve(large);

    for (const one of streams) expect(textOf(await one.inbox.find({ id: 1 })) === large).toBe(true);
  });
});

describe('A reader that is too slow', () => {
  test('is cut off, its legacy call goes on, and it can come back for the end', async () => {
    const held = await start({ slowReaderBuffer: 64 * 1024, slowReaderTime: 0, replayBytes: 32 * 1024 });
    const session = await openSession(front.origin);
    const request = open(front.origin, session.request(...CALL));
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    let head = '';
    response.setEncoding('utf8').on('data', (text: string) => (head += text));
    while (!/^id: .*$/m.test(head)) await new Promise((resolve) => setImmediate(resolve));
    response.pause();
    const cut = new Promise((resolve) => response.once('close', resolve));
    response.on('error', () => undefined);
    const { exchange } = await held.begun.promise;
    const message = 'x'.repeat(64 * 1024);
    // sockets hold megabytes of their own
    for (let count = 0; count < 400; count += 1) exchange.progress({ progress: count, message });
    response.resume();
    await cut;
    expect(response.complete).toBe(false);
    expect(exchange.signal.aborted).toBe(false);
    held.end.resolve('after all');
    const id = /^id: (.*)$/m.exec(head)?.[1] ?? '';
    const back = await stream(front.origin, session.get({ 'Last-Event-ID': id }));

    expect(textOf(await back.inbox.find({ id: 1 }))).toBe('after all');
  });

  test('of HTTP+SSE loses its session, and its calls are cancelled', async () => {
    const held = await start({ slowReaderBuffer: 64 * 1024, slowReaderTime: 0 });
    const sse = await startSse();
    sse.post('initialize', { protocolVersion: '2024-11-05', capabilities: {} });
    sse.post(...CALL);
    const { exchange } = await held.begun.promise;
    sse.response.pause();
    const message = 'x'.repeat(64 * 1024);
    for (let count = 0; count < 400 && !exchange.signal.aborted; count += 1) {
      exchange.progress({ progress: count, message });
      await new Promise((resolve) => setImmediate(resolve));
    }

    expect(exchange.signal.aborted).toBe(true);
    sse.response.destroy();
  });
});

/** A client of HTTP+SSE that the test can pause. */
async function startSse() {
  const [response] = (await once(
    open(front.origin, { method: 'GET', path: '/sse', headers: { Accept: 'text/event-stream' } }),
    'response',
  )) as [IncomingMessage];
  response.on('error', () => undefined);
  const [chunk] = (await once(response, 'data')) as [Buffer];
  const path = /^data: (.*)$/m.exec(chunk.toString())?.[1] ?? '';
  const post = (method: string, params: JsonObject) =>
    void send(front.origin, {
      path,
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: method, method, params }),
    });
  return { response, post };
}

describe('A client that comes back', () => {
  test('gets what it missed and the answer, once, and is told when nothing more will come', async () => {
    const held = await start();
    const session = await openSession(front.origin);
    const lost = await stream(front.origin, session.request(...CALL));
    await progress(held, 1);
    await lost.inbox.find({ method: 'notifications/progress' });
    lost.close();
    await lost.ended;
    await progress(held, 2);
    const back = await stream(front.origin, session.get({ 'Last-Event-ID': lastId(lost) }));
    await progress(held, 3);
    held.end.resolve('found');
    expect(textOf(await back.inbox.find({ id: 1 }))).toBe('found');
    await back.ended;

    expect(back.inbox.all.map(({ params }) => (params as JsonObject | undefined)?.progress)).toEqual([2, 3, undefined]);
    const over = await send(front.origin, session.get({ 'Last-Event-ID': lastId(back) }));
    expect([over.status, over.text]).toEqual([204, '']);
    const again = await stream(front.origin, session.get({ 'Last-Event-ID': lastId(lost) }));
    await again.ended;
    expect(again.inbox.all).toHaveLength(3);
  });

  test('with an id that is unknown, or of another session, is told so, and nobody is disturbed', async () => {
    const held = await start();
    const [one, other] = [await openSession(front.origin), await openSession(front.origin)];
    const running = await stream(front.origin, one.request(...CALL));
    await seen(running, /^id: /m);
    for (const id of ['unknown', lastId(running), `${lastId(running)}x`]) {
      const refused = await send(front.origin, other.get({ 'Last-Event-ID': id }));
      expect([refused.status, (JSON.parse(refused.text) as { error: JsonObject }).error.code]).toEqual([400, -32600]);
    }
    const stranger = { 'Last-Event-ID': lastId(running), Authorization: 'Bearer stranger' };
    expect((await send(front.origin, one.get(stranger))).status).toBe(404);
    held.end.resolve('undisturbed');

    expect(textOf(await running.inbox.find({ id: 1 }))).toBe('undisturbed');
  });

  test('to a standing stream gets the news that it missed', async () => {
    await start();
    const session = await openSession(front.origin);
    const standing = await stream(front.origin, session.get());
    await seen(standing, /^id: /m);
    standing.close();
    await standing.ended;
    const notified = Promise.withResolvers<undefined>();
    const caller = { principal: LOCAL, endpoint: ALL_SERVERS };
    front.changes.subscribe({ caller, listsChanged: () => notified.resolve(undefined) }, new Set());
    front.changes.listsChanged('s', ['tool']);
    await notified.promise;
    const back = await stream(front.origin, session.get({ 'Last-Event-ID': lastId(standing) }));

    expect(await back.inbox.next()).toMatchObject({ method: 'notifications/tools/list_changed' });
    back.close();
  });

  test('after its call was cancelled is told that nothing more will come', async () => {
    await start();
    const session = await openSession(front.origin);
    const running = await stream(front.origin, session.request(...CALL));
    await seen(running, /^id: /m);
    await send(front.origin, session.notification('notifications/cancelled', { requestId: 1 }));
    await running.ended;

    expect((await send(front.origin, session.get({ 'Last-Event-ID': lastId(running) }))).status).toBe(204);
  });
});

describe('A stream is opened with a priming event', () => {
  test.each([
    ['2025-11-25', true],
    ['2025-06-18', false],
    ['2025-03-26', false],
  ])('in a session of %s: %s', async (version, primed) => {
    const held = await start();
    const session = await openSession(front.origin, { version });
    const [call, standing] = [
      await stream(front.origin, session.request(...CALL)),
      await stream(front.origin, session.get()),
    ];
    await progress(held, 1);
    await call.inbox.next();
    held.end.resolve('done');
    await call.ended;

    expect(call.raw().includes('retry: 1000\ndata: \n\n')).toBe(primed);
    expect(call.raw().startsWith('id: ')).toBe(primed);
    expect(standing.raw().startsWith('id: ')).toBe(primed);
    standing.close();
  });

  test('and never in the modern era', async () => {
    const held = await start();
    const running = await stream(front.origin, modern('tools/call', { name: 't' }));
    held.end.resolve('done');
    await running.ended;

    expect(running.raw()).not.toMatch(/^(id|retry):/m);
  });
});

async function clientV1(url: URL): Promise<ClientV2> {
  const client = new ClientV1({ name: 'p', version: '1' });
  await client.connect(new HttpV1(url));
  const call = client.callTool.bind(client);
  client.callTool = (params, options) => call(params, undefined, options as unknown as Parameters<typeof call>[2]); // as in v2
  return client as unknown as ClientV2;
}

async function clientV2(url: URL): Promise<ClientV2> {
  const client = new ClientV2({ name: 'p', version: '1' });
  await client.connect(new HttpV2(url));
  return client;
}

const CLIENTS = [
  ['SDK v1', clientV1],
  ['SDK v2', clientV2],
] as const;
const POLLING = { callStreamAge: 20, streamHeartbeat: 10, pollDelay: 10 };

describe('A call that takes long', () => {
  test('is left to polling in 2025-11-25, as often as it takes', async () => {
    const held = await start(POLLING);
    const session = await openSession(front.origin);
    let running = await stream(front.origin, session.request(...CALL));
    for (let polls = 0; polls < 3; polls += 1) {
      await running.ended;
      running = await stream(front.origin, session.get({ 'Last-Event-ID': lastId(running) }));
      expect(running.status).toBe(200);
    }
    held.end.resolve('polled');

    expect(textOf(await running.inbox.find({ id: 1 }))).toBe('polled');
  });

  test('keeps its connection in older sessions, and standing streams always do', async () => {
    const held = await start(POLLING);
    const [older, newer] = [
      await openSession(front.origin, { version: '2025-06-18' }),
      await openSession(front.origin),
    ];
    const call = await stream(front.origin, older.request(...CALL));
    const standing = await stream(front.origin, newer.get());
    await Promise.all([seen(call, /(:\n\n[^]*){5}/), seen(standing, /(:\n\n[^]*){5}/)]);
    held.end.resolve('kept');

    expect(textOf(await call.inbox.find({ id: 1 }))).toBe('kept');
    standing.close();
  });

  test.each(CLIENTS)('is answered to a client of %s that polls for it', async (_kind, make) => {
    const held = await start(POLLING);
    const client = await make(new URL(`${front.origin}/mcp`));
    const answered = client.callTool({ name: 't', arguments: {} });
    await held.begun.promise;
    while (front.resumed() < 2) await new Promise((resolve) => setImmediate(resolve));
    held.end.resolve('polled');

    expect(await answered).toMatchObject({ content: [{ text: 'polled' }] });
    await client.close();
  });

  test.each(CLIENTS)('and is cancelled by a client of %s is not polled for ever', async (_kind, make) => {
    const held = await start({ pollDelay: 1 });
    const client = await make(new URL(`${front.origin}/mcp`));
    const cancellation = new AbortController();
    const heard = Promise.withResolvers<unknown>();
    const answered = client.callTool(
      { name: 't', arguments: {} },
      { signal: cancellation.signal, onprogress: heard.resolve },
    );
    const refused = expect(answered).rejects.toThrow();
    const { exchange } = await held.begun.promise;
    exchange.progress({ progress: 1 });
    await heard.promise;
    cancellation.abort();
    await refused;
    for (let count = 0; count < 100; count += 1) await client.ping();

    expect(exchange.signal.aborted).toBe(true);
    expect(front.resumed()).toBeLessThanOrEqual(1);
    await client.close();
  });
});

describe('A session', () => {
  test('that is idle for an hour has ended; one that is used, or has a stream, has not', async () => {
    let now = 1_000;
    const held = await start({ sessionIdleTime: 3_600_000 }, () => now);
    const [used, idle, streamed, busy] = [
      await openSession(front.origin),
      await openSession(front.origin),
      await openSession(front.origin),
      await openSession(front.origin),
    ];
    const standing = await stream(front.origin, streamed.get());
    const running = await stream(front.origin, busy.request(...CALL));
    const ping = async (session: typeof used) =>
      (await send(front.origin, session.request('ping', {}, { id: 'p' }))).status;
    now += 3_600_000;
    expect(await ping(used)).toBe(200);
    now += 1;
    expect([await ping(idle), await ping(idle), await ping(used)]).toEqual([404, 404, 200]);
    expect([await ping(streamed), await ping(busy)]).toEqual([200, 200]);
    held.end.resolve('done');
    await running.ended;
    standing.close();
    await standing.ended;
  });

  test('that nobody asks for any more is found by itself', async () => {
    let now = 0;
    const held = await start({ sessionSweep: 5 }, () => now);
    const session = await openSession(front.origin);
    const answered = send(front.origin, session.request(...CALL));
    const ended = held.begun.promise.then(
      ({ session: link }) => new Promise<void>((resolve) => link?.standing.signal.onAbort(resolve)),
    );
    await held.begun.promise;
    held.end.resolve('done');
    await answered;
    now += BOUNDS.sessionIdleTime + 1;
    await ended;

    expect((await send(front.origin, session.request('ping'))).status).toBe(404);
  });
});
