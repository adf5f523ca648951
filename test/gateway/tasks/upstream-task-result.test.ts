// The wait for the result of a task: what cuts it short, and what ends it.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Cancellation } from '../../../src/core/cancellation.ts';
import { type ErrorCode, GatewayError } from '../../../src/core/errors.ts';
import { ownExchange } from '../../../src/core/exchange.ts';
import { type TaskRoute, UpstreamTask } from '../../../src/gateway/tasks/upstream-task.ts';
import { CallClock } from '../../../src/upstream/mcp/wire/pending.ts';
import type { WireReply } from '../../../src/upstream/mcp/wire/wire.ts';
import { answeredWith } from './answered.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(() => void vi.useRealTimers());

const END = { result: { content: [] }, bytes: 1 };
const THERE = { result: { taskId: '1', status: 'working' }, bytes: 1 };
const GONE = { error: { code: -32602, message: 'no such task' }, bytes: 1 };
const failing = (code: ErrorCode) => () => Promise.reject(new GatewayError(code, code));

interface WaitOptions {
  readonly wait?: (totalMs: number) => Promise<WireReply>;
  readonly look?: () => Promise<WireReply>;
  readonly place?: NonNullable<TaskRoute['takeSlot']>;
  readonly leftMs?: () => number;
  readonly signal?: Cancellation;
}

