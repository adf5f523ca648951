// Tokens: who has one is who it says, who has none gets nothing; without tokens nothing is bound where others reach it.
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectClient } from './harness/clients.ts';
import { fixture, type RunningGateway, runCli, openGateway, workspace } from './harness/gateway.ts';
import { until } from './harness/status.ts';
import { type Answer, errorOf, modern, openSession, resultOf, send } from './harness/raw.ts';

const ALICE = 'alice-token-0123456789-abcdefghij';
const BOB = 'bob-token-0123456789-abcdefghijkl';

let gateway: RunningGateway;

beforeAll(async () => {
  gateway = await openGateway({
    config: {
      auth: {
        tokens: [
          { id: 'alice', token: '${env:ALICE}', groups: ['people'] },
          { id: 'bob', token: '${env:BOB}' },
        ],
      },
      mcpServers: { echo: fixture('echo-stdio.ts') },
    },
    args: ['--host', '0.0.0.0'],
    env: { ALICE, BOB },
  });
  await gateway.attempted();
});

afterAll(() => gateway.stop());

const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });
const origin = () => `http://127.0.0.1:${new URL(gateway.origin).port}`;
const list = (headers: Record<string, string | string[]>) => send(origin(), modern('tools/list', {}, { headers }));

describe('A request without a valid token', () => {
  test.each([
    ['no header', {}],
    ['an empty header', { Authorization: '' }],
    ['a wrong token', bearer('alice-token-0123456789-abcdefghik')],
    ['a token cut short', bearer(ALICE.slice(0, -1))],
    ['a token and more', bearer(`${ALICE}x`)],
    ['another letter case', bearer(ALICE.toUpperCase())],
    ['two tokens in one', bearer(`${ALICE} ${BOB}`)],
    ['no scheme', { Authorization: ALICE }],
    ['another scheme', { Authorization: `Basic ${ALICE}` }],
    ['the reference instead of the value', bearer('${env:ALICE}')],
  ])('is refused with a challenge: %s', async (_what, headers) => {
    const answers = await Promise.all([
      list(headers),
      send(origin(), { method: 'GET', path: '/mcp', headers }),
      send(origin(), { method: 'DELETE', path: '/mcp/s/echo', headers }),
      send(origin(), { ...modern('tools/list'), headers, body: '{' }),
    ]);

    for (const answer of answers) {
      expect(answer.status).toBe(401);
      expect(answer.headers['www-authenticate']).toMatch(/^Bearer/);
      expect(errorOf(answer).data).toEqual({ reason: 'unauthenticated' });
    }
  });

  test('is refused where the header stands twice, even with the same token', async () => {
    expect((await list({ Authorization: [`Bearer ${ALICE}`, `Bearer ${ALICE}`] })).status).toBe(400);
  });

  test('is told so in a way that a page of ours can read', async () => {
    const answer = await list({ Origin: `http://localhost` });
    expect(answer.status).toBe(403); // loopback pages are ours on a loopback bind only

    const local = await openGateway({ config: { auth: { tokens: [{ id: 'a', token: ALICE }] } } });
    const refused = await send(
      local.origin,
      modern('tools/list', {}, { headers: { Origin: 'http://localhost:6274' } }),
    );
    await local.stop();

    expect(refused.status).toBe(401);
    expect(refused.headers['access-control-allow-origin']).toBe('http://localhost:6274');
    expect(refused.headers['access-control-expose-headers']).toContain('WWW-Authenticate');
  });

  test('stands in the log, without what was sent', async () => {
    await list(bearer('wrong-secret-9f8e7d'));
    const { stdout } = await gateway.cli('audit', 'query', '--json', '--limit', '1000');

    expect(gateway.log()).toContain('authentication_failed');
    expect(stdout + gateway.log()).not.toContain('wrong-secret-9f8e7d');
  });
});

