// Tasks for clients that know those of 2025-11-25 or none at all, at servers of either era (wire.md, Tasks).
import { randomUUID } from 'node:crypto';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import {
  type CallToolResult,
  CallToolResultSchema,
  ElicitRequestSchema,
  type Task,
  TaskStatusNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { setMark, untilMarked } from '../../fixtures/servers/marks.ts';
import { cancelMark } from '../../fixtures/servers/tasks/tools.ts';
import { isObject, type JsonObject } from '../../src/core/json.ts';
import { transportV1 } from './harness/clients.ts';
import type { RunningGateway } from './harness/gateway.ts';
import { ALICE, BOB } from './harness/principals.ts';
import { messageOf, openSession, send } from './harness/raw.ts';
import { RELATED, startTaskServers, TASK_SERVERS, TaskClient, textOf } from './harness/tasks.ts';

let gateway: RunningGateway;
let stop: () => Promise<void>;

beforeAll(async () => {
  ({ gateway, stop } = await startTaskServers());
}, 60_000);

afterAll(() => stop());

const LEGACY = TASK_SERVERS.filter((name) => name.startsWith('legacy'));
const MODERN = TASK_SERVERS.filter((name) => name.startsWith('modern'));
const ACCEPTED = { action: 'accept' as const, content: { confirm: true } };
const DECLARED = { list: {}, cancel: {}, requests: { tools: { call: {} } } };

/** A client of the SDK's first generation, and what it was asked and told. */
interface Told {
  readonly client: Client;
  readonly asked: JsonObject[];
  readonly statuses: Task[];
}

interface ConnectOptions {
  readonly token?: string;
  /** `/mcp` or `/sse`; `stdio` is the command that joins the gateway. */
  readonly path?: string;
}

/** Connects one; it accepts everything that it is asked, and is closed when the test ends. */
async function connect({ token = ALICE, path = '/mcp' }: ConnectOptions = {}): Promise<Told> {
  const client = new Client({ name: 'v1', version: '1' }, { capabilities: { elicitation: {}, tasks: {} } });
  const asked: JsonObject[] = [];
  const statuses: Task[] = [];
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
    asked.push(params as unknown as JsonObject);
    return ACCEPTED;
  });
  client.setNotificationHandler(TaskStatusNotificationSchema, ({ params }) => void statuses.push(params));
  const { config, state, origin } = gateway;
  const web = { url: `${origin}${path}`, headers: { Authorization: `Bearer ${token}` } };
  await client.connect(transportV1(path === 'stdio' ? { config, state } : web));
  onTestFinished(() => client.close());
  return { client, asked, statuses };
}

interface Streamed {
  readonly created: Task;
  readonly result: CallToolResult;
}

/** Calls a tool as a task, and follows it to its end as the SDK does. */
async function callAsTask(client: Client, name: string, given: JsonObject = {}): Promise<Streamed> {
  let created: Task | undefined;
  const messages = client.experimental.tasks.callToolStream({ name, arguments: given }, CallToolResultSchema, {
    task: { ttl: 60_000 },
  });
  for await (const message of messages) {
    if (message.type === 'taskCreated') created = message.task;
    if (message.type === 'error') throw message.error;
    if (message.type === 'result' && created) return { created, result: message.result };
  }
  throw new Error('the stream ended without a result');
}

/** Begins a task without following it. */
async function begin(client: Client, name: string, given: JsonObject = {}): Promise<Task> {
  const messages = client.experimental.tasks.callToolStream({ name, arguments: given }, CallToolResultSchema, {
    task: { ttl: 60_000 },
  });
  for await (const message of messages) {
    if (message.type === 'taskCreated') return message.task;
    if (message.type === 'error') throw message.error;
  }
  throw new Error('there was no task');
}

const relatedTo = ({ _meta }: JsonObject): unknown => (isObject(_meta) ? _meta[RELATED] : undefined);

