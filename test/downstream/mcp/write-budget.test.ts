// The write budget cuts off the readers that have been behind for longest, and none that has read meanwhile.
import { expect, test } from 'vitest';
import { type Reader, WriteBudget } from '../../../src/downstream/mcp/write-queue.ts';

class Behind implements Reader {
  waiting = 0;
  isCut = false;
  cut(): void {
    this.isCut = true;
  }
}

function setup(count: number) {
  const budget = new WriteBudget(100);
  const readers = Array.from({ length: count }, () => new Behind());
  const add = (index: number, bytes: number) => {
    const reader = readers[index]!;
    reader.waiting += bytes;
    budget.record(reader);
  };
  return { budget, readers, add, cut: () => readers.flatMap(({ isCut }, index) => (isCut ? [index] : [])) };
}

test('as much as may wait harms nobody; beyond it those go who are behind for longest, and no more of them than must', () => {
  const { add, cut } = setup(4);
  for (const [index, bytes] of [40, 30, 30].entries()) add(index, bytes);
  expect(cut()).toEqual([]);
  add(3, 50);

  expect(cut()).toEqual([0, 1]);
});

test('what was read meanwhile does not count, and who has read everything is behind no more', () => {
  const { readers, add, cut } = setup(3);
  add(0, 60);
  add(1, 40);
  readers[0]!.waiting = 0;
  add(2, 60);
  expect(cut()).toEqual([]);
  add(0, 1);

  expect(cut()).toEqual([1]);
});

test('what is forgotten does not count', () => {
  const { budget, readers, add, cut } = setup(2);
  add(0, 100);
  budget.forget(readers[0]!);
  budget.forget(readers[0]!);
  add(1, 100);

  expect(cut()).toEqual([]);
});
