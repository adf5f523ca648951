// Tasks for a modern client that knows them, at servers of either era, which it cannot tell apart (wire.md, Tasks).
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { setMark, untilMarked } from '../../fixtures/servers/marks.ts';
import { cancelMark } from '../../fixtures/servers/tasks/tools.ts';
import type { JsonObject } from '../../src/core/json.ts';
import type { RunningGateway } from './harness/gateway.ts';
import { BOB } from './harness/principals.ts';
import { type EventStream, modernMeta, openPipe } from './harness/raw.ts';
import { until } from './harness/status.ts';
import { KNOWS_TASKS, RELATED, startTaskServers, TASK_SERVERS, TaskClient, textOf } from './harness/tasks.ts';

let gateway: RunningGateway;
let stop: () => Promise<void>;
let alice: TaskClient;
let bob: TaskClient;

beforeAll(async () => {
  ({ gateway, stop } = await startTaskServers());
  alice = new TaskClient(gateway.origin);
  bob = alice.with({ token: BOB });
}, 60_000);

afterAll(() => stop());

const ISO = /^\d{4}-\d\d-\d\dT[\d:.]+Z$/;
const NO_SUCH_TASK = { code: -32602, message: expect.stringContaining('There is no such task') as unknown };
const REQUIRED = { requiredCapabilities: { extensions: { 'io.modelcontextprotocol/tasks': {} } } };
const ACCEPTED = { action: 'accept', content: { confirm: true } };

/** The answer to an id that nobody ever had. */
const unknown = (method = 'tasks/get', more: JsonObject = {}): Promise<JsonObject> =>
  alice.ask(method, { taskId: 'never', ...more });

async function listening(client: TaskClient, taskIds: readonly string[], more?: JsonObject): Promise<EventStream> {
  const stream = await client.listen(taskIds, more);
  onTestFinished(() => stream.close());
  return stream;
}

test('the aggregate declares the extension, an endpoint of one server only where that server has tasks of either era', async () => {
  const declared = async (path: string) =>
    ((await alice.with({ path }).ask('server/discover')).capabilities as JsonObject).extensions;

  expect(await declared('/mcp')).toEqual(REQUIRED.requiredCapabilities.extensions);
  expect(await declared('/mcp/s/modern_http')).toEqual(REQUIRED.requiredCapabilities.extensions);
  expect(await declared('/mcp/s/legacy_stdio')).toEqual(REQUIRED.requiredCapabilities.extensions);
  expect(await declared('/mcp/s/plain')).toBeUndefined();
});

