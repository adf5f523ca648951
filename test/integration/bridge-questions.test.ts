// A modern client at a legacy server that asks: rounds of questions, states, and what becomes of them (wire.md, Questions).
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { FORM, PROMPT, RESOURCE, SAMPLING, startAsking, toldIn } from './harness/asking.ts';
import { ASKING_TOOLS, cancelledCalls, gate, holds, labelOf } from './harness/asking-tools.ts';
import { type RunningGateway, openGateway, startGateway, workspace } from './harness/gateway.ts';
import { ALICE, BOB, AUTH } from './harness/principals.ts';
import { errorOf, modern, open, resultOf, send, stream } from './harness/raw.ts';
import type { ScriptedServer } from './harness/scripted.ts';
import { until } from './harness/status.ts';

const ALL = { elicitation: { form: {}, url: {} }, sampling: { tools: {} }, roots: {} };
const ADA = { action: 'accept', content: { name: 'Ada' } };
const STALE = { code: -32602 };

const elicit = 'elicitation/create';
let server: ScriptedServer;
let gateway: RunningGateway;
beforeAll(async () => {
  server = await startAsking(ASKING_TOOLS);
  gateway = await openGateway({
    config: {
      auth: AUTH,
      mcpServers: {
        // what a call takes without its questions must fit in, on a busy machine too
        s: { url: server.url, timeouts: { firstByte: '4s', idle: '4s', total: '4s' } },
        t: { url: server.url },
      },
    },
    args: ['--log-level', 'warn'],
    env: { ALICE, BOB },
  });
  await gateway.attempted();
});

afterAll(async () => {
  await gateway.stop();
  await server.stop();
});

interface Asking {
  readonly method?: string;
  readonly token?: string;
  readonly capabilities?: JsonObject;
}

/** One request of a modern client. */
function request(params: JsonObject, { method = 'tools/call', token = ALICE, capabilities = ALL }: Asking = {}) {
  return modern(method, params, {
    headers: { Authorization: `Bearer ${token}` },
    meta: { 'io.modelcontextprotocol/clientCapabilities': capabilities, progressToken: 'token' },
  });
}

async function outcome(params: JsonObject, options?: Asking): Promise<JsonObject> {
  const answer = await send(gateway.origin, request(params, options));
  return {
    status: answer.status,
    ...(answer.text.includes('"error"') && { error: errorOf(answer) }),
    ...resultOf(answer),
  };
}

/** A call that is asked something: its answer, with the state. */
async function asked(params: JsonObject, options?: Asking): Promise<JsonObject & { requestState: string }> {
  const result = await outcome(params, options);
  expect(result).toMatchObject({ resultType: 'input_required' });
  return result as JsonObject & { requestState: string };
}

/** How often the server was given answers to questions. */
const answersGiven = () => server.seen.filter(({ http, rpc }) => http === 'POST' && rpc === '').length;

