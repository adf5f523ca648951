// Modern servers that ask: their rounds put live to legacy clients, and carried to modern ones with their state sealed.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isObject, type JsonObject } from '../../src/core/json.ts';
import { FORM, SAMPLING, told, toldIn } from './harness/asking.ts';
import { type RunningGateway, openGateway } from './harness/gateway.ts';
import {
  type EventStream,
  errorOf,
  type LegacySession,
  modern as modernRequest,
  openSession,
  resultOf,
  send,
  stream,
} from './harness/raw.ts';
import { modern, said, type ScriptedServer, startScripted, tool, type Visit } from './harness/scripted.ts';

const ALL = { elicitation: { form: {}, url: {} }, sampling: { tools: {} }, roots: {} };
const ADA = { action: 'accept', content: { name: 'Ada' } };
const elicit = 'elicitation/create';

const input = (inputRequests?: JsonObject, requestState?: string): JsonObject => ({
  resultType: 'input_required',
  ...(inputRequests && { inputRequests }),
  ...(requestState !== undefined && { requestState }),
});
const forms = (...keys: string[]): JsonObject =>
  Object.fromEntries(keys.map((key) => [key, { method: elicit, params: { ...FORM, message: key } }]));

/** What each tool answers to a request that carries this state and these answers. */
const TOOLS: Readonly<Record<string, (state: unknown, responses: unknown) => JsonObject>> = {
  form: (_state, responses) =>
    responses === undefined ? input(forms('who'), 'mine') : said(JSON.stringify(responses)),
  two: (state, responses) =>
    state === undefined ? input(forms('who', '__proto__'), 'two') : said(JSON.stringify([state, responses])),
  endless: (state) => input(forms('again'), `${Number(state ?? 0) + 1}`),
  busy: (state, responses) =>
    Number(state ?? 0) < 3 ? input(undefined, `${Number(state ?? 0) + 1}`) : told([state, responses ?? 'none']),
  nothing: () => input(),
  too_many: () => input(forms(...Array.from({ length: 101 }, (_, index) => `form ${index}`))),
  no_question: () => input({ q: { method: 'tools/list' } }),
  sampling: (state) =>
    state === undefined ? input({ s: { method: 'sampling/createMessage', params: SAMPLING } }, 's') : said('sampled'),
  url: (state) =>
    state === undefined
      ? input({ u: { method: elicit, params: { mode: 'url', message: 'Go', url: 'https://a.example/x' } } }, 'u')
      : said('paid'),
  tasked: (state) =>
    state === undefined
      ? input({ q: { method: elicit, params: { ...FORM, task: { ttl: 1 }, elicitationId: 'its own' } } }, 't')
      : said('told'),
  several: () =>
    input({
      ...forms('who'),
      u: { method: elicit, params: { mode: 'url', message: 'Go', url: 'https://a.example/x' } },
      r: { method: 'roots/list' },
    }),
  large: (state) => (state === undefined ? input(forms('who'), 'x'.repeat(64 * 1024)) : told((state as string).length)),
  too_large: () => input(forms('who'), 'x'.repeat(64 * 1024 + 1)),
};

let server: ScriptedServer;
let gateway: RunningGateway;

beforeAll(async () => {
  const script = (visit: Visit): JsonObject | undefined => {
    const { rpc, id, params, response } = visit;
    if (rpc !== 'tools/call') return undefined;
    if (params.name === 'needs') {
      const error = { code: -32021, message: 'needs roots', data: { requiredCapabilities: { roots: {} } } };
      response
        .writeHead(400, { 'content-type': 'application/json' })
        .end(JSON.stringify({ jsonrpc: '2.0', id, error }));
      return undefined;
    }
    return TOOLS[typeof params.name === 'string' ? params.name : '']?.(params.requestState, params.inputResponses);
  };
  server = await startScripted(modern(() => [...Object.keys(TOOLS), 'needs'].map((name) => tool(name)), script));
  gateway = await openGateway({ config: { mcpServers: { m: { url: server.url } } }, args: ['--log-level', 'warn'] });
  await gateway.attempted();
});

