// The way to a server: proxies, certificates, time limits by phase, sizes; and that what belongs to one call reaches that call.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, request as httpRequest } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { CLIENTS, connectClient } from './harness/clients.ts';
import { fixture, openGateway } from './harness/gateway.ts';
import { kept, openTried } from './harness/kept.ts';
import { ask, callText, modern, openEvents, said, startScripted, tool } from './harness/scripted.ts';
import { startServer } from './harness/servers.ts';
import { statusOf, statusUntil } from './harness/status.ts';

const directory = mkdtempSync(join(tmpdir(), 'limits-'));
let tls: { cert: string; key: string };

beforeAll(() => {
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  execFileSync('openssl', [...args, ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  tls = { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A forward proxy that tunnels and forwards, and remembers where to. */
async function startProxy(): Promise<{ url: string; through: string[]; stop(): Promise<void> }> {
  const through: string[] = [];
  const server = createServer((request, response) => {
    const target = new URL(request.url ?? '');
    through.push(target.host);
    const onward = httpRequest(target, { method: request.method ?? 'GET', headers: request.headers }, (answered) => {
      response.writeHead(answered.statusCode ?? 502, answered.headers);
      answered.pipe(response);
    });
    request.pipe(onward);
  });
  server.on('connect', (request, socket, head) => {
    through.push(request.url ?? '');
    const [host = '', port = ''] = (request.url ?? '').split(':');
    const onward = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      onward.write(head);
      onward.pipe(socket).pipe(onward);
    });
    onward.on('error', () => socket.destroy());
    socket.on('error', () => onward.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    through,
    stop: () => {
      server.close();
      server.closeAllConnections();
      return Promise.resolve();
    },
  };
}

const echo = modern(
  () => [tool('echo')],
  (visit) => (visit.rpc === 'tools/call' ? said('reached') : undefined),
);

test('servers are reached through the proxies that the environment names, except those that it exempts', async () => {
  const plain = await kept(startScripted(echo));
  const exempt = await kept(startScripted(echo));
  const secure = await kept(startScripted(echo, { tls }));
  const proxy = await kept(startProxy());
  const gateway = await openTried({
    config: {
      mcpServers: {
        plain: { url: plain.url },
        exempt: { url: exempt.url },
        secure: { url: secure.url, tls: { ca: join(directory, 'cert.pem') } },
      },
    },
    env: { HTTP_PROXY: proxy.url, HTTPS_PROXY: proxy.url, NO_PROXY: `127.0.0.1:${exempt.port}` },
  });

  for (const name of ['plain', 'exempt', 'secure'])
    expect(await callText(gateway.url, `${name}__echo`)).toBe('reached');
  expect(new Set(proxy.through)).toEqual(new Set([`127.0.0.1:${plain.port}`, `127.0.0.1:${secure.port}`]));
});

test('a certificate of our own making is trusted where the entry names it, and nowhere else', async () => {
  const server = await kept(startScripted(echo, { tls }));
  const gateway = await openTried({
    config: {
      mcpServers: {
        named: { url: server.url, tls: { ca: join(directory, 'cert.pem') } },
        careless: { url: server.url, tls: { rejectUnauthorized: false } },
        unnamed: { url: server.url },
        missing: { url: server.url, tls: { ca: join(directory, 'none.pem') } },
      },
    },
  });

  expect(await callText(gateway.url, 'named__echo')).toBe('reached');
  expect(await callText(gateway.url, 'careless__echo')).toBe('reached');
  expect((await statusOf(gateway, 'unnamed')).lastError).toMatch(/cannot be reached: .*self-signed certificate/);
  expect((await statusOf(gateway, 'missing')).lastError).toMatch(/tls\.ca cannot be read: .*none\.pem/);
});

test('every phase of a call has its own limit, which the error names; progress extends the total', async () => {
  const server = await kept(
    startScripted(
      modern(
        () => [tool('mute'), tool('stuck'), tool('chatty'), tool('drip')],
        (visit) => {
          if (visit.rpc !== 'tools/call' || visit.params.name === 'mute') return undefined;
          const send = openEvents(visit);
          const token = (visit.params._meta as JsonObject).progressToken ?? null;
          let progress = 0;
          const tell = () =>
            send({ method: 'notifications/progress', params: { progressToken: token, progress: ++progress } });
          tell();
          if (visit.params.name === 'stuck') return undefined;
          // one speaks without saying that it gets on, the other says so and ends well
          const timer = setInterval(() => {
            if (visit.params.name === 'chatty') visit.response.write(': still here\n\n');
            else if (progress < 20) tell();
            else answerEvents();
          }, 100);
          visit.response.once('close', () => clearInterval(timer));
          const answerEvents = () => {
            send({ id: visit.id ?? 0, result: said('well done') });
            visit.response.end();
          };
          return undefined;
        },
      ),
    ),
  );
  const { url } = server;
  // each has one limit that it can run into, far below the others
  const gateway = await openTried({
    config: {
      mcpServers: {
        mute: { url, timeouts: { firstByte: '1s' } },
        stuck: { url, timeouts: { idle: '1s' } },
        chatty: { url, timeouts: { total: '1500ms' } },
        drip: { url, timeouts: { total: '1500ms' } },
      },
    },
  });
  const call = async (name: string) => {
    const params = { name: `${name}__${name}`, arguments: {}, _meta: { progressToken: name } };
    const { result, error } = await ask(gateway.url, 'tools/call', params);
    return error?.message ?? result?.content?.[0]?.text;
  };

  const [mute, stuck, chatty, drip] = await Promise.all(['mute', 'stuck', 'chatty', 'drip'].map(call));

  expect(mute).toMatch(/did not begin to answer within 1 s \(timeouts\.firstByte\)/);
  expect(stuck).toMatch(/fell silent in the middle of its answer within 1 s \(timeouts\.idle\)/);
  expect(chatty).toMatch(/did not answer tools\/call within 1\.5 s \(timeouts\.total\)/);
  expect(drip).toBe('well done');
});

test.each(CLIENTS)(
  'messages of nearly 16 MiB pass to %s from servers of both eras over both transports',
  async (kind) => {
    const bytes = 16 * 1024 * 1024 - 1_000;
    const own = await kept(
      startScripted(
        modern(
          () => [tool('huge')],
          (visit) => (visit.rpc === 'tools/call' ? said('x'.repeat(bytes)) : undefined),
        ),
      ),
    );
    const gateway = await openTried({
      config: { mcpServers: { web: { url: own.url }, pipe: fixture('echo-stdio.ts') } },
    });
    const client = await connectClient(kind, { url: gateway.url });

    for (const server of ['web', 'pipe']) {
      const { content } = await client.callTool({ name: `${server}__huge`, arguments: { bytes } });
      expect((content as { text: string }[])[0]?.text.length).toBe(bytes);
    }
    await expect(client.callTool({ name: 'pipe__huge', arguments: { bytes: bytes + 2_000 } })).rejects.toThrow(
      /more than 16777216 bytes \(limits\.upstreamMessage\)/,
    );
    await client.close();
  },
);

const UPDATED = 'notifications/resources/updated';

/** A legacy session of bare HTTP, whose ids and tokens the test chooses. */
async function openSession(url: string): Promise<(message: JsonObject) => Promise<JsonObject[]>> {
  let session: string | undefined;
  const post = async (message: JsonObject): Promise<JsonObject[]> => {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...(session !== undefined && { 'mcp-session-id': session }),
      },
      body: JSON.stringify({ jsonrpc: '2.0', ...message }),
    });
    session ??= response.headers.get('mcp-session-id') ?? undefined;
    const text = await response.text();
    if (text.startsWith('{')) return [JSON.parse(text) as JsonObject];
    return [...text.matchAll(/^data: (\{.*\})$/gm)].map((match) => JSON.parse(match[1] ?? '') as JsonObject);
  };
  const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'bare', version: '1' } };
  await post({ id: 0, method: 'initialize', params });
  await post({ method: 'notifications/initialized' });
  return post;
}

