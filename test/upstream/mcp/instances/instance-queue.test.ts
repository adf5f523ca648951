// Which queued caller gets an instance that becomes free.
import { expect, test } from 'vitest';
import type { ServerConfig } from '../../../../src/config/config.ts';
import { Cancellation } from '../../../../src/core/cancellation.ts';
import { GatewayError } from '../../../../src/core/errors.ts';
import { OwnerPool } from '../../../../src/upstream/mcp/instances/owner-pool.ts';
import type { Instance } from '../../../../src/upstream/mcp/instances/instance.ts';
import { InstanceQueue } from '../../../../src/upstream/mcp/instances/instance-queue.ts';

const poolOf = (key: string) => new OwnerPool({ key, label: key, principal: 'ada', capabilities: {} }, 's', 1_000);
const INSTANCE = Promise.resolve({} as unknown as Instance);

/** A queue for instances that only some owners can use. */
function queueOf(total = 10_000) {
  const free = new Map<OwnerPool, number>();
  const config = { instances: { max: 1 }, timeouts: { total } } as ServerConfig;
  const queue = new InstanceQueue(
    { name: 's', config },
    {
      claim: (wanting) => {
        const left = free.get(wanting) ?? 0;
        if (left === 0) return undefined;
        free.set(wanting, left - 1);
        return INSTANCE;
      },
      preemptFor: () => undefined,
    },
  );
  return { free, queue };
}

test('what the first in line cannot use goes to the next that can, and each gets one thing', async () => {
  const { free, queue } = queueOf();
  const [one, two] = [poolOf('one'), poolOf('two')];
  const order: string[] = [];
  const first = queue.wait(one, undefined).then(() => order.push('one'));
  const second = queue.wait(two, undefined).then(() => order.push('two'));
  const third = queue.wait(two, undefined).then(() => order.push('two again'));
  free.set(two, 1);
  queue.serve();
  await second;
  expect([order, queue.size]).toEqual([['two'], 2]);
  free.set(one, 1).set(two, 1);
  queue.serve();
  await Promise.all([first, third]);
  expect([order, queue.size]).toEqual([['two', 'one', 'two again'], 0]);
});

test('whoever gives up takes nothing', async () => {
  const { free, queue } = queueOf();
  const one = poolOf('one');
  const cancellation = new Cancellation();
  const waiting = queue.wait(one, cancellation.signal);
  free.set(one, 1);
  cancellation.abort();
  queue.serve();
  await expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
  expect([free.get(one), queue.size]).toEqual([1, 0]);
});

test('whoever waits too long is told what is in use; so is whoever comes when too many wait', async () => {
  const { queue } = queueOf(10);
  await expect(queue.wait(poolOf('one'), undefined)).rejects.toMatchObject({
    code: 'overloaded',
    message:
      'All 1 instances of the server "s" are in use (instances.max); none became free within 0.01 s (timeouts.total).',
  });
  const full = queueOf().queue;
  const one = poolOf('one');
  const all = Array.from({ length: 1_000 }, () => full.wait(one, undefined).catch((error: unknown) => error));
  await expect(full.wait(one, undefined)).rejects.toMatchObject({ code: 'overloaded' });
  full.refuse(one, new GatewayError('cancelled', 'over'));
  expect(await Promise.all(all)).toHaveLength(1_000);
  expect(full.size).toBe(0);
});

test('an owner whose instances failed three times in a row is refused for a while; one that worked forgives', () => {
  const one = poolOf('one');
  for (let time = 0; time < 3; time++) {
    one.requireTryable();
    one.failed(new Error('exit code 4'));
  }
  expect(() => one.requireTryable()).toThrow(/could not be started for this caller 3 times in a row: exit code 4/);
  expect(one.isEmpty).toBe(false);
  one.succeeded();
  one.requireTryable();
  expect(one.isEmpty).toBe(true);
});
