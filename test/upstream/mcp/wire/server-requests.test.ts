// Server requests on every transport: which call they belong to, who answers, and what ends them.
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { GatewayError } from '../../../../src/core/errors.ts';
import type { JsonObject } from '../../../../src/core/json.ts';
import { readServerMessage } from '../../../../src/protocol/mcp/strict-json.ts';
import { InboundRouter } from '../../../../src/upstream/mcp/wire/inbound-router.ts';
import { call, caller, type Message, peer, Report, TRANSPORTS } from '../peers.ts';

const asking = (id: number | string) => ({ id, method: 'roots/list', params: { _meta: { progressToken: 7, own: 1 } } });
const answered = (id: number | string) => (message: Message) =>
  message.method === undefined && (message.id as unknown) === id;

describe.each(TRANSPORTS)('Over %s', (transport) => {
  test('an answer, an error and a refusal reach the server under the id of its question', async () => {
    const { say, report, sent } = await peer(transport);

    for (const id of ['a', 'b', 'c']) say(asking(id));
    await report.requests.first(() => report.requests.all.length === 3);
    const [first, second, third] = report.requests.all;
    third?.refuse(new GatewayError('question_undeclared', 'Nobody here can.'));
    second?.answer({ error: { code: -1, message: 'declined' } });
    first?.answer({ result: { roots: [] } });

    expect(await sent.first(answered('a'))).toMatchObject({ result: { roots: [] } });
    expect(await sent.first(answered('b'))).toMatchObject({ error: { code: -1, message: 'declined' } });
    expect(await sent.first(answered('c'))).toMatchObject({ error: { code: -32601, message: 'Nobody here can.' } });
    expect(first).toMatchObject({ method: 'roots/list', exchange: undefined, inFlight: 0 });
    expect(first?.params).toEqual({ _meta: { own: 1 } });
  });

  test('ping is answered by the wire itself', async () => {
    const { say, sent } = await peer(transport);

    say({ id: 'p', method: 'ping' });

    expect(await sent.first(answered('p'))).toMatchObject({ result: {} });
  });

  test('a question belongs to the only call in flight; with two of several principals it is nobody’s', async () => {
    const there = await peer(transport);
    const alice = caller();
    void there.wire.request({ method: 'tools/list', params: {}, totalMs: 5_000 }).catch(() => undefined);
    const { id } = await call(there, alice, { name: 'alice' });

    there.say(asking(1));
    const first = await there.report.requests.first((question) => question.inFlight === 1);
    const bob = await call(there, caller(), { name: 'bob', principal: 'bob' });
    there.say(asking(2));
    const second = await there.report.requests.first((question) => question.inFlight === 2);

    expect(first.exchange).toBe(alice);
    expect(second.exchange).toBeUndefined();
    expect(bob.id).not.toBe(id);
  });

  test('a question that its server takes back is aborted, and nothing is sent for it', async () => {
    const { say, report, sent } = await peer(transport);
    say(asking(5));
    const question = await report.requests.first(() => true);
    const aborted = new Promise<void>((resolve) => question.signal.onAbort(resolve));

    say({ method: 'notifications/cancelled', params: { requestId: 5 } });
    await aborted;
    question.answer({ result: {} });
    say({ id: 'after', method: 'ping' });
    await sent.first(answered('after'));

    expect(sent.all.filter(answered(5))).toEqual([]);
  });

  test('the end of a call ends the questions that came with it, and nothing is sent for them', async () => {
    const there = await peer(transport);
    const { id, reply } = await call(there, caller());
    there.say(asking(5), id);
    const question = await there.report.requests.first(() => true);

    there.say({ id, result: { content: [] } }, id);
    await reply;
    expect(question.signal.aborted).toBe(true);
    question.answer({ result: {} });
    there.say({ id: 'after', method: 'ping' });
    await there.sent.first(answered('after'));

    expect(there.sent.all.filter(answered(5))).toEqual([]);
  });

  test('a caller who leaves ends the questions of the call', async () => {
    const there = await peer(transport);
    const alice = caller();
    const { id } = await call(there, alice);
    there.say(asking(5), id);
    const question = await there.report.requests.first(() => true);

    alice.cancel();

    expect(question.signal.aborted).toBe(true);
  });

  test('the end of the connection ends every question', async () => {
    const { say, report, wire } = await peer(transport);
    say(asking(5));
    const question = await report.requests.first(() => true);
    const aborted = new Promise<void>((resolve) => question.signal.onAbort(resolve));

    await wire.close();
    await aborted;
  });

  test('a hundred questions may be open, the next is refused, and an id is not taken twice', async () => {
    const { say, report, sent } = await peer(transport);

    for (let id = 1; id <= 100; id++) say(asking(id));
    await report.requests.first(() => report.requests.all.length === 100);
    say(asking(1));
    say(asking(101));
    const refusal = await sent.first(answered(101));
    report.requests.all[0]?.answer({ result: { n: 1 } });
    const first = await sent.first(answered(1));
    say(asking(102));
    await report.requests.first(() => report.requests.all.length === 101);

    expect(refusal).toMatchObject({ error: { code: -33007 } });
    expect(first).toMatchObject({ result: { n: 1 } });
    expect(sent.all.filter(answered(1))).toHaveLength(1);
    expect(await report.diagnostics.first((text) => text.includes('still open'))).toContain('ignored');
  });

  test('while a question is open no clock of its call runs; afterwards they run on', async () => {
    const there = await peer(transport, { timeouts: { firstByte: 300, idle: 300 } });
    const { id, reply } = await call(there, caller(), { totalMs: 400 });
    there.say(asking(5), id);
    const question = await there.report.requests.first(() => true);
    const others: unknown[] = [];
    for (const name of ['first', 'second', 'third']) {
      const other = await call(there, caller(), { name, totalMs: 400 }); // a clock that does run
      others.push(await other.reply.catch((error: unknown) => error));
    }

    question.answer({ result: {} });
    await there.sent.first(answered(5));
    const error = await reply.catch((thrown: unknown) => thrown);

    for (const other of others) expect(other).toMatchObject({ code: 'upstream_timed_out' });
    expect(error).toMatchObject({ code: 'upstream_timed_out' });
  });

  test('a log line is that of the only call; with two of several principals it is the connection’s', async () => {
    const there = await peer(transport);
    const alice = caller();
    const log = (data: string) => ({ method: 'notifications/message', params: { level: 'info', data } });
    await call(there, alice, { name: 'alice' });

    there.say(log('one'));
    await alice.notifications.first(({ data }) => data === 'one');
    await call(there, caller(), { name: 'bob', principal: 'bob' });
    there.say(log('two'));

    expect(await there.report.logs.first(() => true)).toMatchObject({ data: 'two' });
    expect(alice.notifications.all).toHaveLength(1);
  });

  describe('with several calls of one principal in flight', () => {
    const declaring = (answer: JsonObject) => ({
      ...caller(),
      capabilities: { roots: {} },
      ask: () => Promise.resolve({ result: answer }),
    });

    test('a question is put to the oldest that declared it and whose caller waits', async () => {
      const there = await peer(transport);
      const parked = { ...declaring({ by: 'parked' }), unattendedSince: 1 };
      for (const each of [caller(), parked, declaring({ by: 'oldest' }), declaring({ by: 'newest' })])
        await call(there, each);
      there.say(asking(1));
      const request = await there.report.requests.first(() => true);
      const { signal, method, params } = request;

      expect(await request.exchange?.ask({ method, params, signal })).toEqual({ result: { by: 'oldest' } });
    });

    test('it passes on from a call that ends to the next, and ends with the last', async () => {
      const there = await peer(transport);
      const leaving = { ...declaring({}), ask: () => Promise.reject(new GatewayError('cancelled', 'The call ended.')) };
      const first = await call(there, leaving);
      const second = await call(there, declaring({ by: 'second' }));
      there.say(asking(1));
      const request = await there.report.requests.first(() => true);
      const { signal, method, params } = request;

      expect(await request.exchange?.ask({ method, params, signal })).toEqual({ result: { by: 'second' } });
      there.say({ id: first.id, result: { content: [] } }, first.id);
      await first.reply;
      expect(signal.aborted).toBe(false);
      there.say({ id: second.id, result: { content: [] } }, second.id);
      await second.reply;
      expect(signal.aborted).toBe(true);
    });

    test('no clock of any of them runs while it is open', async () => {
      const there = await peer(transport, { timeouts: { firstByte: 300, idle: 300 } });
      const calls = [await call(there, caller(), { totalMs: 400 }), await call(there, caller(), { totalMs: 400 })];
      there.say(asking(1));
      const request = await there.report.requests.first(() => true);
      const other = await call(there, caller(), { name: 'a clock that runs', totalMs: 400 });
      await expect(other.reply).rejects.toMatchObject({ code: 'upstream_timed_out' });
      for (const { id } of calls) there.say({ id, result: { content: [] } }, id);

      await Promise.all(calls.map(({ reply }) => reply));
      expect(request.signal.aborted).toBe(true);
    });

    test('a log line goes to the oldest that wants it', async () => {
      const there = await peer(transport);
      const [errors, all] = [
        { ...caller(), logLevel: 'error' },
        { ...caller(), logLevel: 'debug' },
      ];
      await call(there, errors);
      await call(there, all);
      for (const level of ['info', 'error'])
        there.say({ method: 'notifications/message', params: { level, data: level } });

      expect(await all.notifications.first(() => true)).toMatchObject({ data: 'info' });
      expect(await errors.notifications.first(() => true)).toMatchObject({ data: 'error' });
      expect(there.report.logs.all).toEqual([]);
    });
  });

  test('a log line comes without what the protocol says of its own hop, to a caller and to the connection', async () => {
    const there = await peer(transport);
    const alice = caller();
    const params = { level: 'info', data: 'line' };
    const hop = { 'io.modelcontextprotocol/subscriptionId': 7, progressToken: 1 };
    const line = { method: 'notifications/message', params: { ...params, _meta: { ...hop, 'com.example/key': 1 } } };
    const foreign = { ...params, _meta: { 'com.example/key': 1 } };

    there.say(line);
    expect(await there.report.logs.first(() => true)).toEqual(foreign);
    await call(there, alice, { name: 'alice' });
    there.say(line);
    expect(await alice.notifications.first(() => true)).toEqual(foreign);
  });
});

