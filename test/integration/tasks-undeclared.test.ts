// What a task asks that its client did not declare: nobody is asked it, and the client is told what was missing (wire.md, Questions 6).
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { startEndless } from './harness/endless-tasks.ts';
import type { RunningGateway } from './harness/gateway.ts';
import { modern, openEvents, type ScriptedServer, startScripted, tool, type Visit } from './harness/scripted.ts';
import { KNOWS_TASKS, RELATED, startTaskGateway, TaskClient } from './harness/tasks.ts';

const SAMPLING = { method: 'sampling/createMessage', params: { messages: [], maxTokens: 5 } };
const FORM = { method: 'elicitation/create', params: { message: 'm', requestedSchema: { type: 'object' } } };

test('a task of a legacy server that fails for what its client did not declare says what that is', async () => {
  let waiting: Visit | undefined;
  let say: ((message: JsonObject) => void) | undefined;
  const server = await startEndless((visit) => {
    if (visit.rpc === 'tasks/result') {
      waiting = visit;
      say = openEvents(visit);
      const _meta = { [RELATED]: { taskId: visit.params.taskId } };
      say({ id: 'ask', method: SAMPLING.method, params: { ...SAMPLING.params, _meta } });
    }
    if (visit.id !== 'ask') return false;
    say?.({ id: waiting?.id ?? null, result: { isError: true, content: [{ type: 'text', text: 'no model' }] } });
    waiting?.response.end();
    visit.response.writeHead(202).end();
    return true;
  });
  const gateway = await startTaskGateway({ endless: { url: server.url } });
  onTestFinished(() => void gateway.stop());
  const alice = new TaskClient(gateway.origin);
  const task = await alice.until(await alice.begin('endless__job'), 'failed');

  expect(task).toMatchObject({
    statusMessage: expect.stringContaining('no model') as unknown,
    error: { code: -32021, data: { requiredCapabilities: { sampling: {} } } },
  });
  expect(task.result).toBeUndefined();
});

describe('A task of a modern server', () => {
  const ASKED: Readonly<Record<string, unknown>> = {
    form: { q: FORM },
    sampling: { q: SAMPLING },
    evil: { q: { method: 'evil/do' } },
    text: { q: 'what?' },
    list: [FORM],
  };
  const now = new Date().toISOString();
  const stands = (name: string): JsonObject => ({
    taskId: name,
    status: 'input_required',
    createdAt: now,
    lastUpdatedAt: now,
    ttlMs: 60_000,
    inputRequests: ASKED[name] as JsonObject,
  });
  const script = (visit: Visit): JsonObject | undefined => {
    const { rpc, params, id = null } = visit;
    if (rpc === 'tools/call') return { ...stands(params.name as string), resultType: 'task', status: 'working' };
    if (rpc === 'tasks/get') return { ...stands(params.taskId as string), resultType: 'complete' };
    if (rpc !== 'subscriptions/listen') return undefined;
    const { taskIds } = params.notifications as { taskIds: string[] };
    const _meta = { 'io.modelcontextprotocol/subscriptionId': id };
    const say = openEvents(visit);
    say({
      method: 'notifications/subscriptions/acknowledged',
      params: { _meta, notifications: params.notifications ?? {} },
    });
    // the one that may be told comes last: by then the others would have been
    const named = taskIds.toSorted((one, other) => Number(one === 'form') - Number(other === 'form'));
    for (const name of named) say({ method: 'notifications/tasks', params: { ...stands(name), _meta } });
    return undefined;
  };
  let server: ScriptedServer;
  let gateway: RunningGateway;
  let alice: TaskClient;
  beforeAll(async () => {
    const capabilities = { extensions: { 'io.modelcontextprotocol/tasks': {} } };
    server = await startScripted(modern(() => Object.keys(ASKED).map((name) => tool(name)), script, capabilities));
    gateway = await startTaskGateway({ m: { url: server.url } });
    alice = new TaskClient(gateway.origin);
  });
  afterAll(async () => {
    await gateway.stop();
    await server.stop();
  });

  test.each([
    ['sampling', { code: -32021, data: { requiredCapabilities: { sampling: {} } } }],
    ['evil', { code: -33013 }],
    ['text', { code: -33013 }],
    ['list', { code: -33013 }],
  ])('that asks %s does not ask the client, who is told why', async (name, error) => {
    const taskId = await alice.begin(`m__${name}`);
    const found = await alice.get(taskId);

    expect(found).toMatchObject({ error });
    expect(found.inputRequests).toBeUndefined();
  });

  test('asks what the client declared, and another client what that one did', async () => {
    const [form, sampling] = [await alice.begin('m__form'), await alice.begin('m__sampling')];
    const other = alice.with({ capabilities: { ...KNOWS_TASKS, sampling: {} } });

    expect(await alice.get(form)).toMatchObject({ status: 'input_required', inputRequests: { q: FORM } });
    expect(await other.get(sampling)).toMatchObject({ status: 'input_required', inputRequests: { q: SAMPLING } });
  });

  test('asks nothing when it is made', async () => {
    const created = await alice.call('m__evil');

    expect(created).toMatchObject({ resultType: 'task', status: 'working' });
    expect(created.inputRequests).toBeUndefined();
  });

  test('tells a listener what it may be asked alone', async () => {
    const ids: string[] = [];
    for (const name of Object.keys(ASKED)) ids.push(await alice.begin(`m__${name}`));
    const { inbox, close } = await alice.listen(ids);
    onTestFinished(close);
    const told = await inbox.find({ method: 'notifications/tasks' });

    expect(told.params).toMatchObject({ taskId: ids[0], inputRequests: { q: FORM } });
  });
});
