// The time limits of a request: what extends them, what stops their clock, and which one is named when one is passed.
import { expect, onTestFinished, test, vi } from 'vitest';
import { CallClock, Deadlines, type Limit } from '../../../../src/upstream/mcp/wire/pending.ts';

/** Starts the limits of a request; resolves with the limit that was passed. */
function start(deadlines: Deadlines, totalMs: number, hardMs = totalMs) {
  const ended = Promise.withResolvers<{ limit: Limit; ms: number }>();
  const deadline = deadlines.start(totalMs, hardMs, (limit, ms) => ended.resolve({ limit, ms }));
  return { deadline, ended: ended.promise };
}

test('silence ends a request before its total does, and is named with its length', async () => {
  const deadlines = new Deadlines();
  const { deadline, ended } = start(deadlines, 60_000);

  deadline.limitSilence('firstByte', 100);

  expect(await ended).toEqual({ limit: 'firstByte', ms: 100 });
});

test('what is heard begins the silence anew, and only where one is awaited', async () => {
  const deadlines = new Deadlines();
  const talking = start(deadlines, 1_000);
  const waiting = start(deadlines, 1_000);
  talking.deadline.limitSilence('idle', 400);
  waiting.deadline.limitSilence('idle', 400);
  waiting.deadline.allowSilence();

  const voice = setInterval(() => [talking, waiting].forEach(({ deadline }) => deadline.restartSilence()), 50);
  const first = await Promise.all([talking.ended, waiting.ended]);
  clearInterval(voice);

  expect(first.map(({ limit }) => limit)).toEqual(['total', 'total']);
});

test('a held request outlives one that began later, progress or not, and ends when it is released as often as it was held', async () => {
  const deadlines = new Deadlines();
  const held = start(deadlines, 200, 200);
  held.deadline.limitSilence('idle', 150);
  held.deadline.hold();
  held.deadline.hold();
  held.deadline.extend();
  held.deadline.restartSilence();
  const order: string[] = [];
  void held.ended.then(({ limit }) => order.push(`held ${limit}`));

  await start(deadlines, 500).ended;
  held.deadline.release();
  await start(deadlines, 500).ended;
  order.push('released');
  held.deadline.release();
  await held.ended;

  expect(order).toEqual(['released', 'held idle']);
});

test('what is cleared never ends', async () => {
  const deadlines = new Deadlines();
  const cleared = start(deadlines, 100);
  cleared.deadline.clear();

  const first = await Promise.race([cleared.ended, start(deadlines, 400).ended]);

  expect(first.ms).toBe(400);
});

test('a clock by itself stands still while it is held, and begins anew when it is extended, up to the hard limit', () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const clock = new CallClock(60_000, 15 * 60_000);
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
    clock.extend();
    expect(clock.leftMs).toBe(60_000);
  }
  pass(59_000);
  clock.extend();
  expect(clock.leftMs).toBe(15_000);
  pass(15_000);
  expect(clock.leftMs).toBe(0);
});
