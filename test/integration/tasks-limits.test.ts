// What ends a task before its time, how many there may be, and what is recorded of them (wire.md, Tasks).
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { setMark, untilMarked } from '../../fixtures/servers/marks.ts';
import { heldMark } from '../../fixtures/servers/tasks/tools.ts';
import { isObject, type JsonObject } from '../../src/core/json.ts';
import { fixture, type RunningGateway } from './harness/gateway.ts';
import { ALICE, BOB } from './harness/principals.ts';
import { errorOf, messageOf, modern, open, openSession, send, type Sent, stream } from './harness/raw.ts';
import { answer, openEvents, refuse, type Visit } from './harness/scripted.ts';
import { type RunningServer, startServer } from './harness/servers.ts';
import { until } from './harness/status.ts';
import { startEndless } from './harness/endless-tasks.ts';
import { recordsOf, RELATED, startTaskGateway, TaskClient } from './harness/tasks.ts';

const NO_SUCH_TASK = { code: -32602, message: expect.stringContaining('There is no such task') as unknown };
const MAX_PER_PRINCIPAL = 100;
const AUTHORIZED = { Authorization: `Bearer ${ALICE}` };

async function start(mcpServers: object): Promise<{ gateway: RunningGateway; alice: TaskClient; bob: TaskClient }> {
  const gateway = await startTaskGateway(mcpServers);
  onTestFinished(() => void gateway.stop());
  const alice = new TaskClient(gateway.origin);
  return { gateway, alice, bob: alice.with({ token: BOB }) };
}

async function server(name: string, ...args: string[]): Promise<RunningServer> {
  const running = await startServer(name, ...args);
  onTestFinished(() => running.stop());
  return running;
}

/** Begins a job and waits until its server holds it. */
async function hold(client: TaskClient, name: string): Promise<string> {
  const label = randomUUID();
  const taskId = await client.begin(name, { label });
  await untilMarked(heldMark(label));
  return taskId;
}

/** What a client finds when it asks until the task does not work any more. */
const endOf = (client: TaskClient, taskId: string): Promise<JsonObject> =>
  until(
    () => client.get(taskId),
    ({ status }) => status !== 'working',
  );

test.each([['http'], ['sse']])('a task fails when its legacy server over %s dies', async (transport) => {
  const dying = await server('conformance-legacy.ts', '--transport', transport);
  const { gateway, alice } = await start({ dying: { url: dying.url, ...(transport === 'sse' && { type: 'sse' }) } });
  const taskId = await hold(alice, 'dying__held_job');
  const { inbox, close } = await alice.listen([taskId]);
  onTestFinished(close);
  await inbox.next();
  await dying.stop();
  let heard: JsonObject = {};
  while (heard.status !== 'failed') heard = (await inbox.find({ method: 'notifications/tasks' })).params as JsonObject;

  expect(heard).toMatchObject({ taskId, status: 'failed', error: { message: expect.any(String) as unknown } });
  expect(await alice.get(taskId)).toMatchObject({ status: 'failed' });
  const [event] = (await recordsOf(gateway, '--kind', 'event')).filter(({ event: name }) => name === 'task_ended');
  expect(event).toMatchObject({ detail: { server: 'dying', exposed: 'dying__held_job', status: 'failed' } });
});

test('a task fails when the process of its legacy server ends', async () => {
  const entry = fixture('conformance-legacy.ts', '--transport', 'stdio');
  const { alice } = await start({ dying: { ...entry, isolation: 'shared' } });
  const taskId = await hold(alice, 'dying__held_job');
  await alice.call('dying__end_process');

  // an answer in between may be that the server is gone
  expect(await alice.until(taskId, 'failed')).toMatchObject({ error: { message: expect.any(String) as unknown } });
});

test.each([['http'], ['stdio']])(
  'who asks for a task at a modern server over %s that died gets an error',
  async (transport) => {
    const entry = fixture('conformance-modern.ts', '--transport', 'stdio');
    const dying = transport === 'http' ? await server('conformance-modern.ts') : undefined;
    const { alice } = await start({ dying: dying ? { url: dying.url } : entry });
    const taskId = await hold(alice, 'dying__held_job');
    await (dying ? dying.stop() : alice.call('dying__end_process'));
    const { error } = await endOf(alice, taskId);

    expect(error).toMatchObject({ message: expect.any(String) as unknown });
  },
);

test('a legacy client whose call became a task is answered when the server dies', async () => {
  const dying = await server('conformance-modern.ts');
  const { gateway } = await start({ dying: { url: dying.url } });
  const session = await openSession(gateway.origin, { headers: AUTHORIZED });
  const label = randomUUID();
  const params = { name: 'dying__held_job', arguments: { label } };
  const call = send(gateway.origin, session.request('tools/call', params));
  await untilMarked(heldMark(label));
  await dying.stop();

  expect(errorOf(await call)).toMatchObject({ message: expect.stringContaining('dying') as unknown });
});

