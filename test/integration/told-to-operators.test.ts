// What the operator reads of a server that cannot be used: the setting that it is about, and what to do.
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { fixture, openGateway } from './harness/gateway.ts';
import { kept } from './harness/kept.ts';
import { statusUntil } from './harness/status.ts';

/** The last error of a server with this entry. */
async function errorOf(entry: object): Promise<string> {
  const gateway = await kept(openGateway({ config: { mcpServers: { s: entry } } }));
  const { lastError } = await statusUntil(gateway, 's', (status) => status.lastError !== undefined);
  return lastError ?? '';
}

/** The port of a server that answers every request with this. */
async function answering(status: number, headers: Record<string, string> = {}): Promise<number> {
  const server = createServer((_request, response) => response.writeHead(status, headers).end('no'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

test('a start that takes too long names timeouts.start', async () => {
  const entry = { ...fixture('moody-stdio.ts', '--late', '60000'), timeouts: { start: '200ms' } };

  expect(await errorOf(entry)).toMatch(/did not answer \S+ within 0\.2 s \(timeouts\.start\)/);
});

test('https to a port that speaks HTTP says to write http, and nothing of OpenSSL', async () => {
  const error = await errorOf({ url: `https://127.0.0.1:${await answering(200)}/mcp` });

  expect(error).toContain('It most likely answers plain HTTP; write http:// in the `url`.');
  expect(error).not.toMatch(/openssl|SSL routines|0A00010B/i);
});

test('a server that wants a sign-in by OAuth says so, and what works now', async () => {
  const challenge = 'Bearer resource_metadata="https://h/.well-known/oauth-protected-resource"';
  const port = await answering(401, { 'www-authenticate': challenge });

  const error = await errorOf({ url: `http://127.0.0.1:${port}/mcp` });

  expect(error).toContain('wants a sign-in by OAuth (HTTP 401), which the gateway does not do yet');
  expect(error).toContain('"Authorization": "Bearer ${env:NAME}"');
});

test('a server that refuses without saying why still sends the reader to its headers', async () => {
  const error = await errorOf({ url: `http://127.0.0.1:${await answering(401)}/mcp` });

  expect(error).toContain("refused the gateway's credentials (HTTP 401); check its `headers`");
});
