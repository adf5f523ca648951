// Rounds of a modern server for a legacy client: what the wire tests cannot reach without waiting.
import { afterEach, expect, test, vi } from 'vitest';
import { Cancellation } from '../../../src/core/cancellation.ts';
import { ownExchange } from '../../../src/core/exchange.ts';
import { LiveQuestions } from '../../../src/gateway/bridge/live-questions.ts';
import { makeCall } from '../../audit/bare-call.ts';

afterEach(() => {
  vi.useRealTimers();
});

test('a caller that leaves while a server without questions is waited for waits no longer', async () => {
  vi.useFakeTimers();
  const leaving = new Cancellation();
  const questions = new LiveQuestions(makeCall({ era: 'legacy', exchange: ownExchange(leaving) }), 'one');
  const answered = questions.answer({ requestState: 'later' }, { name: 'ask' });
  leaving.abort();

  await expect(answered).rejects.toMatchObject({ code: 'cancelled' });
  expect(vi.getTimerCount()).toBe(0);
});

test('each wait for a server without questions is twice the one before, and the last state goes back without answers', async () => {
  vi.useFakeTimers();
  const call = makeCall({ era: 'legacy' });
  const questions = new LiveQuestions(call, 'one');
  for (const [round, ms] of [100, 200, 400, 800].entries()) {
    let done = false;
    const answered = questions.answer(
      { requestState: `${round}`, inputRequests: {} },
      { name: 'ask', requestState: 'old' },
    );
    void answered.then(() => (done = true));
    await vi.advanceTimersByTimeAsync(ms - 1);
    expect(done).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await answered).toEqual({ params: { name: 'ask', requestState: `${round}` } });
  }
});
