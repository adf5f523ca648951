// Asking within a time: who answers in it is heard, and nothing is left behind.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { BOUNDS } from '../../src/core/bounds/bounds.ts';
import { Cancellation } from '../../src/core/cancellation.ts';
import { GatewayError } from '../../src/core/errors.ts';
import { askWithin, type Question, type QuestionAnswer } from '../../src/core/exchange.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Whoever is asked says nothing until the question is withdrawn. */
function silent({ signal }: Question): Promise<QuestionAnswer> {
  const { promise, reject } = Promise.withResolvers<QuestionAnswer>();
  signal.onAbort(() => reject(new GatewayError('cancelled', 'withdrawn')));
  return promise;
}

const question = (signal = new Cancellation()) => ({ method: 'roots/list', params: {}, signal });

test('a question is open for ten minutes, and then withdrawn', async () => {
  const asked = expect(askWithin(BOUNDS.questionAge, question(), silent)).rejects.toMatchObject({
    code: 'question_unanswered',
  });
  let over = false;
  void asked.then(() => (over = true));
  await vi.advanceTimersByTimeAsync(10 * 60_000 - 1);
  expect(over).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  await asked;
});

test('a question that its server withdraws is not unanswered', async () => {
  const withdrawn = new Cancellation();
  const asked = askWithin(BOUNDS.questionAge, question(withdrawn), silent);
  withdrawn.abort();

  await expect(asked).rejects.toMatchObject({ code: 'cancelled' });
  expect(vi.getTimerCount()).toBe(0);
});

test('an answer, and a refusal, come back as they are', async () => {
  const refusal = new GatewayError('client_unreachable', 'nobody');

  expect(await askWithin(BOUNDS.questionAge, question(), () => Promise.resolve({ result: { roots: [] } }))).toEqual({
    result: { roots: [] },
  });
  await expect(askWithin(BOUNDS.questionAge, question(), () => Promise.reject(refusal))).rejects.toBe(refusal);
  expect(vi.getTimerCount()).toBe(0);
});
