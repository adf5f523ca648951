// Servers that begin anew with their ids while somebody waits: what is another's task now is not shown, asked, answered or ended (wire.md, Tasks).
import { expect, onTestFinished, test } from 'vitest';
import { isObject, type JsonObject } from '../../src/core/json.ts';
import { BOB, ALICE } from './harness/principals.ts';
import { type LegacySession, messageOf, open, openSession, send, stream } from './harness/raw.ts';
import { answer, legacy, modern, type ScriptedServer, startScripted, tool, type Visit } from './harness/scripted.ts';
import { until } from './harness/status.ts';
import { startTaskGateway, TaskClient } from './harness/tasks.ts';

const EXTENSION = { extensions: { 'io.modelcontextprotocol/tasks': {} } };
const AUTHORIZED = { Authorization: `Bearer ${ALICE}` };
const ASKS = {
  who: { method: 'elicitation/create', params: { message: 'Bob?', requestedSchema: { type: 'object' } } },
};
const SECRET = { content: [{ type: 'text', text: 'of Bob' }] };

/** A server that counts its tasks from 1 in each of its lives. */
interface Reborn {
  readonly server: ScriptedServer;
  /** Begins anew: who waits is cut off, and nothing is known any more. */
  begin(): void;
  /** What it says of the task from now on, above who made it. */
  say(more: JsonObject): void;
  /** Requests about tasks in this life, but for looks. */
  readonly changes: readonly Visit[];
}

async function startReborn(era: 'modern' | 'legacy', ttl = 60_000): Promise<Reborn> {
  let lives = 0;
  let tasks = new Map<string, JsonObject>();
  let said: JsonObject = {};
  let changes: Visit[] = [];
  let waiting: Visit[] = [];
  const times = { lastUpdatedAt: '2026-11-01T00:00:00Z', ttl, ttlMs: ttl, pollInterval: 100, pollIntervalMs: 100 };
  const onTask = (visit: Visit): JsonObject | undefined => {
    const { rpc, params, id, response } = visit;
    const task = tasks.get(params.taskId as string);
    if (rpc !== 'tasks/get') changes.push(visit);
    if (!task) {
      const error = { code: -32602, message: 'none' };
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ jsonrpc: '2.0', id, error }));
      return undefined;
    }
    if (rpc === 'tasks/result') return isObject(said.result) ? said.result : void waiting.push(visit);
    return { resultType: 'complete', ...task, ...said };
  };
  const script = (visit: Visit): JsonObject | undefined => {
    if (visit.rpc.startsWith('tasks/')) return onTask(visit);
    if (visit.rpc !== 'tools/call') return undefined;
    const taskId = String(tasks.size + 1);
    const task = { taskId, status: 'working', createdAt: `2026-11-0${lives + 1}T00:00:00Z`, ...times };
    tasks.set(taskId, task);
    return era === 'modern' ? { ...task, resultType: 'task' } : { task };
  };
  const optional = tool('optional', { execution: { taskSupport: 'optional' } });
  const required = tool('required', { execution: { taskSupport: 'required' } });
  const capabilities = { tools: {}, tasks: { requests: { tools: { call: {} } } } };
  const old = legacy(
    () => [optional, required],
    new Set(),
    (visit) => {
      const { rpc, http, id, response } = visit;
      if (rpc === 'initialize')
        answer(visit, { protocolVersion: '2025-11-25', capabilities, serverInfo: { name: 'reborn', version: '1' } });
      else if (rpc === 'tools/list') return { tools: [optional, required] };
      else if (http === 'GET') response.writeHead(405).end();
      else if (id === undefined) response.writeHead(202).end();
      return script(visit);
    },
  );
  const server = await startScripted(
    era === 'modern'
      ? modern(() => [tool('job')], script, EXTENSION)
      : (visit) => (visit.rpc === 'tasks/result' ? onTask(visit) : old(visit)),
  );
  onTestFinished(() => server.stop());
  return {
    server,
    begin: () => {
      lives++;
      tasks = new Map();
      said = {};
      changes = [];
      waiting.forEach(({ response }) => response.destroy());
      waiting = [];
    },
    say: (more) => {
      said = more;
      if (isObject(more.result)) for (const visit of waiting) answer(visit, more.result);
    },
    get changes() {
      return changes;
    },
  };
}

