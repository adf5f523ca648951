// Several `mcp-gateway stdio` on one state directory: one owns it, the others join, and one of them takes over when it ends.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { expect, onTestFinished, test } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { queryAudit } from '../../src/audit/query.ts';
import { STDIO_UPGRADE, STOPPING_LINE } from '../../src/downstream/control-protocol.ts';
import { proveControl } from '../../src/identity/control-proof.ts';
import { readControlKey } from '../../src/storage/control-key.ts';
import { size } from '../size.ts';
import { alive } from '../upstream/mcp/processes.ts';
import { connectClient } from './harness/clients.ts';
import { attempted, fixture, ROOT, runCli, startGateway, type Workspace, workspace } from './harness/gateway.ts';
import { ask, call, openSession, openSessions, outcomeOf, ownerPid, split } from './harness/joined.ts';
import { killOwners } from './harness/takeovers.ts';
import { Inbox, MODERN, modernMeta, openPipe, type RawPipe } from './harness/raw.ts';

const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';
const config = { mcpServers: { echo: fixture('echo-stdio.ts') } };
/** With a server whose resources can be followed. */
const following = {
  mcpServers: { ...config.mcpServers, private: fixture('private-stdio.ts') },
};

function place(mcpServers: object = config): Workspace {
  const made = workspace(mcpServers);
  onTestFinished(() => made.remove());
  return made;
}

const slow = (ms: number) => ({ name: 'echo__slow', arguments: { ms, label: 'kept' }, _meta: { progressToken: 1 } });

const textId = ({ id }: JsonObject) => (typeof id === 'string' ? id : '');

/** Starts a call and waits until its server works on it. */
async function startSlow(pipe: RawPipe, ms: number): Promise<void> {
  pipe.request('slow', 'tools/call', slow(ms));
  await pipe.inbox.find({ method: 'notifications/progress' });
}

const endings: [string, (owner: RawPipe) => unknown][] = [
  ['is asked to end', ({ process }) => process.kill('SIGTERM')],
  ['has lost its client', ({ process }) => process.stdin!.end()],
  ['is killed', ({ process }) => process.kill('SIGKILL')],
];

test('of some that start at once one owns the state, the others join it, and every client works', async () => {
  const space = place();
  const count = size(3, 5);
  const pipes = await openSessions(space, count);
  const echoes = await Promise.all(pipes.map((pipe, index) => call(pipe, 'echo__echo', { text: `client ${index}` })));
  const { owner, joined } = split(space, pipes);
  const events = [...queryAudit(join(space.state, 'audit'), { kind: 'event' })];
  const started = events.filter((row) => row.kind === 'event' && row.event === 'gateway_started');
  for (const pipe of [...joined, owner]) expect(await pipe.end()).toBe(0);

  expect(echoes).toEqual(pipes.map((_pipe, index) => `client ${index}`));
  expect(joined).toHaveLength(count - 1);
  expect(started).toHaveLength(1);
});

test.each(endings)('when the owner %s, one that joined takes over, and no session is begun anew', async (_, end) => {
  const space = place(following);
  const pipes = await openSessions(space, 3);
  const { owner, joined } = split(space, pipes);
  for (const pipe of joined) {
    expect(await ask(pipe, 'logging/setLevel', { level: 'debug' })).toHaveProperty('result');
    expect(await ask(pipe, 'resources/subscribe', { uri: 'private:///a' })).toHaveProperty('result');
  }
  end(owner);
  // the next owner follows it, and it may have changed meanwhile
  for (const pipe of joined) await pipe.inbox.find({ method: 'notifications/resources/updated' });
  const echoes = await Promise.all(joined.map((pipe) => call(pipe, 'echo__echo', { text: 'after' })));
  const next = split(space, joined);
  await call(next.owner, 'private__touch', { uri: 'private:///a' });

  expect(echoes).toEqual(['after', 'after']);
  for (const { inbox } of next.joined) await inbox.find({ method: 'notifications/resources/updated' });
  for (const { inbox } of joined) {
    const updates = inbox.all.filter(({ method }) => method === 'notifications/resources/updated');
    expect(updates.map(({ params }) => params)).toEqual([{ uri: 'private:///a' }, { uri: 'private:///a' }]);
    expect(inbox.all.filter(({ method }) => method === 'notifications/tools/list_changed')).not.toEqual([]);
    expect(inbox.all.filter((message) => 'id' in message && !/^(init|ask-\d+)$/.test(textId(message)))).toEqual([]);
  }
  for (const pipe of joined) expect(await pipe.end()).toBe(0);
  expect(alive(pipes.map(({ process }) => process.pid!))).toEqual([]);
});

