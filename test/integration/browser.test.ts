// Pages and names that are not ours get nowhere, on every route; pages that are ours can do all that a client needs.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fixture, type RunningGateway, openGateway } from './harness/gateway.ts';
import { errorOf, type HeaderList, initialize, modern, openSession, resultOf, send, type Sent } from './harness/raw.ts';

const PAGE = 'https://page.example';

let gateway: RunningGateway;
let port: string;

beforeAll(async () => {
  gateway = await openGateway({
    config: {
      listen: { allowedOrigins: [PAGE], allowedHosts: ['gateway.example', 'other.example:8443'] },
      mcpServers: { echo: fixture('echo-stdio.ts') },
    },
  });
  await gateway.attempted();
  port = new URL(gateway.origin).port;
});

afterAll(() => gateway.stop());

/** Every route that there is, and one that there is not. */
const ROUTES: readonly Sent[] = [
  { ...modern('tools/list'), path: '/mcp' },
  { ...modern('tools/list'), path: '/mcp/s/echo' },
  { method: 'GET', path: '/mcp' },
  { method: 'DELETE', path: '/mcp' },
  { method: 'OPTIONS', path: '/mcp' },
  { method: 'GET', path: '/livez' },
  { method: 'GET', path: '/readyz' },
  { method: 'GET', path: '/api/servers' },
  { method: 'GET', path: '/nowhere' },
];

async function statuses(headers: HeaderList, prefix = ''): Promise<number[]> {
  return Promise.all(
    ROUTES.map(async (route) => {
      const sent = { ...route, path: prefix + (route.path ?? ''), headers: { ...route.headers, ...headers } };
      return (await send(gateway.origin, sent)).status;
    }),
  );
}

const everywhere = (status: number) => ROUTES.map(() => status);

const FOREIGN_HOSTS = [
  '',
  'evil.example',
  'evil.example:PORT',
  'localhost.evil.example:PORT',
  'evil-localhost:PORT',
  'localhost.:PORT',
  '127.0.0.1.:PORT',
  '127.0.0.1.evil.example:PORT',
  '127.1:PORT',
  '2130706433:PORT',
  '0x7f000001:PORT',
  '0.0.0.0:PORT',
  '10.0.0.1:PORT',
  '[::]:PORT',
  '[::ffff:127.0.0.1]:PORT',
  '[::1',
  '::1',
  'user@localhost:PORT',
  'localhost:PORT@evil.example',
  'localhost:PORT/evil',
  'localhost:PORT, evil.example',
  'localhost evil.example',
  'localhost:999999',
  'xn--lcalhost-8ya:PORT',
  'other.example:PORT',
];

const FOREIGN_ORIGINS = [
  '',
  'null',
  'https://evil.example',
  'http://evil.example:PORT',
  'http://localhost.evil.example',
  'http://localhost.:PORT',
  'http://127.0.0.1.evil.example:PORT',
  'http://127.1:PORT',
  'http://2130706433',
  'http://[::]:PORT',
  'http://user@localhost:PORT',
  'http://localhost:PORT@evil.example',
  'http://localhost:PORT/',
  'http://localhost:PORT?x',
  'http://localhost:PORT http://evil.example',
  'http://evil.example, http://localhost',
  'localhost:PORT',
  '//localhost:PORT',
  'file://',
  'file://localhost',
  'chrome-extension://localhost',
  'http://xn--lcalhost-8ya',
  'https://page.example.evil.example',
  'https://page.example:8443',
  'http://page.example',
  'https://sub.page.example',
];

describe('A name or page of somebody else is refused on every route', () => {
  test.each(FOREIGN_HOSTS)('Host "%s"', async (host) => {
    expect(await statuses({ Host: host.replace('PORT', port) })).toEqual(everywhere(403));
  });

  test.each(FOREIGN_ORIGINS)('Origin "%s"', async (origin) => {
    expect(await statuses({ Origin: origin.replace('PORT', port) })).toEqual(everywhere(403));
  });

  test('a forwarded host does not count, in either direction', async () => {
    const forwarded = { 'X-Forwarded-Host': `localhost:${port}`, Forwarded: `host=localhost:${port}` };

    expect(await statuses({ Host: 'evil.example', ...forwarded })).toEqual(everywhere(403));
    expect(
      (await send(gateway.origin, { ...modern('tools/list', {}, { headers: { 'X-Forwarded-Host': 'evil.example' } }) }))
        .status,
    ).toBe(200);
  });

  test('a second Host or Origin is refused, even the same one again', async () => {
    const own = `localhost:${port}`;

    for (const headers of [
      { Host: [own, 'evil.example'] },
      { Host: [own, own] },
      { Origin: [`http://${own}`, 'https://evil.example'] },
      { origin: [`http://${own}`, `http://${own}`] },
    ])
      expect(await statuses(headers as unknown as HeaderList)).toEqual(everywhere(400));
  });

  test('a host in the request target counts like the header', async () => {
    expect(await statuses({}, 'http://evil.example')).toEqual(everywhere(403));
    expect(await statuses({}, `HTTPS://evil.example:${port}`)).toEqual(everywhere(403));
    expect(await statuses({}, 'http://')).toEqual(everywhere(403));
    expect(await statuses({ Host: 'evil.example' }, gateway.origin)).toEqual(everywhere(403));
    expect(
      resultOf(await send(gateway.origin, { ...modern('tools/list'), path: `${gateway.origin}/mcp` })),
    ).toHaveProperty('tools');
  });

  test('the refusal comes before the body is read, says why, and lets no page read it', async () => {
    const answer = await send(gateway.origin, { path: '/mcp', headers: { Origin: 'https://evil.example' }, body: '{' });

    expect(errorOf(answer).message).toContain('"https://evil.example"');
    expect(errorOf(answer).message).toContain('listen.allowedOrigins');
    expect(answer.headers['access-control-allow-origin']).toBeUndefined();
  });
});

