// Slots for requests that stay open: one principal gets a quarter of them, and all together never every connection.
import { expect, test } from 'vitest';
import { type PlaceKind, StreamSlots } from '../../../../src/upstream/mcp/instances/task-instances.ts';

/** Takes as many slots as are free. */
function fill(places: StreamSlots, principal: string, kind: PlaceKind): (() => void)[] {
  const taken: (() => void)[] = [];
  for (;;) {
    const leave = places.acquire('one#1', principal, kind);
    if (!leave) return taken;
    taken.push(leave);
  }
}

test.each([
  ['standing', 128, 32],
  ['brief', 32, 8],
] as const)('of %s ones there are %i, and %i for one principal', (kind, all, own) => {
  const places = new StreamSlots();
  const taken = ['a', 'b', 'c', 'd'].map((principal) => fill(places, principal, kind));

  expect(taken.map(({ length }) => length)).toEqual([own, own, own, own]);
  expect(4 * own).toBe(all);
  expect(fill(places, 'e', kind)).toEqual([]);
  taken[0]!.pop()!();
  expect(fill(places, 'e', kind)).toHaveLength(1);
  expect(places.acquire('two#1', 'e', kind)).toBeDefined();
});

test('the kinds do not stand in each other’s way', () => {
  const places = new StreamSlots();
  fill(places, 'a', 'standing');

  expect(fill(places, 'a', 'brief')).toHaveLength(8);
});
