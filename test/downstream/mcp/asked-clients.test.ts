// Questions to real legacy clients, and their answers, through a real front.
import {
  Client as ClientV2,
  SSEClientTransport as SseV2,
  StreamableHTTPClientTransport as HttpV2,
} from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport as SseV1 } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport as HttpV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { PassThrough } from 'node:stream';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { boundsWith } from '../../../src/core/bounds/bounds.ts';
import { Cancellation } from '../../../src/core/cancellation.ts';
import { toGatewayError } from '../../../src/core/errors.ts';
import type { ClientSession } from '../../../src/core/exchange.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { endpointLimits } from '../../../src/downstream/mcp/limits.ts';
import { StdioFront } from '../../../src/downstream/mcp/stdio.ts';
import type { CallRequest } from '../../../src/gateway/gateway.ts';
import { Inbox, initialize, openSession, send, stream } from '../../integration/harness/raw.ts';
import { argumentsOf, said, startFront, type StubFront, stubGateway } from '../front.ts';

const never = new Cancellation().signal;
/** Withdraws the questions of the tool `withdrawn`. */
const withdrawal = new Cancellation();
let session: ClientSession | undefined;
let late: CallRequest['exchange'] | undefined;

/** Each tool asks the question in its name, and returns the answer or the error. */
async function call(request: CallRequest) {
  const { exchange } = request;
  session = request.session;
  late = exchange;
  const { name } = request.params;
  const { method, params = {} } = argumentsOf(request) as { method: string; params?: JsonObject };
  if (name === 'leave') {
    void exchange.ask({ method, params, signal: never }).catch(() => undefined);
    return said('left');
  }
  try {
    const signal = name === 'withdrawn' ? withdrawal.signal : never;
    return said(JSON.stringify(await exchange.ask({ method, params, signal })));
  } catch (error) {
    return said(toGatewayError(error).code);
  }
}

let front: StubFront;
beforeAll(async () => {
  front = await startFront(call);
});
afterAll(() => front.close());

const FORM = { message: 'Who?', requestedSchema: { type: 'object', properties: { name: { type: 'string' } } } };
const SAMPLING = { messages: [{ role: 'user', content: { type: 'text', text: 'hi' } }], maxTokens: 5 };
const SAMPLED = { model: 'm', role: 'assistant', content: { type: 'text', text: 'hello' } } as const;
const ROOTS = { roots: [{ uri: 'file:///a' }] };
const capabilities = { elicitation: { form: {}, url: {} }, sampling: {}, roots: { listChanged: true } };
const info = { name: 'asked', version: '1' };

async function connectV1(url: string, sse = false): Promise<ClientV2> {
  const client = new ClientV1(info, { capabilities });
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: { name: 'one' } }));
  client.setRequestHandler(CreateMessageRequestSchema, () => SAMPLED);
  client.setRequestHandler(ListRootsRequestSchema, () => ROOTS);
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- it is what older clients use
  await client.connect(new (sse ? SseV1 : HttpV1)(new URL(url)));
  return client as unknown as ClientV2;
}

async function connectV2(url: string, sse = false): Promise<ClientV2> {
  const client = new ClientV2(info, { capabilities });
  client.setRequestHandler('elicitation/create', () => ({ action: 'accept', content: { name: 'one' } }));
  client.setRequestHandler('sampling/createMessage', () => SAMPLED);
  client.setRequestHandler('roots/list', () => ROOTS);
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- it is what older clients use
  await client.connect(new (sse ? SseV2 : HttpV2)(new URL(url)));
  return client;
}

const textOf = (result: unknown) => (result as { content: { text: string }[] }).content[0]?.text ?? '';

describe.each([
  ['SDK v1', () => connectV1(`${front.origin}/mcp`)],
  ['SDK v2', () => connectV2(`${front.origin}/mcp`)],
  ['SDK v1 over HTTP+SSE', () => connectV1(`${front.origin}/sse`, true)],
  ['SDK v2 over HTTP+SSE', () => connectV2(`${front.origin}/sse`, true)],
] as const)('A client of %s', (_kind, connect) => {
  test('is asked on the stream of its call, and its call ends with the answer', async () => {
    const client = await connect();
    const ask = async (method: string, params?: JsonObject) =>
      JSON.parse(
        textOf(await client.callTool({ name: 'ask', arguments: { method, ...(params && { params }) } })),
      ) as unknown;

    expect(await ask('elicitation/create', FORM)).toEqual({ result: { action: 'accept', content: { name: 'one' } } });
    expect(await ask('sampling/createMessage', SAMPLING)).toEqual({ result: SAMPLED });
    expect(await ask('roots/list')).toEqual({ result: ROOTS });
    await client.close();
  });

  test('tells that its roots changed, to those who listen', async () => {
    const client = await connect();
    await client.callTool({ name: 'ask', arguments: { method: 'roots/list' } });
    const notified = Promise.withResolvers<undefined>();
    session?.onRootsChanged(() => notified.resolve(undefined));
    await client.notification({ method: 'notifications/roots/list_changed' });

    await notified.promise;
    await client.close();
  });
});