describe.each(LEGACY)('A client of 2025-11-25 that calls with a task, at %s', (server) => {
  const tool = (name: string) => `${server}__${name}`;

  test('gets the result at the end of the task, which has one id everywhere', async () => {
    const { client } = await connect();
    const { created, result } = await callAsTask(client, tool('slow_compute'), { seconds: 0, label: 'x' });
    const known = await client.experimental.tasks.getTask(created.taskId);

    expect(client.getServerCapabilities()?.tasks).toEqual(DECLARED);
    expect(created).toMatchObject({ status: 'working', ttl: 60_000, pollInterval: 50 });
    expect(created.taskId).not.toMatch(/^[0-9a-f]{32}$/); // which would be the server's
    expect(textOf(result)).toBe('x took 0 s');
    expect(relatedTo(result as JsonObject)).toEqual({ taskId: created.taskId });
    expect(known).toMatchObject({ taskId: created.taskId, status: 'completed' });
  });

  test('is asked in the middle of it, and told which task asks', async () => {
    const { client, asked } = await connect();
    const { created, result } = await callAsTask(client, tool('confirm_delete'), { filename: 'a' });

    expect(asked).toMatchObject([{ message: 'Delete a?' }]);
    expect(relatedTo(asked[0]!)).toEqual({ taskId: created.taskId });
    expect(textOf(result)).toBe(`a: ${JSON.stringify(ACCEPTED)}`);
  });

  test('gets an error of the protocol as the result of the task', async () => {
    const { client } = await connect();
    const task = await begin(client, tool('protocol_error_job'));
    const { tasks } = client.experimental;

    await expect(tasks.getTaskResult(task.taskId, CallToolResultSchema)).rejects.toMatchObject({ code: -32603 });
    expect(await tasks.getTask(task.taskId)).toMatchObject({ status: 'failed' });
  });

  test('cancels it where it runs', async () => {
    const { client } = await connect();
    const label = randomUUID();
    const { taskId } = await begin(client, tool('held_job'), { label });
    const cancelled = await client.experimental.tasks.cancelTask(taskId);
    await untilMarked(cancelMark(label));

    expect(cancelled).toMatchObject({ taskId, status: 'cancelled' });
    expect(await client.experimental.tasks.getTask(taskId)).toMatchObject({ taskId, status: 'cancelled' });
  });

  test('hears how the task stands without asking', async () => {
    const { client, statuses } = await connect();
    const heard = Promise.withResolvers<undefined>();
    client.setNotificationHandler(TaskStatusNotificationSchema, ({ params }) => {
      statuses.push(params);
      if (params.status === 'completed') heard.resolve(undefined);
    });
    const label = randomUUID();
    const { taskId } = await begin(client, tool('held_job'), { label });
    setMark(label);
    await heard.promise;

    expect(statuses.map((task) => task.taskId)).toEqual(statuses.map(() => taskId));
  });

  test('lists its own tasks and nobody else', async () => {
    const [{ client: alice }, { client: bob }] = await Promise.all([connect(), connect({ token: BOB })]);
    const own = await begin(alice, tool('slow_compute'), { seconds: 0, label: 'a' });
    const foreign = await begin(bob, tool('slow_compute'), { seconds: 0, label: 'b' });
    const idsOf = async (client: Client) =>
      (await client.experimental.tasks.listTasks()).tasks.map(({ taskId }) => taskId);

    expect(await idsOf(alice)).toContain(own.taskId);
    expect(await idsOf(alice)).not.toContain(foreign.taskId);
    expect(await idsOf(bob)).toContain(foreign.taskId);
    expect(await idsOf(bob)).not.toContain(own.taskId);
  });

  test("finds it again in another session of its own, and nobody else's session does", async () => {
    const session = await openSession(gateway.origin, { headers: { Authorization: `Bearer ${ALICE}` } });
    const label = randomUUID();
    const call = { name: tool('held_job'), arguments: { label }, task: { ttl: 60_000 } };
    const answer = messageOf(await send(gateway.origin, session.request('tools/call', call)));
    const { taskId } = (answer.result as { task: Task }).task;
    const [{ client: alice }, { client: bob }] = await Promise.all([connect(), connect({ token: BOB })]);
    const wait = alice.experimental.tasks.getTaskResult(taskId, CallToolResultSchema);
    const refused = await Promise.all(
      [taskId, 'never'].map((id) => bob.experimental.tasks.getTask(id).catch((error: unknown) => error)),
    );
    setMark(label);

    expect(textOf(await wait)).toBe(`${label} was released`);
    await send(gateway.origin, session.delete());
    expect(refused[0]).toMatchObject({
      code: -32602,
      message: expect.stringContaining('There is no such task') as unknown,
    });
    expect(refused[0]).toEqual(refused[1]);
  });
});