describe('Our own names and pages pass', () => {
  test.each([
    'localhost:PORT',
    'LOCALHOST:PORT',
    '127.0.0.1',
    '127.0.0.1:1',
    '127.0.0.2:PORT',
    '[::1]:PORT',
    'gateway.example',
    'Gateway.Example:99',
    'other.example:8443',
  ])('Host "%s"', async (host) => {
    const answer = await send(
      gateway.origin,
      modern('tools/list', {}, { headers: { Host: host.replace('PORT', port) } }),
    );

    expect(resultOf(answer)).toHaveProperty('tools');
  });

  test.each([
    'http://localhost:PORT',
    'http://localhost:6274',
    'https://localhost',
    'HTTP://LocalHost',
    'http://127.0.0.1:3000',
    'http://[::1]:3000',
    PAGE,
    'HTTPS://PAGE.example',
  ])('Origin "%s"', async (template) => {
    const origin = template.replace('PORT', port);
    const answer = await send(gateway.origin, modern('tools/list', {}, { headers: { Origin: origin } }));

    expect(resultOf(answer)).toHaveProperty('tools');
    expect(answer.headers['access-control-allow-origin']).toBe(origin);
    expect(answer.headers.vary).toBe('Origin');
  });
});

describe('A page', () => {
  const preflight = (path: string, asked: string, more: HeaderList = {}) =>
    send(gateway.origin, {
      method: 'OPTIONS',
      path,
      headers: {
        Origin: PAGE,
        'Access-Control-Request-Method': 'POST',
        'Access-Control-Request-Headers': asked,
        ...more,
      },
    });
  const list = (value: string | undefined) => (value ?? '').toLowerCase().split(/, */);

  test('may send every header that either era needs, and those of tool parameters that it asks for', async () => {
    const answer = await preflight('/mcp', 'mcp-param-region, x-other');

    expect(answer.status).toBe(204);
    expect(answer.headers['access-control-allow-origin']).toBe(PAGE);
    expect(list(answer.headers['access-control-allow-methods'])).toEqual(
      expect.arrayContaining(['get', 'post', 'delete']),
    );
    const allowed = list(answer.headers['access-control-allow-headers']);
    expect(allowed).toEqual(
      expect.arrayContaining([
        'content-type',
        'accept',
        'authorization',
        'mcp-protocol-version',
        'mcp-session-id',
        'mcp-method',
        'mcp-name',
        'last-event-id',
        'mcp-param-region',
      ]),
    );
    expect(allowed).not.toContain('x-other');
    expect(answer.headers['access-control-allow-credentials']).toBeUndefined();
  });

  test('on the public net may ask for a private one', async () => {
    const answer = await preflight('/mcp/s/echo', 'content-type', { 'Access-Control-Request-Private-Network': 'true' });

    expect(answer.headers['access-control-allow-private-network']).toBe('true');
  });

  test('reads its session id, and the errors of what went wrong', async () => {
    const headers = { Origin: PAGE, 'Content-Type': 'application/json' };
    const opened = await send(gateway.origin, { headers, body: initialize() });
    const refused = await send(gateway.origin, { headers, body: '{' });
    const missing = await send(gateway.origin, { method: 'GET', path: '/nowhere', headers });

    expect(list(opened.headers['access-control-expose-headers'])).toEqual(
      expect.arrayContaining(['mcp-session-id', 'www-authenticate']),
    );
    expect(opened.headers['mcp-session-id']).toBeTypeOf('string');
    expect(errorOf(refused).code).toBe(-32700);
    for (const answer of [opened, refused, missing]) expect(answer.headers['access-control-allow-origin']).toBe(PAGE);
  });

  test('uses a session from end to end', async () => {
    const session = await openSession(gateway.origin, { headers: { Origin: PAGE } });
    const called = await send(
      gateway.origin,
      session.request('tools/call', { name: 'echo__echo', arguments: { text: 'page' } }),
    );
    const ended = await send(gateway.origin, session.delete());

    expect(resultOf(called).content).toEqual([{ type: 'text', text: 'page' }]);
    expect(ended.status).toBe(204);
    expect(ended.headers['access-control-allow-origin']).toBe(PAGE);
  });
});
