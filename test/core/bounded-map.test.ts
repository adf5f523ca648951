import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BoundedMap } from '../../src/core/bounded-map.ts';

test('it holds the entries that were set last', () => {
  const map = new BoundedMap<string, number>({ most: 2 });
  map.set('a', 1).set('b', 2).set('a', 3).set('c', 4);
  expect([...map]).toEqual([
    ['a', 3],
    ['c', 4],
  ]);
});

test('it holds what a map holds of which the oldest are deleted', () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ set: fc.nat(12), weight: fc.nat(6) }) },
    { weight: 3, arbitrary: fc.record({ delete: fc.nat(12) }) },
    { weight: 1, arbitrary: fc.constant('clear' as const) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), fc.nat(20), (steps, most) => {
      const evicted: number[] = [];
      const map = new BoundedMap<number, number>({
        most,
        weigh: (weight) => weight,
        evicted: (key) => evicted.push(key),
      });
      const model = new Map<number, number>();
      const expected: number[] = [];
      for (const each of steps) {
        if (each === 'clear') {
          map.clear();
          model.clear();
        } else if ('set' in each) {
          map.set(each.set, each.weight);
          model.delete(each.set);
          model.set(each.set, each.weight);
          for (const key of model.keys()) {
            if (total(model) <= most) break;
            model.delete(key);
            expected.push(key);
          }
        } else expect(map.delete(each.delete)).toBe(model.delete(each.delete));
        expect([...map]).toEqual([...model]);
        expect(map.weight).toBe(total(model));
        expect(evicted).toEqual(expected);
      }
    }),
  );
});

test('an entry is gone by the time that its eviction is told', () => {
  const told: unknown[] = [];
  const seen = (key: string) => [map.has(key), map.weight];
  const map = new BoundedMap<string, string>({
    most: 1,
    evicted: (key, value) => told.push([key, value, ...seen(key)]),
  });
  map.set('a', 'first').set('b', 'second');
  expect(told).toEqual([['a', 'first', false, 1]]);
});

test('what is too heavy for the whole map is evicted with everything before it', () => {
  const map = new BoundedMap<string, number>({ most: 10, weigh: (weight) => weight });
  map.set('a', 4).set('b', 11);
  expect([map.size, map.weight]).toEqual([0, 0]);
});

test('what was deleted is not held, however many entries came and went below the bound', async () => {
  const map = new BoundedMap<number, { readonly value: number }>({ most: 10 });
  for (let key = 0; key < 11; key++) map.set(key, { value: key });
  const gone: WeakRef<object>[] = [];
  for (let key = 100; key < 1_000; key++) {
    map.delete(key - 2);
    const value = { value: key };
    if (key < 200) gone.push(new WeakRef(value));
    map.set(key, value);
  }
  await collectGarbage();
  expect(gone.filter((each) => each.deref() !== undefined)).toHaveLength(0);
});

async function collectGarbage(): Promise<void> {
  const { setFlagsFromString } = await import('node:v8');
  const { runInNewContext } = await import('node:vm');
  setFlagsFromString('--expose-gc');
  await new Promise((resolve) => setImmediate(resolve)); // a WeakRef holds its target until the end of the turn
  (runInNewContext('gc') as () => void)();
}

function total(model: ReadonlyMap<number, number>): number {
  let weight = 0;
  for (const each of model.values()) weight += each;
  return weight;
}