/** A raw session that declares the given capabilities. */
async function raw(declared: JsonObject = capabilities) {
  const opened = await openSession(front.origin, { capabilities: declared });
  const start = (name: string, args: JsonObject, id = 1) =>
    stream(front.origin, opened.request('tools/call', { name, arguments: args }, { id }));
  const answer = (id: unknown, body: JsonObject = { result: ROOTS }) =>
    send(front.origin, opened.post(JSON.stringify({ jsonrpc: '2.0', id, ...body })));
  return { opened, start, answer };
}
const asking = { method: 'roots/list' };
const NO_ANSWER = { error: { code: -32603, message: expect.stringContaining('no answer') as unknown } };

describe('An answer', () => {
  test('counts once, and only in its own session; any other is taken and means nothing', async () => {
    const [one, other] = [await raw(), await raw()];
    const running = await one.start('ask', asking);
    const question = await running.inbox.find({ method: 'roots/list' });
    expect(running.inbox.all).toHaveLength(1);
    for (const answered of [await other.answer(question.id), await one.answer(999), await one.answer('1')])
      expect([answered.status, answered.text]).toEqual([202, '']);
    expect((await one.answer(question.id)).status).toBe(202);
    const result = (await running.inbox.find({ id: 1 })).result;
    expect((await one.answer(question.id, { result: { roots: [] } })).status).toBe(202);

    expect(JSON.parse(textOf(result))).toEqual({ result: ROOTS });
  });

  test('of another principal is 404, and the question stays open', async () => {
    const { opened, start, answer } = await raw();
    const running = await start('ask', asking);
    const question = await running.inbox.find({ method: 'roots/list' });
    const sent = opened.post(JSON.stringify({ jsonrpc: '2.0', id: question.id, result: { roots: [] } }));
    const foreign = await send(front.origin, { ...sent, headers: { ...sent.headers, Authorization: 'Bearer other' } });
    await answer(question.id);

    expect(foreign.status).toBe(404);
    expect(JSON.parse(textOf((await running.inbox.find({ id: 1 })).result))).toEqual({ result: ROOTS });
  });

  test('that is garbage is taken for an error, and the question is open no more', async () => {
    const { start, answer } = await raw();
    for (const body of [
      { error: 'no' },
      { result: null },
      { result: 5 },
      { result: {}, error: { code: 1, message: '' } },
    ]) {
      const running = await start('ask', asking);
      const { id } = await running.inbox.find({ method: 'roots/list' });
      expect((await answer(id, body)).status).toBe(202);

      expect(JSON.parse(textOf((await running.inbox.find({ id: 1 })).result))).toEqual(NO_ANSWER);
    }
  });

  test('that is an error goes on as it is', async () => {
    const { start, answer } = await raw();
    const running = await start('ask', asking);
    const { id } = await running.inbox.find({ method: 'roots/list' });
    await answer(id, { error: { code: -1, message: 'User rejected', data: { why: 'so' } } });

    expect(JSON.parse(textOf((await running.inbox.find({ id: 1 })).result))).toEqual({
      error: { code: -1, message: 'User rejected', data: { why: 'so' } },
    });
  });
});