async function start({ server }: Reborn, capabilities: JsonObject = {}) {
  const gateway = await startTaskGateway({ s: { url: server.url } });
  onTestFinished(() => gateway.stop().then(() => undefined));
  const session = await openSession(gateway.origin, { headers: AUTHORIZED, capabilities, version: '2025-11-25' });
  return { gateway, session, bob: new TaskClient(gateway.origin, { token: BOB }) };
}

/** The session's call, as it waits for its task. */
function callFor(origin: string, session: LegacySession, name: string) {
  return stream(origin, session.request('tools/call', { name, arguments: {} }, { id: 7 }));
}

/** Resolves when the server has been asked this once more. */
function seenAgain({ server }: Reborn, rpc: string): Promise<unknown> {
  const count = server.count(rpc);
  return until(
    () => Promise.resolve(server.count(rpc)),
    (now) => now > count,
  );
}

test('a followed task that is another one now ends the call of its client, who is neither told nor asked anything of it', async () => {
  const reborn = await startReborn('modern');
  const { gateway, session, bob } = await start(reborn, { elicitation: {} });
  const called = callFor(gateway.origin, session, 's__job');
  await seenAgain(reborn, 'tasks/get');
  reborn.begin();
  reborn.say({ status: 'input_required', inputRequests: ASKS });
  await bob.begin('s__job');
  const events = await called;
  await events.ended;

  expect(events.raw()).toContain('went away while it worked on the task');
  expect(events.raw()).not.toContain('Bob?');
  expect(reborn.changes).toEqual([]);
});

test('a client that cancels its call ends no task of another that has the id of its own now', async () => {
  const reborn = await startReborn('modern');
  const { gateway, session, bob } = await start(reborn);
  const request = open(gateway.origin, session.request('tools/call', { name: 's__job', arguments: {} }, { id: 7 }));
  request.on('error', () => undefined); // it is given up
  await seenAgain(reborn, 'tasks/get');
  reborn.begin();
  const task = await bob.begin('s__job');
  const looked = seenAgain(reborn, 'tasks/get');
  await send(gateway.origin, session.notification('notifications/cancelled', { requestId: 7 }));
  await looked;
  request.destroy();

  expect(await bob.get(task)).toMatchObject({ status: 'working' });
  expect(reborn.changes).toEqual([]);
});

test("a call that runs as a task at a legacy server does not get the result of another's when the wait for it is begun again", async () => {
  const reborn = await startReborn('legacy');
  const { gateway, session, bob } = await start(reborn);
  const called = send(gateway.origin, session.request('tools/call', { name: 's__required', arguments: {} }, { id: 7 }));
  await seenAgain(reborn, 'tasks/result');
  reborn.begin();
  const plain = bob.with({ capabilities: {} }).call('s__required');
  const { error } = messageOf(await called);
  reborn.say({ status: 'completed', result: SECRET });

  expect(error).toMatchObject({ code: -33011 });
  expect(await plain).toMatchObject(SECRET);
  expect(reborn.changes.map(({ rpc }) => rpc)).toEqual(['tasks/result']);
});

test('what a server says of another task than the one that it was asked about is told to nobody', async () => {
  const reborn = await startReborn('modern');
  const { bob } = await start(reborn);
  const task = await bob.begin('s__job');
  reborn.say({ taskId: '2', status: 'completed', result: SECRET });

  expect(await bob.get(task)).toMatchObject({ error: { code: -32602, message: 'There is no such task.' } });
});

test('a kept task whose time is over ends nothing that has its id now', async () => {
  const reborn = await startReborn('legacy', 500);
  const { gateway, session, bob } = await start(reborn);
  const call = { name: 's__optional', arguments: {}, task: { ttl: 500 } };
  await send(gateway.origin, session.request('tools/call', call));
  reborn.begin();
  const plain = bob.with({ capabilities: {} }).call('s__required');
  await seenAgain(reborn, 'tasks/get'); // its time is over
  reborn.say({ status: 'completed', result: SECRET });

  expect(await plain).toMatchObject(SECRET);
  expect(reborn.changes.map(({ rpc }) => rpc)).toEqual(['tasks/result']);
});
