// Which calls run as tasks through a composed gateway, and who is given one: what the tool, its server and the caller say decides it.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../../src/core/json.ts';
import { messageOf, openSession, send } from '../../integration/harness/raw.ts';
import { answer, legacy, said, tool, type Visit } from '../../integration/harness/scripted.ts';
import { Composition } from './composition.ts';
import { standing } from './fake-server.ts';

const TASKS = { 'io.modelcontextprotocol/clientCapabilities': { extensions: { 'io.modelcontextprotocol/tasks': {} } } };
const TOOLS = [
  tool('must', { execution: { taskSupport: 'required' } }),
  tool('may', { execution: { taskSupport: 'optional' } }),
  tool('cannot'),
];

/** Speaks 2025-11-25. What runs as a task is done at once. */
function serverWithTasks(): (visit: Visit) => JsonObject | undefined {
  const task = (taskId: unknown, status: string): JsonObject => {
    const time = '2026-11-01T00:00:00Z';
    return { taskId: String(taskId), status, createdAt: time, lastUpdatedAt: time, ttl: 60_000, pollInterval: 100 };
  };
  return legacy(
    () => TOOLS,
    new Set(),
    (visit) => {
      const { rpc, http, id, params, response } = visit;
      switch (rpc) {
        case 'initialize': {
          const capabilities = { tools: {}, tasks: { requests: { tools: { call: {} } } } };
          answer(visit, { protocolVersion: '2025-11-25', capabilities, serverInfo: { name: 'tasks', version: '1' } });
          return;
        }
        case 'tools/list':
          return { tools: TOOLS };
        case 'tools/call':
          return params.task === undefined ? said('plain') : { task: task(params.name, 'working') };
        case 'tasks/get':
          return task(params.taskId, 'completed');
        case 'tasks/result':
          return said('of the task');
      }
      if (http === 'GET') response.writeHead(405).end();
      else if (id === undefined) response.writeHead(202).end();
      return undefined;
    },
  );
}

/** One who calls a tool, and gets the whole message. */
type Caller = (gateway: Composition, name: string) => Promise<JsonObject>;

const modernCaller =
  (meta: JsonObject): Caller =>
  async (gateway, name) => ({ ...(await gateway.ask('tools/call', { name, arguments: {} }, { meta })) });

const sessionOf =
  (version: string, params: JsonObject): Caller =>
  async (gateway, name) => {
    const session = await openSession(gateway.origin, { version });
    return messageOf(await send(gateway.origin, session.request('tools/call', { name, arguments: {}, ...params })));
  };

const CALLERS = {
  'a modern caller that knows tasks': modernCaller(TASKS),
  'a modern caller that knows none': modernCaller({}),
  'a session that wants a task': sessionOf('2025-11-25', { task: { ttl: 60_000 } }),
  'a session that wants none': sessionOf('2025-11-25', {}),
  'a session of a revision without tasks': sessionOf('2025-06-18', { task: { ttl: 60_000 } }),
} satisfies Record<string, Caller>;

/** What the caller gets: the task, the answer of one that was waited for, or that of a plain call. */
const HANDLE = { result: { resultType: 'task', taskId: expect.any(String) as unknown } };
const LEGACY_HANDLE = { result: { task: { taskId: expect.any(String) as unknown } } };
const WAITED = { result: { content: [{ text: 'of the task' }] } };
const PLAIN = { result: { content: [{ text: 'plain' }] } };