test.each(['/sse', 'stdio'].flatMap((path) => LEGACY.map((server) => [path, server] as const)))(
  'a client of 2025-11-25 by %s is asked by a task at %s, and gets its result',
  async (path, server) => {
    const { client, asked } = await connect({ path });
    const { created, result } = await callAsTask(client, `${server}__confirm_delete`, { filename: 'a' });
    const { tasks } = await client.experimental.tasks.listTasks();

    expect(relatedTo(asked[0]!)).toEqual({ taskId: created.taskId });
    expect(textOf(result)).toBe(`a: ${JSON.stringify(ACCEPTED)}`);
    expect(relatedTo(result as JsonObject)).toEqual({ taskId: created.taskId });
    expect(tasks.map(({ taskId }) => taskId)).toContain(created.taskId);
  },
);

describe.each(LEGACY)('A client that does not know tasks, at %s', (server) => {
  const tool = (name: string) => `${server}__${name}`;

  test('gets the answer of a tool that runs as a task only, and is asked meanwhile', async () => {
    const { client, asked } = await connect();
    const result = await client.callTool({ name: tool('multi_input'), arguments: {} });

    expect(asked.map(({ message }) => message).toSorted()).toEqual(['First?', 'Second?']);
    expect(JSON.parse(textOf(result))).toEqual({ first: ACCEPTED, second: ACCEPTED });
  });

  test('of 2026-07-28 gets it too, and answers by calling again', async () => {
    const client = new TaskClient(gateway.origin, { capabilities: { elicitation: { form: {} } } });
    const call = { name: tool('multi_input'), arguments: {} };
    const asked = await client.ask('tools/call', call);
    const inputResponses = Object.fromEntries(
      Object.keys(asked.inputRequests as JsonObject).map((key) => [key, ACCEPTED]),
    );
    const done = await client.ask('tools/call', { ...call, inputResponses, requestState: asked.requestState! });

    expect(asked).toMatchObject({ resultType: 'input_required' });
    expect(done).toMatchObject({ resultType: 'complete' });
    expect(JSON.parse(textOf(done))).toEqual({ first: ACCEPTED, second: ACCEPTED });
    expect(JSON.stringify(done)).not.toContain(RELATED);
  });

  test('gets the failure of such a tool', async () => {
    const { client } = await connect();

    expect(await client.callTool({ name: tool('failing_job'), arguments: {} })).toMatchObject({ isError: true });
  });
});

describe.each(MODERN)('A legacy client, at %s', (server) => {
  const tool = (name: string) => `${server}__${name}`;

  test('gets the end of what the server made a task of, and is asked what the task asks', async () => {
    const { client, asked } = await connect();
    const result = await client.callTool({ name: tool('confirm_delete'), arguments: { filename: 'a' } });
    const both = await client.callTool({ name: tool('multi_input'), arguments: {} });
    const failing = await client.callTool({ name: tool('failing_job'), arguments: {} });

    expect(textOf(result)).toBe(`a: ${JSON.stringify(ACCEPTED)}`);
    expect(result).not.toHaveProperty('resultType');
    expect(JSON.parse(textOf(both))).toEqual({ first: ACCEPTED, second: ACCEPTED });
    expect(failing).toMatchObject({ isError: true });
    expect(asked.map(({ message }) => message)).toEqual(['Delete a?', ...['First?', 'Second?']]);
    await expect(client.callTool({ name: tool('protocol_error_job'), arguments: {} })).rejects.toMatchObject({
      code: -32603,
    });
  });

  test('hears as progress what the task says', async () => {
    const { client } = await connect();
    const label = randomUUID();
    const messages: unknown[] = [];
    const result = await client.callTool({ name: tool('held_job'), arguments: { label } }, undefined, {
      onprogress: ({ message }) => {
        messages.push(message);
        if (message === `holding ${label}`) setMark(label);
      },
    });

    expect(messages).toContain(`holding ${label}`);
    expect(textOf(result)).toBe(`${label} was released`);
  });

  test('ends the task by cancelling its call', async () => {
    const { client } = await connect();
    const label = randomUUID();
    const controller = new AbortController();
    const call = client.callTool({ name: tool('held_job'), arguments: { label } }, undefined, {
      signal: controller.signal,
      onprogress: ({ message }) => {
        if (message === `holding ${label}`) controller.abort();
      },
    });

    await expect(call).rejects.toThrow();
    await untilMarked(cancelMark(label));
  });

  test('that calls with a task gets the answer instead, because such a server has no tasks of its kind', async () => {
    const session = await openSession(gateway.origin, { headers: { Authorization: `Bearer ${ALICE}` } });
    const call = { name: tool('slow_compute'), arguments: { seconds: 0, label: 'x' }, task: { ttl: 60_000 } };
    const { result } = messageOf(await send(gateway.origin, session.request('tools/call', call)));

    expect(textOf(result)).toBe('x took 0 s');
    expect(result).not.toHaveProperty('task');
  });
});

