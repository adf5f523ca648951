// A call is settled exactly once, and everybody who listens hears how it ended.
import { expect, test } from 'vitest';
import { GatewayError } from '../../src/core/errors.ts';
import type { Origin } from '../../src/core/reply.ts';
import { ECHO, emptyContext, makeContext } from '../audit/bare-call.ts';
import { makeReply } from '../audit/calls.ts';
import type { Settlement } from '../../src/core/call-context.ts';

const ORIGIN: Origin = { server: 'everything', instance: 'everything#7', era: 'modern', transport: 'stdio', bytes: 9 };
const FAILURE = new GatewayError('upstream_timed_out', 'too late');
const UNAVAILABLE = new GatewayError('audit_unavailable', 'no disk');

test.each([
  ['answered twice', 'answered', 'answered'],
  ['failed after it was answered', 'answered', 'failed'],
  ['answered after it failed', 'failed', 'answered'],
] as const)('a call that is %s is an error, and nobody hears of it again', async (_how, first, second) => {
  const ctx = makeContext();
  let heard = 0;
  ctx.onSettled(() => {
    heard++;
  });
  const settle = (how: 'answered' | 'failed') => (how === 'answered' ? ctx.answered(makeReply()) : ctx.failed(FAILURE));
  await settle(first);

  await expect(settle(second)).rejects.toThrow('a call was settled twice');
  expect(heard).toBe(1);
});

test('a call that is settled while it is being settled is an error too', async () => {
  const ctx = makeContext();
  const open = Promise.withResolvers<undefined>();
  ctx.onSettled(() => open.promise);
  const settling = ctx.answered(makeReply());

  await expect(ctx.failed(FAILURE)).rejects.toThrow('a call was settled twice');
  open.resolve(undefined);
  expect(await settling).toBeUndefined();
});

test('who listened last is told first, and each waits for the one before', async () => {
  const ctx = makeContext();
  const order: string[] = [];
  for (const name of ['trace', 'audit', 'quota'])
    ctx.onSettled(async () => {
      order.push(`${name} begins`);
      await new Promise(setImmediate);
      order.push(`${name} ends`);
    });
  await ctx.answered(makeReply());

  expect(order).toEqual(['quota', 'audit', 'trace'].flatMap((name) => [`${name} begins`, `${name} ends`]));
});

test('an answer is settled as what it is, with its own origin or that of the last attempt', async () => {
  const settled = async (reply: Parameters<ReturnType<typeof makeContext>['answered']>[0]) => {
    const ctx = makeContext();
    ctx.attempt(ECHO).origin = ORIGIN;
    let heard: Settlement | undefined;
    ctx.onSettled((settlement) => void (heard = settlement));
    expect(await ctx.answered(reply)).toBeUndefined();
    return heard;
  };
  const error = { code: -32602, message: 'no' };

  expect(await settled(makeReply())).toEqual({ status: 'ok', reply: makeReply(), origin: makeReply().origin });
  expect(await settled(makeReply({ isError: true }))).toMatchObject({ status: 'tool_error' });
  expect(await settled({ kind: 'error', error })).toEqual({
    status: 'protocol_error',
    reply: { kind: 'error', error },
    origin: ORIGIN,
  });
});

test('a failure has the origin of the last attempt, as far as one was reached', async () => {
  const settled = async (...origins: (Origin | undefined)[]) => {
    const ctx = makeContext();
    for (const origin of origins)
      if (origin) ctx.attempt(ECHO).origin = origin;
      else ctx.attempt(ECHO);
    let heard: Settlement | undefined;
    ctx.onSettled((settlement) => void (heard = settlement));
    await ctx.failed(FAILURE);
    return heard;
  };
  const other = { ...ORIGIN, instance: 'everything#1' };

  expect(await settled(other, ORIGIN)).toEqual({ status: 'timed_out', failure: FAILURE, origin: ORIGIN });
  expect((await settled(ORIGIN, undefined))?.origin).toBeUndefined();
  expect((await settled())?.origin).toBeUndefined();
});

test('a listener that throws stops no other; those that come later hear of a call that failed, and so does the caller', async () => {
  const ctx = makeContext();
  ctx.attempt(ECHO).origin = ORIGIN;
  const heard: [string, Settlement][] = [];
  ctx.onSettled((settlement) => void heard.push(['outermost', settlement]));
  ctx.onSettled((settlement) => {
    heard.push(['second', settlement]);
    throw new Error('a bug');
  });
  ctx.onSettled((settlement) => {
    heard.push(['first', settlement]);
    return Promise.reject(UNAVAILABLE);
  });
  ctx.onSettled((settlement) => void heard.push(['innermost', settlement]));

  expect(await ctx.answered(makeReply())).toBe(UNAVAILABLE);
  const failed = { status: 'refused', failure: UNAVAILABLE, origin: ORIGIN };
  expect(heard.map(([name]) => name)).toEqual(['innermost', 'first', 'second', 'outermost']);
  expect(heard.slice(0, 2).map(([, { status }]) => status)).toEqual(['ok', 'ok']);
  expect(heard.slice(2).map(([, settlement]) => settlement)).toEqual([
    { ...failed, status: expect.any(String) as string },
    { ...failed, status: expect.any(String) as string },
  ]);
  expect(heard.at(-1)?.[1].reply).toBeUndefined();
});

test('a failure that cannot be settled is told as the failure of its settlement', async () => {
  const ctx = makeContext();
  ctx.onSettled(() => Promise.reject(UNAVAILABLE));

  expect(await ctx.failed(FAILURE)).toBe(UNAVAILABLE);
});

test('the route is what the resolve stage found; before that stage there is none', () => {
  const ctx = emptyContext();
  expect(() => ctx.route).toThrow('not resolved');
  ctx.route = { some: 'route' };

  expect(ctx.route).toEqual({ some: 'route' });
});
