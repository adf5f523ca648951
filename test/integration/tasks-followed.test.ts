// A modern server's task that a legacy client waits for: what the server may fail with meanwhile, and what it asks and takes back (wire.md, Tasks).
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isObject, type JsonObject } from '../../src/core/json.ts';
import type { RunningGateway } from './harness/gateway.ts';
import { ALICE } from './harness/principals.ts';
import { type EventStream, type LegacySession, openSession, send, stream } from './harness/raw.ts';
import { modern, refuse, type ScriptedServer, startScripted, tool, type Visit } from './harness/scripted.ts';
import { until } from './harness/status.ts';
import { startTaskGateway } from './harness/tasks.ts';

const MAX_FAILURES = 5;
const MAX_QUESTIONS = 100;
const DONE = { content: [{ type: 'text', text: 'fine in the end' }] };
const ACCEPTED = { action: 'accept', content: { name: 'Ada' } };
const SAMPLING = { method: 'sampling/createMessage', params: { messages: [], maxTokens: 1 } };

const elicit = 'elicitation/create';

/** What the server says of the task of a call, by the name of its tool; told how often it was asked. */
type Telling = (visit: Visit, polls: number) => JsonObject | undefined;

const form = (message: string): JsonObject => ({
  method: elicit,
  params: { message, requestedSchema: { type: 'object', properties: { name: { type: 'string' } } } },
});

const working = (more: JsonObject = {}): JsonObject => ({
  resultType: 'complete',
  taskId: 'of the server',
  status: 'working',
  createdAt: '2026-07-28T00:00:00Z',
  lastUpdatedAt: '2026-07-28T00:00:00Z',
  ttlMs: 60_000,
  pollIntervalMs: 100,
  ...more,
});
const asking = (inputRequests: JsonObject): JsonObject => working({ status: 'input_required', inputRequests });
const completed = (result: JsonObject = DONE): JsonObject => working({ status: 'completed', result });

function failWith(visit: Visit, code: number): undefined {
  const error = { code, message: `failed with ${code}` };
  visit.response
    .writeHead(200, { 'content-type': 'application/json' })
    .end(JSON.stringify({ jsonrpc: '2.0', id: visit.id, error }));
  return undefined;
}

const cut = ({ response }: Visit): undefined => void response.destroy();

/** The answers that the server of a tool was given, as it got them. */
const given = (name: string): JsonObject[] =>
  server.seen
    .filter(({ rpc, params }) => rpc === 'tasks/update' && params.taskId === name)
    .map(({ params }) => params.inputResponses as JsonObject);

const cancels = (name: string): number =>
  server.seen.filter(({ rpc, params }) => rpc === 'tasks/cancel' && params.taskId === name).length;

const untilCancelled = (name: string) =>
  server.visited(({ rpc, params }) => rpc === 'tasks/cancel' && params.taskId === name);

const polls = new Map<string, number>();

const TELLING: Readonly<Record<string, Telling>> = {
  busy: (visit, count) => (count === 2 ? refuse(visit, 503) : count > 3 ? completed() : working()),
  reset: (visit, count) => (count === 2 ? cut(visit) : count > 3 ? completed() : working()),
  erring: (visit, count) => (count === 2 ? failWith(visit, -32603) : count > 3 ? completed() : working()),
  lasting: (visit, count) => (count <= MAX_FAILURES ? refuse(visit, 503) : completed()),
  down: (visit) => refuse(visit, 503),
  broken: (visit) => failWith(visit, -32603),
  gone: (visit) => failWith(visit, -32602),
  ends: () => (met.has('the end') ? completed() : asking({ who: form('the end') })),
  takes_back: () => {
    if (met.has('later')) return completed();
    if (met.has('stays')) return asking({ stays: form('stays'), later: form('later') });
    return asking({ leaves: form('leaves'), stays: form('stays') });
  },
  one_by_one: () => {
    const answered = given('one_by_one').length;
    if (answered === 0) return asking({ one: form('one'), two: form('two') });
    // what is answered may be listed for a while
    return answered === 1 ? asking({ one: form('one'), two: form('two'), three: form('three') }) : completed();
  },
  curious: () =>
    asking(Object.fromEntries(Array.from({ length: MAX_QUESTIONS + 1 }, (_, index) => [`q${index}`, form('q')]))),
  samples: () => asking({ who: form('who'), s: SAMPLING }),
  unendable: () => asking({ s: SAMPLING }),
  forgetful: () => (given('forgetful').length > 1 ? completed() : asking({ who: form('who') })),
  asks_at_the_end: () =>
    completed({ resultType: 'input_required', inputRequests: { who: form('who') }, requestState: 'mine' }),
};