describe('A request with a token', () => {
  test('is its holder, whatever the letter case of the scheme', async () => {
    expect(resultOf(await list(bearer(ALICE)))).toHaveProperty('tools');
    expect(resultOf(await list({ Authorization: `bearer ${BOB}` }))).toHaveProperty('tools');
    await send(
      origin(),
      modern('tools/call', { name: 'echo__echo', arguments: { text: 'x' } }, { headers: bearer(BOB) }),
    );
    const { stdout } = await gateway.cli('audit', 'query', '--json', '--method', 'tools/call', '--principal', 'bob');

    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { exposed: string }).exposed),
    ).toEqual(['echo__echo']);
  });

  test('finds no session of another principal, nor of another endpoint', async () => {
    const session = await openSession(origin(), { headers: bearer(ALICE) });
    const foreign: Answer[] = [
      await send(origin(), session.request('tools/list', {}, { headers: bearer(BOB) })),
      await send(origin(), session.get(bearer(BOB))),
      await send(origin(), session.delete(bearer(BOB))),
      await send(origin(), { ...session.request('tools/list'), path: '/mcp/s/echo' }),
    ];
    const unknown = await send(
      origin(),
      session.request('tools/list', {}, { headers: { 'Mcp-Session-Id': 'unknown' } }),
    );
    const own = await send(origin(), session.request('tools/list'));

    expect(unknown.status).toBe(404);
    for (const answer of foreign) expect([answer.status, errorOf(answer)]).toEqual([404, errorOf(unknown)]);
    expect(resultOf(own)).toHaveProperty('tools');
  });

  test('works for the clients of the SDKs', async () => {
    const client = await connectClient('SDK v2 modern', { url: `${origin()}/mcp`, headers: bearer(ALICE) });
    const { tools } = await client.listTools();
    await client.close();

    expect(tools.map(({ name }) => name)).toContain('echo__echo');
    await expect(connectClient('SDK v1', { url: `${origin()}/mcp`, headers: bearer('wrong') })).rejects.toThrow();
  });
});

test('no token shows in the log, the records, or any output', async () => {
  const outputs = await Promise.all([
    gateway.cli('audit', 'query', '--json'),
    gateway.cli('servers', '--json'),
    send(origin(), { method: 'GET', path: '/readyz' }),
  ]);

  expect(JSON.stringify(outputs) + gateway.log()).not.toMatch(/alice-token|bob-token/);
});

test('on an address that others reach, only its numbers and the names allowed are taken as Host', async () => {
  const statusOf = async (host: string) => (await list({ ...bearer(ALICE), Host: host })).status;

  expect(await statusOf('192.0.2.7:80')).toBe(200);
  expect(await statusOf('evil.example')).toBe(403);
});

test('nothing is bound where others reach it unless tokens are configured', async () => {
  const space = workspace({ mcpServers: {} });
  const others = Object.values(networkInterfaces())
    .flat()
    .flatMap((one) => (one && !one.internal && one.family === 'IPv4' ? [one.address] : []));

  for (const host of ['0.0.0.0', '::', 'gateway.example', ...others.slice(0, 1)]) {
    const { status, stdout, stderr } = await runCli([
      'serve',
      '--host',
      host,
      '--port',
      '0',
      '--config',
      space.config,
      '--state',
      space.state,
    ]);
    expect([host, status, stdout]).toEqual([host, 8, '']);
    expect(stderr).toContain('auth.tokens');
  }
  space.remove();
});

describe('A token that can be guessed', () => {
  const auth = (token: string) => ({
    auth: {
      tokens: [
        { id: 'long', token: ALICE },
        { id: 'short', token },
      ],
    },
  });

  test('is refused at the start where others reach the gateway, with its place and what to do', async () => {
    const space = workspace(auth('123456789012345'));
    const place = ['--config', space.config, '--state', space.state];
    const { status, stdout, stderr } = await runCli(['serve', '--host', '0.0.0.0', '--port', '0', ...place]);
    space.write('mcp-gateway.json', { ...auth('123456789012345'), listen: { host: '0.0.0.0' } });
    const checked = await runCli(['config', 'validate', ...place]);
    space.remove();

    expect([status, stdout, checked.status]).toEqual([8, '', 8]);
    for (const words of [stderr, checked.stderr]) {
      expect(words).toMatch(/mcp-gateway\.json:\d+:\d+ the token of "short" is shorter than 16 bytes/);
      expect(words).toMatch(/openssl rand|127\.0\.0\.1/);
      expect(words).not.toContain('123456789012345');
    }
  });

  test('is refused on reload too: the tokens before it stay in force', async () => {
    const open = await openGateway({ config: auth('1234567890123456'), args: ['--host', '0.0.0.0'] });
    const at = `http://127.0.0.1:${new URL(open.origin).port}`;
    open.write('mcp-gateway.json', auth('short'));
    const log = await until(
      () => Promise.resolve(open.log()),
      (words) => words.includes('the edit is not in force'),
    );
    const status = async (token: string) =>
      (await send(at, modern('tools/list', {}, { headers: bearer(token) }))).status;
    const statuses = [await status('1234567890123456'), await status('short')];
    await open.stop();

    expect(log).toMatch(/mcp-gateway\.json:\d+:\d+ the token of ..?short..? is shorter than 16 bytes/);
    expect(statuses).toEqual([200, 401]);
  });

  test('is only warned of on loopback', async () => {
    const local = await openGateway({ config: auth('short') });
    const log = local.log();
    await local.stop();

    expect(log).toContain('shorter than 16 bytes');
  });
});