test('a call in flight when the owner is killed gets an error that says so, and is not made again', async () => {
  const space = place();
  const { owner, joined } = split(space, await openSessions(space, 3));
  await Promise.all(joined.map((pipe) => startSlow(pipe, 60_000)));
  owner.process.kill('SIGKILL');

  for (const pipe of joined)
    expect(await pipe.inbox.find({ id: 'slow' })).toMatchObject({
      error: { code: -33019, data: { reason: 'gateway_closed', retryable: false } },
    });
  await Promise.all(joined.map((pipe) => ask(pipe, 'tools/list')));
  const calls = [...queryAudit(join(space.state, 'audit'))].filter((row) => row.kind === 'call');
  expect(calls.filter(({ exposed }) => exposed === 'echo__slow').map(({ status }) => status)).toEqual([
    'unknown',
    'unknown',
  ]);
  await Promise.all(joined.map((pipe) => pipe.end()));
});

test.each(endings.slice(0, 2))(
  'when the owner %s, calls in flight of others end well, and new ones wait for the next owner',
  async (_, end) => {
    const space = place();
    const { owner, joined } = split(space, await openSessions(space, 3));
    await Promise.all(joined.map((pipe) => startSlow(pipe, 1_500)));
    end(owner);
    const pipes = joined.map(async (pipe) => {
      const texts: string[] = [];
      for (let round = 0; round < 5; round += 1) pipe.request(`n${round}`, 'tools/call', echo(round));
      texts.push(outcomeOf(await pipe.inbox.find({ id: 'slow' })));
      await once(owner.process, 'exit');
      texts.push(await call(pipe, 'echo__echo', { text: 'after' }));
      return texts;
    });

    for (const texts of await Promise.all(pipes)) expect(texts).toEqual(['slow kept done after 1 steps', 'after']);
    for (const { inbox } of joined) {
      const answers = inbox.all.filter((message) => textId(message).startsWith('n')).map(outcomeOf);
      // asked before the owner was heard to end, it may be refused, but never lost
      expect(answers).toHaveLength(5);
      expect(answers.filter((text) => !['echo', 'shutting_down'].includes(text))).toEqual([]);
    }
    await Promise.all(joined.map((pipe) => pipe.end()));
  },
);

const echo = (round: number) => ({ name: 'echo__echo', arguments: { text: 'echo' }, _meta: { round } });

