// What a server of 2026-07-28 asks through a composed gateway: whoever can be asked is, in the own way, and nobody else.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { JsonObject } from '../../../src/core/json.ts';
import { errorOf, type EventStream, openSession, send, stream } from '../../integration/harness/raw.ts';
import { said } from '../../integration/harness/scripted.ts';
import { type CallRecord, Composition } from './composition.ts';

const QUESTION: JsonObject = {
  method: 'elicitation/create',
  params: { mode: 'form', message: 'who?', requestedSchema: { type: 'object', properties: {} } },
};
const SAMPLING: JsonObject = { method: 'sampling/createMessage', params: { messages: [], maxTokens: 5 } };
const ACCEPTED: JsonObject = { action: 'accept', content: { name: 'me' } };
const STATE = 'state of the server';
const CAN_BE_ASKED = { 'io.modelcontextprotocol/clientCapabilities': { elicitation: { form: {} } } };

let gateway: Composition;
beforeAll(async () => {
  gateway = await Composition.startShared({
    servers: {
      s: {
        tools: ['ask', 'sample'],
        script: ({ rpc, params: { name, requestState, inputResponses } }) => {
          if (rpc !== 'tools/call') return undefined;
          if (requestState === STATE) return said(JSON.stringify(inputResponses));
          const q = name === 'sample' ? SAMPLING : QUESTION;
          return { resultType: 'input_required', inputRequests: { q }, requestState: STATE };
        },
      },
    },
  });
});
afterAll(() => gateway.close());

const call = { name: 's__ask', arguments: {} };
const answered = { content: [{ type: 'text', text: JSON.stringify({ q: ACCEPTED }) }] };

test('a modern caller gets the question, and its retry brings the answer and the state of the server', async () => {
  const first = await gateway.ask('tools/call', call, { meta: CAN_BE_ASKED });
  const { requestState = null } = first.result ?? {};
  const round = { ...call, requestState, inputResponses: { q: ACCEPTED } };
  const second = await gateway.ask('tools/call', round, { meta: CAN_BE_ASKED });

  expect(first.result).toMatchObject({ resultType: 'input_required', inputRequests: { q: QUESTION } });
  expect(requestState).not.toBe(STATE);
  expect(second.result).toMatchObject(answered);
  expect(gateway.records().slice(-2)).toMatchObject([{ status: 'ok' }, { status: 'ok' }]);
});

test('a modern caller that cannot be asked is told what it lacks, and not the question', async () => {
  const refused = await gateway.ask('tools/call', call);

  expect(refused.error).toMatchObject({ code: -32021, data: { requiredCapabilities: { elicitation: {} } } });
  expect(JSON.stringify(refused)).not.toContain('who?');
  expect(gateway.record()).toMatchObject({ status: 'refused', error: 'capability_required' });
});

test('a session is asked while its call runs, which goes on with the answer', async () => {
  const session = await openSession(gateway.origin, { capabilities: { elicitation: {} } });

  const opened: EventStream = await stream(gateway.origin, session.request('tools/call', call));
  const { id = null, params } = await opened.inbox.find({ method: 'elicitation/create' });
  await send(gateway.origin, session.post(JSON.stringify({ jsonrpc: '2.0', id, result: ACCEPTED })));
  const { result } = await opened.inbox.find({ id: 1 });

  expect(params).toMatchObject({ message: 'who?' });
  expect(result).toMatchObject(answered);
  expect(gateway.record()).toMatchObject({ status: 'ok', downstream: { era: 'legacy' } });
});

test('a session that answers with an error ends its call with that, and the record says which server had asked', async () => {
  const session = await openSession(gateway.origin, { capabilities: { sampling: {} } });

  const opened = await stream(gateway.origin, session.request('tools/call', { ...call, name: 's__sample' }));
  const { id = null } = await opened.inbox.find({ method: 'sampling/createMessage' });
  const error = { code: -1, message: 'nobody is here' };
  await send(gateway.origin, session.post(JSON.stringify({ jsonrpc: '2.0', id, error })));
  const answer = await opened.inbox.find({ id: 1 });

  expect(answer.error).toMatchObject(error);
  const record = gateway.record() as CallRecord & { readonly responseBytes?: number };
  expect(record).toMatchObject({ status: 'protocol_error', server: 's', instance: 's#1', upstream: { era: 'modern' } });
  expect(record.responseBytes).toBeGreaterThan(JSON.stringify(SAMPLING).length);
});

test('a session that cannot be asked gets an error, and the question goes nowhere', async () => {
  const session = await openSession(gateway.origin);

  const refused = await send(gateway.origin, session.request('tools/call', call));

  expect(errorOf(refused)).toEqual({ code: -32601, message: expect.stringContaining('`elicitation.form`') as string });
  expect(refused.text).not.toContain('who?');
});