describe('Rounds', () => {
  test('questions that come together are one round, with the keys that the server named, and one answer each', async () => {
    const call = { name: 't__several', arguments: {} };
    // an instance that everybody shares declares no roots; that this server asks is learned first
    const { inputRequests, requestState } = await asked(call);

    expect(Object.keys(inputRequests as JsonObject)).toEqual(['user', 'q1', 'q2']);
    expect(inputRequests).toMatchObject({
      user: { method: elicit, params: { message: FORM.message } },
      q1: { method: 'sampling/createMessage', params: SAMPLING },
      q2: { method: 'roots/list' },
    });
    expect(JSON.stringify(inputRequests)).not.toContain('inputKey');
    const sampled = { role: 'assistant', content: { type: 'text', text: 'hello' }, model: 'm' };
    const roots = { roots: [{ uri: 'file:///a' }] };
    const half = await asked({ ...call, requestState, inputResponses: { user: ADA } });
    expect(Object.keys(half.inputRequests as JsonObject)).toEqual(['q1', 'q2']);
    const done = await outcome({
      ...call,
      requestState: half.requestState,
      inputResponses: { q1: sampled, q2: roots, unknown: ADA },
    });
    expect(toldIn(done)).toEqual([ADA, sampled, roots]);
  });

  test('twelve rounds of one call are twelve questions, each with a state of its own', async () => {
    const call = { name: 't__rounds', arguments: {} };
    let round = await asked(call);
    const states = new Set<string>();
    for (let number = 1; number < 12; number++) {
      states.add(round.requestState);
      const [[key, question] = []] = Object.entries(round.inputRequests as JsonObject);
      expect(question).toMatchObject({ params: { message: `round ${number}` } });
      const inputResponses = { [String(key)]: { action: 'accept', content: { name: `${number}` } } };
      round = await asked({ ...call, requestState: round.requestState, inputResponses });
    }
    const [key = ''] = Object.keys(round.inputRequests as JsonObject);
    const { requestState } = round;
    const done = await outcome({ ...call, requestState, inputResponses: { [key]: ADA } });

    expect(states.size).toBe(11);
    expect(toldIn(done)).toEqual([...Array.from({ length: 11 }, (_, index) => `${index + 1}`), 'Ada']);
  });

  test.each([
    ['prompts/get', { name: `t__${PROMPT}` }],
    ['resources/read', { uri: RESOURCE }],
  ])('%s may ask too', async (method, params) => {
    const { requestState } = await asked(params, { method });
    const done = await outcome({ ...params, requestState, inputResponses: { q1: ADA } }, { method });

    expect(JSON.stringify(done)).toContain('Ada');
    expect(done).toMatchObject({ resultType: 'complete' });
  });

  test('declining and cancelling are answers', async () => {
    const call = { name: 't__form', arguments: {} };
    for (const action of ['decline', 'cancel']) {
      const { requestState } = await asked(call);
      expect(toldIn(await outcome({ ...call, requestState, inputResponses: { q1: { action } } }))).toEqual({ action });
    }
  });

  test('missing and malformed answers are asked again, and their state is not worth a second try with others', async () => {
    const call = { name: 't__form', arguments: {} };
    const { requestState } = await asked(call);
    const again = await asked({ ...call, requestState, inputResponses: { q1: { action: 'maybe' } } });

    expect(again.requestState).not.toBe(requestState);
    expect(again.inputRequests).toMatchObject({ q1: { method: elicit } });
    expect(await outcome({ ...call, requestState, inputResponses: { q1: ADA } })).toMatchObject({ error: STALE });
    const { requestState: fresh } = again;
    expect(toldIn(await outcome({ ...call, requestState: fresh, inputResponses: { q1: ADA } }))).toEqual(ADA);
  });

  test('an answer without a state is kept for the question with its key, and the server is not told of it', async () => {
    const done = await outcome({ name: 't__form', arguments: { early: 1 }, inputResponses: { q1: ADA } });
    const { params } = await server.visited((visit) => JSON.stringify(visit.params.arguments) === '{"early":1}');

    expect(toldIn(done)).toEqual(ADA);
    expect(params).not.toHaveProperty('inputResponses');
  });

  test('what the server says after a round goes to the stream, progress token and log level of the retry', async () => {
    const call = { name: 't__works_on', arguments: {} };
    const { requestState } = await asked(call);
    const retry = modern(
      'tools/call',
      { ...call, requestState, inputResponses: { q1: ADA } },
      {
        headers: { Authorization: `Bearer ${ALICE}` },
        meta: {
          'io.modelcontextprotocol/clientCapabilities': ALL,
          'io.modelcontextprotocol/logLevel': 'info',
          progressToken: 'another token',
        },
      },
    );
    const { inbox, ended } = await stream(gateway.origin, retry);
    await ended;

    expect(inbox.all.slice(0, -1)).toMatchObject([
      { method: 'notifications/progress', params: { progressToken: 'another token', progress: 1 } },
      { method: 'notifications/message', params: { level: 'info', data: 'working' } },
    ]);
  });

  test('each round is recorded for itself, as something that went well', async () => {
    const call = { name: 't__recorded', arguments: {} };
    const { requestState } = await asked(call);
    await outcome({ ...call, requestState, inputResponses: { q1: ADA } });
    const { stdout } = await gateway.cli('audit', 'query', '--json', '--tool', 't__recorded');
    const records = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as JsonObject);

    expect(records).toHaveLength(2);
    for (const record of records)
      expect(record).toMatchObject({ status: 'ok', principal: { id: 'alice' }, server: 't' });
  });
});

