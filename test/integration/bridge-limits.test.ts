// What waits for a client's answers does not stand in the way: of a stop, of other calls, of questions outside any call.
import { expect, test } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { FORM, type StandingAsk, startAsking, told, toldIn } from './harness/asking.ts';
import { fixture, type RunningGateway } from './harness/gateway.ts';
import { kept, openTried } from './harness/kept.ts';
import { errorOf, modern, resultOf, send } from './harness/raw.ts';

const ADA = { action: 'accept', content: { name: 'Ada' } };
const elicit = 'elicitation/create';

const CAPABILITIES = { elicitation: { form: {} }, roots: {} };
const call = (name: string, more: JsonObject = {}) =>
  modern(
    'tools/call',
    { name, arguments: {}, ...more },
    { meta: { 'io.modelcontextprotocol/clientCapabilities': CAPABILITIES } },
  );

function gatewayOf(mcpServers: object): Promise<RunningGateway> {
  return openTried({ config: { mcpServers }, args: ['--log-level', 'warn'] });
}

test('a gateway that stops ends the calls whose questions are with the client, and their server hears of it', async () => {
  const server = await kept(startAsking({ form: async ({ ask }) => told(await ask(elicit, FORM)) }));
  const gateway = await gatewayOf({ s: { url: server.url } });
  expect(resultOf(await send(gateway.origin, call('s__form')))).toMatchObject({ resultType: 'input_required' });
  const { headers } = await server.visited(({ rpc }) => rpc === 'tools/call');

  await gateway.stop();

  const session = headers['mcp-session-id'];
  await server.visited((visit) => visit.http === 'DELETE' && visit.headers['mcp-session-id'] === session);
});

test('of one principal 100 calls wait for answers; the next is refused and cancelled at the server', async () => {
  const cancelled: Promise<void>[] = [];
  const server = await kept(
    startAsking({
      form: async (own) => {
        cancelled.push(own.cancelled);
        return told(await own.ask(elicit, FORM));
      },
    }),
  );
  const gateway = await gatewayOf({ s: { url: server.url }, t: { url: server.url } });
  const answers: JsonObject[] = [];
  // one connection alone has no more than 100 questions open, whoever asks
  for (let count = 0; count < 100; count++)
    answers.push(resultOf(await send(gateway.origin, call(count % 2 === 0 ? 's__form' : 't__form'))));
  const refused = await send(gateway.origin, call('s__form'));
  await cancelled[100];
  const { requestState = '' } = answers[0] ?? {};
  const answered = await send(gateway.origin, call('s__form', { requestState, inputResponses: { q1: ADA } }));

  expect(new Set(answers.map(({ requestState: state }) => state)).size).toBe(100);
  expect(refused.status).toBe(503);
  expect(errorOf(refused)).toMatchObject({ code: -33007, data: { retryable: true } });
  expect(toldIn(resultOf(answered))).toEqual(ADA);
});

test('a process that waits for an answer does not keep its principal from calling it', async () => {
  const gateway = await gatewayOf({
    s: fixture('sdk-server.ts', '--era', 'legacy', '--transport', 'stdio'),
  });
  const ask = (more: JsonObject = {}) =>
    send(gateway.origin, call('s__ask_form', { arguments: { label: 'x' }, ...more }));
  const [one, two] = [resultOf(await ask()), resultOf(await ask())];
  const echoed = resultOf(await send(gateway.origin, call('s__echo', { arguments: { text: 'hello' } })));

  expect(echoed).toMatchObject({ content: [{ text: 'hello' }] });
  for (const { requestState = '' } of [two, one]) {
    const answer = { action: 'accept', content: { color: 'red' } };
    expect(toldIn(resultOf(await ask({ requestState, inputResponses: { q1: answer } })))).toMatchObject(answer);
  }
});

test('roots asked outside any call are the last that the modern client gave, or none; a shared instance gets an error', async () => {
  const standing = new Map<unknown, StandingAsk>();
  const news = Promise.withResolvers<undefined>();
  const server = await kept(
    startAsking(
      { plain: async () => told('plain'), roots: async ({ ask }) => told(await ask('roots/list')) },
      (ask, visit) => {
        standing.set(visit.headers['mcp-session-id'], ask);
        if (standing.size === 2) news.resolve(undefined);
      },
    ),
  );
  const gateway = await gatewayOf({ s: { url: server.url, isolation: 'principal' } });
  await send(gateway.origin, call('s__plain'));
  await news.promise;
  const [shared, own] = [...standing.values()];
  const roots = { roots: [{ uri: 'file:///home/ada', name: 'home' }] };

  expect(await own?.('roots/list')).toEqual({ roots: [] });
  const { requestState = '' } = resultOf(await send(gateway.origin, call('s__roots')));
  await send(gateway.origin, call('s__roots', { requestState, inputResponses: { q1: roots } }));
  expect(await own?.('roots/list')).toEqual(roots);
  expect(await own?.(elicit, FORM)).toMatchObject({ code: -32601 });
  expect(await shared?.('roots/list')).toMatchObject({ code: -32601 });
});
