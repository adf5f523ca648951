// What callers are told beside answers: only what they asked for, and only about what may be used.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Cancellation } from '../../../src/core/cancellation.ts';
import { ownExchange } from '../../../src/core/exchange.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { type EventStream, modern, openSession, send, stream } from '../../integration/harness/raw.ts';
import { openEvents, said } from '../../integration/harness/scripted.ts';
import { Composition } from './composition.ts';

const UPDATED = 'notifications/resources/updated';
const OFFER = { tools: ['echo'], resources: ['mem://open', 'mem://also', 'mem://secret'] };
const SECRET = { resources: { deny: ['mem://secret'] } };

const uriOf = ({ params }: JsonObject) => (params as JsonObject).uri;

describe('resources that are followed', () => {
  async function listen(gateway: Composition, resources: readonly string[]): Promise<EventStream> {
    const notifications = { resourceSubscriptions: [...resources] };
    return stream(gateway.origin, modern('subscriptions/listen', { notifications }));
  }

  /** What a listener was told, up to this URI. */
  async function toldUpTo({ inbox }: EventStream, uri: string): Promise<unknown[]> {
    while (uriOf(await inbox.find({ method: UPDATED })) !== uri);
    return inbox.all.filter(({ method }) => method === UPDATED).map(uriOf);
  }

  test('a listener follows those that it may read, and hears of no others', async () => {
    const gateway = await Composition.start({ servers: { s: OFFER }, entries: { s: SECRET } });
    const listener = await listen(gateway, ['mem://secret', 'mem://nothing', 'mem://open']);

    const { params } = await listener.inbox.find({ method: 'notifications/subscriptions/acknowledged' });
    const asked = await gateway
      .fake()
      .visited('subscriptions/listen', ({ params: { notifications } }) =>
        JSON.stringify(notifications).includes('mem://open'),
      );
    for (const uri of ['mem://secret', 'mem://also', 'mem://open']) gateway.fake().notify(UPDATED, { uri });

    expect((params as JsonObject).notifications).toEqual({ resourceSubscriptions: ['mem://open'] });
    expect(JSON.stringify(asked.params)).not.toContain('mem://secret');
    expect(await toldUpTo(listener, 'mem://open')).toEqual(['mem://open']);
  });

  test('a reload that denies one ends what a listener and a session hear of it', async () => {
    const gateway = await Composition.start({ servers: { s: OFFER } });
    const session = await openSession(gateway.origin);
    for (const uri of ['mem://open', 'mem://also'])
      await send(gateway.origin, session.request('resources/subscribe', { uri }));
    const standing = await stream(gateway.origin, session.get());
    await standing.firstId;
    const listener = await listen(gateway, ['mem://open', 'mem://also']);
    await listener.inbox.find({ method: 'notifications/subscriptions/acknowledged' });

    gateway.fake().notify(UPDATED, { uri: 'mem://also' });
    for (const one of [listener, standing]) expect(await toldUpTo(one, 'mem://also')).toEqual(['mem://also']);
    await gateway.reload(gateway.file({ entries: { s: { resources: { deny: ['mem://also'] } } } }));
    for (const uri of ['mem://also', 'mem://open']) gateway.fake().notify(UPDATED, { uri });

    for (const one of [listener, standing])
      expect(await toldUpTo(one, 'mem://open')).toEqual(['mem://also', 'mem://open']);
  });

  test('a reload that replaces the server leaves a listener and a session where they were', async () => {
    const gateway = await Composition.start({ servers: { s: OFFER } });
    const session = await openSession(gateway.origin);
    await send(gateway.origin, session.request('resources/subscribe', { uri: 'mem://open' }));
    const standing = await stream(gateway.origin, session.get());
    await standing.firstId;
    const listener = await listen(gateway, ['mem://also']);
    await listener.inbox.find({ method: 'notifications/subscriptions/acknowledged' });

    await gateway.reload(gateway.file({ entries: { s: { headers: { 'X-Replaced': 'yes' } } } }));
    const asked = await gateway
      .fake()
      .visited('subscriptions/listen', ({ headers, params }) =>
        ['mem://open', 'mem://also'].every(
          (uri) => headers['x-replaced'] === 'yes' && JSON.stringify(params.notifications).includes(uri),
        ),
      );

    expect(asked.headers['x-replaced']).toBe('yes');
    // each may have missed a change in between
    expect(uriOf(await listener.inbox.find({ method: UPDATED }))).toBe('mem://also');
    expect(uriOf(await standing.inbox.find({ method: UPDATED }))).toBe('mem://open');
  });

  test('what a session lets go, and what ended with it, is asked of the server no longer', async () => {
    const gateway = await Composition.start({ servers: { s: OFFER } });
    const session = await openSession(gateway.origin);
    const renewed = (present: readonly string[], absent: readonly string[]) =>
      gateway.fake().visited('subscriptions/listen', ({ params }) => {
        const asked = JSON.stringify(params.notifications);
        return present.every((uri) => asked.includes(uri)) && !absent.some((uri) => asked.includes(uri));
      });

    for (const uri of ['mem://open', 'mem://also'])
      await send(gateway.origin, session.request('resources/subscribe', { uri }));
    await renewed(['mem://open', 'mem://also'], []);
    await send(gateway.origin, session.request('resources/unsubscribe', { uri: 'mem://open' }));
    await renewed(['mem://also'], ['mem://open']);
    const count = gateway.fake().listenings.length;
    await send(gateway.origin, session.delete());
    while (gateway.fake().listenings.length === count) await gateway.fake().nextListening();

    expect(JSON.stringify(gateway.fake().listenings.at(-1)?.params)).not.toContain('mem://');
  });
});