describe('at a server of 2025-11-25', () => {
  let gateway: Composition;
  beforeAll(async () => {
    gateway = await Composition.startShared({ servers: { s: { script: serverWithTasks() } } });
  });
  afterAll(() => gateway.close());

  test.for<[keyof typeof CALLERS, string, object]>([
    ['a modern caller that knows tasks', 'must', HANDLE],
    ['a modern caller that knows tasks', 'may', HANDLE],
    ['a modern caller that knows tasks', 'cannot', PLAIN],
    ['a modern caller that knows none', 'must', WAITED],
    ['a modern caller that knows none', 'may', PLAIN],
    ['a modern caller that knows none', 'cannot', PLAIN],
    ['a session that wants a task', 'must', LEGACY_HANDLE],
    ['a session that wants a task', 'may', LEGACY_HANDLE],
    ['a session that wants none', 'must', WAITED],
    ['a session that wants none', 'may', PLAIN],
    ['a session that wants none', 'cannot', PLAIN],
    ['a session of a revision without tasks', 'must', WAITED],
    ['a session of a revision without tasks', 'may', PLAIN],
    ['a session of a revision without tasks', 'cannot', PLAIN],
  ])('%s calls a tool that %s run as a task', async ([caller, name, expected]) => {
    expect(await CALLERS[caller](gateway, `s__${name}`)).toMatchObject(expected);

    expect(gateway.record('tools/call')).toMatchObject({ exposed: `s__${name}`, status: 'ok', server: 's' });
    const sent = gateway.fake().calls.findLast(({ rpc }) => rpc === 'tools/call');
    expect(sent?.params.task !== undefined).toBe(expected !== PLAIN);
  });

  test('what a modern caller says of rounds and tasks is not sent, which the server does not know', async () => {
    const own = { task: { ttl: 1 }, inputResponses: { key: { action: 'accept' } } };

    const answered = await gateway.ask('tools/call', { name: 's__cannot', arguments: { a: 1 }, ...own });

    expect(answered).toMatchObject(PLAIN);
    const sent = gateway.fake().calls.at(-1)?.params ?? {};
    expect(Object.keys(sent)).not.toEqual(expect.arrayContaining(['task']));
    expect(Object.keys(sent)).not.toEqual(expect.arrayContaining(['inputResponses']));
    expect(sent).toMatchObject({ name: 'cannot', arguments: { a: 1 } });
  });
});

describe('at a server of 2026-07-28', () => {
  let gateway: Composition;
  beforeAll(async () => {
    const done: JsonObject = { ...said('of the task') };
    gateway = await Composition.startShared({
      servers: {
        s: {
          tools: ['task', 'cannot'],
          prompts: ['greet'],
          script: ({ rpc, params: { name, taskId } }) => {
            if (rpc === 'tools/call' && name === 'cannot') return said('plain');
            if (rpc !== 'tasks/get') return undefined;
            return { ...standing(taskId as string), resultType: 'complete', status: 'completed', result: done };
          },
        },
      },
    });
  });
  afterAll(() => gateway.close());

  test.for<[keyof typeof CALLERS, string, object]>([
    ['a modern caller that knows tasks', 'task', HANDLE],
    ['a modern caller that knows tasks', 'cannot', PLAIN],
    ['a modern caller that knows none', 'task', { error: { data: { reason: 'upstream_protocol' } } }],
    ['a session that wants a task', 'task', WAITED],
    ['a session that wants none', 'task', WAITED],
    ['a session of a revision without tasks', 'task', WAITED],
    ['a session that wants a task', 'cannot', PLAIN],
  ])('%s calls the tool "%s"', async ([caller, name, expected]) => {
    expect(await CALLERS[caller](gateway, `s__${name}`)).toMatchObject(expected);

    const sent = gateway.fake().calls.findLast(({ rpc }) => rpc === 'tools/call');
    expect(sent?.params.task).toBeUndefined();
    // a session is answered in the end whatever it knows of tasks, so the gateway takes them for it
    expect(declared(sent)).toEqual(caller === 'a modern caller that knows none' ? undefined : {});
    const status = 'error' in expected ? 'protocol_error' : 'ok';
    expect(gateway.record('tools/call')).toMatchObject({ exposed: `s__${name}`, status });
  });

  test('for a prompt the gateway takes no task', async () => {
    const session = await openSession(gateway.origin);

    const answered = await send(gateway.origin, session.request('prompts/get', { name: 's__greet' }));

    expect(messageOf(answered).result).toEqual({ messages: [] });
    expect(declared(await gateway.fake().visited('prompts/get'))).toBeUndefined();
  });
});

/** What a request says of tasks to the server. */
function declared(sent: Visit | undefined): unknown {
  const meta = sent?.params._meta as JsonObject;
  const { extensions = {} } = meta['io.modelcontextprotocol/clientCapabilities'] as JsonObject;
  return (extensions as JsonObject)['io.modelcontextprotocol/tasks'];
}
