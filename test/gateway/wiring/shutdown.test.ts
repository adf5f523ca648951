// The end of a composed gateway: it takes no new calls, waits for those in flight, and every call has an outcome in the log.
import { setImmediate } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { VERSION } from '../../../src/cli/version.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { workspace } from '../../integration/harness/gateway.ts';
import { modern, openSession, send, stream } from '../../integration/harness/raw.ts';
import { Composition } from './composition.ts';
import { FakeServer } from './fake-server.ts';

test('while it drains new calls are refused, those in flight are waited for, listeners end well', async () => {
  const gateway = await Composition.start({ servers: { s: { tools: ['echo', 'hold'] } } });
  const session = await openSession(gateway.origin);
  const listener = await stream(
    gateway.origin,
    modern('subscriptions/listen', { notifications: { toolsListChanged: true } }, { id: 'mine' }),
  );
  await listener.inbox.find({ method: 'notifications/subscriptions/acknowledged' });
  const held = gateway.ask('tools/call', { name: 's__hold' });
  await gateway.fake().holds(1);

  let isDrained = false;
  const drained = gateway.running.drain().then(() => (isDrained = true));
  const ended = await listener.inbox.find({ id: 'mine' });
  const refused = await gateway.ask('tools/call', { name: 's__echo' });
  const legacy = await send(gateway.origin, session.request('tools/list'));
  const ready = await gateway.ready();
  const early = isDrained;
  gateway.fake().release();
  const answered = await held;
  await drained;

  expect(ended).toMatchObject({
    result: { resultType: 'complete', _meta: { 'io.modelcontextprotocol/subscriptionId': 'mine' } },
  });
  expect(refused).toMatchObject({ status: 503, error: { data: { reason: 'shutting_down' } } });
  expect(legacy.text).toContain('shutting_down');
  expect(ready).toMatchObject({ status: 503, ready: false, audit: { writable: true } });
  expect(early).toBe(false);
  expect(answered.error).toBeUndefined();
  expect(gateway.records()).toMatchObject([
    { method: 'subscriptions/listen', status: 'ok' },
    { method: 'tools/call', exposed: 's__hold', status: 'ok' },
    { method: 'tools/call', status: 'refused', error: 'shutting_down' },
    { method: 'tools/list', status: 'refused', error: 'shutting_down' },
  ]);
});

test('while it drains no server is started, not even one that an edit adds', async () => {
  const gateway = await Composition.start({ servers: { s: { tools: ['hold'] } } });
  const added = await FakeServer.start({ tools: ['echo'] });
  onTestFinished(() => added.stop());
  const held = gateway.ask('tools/call', { name: 's__hold' });
  await gateway.fake().holds(1);

  const drained = gateway.running.drain();
  await gateway.reload(gateway.file({ entries: { added: { url: added.url } } }));
  const inForce = gateway.events('config_reloaded').length;
  const state = gateway.gateway.servers().find(({ name }) => name === 'added')?.state;
  for (let round = 0; round < 3; round++) await gateway.ready();
  gateway.fake().release();
  await Promise.all([held, drained]);

  expect(inForce).toBe(1);
  expect(state).toBe('connecting');
  expect(added.count('server/discover')).toBe(0);
});

test('a stop without a drain before it waits for calls in flight too', async () => {
  const gateway = await Composition.start({ servers: { s: { tools: ['hold'] } } });
  const held = gateway.direct('tools/call', { name: 's__hold' });
  await gateway.fake().holds(1);

  const stopped = gateway.gateway.stop();
  gateway.fake().release('late');
  const answered = await held;
  await stopped;

  expect(answered).toMatchObject({ result: { content: [{ text: 'late' }] } });
  expect(gateway.records()).toMatchObject([{ status: 'ok' }]);
});

