// The state machine of a kept task: what changes it, what ends it, and what is published.
import { expect, test, vi } from 'vitest';
import type { TaskRef } from '../../../src/core/call.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { LOCAL } from '../../../src/core/principal.ts';
import { type ForgetReason, Task } from '../../../src/gateway/tasks/task.ts';
import { UpstreamTask } from '../../../src/gateway/tasks/upstream-task.ts';
import { answeredWith } from './answered.ts';

const TIME = '2026-01-01T00:00:00Z';
const target = { kind: 'tool', server: 'one', exposed: 'one__job', original: 'job' } as const;
const ref: TaskRef = { id: 'sealed', kind: 'legacy', upstreamId: '1', instance: 'one#1', createdAt: TIME, target };
const described = { taskId: '1', createdAt: TIME, status: 'working', statusMessage: 'at first' };

function makeTask({ endsByStatus = true } = {}) {
  const sent: string[] = [];
  const upstream = new UpstreamTask(ref, {
    totalMs: 1_000,
    send: ({ method }) => {
      sent.push(method);
      return answeredWith({ result: described, bytes: 1 });
    },
  });
  const onEnded = vi.fn<(status: string) => void>();
  const task = new Task({ ref, principal: LOCAL, upstream, described, endsByStatus, onEnded });
  const told: (JsonObject | undefined)[] = [];
  task.subscribe((news) => told.push(news));
  return { task, sent, onEnded, told };
}

test('a notification changes the task and is published; an answer changes it and is not', () => {
  const { task, told } = makeTask();
  const news = { taskId: '1', status: 'input_required' };
  task.notified(news);
  expect(task.described).toMatchObject({ status: 'input_required', createdAt: TIME });
  expect(task.described).not.toHaveProperty('statusMessage');
  expect(task.accept({ ...described, status: 'working' })).toBe(true);

  expect(task.described).toMatchObject({ status: 'working' });
  expect(told).toEqual([news]);
});

test('a description of another task changes nothing', () => {
  const { task, told } = makeTask();
  task.notified({ ...described, taskId: '2', status: 'failed' });
  task.notified({ ...described, createdAt: '2026-01-01T00:00:01Z', status: 'failed' });

  expect([task.described.status, task.ended, told]).toEqual(['working', undefined, []]);
});

test.each(['completed', 'failed', 'cancelled'])('a status that is final (%s) ends it once', (status) => {
  const { task, onEnded, told } = makeTask();
  task.accept({ ...described, status });
  task.end('failed');
  task.notified({ ...described, status: 'working' });

  expect(task.ended).toMatchObject({ status });
  expect(task.described).toMatchObject({ status });
  expect(onEnded.mock.calls).toEqual([[status]]);
  expect(told).toEqual([undefined]);
});

test('where only its result ends it, a final status does not', () => {
  const { task, onEnded } = makeTask({ endsByStatus: false });
  task.notified({ ...described, status: 'completed' });
  expect([task.described.status, task.ended]).toEqual(['completed', undefined]);
  task.end('failed');

  expect(onEnded.mock.calls).toEqual([['failed']]);
});

test.each<[ForgetReason, string[]]>([
  ['expired', ['tasks/get', 'tasks/cancel']],
  ['crowded_out', ['tasks/get', 'tasks/cancel']],
  ['stopped', ['tasks/get', 'tasks/cancel']],
  ['lost', []],
  ['replaced', []],
])(
  'when it is forgotten before its end (%s), its server hears of it where it has the task still',
  async (reason, requests) => {
    const { task, sent, onEnded, told } = makeTask();
    await task.forget(reason);

    expect([task.forgotten, task.closed.aborted, task.ended?.status]).toEqual([reason, true, reason]);
    expect(sent).toEqual(requests);
    expect(onEnded.mock.calls).toEqual([[reason]]);
    expect(told).toEqual([]);
  },
);

test('when a task is forgotten after its end, the end is not published again', async () => {
  const { task, sent, onEnded } = makeTask();
  task.end('completed');
  await task.forget('expired');

  expect([task.forgotten, task.ended?.status, sent]).toEqual(['expired', 'completed', []]);
  expect(onEnded.mock.calls).toEqual([['completed']]);
});