let server: ScriptedServer;
let gateway: RunningGateway;
let session: LegacySession;
/** The messages of all questions that reached the client. */
const met = new Set<unknown>();

beforeAll(async () => {
  const script = (visit: Visit): JsonObject | undefined => {
    const { rpc, params } = visit;
    const name = typeof params.taskId === 'string' ? params.taskId : '';
    if (rpc === 'tools/call') return working({ resultType: 'task', taskId: params.name ?? '' });
    if (rpc === 'tasks/get') {
      const count = (polls.get(name) ?? 0) + 1;
      polls.set(name, count);
      const told = TELLING[name]?.(visit, count);
      return told && { ...told, taskId: name };
    }
    if (rpc === 'tasks/update' && name === 'forgetful' && given(name).length === 0) {
      refuse(visit, 503);
      return;
    }
    if (rpc === 'tasks/cancel' && name === 'unendable') return undefined;
    return rpc === 'tasks/update' || rpc === 'tasks/cancel' ? { resultType: 'complete' } : undefined;
  };
  const extensions = { 'io.modelcontextprotocol/tasks': {} };
  server = await startScripted(modern(() => Object.keys(TELLING).map((name) => tool(name)), script, { extensions }));
  gateway = await startTaskGateway({ m: { url: server.url } });
  const headers = { Authorization: `Bearer ${ALICE}` };
  session = await openSession(gateway.origin, { headers, capabilities: { elicitation: {}, sampling: {} } });
});

afterAll(async () => {
  await gateway.stop();
  await server.stop();
});

let calls = 0;

/** Calls a tool and meets its questions as they come; gives what the client heard, and the answer. */
async function call(name: string, meet: (question: JsonObject) => JsonObject | undefined = () => undefined) {
  const id = `call ${++calls}`;
  const events: EventStream = await stream(
    gateway.origin,
    session.request('tools/call', { name: `m__${name}`, arguments: {} }, { id }),
  );
  const heard: JsonObject[] = [];
  for (;;) {
    const isStream = events.headers['content-type']?.startsWith('text/event-stream') === true;
    if (!isStream) await events.ended;
    const message = isStream ? await events.inbox.next() : (JSON.parse(events.raw()) as JsonObject);
    if (!message) throw new Error(`${name} ended without an answer: ${events.raw()}`);
    if (message.id === id) return { heard, answer: message };
    heard.push(message);
    if (message.id === undefined) continue;
    met.add(isObject(message.params) ? message.params.message : undefined);
    const said = meet(message);
    if (said)
      await send(gateway.origin, session.post(JSON.stringify({ jsonrpc: '2.0', id: message.id ?? null, ...said })));
  }
}

/** The questions by their messages, and which of them were withdrawn. */
function questionsIn(heard: readonly JsonObject[]): { asked: unknown[]; withdrawn: unknown[] } {
  const questions = heard.filter(({ id }) => id !== undefined);
  const messageOf = (id: unknown): unknown => {
    const question = questions.find((each) => each.id === id);
    return isObject(question?.params) ? (question.params.message ?? question.method) : undefined;
  };
  return {
    asked: questions.map(({ id }) => messageOf(id)),
    withdrawn: heard
      .filter(({ method }) => method === 'notifications/cancelled')
      .map(({ params }) => messageOf((params as JsonObject).requestId)),
  };
}

