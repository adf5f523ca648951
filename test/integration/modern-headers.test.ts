// What the headers of a modern request say must be what its body says, for every header and every way to write it.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fixture, type RunningGateway, openGateway } from './harness/gateway.ts';
import { type RunningServer, startServer } from './harness/servers.ts';
import { type Answer, errorOf, MODERN, modern, modernMeta, openSession, resultOf, send } from './harness/raw.ts';

let web: RunningServer;
let gateway: RunningGateway;

beforeAll(async () => {
  web = await startServer('sdk-server.ts', '--era', 'modern', '--transport', 'http');
  gateway = await openGateway({ config: { mcpServers: { web: { url: web.url }, echo: fixture('echo-stdio.ts') } } });
  await gateway.attempted();
});

afterAll(async () => {
  await gateway.stop();
  await web.stop();
});

const LEGACY = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'];
const verdict = (answer: Answer) => [answer.status, errorOf(answer).code];
const MISMATCH = [400, -32020];
const b64 = (text: string) => `=?base64?${Buffer.from(text).toString('base64')}?=`;
const call = (headers: Record<string, string | string[] | undefined>) =>
  send(gateway.origin, modern('tools/call', { name: 'echo__echo', arguments: { text: 'x' } }, { headers }));
const read = (uri: string, header: string) =>
  send(gateway.origin, modern('resources/read', { uri }, { headers: { 'Mcp-Name': header } }));

describe('A request is -32020', () => {
  test.each<[string, Record<string, string | string[] | undefined>]>([
    ['without MCP-Protocol-Version', { 'MCP-Protocol-Version': undefined }],
    ['with another version', { 'MCP-Protocol-Version': '2025-11-25' }],
    ['with an unknown version beside a known one', { 'MCP-Protocol-Version': '2027-01-01' }],
    ['with an empty version', { 'MCP-Protocol-Version': '' }],
    ['with the version twice', { 'MCP-Protocol-Version': [MODERN, MODERN] }],
    ['without Mcp-Method', { 'Mcp-Method': undefined }],
    ['with another method', { 'Mcp-Method': 'tools/list' }],
    ['with the method in another letter case', { 'Mcp-Method': 'Tools/Call' }],
    ['with an encoded method', { 'Mcp-Method': b64('tools/call') }],
    ['with the method twice', { 'Mcp-Method': ['tools/call', 'tools/call'] }],
    ['without Mcp-Name', { 'Mcp-Name': undefined }],
    ['with an empty name', { 'Mcp-Name': '' }],
    ['with another name', { 'Mcp-Name': 'web__echo' }],
    ['with the name in another letter case', { 'Mcp-Name': 'Echo__echo' }],
    ['with the name twice', { 'Mcp-Name': ['echo__echo', 'echo__echo'] }],
    ['with two names in one', { 'Mcp-Name': 'echo__echo, echo__echo' }],
    ['with another name encoded', { 'Mcp-Name': b64('web__echo') }],
    ['with a name that is no base64', { 'Mcp-Name': '=?base64?e c h o?=' }],
    ['with a name whose encoding has no padding', { 'Mcp-Name': b64('echo__echo').replace('==', '') }],
    ['with the marker in another letter case', { 'Mcp-Name': b64('echo__echo').replace('base64', 'BASE64') }],
    ['with an encoded name that is no UTF-8', { 'Mcp-Name': '=?base64?//79?=' }],
  ])('%s', async (_what, headers) => {
    const answer = await call(headers);

    expect(verdict(answer)).toEqual(MISMATCH);
    expect(errorOf(answer).message).toMatch(/version|method|name/i);
  });

  test('and the mistake is named without a session being looked for', async () => {
    const answer = await call({ 'Mcp-Method': undefined, 'Mcp-Session-Id': 'x' });

    expect(errorOf(answer).message).toContain('Mcp-Method is missing');
  });
});

