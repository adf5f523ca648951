// Whatever takes its time, what came after it waits, and nothing is handled twice or left out.
import { expect, test } from 'vitest';
import { InOrder } from '../../src/core/in-flight.ts';

test('what takes no time is done at once, and the rest in the order in which it came', async () => {
  const order = new InOrder();
  const done: string[] = [];
  const slow = Promise.withResolvers<void>();
  order.run(() => void done.push('first'));
  expect(done).toEqual(['first']);
  order.run(async () => {
    await slow.promise;
    done.push('slow');
  });
  expect(order.isBusy).toBe(true);
  order.run(() => void done.push('after'));
  const last = new Promise<void>((resolve) => order.run(resolve));
  expect(done).toEqual(['first']);
  slow.resolve();
  await last;
  expect(done).toEqual(['first', 'slow', 'after']);
  order.run(() => void done.push('at once'));
  await Promise.resolve();
  expect(done.at(-1)).toBe('at once');
});