test('a task of a tool that is denied since is as unknown as any, and nobody hears of it', async () => {
  const config = (tools: object): object => ({
    modern: { ...fixture('conformance-modern.ts', '--transport', 'stdio'), ...tools },
    legacy: { ...fixture('conformance-legacy.ts', '--transport', 'stdio'), ...tools },
  });
  const { gateway, alice } = await start(config({}));
  const ids = [await hold(alice, 'modern__held_job'), await hold(alice, 'legacy__held_job')];
  const { auth } = JSON.parse(readFileSync(gateway.config, 'utf8')) as JsonObject;
  gateway.write('mcp-gateway.json', { auth, mcpServers: config({ tools: { deny: ['held_*'] } }) });
  const never = await alice.get('never');
  for (const taskId of ids) {
    await until(
      () => alice.get(taskId),
      ({ error }) => error !== undefined,
    );
    expect(await alice.get(taskId)).toEqual(never);
    expect(await alice.ask('tasks/cancel', { taskId })).toMatchObject({ error: NO_SUCH_TASK });
  }
  const { inbox, close } = await alice.listen(ids, { toolsListChanged: true });
  onTestFinished(close);
  const { params } = (await inbox.next()) as { params: JsonObject };

  expect(never).toMatchObject({ error: NO_SUCH_TASK });
  expect(params.notifications).toEqual({ toolsListChanged: true });
});

test('an attempt at the task of another is recorded as refused, and the end of a task as an event', async () => {
  const { gateway, alice, bob } = await start({ legacy: fixture('conformance-legacy.ts', '--transport', 'stdio') });
  const label = randomUUID();
  const taskId = await alice.begin('legacy__held_job', { label });
  await bob.get(taskId);
  setMark(label);
  await alice.until(taskId, 'completed');
  const [refused] = await recordsOf(gateway, '--method', 'tasks/get', '--principal', 'bob');
  const own = await recordsOf(gateway, '--method', 'tasks/get', '--principal', 'alice');
  const events = await recordsOf(gateway, '--kind', 'event');

  expect(refused).toMatchObject({ status: 'refused', principal: { id: 'bob' } });
  expect(JSON.stringify(refused)).not.toContain('held_job');
  expect(own[0]).toMatchObject({ status: 'ok', server: 'legacy', exposed: 'legacy__held_job' });
  expect(events.filter(({ event }) => event === 'task_ended')).toMatchObject([
    { detail: { principal: 'alice', server: 'legacy', exposed: 'legacy__held_job', status: 'completed' } },
  ]);
});

test.each(['legacy', 'modern'])(
  'a %s client that does not know tasks and cancels its call cancels the task that it runs as',
  async (era) => {
    const endless = await startEndless();
    const { gateway } = await start({ endless: { url: endless.url } });
    const session = await openSession(gateway.origin, { headers: AUTHORIZED });
    const params = { name: 'endless__job', arguments: {} };
    const sent =
      era === 'legacy'
        ? session.request('tools/call', params, { id: 7 })
        : modern('tools/call', params, { headers: AUTHORIZED });
    const request = open(gateway.origin, sent);
    request.on('error', () => undefined); // it is given up
    await endless.visited(({ rpc }) => rpc === 'tasks/result');
    if (era === 'legacy') await send(gateway.origin, session.notification('notifications/cancelled', { requestId: 7 }));
    request.destroy();
    const { params: cancelled } = await endless.visited(({ rpc }) => rpc === 'tasks/cancel');

    expect(cancelled).toMatchObject({ taskId: '1' });
  },
);

test.each([
  ['reset', (visit: Visit) => void visit.response.destroy()],
  ['a 503', (visit: Visit) => refuse(visit, 503)],
  [
    'the end of the stream',
    (visit: Visit) => {
      openEvents(visit);
      visit.response.end();
    },
  ],
])('a call that runs as a task gets its answer though the wait for it is cut by %s', async (_how, cut) => {
  const endless = await startEndless((visit) => {
    if (visit.rpc !== 'tasks/result') return false;
    if (endless.count('tasks/result') < 2) cut(visit);
    else answer(visit, { content: [{ type: 'text', text: 'done' }] });
    return true;
  });
  const { gateway } = await start({ endless: { url: endless.url } });
  const session = await openSession(gateway.origin, { headers: AUTHORIZED });
  const called = send(gateway.origin, session.request('tools/call', { name: 'endless__job', arguments: {} }));

  expect(messageOf(await called).result).toMatchObject({ content: [{ text: 'done' }] });
  expect([endless.count('tasks/result'), endless.count('tools/call'), endless.count('tasks/cancel')]).toEqual([
    3, 1, 0,
  ]);
});

/** A call that was cancelled before its server said whether it makes a task of it. */
async function cancelUnanswered() {
  const endless = await startEndless(({ rpc }) => rpc === 'tools/call');
  const { gateway } = await start({ endless: { url: endless.url } });
  const session = await openSession(gateway.origin, { headers: AUTHORIZED });
  const params = { name: 'endless__job', arguments: {} };
  const request = open(gateway.origin, session.request('tools/call', params, { id: 7 }));
  request.on('error', () => undefined); // it is given up
  const called = await endless.visited(({ rpc }) => rpc === 'tools/call');
  await send(gateway.origin, session.notification('notifications/cancelled', { requestId: 7 }));
  return { endless, called, request };
}

