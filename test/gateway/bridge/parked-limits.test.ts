// The bounds of parked calls: their number and their memory.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Cancellation } from '../../../src/core/cancellation.ts';
import type { Exchange } from '../../../src/core/exchange.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import type { Reply } from '../../../src/core/reply.ts';
import { at, FORM, YES, caller, world, asking, settle, replied, stateOf } from './parked-world.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

test('one principal has at most 100 calls with open questions, and one more is cancelled; others have theirs', async () => {
  const { parked } = world();
  for (let count = 0; count < 100; count++) await stateOf(parked.begin(caller().call, at(), asking().run));
  const refused = asking();

  await expect(stateOf(parked.begin(caller().call, at(), refused.run))).rejects.toMatchObject({ code: 'overloaded' });
  expect(refused.wasCancelled()).toBe(true);
  expect(await stateOf(parked.begin(caller({}, 'bob').call, at(), asking().run))).toMatch(/./);
});

test('outcomes that are kept for a retry make way for new questions', async () => {
  const { parked, resume } = world();
  let retry = caller();
  let first = retry;
  for (let count = 0; count < 150; count++) {
    const requestState = await stateOf(parked.begin(caller().call, at(), asking().run));
    retry = caller({ requestState, inputResponses: { q1: YES } });
    await replied(resume(retry));
    if (count === 0) first = retry;
  }

  expect(() => resume(first)).toThrow('has expired');
  expect(await replied(resume(retry))).toMatchObject({ answered: 1 });
});

test('all principals together have at most 1,000', async () => {
  const { parked } = world(2 ** 30);
  const begin = (principal: string) => parked.begin(caller({}, principal).call, at(), asking().run);
  const all = Array.from({ length: 1_000 }, (_, count) => begin(`principal ${count % 10}`));
  await settle();
  await Promise.all(all);

  await expect(stateOf(begin('one more'))).rejects.toMatchObject({ code: 'overloaded' });
});

const KIB = 1024;
const text = (kib: number) => 'x'.repeat(kib * KIB);

/** A server that asks one form, and answers; so many KiB each. */
const large = ({ question = 0, outcome = 0 }) => {
  const params = { ...FORM, message: text(question) };
  return async (exchange: Exchange): Promise<Reply> => {
    await exchange.ask({ method: 'elicitation/create', params, signal: exchange.signal });
    return { kind: 'result', result: { large: text(outcome) } };
  };
};

/** Calls a server and answers its form. Returns the retry. */
async function answered({ parked, resume }: ReturnType<typeof world>, outcome: number, principal = 'alice') {
  const requestState = await stateOf(parked.begin(caller({}, principal).call, at(), large({ outcome })));
  const retry = caller({ requestState, inputResponses: { q1: YES } }, principal);
  const result = await replied(resume(retry));
  expect(result.large).toHaveLength(outcome * KIB);
  return { retry, result };
}

test('kept outcomes of a principal hold no more than is free of 256 KiB, and the oldest make room', async () => {
  const here = world();
  const [first, ...rest] = [await answered(here, 50), await answered(here, 50), await answered(here, 50)];

  expect(() => here.resume(first.retry)).toThrow('has expired');
  for (const { retry, result } of rest) expect(await replied(here.resume(retry))).toEqual(result);
});

test('kept outcomes of one principal do not cost another principal its own', async () => {
  const here = world();
  const bobs = await answered(here, 60, 'bob');
  const alices = [await answered(here, 60), await answered(here, 60), await answered(here, 60)];
  const kept = alices.map(({ retry }) => {
    try {
      void here.resume(retry);
      return true;
    } catch {
      return false;
    }
  });

  expect(await replied(here.resume(bobs.retry))).toEqual(bobs.result);
  expect(kept).toEqual([false, false, true]);
});

test('an outcome that comes while no caller waits counts too', async () => {
  const { parked, resume } = world();
  const states: string[] = [];
  for (let count = 0; count < 3; count++) {
    const withdrawal = new Cancellation();
    const run = async (exchange: Exchange): Promise<Reply> => {
      await exchange.ask({ method: 'elicitation/create', params: FORM, signal: withdrawal }).catch(() => undefined);
      return { kind: 'result', result: { large: text(50) } };
    };
    states.push(await stateOf(parked.begin(caller().call, at(), run)));
    withdrawal.abort();
    await settle();
  }
  const [first, ...kept] = states.map((requestState) => caller({ requestState, inputResponses: { q1: YES } }));

  expect(() => first && resume(first)).toThrow('has expired');
  for (const retry of kept) expect((await replied(resume(retry))).large).toHaveLength(50 * KIB);
});

test('questions for which there is no memory are refused, after kept outcomes have made room', async () => {
  const here = world();
  const begin = (sizes: { question?: number; outcome?: number }) =>
    stateOf(here.parked.begin(caller().call, at(), large(sizes)));
  const old = await answered(here, 20);
  await begin({ question: 80 });

  await expect(begin({ question: 60 })).rejects.toMatchObject({ code: 'overloaded' });
  expect(await replied(here.resume(old.retry))).toEqual(old.result);
  await begin({ question: 40 });
  expect(() => here.resume(old.retry)).toThrow('has expired');
  expect(await begin({})).toMatch(/./);
});

/** Three bytes each as JSON, and 48 in memory. */
const wide = (count: number) => Array.from({ length: count }, () => []);

test('questions and arguments count with their size in memory, kept outcomes with their size as JSON', async () => {
  const here = world();
  const huge = wide(3_000);
  const asksMuch = async (exchange: Exchange): Promise<Reply> => {
    await exchange.ask({ method: 'elicitation/create', params: { ...FORM, huge }, signal: exchange.signal });
    return { kind: 'result', result: {} };
  };
  const begin = (params: JsonObject, run: (exchange: Exchange) => Promise<Reply>) =>
    stateOf(here.parked.begin(caller(params).call, at(), run));

  await expect(begin({}, asksMuch)).rejects.toMatchObject({ code: 'overloaded' });
  await expect(begin({ arguments: { huge } }, asking().run)).rejects.toMatchObject({ code: 'overloaded' });
  await expect(begin({ inputResponses: { never: huge } }, asking().run)).rejects.toMatchObject({ code: 'overloaded' });
  const answersMuch = async (exchange: Exchange): Promise<Reply> => {
    await asking().run(exchange);
    return { kind: 'result', result: { huge } };
  };
  const retries = [];
  for (let count = 0; count < 3; count++) {
    const requestState = await begin({}, answersMuch);
    retries.push(caller({ requestState, inputResponses: { q1: YES } }));
  }
  for (const retry of retries) await replied(here.resume(retry));
  for (const retry of retries) expect((await replied(here.resume(retry))).huge).toHaveLength(huge.length);
});