describe.each(TASK_SERVERS)('At %s', (server) => {
  const tool = (name: string) => `${server}__${name}`;

  test('a call is answered with a task, which works, says how far it is, and ends with the result of the tool', async () => {
    const label = randomUUID();
    const created = await alice.call(tool('held_job'), { label });
    const taskId = created.taskId as string;
    const working = await until(
      () => alice.get(taskId),
      ({ statusMessage }) => statusMessage === `holding ${label}`,
    );
    setMark(label);
    const done = await alice.until(taskId, 'completed');

    expect(created).toMatchObject({ http: 200, resultType: 'task', status: 'working' });
    expect(Object.keys(created)).not.toEqual(expect.arrayContaining(['task', 'ttl', 'pollInterval', 'result']));
    expect(created.createdAt).toMatch(ISO);
    expect(created.lastUpdatedAt).toMatch(ISO);
    expect(created.ttlMs === null || Number.isInteger(created.ttlMs)).toBe(true);
    expect(created.pollIntervalMs).toBe(50);
    expect(working).toMatchObject({ resultType: 'complete', taskId, status: 'working', pollIntervalMs: 50 });
    expect(done).toMatchObject({ resultType: 'complete', taskId, createdAt: created.createdAt });
    expect(textOf(done.result)).toBe(`${label} was released`);
    expect(JSON.stringify(done)).not.toContain(RELATED);
  });

  test("a tool's own failure completes the task, an error of the protocol fails it", async () => {
    const failing = await alice.begin(tool('failing_job'));
    const broken = await alice.begin(tool('protocol_error_job'));

    expect(await alice.until(failing, 'completed')).toMatchObject({ result: { isError: true } });
    const failed = await alice.until(broken, 'failed');
    expect(failed.error).toMatchObject({ code: -32603, message: expect.stringContaining('the job broke') as unknown });
    expect(failed).not.toHaveProperty('result');
  });

  test('what the tool asks stands in the task until it is answered, and answers to anything else change nothing', async () => {
    const taskId = await alice.begin(tool('confirm_delete'), { filename: 'a.txt' });
    const asked = await alice.until(taskId, 'input_required');
    const again = await alice.get(taskId);
    const ignored = await alice.ask('tasks/update', { taskId, inputResponses: { other: ACCEPTED } });
    const still = await alice.get(taskId);
    const taken = await alice.ask('tasks/update', { taskId, inputResponses: { confirmed: ACCEPTED } });
    const done = await alice.until(taskId, 'completed');

    expect(asked.inputRequests).toMatchObject({
      confirmed: { method: 'elicitation/create', params: { mode: 'form', message: 'Delete a.txt?' } },
    });
    expect(JSON.stringify(asked)).not.toMatch(/related-task|inputKey/);
    expect(again.inputRequests).toEqual(asked.inputRequests);
    expect(still.inputRequests).toEqual(asked.inputRequests);
    for (const acknowledged of [ignored, taken]) {
      expect(acknowledged).toMatchObject({ http: 200, resultType: 'complete' });
      expect(acknowledged).not.toHaveProperty('status');
    }
    expect(textOf(done.result)).toBe(`a.txt: ${JSON.stringify(ACCEPTED)}`);
  });

  test('of two questions one may be answered first, and the other one stays', async () => {
    const taskId = await alice.begin(tool('multi_input'));
    await until(
      () => alice.get(taskId),
      ({ inputRequests = {} }) => Object.keys(inputRequests as JsonObject).length === 2,
    );
    await alice.ask('tasks/update', { taskId, inputResponses: { first: ACCEPTED } });
    const left = await until(
      () => alice.get(taskId),
      ({ inputRequests = {} }) => Object.keys(inputRequests as JsonObject).length < 2,
    );
    await alice.ask('tasks/update', { taskId, inputResponses: { second: { action: 'decline' } } });
    const done = await alice.until(taskId, 'completed');

    expect(left).toMatchObject({ status: 'input_required' });
    expect(Object.keys(left.inputRequests as JsonObject)).toEqual(['second']);
    expect(JSON.parse(textOf(done.result))).toEqual({ first: ACCEPTED, second: { action: 'decline' } });
  });

  test('a tool that asks before there is a task is answered by calling it again, and the task knows the answer', async () => {
    const call = { name: tool('test_tool_with_task'), arguments: {} };
    const asked = await alice.ask('tools/call', call);
    const created = await alice.ask('tools/call', {
      ...call,
      inputResponses: { user_name: { action: 'accept', content: { name: 'Ada' } } },
      ...(asked.requestState !== undefined && { requestState: asked.requestState }),
    });
    const done = await alice.until(created.taskId as string, 'completed');

    expect(asked).toMatchObject({ resultType: 'input_required', inputRequests: { user_name: {} } });
    expect(asked).not.toHaveProperty('taskId');
    expect(created).toMatchObject({ resultType: 'task' });
    expect(created).not.toHaveProperty('requestState');
    expect(textOf(done.result)).toContain('Ada');
  });

  test('cancelling reaches the server; one that has ended is acknowledged and stays as it is', async () => {
    const label = randomUUID();
    const taskId = await alice.begin(tool('held_job'), { label });
    const cancelled = await alice.ask('tasks/cancel', { taskId });
    await untilMarked(cancelMark(label));
    const ended = await alice.until(taskId, 'cancelled');
    const again = await alice.ask('tasks/cancel', { taskId });
    const done = await alice.begin(tool('failing_job'));
    await alice.until(done, 'completed');
    const late = await alice.ask('tasks/cancel', { taskId: done });

    for (const acknowledged of [cancelled, again, late]) {
      expect(acknowledged).toMatchObject({ http: 200, resultType: 'complete' });
      expect(acknowledged).not.toHaveProperty('status');
    }
    expect(ended).not.toHaveProperty('result');
    expect(await alice.get(done)).toMatchObject({ status: 'completed' });
  });

  test('a listener hears of each change of its own tasks and of nothing else, the end with the result', async () => {
    const label = randomUUID();
    const taskId = await alice.begin(tool('held_job'), { label });
    const asking = await alice.begin(tool('confirm_delete'), { filename: 'b.txt' });
    const foreign = await bob.begin(tool('held_job'), { label: randomUUID() });
    await alice.until(asking, 'input_required');
    const { inbox } = await listening(alice, [taskId, 'never', foreign, asking], { toolsListChanged: true });
    const acknowledged = await inbox.next();
    await bob.ask('tasks/cancel', { taskId: foreign });
    await alice.ask('tasks/update', { taskId: asking, inputResponses: { confirmed: ACCEPTED } });
    setMark(label);
    const ends = new Map<unknown, JsonObject>();
    while (ends.size < 2) {
      const { params } = await inbox.find({ method: 'notifications/tasks' });
      const task = params as JsonObject;
      if (task.status === 'completed') ends.set(task.taskId, task);
    }
    const { params } = acknowledged as { params: JsonObject & { notifications: JsonObject & { taskIds: string[] } } };

    expect(acknowledged).toMatchObject({ method: 'notifications/subscriptions/acknowledged' });
    expect(new Set(params.notifications.taskIds)).toEqual(new Set([taskId, asking]));
    expect(params.notifications.toolsListChanged).toBe(true);
    expect(textOf(ends.get(taskId)?.result)).toBe(`${label} was released`);
    expect(textOf(ends.get(asking)?.result)).toContain('b.txt');
    expect(inbox.all.filter(({ method }) => method !== 'notifications/tasks')).toEqual([acknowledged]);
    for (const { params: each } of inbox.all)
      expect(each).toMatchObject({
        _meta: { 'io.modelcontextprotocol/subscriptionId': 'subscriptions/listen of alice' },
      });
    expect(JSON.stringify(inbox.all)).not.toContain(foreign);
  });

  test('a task whose time is over is as one that never was', async () => {
    const taskId = await alice.begin(tool('brief_job'), { ttl: 1_000 });
    const { error } = await until(
      () => alice.get(taskId),
      (task) => task.error !== undefined,
    );

    expect(error).toMatchObject({ code: -32602 });
  });

  test('who does not know tasks is told what is missing, whatever the id', async () => {
    const taskId = await alice.begin(tool('failing_job'));
    const plain = alice.with({ capabilities: { elicitation: {} } });
    const attempts = [taskId, 'never'].flatMap((id) => [
      plain.get(id),
      plain.ask('tasks/update', { taskId: id, inputResponses: {} }),
      plain.ask('tasks/cancel', { taskId: id }),
      plain.ask('subscriptions/listen', { notifications: { taskIds: [id] } }),
    ]);

    for (const attempt of await Promise.all(attempts))
      expect(attempt).toMatchObject({ http: 400, error: { code: -32021, data: REQUIRED } });
  });

  test('an id of somebody else, of another endpoint, or changed in any place is as unknown as any', async () => {
    const taskId = await alice.begin(tool('held_job'), { label: randomUUID() });
    const mutated = [0, 20, taskId.length - 1].map(
      (at) => taskId.slice(0, at) + (taskId[at] === 'A' ? 'B' : 'A') + taskId.slice(at + 1),
    );
    const own = alice.with({ path: `/mcp/s/${server}` });
    const elsewhere = alice.with({ path: '/mcp/s/one' });
    for (const [method, more] of [['tasks/get'], ['tasks/update', { inputResponses: {} }], ['tasks/cancel']] as const) {
      const due = await unknown(method, more);
      const wrong = [
        bob.ask(method, { taskId, ...more }),
        elsewhere.ask(method, { taskId, ...more }),
        ...mutated.map((one) => alice.ask(method, { taskId: one, ...more })),
      ];

      expect(due).toMatchObject({ error: NO_SUCH_TASK });
      for (const answer of await Promise.all(wrong)) expect(answer).toEqual(due);
    }

    expect(await alice.get(taskId)).toMatchObject({ status: 'working' });
    expect(await own.get(taskId)).toMatchObject({ status: 'working', taskId });
    await own.ask('tasks/cancel', { taskId });
  });
});

