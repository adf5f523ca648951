// Parked calls: their rounds, their retries, and what is kept of them.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Cancellation, type CancelSignal } from '../../../src/core/cancellation.ts';
import { toGatewayError } from '../../../src/core/errors.ts';
import type { Exchange } from '../../../src/core/exchange.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import type { Reply } from '../../../src/core/reply.ts';
import { ParkedCall } from '../../../src/gateway/bridge/parked-call.ts';
import {
  CAPABILITIES,
  at,
  TARGET,
  FORM,
  YES,
  type Caller,
  caller,
  world,
  asking,
  settle,
  replied,
  stateOf,
  keysOf,
} from './parked-world.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

test('a caller that disconnects cancels the call before it got the questions and during its retry, but not between them', async () => {
  const { parked, resume } = world();
  const [asked, before, after] = [asking(), asking(0), asking(2)];

  const first = caller();
  await stateOf(parked.begin(first.call, at(), asked.run));
  first.leaving.abort();
  expect(asked.wasCancelled()).toBe(false);

  const second = caller();
  const never = new Promise<Reply>(() => undefined);
  void parked.begin(second.call, at(), (exchange) => before.run(exchange).then(() => never));
  await settle();
  second.leaving.abort();
  expect(before.wasCancelled()).toBe(true);

  const requestState = await stateOf(parked.begin(caller().call, at(), after.run));
  const third = caller({ requestState, inputResponses: { q1: YES } });
  const reply = resume(third);
  third.leaving.abort();
  await expect(replied(reply)).rejects.toThrow();
  expect(after.wasCancelled()).toBe(true);
});

test('the gateway asks a server that may ask questions for progress even if the first request does not want it, and a retry gets it', async () => {
  const { parked, resume } = world();
  const server = asking();
  const run = async (exchange: Exchange) => {
    const reply = await server.run(exchange);
    exchange.progress({ progress: 1 });
    return reply;
  };
  const requestState = await stateOf(parked.begin(caller().call, at(), run));
  const retry = caller({ requestState, inputResponses: { q1: YES } });
  await replied(resume(retry));

  expect(server.exchange()?.wantsProgress).toBe(true);
  expect(retry.progress).toEqual([{ progress: 1 }]);
});

test('a call that several callers wait for is cancelled when the last one cancels, and the latest one gets its progress', async () => {
  const { parked, resume } = world();
  const server = asking();
  const open = Promise.withResolvers<undefined>();
  const run = async (exchange: Exchange) => {
    const reply = await server.run(exchange);
    exchange.progress({ progress: 1 });
    await open.promise;
    return reply;
  };
  const requestState = await stateOf(parked.begin(caller().call, at(), run));
  const [one, two] = [1, 2].map(() => caller({ requestState, inputResponses: { q1: YES } })) as [Caller, Caller];
  const replies = [resume(one), resume(two)];
  await settle();

  expect([one.progress.length, two.progress.length]).toEqual([0, 1]);
  two.leaving.abort();
  expect(server.wasCancelled()).toBe(false);
  open.resolve(undefined);
  expect(await replied(replies[0] ?? Promise.reject(new Error()))).toMatchObject({ answered: 1 });
  expect(server.answers).toHaveLength(1);
});

test('a retry of an answered round gets its reply again, and does not affect the open questions', async () => {
  const { parked, resume } = world();
  const server = asking(2);
  const requestState = await stateOf(parked.begin(caller().call, at(), server.run));
  const answer = { requestState, inputResponses: { q1: YES } };
  const second = await replied(resume(caller(answer)));
  const late = caller(answer);

  expect(await replied(resume(late))).toEqual(second);
  late.leaving.abort();
  expect(server.wasCancelled()).toBe(false);
  expect(() => resume(caller({ requestState, inputResponses: {} }))).toThrow('already used with other answers');
});