describe('Names', () => {
  test('pass as they are, and encoded', async () => {
    for (const header of ['echo__echo', b64('echo__echo'), ' echo__echo ', 'echo__echo\t'])
      expect(resultOf(await call({ 'Mcp-Name': header })).content).toEqual([{ type: 'text', text: 'x' }]);
  });

  test('that a header cannot carry pass encoded only', async () => {
    const uri = 'fixture://item/\u4e16\u754c';

    expect(resultOf(await read(uri, b64(uri)))).toHaveProperty('contents');
    expect(verdict(await read(uri, Buffer.from(uri).toString('latin1')))).toEqual(MISMATCH);
  });

  test('that look like the encoding must be encoded', async () => {
    const uri = '=?base64?YQ==?=';

    expect(verdict(await read(uri, uri))).toEqual(MISMATCH);
    expect(verdict(await read(uri, b64(uri)))).toEqual([200, -32602]);
  });

  test('are not asked for where the method has none, nor where the body has none', async () => {
    expect((await send(gateway.origin, modern('tools/list', {}, { headers: { 'Mcp-Name': 'anything' } }))).status).toBe(
      200,
    );
    expect(verdict(await send(gateway.origin, modern('tools/call', {}, { headers: { 'Mcp-Name': 'x' } })))).toEqual([
      400, -32602,
    ]);
  });
});

describe('Headers of tool parameters', () => {
  const region = (args: Record<string, string | number | boolean | null>, header?: string | string[]) =>
    send(
      gateway.origin,
      modern('tools/call', { name: 'web__region', arguments: args }, { headers: { 'Mcp-Param-Region': header } }),
    );
  const arrived = (answer: Answer) => {
    const [content] = resultOf(answer).content as { text: string }[];
    return JSON.parse(content?.text ?? 'null') as unknown;
  };

  test('that say what the body says pass, and the server gets its own', async () => {
    expect(arrived(await region({ region: 'eu' }, 'eu'))).toEqual({ region: 'eu', header: 'eu' });
    expect(arrived(await region({ region: 'eu' }, b64('eu')))).toEqual({ region: 'eu', header: 'eu' });
    expect(arrived(await region({ region: '\u4e16\u754c' }, b64('\u4e16\u754c')))).toEqual({
      region: '\u4e16\u754c',
      header: b64('\u4e16\u754c'),
    });
  });

  test('are not needed where the argument is null or absent', async () => {
    expect(arrived(await region({}))).toEqual({ region: null, header: null });
    expect((await region({ region: null })).status).not.toBe(400);
  });

  test.each<[string, Record<string, string | null>, string | string[] | undefined]>([
    ['missing', { region: 'eu' }, undefined],
    ['different', { region: 'eu' }, 'us'],
    ['in another letter case', { region: 'eu' }, 'EU'],
    ['twice', { region: 'eu' }, ['eu', 'eu']],
    ['broken', { region: 'eu' }, '=?base64?*?='],
    ['there, but not the argument', {}, 'eu'],
    ['there, but the argument is null', { region: null }, 'null'],
  ])('are -32020 where they are %s', async (_what, args, header) => {
    const answer = await region(args, header);

    expect(verdict(answer)).toEqual(MISMATCH);
    expect(errorOf(answer).message).toContain('mcp-param-region');
  });

  test('that no schema names do not matter, up to a bound', async () => {
    expect((await call({ 'Mcp-Param-Other': 'anything' })).status).toBe(200);
    const many = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`Mcp-Param-X${index}`, 'x']));
    expect(verdict(await call(many))).toEqual(MISMATCH);
  });

  test('of a legacy client are neither needed nor looked at', async () => {
    const session = await openSession(gateway.origin);
    const answer = await send(
      gateway.origin,
      session.request('tools/call', { name: 'web__region', arguments: { region: 'eu' } }),
    );

    expect(arrived(answer)).toEqual({ region: 'eu', header: 'eu' });
  });
});

