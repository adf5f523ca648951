// The wait for the end of a task: what cuts it short, and what ends it.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Cancellation } from '../../../src/core/cancellation.ts';
import { type ErrorCode, GatewayError } from '../../../src/core/errors.ts';
import { TaskClock } from '../../../src/gateway/tasks/task-clock.ts';
import { untilEnd, type UntilEndOptions } from '../../../src/gateway/tasks/until-end.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(() => void vi.useRealTimers());

const END = { result: { content: [] }, bytes: 1 };
const THERE = { result: { status: 'working' }, bytes: 1 };
const failing = (code: ErrorCode) => () => Promise.reject(new GatewayError(code, code));

function waitFor(options: Partial<UntilEndOptions>) {
  const wait = vi.fn<UntilEndOptions['wait']>(options.wait ?? failing('upstream_closed'));
  const look = vi.fn<UntilEndOptions['look']>(options.look ?? (() => Promise.resolve(THERE)));
  const all = { leftMs: () => Infinity, signal: new Cancellation(), ...options, wait, look };
  const outcome = untilEnd(all).then(
    (reply) => reply,
    (failure: unknown) => ({ failure }),
  );
  return { wait, look, outcome };
}

test.each(['upstream_closed', 'upstream_timed_out', 'upstream_failed', 'upstream_unreachable'] as const)(
  'a wait that was cut short (%s) is begun again where the task is there still',
  async (code) => {
    const answers = [failing(code), () => Promise.resolve(END)];
    const { wait, look, outcome } = waitFor({ wait: () => answers.shift()!() });
    await vi.runAllTimersAsync();

    expect(await outcome).toBe(END);
    expect([wait.mock.calls.length, look.mock.calls.length]).toEqual([2, 1]);
  },
);

test('twenty cuts are borne, and not one more', async () => {
  const { wait, outcome } = waitFor({});
  await vi.runAllTimersAsync();

  expect(await outcome).toMatchObject({ failure: { code: 'upstream_closed' } });
  expect(wait).toHaveBeenCalledTimes(21);
});

test.each(['upstream_protocol', 'upstream_rejected', 'unknown_task', 'cancelled'] as const)(
  'what is no cut (%s) ends the wait',
  async (code) => {
    const { wait, look, outcome } = waitFor({ wait: failing(code) });

    expect(await outcome).toMatchObject({ failure: { code } });
    expect([wait.mock.calls.length, look.mock.calls.length]).toEqual([1, 0]);
  },
);

test('a cut ends the wait where the server cannot say how the task stands, and its refusal is the answer', async () => {
  const refusal = { error: { code: -32602, message: 'no such task' }, bytes: 1 };
  const silent = waitFor({ look: failing('upstream_unreachable') });
  const refused = waitFor({ look: () => Promise.resolve(refusal) });
  await vi.runAllTimersAsync();

  expect(await silent.outcome).toMatchObject({ failure: { code: 'upstream_closed' } });
  expect(await refused.outcome).toBe(refusal);
  expect([silent.wait.mock.calls.length, refused.wait.mock.calls.length]).toEqual([1, 1]);
});

test('waits share one time: each may last as long as is left of it, and there is none after it', async () => {
  const clock = new TaskClock(2_000);
  const { wait, outcome } = waitFor({ leftMs: () => clock.leftMs });
  await vi.runAllTimersAsync();

  expect(await outcome).toMatchObject({ failure: { code: 'upstream_closed' } });
  expect(wait.mock.calls).toEqual([[2_000], [1_500], [1_000], [500]]);
});

test('nobody waits on when the caller has left', async () => {
  const signal = new Cancellation();
  const { wait, outcome } = waitFor({ signal });
  await vi.advanceTimersByTimeAsync(10);
  signal.abort();

  expect(await outcome).toMatchObject({ failure: { code: 'cancelled' } });
  expect(wait).toHaveBeenCalledTimes(1);
  expect(vi.getTimerCount()).toBe(0);
});

test('the time of a task stands still while a question is open, and begins anew when the task moves, up to the hard limit', () => {
  const clock = new TaskClock(60_000);
  const pass = (ms: number) => vi.advanceTimersByTime(ms);
  clock.hold();
  clock.hold();
  pass(600_000);
  clock.release();
  pass(600_000);
  clock.release();
  expect(clock.leftMs).toBe(60_000);
  for (let minutes = 0; minutes < 14; minutes++) {
    pass(59_000);
    clock.moved();
    expect(clock.leftMs).toBe(60_000);
  }
  pass(59_000);
  clock.moved();
  expect(clock.leftMs).toBe(15_000);
  pass(15_000);
  expect(clock.leftMs).toBe(0);
});
