// A stopped server (SIGSTOP) is ended like any other, and its wrapper too.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { boundsWith } from '../../../../src/core/bounds/bounds.ts';
import { containmentsFor } from '../../../../src/upstream/mcp/process/containment/detect.ts';
import { alive, containment, descendants, marked, observe } from '../processes.ts';
import { AS_NOBODY, endOwner, startOwner } from './owners.ts';

const isRoot = process.getuid?.() === 0;
const group = containmentsFor({
  platform: 'linux',
  uid: process.getuid?.(),
  gid: process.getgid?.(),
  tools: { setpriv: '/usr/bin/setpriv' },
})[0];
const best = await containment();

/** Programs that stop themselves; the first one stops again whenever it is woken. */
const SLEEPERS = {
  'itself, again and again': ['sh', '-c', 'echo ready; while :; do kill -STOP $$; done'],
  itself: ['sh', '-c', 'echo ready; kill -STOP $$; while :; do sleep 40; done'],
  'its process group': ['sh', '-c', 'echo ready; kill -STOP 0; while :; do sleep 40; done'],
} as const;
/** An owner that is killed wakes its servers only once. */
const ONCE = ([whom]: readonly [string, ...unknown[]]) => whom === 'itself';

function isStopped(pid: number): boolean {
  try {
    return /^State:\s+T/mu.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}

/** Resolves when so many processes of this marker are stopped. */
async function untilStopped(marker: string, atLeast: number): Promise<void> {
  await expect
    .poll(() => marked(marker).filter(isStopped).length, { interval: 5, timeout: 5_000 })
    .toBeGreaterThanOrEqual(atLeast);
}

const PLACES = [
  ['contained', best],
  ['in a process group only', group],
] as const;

test.for(
  PLACES.flatMap(([where, containment]) =>
    Object.entries(SLEEPERS).map(([whom, words]) => [whom, where, containment, words] as const),
  ),
)('a server that has stopped %s is ended, and its end is told (%s)', async ([, , containment, words]) => {
  const marker = randomUUID();
  const [command, ...args] = words;
  const { server, line, exits } = observe({
    command,
    args,
    env: { PATH: process.env.PATH!, MARKER: marker },
    bounds: boundsWith({ serverStop: 50 }),
    containment: () => Promise.resolve(containment),
  });
  await server.start();
  await line((text) => text === 'ready');
  await untilStopped(marker, 1);
  const before = performance.now();

  await server.stop();

  expect(performance.now() - before).toBeLessThan(5_000);
  expect(marked(marker)).toEqual([]);
  expect(exits).toHaveLength(1);
  expect(exits[0]?.message).toContain('was killed, because it did not end when its input was closed');
  expect(alive(descendants(process.pid))).toEqual([]);
});

const OWNERS = Object.entries({ 'this user': [], ...(isRoot && { 'another user': AS_NOBODY }) }).flatMap(([who, as]) =>
  (['best', 'process-group'] as const).flatMap((containment) =>
    Object.entries(SLEEPERS).map(([whom, words]) => [whom, who, containment, as, words] as const),
  ),
);

test.for(OWNERS)('an owner that ends takes servers with it that have stopped %s (%s, %s)', async (given) => {
  const [, , containment, as, command] = given;
  const parent = await startOwner({ count: 3, as, containment, command });
  await untilStopped(parent.marker, 3);
  const before = performance.now();

  const family = await endOwner(parent, 'SIGTERM');

  expect(performance.now() - before).toBeLessThan(5_000);
  await expect.poll(() => [...marked(parent.marker), ...alive(family)], { interval: 5, timeout: 1_000 }).toEqual([]);
});

test.for(OWNERS.filter(ONCE))(
  'an owner killed with -9 takes servers with it that have stopped %s (%s, %s)',
  async (given) => {
    const [, , containment, as, command] = given;
    const parent = await startOwner({ count: 3, as, containment, command });
    await untilStopped(parent.marker, 3);

    const family = await endOwner(parent);

    await expect.poll(() => [...marked(parent.marker), ...alive(family)], { interval: 5, timeout: 2_000 }).toEqual([]);
  },
);