afterAll(async () => {
  await gateway.stop();
  await server.stop();
});

describe('A legacy client', () => {
  let session: LegacySession;
  let calls = 10;

  beforeAll(async () => {
    session = await openSession(gateway.origin, { capabilities: ALL });
  });

  /** Calls a tool and answers what is asked; gives the questions and the answer of the call. */
  async function call(name: string, reply: (question: JsonObject, count: number) => JsonObject, own = session) {
    const id = `call ${++calls}`;
    const events: EventStream = await stream(
      gateway.origin,
      own.request('tools/call', { name: `m__${name}`, arguments: {} }, { id }),
    );
    if (events.headers['content-type']?.startsWith('application/json')) throw new Error(`no stream: ${events.raw()}`);
    const asked: JsonObject[] = [];
    const notified: JsonObject[] = [];
    for (;;) {
      const message = await events.inbox.next();
      if (!message) throw new Error(`${name} ended without an answer: ${events.raw()}`);
      if (message.id === id) return { asked, notified, answer: message };
      if (message.id === undefined) notified.push(message);
      else {
        asked.push(message);
        const said = reply(message, asked.length);
        await send(gateway.origin, own.post(JSON.stringify({ jsonrpc: '2.0', id: message.id, ...said })));
      }
    }
  }

  /** Calls a tool that asks nothing. */
  async function plain(name: string, own = session) {
    return send(gateway.origin, own.request('tools/call', { name: `m__${name}`, arguments: {} }));
  }

  const accept = () => ({ result: ADA });

  test('is asked all questions of a round, and the server gets the answers by their keys beside its own state', async () => {
    const { asked, answer } = await call('two', accept);
    const [state, responses] = toldIn(answer.result as JsonObject) as [string, JsonObject];

    expect(asked.map(({ params }) => (params as JsonObject).message)).toEqual(['who', '__proto__']);
    expect(state).toBe('two');
    expect(Object.entries(responses)).toEqual([
      ['who', ADA],
      ['__proto__', ADA],
    ]);
  });

  test.each(['decline', 'cancel'])('may %s a form', async (action) => {
    const { answer } = await call('form', () => ({ result: { action } }));

    expect(toldIn(answer.result as JsonObject)).toEqual({ who: { action } });
  });

  test('that cannot show a form has closed it; an error for a sampling is the answer of the call', async () => {
    const error = { code: -1, message: 'User rejected sampling request' };
    const form = await call('form', () => ({ error }));
    const sampling = await call('sampling', () => ({ error }));

    expect(toldIn(form.answer.result as JsonObject)).toEqual({ who: { action: 'cancel' } });
    expect(sampling.answer.error).toEqual(error);
  });

  test('is asked ten times in one call and not once more', async () => {
    const before = server.count('tools/call');
    const { asked, answer } = await call('endless', accept);

    expect(asked).toHaveLength(10);
    expect(answer.error).toMatchObject({
      code: -33013,
      message: expect.stringContaining('more than 10 times') as string,
    });
    expect(server.count('tools/call') - before).toBe(11);
  });

  test('does not notice that a server wanted to be called again later', async () => {
    expect(toldIn(resultOf(await plain('busy')))).toEqual(['3', 'none']);
  });

  test.each([
    ['nothing', 'asks 0 questions and gives no state'],
    ['too_many', 'asks 101 questions'],
  ])('gets an error where a server asks %s', async (name, why) => {
    expect(errorOf(await plain(name))).toMatchObject({ code: -33013, message: expect.stringContaining(why) as string });
  });

  test('is not asked what is no question, nor what it did not declare', async () => {
    const bare = await openSession(gateway.origin);

    expect(errorOf(await plain('no_question')).code).toBe(-32601);
    expect(errorOf(await plain('form', bare))).toMatchObject({ code: -32601 });
    const meta = server.seen.at(-1)?.params._meta;
    expect(isObject(meta) && meta['io.modelcontextprotocol/clientCapabilities']).toEqual({});
  });

  test('is asked for no task of its own, and gets a form without the id of a page', async () => {
    const { asked, answer } = await call('tasked', () => ({ result: ADA }));

    expect(asked.map(({ params }) => params)).toEqual([FORM]);
    expect(answer.result).toMatchObject({ content: [{ text: 'told' }] });
  });

  test('is sent to a page with an id, and told when that is over, before the answer', async () => {
    const { asked, notified, answer } = await call('url', () => ({ result: { action: 'accept' } }));
    const [question] = asked;
    const { elicitationId, ...params } = question?.params as JsonObject;

    expect(params).toEqual({ mode: 'url', message: 'Go', url: 'https://a.example/x' });
    expect(elicitationId).toMatch(/^[0-9a-f-]{36}$/);
    expect(notified).toEqual([
      { jsonrpc: '2.0', method: 'notifications/elicitation/complete', params: { elicitationId } },
    ]);
    expect(answer.result).toMatchObject({ content: [{ text: 'paid' }] });
  });
});

