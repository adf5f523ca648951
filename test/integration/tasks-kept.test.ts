// Tasks at legacy servers as time goes by: questions that find nobody, instances that are replaced, ids that are given again, and the end.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { isObject, type JsonObject } from '../../src/core/json.ts';
import { startEndless } from './harness/endless-tasks.ts';
import { fixture, workspace } from './harness/gateway.ts';
import { ALICE, BOB } from './harness/principals.ts';
import { messageOf, openSession, send, type Sent, stream } from './harness/raw.ts';
import { openEvents } from './harness/scripted.ts';
import { until } from './harness/status.ts';
import { recordsOf, RELATED, startTaskGateway, TaskClient } from './harness/tasks.ts';

const NO_SUCH_TASK = { error: { code: -32602, message: 'There is no such task.' } };
const YES = { action: 'accept', content: { confirm: true } };

/** A legacy session of Alice. */
async function sessionOf(origin: string, capabilities: JsonObject = {}) {
  const session = await openSession(origin, { headers: { Authorization: `Bearer ${ALICE}` }, capabilities });
  const ask = async (sent: Sent) => messageOf(await send(origin, sent)) as { result?: JsonObject; error?: JsonObject };
  const begin = async (name: string, given: JsonObject) => {
    const { result } = await ask(session.request('tools/call', { name, arguments: given, task: {} }));
    return isObject(result?.task) ? (result.task.taskId as string) : '';
  };
  return { session, ask, begin };
}

test('a question that comes before anybody waits is put to the session that made the task, and says which task asks', async () => {
  const gateway = await startTaskGateway({ s: fixture('conformance-legacy.ts', '--transport', 'stdio') });
  onTestFinished(() => gateway.stop().then(() => undefined));
  const { session, ask, begin } = await sessionOf(gateway.origin, { elicitation: {} });
  const waiting = await begin('s__confirm_delete', { filename: 'x' });
  const first = await stream(gateway.origin, session.request('tasks/result', { taskId: waiting }, { id: 70 }));
  await first.inbox.find({ method: 'elicitation/create' });
  const standing = await stream(gateway.origin, session.get());
  // whoever was asked leaves: the question goes on to whoever is there
  await send(gateway.origin, session.notification('notifications/cancelled', { requestId: 70 }));
  const asked = await standing.inbox.find({ method: 'elicitation/create' });
  await send(gateway.origin, session.post(JSON.stringify({ jsonrpc: '2.0', id: asked.id, result: YES })));
  const { result } = await ask(session.request('tasks/result', { taskId: waiting }));

  expect(asked.params).toMatchObject({ _meta: { [RELATED]: { taskId: waiting } } });
  expect(result).toMatchObject({ content: [{ type: 'text' }], _meta: { [RELATED]: { taskId: waiting } } });
});

test('a question that is written together with the task that asks it reaches the modern client', async () => {
  let answered: unknown;
  const server = await startEndless((visit) => {
    if ('action' in visit.answer) answered = visit.answer;
    if (visit.rpc !== 'tools/call') return false;
    const say = openEvents(visit);
    const question = { message: 'Sure?', requestedSchema: { type: 'object', properties: {} } };
    const task = { taskId: 'at once', status: 'working', createdAt: '2026-11-01T00:00:00Z', ttl: null };
    const params = { ...question, _meta: { [RELATED]: { taskId: 'at once' } } };
    say({ id: 1, method: 'elicitation/create', params });
    say({ id: visit.id ?? null, result: { task } });
    visit.response.end();
    return true;
  });
  const gateway = await startTaskGateway({ s: { url: server.url } });
  onTestFinished(() => gateway.stop().then(() => undefined));
  const alice = new TaskClient(gateway.origin);
  const task = await alice.begin('s__job');
  const { inputRequests } = await alice.until(task, 'input_required');

  expect(inputRequests).toMatchObject({ q1: { method: 'elicitation/create', params: { message: 'Sure?' } } });
  await alice.ask('tasks/update', { taskId: task, inputResponses: { q1: YES } });
  await until(
    () => Promise.resolve(answered),
    (said) => said !== undefined,
  );
  expect(answered).toEqual(YES);
});

