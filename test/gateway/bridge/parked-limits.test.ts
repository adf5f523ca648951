// How many calls may be parked, and how much may be kept of them.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Cancellation } from '../../../src/core/cancellation.ts';
import type { Exchange } from '../../../src/core/exchange.ts';
import type { Reply } from '../../../src/core/reply.ts';
import { TARGET, FORM, YES, type Caller, caller, world, asking, settle, replied, stateOf } from './parked-world.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

test('one principal has at most 100 calls with open questions, and one more is cancelled; others have theirs', async () => {
  const { parked } = world();
  for (let count = 0; count < 100; count++) await stateOf(parked.begin(caller().call, TARGET, asking().run));
  const refused = asking();

  await expect(stateOf(parked.begin(caller().call, TARGET, refused.run))).rejects.toMatchObject({ code: 'overloaded' });
  expect(refused.wasCancelled()).toBe(true);
  expect(await stateOf(parked.begin(caller({}, 'bob').call, TARGET, asking().run))).toMatch(/./);
});

test('outcomes that are kept for a retry make way for new questions', async () => {
  const { parked, resume } = world();
  let retry = caller();
  let first = retry;
  for (let count = 0; count < 150; count++) {
    const requestState = await stateOf(parked.begin(caller().call, TARGET, asking().run));
    retry = caller({ requestState, inputResponses: { q1: YES } });
    await replied(resume(retry));
    if (count === 0) first = retry;
  }

  expect(() => resume(first)).toThrow('has expired');
  expect(await replied(resume(retry))).toMatchObject({ answered: 1 });
});

test('all principals together have at most 1,000', async () => {
  const { parked } = world();
  const begin = (principal: string) => parked.begin(caller({}, principal).call, TARGET, asking().run);
  const all = Array.from({ length: 1_000 }, (_, count) => begin(`principal ${count % 10}`));
  await settle();
  await Promise.all(all);

  await expect(stateOf(begin('one more'))).rejects.toMatchObject({ code: 'overloaded' });
});

/** A server that asks one form of this size, and whose answer is as large as it says. */
const large = ({ question = 0, outcome = 0 }) => {
  const params = { ...FORM, message: 'x'.repeat(question) };
  const origin = { server: 'one', instance: 'one#1', era: 'legacy', transport: 'stdio', bytes: outcome } as const;
  return async (exchange: Exchange): Promise<Reply> => {
    await exchange.ask({ method: 'elicitation/create', params, signal: exchange.signal });
    return { kind: 'result', result: { large: true }, origin };
  };
};
const MIB = 1024 * 1024;

test('outcomes that are kept are together no more than 256 MiB, and the oldest make way', async () => {
  const { parked, resume } = world();
  const retries: Caller[] = [];
  for (let count = 0; count < 3; count++) {
    const requestState = await stateOf(parked.begin(caller().call, TARGET, large({ outcome: 100 * MIB })));
    const retry = caller({ requestState, inputResponses: { q1: YES } });
    expect(await replied(resume(retry))).toEqual({ large: true });
    retries.push(retry);
  }
  const [first, ...kept] = retries;

  expect(() => first && resume(first)).toThrow('has expired');
  for (const retry of kept) expect(await replied(resume(retry))).toEqual({ large: true });
});

test('an outcome that comes when nobody waits counts too', async () => {
  const { parked, resume } = world();
  const states: string[] = [];
  for (let count = 0; count < 3; count++) {
    const withdrawal = new Cancellation();
    const run = async (exchange: Exchange): Promise<Reply> => {
      await exchange.ask({ method: 'elicitation/create', params: FORM, signal: withdrawal }).catch(() => undefined);
      return large({ outcome: 100 * MIB })({ ...exchange, ask: () => Promise.resolve({ result: YES }) });
    };
    states.push(await stateOf(parked.begin(caller().call, TARGET, run)));
    withdrawal.abort();
    await settle();
  }
  const [first, ...kept] = states.map((requestState) => caller({ requestState, inputResponses: { q1: YES } }));

  expect(() => first && resume(first)).toThrow('has expired');
  for (const retry of kept) expect(await replied(resume(retry))).toEqual({ large: true });
});

test('questions that do not fit into 256 MiB with the others are refused, once outcomes have made way', async () => {
  const { parked, resume } = world();
  const begin = (sizes: { question?: number; outcome?: number }) =>
    stateOf(parked.begin(caller().call, TARGET, large(sizes)));
  const old = caller({ requestState: await begin({ outcome: 20 * MIB }), inputResponses: { q1: YES } });
  await replied(resume(old));
  for (let count = 0; count < 2; count++) await begin({ question: 80 * MIB });

  await expect(begin({ question: 100 * MIB })).rejects.toMatchObject({ code: 'overloaded' });
  expect(await replied(resume(old))).toEqual({ large: true });
  await begin({ question: 80 * MIB });
  expect(() => resume(old)).toThrow('has expired');
  expect(await begin({})).toMatch(/./);
});