test('malformed and missing answers are asked again with a fresh state, and unknown ones ignored', async () => {
  const { parked, resume } = world();
  const server = asking();
  let requestState = await stateOf(parked.begin(caller().call, at(), server.run));
  const wrong: unknown[] = [
    undefined,
    {},
    { q1: null },
    { q1: 'yes' },
    { q1: { action: 'perhaps' } },
    { q1: { action: 'accept', content: [] } },
    { q2: YES, constructor: YES },
    [YES],
  ];
  for (const inputResponses of wrong) {
    const result = await replied(
      resume(caller({ requestState, ...(inputResponses !== undefined && { inputResponses }) } as JsonObject)),
    );
    expect(keysOf(result)).toEqual(['q1']);
    expect(result.requestState).not.toBe(requestState);
    requestState = result.requestState as string;
  }

  expect(await replied(resume(caller({ requestState, inputResponses: { q1: YES } })))).toMatchObject({ answered: 1 });
  expect(server.answers).toEqual([{ result: YES }]);
});

test('the states of a call that has ended give the same replies again, and a later state gives none', async () => {
  const { parked, resume } = world();
  const server = asking(2);
  const first = await stateOf(parked.begin(caller().call, at(), server.run));
  const round = { requestState: first, inputResponses: { q1: YES } };
  const second = await replied(resume(caller(round)));
  const requestState = String((second as { requestState?: unknown }).requestState);
  const last = { requestState, inputResponses: { q2: YES } };
  const outcome = await replied(resume(caller(last)));

  for (let time = 0; time < 3; time++) {
    expect(await replied(resume(caller(last)))).toEqual(outcome);
    expect(await replied(resume(caller(round)))).toEqual(second);
    expect(() => resume(caller({ ...last, inputResponses: {} }))).toThrow('already used with other answers');
  }
  expect(server.answers).toHaveLength(2);
  vi.advanceTimersByTime(10 * 60_000);
  for (const late of [last, round]) expect(() => resume(caller(late))).toThrow();
});

test('a call is cancelled, and its state is not valid, ten minutes after its questions were sent', async () => {
  const { parked, resume } = world();
  const server = asking();
  const requestState = await stateOf(parked.begin(caller().call, at(), server.run));
  await vi.advanceTimersByTimeAsync(10 * 60_000 - 1);
  expect(server.wasCancelled()).toBe(false);
  await vi.advanceTimersByTimeAsync(1);

  expect(server.wasCancelled()).toBe(true);
  expect(() => resume(caller({ requestState, inputResponses: { q1: YES } }))).toThrow('has expired');
});

test('a withdrawn question is not asked, and the outcome of the call is kept for the retry', async () => {
  const { parked, resume } = world();
  const withdrawal = new Cancellation();
  const run = async (exchange: Exchange): Promise<Reply> => {
    await exchange.ask({ method: 'elicitation/create', params: FORM, signal: withdrawal }).catch(() => undefined);
    return { kind: 'result', result: { content: [], finished: true } };
  };
  const requestState = await stateOf(parked.begin(caller().call, at(), run));
  withdrawal.abort();
  await settle();

  for (let time = 0; time < 2; time++)
    expect(await replied(resume(caller({ requestState, inputResponses: { q1: YES } })))).toMatchObject({
      finished: true,
    });
});

test('a stop cancels the parked calls, lets those finish that a caller waits for, and parks no more', async () => {
  const { parked, stopping, resume } = world();
  const [waiting, attended, again] = [asking(), asking(), asking(2)];
  const open = Promise.withResolvers<undefined>();
  await stateOf(parked.begin(caller().call, at(), waiting.run));
  const run = (exchange: Exchange) => attended.run(exchange).then((reply) => open.promise.then(() => reply));
  const state = await stateOf(parked.begin(caller().call, at(), run));
  const other = await stateOf(parked.begin(caller().call, at(), again.run));
  const finishing = resume(caller({ requestState: state, inputResponses: { q1: YES } }));
  const asksAgain = resume(caller({ requestState: other, inputResponses: { q1: YES } }));
  stopping.abort();
  open.resolve(undefined);

  expect(waiting.wasCancelled()).toBe(true);
  const [finished, refused] = await Promise.allSettled([replied(finishing), replied(asksAgain)]);
  expect(finished).toMatchObject({ status: 'fulfilled', value: { answered: 1 } });
  expect(refused).toMatchObject({ status: 'rejected', reason: { code: 'shutting_down' } });
  expect(again.wasCancelled()).toBe(true);
});

