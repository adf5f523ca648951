// Questions to one client: asked once, answered once, withdrawn when their call or session ends, and bounded.
import { describe, expect, test } from 'vitest';
import { BOUNDS, boundsWith } from '../../../src/core/bounds/bounds.ts';
import { Cancellation } from '../../../src/core/cancellation.ts';
import { OpenQuestions } from '../../../src/downstream/mcp/open-requests.ts';
import { CallerExchange } from '../../../src/downstream/mcp/exchange.ts';

function setup({ reachable = true, withinMs = 60_000 } = {}) {
  const bounds = boundsWith({ questionAge: withinMs });
  const questions = new OpenQuestions({ version: '2025-11-25', capabilities: { roots: {} } }, bounds);
  const call = new Cancellation();
  const sent: Record<string, unknown>[] = [];
  const options = {
    signal: call.signal,
    send: (text: string) => {
      if (reachable) sent.push(JSON.parse(text) as Record<string, unknown>);
      return reachable;
    },
    capabilities: {},
    questions,
  };
  const exchange = new CallerExchange(options);
  const withdrawal = new Cancellation();
  const ask = () => exchange.ask({ method: 'roots/list', params: {}, signal: withdrawal.signal });
  const answer = (id: number | string | undefined, result = {}) => questions.answer({ kind: 'response', id, result });
  return { questions, call, sent, exchange, withdrawal, ask, answer };
}

const cancelledNote = (requestId: number): unknown =>
  expect.objectContaining({
    method: 'notifications/cancelled',
    params: expect.objectContaining({ requestId }) as unknown,
  });

describe('A question', () => {
  test('is sent with an id of its own and answered by that id alone', async () => {
    const { ask, answer, sent, questions } = setup();
    const [first, second] = [ask(), ask()];
    expect(sent.map(({ id, method }) => [id, method])).toEqual([
      [1, 'roots/list'],
      [2, 'roots/list'],
    ]);
    for (const id of ['1', 3, undefined]) answer(id, { roots: ['wrong'] });
    answer(2, { roots: ['b'] });
    answer(2, { roots: ['again'] });
    answer(1, { roots: ['a'], _meta: { progressToken: 1 } });

    expect(await first).toEqual({ result: { roots: ['a'] } });
    expect(await second).toEqual({ result: { roots: ['b'] } });
    expect(questions.size).toBe(0);
  });

  test('may be answered with an error, which is an answer', async () => {
    const { ask, questions } = setup();
    const asked = ask();
    questions.answer({ kind: 'response', id: 1, error: { code: -1, message: 'User rejected' } });

    expect(await asked).toEqual({ error: { code: -1, message: 'User rejected' } });
  });

  test('is taken back when the server withdraws it, and the client is told', async () => {
    const { ask, sent, withdrawal, answer } = setup();
    const asked = ask();
    withdrawal.abort();

    await expect(asked).rejects.toMatchObject({ code: 'cancelled' });
    expect(sent.at(-1)).toEqual(cancelledNote(1));
    answer(1);
    expect(sent).toHaveLength(2);
  });

  test('is taken back when there is no answer in time, and the client is told', async () => {
    const { ask, sent, questions } = setup({ withinMs: 1 });

    await expect(ask()).rejects.toMatchObject({
      code: 'question_unanswered',
      message: expect.stringContaining('roots/list') as unknown,
    });
    expect(sent.at(-1)).toEqual(cancelledNote(1));
    expect(questions.size).toBe(0);
  });

  test('is taken back when its call is cancelled', async () => {
    const { ask, sent, call } = setup();
    const asked = ask();
    call.abort();

    await expect(asked).rejects.toMatchObject({ code: 'cancelled' });
    expect(sent.at(-1)).toEqual(cancelledNote(1));
  });

  test('is taken back when its call ends, and those of other calls stay', async () => {
    const { ask, sent, exchange, questions, answer } = setup();
    const other = new CallerExchange({
      signal: new Cancellation().signal,
      send: () => true,
      capabilities: {},
      questions,
    });
    const stays = other.ask({ method: 'roots/list', params: {}, signal: new Cancellation().signal });
    const asked = ask();
    exchange.end();

    await expect(asked).rejects.toMatchObject({ code: 'cancelled' });
    expect(sent.at(-1)).toEqual(cancelledNote(2));
    answer(1, { roots: [] });
    expect(await stays).toEqual({ result: { roots: [] } });
  });

  test('of a call that has ended, or was cancelled, is never sent', async () => {
    const ended = setup();
    ended.exchange.end();
    await expect(ended.ask()).rejects.toMatchObject({ code: 'cancelled' });
    const cancelled = setup();
    cancelled.call.abort();
    await expect(cancelled.ask()).rejects.toMatchObject({ code: 'cancelled' });

    expect([...ended.sent, ...cancelled.sent]).toEqual([]);
  });

  test('that can reach nobody is refused, and leaves nothing behind', async () => {
    const { ask, questions } = setup({ reachable: false });

    await expect(ask()).rejects.toMatchObject({ code: 'client_unreachable' });
    expect(questions.size).toBe(0);
  });

  test('that the client did not declare is refused without being sent', async () => {
    const { exchange, sent } = setup();
    const asked = exchange.ask({ method: 'sampling/createMessage', params: {}, signal: new Cancellation().signal });

    await expect(asked).rejects.toMatchObject({
      code: 'question_undeclared',
      message: expect.stringContaining('sampling') as unknown,
    });
    expect(sent).toEqual([]);
  });

  test('is one of a hundred at most; an answer makes room', async () => {
    const { ask, answer } = setup();
    const asked = Array.from({ length: BOUNDS.sessionQuestions }, () => ask());
    await expect(ask()).rejects.toMatchObject({ code: 'overloaded' });
    answer(1);
    await asked[0];
    const next = ask();
    answer(101, { roots: [] });

    expect(await next).toEqual({ result: { roots: [] } });
  });
});

test('Nothing is said on behalf of a call that has ended', () => {
  const { exchange, sent } = setup();
  exchange.notify('notifications/x', {});
  exchange.end();
  exchange.notify('notifications/x', {});

  expect(sent).toHaveLength(1);
});