test.each(TASK_SERVERS)('a client on a pipe has its tasks at %s too, and hears of them', async (server) => {
  const pipe = openPipe(gateway);
  onTestFinished(() => void pipe.end());
  const _meta = modernMeta({ 'io.modelcontextprotocol/clientCapabilities': KNOWS_TASKS });
  const call = { name: `${server}__confirm_delete`, arguments: { filename: 'd' } };
  pipe.request(1, 'tools/call', { ...call, _meta });
  const { taskId } = (await pipe.inbox.find({ id: 1 })).result as { taskId: string };
  await until(
    async () => {
      const id = randomUUID();
      pipe.request(id, 'tasks/get', { taskId, _meta });
      return (await pipe.inbox.find({ id })).result as JsonObject;
    },
    ({ status }) => status === 'input_required',
  );
  pipe.request(2, 'subscriptions/listen', { notifications: { taskIds: [taskId] }, _meta });
  const { params } = await pipe.inbox.find({ method: 'notifications/subscriptions/acknowledged' });
  pipe.request(3, 'tasks/update', { taskId, inputResponses: { confirmed: ACCEPTED }, _meta });
  let news: JsonObject = {};
  while (news.status !== 'completed')
    news = (await pipe.inbox.find({ method: 'notifications/tasks' })).params as JsonObject;

  expect(params).toMatchObject({ notifications: { taskIds: [taskId] } });
  expect(news).toMatchObject({ taskId, _meta: { 'io.modelcontextprotocol/subscriptionId': 2 } });
  expect(textOf(news.result)).toBe(`d: ${JSON.stringify(ACCEPTED)}`);
});

test('two tasks that have one id at their servers are two', async () => {
  const labels = [randomUUID(), randomUUID()] as const;
  const own = await alice.begin('one__held_job', { label: labels[0] });
  const other = await alice.begin('two__held_job', { label: labels[1] });
  const foreign = await bob.begin('two__confirm_delete', { filename: 'c' });
  setMark(labels[0]);
  const done = await alice.until(own, 'completed');

  expect(new Set([own, other, foreign]).size).toBe(3);
  expect(textOf(done.result)).toBe(`${labels[0]} was released`);
  expect(await alice.get(other)).toMatchObject({ taskId: other, status: 'working' });
  expect(await bob.until(foreign, 'input_required')).toMatchObject({ taskId: foreign });
  await Promise.all([alice.ask('tasks/cancel', { taskId: other }), bob.ask('tasks/cancel', { taskId: foreign })]);
});