describe('A version that is not spoken', () => {
  test.each(['2027-01-01', '2024-10-07', '1.0', 'DRAFT-2026', 'x'.repeat(200)])(
    '%s is -32022 with the list that server/discover gives',
    async (version) => {
      const discovered = await send(gateway.origin, modern('server/discover'));
      const asked = {
        headers: { 'MCP-Protocol-Version': version },
        meta: { 'io.modelcontextprotocol/protocolVersion': version },
      };

      for (const method of ['tools/list', 'server/discover', 'nothing']) {
        const answer = await send(gateway.origin, modern(method, {}, asked));

        expect(verdict(answer)).toEqual([400, -32022]);
        expect(errorOf(answer).data).toEqual({
          supported: resultOf(discovered).supportedVersions,
          requested: version.slice(0, 64),
        });
      }
      expect(resultOf(discovered).supportedVersions).toEqual([MODERN, ...LEGACY]);
    },
  );

  test('is -32022 where only the header names it', async () => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' });
    const answer = await send(gateway.origin, {
      ...modern('tools/list', {}, { headers: { 'MCP-Protocol-Version': '2027-01-01' } }),
      body,
    });

    expect(verdict(answer)).toEqual([400, -32022]);
  });
});

describe('What every modern request must say about itself is -32602 where it is missing', () => {
  const withMeta = (meta: object | undefined) => ({
    ...modern('tools/list'),
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: { _meta: meta } }),
  });
  const version = 'io.modelcontextprotocol/protocolVersion';
  const capabilities = 'io.modelcontextprotocol/clientCapabilities';
  const level = 'io.modelcontextprotocol/logLevel';

  test.each<[string, object | undefined]>([
    [version, undefined],
    [version, {}],
    [version, modernMeta({ [version]: 5 })],
    [version, modernMeta({ [version]: null })],
    [capabilities, modernMeta({ [capabilities]: undefined })],
    [capabilities, modernMeta({ [capabilities]: [] })],
    [level, modernMeta({ [level]: 'loud' })],
    [level, modernMeta({ [level]: null })],
  ])('%s in %j', async (key, meta) => {
    const answer = await send(gateway.origin, withMeta(meta));

    expect(verdict(answer)).toEqual([400, -32602]);
    expect(errorOf(answer).message).toContain(key);
  });

  test('though it need not name its client', async () => {
    expect(
      (await send(gateway.origin, withMeta(modernMeta({ 'io.modelcontextprotocol/clientInfo': undefined })))).status,
    ).toBe(200);
  });
});

describe('A modern request', () => {
  test('is one if header or body say so', async () => {
    const body = (meta: object) =>
      JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: { _meta: meta } });
    const legacyBody = {
      ...modern('tools/list'),
      body: body({ 'io.modelcontextprotocol/protocolVersion': '2025-11-25' }),
    };
    const legacyHeader = modern('tools/list', {}, { headers: { 'MCP-Protocol-Version': '2025-11-25' } });

    expect(verdict(await send(gateway.origin, legacyBody))).toEqual(MISMATCH);
    expect(verdict(await send(gateway.origin, legacyHeader))).toEqual(MISMATCH);
  });

  test('needs no session, and one that is named is ignored', async () => {
    const answer = await call({ 'Mcp-Session-Id': 'no such session' });

    expect(answer.status).toBe(200);
    expect(answer.headers['mcp-session-id']).toBeUndefined();
  });

  test('gets its id back as it was', async () => {
    for (const id of [0, -5, 9007199254740991, '', 'a', '\u4e16', '"', 'x'.repeat(1024)]) {
      const answer = await send(gateway.origin, modern('tools/list', {}, { id }));
      expect((JSON.parse(answer.text) as { id: unknown }).id).toBe(id);
    }
  });

  test('is the only thing that the modern endpoint takes', async () => {
    for (const method of ['GET', 'DELETE']) {
      const answer = await send(gateway.origin, {
        method,
        headers: { 'MCP-Protocol-Version': MODERN, 'Mcp-Session-Id': 'x' },
      });
      expect([answer.status, answer.headers.allow]).toEqual([405, 'POST, OPTIONS']);
    }
  });

  test('that is a notification is taken', async () => {
    const body = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/whatever', params: { _meta: modernMeta() } });
    const answer = await send(gateway.origin, { ...modern('notifications/whatever'), body });

    expect([answer.status, answer.text]).toEqual([202, '']);
  });
});