describe('A question', () => {
  test('that was not declared is refused without turning the answer into a stream', async () => {
    const { opened } = await raw({});
    const answered = await send(front.origin, opened.request('tools/call', { name: 'ask', arguments: asking }));

    expect(answered.headers['content-type']).toBe('application/json');
    expect(answered.text).toContain('question_undeclared');
  });

  test('to a caller that takes no stream is refused', async () => {
    const { opened } = await raw();
    const sent = opened.request('tools/call', { name: 'ask', arguments: asking });
    const answered = await send(front.origin, { ...sent, headers: { ...sent.headers, Accept: 'application/json' } });

    expect(answered.text).toContain('client_unreachable');
  });

  test('is taken back when the server withdraws it, before the answer of its call', async () => {
    const { start } = await raw();
    const running = await start('withdrawn', asking);
    const { id } = await running.inbox.find({ method: 'roots/list' });
    withdrawal.abort();
    await running.inbox.find({ id: 1 });

    expect(running.inbox.all.map(({ method }) => method)).toEqual(['roots/list', 'notifications/cancelled', undefined]);
    expect(running.inbox.all[1]).toMatchObject({ params: { requestId: id } });
  });

  test('is taken back when the client does not answer in time, and its call goes on', async () => {
    const impatient = await startFront(call, { limits: endpointLimits(boundsWith({ questionAge: 1 })) });
    const opened = await openSession(impatient.origin, { capabilities });
    const asked = opened.request('tools/call', { name: 'ask', arguments: asking });
    const { inbox } = await stream(impatient.origin, asked);
    const { result } = await inbox.find({ id: 1 });

    expect(textOf(result)).toBe('question_unanswered');
    expect(inbox.all.map(({ method }) => method)).toEqual(['roots/list', 'notifications/cancelled', undefined]);
    await impatient.close();
  });

  test('is taken back when its call ends, and none can be asked then', async () => {
    const { start } = await raw();
    const running = await start('leave', asking);
    await running.inbox.find({ id: 1 });
    await expect(late?.ask({ method: 'roots/list', params: {}, signal: never })).rejects.toMatchObject({
      code: 'cancelled',
    });

    expect(running.inbox.all.map(({ method }) => method)).toEqual(['roots/list', 'notifications/cancelled', undefined]);
  });

  test('is taken back when the client cancels its call, for which nothing else is sent', async () => {
    const { start, opened } = await raw();
    const running = await start('ask', asking, 5);
    await running.inbox.find({ method: 'roots/list' });
    await send(front.origin, opened.notification('notifications/cancelled', { requestId: 5 }));
    await running.ended;

    expect(running.inbox.all.map(({ method }) => method)).toEqual(['roots/list', 'notifications/cancelled']);
  });

  test('ends with its session', async () => {
    const { start, opened } = await raw();
    const running = await start('ask', asking);
    await running.inbox.find({ method: 'roots/list' });
    const asked = session?.standing.ask({ method: 'roots/list', params: {}, signal: never });
    await expect(asked).rejects.toMatchObject({ code: 'client_unreachable' });
    const standing = await stream(front.origin, opened.get());
    const outside = session?.standing.ask({ method: 'roots/list', params: {}, signal: never });
    await standing.inbox.find({ method: 'roots/list' });
    await Promise.all([
      expect(outside).rejects.toMatchObject({ code: 'cancelled' }),
      send(front.origin, opened.delete()),
    ]);

    expect(session?.standing.signal.aborted).toBe(true);
    await Promise.all([running.ended, standing.ended]);
  });
});

describe('Outside any call', () => {
  test('the client is asked and told on its newest standing stream, by its log level', async () => {
    const { start, answer, opened } = await raw();
    await (
      await start('leave', asking)
    ).ended;
    const older = await stream(front.origin, opened.get());
    const newer = await stream(front.origin, opened.get());
    const asked = session?.standing.ask({ method: 'roots/list', params: {}, signal: never });
    const { id } = await newer.inbox.find({ method: 'roots/list' });
    await answer(id);
    session?.standing.log({ level: 'debug', data: 'unheard' });
    await send(front.origin, opened.request('logging/setLevel', { level: 'debug' }));
    session?.standing.log({ level: 'debug', data: 'heard' });
    session?.standing.notify('notifications/elicitation/complete', { elicitationId: 'e' });

    expect(await asked).toEqual({ result: ROOTS });
    expect(await newer.inbox.next()).toMatchObject({ params: { data: 'heard' } });
    expect(await newer.inbox.next()).toEqual({
      jsonrpc: '2.0',
      method: 'notifications/elicitation/complete',
      params: { elicitationId: 'e' },
    });
    expect(older.inbox.all).toEqual([]);
    older.close();
    newer.close();
  });
});

/** A client on a pipe that is initialized. */
function openFront() {
  const [input, output] = [new PassThrough(), new PassThrough()];
  const stdio = new StdioFront(stubGateway(call), { input, output, limits: endpointLimits() });
  const inbox = new Inbox();
  createInterface(output).on('line', (line) => inbox.add(line));
  const write = (message: JsonObject) => input.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  input.write(`${initialize('2025-11-25', 0, capabilities)}\n`);
  const end = async () => {
    input.end();
    await stdio.ended;
  };
  return { inbox, write, end };
}

test('A broken answer under the id of a call of the client is no answer to that call', async () => {
  const { inbox, write, end } = openFront();
  write({ id: 1, method: 'tools/call', params: { name: 'ask', arguments: asking } });
  const { id } = await inbox.find({ method: 'roots/list' });
  write({ id, result: null });
  const answer = await inbox.find({ id: 1 });
  await end();

  expect(id).toBe(1);
  expect(JSON.parse(textOf(answer.result))).toEqual(NO_ANSWER);
});

test('A client on a pipe is asked there, in a call and outside', async () => {
  const { inbox, write, end } = openFront();
  write({ id: 1, method: 'tools/call', params: { name: 'ask', arguments: asking } });
  const first = await inbox.find({ method: 'roots/list' });
  write({ id: first.id, result: ROOTS });
  expect(JSON.parse(textOf((await inbox.find({ id: 1 })).result))).toEqual({ result: ROOTS });
  const asked = session?.standing.ask({ method: 'roots/list', params: {}, signal: never });
  write({ id: (await inbox.find({ method: 'roots/list' })).id, error: { code: 1, message: 'no' } });

  expect(await asked).toEqual({ error: { code: 1, message: 'no' } });
  await end();
  expect(session?.standing.signal.aborted).toBe(true);
});