describe('A state', () => {
  test('of somebody else, for another tool, server or arguments, or changed in any way, is refused', async () => {
    const call = { name: 't__form', arguments: { a: 1, b: 2 } };
    const { requestState } = await asked(call);
    const given = answersGiven();
    const answered = { requestState, inputResponses: { q1: ADA } };
    const wrong: [JsonObject, Asking?][] = [
      [{ ...call, ...answered }, { token: BOB }],
      [{ ...call, ...answered, name: 't__other_form' }],
      [{ ...call, ...answered, name: 's__form' }],
      [{ ...call, ...answered, arguments: { a: 1, b: 3 } }],
      [{ ...call, ...answered, requestState: `${requestState.slice(0, -4)}AAAA` }],
      [{ ...call, ...answered, requestState: '' }],
      [{ ...call, ...answered, requestState: 7 }],
    ];
    for (const [params, options] of wrong)
      expect(await outcome(params, options)).toMatchObject({
        error: { ...STALE, message: expect.stringContaining('not valid for this call') as string },
      });

    expect(answersGiven()).toBe(given);
    expect(toldIn(await outcome({ ...call, ...answered, arguments: { b: 2, a: 1 } }))).toEqual(ADA);
  });

  test('of a gateway that has been restarted is good for nothing', async () => {
    const place = workspace({ mcpServers: { t: { url: server.url } } });
    onTestFinished(() => place.remove());
    const other = await startGateway({ space: place });
    await other.attempted();
    const call = { name: 't__form', arguments: {} };
    const sent = { method: 'tools/call', meta: { 'io.modelcontextprotocol/clientCapabilities': ALL } };
    const first = resultOf(await send(other.origin, modern(sent.method, call, sent)));
    await other.stop('SIGKILL');
    const next = await openGateway({ space: place });
    onTestFinished(async () => {
      await next.stop();
    });
    await next.attempted();
    const retry = { ...call, requestState: first.requestState ?? '', inputResponses: { q1: ADA } };

    expect(errorOf(await send(next.origin, modern(sent.method, retry, sent)))).toMatchObject(STALE);
  });
});

describe('A client without the capability', () => {
  test('is not asked, and the call goes on', async () => {
    const done = await outcome({ name: 't__tolerant', arguments: {} }, { capabilities: {} });

    expect(done).toMatchObject({ status: 200, resultType: 'complete' });
    expect(toldIn(done)).toMatchObject({ code: -32601 });
  });

  test('hears what it would need when the call fails for it', async () => {
    expect(await outcome({ name: 't__strict', arguments: {} }, { capabilities: {} })).toMatchObject({
      status: 400,
      error: {
        code: -32021,
        message: expect.stringContaining('no sampling') as string,
        data: { requiredCapabilities: { sampling: {} } },
      },
    });
    expect(await outcome({ name: 't__failing', arguments: {} }, { capabilities: { elicitation: {} } })).toMatchObject({
      status: 400,
      error: { code: -32021, data: { requiredCapabilities: { elicitation: { url: {} } } } },
    });
  });
});

