import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Cancellation, untilCancelled, withDeadline, within } from '../../src/core/cancellation.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const never = () => new Promise<string>(() => undefined);

/** A signal that tells how many listen to it. */
function watched() {
  const cancellation = new Cancellation();
  let listening = 0;
  const signal = {
    get aborted() {
      return cancellation.aborted;
    },
    onAbort: (listener: () => void) => {
      listening++;
      const stop = cancellation.onAbort(listener);
      return () => {
        listening--;
        stop();
      };
    },
  };
  return { signal, abort: () => cancellation.abort(), listening: () => listening };
}

test('what comes in time is the result, and neither timer nor listener is left', async () => {
  const { signal, listening } = watched();
  expect(await within(Promise.resolve('here'), 1_000, { signal })).toBe('here');
  expect([vi.getTimerCount(), listening()]).toEqual([0, 0]);
});

test('what fails in time is the failure, and neither timer nor listener is left', async () => {
  const { signal, listening } = watched();
  await expect(within(Promise.reject(new Error('no')), 1_000, { signal })).rejects.toThrow('no');
  expect([vi.getTimerCount(), listening()]).toEqual([0, 0]);
});

test('the wait ends when its time is over, and a later failure is nobody’s', async () => {
  const { promise, reject } = Promise.withResolvers<string>();
  const waiting = within(promise, 1_000);
  await vi.advanceTimersByTimeAsync(999);
  expect(vi.getTimerCount()).toBe(1);

  await vi.advanceTimersByTimeAsync(1);

  expect(await waiting).toBeUndefined();
  expect(vi.getTimerCount()).toBe(0);
  reject(new Error('late'));
  await vi.advanceTimersByTimeAsync(0);
});

test('the wait ends when its signal is aborted, also one that was aborted before', async () => {
  const { signal, abort, listening } = watched();
  const waiting = within(never(), 1_000, { signal });
  abort();
  expect(await waiting).toBeUndefined();
  expect(await within(never(), 1_000, { signal })).toBeUndefined();
  expect([vi.getTimerCount(), listening()]).toEqual([0, 0]);
});

test.each([
  ['by itself does not keep the process alive', undefined, false],
  ['keeps the process alive where it is told to', true, true],
])('a wait %s', async (_name, ref, keeps) => {
  vi.useRealTimers();
  const set = vi.spyOn(globalThis, 'setTimeout');
  const waiting = within(never(), 1, ref === undefined ? {} : { ref });
  const timer = set.mock.results[0]?.value as NodeJS.Timeout;
  expect(timer.hasRef()).toBe(keeps);
  const alive = setInterval(() => undefined, 1_000);
  await waiting;
  clearInterval(alive);
  set.mockRestore();
});

test('a deadline is told of once, and the promise is still waited for', async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const late = vi.fn(() => resolve('ended'));
  const waiting = withDeadline(promise, 1_000, late);
  await vi.advanceTimersByTimeAsync(999);
  expect(late).not.toHaveBeenCalled();

  await vi.advanceTimersByTimeAsync(5_000);

  expect(await waiting).toBe('ended');
  expect(late).toHaveBeenCalledTimes(1);
});

test.each([
  ['resolves', () => Promise.resolve('here')],
  ['rejects', () => Promise.reject(new Error('no'))],
])('a deadline is not told of where the promise %s in time', async (_name, make) => {
  const late = vi.fn();
  const [settled] = await Promise.allSettled([withDeadline(make(), 1_000, late)]);
  expect(settled).toEqual((await Promise.allSettled([make()]))[0]);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(late).not.toHaveBeenCalled();
});

test('who leaves waits no longer', async () => {
  const { signal, abort, listening } = watched();
  const waiting = untilCancelled(never(), signal);
  abort();
  await expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
  await expect(untilCancelled(never(), signal)).rejects.toMatchObject({ code: 'cancelled' });
  expect(listening()).toBe(0);
});

test('who stays gets what comes, and listens no longer', async () => {
  const { signal, listening } = watched();
  expect(await untilCancelled(Promise.resolve('here'), signal)).toBe('here');
  await expect(untilCancelled(Promise.reject(new Error('no')), signal)).rejects.toThrow('no');
  expect(listening()).toBe(0);
});
