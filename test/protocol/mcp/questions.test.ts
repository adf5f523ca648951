// What a client can be asked: what it declared, in the form that its revision has.
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../../src/core/json.ts';
import { isAnswer, paramsFor, whyNotAsked, withoutClientTasks } from '../../../src/protocol/mcp/capabilities.ts';

const NEW = '2025-11-25';
const all = { elicitation: { form: {}, url: {} }, sampling: { tools: {} }, roots: {} };
type Asked = readonly [method: string, params?: JsonObject];
const why = (capabilities: JsonObject, [method, params = {}]: Asked) => whyNotAsked(method, params, capabilities);

const form: Asked = ['elicitation/create', { message: 'Who?', requestedSchema: {} }];
const url: Asked = ['elicitation/create', { mode: 'url', message: 'Go', url: 'https://a.example', elicitationId: '1' }];
const sampling: Asked = ['sampling/createMessage', { messages: [] }];
const withTools: Asked = ['sampling/createMessage', { messages: [], tools: [] }];
const withChoice: Asked = ['sampling/createMessage', { messages: [], toolChoice: { mode: 'none' } }];
const roots: Asked = ['roots/list'];

describe('A client', () => {
  test('that declared everything is asked everything', () => {
    for (const question of [form, url, sampling, withTools, withChoice, roots])
      expect(why(all, question)).toBeUndefined();
  });

  test.each([
    ['nothing', {}, form, 'elicitation.form'],
    ['nothing', {}, sampling, 'sampling'],
    ['nothing', {}, roots, 'roots'],
    ['elicitation without a mode', { elicitation: {} }, url, 'elicitation.url'],
    ['URLs alone', { elicitation: { url: {} } }, form, 'elicitation.form'],
    ['sampling without tools', { sampling: {} }, withTools, 'sampling.tools'],
    ['sampling without tools', { sampling: {} }, withChoice, 'sampling.tools'],
    ['something that is no object', { sampling: true, roots: 1 }, sampling, 'sampling'],
  ] as const)('that declared %s is not asked for more', (...[, capabilities, question, named]) => {
    expect(why(capabilities, question)).toContain(`did not declare \`${named}\``);
  });

  test('that declared elicitation without a mode takes forms', () => {
    expect(why({ elicitation: {} }, form)).toBeUndefined();
  });

  test.each(['tools/call', 'toString', '__proto__', ''])('is never asked %j', (method) => {
    expect(why(all, [method])).toContain('no question');
  });
});

describe('The params of a question', () => {
  const sent = (capabilities: JsonObject, params: JsonObject, version = NEW) =>
    paramsFor('elicitation/create', params, { version, capabilities });

  test('have no mode for those who declared none, and keep it for the others', () => {
    const params = { mode: 'form', message: 'm' };

    expect(sent({ elicitation: {} }, params)).toEqual({ message: 'm' });
    expect(sent({ elicitation: { form: {} } }, params, '2025-06-18')).toEqual({ message: 'm' });
    expect(sent(all, params)).toEqual(params);
    expect(sent(all, { ...params, mode: 'url' })).toEqual({ message: 'm', mode: 'url' });
    expect(sent(all, { ...params, mode: 'url' }, '2024-11-05')).toEqual({ message: 'm', mode: 'url' });
  });

  test('have no protocol keys of another hop, and keep everybody else’s', () => {
    const _meta = { progressToken: 1, 'io.modelcontextprotocol/x': 1, 'com.example/kept': true };

    expect(sent(all, { message: 'm', _meta })).toEqual({ message: 'm', _meta: { 'com.example/kept': true } });
    expect(sent(all, { message: 'm', _meta: { progressToken: 1 } })).toEqual({ message: 'm' });
  });

  test.each([['2025-11-25'], ['2026-07-28']])('ask no client of %s for a task of its own', (version) => {
    const asked = { message: 'm', task: { ttl: 1 } };

    expect(sent(all, asked, version)).toEqual({ message: 'm' });
    expect(paramsFor('sampling/createMessage', asked, { version, capabilities: all })).toEqual({ message: 'm' });
  });

  test('have the id of a page for older clients alone, and none in a form', () => {
    const page = { message: 'm', mode: 'url', elicitationId: 'e' };
    const closed = { message: 'm', mode: 'form', elicitationId: 'e' };

    expect(sent(all, page)).toEqual(page);
    expect(sent(all, page, '2026-07-28')).toEqual({ message: 'm', mode: 'url' });
    expect(sent(all, closed)).toEqual({ message: 'm', mode: 'form' });
    expect(sent(all, { message: 'm', elicitationId: 'e' }, '2025-06-18')).toEqual({ message: 'm' });
  });
});

test('what a modern server asks goes on as it is, but for tasks that it asks the client for', () => {
  const inputRequests = {
    plain: { method: 'roots/list' },
    odd: 1,
    form: { method: 'elicitation/create', params: { message: 'm', task: {} } },
  };
  const task = { resultType: 'input_required', requestState: 's' };

  expect(withoutClientTasks(task)).toBe(task);
  expect(withoutClientTasks({ ...task, inputRequests })).toEqual({
    ...task,
    inputRequests: { ...inputRequests, form: { method: 'elicitation/create', params: { message: 'm' } } },
  });
});

test('no client of any era sees the name that a server gives its question', () => {
  const named = (more: JsonObject) => ({ message: 'Who?', _meta: { 'mcp-gateway/inputKey': 'who', ...more } });
  for (const version of ['2025-06-18', NEW, '2026-07-28']) {
    expect(paramsFor('elicitation/create', named({}), { version, capabilities: all })).toEqual({ message: 'Who?' });
    expect(paramsFor('elicitation/create', named({ 'a.example/b': 1 }), { version, capabilities: all })).toEqual({
      message: 'Who?',
      _meta: { 'a.example/b': 1 },
    });
  }
});

test.each([
  ['elicitation/create', { action: 'accept', content: {} }, true],
  ['elicitation/create', { action: 'accept', content: 'x' }, false],
  ['elicitation/create', { action: 7 }, false],
  ['roots/list', { roots: [{ uri: 'file:///a' }] }, true],
  ['roots/list', { roots: ['file:///a'] }, false],
  ['sampling/createMessage', { role: 'assistant', content: { type: 'text', text: 'hi' } }, true],
  ['sampling/createMessage', { role: 'assistant', content: [{ type: 'text', text: 'hi' }] }, true],
  ['sampling/createMessage', { role: 'x', content: { type: 'text', text: 'hi' } }, false],
  ['sampling/createMessage', { role: 'assistant', content: 5 }, false],
  ['sampling/createMessage', { role: 'assistant' }, false],
] as const)('to %s, %j is an answer: %s', (method, response, is) => {
  expect(isAnswer(method, response as unknown as JsonObject)).toBe(is);
});
