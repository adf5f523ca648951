// Kept tasks: their number, their time, their memory, and their principals.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { TaskRef } from '../../../src/core/call.ts';
import { Cancellation } from '../../../src/core/cancellation.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { LOCAL, type Principal } from '../../../src/core/principal.ts';
import { Task, type TaskPresenter } from '../../../src/gateway/tasks/task.ts';
import { keptMs, TaskRegistry } from '../../../src/gateway/tasks/task-registry.ts';
import { UpstreamTask } from '../../../src/gateway/tasks/upstream-task.ts';
import { answeredWith } from './answered.ts';

const MINUTE = 60_000;
const other: Principal = { ...LOCAL, id: 'other' };

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

interface Shown {
  readonly presenter: TaskPresenter;
  readonly task: Task;
  readonly heard: JsonObject[];
}

let made = 0;
function task(
  upstreamId: string,
  { principal = LOCAL, ended = false, outlivesInstance = false, bytes = 0 } = {},
): Shown {
  const target = { kind: 'tool', server: 'one', exposed: 'work', original: 'work' } as const;
  const ref: TaskRef = { id: `id-${++made}`, kind: 'legacy', upstreamId, instance: 'one#1', target };
  const heard: JsonObject[] = [];
  const upstream = new UpstreamTask(ref, {
    totalMs: 1_000,
    send: () => answeredWith({ error: { code: -32000, message: 'busy' }, bytes: 1 }),
  });
  const described = { taskId: upstreamId, status: 'working' };
  const kept = new Task({ ref, principal, upstream, described, endsByStatus: true, onEnded: () => undefined });
  if (ended) kept.end('completed');
  kept.subscribe((news) => news && heard.push(news));
  const presenter: TaskPresenter = {
    task: kept,
    outlivesInstance,
    bytes,
    handle: (result) => result,
    answer: () => Promise.reject(new Error('not asked')),
    asker: () => Promise.resolve(undefined),
  };
  return { presenter, task: kept, heard };
}

const isForgotten = ({ task: { forgotten } }: Shown) => forgotten !== undefined;

function keep(records: TaskRegistry, shown: Shown, ttl?: unknown): Shown {
  records.reserve(shown.task.principal).keep(shown.presenter, keptMs(ttl));
  return shown;
}

test('a task is kept for its time, for an hour where its server names none, and never longer than a day', () => {
  const records = new TaskRegistry(new Cancellation());
  const [short, usual, long] = [
    keep(records, task('a'), MINUTE),
    keep(records, task('b'), null),
    keep(records, task('c'), 48 * 60 * MINUTE),
  ];

  const open = () => [short, usual, long].map((each) => records.get(each.task.ref) === each.presenter);
  vi.advanceTimersByTime(MINUTE);
  expect(open()).toEqual([false, true, true]);
  vi.advanceTimersByTime(59 * MINUTE);
  expect(open()).toEqual([false, false, true]);
  vi.advanceTimersByTime(23 * 60 * MINUTE);
  expect(open()).toEqual([false, false, false]);
  expect([short, usual, long].every(isForgotten)).toBe(true);
});

test('one principal has at most a hundred, counting those that are being made; the oldest that ended makes way', () => {
  const records = new TaskRegistry(new Cancellation());
  const all = Array.from({ length: 99 }, (_, index) => keep(records, task(String(index))));
  const place = records.reserve(LOCAL);

  expect(() => records.reserve(LOCAL)).toThrow(/Too many tasks/);
  records.reserve(other).release();
  place.release();
  place.release();
  keep(records, task('last'));
  expect(() => records.reserve(LOCAL)).toThrow(/Too many tasks/);

  const [, second, third] = all as [Shown, Shown, Shown];
  second.task.end('completed');
  third.task.end('completed');
  records.reserve(LOCAL).release();
  expect([records.get(second.task.ref), records.get(third.task.ref)]).toEqual([undefined, third.presenter]);
});

test('there are at most a thousand in all', () => {
  const records = new TaskRegistry(new Cancellation());
  for (let count = 0; count < 1_000; count++)
    keep(records, task(String(count), { principal: { ...LOCAL, id: `p${count % 20}` } }));

  expect(() => records.reserve(other)).toThrow(/Too many tasks/);
});

test('notifications of a server reach their task, and after it has used an id again, only the new one', () => {
  const records = new TaskRegistry(new Cancellation());
  const [old, fresh] = [keep(records, task('same')), keep(records, task('same', { principal: other }))];

  records.notified('one', 'one#1', { taskId: 'same', status: 'working' });
  records.notified('one', 'one#2', { taskId: 'same', status: 'failed' });
  records.notified('two', 'one#1', { taskId: 'same', status: 'failed' });
  records.notified('one', 'one#1', { status: 'failed' });

  expect(old.task.forgotten).toBe('replaced');
  expect(fresh.heard).toEqual([{ taskId: 'same', status: 'working' }]);
  expect([records.get(old.task.ref), records.get(fresh.task.ref)]).toEqual([undefined, fresh.presenter]);
  expect([records.of(LOCAL), records.of(other)]).toEqual([[], [fresh.presenter]]);
});

test('a task is forgotten when its instance is gone, except one that outlives it', () => {
  const records = new TaskRegistry(new Cancellation());
  const [gone, stays] = [keep(records, task('a')), keep(records, task('b', { outlivesInstance: true }))];
  records.lost('one', 'one#2');
  expect(records.get(gone.task.ref)).toBe(gone.presenter);
  records.lost('one', 'one#1');

  const { forgotten } = gone.task;
  expect([forgotten, records.get(gone.task.ref), records.get(stays.task.ref)]).toEqual([
    'lost',
    undefined,
    stays.presenter,
  ]);
});

test('the tasks of a principal hold no more than is free of 256 MiB: the oldest that ended are forgotten', () => {
  const records = new TaskRegistry(new Cancellation());
  const bytes = 50 * 1024 * 1024;
  const [running, ...done] = [
    keep(records, task('0', { bytes })),
    ...['1', '2', '3'].map((id) => keep(records, task(id, { ended: true, bytes }))),
  ] as [Shown, ...Shown[]];
  const after = keep(records, task('4', { ended: true }));
  expect(records.trim(LOCAL)).toBe(true);

  expect([running, ...done, after].map(isForgotten)).toEqual([false, true, true, false, false]);
});

test('tasks of another principal are not forgotten for it, and running ones never: then trim returns false', () => {
  const records = new TaskRegistry(new Cancellation());
  const bytes = 60 * 1024 * 1024;
  const theirs = keep(records, task('a', { principal: other, ended: true, bytes }));
  const own = ['b', 'c'].map((id) => keep(records, task(id, { bytes })));

  expect(records.trim(LOCAL)).toBe(false);
  expect([theirs, ...own].map(isForgotten)).toEqual([false, false, false]);
});

test('when the gateway stops, all tasks are forgotten', () => {
  const stopping = new Cancellation();
  const records = new TaskRegistry(stopping);
  const kept = keep(records, task('a'));
  stopping.abort();

  expect([kept.task.forgotten, records.get(kept.task.ref)]).toEqual(['stopped', undefined]);
});

test('a task that is made while the gateway stops is forgotten at once, and its call fails with gateway_closed', () => {
  const stopping = new Cancellation();
  const records = new TaskRegistry(stopping);
  const place = records.reserve(LOCAL);
  stopping.abort();
  const late = task('late');

  expect(() => place.keep(late.presenter, MINUTE)).toThrow(expect.objectContaining({ code: 'gateway_closed' }));
  expect([late.task.forgotten, records.get(late.task.ref)]).toEqual(['stopped', undefined]);
});