test('progress and cancellation reach the call that they belong to, although two clients use the same ids and tokens', async () => {
  const gateway = await openTried({ config: { mcpServers: { s: fixture('echo-stdio.ts') } } });
  const [one, two] = [await openSession(gateway.url), await openSession(gateway.url)];
  const slow = (label: string): JsonObject => ({
    id: 7,
    method: 'tools/call',
    params: { name: 's__slow', arguments: { ms: 1_200, steps: 4, label }, _meta: { progressToken: 'same' } },
  });

  const both = Promise.all([one(slow('one')), two(slow('two'))]);
  await statusUntil(gateway, 's', ({ inFlight }) => inFlight === 2);
  const cancel = { method: 'notifications/cancelled', params: { requestId: 7, reason: 'changed my mind' } };
  await one(cancel);
  const [fromOne, fromTwo] = await both;
  const cancelled = await callText(gateway.url, 's__cancelled');

  expect(fromOne.filter((message) => message.id !== undefined)).toEqual([]);
  for (const message of fromOne) expect(JSON.stringify(message)).toContain('of one');
  expect(fromTwo.filter((message) => message.method === 'notifications/progress').map(({ params }) => params)).toEqual(
    [1, 2, 3, 4].map((step) => ({ progressToken: 'same', progress: step, total: 4, message: `step ${step} of two` })),
  );
  expect(fromTwo.at(-1)).toMatchObject({ id: 7, result: { content: [{ text: 'slow two done after 4 steps' }] } });
  expect(JSON.parse(cancelled)).toHaveLength(1);
});

