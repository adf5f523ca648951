// Waits for tasks and listeners to them: many here are few at the server, and leave it room for calls (wire.md, Subscriptions and notifications).
import { readFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { startEndless } from './harness/endless-tasks.ts';
import { ALICE, BOB } from './harness/principals.ts';
import { type LegacySession, messageOf, openSession, send, type Sent } from './harness/raw.ts';
import { answer, modern, openEvents, refuse, startScripted, tool, type Visit } from './harness/scripted.ts';
import { until } from './harness/status.ts';
import { RELATED, startTaskGateway, TaskClient } from './harness/tasks.ts';

const EXTENSION = { extensions: { 'io.modelcontextprotocol/tasks': {} } };
const CREATED = '2026-11-01T00:00:00Z';
const DONE = { content: [{ type: 'text', text: 'done' }] };
const NO_SUCH_TASK = { error: { code: -32602, message: 'There is no such task.' } };
/** Most requests of one principal that stay open at an HTTP server. */
const MAX_PLACES = 32;

async function start(url: string) {
  const gateway = await startTaskGateway({ s: { url } });
  onTestFinished(() => gateway.stop().then(() => undefined));
  const alice = new TaskClient(gateway.origin);
  return { origin: gateway.origin, alice, bob: alice.with({ token: BOB }) };
}

/** A legacy session of Alice, and a task of hers. */
async function sessionWithTask(origin: string): Promise<{ session: LegacySession; taskId: string }> {
  const session = await openSession(origin, { headers: { Authorization: `Bearer ${ALICE}` } });
  const { result } = await ask(origin, session.request('tools/call', { name: 's__job', arguments: {}, task: {} }));
  const { task } = result as { task: { taskId: string } };
  return { session, taskId: task.taskId };
}

const ask = async (origin: string, sent: Sent): Promise<JsonObject> => messageOf(await send(origin, sent));

const reaches = (count: () => number, wanted: number) =>
  until(
    () => Promise.resolve(count()),
    (now) => now === wanted,
  );

test('all who wait for the end of a task wait once at its server, and whoever leaves ends nobody else’s wait', async () => {
  let waiting: Visit | undefined;
  const server = await startEndless((visit) => {
    if (visit.rpc === 'tasks/result') waiting = visit;
    return visit.rpc === 'tasks/result';
  });
  const { origin } = await start(server.url);
  const { session, taskId } = await sessionWithTask(origin);
  const waits = [1, 2, 3].map((id) => ask(origin, session.request('tasks/result', { taskId }, { id: 70 + id })));
  void waits[0]!.catch(() => undefined); // it is given up
  await reaches(() => server.count('tasks/get'), 3);
  await server.visited(({ rpc }) => rpc === 'tasks/result');
  await send(origin, session.notification('notifications/cancelled', { requestId: 71 }));
  expect(await ask(origin, session.request('tasks/get', { taskId }))).toMatchObject({ result: { status: 'working' } });
  answer(waiting!, DONE);

  expect(await Promise.all(waits.slice(1))).toMatchObject([{ result: DONE }, { result: DONE }]);
  expect([server.count('tasks/result'), server.count('notifications/cancelled')]).toEqual([1, 0]);
});

test('when the last of those who wait for a task has left, nobody waits at its server either', async () => {
  const server = await startEndless();
  const { origin } = await start(server.url);
  const { session, taskId } = await sessionWithTask(origin);
  const ids = [71, 72];
  for (const id of ids) void ask(origin, session.request('tasks/result', { taskId }, { id })).catch(() => undefined);
  await reaches(() => server.count('tasks/get'), 2);
  await server.visited(({ rpc }) => rpc === 'tasks/result');
  for (const requestId of ids) await send(origin, session.notification('notifications/cancelled', { requestId }));
  await server.visited(({ rpc }) => rpc === 'notifications/cancelled');

  expect([server.count('tasks/result'), server.count('tasks/cancel')]).toEqual([1, 0]);
});

test('beyond its share of the connections a principal’s tasks are looked at, and end all the same', async () => {
  const ended = new Set<unknown>();
  const server = await startEndless((visit) => {
    const { rpc, params } = visit;
    if (!ended.has(params.taskId)) return false;
    if (rpc === 'tasks/result') answer(visit, DONE);
    else if (rpc === 'tasks/get')
      answer(visit, { taskId: params.taskId ?? '', status: 'completed', createdAt: CREATED, ttl: null });
    return true;
  });
  const { alice, bob } = await start(server.url);
  const tasks: string[] = [];
  while (tasks.length < MAX_PLACES + 8) tasks.push(await alice.begin('s__job'));
  await reaches(() => server.count('tasks/result'), MAX_PLACES);
  const own = await bob.begin('s__job');
  await reaches(() => server.count('tasks/result'), MAX_PLACES + 1);
  ended.add(String(tasks.length));

  expect(await alice.until(tasks.at(-1)!, 'completed')).toMatchObject({ result: DONE });
  expect(await bob.get(own)).toMatchObject({ status: 'working' });
  expect(server.count('tasks/result')).toBe(MAX_PLACES + 2);
});

test('a task beyond that share asks its questions all the same', async () => {
  const answered: JsonObject[] = [];
  const asking = String(MAX_PLACES + 1);
  const server = await startEndless((visit) => {
    const { rpc, params } = visit;
    if ('action' in visit.answer) answered.push(visit.answer);
    if (params.taskId !== asking || !rpc.startsWith('tasks/')) return false;
    const status = answered.length > 0 ? 'completed' : 'input_required';
    if (rpc === 'tasks/get') answer(visit, { taskId: asking, status, createdAt: CREATED, ttl: null });
    if (rpc === 'tasks/result' && answered.length > 0) answer(visit, DONE);
    else if (rpc === 'tasks/result') {
      const question = { message: 'Sure?', requestedSchema: { type: 'object', properties: {} } };
      openEvents(visit)({
        id: 1,
        method: 'elicitation/create',
        params: { ...question, _meta: { [RELATED]: { taskId: asking } } },
      });
    }
    return true;
  });
  const { alice } = await start(server.url);
  const tasks: string[] = [];
  while (tasks.length < MAX_PLACES) tasks.push(await alice.begin('s__job'));
  await reaches(() => server.count('tasks/result'), MAX_PLACES);
  const task = await alice.begin('s__job');
  const { inputRequests } = await alice.until(task, 'input_required');
  // it stays open though nobody waits at the server any more
  await server.visited(({ rpc }) => rpc === 'notifications/cancelled');
  await alice.ask('tasks/update', { taskId: task, inputResponses: { q1: { action: 'accept', content: {} } } });

  expect(inputRequests).toMatchObject({ q1: { method: 'elicitation/create' } });
  expect(await alice.until(task, 'completed')).toMatchObject({ result: DONE });
  expect(answered).toEqual([{ action: 'accept', content: {} }]);
});

/** A modern server whose tasks work; the test tells of them on the streams of those who listen. */
async function startTelling() {
  const open = new Map<Visit, (message: JsonObject) => void>();
  let made = 0;
  let silent = false;
  const describe = (taskId: unknown): JsonObject => ({
    taskId: String(taskId),
    status: 'working',
    createdAt: CREATED,
    lastUpdatedAt: CREATED,
    ttlMs: null,
  });
  const meta = ({ id }: Visit) => ({ _meta: { 'io.modelcontextprotocol/subscriptionId': id ?? null } });
  const script = (visit: Visit): JsonObject | undefined => {
    const { rpc, params, response } = visit;
    if (rpc === 'tools/call') return { resultType: 'task', ...describe(`t${++made}`) };
    if (rpc === 'tasks/get') return { resultType: 'complete', ...describe(params.taskId) };
    if (rpc !== 'subscriptions/listen' || !('taskIds' in (params.notifications as JsonObject))) return undefined;
    const say = openEvents(visit);
    open.set(visit, say);
    response.on('close', () => open.delete(visit));
    const accepted = { ...meta(visit), notifications: params.notifications ?? {} };
    if (!silent) say({ method: 'notifications/subscriptions/acknowledged', params: accepted });
    return undefined;
  };
  const server = await startScripted(modern(() => [tool('job')], script, EXTENSION));
  onTestFinished(() => server.stop());
  return {
    server,
    listens: () => [...open.keys()].map(({ params }) => (params.notifications as JsonObject).taskIds),
    fallSilent: () => void (silent = true),
    tell: (taskId: string, more: JsonObject = {}) => {
      for (const [visit, say] of open)
        say({ method: 'notifications/tasks', params: { ...describe(taskId), ...more, ...meta(visit) } });
    },
  };
}

test('all listeners of a principal are one listening at the server, which grows with them and ends with the last', async () => {
  const { server, listens, tell } = await startTelling();
  const { alice, bob } = await start(server.url);
  const [first, second] = [await alice.begin('s__job'), await alice.begin('s__job')];
  const foreign = await bob.begin('s__job');
  const own = [await alice.listen([first]), await alice.listen([first]), await alice.listen([second])];
  const bobs = await bob.listen([foreign]);
  for (const { inbox } of [...own, bobs]) await inbox.find({ method: 'notifications/subscriptions/acknowledged' });
  await until(
    () => Promise.resolve(listens()),
    (all) => all.length === 2,
  );
  expect(listens()).toEqual([['t1', 't2'], ['t3']]);
  for (const taskId of ['t1', 't2', 't3']) tell(taskId);
  const heard = [...own, bobs].map(({ inbox }) => inbox.find({ method: 'notifications/tasks' }));

  expect((await Promise.all(heard)).map(({ params }) => params)).toMatchObject(
    [first, first, second, foreign].map((taskId) => ({ taskId })),
  );
  for (const { close } of [...own, bobs]) close();
  await reaches(() => listens().length, 0);
});

test('a listener hears nothing of a task whose tool was denied since it began to listen', async () => {
  const { server, tell } = await startTelling();
  const gateway = await startTaskGateway({ s: { url: server.url } });
  onTestFinished(() => gateway.stop().then(() => undefined));
  const alice = new TaskClient(gateway.origin);
  const task = await alice.begin('s__job');
  const { inbox, close } = await alice.listen([task], { toolsListChanged: true });
  onTestFinished(close);
  await inbox.find({ method: 'notifications/subscriptions/acknowledged' });
  const { auth } = JSON.parse(readFileSync(gateway.config, 'utf8')) as JsonObject;
  const deny = async (tools: JsonObject) => {
    gateway.write('mcp-gateway.json', { auth, mcpServers: { s: { url: server.url, tools } } });
    await inbox.find({ method: 'notifications/tools/list_changed' });
  };
  await deny({ deny: ['job'] });
  tell('t1', { statusMessage: 'of a denied tool' });
  expect(await alice.get(task)).toMatchObject(NO_SUCH_TASK);
  await deny({});
  tell('t1', { statusMessage: 'allowed again' });
  const { params } = await inbox.find({ method: 'notifications/tasks' });

  expect(params).toMatchObject({ taskId: task, statusMessage: 'allowed again' });
  expect(JSON.stringify(inbox.all)).not.toContain('of a denied tool');
});

test('of everything that is told before the acknowledgement only how the task stands is told after it', async () => {
  const [quick, slow] = [await startTelling(), await startTelling()];
  slow.fallSilent();
  const gateway = await startTaskGateway({ q: { url: quick.server.url }, s: { url: slow.server.url } });
  onTestFinished(() => gateway.stop().then(() => undefined));
  const alice = new TaskClient(gateway.origin);
  const tasks = [await alice.begin('q__job'), await alice.begin('s__job')];
  const listening = alice.listen(tasks);
  await reaches(() => quick.listens().length + slow.listens().length, 2);
  for (let count = 0; count < 5; count++) quick.tell('t1', { statusMessage: 'early' });
  const { inbox, close } = await listening;
  onTestFinished(close);
  const standing = await inbox.find({ method: 'notifications/tasks' });
  quick.tell('t1', { statusMessage: 'late' });
  const next = await inbox.find({ method: 'notifications/tasks' });

  expect(standing.params).not.toHaveProperty('statusMessage');
  expect(standing.params).not.toHaveProperty('resultType');
  expect(next.params).toMatchObject({ statusMessage: 'late' });
});

test('a server that cannot say for a while how a task stands has not lost it', async () => {
  let busy = false;
  const server = await startEndless(({ rpc, response, id }) => {
    if (!busy || rpc !== 'tasks/get') return false;
    const error = { code: -32000, message: 'try again' };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id, error }));
    return true;
  });
  const { origin } = await start(server.url);
  const { session, taskId } = await sessionWithTask(origin);
  busy = true;
  for (const method of ['tasks/get', 'tasks/result', 'tasks/cancel'])
    expect(await ask(origin, session.request(method, { taskId })), method).toMatchObject({
      error: { code: -32000, message: 'try again' },
    });
  busy = false;

  expect(await ask(origin, session.request('tasks/get', { taskId }))).toMatchObject({ result: { status: 'working' } });
  expect([server.count('tasks/result'), server.count('tasks/cancel')]).toEqual([0, 0]);
});

test('a server that forgot the session of a task has lost the task, and that is known at once', async () => {
  let isForgotten = false;
  const server = await startEndless((visit) => {
    if (visit.rpc === 'initialize' && !isForgotten) visit.response.setHeader('mcp-session-id', 'first');
    if (!isForgotten || visit.headers['mcp-session-id'] !== 'first') return false;
    refuse(visit, 404, { message: 'Session not found' });
    return true;
  });
  const { origin, alice } = await start(server.url);
  const { session, taskId } = await sessionWithTask(origin);
  const bridged = await alice.begin('s__job');
  isForgotten = true;

  expect(await ask(origin, session.request('tasks/get', { taskId }))).toMatchObject(NO_SUCH_TASK);
  expect(await ask(origin, session.request('tasks/list'))).toMatchObject({ result: { tasks: [] } });
  expect(await alice.get(bridged)).toMatchObject({ status: 'failed', error: { code: -33011 } });
});
