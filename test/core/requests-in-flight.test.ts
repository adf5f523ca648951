import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RequestsInFlight } from '../../src/core/in-flight.ts';

test('an answer settles the request under its key, once', async () => {
  const requests = new RequestsInFlight<string, string, number>();
  const first = requests.begin('a', 'what?');
  requests.begin('b', 'who?');

  expect(requests.get('a')?.answer(1)).toBe(true);

  expect(await first.answered).toBe(1);
  expect(requests.get('a')).toBeUndefined();
  expect([first.answer(2), first.fail(new Error('late'))]).toEqual([false, false]);
  expect([...requests].map(([key, { request }]) => [key, request])).toEqual([['b', 'who?']]);
});

test('a request that fails is in flight no more', async () => {
  const requests = new RequestsInFlight<string, string, number>();
  const request = requests.begin('a', 'what?');
  expect(request.fail(new Error('withdrawn'))).toBe(true);
  await expect(request.answered).rejects.toThrow('withdrawn');
  expect(requests.size).toBe(0);
  expect(request.answer(1)).toBe(false);
});

test('one request too many is refused with the error of the owner; one that was settled makes room', () => {
  const requests = new RequestsInFlight<number, string, number>({ most: 2, full: () => new RangeError('two at most') });
  const first = requests.begin(1, '');
  requests.begin(2, '');
  expect(() => requests.begin(3, '')).toThrow(RangeError);

  first.answer(1);

  expect(requests.begin(3, '')).toBe(requests.get(3));
});

test('a request that was settled does not settle the next one under its key', async () => {
  const requests = new RequestsInFlight<string, string, number>();
  const before = requests.begin('a', 'one');
  before.answer(1);
  const next = requests.begin('a', 'two');

  expect(before.fail(new Error('old'))).toBe(false);

  expect(requests.get('a')).toBe(next);
  next.answer(2);
  expect(await next.answered).toBe(2);
});

test('all can be settled in one walk', async () => {
  const requests = new RequestsInFlight<number, string, string>();
  const answers = [1, 2, 3].map((key) => requests.begin(key, '').answered);
  for (const [key, request] of requests) request.answer(`answer ${key}`);
  expect(await Promise.all(answers)).toEqual(['answer 1', 'answer 2', 'answer 3']);
  expect(requests.size).toBe(0);
});

test('each request is settled by whoever comes first, and by nobody else', async () => {
  const steps = fc.array(fc.record({ key: fc.nat(4), act: fc.constantFrom('begin', 'answer', 'fail') }));
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const requests = new RequestsInFlight<number, number, number>();
      const open = new Map<number, number>();
      const expected: unknown[] = [];
      const answers: Promise<unknown>[] = [];
      for (const [index, { key, act }] of all.entries()) {
        const number = open.get(key);
        if (act === 'begin') {
          if (number !== undefined) continue;
          open.set(key, answers.length);
          answers.push(requests.begin(key, index).answered.catch((error: unknown) => error));
          expected.push(undefined);
        } else {
          const settled =
            act === 'answer' ? requests.get(key)?.answer(index) : requests.get(key)?.fail(`failed ${index}`);
          expect(settled).toBe(number === undefined ? undefined : true);
          if (number !== undefined) expected[number] = act === 'answer' ? index : `failed ${index}`;
          open.delete(key);
        }
        expect(requests.size).toBe(open.size);
      }
      for (const [, request] of requests) request.answer(-1);
      expect(await Promise.all(answers)).toEqual(expected.map((each) => each ?? -1));
    }),
  );
});
