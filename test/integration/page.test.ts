// The gateway's URL in a browser: a page that says what this is, and gives nothing away.
import { createHash } from 'node:crypto';
import { request } from 'node:http';
import { once } from 'node:events';
import { text as textOf } from 'node:stream/consumers';
import type { IncomingMessage } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fixture, type RunningGateway, openGateway } from './harness/gateway.ts';

const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';

async function open(url: string, headers: Record<string, string> = {}) {
  const asked = request(url, { headers: { accept: BROWSER, ...headers } }).end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  return { status: response.statusCode, headers: response.headers, text: await textOf(response) };
}

describe('without tokens', () => {
  let gateway: RunningGateway;
  beforeAll(async () => {
    const dead = { command: '/no/such/program', env: { SECRET: 'hunter2' } };
    gateway = await openGateway({ config: { mcpServers: { echo: fixture('echo-stdio.ts'), dead } } });
    await gateway.attempted();
  });
  afterAll(() => gateway.stop());

  test.each(['/', '/mcp', '/mcp/s/echo', '/mcp/s/none'])(
    '%s tells a person what it is and how clients connect',
    async (path) => {
      const { status, headers, text } = await open(`${gateway.origin}${path}`);

      expect(status).toBe(200);
      expect(headers['content-type']).toBe('text/html; charset=utf-8');
      expect(text).toContain('This is mcp-gateway');
      expect(text).toContain('1 of 2 servers ready, 9 tools.');
      expect(text).toContain(`claude mcp add --transport http gw ${gateway.url}`);
      expect(text).toContain('~/.cursor/mcp.json');
      expect(text).toContain('code --add-mcp');
      expect(text).not.toMatch(/hunter2|no\/such|https?:\/\/(?!127\.0\.0\.1)|<script|src=|href=/);
    },
  );

  test('it may load and run nothing, and its one style is the one that it names', async () => {
    const { headers, text } = await open(gateway.url);
    const style = /<style>([\s\S]*)<\/style>/.exec(text)![1]!;

    expect(headers['content-security-policy']).toBe(
      `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    );
    expect(headers['x-content-type-options']).toBe('nosniff');
  });

  test('a page of another site, or under a name that is not the gateway’s, gets none', async () => {
    const [origin, host] = await Promise.all([
      open(gateway.url, { origin: 'http://evil.example' }),
      open(gateway.url, { host: 'evil.example' }),
    ]);

    expect([origin.status, host.status]).toEqual([403, 403]);
  });

  test('clients get what they got: a stream needs a session, and other paths say where to connect', async () => {
    const stream = await open(gateway.url, { accept: 'text/event-stream' });
    const bare = await open(`${gateway.origin}/`, { accept: '*/*' });

    expect(stream).toMatchObject({ status: 400, headers: { 'content-type': 'application/json' } });
    expect(bare).toMatchObject({ status: 404, headers: { 'content-type': 'application/json; charset=utf-8' } });
  });
});

test('where tokens are needed it says so, and shows none', async () => {
  const token = 'a-token-that-nobody-may-see';
  const gateway = await openGateway({ config: { auth: { tokens: [{ id: 'one', token }] } } });

  const { status, text } = await open(gateway.url);
  await gateway.stop();

  expect(status).toBe(200);
  expect(text).toContain('YOUR_TOKEN');
  expect(text).not.toContain(token);
});
