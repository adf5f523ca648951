// Bad input over HTTP: a clear error for each kind, nothing lost of what others do.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { fixture, type RunningGateway, openGateway } from './harness/gateway.ts';
import {
  type Answer,
  errorOf,
  initialize,
  MODERN,
  messageOf,
  modern,
  modernMeta,
  openSession,
  resultOf,
  send,
} from './harness/raw.ts';

const LIMIT = 64 * 1024;

let gateway: RunningGateway;

beforeAll(async () => {
  gateway = await openGateway({
    config: {
      limits: { body: '64KiB', depth: 8 },
      mcpServers: {
        echo: { ...fixture('echo-stdio.ts'), tools: { deny: ['crash'] } },
        sdk: {
          ...fixture('sdk-server.ts', '--transport', 'stdio'),
          tools: { deny: ['region'] },
          prompts: { deny: ['plain'] },
          resources: { deny: ['fixture://bytes'] },
        },
      },
    },
  });
  await gateway.attempted();
});

afterAll(() => gateway.stop());

const JSON_TYPE = { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream' };
const post = (body: string | Buffer, headers = {}) =>
  send(gateway.origin, { headers: { ...JSON_TYPE, ...headers }, body });
const verdict = (answer: Answer) => [answer.status, errorOf(answer).code];

describe('What is not JSON', () => {
  test.each<[string, string | Buffer]>([
    ['nothing', ''],
    ['a word', 'hello'],
    ['half an object', '{"jsonrpc":"2.0","id":1,"method":"ping"'],
    ['two objects', '{}{}'],
    ['a trailing comma', '{"jsonrpc":"2.0","id":1,"method":"ping",}'],
    ['a comment', '{/* */}'],
    ['single quotes', "{'jsonrpc':'2.0'}"],
    ['NaN', '{"id":NaN}'],
    ['a byte order mark', '\uFEFF{}'],
    ['a raw line break in a string', '{"id":"a\nb"}'],
    ['bytes that are no UTF-8', Buffer.from([0x22, 0xff, 0xfe, 0x22])],
    ['a surrogate in UTF-8', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
    ['UTF-16', Buffer.from('{"jsonrpc":"2.0"}', 'utf16le')],
  ])('is -32700 without an id: %s', async (_what, body) => {
    for (const headers of [{}, { 'MCP-Protocol-Version': MODERN }]) {
      const answer = await post(body, headers);

      expect(verdict(answer)).toEqual([400, -32700]);
      expect(messageOf(answer)).not.toHaveProperty('id');
    }
  });
});

describe('What is no JSON-RPC message', () => {
  test.each([
    ['a number', '1'],
    ['null', 'null'],
    ['an empty object', '{}'],
    ['no version', '{"id":1,"method":"ping"}'],
    ['another version', '{"jsonrpc":"1.0","id":1,"method":"ping"}'],
    ['a version that is a number', '{"jsonrpc":2.0,"id":1,"method":"ping"}'],
    ['a method that is no string', '{"jsonrpc":"2.0","id":1,"method":5}'],
    ['a method without end', `{"jsonrpc":"2.0","id":1,"method":"${'m'.repeat(300)}"}`],
    ['params that are a list', '{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}'],
    ['params that are null', '{"jsonrpc":"2.0","id":1,"method":"ping","params":null}'],
    ['a null id', '{"jsonrpc":"2.0","id":null,"method":"ping"}'],
    ['an id that is an object', '{"jsonrpc":"2.0","id":{},"method":"ping"}'],
    ['an id that is true', '{"jsonrpc":"2.0","id":true,"method":"ping"}'],
    ['a broken id', '{"jsonrpc":"2.0","id":1.5,"method":"ping"}'],
    ['an id beyond 2^53', '{"jsonrpc":"2.0","id":9007199254740993,"method":"ping"}'],
    ['an infinite id', '{"jsonrpc":"2.0","id":1e400,"method":"ping"}'],
    ['an id without end', `{"jsonrpc":"2.0","id":"${'i'.repeat(2000)}","method":"ping"}`],
    ['neither result nor error', '{"jsonrpc":"2.0","id":1}'],
    ['a batch', `[${initialize()}]`],
    ['an empty batch', '[]'],
  ])('is -32600: %s', async (_what, body) => {
    const session = await openSession(gateway.origin);

    expect(verdict(await post(body))).toEqual([400, -32600]);
    expect(verdict(await send(gateway.origin, session.post(body)))).toEqual([400, -32600]);
    expect(verdict(await post(body, { 'MCP-Protocol-Version': MODERN }))).toEqual([400, -32600]);
  });

  test.each([
    ['result and error', '{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}'],
    ['an error without code', '{"jsonrpc":"2.0","id":1,"error":{"message":"x"}}'],
  ])('is taken for an answer in a session, whatever it says, and is -32600 outside: %s', async (_what, body) => {
    const session = await openSession(gateway.origin);

    expect((await send(gateway.origin, session.post(body))).status).toBe(202);
    expect(verdict(await post(body))).toEqual([400, -32600]);
    expect(verdict(await post(body, { 'MCP-Protocol-Version': MODERN }))).toEqual([400, -32600]);
  });

  test('the error carries the id where there is one', async () => {
    expect(messageOf(await post('{"jsonrpc":"1.0","id":"mine","method":"ping"}'))).toMatchObject({ id: 'mine' });
  });

  test('a modern client sends no responses', async () => {
    expect(verdict(await post('{"jsonrpc":"2.0","id":1,"result":{}}', { 'MCP-Protocol-Version': MODERN }))).toEqual([
      400, -32600,
    ]);
  });
});

describe('Two readings of one message', () => {
  test.each([
    ['method', '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}'],
    ['name', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}'],
    [
      'text',
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":[{"text":1,"text":1}]}}}',
    ],
    ['name', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","n\\u0061me":"b"}}'],
    ['__proto__', '{"jsonrpc":"2.0","id":1,"method":"ping","params":{"__proto__":{},"__proto__":{}}}'],
  ])('are refused, naming the key: %s', async (key, body) => {
    const answer = await post(body);

    expect(verdict(answer)).toEqual([400, -32600]);
    expect(errorOf(answer).message).toContain(`"${key}"`);
  });

  test('keys are exact: another letter case is another key', async () => {
    const answer = await post('{"jsonrpc":"2.0","id":1,"Method":"tools/list","method":"nothing"}');

    expect(errorOf(answer).message).not.toContain('twice');
  });
});

test('what is nested deeper than limits.depth is refused, and what is just as deep passes', async () => {
  const nested = (depth: number) => {
    const value = '['.repeat(depth) + ']'.repeat(depth);
    return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo__echo","arguments":{"text":"deep","x":${value}},"_meta":${JSON.stringify(modernMeta())}}}`;
  };
  const call = modern('tools/call', { name: 'echo__echo' });
  const deepest = await send(gateway.origin, { ...call, body: nested(5) });
  const deeper = await send(gateway.origin, { ...call, body: nested(6) });
  const bomb = await send(gateway.origin, { ...call, body: '['.repeat(30_000) });

  expect(resultOf(deepest).content).toEqual([{ type: 'text', text: 'deep' }]);
  for (const answer of [deeper, bomb]) {
    expect(verdict(answer)).toEqual([400, -32600]);
    expect(errorOf(answer).message).toContain('limits.depth');
  }
});

describe('A body over limits.body', () => {
  const big = (bytes: number) =>
    JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping', params: { x: 'x'.repeat(bytes) } });

  test.each([
    ['announced', {}],
    ['in chunks', { 'Transfer-Encoding': 'chunked' }],
  ])('is 413, however large, and the sender hears why: %s', async (_how, headers) => {
    for (const bytes of [LIMIT, 8 * 1024 * 1024]) {
      const answer = await post(big(bytes), headers);

      expect([answer.status, errorOf(answer).code]).toEqual([413, -32600]);
      expect(errorOf(answer).message).toContain(`${LIMIT}`);
    }
  });

  test('is 413 for SDK-like clients too, which read only after they have sent', async () => {
    const response = await fetch(gateway.url, { method: 'POST', headers: JSON_TYPE, body: big(20 * 1024 * 1024) });

    expect(response.status).toBe(413);
    await response.text();
  });

  test('is counted in bytes', async () => {
    const text = '\u00e9'.repeat(LIMIT / 2);
    expect((await post(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping', params: { text } }))).status).toBe(413);
  });

  test('of exactly the limit passes', async () => {
    const frame = modern('tools/call', { name: 'echo__echo', arguments: { text: 'fits' } });
    const padded = String(frame.body).padEnd(LIMIT, ' ');

    expect(resultOf(await send(gateway.origin, { ...frame, body: padded })).content).toEqual([
      { type: 'text', text: 'fits' },
    ]);
    expect((await send(gateway.origin, { ...frame, body: `${padded} ` })).status).toBe(413);
  });
});

describe('The wrong kind of request', () => {
  test.each([
    'text/plain',
    '',
    'application/x-www-form-urlencoded',
    'application/jsonp',
    'text/plain; application/json',
  ])('is 415 for the content type "%s"', async (type) => {
    const answer = await post(initialize(), { 'Content-Type': type });

    expect(answer.status).toBe(415);
    expect(errorOf(answer).message).toContain('application/json');
  });

  test('is 415 for a compressed body', async () => {
    const answer = await post(initialize(), { 'Content-Encoding': 'gzip' });

    expect(answer.status).toBe(415);
    expect(errorOf(answer).message).toContain('Content-Encoding');
  });

  test.each(['application/json;charset=utf-8', 'Application/JSON ; charset=UTF-8'])(
    'passes with "%s"',
    async (type) => {
      expect((await post(initialize(), { 'Content-Type': type })).status).toBe(200);
    },
  );

  test.each(['PUT', 'PATCH', 'OPTIONS', 'TRACE', 'HEAD'])('is 405 for %s, naming what is taken', async (method) => {
    const answer = await send(gateway.origin, { method });

    expect(answer.status).toBe(405);
    expect(answer.headers.allow).toBe('GET, POST, DELETE, OPTIONS');
  });

  test.each([
    '/mcp/',
    '/mcp/s/',
    '/mcp/s/nobody',
    '/mcp/s/../mcp',
    '/mcp/s/%6nobody',
    '/MCP',
    '//mcp',
    '/',
    '/%ff',
    '/livez/x',
  ])('is 404 at %s, without a trace of our insides', async (path) => {
    const answer = await send(gateway.origin, { ...modern('tools/list'), path });

    expect(answer.status).toBe(404);
    expect(answer.text).not.toMatch(/node_modules|\.ts|\.js/);
  });
});

describe('A method that does not exist', () => {
  test.each([
    'nothing',
    'ping',
    'initialize',
    'logging/setLevel',
    'resources/subscribe',
    '__proto__',
    'constructor',
    'tools/call ',
  ])('is 404 and -32601 for modern clients: %s', async (method) => {
    expect(verdict(await send(gateway.origin, modern(method.trim() === method ? method : 'x/y')))).toEqual([
      404, -32601,
    ]);
  });

  test.each(['nothing', 'server/discover', 'subscriptions/listen', '__proto__', 'toString'])(
    'is 200 and -32601 for legacy clients: %s',
    async (method) => {
      const session = await openSession(gateway.origin);

      expect(verdict(await send(gateway.origin, session.request(method)))).toEqual([200, -32601]);
    },
  );
});

describe('What is not offered and what is forbidden', () => {
  const BOTH = [
    ['tools/call', { name: 'echo__crash' }, { name: 'echo__crasx' }],
    [
      'tools/call',
      { name: 'sdk__region', arguments: { region: 'x' } },
      { name: 'sdk__regiox', arguments: { region: 'x' } },
    ],
    ['prompts/get', { name: 'sdk__plain' }, { name: 'sdk__plaix' }],
    ['resources/read', { uri: 'fixture://bytes' }, { uri: 'fixture://bytex' }],
    [
      'completion/complete',
      { ref: { type: 'ref/prompt', name: 'sdk__plain' }, argument: { name: 'a', value: '' } },
      { ref: { type: 'ref/prompt', name: 'sdk__plaix' }, argument: { name: 'a', value: '' } },
    ],
  ] as const;
  const renamed = (answer: Answer, params: object) => {
    const name = /(echo__cras|sdk__regio|sdk__plai|fixture:\/\/byte)[a-z]/;
    return [answer.status, answer.text.replaceAll(name.exec(JSON.stringify(params))?.[0] ?? '', 'NAME')];
  };

  test.each(BOTH)('%s: the same bytes to modern clients', async (method, forbidden, unknown) => {
    const refused = await send(gateway.origin, modern(method, forbidden));
    const missing = await send(gateway.origin, modern(method, unknown));

    expect(renamed(refused, forbidden)).toEqual(renamed(missing, unknown));
    expect(verdict(refused)).toEqual([200, -32602]);
  });

  test.each(BOTH)('%s: the same bytes to legacy clients', async (method, forbidden, unknown) => {
    const session = await openSession(gateway.origin);
    const refused = await send(gateway.origin, session.request(method, forbidden));
    const missing = await send(gateway.origin, session.request(method, unknown));

    expect(renamed(refused, forbidden)).toEqual(renamed(missing, unknown));
    expect(verdict(refused)).toEqual([200, method === 'resources/read' ? -32002 : -32602]);
  });

  test('a header that only the schema of a forbidden tool asks for is not asked for', async () => {
    const call = modern(
      'tools/call',
      { name: 'sdk__region', arguments: { region: 'x' } },
      { headers: { 'Mcp-Param-Region': 'y' } },
    );

    expect(errorOf(await send(gateway.origin, call)).message).toBe('Unknown tool: sdk__region');
  });
});

describe('Params of the wrong shape are -32602', () => {
  test.each<[string, JsonObject, string]>([
    ['tools/call', {}, 'params.name'],
    ['tools/call', { name: 5 }, 'params.name'],
    ['tools/call', { name: '' }, 'params.name'],
    ['resources/read', { uri: null }, 'params.uri'],
    ['prompts/get', { name: [] }, 'params.name'],
    ['completion/complete', {}, 'params.ref'],
    ['completion/complete', { ref: { type: 'ref/other', name: 'x' } }, 'params.ref'],
    ['tools/list', { cursor: 'made up' }, 'params.cursor'],
    ['tools/list', { cursor: 5 }, 'params.cursor'],
  ])('%s %j', async (method, params, named) => {
    const session = await openSession(gateway.origin);
    const legacy = await send(gateway.origin, session.request(method, params));
    const current = await send(
      gateway.origin,
      modern(method, params, { headers: { 'Mcp-Name': params.name === '' ? '' : undefined } }),
    );

    expect(verdict(legacy)).toEqual([200, -32602]);
    expect(verdict(current)).toEqual([400, -32602]);
    for (const answer of [legacy, current]) expect(errorOf(answer).message).toContain(named);
  });

  test.each([
    ['protocolVersion', '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"capabilities":{}}}'],
    ['protocolVersion', '{"jsonrpc":"2.0","id":1,"method":"initialize"}'],
    ['capabilities', '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}'],
  ])('initialize without %s opens no session', async (named, body) => {
    const answer = await post(body);

    expect(errorOf(answer)).toMatchObject({ code: -32602 });
    expect(errorOf(answer).message).toContain(named);
    expect(answer.headers['mcp-session-id']).toBeUndefined();
  });
});
