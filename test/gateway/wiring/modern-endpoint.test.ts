// The endpoint of 2026-07-28 of a composed gateway: what it refuses before there is a call, and what it makes of the rest.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { errorOf, messageOf, modern, MODERN, type Sent, send, stream } from '../../integration/harness/raw.ts';
import { tool } from '../../integration/harness/scripted.ts';
import { Composition } from './composition.ts';

const MIRRORED = tool('mirrored', {
  inputSchema: { type: 'object', properties: { region: { type: 'string', 'x-mcp-header': 'Region' } } },
});

let gateway: Composition;
beforeAll(async () => {
  gateway = await Composition.startShared({
    servers: { s: { tools: ['echo', MIRRORED, { ...MIRRORED, name: 'secret' }], prompts: ['p'] } },
    entries: { s: { tools: { deny: ['secret'] } } },
    config: { limits: { depth: 16 } },
  });
});
afterAll(() => gateway.close());

const ECHO = { name: 's__echo', arguments: {} };
const call = (headers: Readonly<Record<string, string | undefined>>): Sent => modern('tools/call', ECHO, { headers });
const body = (value: unknown): Sent => ({ ...modern('tools/list'), body: JSON.stringify(value) });

describe('is refused', () => {
  const deep = JSON.parse(`${'['.repeat(20)}${']'.repeat(20)}`) as unknown;

  test.for<[string, () => Sent, number, number]>([
    ['a request without its version header', () => call({ 'MCP-Protocol-Version': undefined }), 400, -32020],
    ['a version header that the body does not have', () => call({ 'MCP-Protocol-Version': '2025-11-25' }), 400, -32020],
    ['one without its method header', () => call({ 'Mcp-Method': undefined }), 400, -32020],
    ['another method in the header', () => call({ 'Mcp-Method': 'tools/list' }), 400, -32020],
    ['one without its name header', () => call({ 'Mcp-Name': undefined }), 400, -32020],
    ['another name in the header', () => call({ 'Mcp-Name': 's__mirrored' }), 400, -32020],
    [
      'a version that nobody speaks',
      () =>
        modern(
          'tools/list',
          {},
          {
            headers: { 'MCP-Protocol-Version': '2099-01-01' },
            meta: { 'io.modelcontextprotocol/protocolVersion': '2099-01-01' },
          },
        ),
      400,
      -32022,
    ],
    [
      'one that does not say what it can do',
      () => modern('tools/list', {}, { meta: { 'io.modelcontextprotocol/clientCapabilities': null } }),
      400,
      -32602,
    ],
    ['a method that there is not', () => modern('tools/nothing'), 404, -32601],
    ['a method of older revisions', () => modern('resources/subscribe', { uri: 'mem://x' }), 404, -32601],
    ['a server that there is not', () => modern('tools/list', {}, { path: '/mcp/s/nobody' }), 404, -32601],
    ['the discovery of one', () => modern('server/discover', {}, { path: '/mcp/s/nobody' }), 404, -32601],
    ['arguments that are no object', () => modern('tools/call', { ...ECHO, arguments: 'a' }), 400, -32602],
    ['a tool without a name', () => modern('tools/call', { name: '' }, { headers: { 'Mcp-Name': '' } }), 400, -32602],
    ['a reference to nothing', () => modern('completion/complete', { ref: { type: 'ref/tool' } }), 400, -32602],
    [
      'a listener that takes no stream',
      () => modern('subscriptions/listen', { notifications: {} }, { headers: { Accept: 'application/json' } }),
      400,
      -32600,
    ],
    ['an answer', () => body({ jsonrpc: '2.0', id: 1, result: {} }), 400, -32600],
    ['a batch', () => body([]), 400, -32600],
    ['what is no JSON', () => ({ ...modern('tools/list'), body: '{' }), 400, -32700],
    ['what is nested too deep', () => body({ jsonrpc: '2.0', id: 1, method: 'x', params: { deep } }), 400, -32600],
    ['another type of content', () => call({ 'Content-Type': 'text/plain' }), 415, -32600],
    ['a header that its argument contradicts', () => mirrored({ 'Mcp-Param-Region': 'us' }), 400, -32020],
    ['an argument without its header', () => mirrored({}), 400, -32020],
  ])('%s', async ([, sent, status, code]) => {
    const before = gateway.fake().calls.length;

    const answer = await send(gateway.origin, sent());

    expect([answer.status, errorOf(answer).code]).toEqual([status, code]);
    expect(gateway.fake().calls).toHaveLength(before);
  });

  test.for(['GET', 'DELETE', 'PUT'])('%s', async (method) => {
    const headers = { 'MCP-Protocol-Version': MODERN, Accept: 'text/event-stream' };

    const answer = await send(gateway.origin, { method, headers });

    expect([answer.status, answer.headers.allow]).toEqual([405, 'POST, OPTIONS']);
  });
});

