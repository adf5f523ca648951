// Servers that are late, die, come back, forget sessions or send too much: what their callers see of it, and nobody else.
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { fixture, openGateway, workspace } from './harness/gateway.ts';
import { kept, openTried } from './harness/kept.ts';
import {
  answer,
  ask,
  callText,
  legacy,
  modern,
  openEvents,
  refuse,
  said,
  startScripted,
  tool,
  toolNames,
} from './harness/scripted.ts';
import { statusOf, statusUntil, until } from './harness/status.ts';

const directory = realpathSync(mkdtempSync(join(tmpdir(), 'upstreams-')));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test('the last known offer is served, marked stale, while its server is away; a call fails at once, and works when it is back', async () => {
  const script = modern(
    () => [tool('echo')],
    (visit) => (visit.rpc === 'tools/call' ? said('back') : undefined),
  );
  const server = await startScripted(script);
  const timeouts = { start: '5s' };
  const space = workspace({
    mcpServers: { s: { url: server.url }, hangs: { ...fixture('moody-stdio.ts', '--late', '60000'), timeouts } },
  });
  onTestFinished(() => space.remove());
  const first = await openGateway({ space });
  await statusUntil(first, 's', ({ state }) => state === 'ready');
  await first.stop();
  await server.stop();
  const gateway = await kept(openGateway({ space }));

  const names = await toolNames(gateway.url);
  const before = performance.now();
  const refusal = await until(
    () => callText(gateway.url, 's__echo'),
    (text) => text.includes('tried again'),
  );
  const took = performance.now() - before;
  const away = await statusOf(gateway, 's');
  await kept(startScripted(script, { port: server.port }));
  const text = await until(
    () => callText(gateway.url, 's__echo'),
    (answered) => !answered.includes('not available'),
  );

  expect(names).toEqual(['s__echo']);
  expect(refusal).toMatch(/-33010 The server "s" is not available: .*ECONNREFUSED.* It is tried again in \d+ s\.$/);
  expect(took).toBeLessThan(5_000); // which is what the server that was never seen is waited for
  expect(away).toMatchObject({ state: expect.stringMatching(/waiting|connecting/) as string, stale: true, tools: 1 });
  expect(text).toBe('back');
});

test('a process that dies takes its calls with it, says why, and is started again', async () => {
  const gateway = await openTried({ config: { mcpServers: { s: fixture('echo-stdio.ts') } } });
  const first = await statusOf(gateway, 's');

  const lost = callText(gateway.url, 's__slow', { ms: 20_000 });
  const crashed = await callText(gateway.url, 's__crash', { code: 7 });
  await until(
    () => callText(gateway.url, 's__pid'),
    (text) => /^\d+$/.test(text),
  );
  const second = await statusOf(gateway, 's');

  for (const message of [crashed, await lost])
    expect(message).toMatch(/-33011 The server "s" went away during the call: .*exit code 7 without being asked to\.$/);
  expect(second).toMatchObject({ state: 'ready', restarts: 1 });
  expect(second.lastError).toMatch(/exit code 7.*crashing as asked/);
  expect(second.pid).not.toBe(first.pid);
});

test('a child gets what its entry declares and nothing more; no shell reads its arguments; secrets never show', async () => {
  const args = ['$HOME', '; echo injected', '`id`', '*', 'a b', "it's"];
  const entry = fixture('moody-stdio.ts', '--say', 'the token is ${env:CHILD_TOKEN} here');
  const gateway = await kept(
    openGateway({
      config: {
        mcpServers: {
          s: {
            ...entry,
            args: [...entry.args, '--', ...args],
            cwd: directory,
            env: { DECLARED: 'yes', TOKEN: '${env:CHILD_TOKEN}' },
          },
        },
      },
      env: {
        CHILD_TOKEN: 'hush-hush-4711',
        UNDECLARED: 'secret',
        MCP_GATEWAY_UNRELATED: 'x',
        HTTP_PROXY: 'http://127.0.0.1:9',
      },
    }),
  );

  const given = JSON.parse(await callText(gateway.url, 's__given')) as { argv: string[]; cwd: string; env: object };
  const shown = await gateway.cli('servers', 's');

  expect(given.argv).toEqual(args);
  expect(given.cwd).toBe(directory);
  const declared: Record<string, string | undefined> = { DECLARED: 'yes', TOKEN: 'hush-hush-4711' };
  for (const name of ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TMPDIR', 'NODE_EXTRA_CA_CERTS'])
    declared[name] = process.env[name];
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'ALL_PROXY']) {
    declared[name] = process.env[name];
    declared[name.toLowerCase()] = process.env[name.toLowerCase()];
  }
  declared.HTTP_PROXY = 'http://127.0.0.1:9';
  expect(given.env).toEqual(JSON.parse(JSON.stringify(declared)));
  expect(shown.stdout.match(/the token is \[redacted\] here/g)).toHaveLength(2);
  expect(shown.stdout + gateway.log()).not.toContain('hush-hush');
});