test('what it does not wait for any longer is cancelled at its server, and ends with what is not known', async () => {
  const gateway = await Composition.start({ servers: { s: { tools: ['hold'] } } });
  const held = gateway.direct('tools/call', { name: 's__hold' });
  const failure = held.catch((error: unknown) => error);
  await gateway.fake().holds(1);

  // whose state directory is another's by now cannot record what ends, and does not wait for it
  gateway.loseState();
  await gateway.running.drain();

  // it is looked after the lock now and then
  expect(await failure).toMatchObject({
    code: expect.stringMatching(/^(audit_unavailable|gateway_closed)$/) as string,
  });
  expect(await gateway.gateway.stateDirectory.lost).toBeInstanceOf(Error);
  await gateway.fake().holdsNone();
});

test('what is cut short is told to its caller before the gateway is done', async () => {
  const order: string[] = [];
  const asked = Promise.withResolvers<void>();
  const told = Promise.withResolvers<void>();
  const beforeError = () => {
    asked.resolve();
    return told.promise;
  };
  const gateway = await Composition.start({ servers: { s: { tools: ['hold'] } } });
  const held = gateway.direct('tools/call', { name: 's__hold' }, { beforeError });
  const failure = held.catch(() => order.push('told'));
  await Promise.all([gateway.fake().holds(1), gateway.fake().listening()]);

  gateway.loseState();
  const drained = gateway.running.drain().then(() => order.push('drained'));
  await Promise.all([asked.promise, gateway.fake().left(), gateway.fake().holdsNone()]);
  await setImmediate();
  told.resolve();
  await Promise.all([failure, drained]);

  expect(order).toEqual(['told', 'drained']);
});

test('the log begins with the start and ends with the stop, and no server is left connected', async () => {
  const gateway = await Composition.start({ servers: { s: { tools: ['echo'] } } });
  await gateway.ask('tools/call', { name: 's__echo' });
  await gateway.fake().listening();

  await gateway.running.stop();
  await gateway.fake().left();

  expect(gateway.events('gateway_started')).toMatchObject([
    { detail: { version: VERSION, config: gateway.record().config } },
  ]);
  expect(gateway.lines().at(-1)).toMatchObject({ kind: 'event', event: 'gateway_stopped' });
  // a refusal is recorded too, and there is no log any more
  await expect(gateway.direct('tools/call', { name: 's__echo' })).rejects.toMatchObject({ code: 'audit_unavailable' });
  expect(gateway.fake().calls).toHaveLength(1);
});

test('an edit that is being put in force is in force before the gateway stops', async () => {
  const gateway = await Composition.start({ servers: { s: { tools: ['echo'] } } });
  const close = gateway.folders.close.bind(gateway.folders);
  let atTheEnd: number | undefined;
  vi.spyOn(gateway.folders, 'close').mockImplementation(() => {
    atTheEnd ??= gateway.events('config_reloaded').length;
    close();
  });

  const reloaded = gateway.reload(gateway.file({ entries: { s: { tools: { deny: ['echo'] } } } }));
  await gateway.running.stop();
  await reloaded;

  const ends = gateway.lines().filter(({ event }) => event === 'config_reloaded' || event === 'gateway_stopped');
  expect(ends).toMatchObject([{ event: 'config_reloaded' }, { event: 'gateway_stopped' }]);
  expect(atTheEnd).toBe(1); // it was read while its folders were open
  expect(gateway.events('config_refused')).toEqual([]);
});

test('what a server offered is known after a restart, and under the same patterns, though it is away by then', async () => {
  const space = workspace({});
  onTestFinished(() => space.remove());
  const before = await Composition.start({ space, servers: { s: { tools: ['echo', 'secret'] } } });
  const { url } = before.fake();
  await before.close();

  const after = await Composition.start({ space, entries: { s: { url, tools: { deny: ['secret'] } } } });
  const listed = await after.ask('tools/list');
  const called = await after.ask('tools/call', { name: 's__echo' });
  const denied = await after.ask('tools/call', { name: 's__secret' });

  expect((listed.result?.tools as JsonObject[]).map(({ name }) => name)).toEqual(['s__echo']);
  expect(called.error).toMatchObject({ code: -33010 });
  expect(denied.error).toMatchObject({ code: -32602 });
  expect(after.records().slice(-2)).toMatchObject([
    { status: 'unreachable', server: 's', decision: { allowed: true } },
    { status: 'refused', server: 's', decision: { allowed: false } },
  ]);
});