describe('A server that cannot say for a while how a task stands', () => {
  test.each(['busy', 'reset', 'erring', 'lasting'])('does not end the call (%s)', async (name) => {
    const { answer } = await call(name);

    expect(answer.result).toMatchObject(DONE);
    expect(cancels(name)).toBe(0);
  });

  test.each([
    ['down', -33010],
    ['broken', -32603],
  ])('ends it in the end, and nothing is cancelled that may be another by then (%s)', async (name, code) => {
    const { answer } = await call(name);
    const asked = await until(
      () => Promise.resolve(polls.get(name)),
      (count) => count === MAX_FAILURES + 2,
    );

    expect(answer.error).toMatchObject({ code });
    expect(asked).toBe(MAX_FAILURES + 2);
    expect(cancels(name)).toBe(0);
  });

  test('ends it at once by saying that there is no such task, and there is nothing to cancel', async () => {
    const { answer } = await call('gone');

    expect(answer.error).toMatchObject({ code: -32602 });
    expect(polls.get('gone')).toBe(1);
    expect(cancels('gone')).toBe(0);
  });
});

describe('A client that is asked by a task', () => {
  test('gets the answer when the task ends without its own, and the question is withdrawn', async () => {
    const { heard, answer } = await call('ends');

    expect(answer.result).toMatchObject(DONE);
    expect(questionsIn(heard)).toEqual({ asked: ['the end'], withdrawn: ['the end'] });
    expect(cancels('ends')).toBe(0);
  });

  test('hears that a question is withdrawn while another one stays', async () => {
    const { heard, answer } = await call('takes_back');
    const methods = heard.map(({ method }) => method).filter((method) => method !== 'notifications/progress');

    expect(answer.result).toMatchObject(DONE);
    expect(questionsIn(heard)).toEqual({
      asked: ['leaves', 'stays', 'later'],
      withdrawn: ['leaves', 'stays', 'later'],
    });
    expect(methods.slice(0, 4)).toEqual([elicit, elicit, 'notifications/cancelled', elicit]);
  });

  test('is asked each question once, and the server gets each answer as it comes', async () => {
    const { heard, answer } = await call('one_by_one', ({ params }) =>
      (params as JsonObject).message === 'two' ? undefined : { result: ACCEPTED },
    );

    expect(answer.result).toMatchObject(DONE);
    expect(questionsIn(heard)).toEqual({ asked: ['one', 'two', 'three'], withdrawn: ['two'] });
    expect(given('one_by_one')).toEqual([{ one: ACCEPTED }, { three: ACCEPTED }]);
  });

  test('is asked at most a hundred times', async () => {
    const { heard, answer } = await call('curious');

    expect(answer.error).toMatchObject({ code: -33013, message: expect.stringContaining('more than 100') as unknown });
    expect(questionsIn(heard).withdrawn).toHaveLength(MAX_QUESTIONS);
    await untilCancelled('curious');
  });

  test('may end it with an error for a sampling, which ends the task and its other questions', async () => {
    const error = { code: -1, message: 'User rejected sampling request' };
    const { heard, answer } = await call('samples', ({ method }) =>
      method === 'sampling/createMessage' ? { error } : undefined,
    );

    expect(answer.error).toEqual(error);
    expect(questionsIn(heard)).toEqual({ asked: ['who', 'sampling/createMessage'], withdrawn: ['who'] });
    await untilCancelled('samples');
  });

  test('gets the error at once, however long the server takes to cancel the task', async () => {
    const error = { code: -1, message: 'User rejected sampling request' };
    const { answer } = await call('unendable', () => ({ error }));
    await untilCancelled('unendable');

    expect(answer.error).toEqual(error);
  });

  test('need not answer again where the server could not take the answer at first', async () => {
    const { heard, answer } = await call('forgetful', () => ({ result: ACCEPTED }));

    expect(answer.result).toMatchObject(DONE);
    expect(questionsIn(heard).asked).toEqual(['who']);
    expect(given('forgetful')).toEqual([{ who: ACCEPTED }, { who: ACCEPTED }]);
  });

  test('is not asked by the result of a task, which is no place for it', async () => {
    const { answer } = await call('asks_at_the_end');

    expect(answer.error).toMatchObject({ code: -33013 });
  });
});