test('questions of one call are one round under distinct keys, which the server can choose', async () => {
  const { parked } = world();
  const ask = (exchange: Exchange, _meta?: JsonObject) =>
    exchange.ask({
      method: 'elicitation/create',
      params: { ...FORM, ...(_meta && { _meta }) },
      signal: exchange.signal,
    });
  const run = async (exchange: Exchange): Promise<Reply> => {
    const named = { 'mcp-gateway/inputKey': 'user_name', 'com.example/kept': 1 };
    await Promise.all([
      ask(exchange),
      ask(exchange, named),
      ask(exchange, named),
      ask(exchange, { 'mcp-gateway/inputKey': '' }),
      ask(exchange, { 'mcp-gateway/inputKey': 'x'.repeat(129) }),
      ask(exchange, { 'mcp-gateway/inputKey': 'q5' }),
      ask(exchange),
    ]);
    return { kind: 'result', result: {} };
  };
  const result = await replied(parked.begin(caller().call, at(), run));

  expect(keysOf(result)).toEqual(['q1', 'user_name', 'q2', 'q3', 'q4', 'q5', 'q6']);
  expect((result.inputRequests as JsonObject).user_name).toEqual({
    method: 'elicitation/create',
    params: { ...FORM, _meta: { 'com.example/kept': 1 } },
  });
});

test('an answer that came before its question is used once', async () => {
  const { parked } = world();
  const server = asking(2);
  const first = caller({ inputResponses: { q1: YES } });
  const run = async (exchange: Exchange): Promise<Reply> => {
    const named = { ...FORM, _meta: { 'mcp-gateway/inputKey': 'q1' } };
    const signal = exchange.signal;
    server.answers.push(await exchange.ask({ method: 'elicitation/create', params: named, signal }));
    await exchange.ask({ method: 'elicitation/create', params: named, signal });
    return { kind: 'result', result: {} };
  };

  expect(keysOf(await replied(parked.begin(first.call, at(), run)))).toEqual(['q1']);
  expect(server.answers).toEqual([{ result: YES }]);
});

test('the error names every missing capability', async () => {
  const { parked } = world();
  const run = async (exchange: Exchange): Promise<Reply> => {
    const ask = (method: string, params: JsonObject) =>
      exchange.ask({ method, params, signal: exchange.signal }).catch(() => undefined);
    await ask('elicitation/create', FORM);
    await ask('elicitation/create', { mode: 'url', message: 'Go', url: 'https://a.example', elicitationId: '1' });
    await ask('sampling/createMessage', { messages: [], tools: [] });
    return { kind: 'result', result: { isError: true, content: [{ type: 'text', text: 'cannot go on' }] } };
  };

  await expect(replied(parked.begin(caller({}, 'alice', {}).call, at(), run))).rejects.toMatchObject({
    code: 'capability_required',
    message: expect.stringContaining('cannot go on') as string,
    data: { requiredCapabilities: { elicitation: { form: {}, url: {} }, sampling: { tools: {} } } },
  });
});

test('a retry can be asked what it declares itself; the server gets an error for what only the first request declared', async () => {
  const { parked, resume } = world();
  const told: unknown[] = [];
  const ask = (exchange: Exchange, method: string, params: JsonObject) =>
    exchange.ask({ method, params, signal: exchange.signal }).then(
      (answer) => told.push('result' in answer ? answer.result : answer),
      (error: unknown) => told.push(toGatewayError(error).code),
    );
  const sample = { messages: [], maxTokens: 1 };
  const run = async (exchange: Exchange): Promise<Reply> => {
    await Promise.all([
      ask(exchange, 'elicitation/create', FORM),
      ask(exchange, 'sampling/createMessage', sample),
      ask(exchange, 'roots/list', {}),
    ]);
    await ask(exchange, 'sampling/createMessage', sample);
    return { kind: 'result', result: { isError: true, content: [{ type: 'text', text: 'no model' }] } };
  };
  const all = { ...CAPABILITIES, sampling: {}, roots: {} };
  const requestState = await stateOf(parked.begin(caller({}, 'alice', all).call, at(), run));
  const roots = { roots: [{ uri: 'file:///home' }] };
  const retry = caller({ requestState, inputResponses: { q1: YES, q3: roots } });

  await expect(replied(resume(retry))).rejects.toMatchObject({
    code: 'capability_required',
    data: { requiredCapabilities: { sampling: {} } },
  });
  expect(told).toHaveLength(4);
  expect(told).toEqual(expect.arrayContaining([YES, roots, 'question_undeclared', 'question_undeclared']));
});