test('a task that its server makes of a call after that was cancelled is cancelled too', async () => {
  const { endless, called, request } = await cancelUnanswered();
  const now = '2026-11-01T00:00:00Z';
  answer(called, { task: { taskId: 'late', status: 'working', createdAt: now, lastUpdatedAt: now, ttl: null } });
  const { params: cancelled } = await endless.visited(({ rpc }) => rpc === 'tasks/cancel');
  request.destroy();

  expect(cancelled).toMatchObject({ taskId: 'late' });
});

test('a call that its server does not answer with a task after it was cancelled is cancelled itself', async () => {
  const { endless, request } = await cancelUnanswered();
  await endless.visited(({ rpc }) => rpc === 'notifications/cancelled');
  request.destroy();

  expect(endless.count('tasks/cancel')).toBe(0);
});

test('the tasks of a session end with it where they live in its own instance, and make room', async () => {
  const gateway = await startTaskGateway({
    s: { ...fixture('conformance-legacy.ts', '--transport', 'stdio'), isolation: 'session' },
  });
  onTestFinished(() => void gateway.stop());
  const [first, second] = [
    await openSession(gateway.origin, { headers: AUTHORIZED }),
    await openSession(gateway.origin, { headers: AUTHORIZED }),
  ];
  const resultOf = async (sent: Sent) => messageOf(await send(gateway.origin, sent)).result as JsonObject | undefined;
  const call = { name: 's__held_job', arguments: { label: randomUUID() }, task: {} };
  const created = (await resultOf(first.request('tools/call', call)))?.task as JsonObject;
  expect((await resultOf(second.request('tasks/list')))?.tasks).toMatchObject([{ taskId: created.taskId }]);
  await send(gateway.origin, first.delete());
  await until(
    () => resultOf(second.request('tasks/list')),
    (result) => Array.isArray(result?.tasks) && result.tasks.length === 0,
  );
  const asked = messageOf(await send(gateway.origin, second.request('tasks/get', { taskId: created.taskId! })));

  expect(asked.error).toMatchObject(NO_SUCH_TASK);
});

test('one principal has at most 100 tasks at legacy servers, others have their own, and what ended makes way', async () => {
  const endless = await startEndless();
  const { alice, bob } = await start({ endless: { url: endless.url } });
  const ids: string[] = [];
  for (let count = 0; count < MAX_PER_PRINCIPAL; count++) ids.push(await alice.begin('endless__job'));
  const calls = endless.count('tools/call');
  const refused = await alice.call('endless__job');
  const refusedCalls = endless.count('tools/call') - calls;
  const foreign = await bob.begin('endless__job');
  await alice.ask('tasks/cancel', { taskId: ids[7]! });
  const next = await alice.begin('endless__job');

  expect(refused.error).toMatchObject({ message: expect.stringContaining('100') as unknown });
  expect(refusedCalls).toBe(0);
  expect(await bob.get(foreign)).toMatchObject({ status: 'working' });
  expect(await alice.get(next)).toMatchObject({ status: 'working' });
  expect(await alice.get(ids[7]!)).toMatchObject({ error: NO_SUCH_TASK });
  expect(await alice.get(ids[0]!)).toMatchObject({ status: 'working' });
});

test('the progress of a task goes to whoever waits for its end, by the token of the call that made it', async () => {
  const endless = await startEndless((visit) => {
    if (visit.rpc !== 'tasks/result') return false;
    const created = endless.seen.find(({ rpc }) => rpc === 'tools/call');
    const { progressToken } = created?.params._meta as JsonObject;
    const _meta = { [RELATED]: { taskId: '1' } };
    const say = openEvents(visit);
    say({ method: 'notifications/progress', params: { progressToken: progressToken ?? null, progress: 3, _meta } });
    say({ id: visit.id ?? null, result: { content: [{ type: 'text', text: 'done' }] } });
    visit.response.end();
    return true;
  });
  const { gateway } = await start({ endless: { url: endless.url } });
  const session = await openSession(gateway.origin, { headers: AUTHORIZED, version: '2025-11-25' });
  const call = { name: 'endless__job', arguments: {}, task: {}, _meta: { progressToken: 'mine' } };
  const { result } = messageOf(await send(gateway.origin, session.request('tools/call', call)));
  const created = isObject(result) && isObject(result.task) ? result.task : {};
  const { inbox } = await stream(
    gateway.origin,
    session.request('tasks/result', { taskId: created.taskId! }, { id: 8 }),
  );
  const progress = await inbox.find({ method: 'notifications/progress' });
  const related = { [RELATED]: { taskId: created.taskId } };

  expect(progress.params).toEqual({ progressToken: 'mine', progress: 3, _meta: related });
  expect((await inbox.find({ id: 8 })).result).toMatchObject({ _meta: related });
});
