// Rounds of a modern server for a legacy client: the cases that integration tests could only reach by waiting.
import { afterEach, expect, test, vi } from 'vitest';
import { Cancellation } from '../../../src/core/cancellation.ts';
import { GatewayError } from '../../../src/core/errors.ts';
import { type Exchange, ownExchange } from '../../../src/core/exchange.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { LiveQuestions } from '../../../src/gateway/bridge/live-questions.ts';
import { makeCall } from '../../audit/bare-call.ts';

afterEach(() => {
  vi.useRealTimers();
});

test('the pause before a round without questions ends when the caller cancels', async () => {
  vi.useFakeTimers();
  const leaving = new Cancellation();
  const questions = new LiveQuestions(makeCall({ era: 'legacy', exchange: ownExchange(leaving) }), 'one');
  const answered = questions.answer({ requestState: 'later' }, { name: 'ask' });
  leaving.abort();

  await expect(answered).rejects.toMatchObject({ code: 'cancelled' });
  expect(vi.getTimerCount()).toBe(0);
});

test('each pause before a round without questions is twice the one before, and the last state goes back without answers', async () => {
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

/** A caller whose client meets every question in this way, and what it is told. */
function meeting(ask: Exchange['ask']): { questions: LiveQuestions; notified: string[]; asked: JsonObject[] } {
  const notified: string[] = [];
  const asked: JsonObject[] = [];
  const exchange: Exchange = {
    ...ownExchange(new Cancellation()),
    capabilities: { elicitation: {} },
    notify: (method, { elicitationId }) => notified.push(`${method} ${JSON.stringify(elicitationId)}`),
    ask: (question) => {
      asked.push(question.params);
      return ask(question);
    },
  };
  return { questions: new LiveQuestions(makeCall({ era: 'legacy', exchange }), 'one'), notified, asked };
}

const FORM = { method: 'elicitation/create', params: { message: 'Who?', requestedSchema: {} } };
const PAGE = { method: 'elicitation/create', params: { mode: 'url', message: 'Go', url: 'https://a.example/x' } };

test.each(['question_undeclared', 'client_unreachable', 'overloaded'] as const)(
  'a client that was not sent to a page (%s) does not hear that this is over',
  async (code) => {
    const { questions, notified } = meeting(() => Promise.reject(new GatewayError(code, 'not asked')));

    await expect(questions.put(PAGE)).rejects.toMatchObject({ code });
    questions.end();
    expect(notified).toEqual([]);
  },
);

test('a URL elicitation is completed at the end of the call, even where the question was withdrawn', async () => {
  const withdrawn = new Cancellation();
  const { questions, notified, asked } = meeting(({ signal }) => {
    const { promise, reject } = Promise.withResolvers<never>();
    signal.onAbort(() => reject(new GatewayError('cancelled', 'withdrawn')));
    return promise;
  });
  const answered = questions.put(PAGE, withdrawn);
  withdrawn.abort();

  await expect(answered).rejects.toMatchObject({ code: 'cancelled' });
  questions.end();
  expect(notified).toEqual([`notifications/elicitation/complete ${JSON.stringify(asked[0]?.elicitationId)}`]);
});

test('a URL elicitation that was not answered in time is completed at the end of the call', async () => {
  const { questions, notified } = meeting(() => Promise.reject(new GatewayError('question_unanswered', 'too late')));

  await expect(questions.put(PAGE)).rejects.toMatchObject({ code: 'question_unanswered' });
  questions.end();
  expect(notified).toHaveLength(1);
});

test('only URL elicitations get an elicitation id', async () => {
  const { questions, notified, asked } = meeting(() => Promise.resolve({ result: {} }));
  await questions.put({ method: 'sampling/createMessage', params: { mode: 'url' } });
  questions.end();

  expect(asked).toEqual([{ mode: 'url' }]);
  expect(notified).toEqual([]);
});

test('the client is asked no question of a round if one of them cannot be asked', async () => {
  const { questions, asked } = meeting(() => Promise.resolve({ result: {} }));
  const inputRequests = (second: JsonObject) => ({ inputRequests: { first: FORM, second } });

  await expect(questions.answer(inputRequests(PAGE), {})).rejects.toMatchObject({ code: 'question_undeclared' });
  await expect(questions.answer(inputRequests({ method: 'tools/list' }), {})).rejects.toMatchObject({
    code: 'question_undeclared',
  });
  await expect(questions.answer({ inputRequests: { first: FORM, second: 7 } }, {})).rejects.toMatchObject({
    code: 'upstream_protocol',
  });
  expect(asked).toEqual([]);
  expect(await questions.answer({ inputRequests: { first: FORM } }, {})).toMatchObject({
    params: { inputResponses: { first: {} } },
  });
});