describe('While a question is with the client', () => {
  test('the clocks of the call stand still', async () => {
    const call = { name: 's__form', arguments: {} };
    const { requestState } = await asked(call);
    // a call that began later and asks nothing has met the limits of the server by then
    const late = await outcome({ name: 's__leaves', arguments: { label: 'clocks' } });
    expect(late).toMatchObject({ error: { data: { reason: 'upstream_timed_out' } } });

    expect(toldIn(await outcome({ ...call, requestState, inputResponses: { q1: ADA } }))).toEqual(ADA);
  });

  test('the server may finish; the retry gets what came of it', async () => {
    const call = { name: 't__finishes', arguments: { label: 'finishes' } };
    const { requestState } = await asked(call);
    gate(holds, 'finishes').resolve(undefined);

    for (let time = 0; time < 2; time++)
      expect(toldIn(await outcome({ ...call, requestState, inputResponses: { q1: ADA } }))).toBe('finished by itself');
  });

  test('the server may take it back and ask another, to which the old answer is none', async () => {
    const call = { name: 't__withdraws', arguments: { label: 'withdraws' } };
    const { requestState } = await asked(call);
    gate(holds, 'withdraws').resolve(undefined);
    // until the gateway has read that the first is withdrawn, it is asked again
    const next = await until(
      () => asked({ ...call, requestState }),
      ({ inputRequests }) => !JSON.stringify(inputRequests).includes(JSON.stringify(FORM.message)),
    );

    expect(Object.values(next.inputRequests as JsonObject)).toMatchObject([
      { params: { message: 'another question' } },
    ]);
    const [key = ''] = Object.keys(next.inputRequests as JsonObject);
    expect(toldIn(await outcome({ ...call, requestState: next.requestState, inputResponses: { [key]: ADA } }))).toEqual(
      ADA,
    );
  });
});

describe('A client that leaves', () => {
  test('before it was asked cancels the call at the server', async () => {
    const leaving = open(gateway.origin, request({ name: 't__leaves', arguments: { label: 'before' } }));
    leaving.on('error', () => undefined);
    await server.visited(({ params }) => labelOf(params) === 'before');
    leaving.destroy();

    await gate(cancelledCalls, 'before').promise;
  });

  test('after it was asked cancels nothing', async () => {
    gate(holds, 'after').resolve(undefined);
    const call = { name: 't__leaves', arguments: { label: 'after' } };
    const { requestState } = await asked(call);
    const done = await outcome({ ...call, requestState, inputResponses: { q1: ADA } });

    expect(toldIn(done)).toEqual(ADA);
    expect(cancelledCalls.has('after')).toBe(false);
  });
});

describe('Pages', () => {
  test('that a server asks to open come without the id that only older clients know', async () => {
    const call = { name: 't__url', arguments: {} };
    const { inputRequests, requestState } = await asked(call);

    expect(inputRequests).toEqual({
      q1: { method: elicit, params: { mode: 'url', message: 'Go', url: 'https://a.example/x' } },
    });
    const accepted = { action: 'accept' };
    expect(toldIn(await outcome({ ...call, requestState, inputResponses: { q1: accepted } }))).toEqual(accepted);
  });

  test('that a server wants to have been opened first are questions, and the retry is the call made anew', async () => {
    const call = { name: 't__page_first', arguments: { label: 'page' } };
    const first = await outcome(call);

    expect(first).toMatchObject({
      status: 200,
      resultType: 'input_required',
      inputRequests: {
        u1: { method: elicit, params: { mode: 'url', url: 'https://a.example/pay', message: 'Pay first' } },
      },
    });
    expect(first).not.toHaveProperty('requestState');
    expect(JSON.stringify(first.inputRequests)).not.toContain('elicitationId');
    expect(toldIn(await outcome({ ...call, inputResponses: { u1: { action: 'accept' } } }))).toBe('the page was seen');
  });

  test('are named as what is missing to a client that cannot open them', async () => {
    const call = { name: 't__page_first', arguments: { label: 'no pages' } };

    expect(await outcome(call, { capabilities: { elicitation: {} } })).toMatchObject({
      status: 400,
      error: { code: -32021, data: { requiredCapabilities: { elicitation: { url: {} } } } },
    });
  });
});