function waitFor(options: WaitOptions) {
  const wait = vi.fn(options.wait ?? failing('upstream_closed'));
  const look = vi.fn(options.look ?? (() => Promise.resolve(THERE)));
  const { place, leftMs, signal = new Cancellation() } = options;
  const task = new UpstreamTask(
    { upstreamId: '1' },
    {
      totalMs: 1_000,
      send: async ({ method, totalMs }) => answeredWith(await (method === 'tasks/result' ? wait(totalMs) : look())),
      ...(place && { takeSlot: place }),
    },
  );
  const answer = task.result({ exchange: ownExchange(signal), principal: 'p', ...(leftMs && { leftMs }) });
  const outcome = answer.then(
    ({ reply }) => reply,
    (failure: unknown) => ({ failure }),
  );
  const isForgotten = answer.then(
    (result) => result.isForgotten === true,
    () => undefined,
  );
  return { wait, look, outcome, isForgotten };
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

test('the wait is repeated after any number of cuts while the task goes on, with growing pauses', async () => {
  let cuts = 0;
  const times: number[] = [];
  const { outcome } = waitFor({
    wait: () => {
      times.push(performance.now());
      return cuts++ < 30 ? failing('upstream_closed')() : Promise.resolve(END);
    },
  });
  await vi.runAllTimersAsync();
  const pauses = times.slice(1).map((time, index) => Math.round(time - times[index]!));

  expect(await outcome).toBe(END);
  expect(pauses.slice(0, 7)).toEqual([200, 400, 800, 1_600, 3_200, 6_400, 10_000]);
  expect(Math.max(...pauses)).toBe(10_000);
});

test('after a long wait the pause is short again', async () => {
  const waits: number[] = [0, 0, 0, 60_000];
  const times: number[] = [];
  const { outcome } = waitFor({
    wait: async () => {
      times.push(performance.now());
      const lasts = waits.shift();
      if (lasts === undefined) return END;
      if (lasts > 0) await new Promise((resolve) => setTimeout(resolve, lasts));
      throw new GatewayError('upstream_closed', 'cut');
    },
  });
  await vi.runAllTimersAsync();

  expect(await outcome).toBe(END);
  expect(Math.round(times.at(-1)! - times.at(-2)!)).toBe(60_200);
});

test('the wait survives five failures in a row, with the cut, and not one more', async () => {
  const counted = (failures: number) => {
    let looks = 0;
    const answers = [failing('upstream_closed'), () => Promise.resolve(END)];
    const wait = () => answers.shift()!();
    const busy = { error: { code: -32000, message: 'busy' }, bytes: 1 };
    return waitFor({
      wait,
      look: () => {
        if (++looks > failures) return Promise.resolve(THERE);
        return looks % 2 === 0 ? Promise.resolve(busy) : failing('upstream_unreachable')();
      },
    });
  };
  const [borne, tooMany] = [counted(4), counted(5)];
  await vi.runAllTimersAsync();

  expect(await borne.outcome).toBe(END);
  expect(await tooMany.outcome).toMatchObject({ failure: { code: 'upstream_closed' } });
  expect([borne.look.mock.calls.length, tooMany.look.mock.calls.length]).toEqual([5, 5]);
});

test('without a free slot the task is polled as often as the server says, until a slot is free or the task has ended', async () => {
  const status = ['working', 'working', 'completed'];
  const look = () =>
    Promise.resolve({ result: { taskId: '1', status: status.shift() ?? '', pollInterval: 3_000 }, bytes: 1 });
  const ended = waitFor({ wait: () => Promise.resolve(END), look, place: () => undefined });
  const left = vi.fn();
  const places = [undefined, left];
  const placed = waitFor({ wait: () => Promise.resolve(END), place: () => places.shift() });
  const gone = waitFor({ look: () => Promise.resolve(GONE), place: () => undefined });
  const begun = performance.now();
  await vi.runAllTimersAsync();

  expect(await ended.outcome).toBe(END);
  expect(performance.now() - begun).toBe(6_000);
  expect([ended.wait.mock.calls.length, ended.look.mock.calls.length]).toEqual([1, 3]);
  expect(await placed.outcome).toBe(END);
  expect([placed.wait.mock.calls.length, placed.look.mock.calls.length]).toEqual([1, 1]);
  expect(left).toHaveBeenCalledTimes(1);
  expect(await gone.outcome).toBe(GONE);
  expect([await gone.isForgotten, await ended.isForgotten]).toEqual([true, false]);
  expect(gone.wait).not.toHaveBeenCalled();
});

test.each(['upstream_protocol', 'upstream_rejected', 'unknown_task', 'cancelled'] as const)(
  'what is no cut (%s) ends the wait',
  async (code) => {
    const { wait, look, outcome } = waitFor({ wait: failing(code) });

    expect(await outcome).toMatchObject({ failure: { code } });
    expect([wait.mock.calls.length, look.mock.calls.length]).toEqual([1, 0]);
  },
);

test('a cut ends the wait where the server has forgotten the task', async () => {
  const lost = waitFor({ look: failing('unknown_task') });
  const refused = waitFor({ look: () => Promise.resolve(GONE) });
  await vi.runAllTimersAsync();

  expect(await lost.outcome).toMatchObject({ failure: { code: 'upstream_closed' } });
  expect(await refused.outcome).toBe(GONE);
  expect(await refused.isForgotten).toBe(true);
  expect([lost.wait.mock.calls.length, refused.wait.mock.calls.length]).toEqual([1, 1]);
  expect([lost.look.mock.calls.length, refused.look.mock.calls.length]).toEqual([1, 1]);
});

test('all waits share one time limit: each lasts at most what is left, and none begins after it', async () => {
  const clock = new CallClock(2_000, 60_000);
  const { wait, outcome } = waitFor({ leftMs: () => clock.leftMs });
  await vi.runAllTimersAsync();

  expect(await outcome).toMatchObject({ failure: { code: 'upstream_closed' } });
  expect(wait.mock.calls).toEqual([[2_000], [1_800], [1_400], [600]]);
});

test('the wait ends when the caller cancels', async () => {
  const signal = new Cancellation();
  const { wait, outcome } = waitFor({ signal });
  await vi.advanceTimersByTimeAsync(10);
  signal.abort();

  expect(await outcome).toMatchObject({ failure: { code: 'cancelled' } });
  expect(wait).toHaveBeenCalledTimes(1);
  expect(vi.getTimerCount()).toBe(0);
});

test('an error as the answer to tasks/result is the outcome of the task', async () => {
  const failed = waitFor({ wait: () => Promise.resolve(GONE) });

  expect([await failed.outcome, await failed.isForgotten]).toEqual([GONE, false]);
});
