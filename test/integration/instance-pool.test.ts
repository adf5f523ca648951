// How many instances of a server there are, when they are started and stopped, and what a call meets when there is none for it.
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { setMark } from '../../fixtures/servers/marks.ts';
import { onTestFinished, tellTestsApart } from '../apart.ts';
import { fixture, openGateway, startGateway, workspace } from './harness/gateway.ts';
import { openTried } from './harness/kept.ts';
import { descendants } from '../upstream/mcp/processes.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { modern, openPipe, resultOf, send } from './harness/raw.ts';
import { SessionClient } from './harness/session-client.ts';
import { statusOf, statusUntil, until } from './harness/status.ts';

tellTestsApart();

const ASKABLE = { elicitation: {} };
const PRIVATE = fixture('private-stdio.ts');

/** A place for a server that writes down its starts. */
function counted(...args: string[]) {
  const space = workspace({});
  const file = join(space.directory, 'starts');
  onTestFinished(() => space.remove());
  return {
    space,
    server: fixture('private-stdio.ts', '--starts', file, ...args),
    starts: () => (existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n').length : 0),
    write: (server: object) => space.write('mcp-gateway.json', { mcpServers: { s: server } }),
  };
}

const owned = ({ instances }: { instances: readonly { owner?: string }[] }) =>
  instances.filter(({ owner }) => owner !== undefined);

test.concurrent(
  'calls of one session share its process though the server asks: a question outlives the call that it came with',
  async () => {
    const config = { mcpServers: { s: { ...PRIVATE, isolation: 'session', instances: { max: 1 } } } };
    const gateway = await openTried({ config });
    const client = await SessionClient.open(gateway.origin, { capabilities: ASKABLE });
    const { self } = await client.facts('s');
    const first = await client.start('s__ask', { label: 'one' });
    const one = await first.inbox.find({ method: 'elicitation/create' });
    const second = await client.start('s__ask', { label: 'two' });
    const two = await first.inbox.find({ method: 'elicitation/create' });
    const busy = await statusUntil(gateway, 's', ({ inFlight }) => inFlight === 2);
    expect((await client.facts('s')).self).toBe(self);

    await client.answer(one, { action: 'decline' });
    expect(JSON.parse(await first.text)).toEqual({ self, answer: { action: 'decline' } });
    await client.answer(two, { action: 'accept', content: { a: 2 } });
    expect(JSON.parse(await second.text)).toEqual({ self, answer: { action: 'accept', content: { a: 2 } } });

    expect(owned(busy)).toMatchObject([{ inFlight: 2 }]);
    expect((await client.facts('s')).self).toBe(self);
    await statusUntil(
      gateway,
      's',
      ({ inFlight, instances, pool }) =>
        inFlight === 0 && pool.waiting === 0 && instances.every((each) => each.inFlight === 0),
    );
  },
);

test.concurrent(
  'a question is put to its caller until the call that asks has ended, whichever call carries it',
  async () => {
    const gateway = await openTried({ config: { mcpServers: { s: { ...PRIVATE, isolation: 'session' } } } });
    const client = await SessionClient.open(gateway.origin, { capabilities: ASKABLE });
    const held = await client.start('s__hold', {}, 7);
    const asking = await client.start('s__ask', { label: 'of the second call' });
    const question = await held.inbox.find({ method: 'elicitation/create' });
    await client.notify('notifications/cancelled', { requestId: 7 });
    await statusUntil(gateway, 's', ({ inFlight }) => inFlight === 1);
    await client.answer(question, { action: 'accept', content: {} });

    expect(JSON.parse(await asking.text)).toMatchObject({ answer: { action: 'accept' } });
  },
);

test.concurrent(
  'what one call of a principal asks cannot reach another of its clients: each call that may ask has a process for itself',
  async () => {
    const gateway = await openTried({ config: { mcpServers: { s: { ...PRIVATE, isolation: 'session' } } } });
    const meta = { 'io.modelcontextprotocol/clientCapabilities': ASKABLE };
    const call = async (name: string, more = {}) =>
      resultOf(
        await send(gateway.origin, modern('tools/call', { name, arguments: { label: 'x' }, ...more }, { meta })),
      );
    const factsOf = ({ content }: JsonObject) =>
      JSON.parse((content as { text: string }[])[0]?.text ?? '') as { self: string; answer?: object };
    const parked = [await call('s__ask'), await call('s__ask')];
    const between = factsOf(await call('s__facts'));
    const retried = parked.map(({ requestState }, index) =>
      call('s__ask', { requestState, inputResponses: { q1: { action: 'accept', content: { index } } } }),
    );

    expect(parked.map(({ inputRequests }) => Object.keys(inputRequests as object))).toEqual([['q1'], ['q1']]);
    const answered = (await Promise.all(retried)).map(factsOf);
    expect(answered.map(({ answer }) => answer)).toEqual(
      [0, 1].map((index) => ({ action: 'accept', content: { index } })),
    );
    expect(new Set([between, ...answered].map(({ self }) => self)).size).toBe(3);
  },
);

test.concurrent('calls that come while their process starts wait for that one', async () => {
  const { space, server, starts, write } = counted();
  write({ ...server, isolation: 'session' });
  const gateway = await openTried({ space });
  const client = await SessionClient.open(gateway.origin, { capabilities: ASKABLE });
  const before = starts();
  const calls = await Promise.all([client.facts('s'), client.facts('s'), client.facts('s')]);

  expect(new Set(calls.map(({ self }) => self)).size).toBe(1);
  expect(starts()).toBe(before + 1);
});

test.concurrent(
  'a call that is cancelled while its process starts fails at once, and the next call of its owner gets the process',
  async () => {
    const mark = randomUUID();
    const { space, server, starts, write } = counted('--held', mark);
    write({ ...server, isolation: 'session' });
    const gateway = await openTried({ space });
    const client = await SessionClient.open(gateway.origin);
    const before = starts();
    const calls = [1, 2]; // the second waits for the same process
    for (const id of calls) client.start('s__facts', {}, id).catch(() => undefined);
    const staying = client.facts('s');
    await statusUntil(gateway, 's', ({ inFlight }) => inFlight === 3 && starts() > before);

    for (const requestId of calls) await client.notify('notifications/cancelled', { requestId });
    const left = await statusUntil(gateway, 's', ({ inFlight }) => inFlight === 1);
    const next = client.facts('s');
    await statusUntil(gateway, 's', ({ inFlight }) => inFlight === 2);
    setMark(mark);

    expect(owned(left)).toEqual([]); // it has not started yet
    expect((await next).self).toBe((await staying).self);
    expect(starts()).toBe(before + 1);
    expect(owned(await statusOf(gateway, 's'))).toMatchObject([{ inFlight: 0 }]);
    expect(await statusOf(gateway, 's')).toMatchObject({ errors: [], circuit: 'closed' });
  },
);

test.concurrent(
  'whoever waits too long for an instance is told that all are in use, and can call again when one is free',
  async () => {
    const config = {
      mcpServers: { s: { ...PRIVATE, isolation: 'session', instances: { max: 1 }, timeouts: { total: '1s' } } },
    };
    const gateway = await openTried({ config });
    const [busy, late] = await Promise.all([
      SessionClient.open(gateway.origin, { capabilities: ASKABLE }),
      SessionClient.open(gateway.origin),
    ]);
    const parked = await busy.start('s__ask', { label: 'first' });
    const question = await parked.inbox.find({ method: 'elicitation/create' });

    expect(JSON.parse(await late.call('s__facts'))).toMatchObject({
      message: expect.stringContaining('All 1 instances of the server "s" are in use (instances.max)') as string,
      data: { reason: 'overloaded' },
    });
    await busy.answer(question, { action: 'decline' });
    await parked.text;
    expect((await late.facts('s')).self).not.toBe((JSON.parse(await parked.text) as { self: string }).self);
  },
);

test.concurrent('an unused instance makes room for that of another session', async () => {
  const gateway = await openTried({
    config: { mcpServers: { s: { ...PRIVATE, isolation: 'session', instances: { max: 1 } } } },
  });
  const [one, two] = await Promise.all([SessionClient.open(gateway.origin), SessionClient.open(gateway.origin)]);
  const selves = [await one.facts('s'), await two.facts('s'), await one.facts('s')].map(({ self }) => self);

  expect(new Set(selves).size).toBe(3);
  expect(owned(await statusOf(gateway, 's'))).toHaveLength(1);
  expect(gateway.log()).toContain('another session needed its place');
  expect((await statusOf(gateway, 's')).restarts).toBe(0);
});

test.concurrent('what is not used is stopped, and started again by a call but not by a list', async () => {
  const { space, server, starts, write } = counted();
  write({ ...server, instances: { idle: '500ms' } });
  const gateway = await openTried({ space });
  const client = await SessionClient.open(gateway.origin);
  await statusUntil(gateway, 's', ({ state }) => state === 'idle');

  const before = starts();
  expect(await client.tools()).toContain('s__facts');
  expect(await statusOf(gateway, 's')).toMatchObject({ state: 'idle', instances: [], stale: false });
  expect(starts()).toBe(before);
  const calls = await Promise.all([client.facts('s'), client.facts('s'), client.facts('s')]);

  expect(new Set(calls.map(({ self }) => self)).size).toBe(1);
  expect(starts()).toBe(before + 1);
  expect((await statusOf(gateway, 's')).restarts).toBe(0);
  for (let round = 0; round < 5; round++) {
    await statusUntil(gateway, 's', ({ state }) => state !== 'ready');
    expect((await client.facts('s')).level).toBe('info'); // a call in the middle of the stop waits for the next start
  }
});

test.concurrent('the instance of a session that is not used is stopped too, and the session gets another', async () => {
  const gateway = await openTried({
    config: { mcpServers: { s: { ...PRIVATE, isolation: 'session', instances: { idle: '100ms' } } } },
  });
  const client = await SessionClient.open(gateway.origin);
  const { self } = await client.facts('s');
  await statusUntil(gateway, 's', (status) => owned(status).length === 0);
  expect((await client.facts('s')).self).not.toBe(self);
});

/** A lazy server whose offer is known from a run before; `before` is how often it was started by then. */
async function knownLazy(instances: object) {
  const { space, server, starts, write } = counted();
  write({ ...server, instances: { lazy: true, ...instances } });
  const first = await openGateway({ space });
  await first.attempted();
  await first.stop();
  const before = starts();
  return { space, starts, before };
}

test.concurrent(
  'a lazy server whose offer is known is listed without a process, and starts with the first call',
  async () => {
    const { space, starts, before } = await knownLazy({});

    const gateway = await openTried({ space });
    const client = await SessionClient.open(gateway.origin);
    expect(await client.tools()).toContain('s__facts');
    expect(await statusOf(gateway, 's')).toMatchObject({ state: 'idle', pool: { lazy: true } });
    expect(starts()).toBe(before);
    await client.facts('s');
    expect(starts()).toBe(before + 1);
    expect((await statusOf(gateway, 's')).state).toBe('ready');
  },
);

test.concurrent('a lazy server is started by whoever follows one of its resources, without a call', async () => {
  const { space, starts, before } = await knownLazy({ idle: '100ms' });
  const gateway = await openTried({ space });
  const client = await SessionClient.open(gateway.origin);
  expect(await client.request('resources/subscribe', { uri: 'private:///a' })).toEqual({});

  expect(starts()).toBe(before + 1);
  expect(await statusOf(gateway, 's')).toMatchObject({ state: 'ready' });
  expect((await client.facts('s')).subscribed).toEqual(['private:///a']);
  await client.call('s__touch', { uri: 'private:///a' });
  await client.news.inbox.find({ method: 'notifications/resources/updated' });
  await client.request('resources/unsubscribe', { uri: 'private:///a' });
  await statusUntil(gateway, 's', ({ state }) => state === 'idle');
  expect(starts()).toBe(before + 1);
});

test.concurrent('the end of a session stops its instances, over HTTP and over a pipe, and nobody else’s', async () => {
  const gateway = await openTried({ config: { mcpServers: { s: { ...PRIVATE, isolation: 'session' } } } });
  const [one, two] = await Promise.all([SessionClient.open(gateway.origin), SessionClient.open(gateway.origin)]);
  const pipe = openPipe(gateway);
  pipe.request(0, 'initialize', {
    protocolVersion: '2025-06-18',
    capabilities: {},
    clientInfo: { name: 'p', version: '1' },
  });
  await pipe.inbox.find({ id: 0 });
  pipe.request(1, 'tools/call', { name: 's__facts', arguments: {} });
  await pipe.inbox.find({ id: 1 });
  await one.facts('s');
  const { self } = await two.facts('s');
  expect(owned(await statusOf(gateway, 's'))).toHaveLength(3);

  await one.end();
  await statusUntil(gateway, 's', (status) => owned(status).length === 2);
  await pipe.end();
  await statusUntil(gateway, 's', (status) => owned(status).length === 1);
  expect((await two.facts('s')).self).toBe(self);
});

/** A gateway with a call whose process has started and says nothing. */
async function hanging() {
  const { space, server, starts, write } = counted('--others', 'hang');
  write({ ...server, isolation: 'session' });
  const gateway = await startGateway({ space });
  await gateway.attempted();
  const processes = () => descendants(gateway.process.pid ?? 0).length;
  const before = { starts: starts(), processes: processes() };
  const client = await SessionClient.open(gateway.origin);
  client.start('s__facts').catch(() => undefined);
  await until(
    () => statusOf(gateway, 's').then(starts),
    (count) => count > before.starts,
  );
  return { gateway, client, before: before.processes, processes };
}

test.concurrent('a session that ends while its process starts leaves none behind', async () => {
  const { gateway, client, before, processes } = await hanging();
  onTestFinished(async () => {
    await gateway.stop();
  });
  expect(processes()).toBeGreaterThan(before);
  await client.end();

  await until(
    () => statusOf(gateway, 's').then(processes),
    (count) => count === before,
  );
  expect(await statusOf(gateway, 's')).toMatchObject({ errors: [], circuit: 'closed', state: 'ready' });
});

test.concurrent('the gateway stops though the process of a session has not answered yet', async () => {
  const { gateway } = await hanging();
  expect(await gateway.stop()).toBe(143); // after the 10 s that calls in flight have, and long before timeouts.start
});

test.concurrent('a server whose processes for sessions never start is not started with every call', async () => {
  const { space, server, starts, write } = counted('--others', 'exit');
  write({ ...server, isolation: 'session' });
  const gateway = await openTried({ space });
  const client = await SessionClient.open(gateway.origin);
  const before = starts();
  const answers: string[] = [];
  for (let call = 0; call < 20; call++) answers.push(await client.call('s__facts'));

  expect(starts() - before).toBeLessThan(12);
  expect(answers.at(-1)).toMatch(/could not be started for this caller \d+ times in a row|is not given calls for now/);
  const { state, errors, lastError } = await statusOf(gateway, 's');
  expect(state).toBe('ready');
  expect(errors.length).toBeLessThanOrEqual(10);
  expect(lastError).toMatch(/exit code 4/);
});
