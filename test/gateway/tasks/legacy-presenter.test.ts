// A legacy server's task for a legacy client: its notifications, its session, and the shared wait for its result.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import type { TaskRef } from '../../../src/core/call.ts';
import { Cancellation, type CancelSignal } from '../../../src/core/cancellation.ts';
import { type ClientSession, ownExchange } from '../../../src/core/exchange.ts';
import { LOCAL } from '../../../src/core/principal.ts';
import { LegacyPresenter } from '../../../src/gateway/tasks/legacy-presenter.ts';
import { Task } from '../../../src/gateway/tasks/task.ts';
import type { Destination } from '../../../src/gateway/upstream-request.ts';
import { UpstreamTask } from '../../../src/gateway/tasks/upstream-task.ts';
import type { UpstreamReply } from '../../../src/upstream/mcp/upstream.ts';
import type { ConnectionRequest } from '../../../src/upstream/mcp/connect/connection.ts';
import { makeCall } from '../../audit/bare-call.ts';
import { answeredWith } from './answered.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const target = { kind: 'tool', server: 'one', exposed: 'one__job', original: 'job' } as const;
const ref: TaskRef = { id: 'sealed', kind: 'legacy', upstreamId: '1', instance: 'one#1', target };

function sessionOf(over: Cancellation): { session: ClientSession; told: string[] } {
  const told: string[] = [];
  const standing = { ...ownExchange(over), notify: (method: string) => told.push(method) };
  const none = () => undefined;
  const ways = { requireRoomFor: none, setSubscription: none, onRootsChanged: () => none };
  return { session: { key: 's', standing, reachable: true, ...ways }, told };
}

type Send = (request: ConnectionRequest) => Promise<UpstreamReply>;
const silent: Send = () => answeredWith({ error: { code: -32000, message: 'busy' }, bytes: 1 });

function present(session?: ClientSession, send = silent): LegacyPresenter {
  const exchange = ownExchange(new Cancellation());
  const task = new Task({
    ref,
    principal: LOCAL,
    upstream: new UpstreamTask(ref, { totalMs: 1_000, send }),
    described: { taskId: '1', status: 'working' },
    endsByStatus: true,
    onEnded: () => undefined,
  });
  return new LegacyPresenter(task, { exchange, ...(session && { session }) });
}

test('the session that made a task gets its notifications until the session ends', () => {
  const over = new Cancellation();
  const { session, told } = sessionOf(over);
  const presenter = present(session);
  presenter.task.notified({ taskId: '1', status: 'working' });
  over.abort();
  presenter.task.notified({ taskId: '1', status: 'input_required' });

  expect(told).toEqual(['notifications/tasks/status']);
  expect(presenter.listed).toMatchObject({ taskId: 'sealed', status: 'input_required' });
});

test('the session gets no notification of what its client learned by polling, and one notification of the end', () => {
  const { session, told } = sessionOf(new Cancellation());
  const presenter = present(session);
  presenter.task.accept({ taskId: '1', status: 'input_required' });
  expect(told).toEqual([]);
  presenter.task.notified({ taskId: '1', status: 'completed' });
  presenter.task.notified({ taskId: '1', status: 'completed' });

  expect(told).toEqual(['notifications/tasks/status']);
});

test('a task does not retain a session that has ended, nor a session a forgotten task', async () => {
  const over = new Cancellation();
  let { session }: { session: ClientSession | undefined } = sessionOf(over);
  const kept = present(session);
  let gone: LegacyPresenter | undefined = present(session);
  await gone.task.forget('expired');
  const [endedSession, goneTask] = [new WeakRef(session), new WeakRef(gone)];
  gone = undefined;
  await new Promise(setImmediate); // what a WeakRef was asked for lives until the end of its turn
  collect();
  expect(goneTask.deref()).toBeUndefined();
  over.abort();
  session = undefined;
  await new Promise(setImmediate);
  collect();

  expect(endedSession.deref()).toBeUndefined();
  expect(kept.task.ended).toBeUndefined();
});

test.each([
  [{ content: [] }, 'completed'],
  [{ content: [], isError: true }, 'failed'],
])('a task whose server gave %j is known as %s, though the server never said so', async (result, status) => {
  const presenter = present(undefined, () => answeredWith({ result, bytes: 1 }));
  const call = makeCall({ method: 'tasks/result', era: 'legacy', revision: '2025-11-25' });
  const to = { target, traits: { mirrored: [], wrapsOutput: false } } as unknown as Destination;
  const reply = await presenter.answer(call, to);

  expect(reply).toMatchObject({ kind: 'result', result });
  expect([presenter.task.ended?.status, presenter.listed.status]).toEqual([status, status]);
});

/** Requests for the result as they reach the server, each to be answered by the test. */
function requests() {
  const begun: (PromiseWithResolvers<UpstreamReply> & { readonly signal: CancelSignal })[] = [];
  const presenter = present(undefined, ({ method, exchange }) => {
    if (method !== 'tasks/result') return silent({} as ConnectionRequest);
    const answered = Promise.withResolvers<UpstreamReply>();
    begun.push({ ...answered, signal: exchange?.signal ?? new Cancellation() });
    return answered.promise;
  });
  const join = async (signal: CancelSignal = new Cancellation()) =>
    (await presenter.result(ownExchange(signal))).reply.result;
  return { begun, join, presenter };
}

test('all callers that wait at the same time get one answer, and a later caller another', async () => {
  const { begun, join } = requests();
  const both = [join(), join()];
  begun[0]!.resolve(await answeredWith({ result: { n: 1 }, bytes: 1 }));

  expect(await Promise.all(both)).toEqual([{ n: 1 }, { n: 1 }]);
  const later = join();
  begun[1]!.resolve(await answeredWith({ result: { n: 2 }, bytes: 1 }));
  expect(await later).toEqual({ n: 2 });
  expect(begun).toHaveLength(2);
});

test('every waiting caller gets the failure', async () => {
  const { begun, join } = requests();
  const both = Promise.allSettled([join(), join()]);
  begun[0]!.reject(new Error('failed'));

  expect((await both).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
});

test('a caller that cancels does not end the request for the others, and the last one ends it', async () => {
  const { begun, join } = requests();
  const [first, last] = [new Cancellation(), new Cancellation()];
  const both = [join(first), join(last)];
  first.abort();
  await expect(both[0]).rejects.toMatchObject({ code: 'cancelled' });
  expect(begun[0]!.signal.aborted).toBe(false);
  last.abort();
  await expect(both[1]).rejects.toMatchObject({ code: 'cancelled' });

  expect(begun[0]!.signal.aborted).toBe(true);
  void join();
  expect(begun).toHaveLength(2);
});

test.each([
  ['stopped', 'gateway_closed'],
  ['lost', 'upstream_closed'],
  ['expired', 'unknown_task'],
] as const)('who waits for the result of a task that is forgotten (%s) is told why (%s)', async (reason, code) => {
  const { begun, join, presenter } = requests();
  const waiting = join();
  await presenter.task.forget(reason);

  await expect(waiting).rejects.toMatchObject({ code });
  expect(begun[0]!.signal.aborted).toBe(true);
});