test('over Streamable HTTP the stream of a POST tells whose question it is, whoever else is in flight', async () => {
  const there = await peer('streamable-http');
  const [alice, bob] = [caller(), caller()];
  const first = await call(there, alice, { name: 'alice' });
  const second = await call(there, bob, { name: 'bob' });

  there.say(asking(1), first.id);
  there.say(asking(2), second.id);
  await there.report.requests.first(() => there.report.requests.all.length === 2);

  expect(new Set(there.report.requests.all.map(({ exchange }) => exchange))).toEqual(new Set([alice, bob]));
});

test('a question on the stream of a call that has ended is refused', async () => {
  const there = await peer('streamable-http');
  const { id, reply } = await call(there, caller());
  there.say({ id, result: {} }, id);
  await reply;

  there.say(asking(9), id);

  expect(await there.sent.first(answered(9))).toMatchObject({ error: { code: -33005 } });
  expect(there.report.requests.all).toEqual([]);
});

test.each([
  ['sse', 404, 'no longer knows the session'],
  ['streamable-http', 500, 'HTTP 500'],
] as const)(
  'over %s an answer that the server refuses with HTTP %s fails the call that waits for its effect',
  async (transport, status, why) => {
    const refuses = ({ method }: Message) => (method === undefined ? status : undefined);
    const there = await peer(transport, { refuses });
    const { id, reply } = await call(there, caller());
    there.say(asking(5), id);
    const question = await there.report.requests.first(() => true);

    question.answer({ result: { roots: [] } });

    await expect(reply).rejects.toMatchObject({
      code: 'upstream_closed',
      message: expect.stringContaining(why) as string,
    });
    await there.report.diagnostics.first((text) => text.includes('could not be delivered'));
    await there.sent.first(({ method }) => method === 'notifications/cancelled');
  },
);

