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
import { openPipe } from './harness/raw.ts';
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
  'a server that asks runs one call at a time in each process: more calls get more, up to the limit, then they wait',
  async () => {
    const config = { mcpServers: { s: { ...PRIVATE, isolation: 'session', instances: { max: 2 } } } };
    const gateway = await openTried({ config });
    const client = await SessionClient.open(gateway.origin, { capabilities: ASKABLE });
    const parked = await client.start('s__ask', { label: 'one' });
    const first = await parked.inbox.find({ method: 'elicitation/create' });
    const second = await client.start('s__ask', { label: 'two' });
    const other = await second.inbox.find({ method: 'elicitation/create' });
    const third = client.facts('s');
    const busy = await statusUntil(gateway, 's', ({ pool }) => pool.waiting === 1);

    await client.answer(other, { action: 'accept', content: {} });
    const two = JSON.parse(await second.text) as { self: string };
    const { self } = await third;
    await client.answer(first, { action: 'decline' });
    const one = JSON.parse(await parked.text) as { self: string };

    expect(owned(busy)).toMatchObject([{ inFlight: 1 }, { inFlight: 1 }]);
    expect(one.self).not.toBe(two.self);
    expect(self).toBe(two.self);
    await statusUntil(
      gateway,
      's',
      ({ inFlight, instances, pool }) =>
        inFlight === 0 && pool.waiting === 0 && instances.every((each) => each.inFlight === 0),
    );
  },
);

test.concurrent('a call whose process still starts takes one that becomes free first', async () => {
  const { space, server, write } = counted('--others', 'hang', '--answering', '2');
  write({ ...server, isolation: 'session' });
  const gateway = await openTried({ space });
  const client = await SessionClient.open(gateway.origin, { capabilities: ASKABLE });
  const { self } = await client.facts('s');
  const parked = await client.start('s__ask', { label: 'one' });
  const question = await parked.inbox.find({ method: 'elicitation/create' });
  const second = client.facts('s');
  const third = client.facts('s');
  await statusUntil(gateway, 's', ({ inFlight }) => inFlight === 3);

  await client.answer(question, { action: 'decline' });

  expect(JSON.parse(await parked.text)).toMatchObject({ self });
  expect((await second).self).toBe(self);
  expect((await third).self).toBe(self);
});

test.concurrent(
  'the next call runs where the last one ran, although a process that no call needed started since',
  async () => {
    const mark = randomUUID();
    const { space, server, write } = counted('--held', mark, '--answering', '2');
    write({ ...server, isolation: 'session' });
    const gateway = await openTried({ space });
    const client = await SessionClient.open(gateway.origin, { capabilities: ASKABLE });
    const { self } = await client.facts('s');
    const parked = await client.start('s__ask', { label: 'one' });
    const question = await parked.inbox.find({ method: 'elicitation/create' });
    const second = client.facts('s');
    await statusUntil(gateway, 's', ({ inFlight }) => inFlight === 2);
    await client.answer(question, { action: 'decline' });
    expect((await second).self).toBe(self);

    setMark(mark);
    await statusUntil(gateway, 's', (status) => owned(status).length === 2);

    expect((await client.facts('s')).self).toBe(self);
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
