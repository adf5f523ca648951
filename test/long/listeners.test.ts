// A thousand who listen: that they hear everything, and what an idle one costs in memory, which is printed.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Audience, startAudience, tellListeners } from '../integration/harness/audience.ts';
import { type ListenerKind, openListeners } from '../integration/harness/listeners.ts';
import { COLLECTABLE, settledResident } from '../integration/harness/resident.ts';

const LISTENERS = 1_000;
const MOST_KIB = 64;

let audience: Audience;

beforeEach(async () => (audience = await startAudience(COLLECTABLE)));
afterEach(() => audience.stop());

test('1,000 listeners of both eras hear of 20 distinct resources a second for ten seconds, and end on the last list', async () => {
  await tellListeners(audience, { listeners: LISTENERS, rounds: 10, everyMs: 50 });
}, 300_000);

test.each<[ListenerKind]>([['modern'], ['legacy']])(
  'a %s listener that hears nothing takes at most 64 KiB of memory',
  async (kind) => {
    const { gateway } = audience;
    const open = (count: number) => openListeners(gateway, { kind, count, uris: ['web://text'] });
    const first = await open(100); // what the first ones need is not the price of one
    await Promise.all(first.map((listener) => listener.leave()));
    const before = await settledResident(gateway);
    const all = await open(LISTENERS);
    const each = ((await settledResident(gateway)) - before) / LISTENERS;
    process.stdout.write(`${kind} listener: ${each.toFixed(1)} KiB resident each (${before} KiB before)\n`);
    await Promise.all(all.map((listener) => listener.leave()));

    expect(each).toBeLessThanOrEqual(MOST_KIB);
  },
  300_000,
);
