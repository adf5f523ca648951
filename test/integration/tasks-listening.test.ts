// Listeners at modern servers that do not acknowledge what they are asked to tell of (patterns/subscriptions, Acknowledgment).
import { expect, onTestFinished, test } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { modern, openEvents, type ScriptedServer, startScripted, tool, type Visit } from './harness/scripted.ts';
import { startTaskGateway, TaskClient } from './harness/tasks.ts';

const EXTENSION = { extensions: { 'io.modelcontextprotocol/tasks': {} } };
const CREATED = '2026-01-01T00:00:00Z';

const describeTask = (taskId: unknown, status = 'working'): JsonObject => ({
  taskId: String(taskId),
  status,
  createdAt: CREATED,
  lastUpdatedAt: CREATED,
  ttlMs: null,
});

const isListen = ({ rpc, params }: Visit): boolean =>
  rpc === 'subscriptions/listen' && 'taskIds' in (params.notifications as JsonObject);

/** A server whose tasks only ever work; who listens to them is told by the test. */
async function startTelling(): Promise<ScriptedServer> {
  let made = 0;
  const server = await startScripted(
    modern(
      () => [tool('job')],
      (visit) => {
        if (visit.rpc === 'tools/call') return { resultType: 'task', ...describeTask(`t${++made}`) };
        if (visit.rpc === 'tasks/get') return { resultType: 'complete', ...describeTask(visit.params.taskId) };
        return undefined;
      },
      EXTENSION,
    ),
  );
  onTestFinished(() => server.stop());
  return server;
}

/** The stream of whoever listens at a server. */
async function listenerAt(server: ScriptedServer) {
  const visit = await server.visited(isListen);
  const send = openEvents(visit);
  const say = (method: string, params: JsonObject): void =>
    send({ method, params: { ...params, _meta: { 'io.modelcontextprotocol/subscriptionId': visit.id ?? null } } });
  return {
    acknowledge: (...taskIds: string[]) =>
      say('notifications/subscriptions/acknowledged', { notifications: { taskIds } }),
    tell: (taskId: string) => say('notifications/tasks', describeTask(taskId)),
  };
}

async function start(...servers: readonly ScriptedServer[]): Promise<TaskClient> {
  const named = servers.map(({ url }, index) => [`s${index}`, { url }] as const);
  const gateway = await startTaskGateway(Object.fromEntries(named));
  onTestFinished(() => void gateway.stop());
  return new TaskClient(gateway.origin);
}

test('nobody hears of a task that its server did not agree to tell of, before or after it says so', async () => {
  const server = await startTelling();
  const alice = await start(server);
  const [own, other] = [await alice.begin('s0__job'), await alice.begin('s0__job')];
  const listening = alice.listen([own, other]);
  const listener = await listenerAt(server);
  listener.tell('t2');
  listener.acknowledge('t1');
  listener.tell('t2');
  listener.tell('t1');
  const { inbox, close } = await listening;
  onTestFinished(close);
  await inbox.find({ method: 'notifications/tasks' });

  expect(inbox.all.map(({ params }) => params)).toMatchObject([{ notifications: { taskIds: [own] } }, { taskId: own }]);
});

test('a server that acknowledges too late is not heard of, and the others are', async () => {
  const [late, prompt] = [await startTelling(), await startTelling()];
  const alice = await start(late, prompt);
  const [unnamed, named] = [await alice.begin('s0__job'), await alice.begin('s1__job')];
  const listening = alice.listen([unnamed, named]);
  const [slow, quick] = [await listenerAt(late), await listenerAt(prompt)];
  quick.acknowledge('t1');
  const { inbox, close } = await listening;
  onTestFinished(close);
  const { params } = await inbox.find({ method: 'notifications/subscriptions/acknowledged' });
  slow.acknowledge('t1');
  slow.tell('t1');
  expect(await alice.get(unnamed)).toMatchObject({ status: 'working' });
  quick.tell('t1');
  const heard = await inbox.find({ method: 'notifications/tasks' });

  expect(params).toMatchObject({ notifications: { taskIds: [named] } });
  expect(heard.params).toMatchObject({ taskId: named });
});