test('a session that its server forgot is opened again, and every call that it cost is sent again once', async () => {
  const sessions = new Set<string>();
  let calls = 0;
  const server = await kept(
    startScripted(
      legacy(
        () => [tool('echo')],
        sessions,
        (visit) => {
          if (visit.rpc !== 'tools/call' || !sessions.has(String(visit.headers['mcp-session-id']))) return undefined;
          calls++;
          return said('done');
        },
      ),
    ),
  );
  const gateway = await openGateway({ config: { mcpServers: { s: { url: server.url, isolation: 'shared' } } } });
  const before = await callText(gateway.url, 's__echo');
  sessions.clear();

  const after = await Promise.all(Array.from({ length: 20 }, () => callText(gateway.url, 's__echo')));
  const status = await statusOf(gateway, 's');
  await gateway.stop();

  expect([before, ...new Set(after)]).toEqual(['done', 'done']);
  expect(calls).toBe(21);
  expect(server.count('initialize')).toBe(2);
  expect(status).toMatchObject({ state: 'ready', restarts: 1 });
  // the stop ended the session in force, with DELETE
  expect(server.seen.filter((visit) => visit.http === 'DELETE')).toHaveLength(1);
  expect(sessions.size).toBe(0);
});

test('a server that forgets every session gets a call twice, not for ever', async () => {
  const server = await kept(
    startScripted(
      legacy(
        () => [tool('echo')],
        new Set(),
        (visit) => {
          if (visit.rpc === 'tools/call') {
            refuse(visit, 404, { message: 'Session not found' });
            return;
          }
          return visit.rpc === 'tools/list' ? { tools: [tool('echo')] } : undefined;
        },
      ),
    ),
  );
  const gateway = await kept(openGateway({ config: { mcpServers: { s: { url: server.url } } } }));

  expect(await callText(gateway.url, 's__echo')).toMatch(/-33011 The server "s" no longer knows the session/);
  expect(server.count('tools/call')).toBe(2);
});

test('a server that is overloaded or wants other credentials for one call keeps its connection and its other calls', async () => {
  const waiting = Promise.withResolvers<() => void>();
  const server = await kept(
    startScripted(
      modern(
        () => [tool('slow'), tool('busy'), tool('locked')],
        (visit) => {
          if (visit.params.name === 'slow') waiting.resolve(() => answer(visit, said('slow but well')));
          if (visit.params.name === 'busy') {
            refuse(visit, 503);
            return;
          }
          if (visit.params.name === 'locked') {
            refuse(visit, 401);
            return;
          }
          return undefined;
        },
      ),
    ),
  );
  const gateway = await openTried({ config: { mcpServers: { s: { url: server.url } } } });

  const slow = callText(gateway.url, 's__slow');
  const finish = await waiting.promise;
  const busy = await callText(gateway.url, 's__busy');
  const locked = await callText(gateway.url, 's__locked');
  finish();

  expect(busy).toMatch(/-33010 .*HTTP 503/);
  expect(locked).toMatch(/-33015 .*credentials \(HTTP 401\)/);
  expect(await slow).toBe('slow but well');
  expect(server.count('server/discover')).toBe(1);
});

test('a server that comes back with another version is asked anew, and the call is sent again', async () => {
  let upgraded = false;
  const server = await kept(
    startScripted(
      modern(
        () => [tool('echo')],
        (visit) => {
          if (visit.rpc !== 'tools/call') return undefined;
          if (upgraded) return said('well again');
          upgraded = true;
          visit.response.writeHead(400, { 'content-type': 'application/json' }).end(
            JSON.stringify({
              jsonrpc: '2.0',
              id: visit.id,
              error: { code: -32022, message: 'no', data: { supported: [] } },
            }),
          );
          return undefined;
        },
      ),
    ),
  );
  const gateway = await kept(openGateway({ config: { mcpServers: { s: { url: server.url } } } }));

  expect(await callText(gateway.url, 's__echo')).toBe('well again');
  expect(server.count('server/discover')).toBe(2);
});

