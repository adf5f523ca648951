// A legacy server's task for a legacy client: what it keeps of whoever made it.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import type { TaskRef } from '../../../src/core/call.ts';
import { Cancellation } from '../../../src/core/cancellation.ts';
import { type ClientSession, ownExchange } from '../../../src/core/exchange.ts';
import { LOCAL } from '../../../src/core/principal.ts';
import { LegacyTask } from '../../../src/gateway/tasks/legacy-task.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const target = { kind: 'tool', server: 'one', exposed: 'one__job', original: 'job' } as const;
const ref: TaskRef = { id: 'sealed', kind: 'legacy', upstreamId: '1', instance: 'one#1', target };

function sessionOf(over: Cancellation): { session: ClientSession; told: string[] } {
  const told: string[] = [];
  const standing = { ...ownExchange(over), notify: (method: string) => told.push(method) };
  const none = () => undefined;
  const session = { key: 's', standing, reachable: true, requireRoomFor: none, setSubscription: none };
  return { session: { ...session, onRootsChanged: () => none }, told };
}

function makeTask(session: ClientSession): LegacyTask {
  const exchange = ownExchange(new Cancellation());
  return new LegacyTask({
    ref,
    call: { principal: LOCAL, exchange, session },
    task: { taskId: '1', status: 'working' },
    cancel: () => Promise.resolve(),
    ended: () => undefined,
  });
}

test('a task tells the session that made it, as long as that lives', () => {
  const over = new Cancellation();
  const { session, told } = sessionOf(over);
  const task = makeTask(session);
  task.changed({ taskId: '1', status: 'working' });
  over.abort();
  task.changed({ taskId: '1', status: 'input_required' });

  expect(told).toEqual(['notifications/tasks/status']);
  expect(task.described).toMatchObject({ status: 'input_required' });
});

test('a task does not hold a session that has ended, nor a session a task that is forgotten', async () => {
  const over = new Cancellation();
  let { session }: { session: ClientSession | undefined } = sessionOf(over);
  const kept = makeTask(session);
  let gone: LegacyTask | undefined = makeTask(session);
  await gone.close('expired');
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
  expect(kept.ended).toBe(false);
});

test.each([
  [{ content: [] }, 'completed'],
  [{ content: [], isError: true }, 'failed'],
])('a task whose server gave %j is known as %s, though the server never said so', (result, status) => {
  const task = makeTask(sessionOf(new Cancellation()).session);
  task.recordResult(result);

  expect([task.ended, task.described.status]).toEqual([true, status]);
});