describe('A question of a task that nobody follows yet', () => {
  const serverTask = (id: string) => ({
    id,
    method: 'roots/list',
    params: { _meta: { 'io.modelcontextprotocol/related-task': { taskId: 't' } } },
  });

  function setup() {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const report = new Report();
    const sent: string[] = [];
    const router = new InboundRouter({
      events: report,
      pending: () => [],
      find: () => undefined,
      send: (text) => void sent.push(text),
    });
    const say = (message: JsonObject) =>
      router.accept(
        readServerMessage(JSON.stringify({ jsonrpc: '2.0', ...message }), { server: 's', maxItems: 100 }) as never,
      );
    return { router, report, sent, say };
  }

  test('is put a moment later', () => {
    const { report, say } = setup();
    say(serverTask('a'));
    expect(report.requests.all).toEqual([]);
    vi.runAllTimers();

    expect(report.requests.all).toMatchObject([{ serverTask: 't' }]);
  });

  test('is put to nobody where its channel has ended by then', () => {
    const { router, report, say } = setup();
    say(serverTask('a'));
    router.close();
    vi.runAllTimers();

    expect(report.requests.all).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('is put to nobody where the server has taken it back by then', () => {
    const { report, say } = setup();
    say(serverTask('a'));
    say({ method: 'notifications/cancelled', params: { requestId: 'a' } });
    vi.runAllTimers();

    expect(report.requests.all).toEqual([]);
  });

  test('counts among those that are open', () => {
    const { report, sent, say } = setup();
    for (let id = 0; id < 101; id++) say(serverTask(`${id}`));
    say(serverTask('1'));

    expect(sent).toHaveLength(1);
    expect(JSON.parse(sent[0] ?? '')).toMatchObject({ id: '100', error: { code: -33007 } });
    expect(report.diagnostics.all).toMatchObject([expect.stringContaining('still open')]);
  });
});

test('what one principal leaves unanswered keeps nobody else from being asked', async () => {
  const there = await peer('streamable-http');
  const alice = await call(there, caller(), { name: 'alice', principal: 'alice' });
  const bob = await call(there, caller(), { name: 'bob', principal: 'bob' });
  for (let id = 1; id <= 100; id++) there.say(asking(id), alice.id);
  await there.report.requests.first(() => there.report.requests.all.length === 100);
  there.say(asking(101), alice.id);
  there.say(asking(102), bob.id);
  const refusal = await there.sent.first(answered(101));
  await there.report.requests.first(() => there.report.requests.all.length === 101);

  expect(refusal).toMatchObject({ error: { code: -33007, message: expect.stringContaining('100') as unknown } });
});