describe('A modern client', () => {
  const ask = (name: string, more: JsonObject = {}, capabilities: JsonObject = ALL) =>
    send(
      gateway.origin,
      modernRequest(
        'tools/call',
        { name: `m__${name}`, arguments: {}, ...more },
        { meta: { 'io.modelcontextprotocol/clientCapabilities': capabilities } },
      ),
    );

  test('gets the server’s questions as they are, and the server its own state back', async () => {
    const first = resultOf(await ask('two'));
    const inputResponses = { who: ADA, other: { action: 'decline' } };
    const done = resultOf(await ask('two', { requestState: first.requestState ?? '', inputResponses }));

    expect(first.inputRequests).toEqual(forms('who', '__proto__'));
    expect(first.requestState).not.toContain('two');
    expect(toldIn(done)).toEqual(['two', inputResponses]);
  });

  test('is asked for no task of its own', async () => {
    const { inputRequests } = resultOf(await ask('tasked'));

    expect(inputRequests).toMatchObject({ q: { method: elicit, params: FORM } });
    expect(JSON.stringify(inputRequests)).not.toContain('ttl');
  });

  test('carries a state of 64 KiB, and is told where a server’s is larger', async () => {
    const { requestState = '' } = resultOf(await ask('large'));

    expect(toldIn(resultOf(await ask('large', { requestState, inputResponses: { who: ADA } })))).toBe(65_536);
    expect(errorOf(await ask('too_large'))).toMatchObject({
      code: -33013,
      message: expect.stringContaining('requestState that is not a string of at most 65536 characters') as string,
    });
  });

  test('cannot use the state of another call, nor one of the server itself', async () => {
    const { requestState = '' } = resultOf(await ask('two'));
    const before = server.count('tools/call');

    for (const [name, state] of [
      ['form', requestState],
      ['two', 'two'],
    ] as const)
      expect(errorOf(await ask(name, { requestState: state, inputResponses: {} }))).toMatchObject({ code: -32602 });
    expect(server.count('tools/call')).toBe(before);
  });

  test.each([
    ['form', {}, { elicitation: { form: {} } }],
    ['url', { elicitation: {} }, { elicitation: { url: {} } }],
    ['sampling', { elicitation: {} }, { sampling: {} }],
    ['several', { elicitation: {} }, { elicitation: { url: {} }, roots: {} }],
  ])(
    'is not asked what it did not declare (%s): it hears which capability it lacks',
    async (name, has, requiredCapabilities) => {
      const answer = await ask(name, {}, has);

      expect(answer.status).toBe(400);
      expect(errorOf(answer)).toMatchObject({ code: -32021, message: expect.stringContaining('"m"') as string });
      expect((errorOf(answer).data as JsonObject).requiredCapabilities).toEqual(requiredCapabilities);
    },
  );

  test('is asked nothing that is no question', async () => {
    expect(errorOf(await ask('no_question'))).toMatchObject({ code: -33013 });
  });

  test('hears from the server which capability it lacks, with the status that goes with it', async () => {
    const answer = await ask('needs', {}, {});

    expect(answer.status).toBe(400);
    expect(errorOf(answer)).toMatchObject({ code: -32021, data: { requiredCapabilities: { roots: {} } } });
  });
});
