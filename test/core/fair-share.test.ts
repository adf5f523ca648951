import fc from 'fast-check';
import { expect, test } from 'vitest';
import { evictionFor, FairShare } from '../../src/core/fair-share.ts';

const HOLDERS = ['ada', 'bob', 'cid'];

test('it counts what each holder took and did not give back', () => {
  const parts = fc.array(fc.record({ holder: fc.constantFrom(...HOLDERS), amount: fc.nat(50), back: fc.boolean() }));
  fc.assert(
    fc.property(parts, (steps) => {
      const shares = new FairShare({ most: 1_000 });
      const taken: { holder: string; amount: number }[] = [];
      for (const step of steps) {
        const last = step.back ? taken.pop() : undefined;
        if (last) shares.giveBack(last.holder, last.amount);
        else {
          shares.take(step.holder, step.amount);
          taken.push(step);
        }
        for (const holder of HOLDERS) {
          const own = taken.filter((part) => part.holder === holder);
          expect(shares.of(holder)).toEqual({ count: own.length, amount: sum(own) });
        }
        expect(shares.total).toBe(sum(taken));
        expect(shares.free).toBe(1_000 - sum(taken));
      }
    }),
  );
});

test('a holder is full at its fixed limit, and the others are not', () => {
  const shares = new FairShare({ most: 10, mostOfOne: 2 });
  shares.take('ada');
  expect(shares.isFullFor('ada')).toBe(false);

  shares.take('ada');

  expect([shares.isFullFor('ada'), shares.isFullFor('bob'), shares.free]).toEqual([true, false, 8]);
  shares.giveBack('ada');
  expect(shares.isFullFor('ada')).toBe(false);
});

test('without a fixed limit no holder is full', () => {
  const shares = new FairShare({ most: 1 });
  shares.take('ada', 100);
  expect([shares.isFullFor('ada'), shares.free]).toEqual([false, -99]);
});

test('what somebody gives back who has nothing changes nothing', () => {
  const shares = new FairShare({ most: 1 });
  shares.giveBack('ada');
  expect([shares.total, shares.of('ada').count]).toEqual([0, 0]);
});

test('it remembers no more holders of nothing than a thousand', () => {
  const shares = new FairShare({ most: Infinity });
  for (let holder = 0; holder < 5_000; holder++) {
    shares.take(`${holder}`);
    shares.giveBack(`${holder}`);
  }
  const { size } = (shares as unknown as { shares: Map<string, unknown> }).shares;
  expect(size).toBeLessThanOrEqual(1_001);
});

test('what is evicted is the least of the oldest that lets the holder have no more than is free', () => {
  const thing = fc.record({ holder: fc.constantFrom(...HOLDERS), amount: fc.nat(20), evictable: fc.boolean() });
  fc.assert(
    fc.property(fc.array(thing, { maxLength: 12 }), fc.nat(100), (things, most) => {
      const { evicted, suffices } = evictionFor(things, 'ada', { most, look: (each) => each });

      const candidates = things.filter(({ holder, evictable, amount }) => holder === 'ada' && evictable && amount > 0);
      expect(evicted).toEqual(candidates.slice(0, evicted.length));
      expect(suffices).toBe(isFair(without(things, evicted), most));
      if (evicted.length > 0) expect(isFair(without(things, evicted.slice(0, -1)), most)).toBe(false);
      if (!suffices) expect(evicted).toHaveLength(candidates.length);
    }),
  );
});

interface Thing {
  readonly holder: string;
  readonly amount: number;
}

function isFair(things: readonly Thing[], most: number): boolean {
  return sum(things.filter(({ holder }) => holder === 'ada')) <= most - sum(things);
}

function without<T>(things: readonly T[], gone: readonly T[]): T[] {
  return things.filter((thing) => !gone.includes(thing));
}

function sum(things: readonly { readonly amount: number }[]): number {
  return things.reduce((total, { amount }) => total + amount, 0);
}