describe('of a call that takes long', () => {
  beforeEach(() => vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
  afterEach(() => vi.useRealTimers());

  /** Calls a tool that is held; `beats` counts the signs of life of its caller. */
  function call(gateway: Composition, wantsProgress: boolean) {
    const counted = { beats: 0 };
    const heartbeat = () => {
      counted.beats += 1;
    };
    const exchange = { ...ownExchange(new Cancellation().signal), wantsProgress, heartbeat };
    return { counted, answered: gateway.direct('tools/call', { name: 's__hold' }, { exchange }) };
  }

  test('only a caller that wants progress gets signs of life, and none after the end', async () => {
    const gateway = await Composition.start({ servers: { s: { tools: ['hold'] } } });
    const calls = [call(gateway, true), call(gateway, false)];
    const beats = () => calls.map(({ counted }) => counted.beats);
    await gateway.fake().holds(2);

    vi.advanceTimersByTime(20_000);
    const during = beats();
    gateway.fake().release();
    await Promise.all(calls.map(({ answered }) => answered));
    vi.advanceTimersByTime(60_000);

    expect(during).toEqual([2, 0]);
    expect(beats()).toEqual(during);
  });

  test('the caller of a later one gets signs of life too, and no timer runs in between', async () => {
    const gateway = await Composition.start({ servers: { s: { tools: ['hold'] } } });
    const timers = vi.getTimerCount();
    const first = call(gateway, true);
    await gateway.fake().holds(1);
    const during = vi.getTimerCount();
    gateway.fake().release();
    await first.answered;
    const between = vi.getTimerCount();
    const later = call(gateway, true);
    await gateway.fake().holds(1);

    vi.advanceTimersByTime(20_000);
    gateway.fake().release();
    await later.answered;

    expect([during, between]).toEqual([timers + 1, timers]);
    expect(later.counted.beats).toBe(2);
  });
});

describe('what a server says during a call', () => {
  const start = () =>
    Composition.start({
      servers: {
        s: {
          ...OFFER,
          script: (visit) => {
            if (visit.rpc !== 'tools/call') return undefined;
            const say = openEvents(visit);
            const { progressToken = null } = (visit.params._meta ?? {}) as JsonObject;
            say({ method: 'notifications/progress', params: { progressToken, progress: 1 } });
            for (const level of ['debug', 'error'])
              say({ method: 'notifications/message', params: { level, data: 'said' } });
            say({ id: visit.id ?? null, result: said('done') });
            visit.response.end();
            return undefined;
          },
        },
      },
    });

  const told = async (gateway: Composition, meta: JsonObject) => {
    const opened = await stream(gateway.origin, modern('tools/call', { name: 's__echo' }, { meta }));
    await opened.inbox.find({ id: 1 });
    return opened.inbox.all.filter(({ method }) => method !== undefined);
  };

  test('reaches the caller as far as it asked for it, under its own token', async () => {
    const gateway = await start();

    const progress = await told(gateway, { progressToken: 'mine' });
    const logs = await told(gateway, { 'io.modelcontextprotocol/logLevel': 'warning' });

    expect(progress).toEqual([
      expect.objectContaining({
        method: 'notifications/progress',
        params: expect.objectContaining({ progressToken: 'mine', progress: 1 }) as unknown,
      }),
    ]);
    expect(logs).toMatchObject([{ method: 'notifications/message', params: { level: 'error' } }]);
  });

  test('does not make a stream of the answer to a caller that asked for none of it', async () => {
    const gateway = await start();

    const answer = await send(gateway.origin, modern('tools/call', { name: 's__echo' }));

    expect(answer.headers['content-type']).toBe('application/json');
    expect(answer.text).toContain('done');
  });
});
