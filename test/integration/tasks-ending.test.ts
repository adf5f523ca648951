// What comes of tasks, and of whoever waits for them, when their time or the gateway ends (wire.md, Tasks).
import { expect, test } from 'vitest';
import { onTestFinished, tellTestsApart } from '../apart.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { startEndless } from './harness/endless-tasks.ts';
import { ALICE } from './harness/principals.ts';
import { errorOf, messageOf, modern, openSession, send, stream } from './harness/raw.ts';
import { answer, modern as modernServer, startScripted, tool, type Visit } from './harness/scripted.ts';
import { startTaskGateway, TaskClient } from './harness/tasks.ts';

tellTestsApart();

const AUTHORIZED = { Authorization: `Bearer ${ALICE}` };
const ENDED = { code: -33019, data: { reason: 'gateway_closed', retryable: false } };

/** A server of 2026-07-28 with a tool that becomes a task which never ends, and one that asks. */
async function startModern() {
  const now = new Date().toISOString();
  const task = (more: JsonObject) => ({ taskId: 'm', createdAt: now, lastUpdatedAt: now, ttlMs: 60_000, ...more });
  const asked = {
    resultType: 'input_required',
    requestState: 's',
    inputRequests: { where: { method: 'roots/list', params: {} } },
  };
  const script = ({ rpc, params }: Visit): JsonObject | undefined => {
    if (rpc === 'tools/call') return params.name === 'asks' ? asked : task({ resultType: 'task', status: 'working' });
    if (rpc === 'tasks/get') return task({ resultType: 'complete', status: 'working' });
    return rpc === 'tasks/cancel' ? { resultType: 'complete' } : undefined;
  };
  const capabilities = { extensions: { 'io.modelcontextprotocol/tasks': {} } };
  const running = await startScripted(modernServer(() => [tool('job'), tool('asks')], script, capabilities));
  onTestFinished(() => running.stop());
  return running;
}

test.concurrent('who waits for a task whose time ends is told that there is no such task', async () => {
  const endless = await startEndless(undefined, { ttl: 1_000 });
  const gateway = await startTaskGateway({ endless: { url: endless.url } });
  onTestFinished(() => void gateway.stop());
  const session = await openSession(gateway.origin, { headers: AUTHORIZED });
  const call = { name: 'endless__job', arguments: {}, task: {} };
  const created = messageOf(await send(gateway.origin, session.request('tools/call', call))).result as JsonObject;
  const { taskId = '' } = created.task as JsonObject;
  const waited = await send(gateway.origin, session.request('tasks/result', { taskId }));

  expect(errorOf(waited)).toMatchObject({ code: -32602, message: 'There is no such task.' });
});

test.concurrent(
  'a task that is made while the gateway stops is cancelled at its server, and its caller is told',
  async () => {
    const now = new Date().toISOString();
    const made = { taskId: 'late', status: 'working', createdAt: now, lastUpdatedAt: now, ttl: null };
    let last: Visit | undefined;
    const endless = await startEndless((visit) => {
      if (visit.rpc === 'tasks/get' && visit.params.taskId === made.taskId) {
        answer(visit, made);
        return true;
      }
      if (visit.rpc !== 'tools/call' || endless.count('tools/call') === 0) return false;
      last = visit;
      return true;
    });
    const gateway = await startTaskGateway({ endless: { url: endless.url } });
    const alice = new TaskClient(gateway.origin);
    await alice.begin('endless__job');
    const late = alice.call('endless__job');
    await endless.visited((visit) => visit === last);
    const exit = gateway.stop();
    await endless.visited(({ rpc }) => rpc === 'tasks/cancel'); // that of the first one: the stop has begun
    answer(last!, { task: made });

    expect(await late).toMatchObject({ error: ENDED });
    await exit;
    expect(endless.seen.filter(({ rpc }) => rpc === 'tasks/cancel').map(({ params }) => params.taskId)).toContain(
      'late',
    );
  },
);

test.concurrent(
  'what does not end while the gateway stops ends with an error, and its task is cancelled at the server',
  async () => {
    const [endless, server] = [await startEndless(), await startModern()];
    const gateway = await startTaskGateway({ endless: { url: endless.url }, modern: { url: server.url } });
    const session = await openSession(gateway.origin, { headers: AUTHORIZED, capabilities: { roots: {} } });
    const call = (name: string, id: number) => session.request('tools/call', { name, arguments: {} }, { id });
    const calls = [
      send(gateway.origin, call('endless__job', 1)),
      send(gateway.origin, call('modern__job', 2)),
      send(gateway.origin, modern('tools/call', { name: 'endless__job', arguments: {} }, { headers: AUTHORIZED })),
    ];
    const asked = await stream(gateway.origin, call('modern__asks', 4));
    await asked.inbox.find({ method: 'roots/list' });
    await endless.visited(() => endless.count('tasks/result') === 2);
    await server.visited(({ rpc }) => rpc === 'tasks/get');

    await gateway.stop();
    for (const each of calls) expect(errorOf(await each)).toMatchObject(ENDED);
    expect(await asked.inbox.find({ id: 4 })).toMatchObject({ error: ENDED });
    expect([endless.count('tasks/cancel'), server.count('tasks/cancel')]).toEqual([2, 1]);
  },
  40_000,
);
