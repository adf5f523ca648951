import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Slots } from '../../src/core/in-flight.ts';

test('it holds what a map holds, under keys that are never given twice', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.nat({ max: 40 })), { maxLength: 300 }), (steps) => {
      const slots = new Slots<string>();
      const model = new Map<number, string>();
      const given: number[] = [];
      steps.forEach((step, index) => {
        if (step === null) {
          const key = slots.add(`value ${index}`);
          expect(given).not.toContain(key);
          given.push(key);
          model.set(key, `value ${index}`);
        } else {
          const key = given[step % (given.length || 1)] ?? 1;
          expect(slots.take(key)).toBe(model.get(key));
          model.delete(key);
        }
        for (const key of given) expect(slots.get(key)).toBe(model.get(key));
        expect(slots.size).toBe(model.size);
        expect(slots.all().sort()).toEqual([...model.values()].sort());
      });
    }),
  );
});

test('a key of something that is gone finds nothing when its slot is taken again', () => {
  const slots = new Slots<string>();
  const first = slots.add('first');
  slots.take(first);

  slots.add('second');

  expect(slots.get(first)).toBeUndefined();
  expect(slots.take(first)).toBeUndefined();
  expect(slots.all()).toEqual(['second']);
});

test('what was cleared is returned, and its keys find nothing afterwards', () => {
  const slots = new Slots<string>();
  const keys = ['a', 'b'].map((value) => slots.add(value));

  expect(slots.clear()).toEqual(['a', 'b']);

  const again = slots.add('c');
  expect(keys).not.toContain(again);
  expect(keys.map((key) => slots.get(key))).toEqual([undefined, undefined]);
  expect(slots.size).toBe(1);
});

test('there is an end to how much can be in flight', () => {
  const slots = new Slots<number>();
  for (let index = 0; index < 2 ** 20; index++) slots.add(index);

  expect(() => slots.add(1)).toThrow(/in flight/);
});