test('a call that is cancelled while its server still starts is never sent', async () => {
  const gateway = await kept(
    openGateway({ config: { mcpServers: { s: fixture('moody-stdio.ts', '--late', '1500') } } }),
  );
  const gone = new AbortController();
  const abandoned = ask({ url: gateway.url, signal: gone.signal }, 'tools/call', { name: 's__never', arguments: {} });
  abandoned.catch(() => undefined);
  gone.abort();
  await statusUntil(gateway, 's', ({ state }) => state === 'ready');

  expect((await statusUntil(gateway, 's', ({ inFlight }) => inFlight === 0)).inFlight).toBe(0);
});

test.each(['legacy', 'modern'])(
  'a resource of a %s server is followed once for all, until the last lets go, and again after a reconnect',
  async (era) => {
    const first = await startServer('sdk-server.ts', '--era', era);
    const port = new URL(first.url).port;
    const gateway = await openTried({ config: { mcpServers: { s: { url: first.url, isolation: 'shared' } } } });
    const [one, two] = [
      await connectClient('SDK v1', { url: gateway.url }),
      await connectClient('SDK v2 legacy', { url: gateway.url }),
    ];
    const heard = { one: 0, two: 0 };
    one.fallbackNotificationHandler = ({ method }) => Promise.resolve(void (heard.one += Number(method === UPDATED)));
    two.fallbackNotificationHandler = ({ method }) => Promise.resolve(void (heard.two += Number(method === UPDATED)));
    /** Touches the resource until somebody hears of it; then everybody has, since news come before what follows them. */
    const touch = async () => {
      const before = heard.two;
      for (let round = 0; round < 200 && heard.two === before; round++) {
        if (round % 20 === 0) await callText(gateway.url, 's__touch', { uri: 'fixture://text' });
        await Promise.all([one.ping(), two.ping()]);
      }
      expect(heard.two).toBeGreaterThan(before);
    };

    await one.subscribeResource({ uri: 'fixture://text' });
    await two.subscribeResource({ uri: 'fixture://text' });
    await touch();
    expect(heard.one).toBe(heard.two);
    await one.unsubscribeResource({ uri: 'fixture://text' });
    const { one: silent } = heard;
    await touch();
    await first.stop();
    await callText(gateway.url, 's__echo', { text: 'notices' });
    await kept(startServer('sdk-server.ts', '--era', era, '--port', port));
    await statusUntil(gateway, 's', ({ state, restarts }) => state === 'ready' && restarts > 0);
    await touch();
    expect(heard.one).toBe(silent);
    await one.close();
    await two.close();
  },
);
