// The error -32042 of a legacy server as questions for a modern client.
import { expect, test } from 'vitest';
import { Cancellation } from '../../../src/core/cancellation.ts';
import { ownExchange } from '../../../src/core/exchange.ts';
import type { JsonValue } from '../../../src/core/json.ts';
import { urlElicitations } from '../../../src/gateway/bridge/results.ts';
import { makeCall } from '../../audit/bare-call.ts';

const call = makeCall({
  exchange: { ...ownExchange(new Cancellation()), capabilities: { elicitation: { url: {} } } },
});
const page = { mode: 'url', url: 'https://a.example', elicitationId: '1' };
const pages = (elicitations: JsonValue, code = -32042) =>
  urlElicitations(call, { code, message: 'first', data: { elicitations } });

test('every URL elicitation is a question; one without a message has that of the error', () => {
  expect(pages([page, { ...page, message: 'then' }])).toEqual({
    resultType: 'input_required',
    inputRequests: {
      u1: { method: 'elicitation/create', params: { mode: 'url', message: 'first', url: 'https://a.example' } },
      u2: { method: 'elicitation/create', params: { mode: 'url', message: 'then', url: 'https://a.example' } },
    },
  });
});

test.each<[string, JsonValue]>([
  ['no list', 'https://a.example'],
  ['an empty list', []],
  ['a page without an address', [page, { mode: 'url' }]],
  ['something that is no page', [null]],
  ['words that are no text', [{ ...page, message: 7 }]],
  ['too many pages', Array.from({ length: 101 }, () => page)],
])('an error with %s stays an error', (_what, elicitations) => {
  expect(pages(elicitations)).toBeUndefined();
});

test('other errors stay what they are', () => {
  expect(pages([page], -32000)).toBeUndefined();
  expect(urlElicitations(call, { code: -32042, message: 'first' })).toBeUndefined();
});