test('news of the offer are heard on the standing stream and on the stream of a call; a stream that comes back is caught up with', async () => {
  const sessions = new Set<string>();
  const tools = [tool('first')];
  const streams: ReturnType<typeof openEvents>[] = [];
  const server = await kept(
    startScripted(
      legacy(
        () => tools,
        sessions,
        (visit) => {
          if (visit.http === 'GET') streams.push(openEvents(visit));
          else if (visit.rpc === 'tools/call') {
            tools.push(tool('third'));
            const send = openEvents(visit);
            send({ method: 'notifications/tools/list_changed' });
            send({ id: visit.id ?? 0, result: said('changed') });
            visit.response.end();
          }
          return undefined;
        },
      ),
    ),
  );
  const gateway = await kept(openGateway({ config: { mcpServers: { s: { url: server.url, isolation: 'shared' } } } }));
  await server.visited((visit) => visit.http === 'GET');
  await until(
    () => toolNames(gateway.url),
    (names) => names.length === 1,
  );

  tools.push(tool('second'));
  streams[0]?.({ method: 'notifications/tools/list_changed' });
  await until(
    () => toolNames(gateway.url),
    (names) => names.includes('s__second'),
  );
  await callText(gateway.url, 's__first');
  await until(
    () => toolNames(gateway.url),
    (names) => names.includes('s__third'),
  );
  tools.push(tool('fourth')); // while nobody listens
  server.seen.find((visit) => visit.http === 'GET')?.response.end();
  const names = await until(
    () => toolNames(gateway.url),
    (all) => all.includes('s__fourth'),
  );

  expect(names).toEqual(['s__first', 's__second', 's__third', 's__fourth']);
});

test('a message over the limit costs the call that it answered, and no other', async () => {
  const gateway = await openTried({
    config: {
      mcpServers: { s: fixture('moody-stdio.ts'), web: { url: (await hugeOverHttp()).url } },
      limits: { upstreamMessage: '1MiB' },
    },
  });
  const never = new AbortController();
  let ended = false;
  const other = ask({ url: gateway.url, signal: never.signal }, 'tools/call', { name: 's__never', arguments: {} }).then(
    () => (ended = true),
    () => undefined,
  );
  const bytes = 3 << 20;

  for (const order of ['head', 'tail'])
    expect(await callText(gateway.url, 's__huge', { bytes, order })).toMatch(
      /-33014 The server "s" sent a message of more than 1048576 bytes \(limits\.upstreamMessage\)/,
    );
  expect(await callText(gateway.url, 's__huge', { bytes, order: 'question' })).toBe('asked too much');
  for (const kind of ['json', 'sse'])
    expect(await callText(gateway.url, 'web__huge', { kind })).toMatch(/-33014 The server "web" sent .* 1048576 bytes/);
  for (const kind of ['json', 'sse']) expect(await callText(gateway.url, 'web__exact', { kind })).toMatch(/^x{100}/);
  expect(await callText(gateway.url, 's__shapeless')).toMatch(
    /-33013 The server "s" answered with something that is not MCP/,
  );
  expect(ended).toBe(false);
  expect(await callText(gateway.url, 's__echo', { text: 'still here' })).toBe('still here');

  // where nothing says whose it was, everybody has to be told
  expect(await callText(gateway.url, 's__huge', { bytes, order: 'hidden' })).toMatch(/^-33014/);
  await other;
  expect(ended).toBe(true);
  expect(await statusOf(gateway, 's')).toMatchObject({ state: 'ready', restarts: 0 });

  // a line without an end is no line
  expect(await callText(gateway.url, 's__endless')).toMatch(/-33011 .*without an end/);
  expect(
    await until(
      () => callText(gateway.url, 's__echo', { text: 'new' }),
      (text) => text === 'new',
    ),
  ).toBe('new');
});

/** A server whose answers are exactly one MiB, or one byte more. */
function hugeOverHttp(): ReturnType<typeof startScripted> {
  const sized = (id: unknown, bytes: number): string => {
    const frame = (filler: string) => JSON.stringify({ jsonrpc: '2.0', id, result: said(filler) });
    return frame('x'.repeat(bytes - frame('').length));
  };
  return kept(
    startScripted(
      modern(
        () => [tool('huge'), tool('exact')],
        (visit) => {
          if (visit.rpc !== 'tools/call') return undefined;
          const text = sized(visit.id, (1 << 20) + (visit.params.name === 'huge' ? 1 : 0));
          const sse = (visit.params.arguments as JsonObject).kind === 'sse';
          visit.response
            .writeHead(200, { 'content-type': sse ? 'text/event-stream' : 'application/json' })
            .end(sse ? `event: message\nid: 7\ndata: ${text}\n\n` : text);
          return undefined;
        },
      ),
    ),
  );
}