test('after its entry was changed, a server has no instance of an earlier id, and its new tasks stay when the old process is gone', async () => {
  const space = workspace({});
  onTestFinished(() => space.remove());
  const server = fixture('conformance-legacy.ts', '--transport', 'stdio');
  const gateway = await startTaskGateway({ s: server }, space);
  onTestFinished(() => gateway.stop().then(() => undefined));
  const alice = new TaskClient(gateway.origin);
  const bob = alice.with({ token: BOB });
  const old = await alice.begin('s__slow_compute', { seconds: 0, label: 'x' });
  await alice.until(old, 'completed');
  const config = JSON.parse(readFileSync(join(space.directory, 'mcp-gateway.json'), 'utf8')) as JsonObject;
  space.write('mcp-gateway.json', { ...config, mcpServers: { s: { ...server, timeouts: { total: '200s' } } } });
  const records = () => recordsOf(gateway, '--kind', 'event');
  await until(records, (all) => all.some(({ event }) => event === 'config_reloaded'));
  const fresh = await bob.begin('s__held_job', { label: randomUUID() });
  await until(records, (all) =>
    all.some(({ event, detail }) => event === 'server_ended' && isObject(detail) && detail.instance === 's#1'),
  );

  expect(await bob.get(fresh)).toMatchObject({ status: 'working' });
  expect(await alice.get(old)).toMatchObject({ status: 'completed' });
});

test('a legacy server that begins anew with its ids gives nobody the task of another', async () => {
  const first = await startEndless();
  const gateway = await startTaskGateway({ s: { url: first.url } });
  onTestFinished(() => gateway.stop().then(() => undefined));
  const { session, ask, begin } = await sessionOf(gateway.origin);
  const alice = new TaskClient(gateway.origin);
  const bob = alice.with({ token: BOB });
  const kept = await begin('s__job', {});
  const bridged = await alice.begin('s__job');
  await first.stop();
  const second = await startEndless(undefined, { createdAt: '2026-11-02T00:00:00Z', port: first.port });
  await until(
    () => bob.call('s__job'),
    ({ error }) => error === undefined,
  );
  await bob.begin('s__job');
  for (const method of ['tasks/get', 'tasks/cancel', 'tasks/result'])
    expect(await ask(session.request(method, { taskId: kept })), method).toMatchObject(NO_SUCH_TASK);
  await alice.ask('tasks/cancel', { taskId: bridged });

  expect(second.count('tasks/cancel')).toBe(0);
  expect(await alice.get(bridged)).not.toMatchObject({ status: 'completed' });
});

test('a task whose time is over, or that the gateway leaves behind, is ended at its server', async () => {
  const [brief, long] = [await startEndless(undefined, { ttl: 300 }), await startEndless()];
  const gateway = await startTaskGateway({ brief: { url: brief.url }, long: { url: long.url } });
  const alice = new TaskClient(gateway.origin);
  const { begin } = await sessionOf(gateway.origin);
  await alice.begin('brief__job');
  await begin('brief__job', {});
  await until(
    () => Promise.resolve(brief.count('tasks/cancel')),
    (count) => count === 2,
  );
  const records = await recordsOf(gateway, '--kind', 'event');
  await alice.begin('long__job');
  await begin('long__job', {});
  await gateway.stop();

  expect(long.count('tasks/cancel')).toBe(2);
  expect(records.filter(({ event }) => event === 'task_ended')).toMatchObject([
    { detail: { status: 'expired' } },
    { detail: { status: 'expired' } },
  ]);
});

test('a process is not put to rest while a task that it made is within its time', async () => {
  const server = { ...fixture('conformance-modern.ts', '--transport', 'stdio'), instances: { idle: '100ms' } };
  const control = { ...fixture('conformance-modern.ts', '--transport', 'stdio'), instances: { idle: '100ms' } };
  const gateway = await startTaskGateway({ s: server, control });
  onTestFinished(() => gateway.stop().then(() => undefined));
  const alice = new TaskClient(gateway.origin);
  const task = await alice.begin('s__held_job', { label: randomUUID() });
  await alice.call('control__greet', { name: 'x' });
  await until(
    () => recordsOf(gateway, '--kind', 'event'),
    (all) =>
      all.some(({ event, detail }) => event === 'server_ended' && isObject(detail) && detail.server === 'control'),
  );

  expect(await alice.get(task)).toMatchObject({ status: 'working' });
});