test('a preempted call is cancelled, and its retry fails with the reason', async () => {
  const { parked, resume } = world();
  const server = asking();
  const requestState = await stateOf(parked.begin(caller().call, at(), server.run));
  expect(server.exchange()?.unattendedSince).toBeTypeOf('number');
  server.exchange()?.preempt?.('Others waited for its place.');
  const refused = { code: 'overloaded', message: 'Others waited for its place.' };

  expect(server.wasCancelled()).toBe(true);
  const retry = caller({ requestState, inputResponses: { q1: YES } });
  for (let time = 0; time < 2; time++) await expect(replied(resume(retry))).rejects.toMatchObject(refused);
});

test('the server gets an error for a question for which there is no memory, and the others stay open', async () => {
  let room = true;
  const call = new ParkedCall(caller().call, { admits: () => room });
  const ask = () => call.ask({ method: 'elicitation/create', params: FORM, signal: call.signal });
  const [first] = [ask()];
  const held = call.bytes;
  room = false;

  await expect(ask()).rejects.toMatchObject({ code: 'overloaded' });
  expect([Object.keys(call.inputRequests()), call.bytes]).toEqual([['q1'], held]);
  call.answer({ q1: YES });
  expect(await first).toEqual({ result: YES });
  expect(call.bytes).toBe(0);
});

test('a call that has ended does not retain the listeners of its signal, which retain the request and the answer', async () => {
  const { parked, stopping, resume } = world();
  const server = asking();
  const requestState = await stateOf(parked.begin(caller().call, at(), server.run));
  const retry = caller({ requestState, inputResponses: { q1: YES } });
  const result = await replied(resume(retry));
  expect(await replied(resume(retry))).toEqual(result);
  stopping.abort();

  expect(() => resume(retry)).toThrow('has expired');
  expect(server.wasCancelled()).toBe(false);
});

test('every round has the attempts of its call in its context', async () => {
  const { parked, resume } = world();
  const first = at();
  const origin = { server: 'one', instance: 'one#1', era: 'legacy', transport: 'stdio', bytes: 0 } as const;
  const run = async (exchange: Exchange) => {
    first.ctx.attempt(TARGET).origin = origin;
    return asking().run(exchange);
  };
  const requestState = await stateOf(parked.begin(caller().call, first, run));
  const second = at();
  await replied(resume(caller({ requestState, inputResponses: { q1: YES } }), second));

  expect(second.ctx.attempts).toMatchObject([{ target: TARGET, origin }]);
});

describe('A question that may belong to another call of the caller', () => {
  const several = (exchange: Exchange | undefined, signal: CancelSignal) =>
    exchange?.ask({ method: 'elicitation/create', params: FORM, signal, ofSeveral: true });

  test('can be answered by the retry of the call that carries it, after that has ended', async () => {
    const { parked, resume } = world();
    const { signal } = new Cancellation();
    const ending = Promise.withResolvers<Reply>();
    let exchange: Exchange | undefined;
    const first = parked.begin(caller().call, at(), (given) => ((exchange = given), ending.promise));
    const answer = several(exchange, signal);
    const { requestState = null } = await replied(first);
    ending.resolve({ kind: 'result', result: { ended: true } });
    await settle();
    const retried = resume(caller({ requestState, inputResponses: { q1: YES } }));

    expect(await replied(retried)).toEqual({ ended: true });
    expect(await answer).toEqual({ result: YES });
  });

  test('is withdrawn if the call ends before its caller has the question, or the retry does not answer it', async () => {
    const { parked, resume } = world();
    const { signal } = new Cancellation();
    for (const isSent of [false, true]) {
      const ending = Promise.withResolvers<Reply>();
      let exchange: Exchange | undefined;
      const first = parked.begin(caller().call, at(), (given) => ((exchange = given), ending.promise));
      const answer = several(exchange, signal)?.catch((error: unknown) => error);
      const begun = isSent ? await replied(first) : {};
      ending.resolve({ kind: 'result', result: {} });
      await settle();
      if (isSent) await replied(resume(caller({ requestState: begun.requestState ?? null, inputResponses: {} })));

      expect(await answer).toMatchObject({ code: 'cancelled' });
    }
  });
});