test.each([
  ['2025-11-25', '/mcp', DECLARED],
  ['2025-11-25', '/mcp/s/legacy_http', DECLARED],
  ['2025-11-25', '/mcp/s/modern_http', undefined],
  ['2025-11-25', '/mcp/s/plain', undefined],
  ['2025-06-18', '/mcp', undefined],
  ['2025-06-18', '/mcp/s/legacy_http', undefined],
])('a session of %s at %s is told of tasks only where it may have them', async (version, path, declared) => {
  const headers = { Authorization: `Bearer ${ALICE}` };
  const { result } = messageOf(
    await send(gateway.origin, {
      path,
      headers: { ...headers, 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream' },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 0,
        method: 'initialize',
        params: { protocolVersion: version, capabilities: {}, clientInfo: { name: 'raw', version: '1' } },
      }),
    }),
  );
  const session = await openSession(gateway.origin, { version, path, headers });
  const methods = ['tasks/get', 'tasks/result', 'tasks/cancel', 'tasks/list'];
  const codes = await Promise.all(
    methods.map(async (method, id) => {
      const params = method === 'tasks/list' ? {} : { taskId: 'never' };
      const { error } = messageOf(await send(gateway.origin, session.request(method, params, { id })));
      return isObject(error) ? error.code : 'none';
    }),
  );

  expect((result as JsonObject).capabilities).toMatchObject(declared ? { tasks: declared } : {});
  if (!declared) expect((result as JsonObject).capabilities).not.toHaveProperty('tasks');
  expect(codes).toEqual(declared ? [-32602, -32602, -32602, 'none'] : methods.map(() => -32601));
});

test('a session older than tasks gets the answer of a tool that runs as a task only, even if it asks for a task', async () => {
  const session = await openSession(gateway.origin, {
    version: '2025-06-18',
    headers: { Authorization: `Bearer ${ALICE}` },
  });
  const call = { name: 'legacy_http__failing_job', arguments: {}, task: { ttl: 60_000 } };
  const { result } = messageOf(await send(gateway.origin, session.request('tools/call', call)));

  expect(result).toMatchObject({ isError: true });
  expect(result).not.toHaveProperty('task');
});

test('what a modern client says of a task of 2025-11-25 means nothing: the gateway asks the server for an hour', async () => {
  const client = new TaskClient(gateway.origin);
  const call = { arguments: { seconds: 0, label: 'x' }, task: { ttl: 1, pollInterval: 1 } };
  const created = await client.ask('tools/call', { name: 'legacy_http__slow_compute', ...call });
  const plain = await client.ask('tools/call', { name: 'legacy_http__greet', ...call, arguments: { name: 'x' } });

  expect(created).toMatchObject({ resultType: 'task', ttlMs: 3_600_000, pollIntervalMs: 50 });
  expect(textOf(plain)).toBe('Hello, x!');
});

test("a modern client that does not know tasks gets a modern server's own answer, or its refusal", async () => {
  const client = new TaskClient(gateway.origin, { capabilities: {} });
  const plain = await client.call('modern_http__slow_compute', { seconds: 0, label: 'x' });
  const refused = await client.call('modern_http__failing_job');

  expect(textOf(plain)).toBe('x took 0 s');
  expect(refused).toMatchObject({
    http: 400,
    error: {
      code: -32021,
      data: { requiredCapabilities: { extensions: { 'io.modelcontextprotocol/tasks': {} } } },
    },
  });
});