test('clients of the SDK go on when a `serve` that they joined ends, and the one that took over ends too', async () => {
  const gateway = await startGateway({ config });
  const joining = { config: gateway.config, state: gateway.state };
  const clients = await Promise.all(
    (['SDK v1', 'SDK v2 legacy', 'SDK v2 modern'] as const).map((kind) => connectClient(kind, joining)),
  );
  await gateway.attempted();
  const echoed = async () => {
    const results = await Promise.all(
      clients.map((client) => client.callTool({ name: 'echo__echo', arguments: { text: 'hello' } })),
    );
    return results.map(({ content }) => (content as { text: string }[])[0]?.text);
  };
  expect(await echoed()).toEqual(['hello', 'hello', 'hello']);
  gateway.process.kill('SIGKILL');
  await Promise.allSettled(clients.map((client) => client.listTools())); // may still go to the one that was killed
  expect(await echoed()).toEqual(['hello', 'hello', 'hello']);
  const second = ownerPid(gateway)!;
  expect(second).not.toBe(gateway.process.pid);

  process.kill(second, 'SIGKILL');
  await Promise.allSettled(clients.map((client) => client.listTools()));
  const left = await Promise.allSettled(clients.map((client) => client.listTools()));
  expect(left.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
  expect(ownerPid(gateway)).not.toBe(second);
  await Promise.all(clients.map((client) => client.close()));
  await gateway.stop();
});

test('a modern client needs nothing again: its listener ends with an answer, and it listens anew', async () => {
  const space = place();
  const owner = await openSession(space);
  const pipe = openPipe(space);
  const listen = (id: string) =>
    pipe.request(id, 'subscriptions/listen', { notifications: { toolsListChanged: true }, _meta: modernMeta() });
  listen('first');
  await pipe.inbox.find({ method: 'notifications/subscriptions/acknowledged' });
  await attempted(space);
  owner.process.kill('SIGKILL');

  expect(await pipe.inbox.find({ id: 'first' })).toMatchObject({ error: { data: { reason: 'shutting_down' } } });
  const before = pipe.inbox.all.length; // the first owner may have told of its own start
  listen('second');
  expect(await pipe.inbox.find({ method: 'notifications/subscriptions/acknowledged' })).toMatchObject({
    params: { _meta: { [SUBSCRIPTION]: 'second' } },
  });
  pipe.request('who', 'server/discover', { _meta: modernMeta() });
  expect(await pipe.inbox.find({ id: 'who' })).toMatchObject({
    result: { supportedVersions: expect.arrayContaining([MODERN]) as unknown },
  });
  const later = pipe.inbox.all.slice(before);
  expect(later.filter(({ method }) => method === 'notifications/tools/list_changed')).toEqual([]);
  await pipe.end();
});

/** Asks the owner for a stream as a relay does. */
function upgrade({ state }: { state: string }): ClientRequest {
  const proof = proveControl(readControlKey(state)!, { method: 'GET', url: '/' });
  return request({
    socketPath: join(state, 'control.sock'),
    headers: { host: 'localhost', authorization: proof, connection: 'Upgrade', upgrade: STDIO_UPGRADE },
  }).end();
}

test('an owner that is ending says so to those that joined, before their last answers, and takes nobody more', async () => {
  const gateway = await startGateway({ config });
  await gateway.attempted();
  const [, stream] = (await once(upgrade(gateway), 'upgrade')) as [unknown, Duplex];
  const inbox = new Inbox();
  createInterface(stream).on('line', (line) => inbox.add(line));
  const send = (message: JsonObject) => stream.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  send({ id: 'slow', method: 'tools/call', params: { ...slow(3_000), _meta: modernMeta({ progressToken: 1 }) } });
  await inbox.find({ method: 'notifications/progress' });
  gateway.process.kill('SIGTERM');

  expect(await inbox.next()).toEqual(JSON.parse(STOPPING_LINE));
  const [refused] = (await once(upgrade(gateway), 'response')) as [IncomingMessage];
  expect(refused.resume().statusCode).toBe(503);
  expect(outcomeOf(await inbox.find({ id: 'slow' }))).toBe('slow kept done after 1 steps');
  expect(await gateway.stop()).toBe(143);
});

test('a client that starts while the owner is ending waits for the next one', async () => {
  const space = place();
  const { owner, joined } = split(space, await openSessions(space, 2));
  const [busy] = joined as [RawPipe];
  await startSlow(busy, 1_500);
  owner.process.kill('SIGTERM');
  const late = await openSession(space);

  expect(await call(late, 'echo__echo', { text: 'late' })).toBe('late');
  expect(outcomeOf(await busy.inbox.find({ id: 'slow' }))).toBe('slow kept done after 1 steps');
  expect(ownerPid(space)).not.toBe(owner.process.pid);
  await Promise.all([late, busy].map((pipe) => pipe.end()));
});

test('what a killed owner left behind is no hindrance', async () => {
  const space = place();
  const first = await openSession(space);
  first.process.kill('SIGKILL');
  await once(first.process, 'exit');
  expect(ownerPid(space)).toBe(first.process.pid);
  const [second] = (await openSessions(space, 1)) as [RawPipe];

  expect(await call(second, 'echo__echo', { text: 'again' })).toBe('again');
  expect(ownerPid(space)).toBe(second.process.pid);
  expect(await second.end()).toBe(0);
});

/** Another process that has the lock and says nothing. */
async function holdLock({ state }: Workspace): Promise<ChildProcess> {
  const holder = spawn(process.execPath, [join(ROOT, 'test/storage/owner.ts'), state, 'nowhere'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => void holder.kill('SIGKILL'));
  await once(holder.stdout, 'data');
  return holder;
}

/** A control socket whose owner does not answer yet; `asked` resolves at the second time that somebody tried. */
async function silentSocket({ state }: Workspace): Promise<{ asked: Promise<void>; close: () => void }> {
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const asked = Promise.withResolvers<undefined>();
  let count = 0;
  const server = createServer((socket: Socket) => {
    socket.destroy();
    if (++count === 2) asked.resolve(undefined);
  });
  server.listen(join(state, 'control.sock'));
  await once(server, 'listening');
  return { asked: asked.promise, close: () => void server.close() };
}

test('one that starts while the owner has the lock but no socket yet waits for it, and takes over if it fails', async () => {
  const space = place();
  const socket = await silentSocket(space);
  const holder = await holdLock(space);
  const opening = openSession(space);
  await socket.asked;
  holder.kill('SIGKILL');
  const pipe = await opening;
  await attempted(space);

  expect(await call(pipe, 'echo__echo', { text: 'mine' })).toBe('mine');
  expect(ownerPid(space)).toBe(pipe.process.pid);
  expect(await pipe.end()).toBe(0);
  socket.close(); // not before: it takes the file of the name away, whoever's it is
});

test('a signal ends one that waits for the owner', async () => {
  const space = place();
  const socket = await silentSocket(space);
  await holdLock(space);
  const pipe = openPipe(space);
  await socket.asked;
  pipe.process.kill('SIGTERM');

  expect(await once(pipe.process, 'exit')).toEqual([143, null]);
  socket.close();
});

test('a joined client is told nothing but errors where nobody can take over, and its process says why', async () => {
  const space = place();
  const { owner, joined } = split(space, await openSessions(space, 2));
  const [pipe] = joined as [RawPipe];
  await startSlow(pipe, 60_000);
  space.write('mcp-gateway.json', '{ "mcpServers": 1 }');
  owner.process.kill('SIGKILL');

  expect(outcomeOf(await pipe.inbox.find({ id: 'slow' }))).toBe('gateway_closed');
  expect(await once(pipe.process, 'exit')).toEqual([8, null]);
  rmSync(space.state, { recursive: true, force: true });
  expect((await runCli(['stdio', '--config', space.config, '--state', space.state])).status).toBe(8);
});

test(
  'owners killed one after the other: every request has one answer, and the clients that joined go on',
  () => killOwners(2),
  90_000,
);