const mirrored = (headers: Readonly<Record<string, string>>, name = 's__mirrored', path = '/mcp'): Sent =>
  modern('tools/call', { name, arguments: { region: 'eu' } }, { headers, path });

test.for(['tools/list', 'server/discover'])(
  'a server that there is not is named in the answer to %s',
  async (method) => {
    const { error } = await gateway.ask(method, {}, { path: '/mcp/s/nobody' });

    expect(error?.message).toBe('There is no server named "nobody" here.');
  },
);

test('an error names the request that it answers, where that can be read', async () => {
  const of = async (sent: Sent) => messageOf(await send(gateway.origin, sent)).id;

  expect(await of(modern('tools/nothing', {}, { id: 'mine' }))).toBe('mine');
  expect(await of(modern('tools/call', ECHO, { id: 7, headers: { 'Mcp-Name': undefined } }))).toBe(7);
  expect(await of({ ...modern('tools/list'), body: '{' })).toBeUndefined();
});

test('headers that mirror arguments are checked, and sent on; those that no schema names are passed through', async () => {
  await send(gateway.origin, mirrored({ 'Mcp-Param-Region': 'eu', 'Mcp-Param-Other': 'x' }));
  const all = gateway.fake().calls.at(-1)?.headers;
  await send(gateway.origin, mirrored({ 'Mcp-Param-Region': 'eu' }, 'mirrored', '/mcp/s/s'));
  const own = gateway.fake().calls.at(-1)?.headers;
  const contradicted = await send(gateway.origin, mirrored({ 'Mcp-Param-Region': 'us' }, 'mirrored', '/mcp/s/s'));

  expect(all).toMatchObject({ 'mcp-param-region': 'eu', 'mcp-param-other': 'x', 'mcp-name': 'mirrored' });
  expect(own).toMatchObject({ 'mcp-param-region': 'eu' });
  expect(own?.['mcp-param-other']).toBeUndefined();
  expect(contradicted.status).toBe(400);
});

test('a denied tool has no headers to check, as one that there is not', async () => {
  const denied = await send(gateway.origin, mirrored({ 'Mcp-Param-Region': 'us' }, 's__secret'));

  expect(errorOf(denied)).toMatchObject({ code: -32602, message: 'Unknown tool: s__secret' });
});

test('a notification is taken', async () => {
  const answer = await send(gateway.origin, body({ jsonrpc: '2.0', method: 'notifications/cancelled', params: {} }));

  // it names no version in its body, and its header says which era it is of
  expect([answer.status, answer.text]).toEqual([202, '']);
});

test('discovery says what is spoken and offered, here and at one server', async () => {
  const all = await gateway.ask('server/discover');
  const own = await gateway.ask('server/discover', {}, { path: '/mcp/s/s' });

  expect(all.result).toMatchObject({
    resultType: 'complete',
    capabilities: { tools: { listChanged: true } },
    cacheScope: 'private',
    _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'mcp-gateway' } },
  });
  expect(all.result?.supportedVersions).toContain(MODERN);
  expect(own.result).toMatchObject({ capabilities: { tools: {}, prompts: {} } });
});

test('answers name the gateway, and carry what the server said', async () => {
  const answer = await gateway.ask('tools/call', ECHO);

  expect(answer).toMatchObject({
    status: 200,
    result: {
      content: [{ type: 'text', text: 'echo' }],
      _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'mcp-gateway' } },
    },
  });
  expect(gateway.fake().calls.at(-1)?.params).toMatchObject({ name: 'echo', arguments: {} });
});

test('a method that a single server does not declare is not there, on its endpoint', async () => {
  const quiet = await Composition.start({
    servers: {
      s: {
        tools: ['echo'],
        script: ({ rpc }) =>
          rpc === 'server/discover'
            ? { resultType: 'complete', supportedVersions: [MODERN], capabilities: { tools: {} }, ttlMs: 0 }
            : undefined,
      },
    },
  });

  const own = await quiet.ask('prompts/list', {}, { path: '/mcp/s/s' });
  const tools = await quiet.ask('tools/list', {}, { path: '/mcp/s/s' });
  const all = await quiet.ask('prompts/list');

  expect(own).toMatchObject({ status: 404, error: { code: -32601 } });
  expect(tools.result?.tools).toMatchObject([{ name: 'echo' }]);
  expect(all.result?.prompts).toEqual([]);
});

test('what a listener is told carries the id of its request', async () => {
  const opened = await stream(
    gateway.origin,
    modern('subscriptions/listen', { notifications: { promptsListChanged: true } }, { id: 'mine' }),
  );

  const { params } = await opened.inbox.find({ method: 'notifications/subscriptions/acknowledged' });
  opened.close();

  expect(params).toEqual({
    notifications: { promptsListChanged: true },
    _meta: { 'io.modelcontextprotocol/subscriptionId': 'mine' },
  });
});
