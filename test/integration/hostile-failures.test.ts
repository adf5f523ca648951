// Servers that fail again and again: their calls fail fast and are never sent twice, and they are started ever more rarely.
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { onTestFinished, tellTestsApart } from '../apart.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { fixture, openGateway, workspace } from './harness/gateway.ts';
import { kept, openTried } from './harness/kept.ts';
import { answer, callText, modern, refuse, said, startScripted, tool, type Visit } from './harness/scripted.ts';
import { statusOf, statusUntil, until } from './harness/status.ts';

tellTestsApart();

test.concurrent(
  'after five failures calls fail at once and reach nobody; then one is let through, and its answer lets all through',
  async () => {
    const probe = Promise.withResolvers<Visit>();
    let well = false;
    const server = await kept(
      startScripted(
        modern(
          () => [tool('do')],
          (visit) => {
            if (visit.rpc !== 'tools/call') return undefined;
            if (well) return said('well');
            if (server.count('tools/call') < 5) refuse(visit, 500);
            else probe.resolve(visit);
            return undefined;
          },
        ),
      ),
    );
    const gateway = await openTried({ config: { mcpServers: { s: { url: server.url } } } });
    const call = () => callText(gateway.url, 's__do');

    for (let failure = 0; failure < 5; failure++) expect(await call()).toMatch(/^-33016/);
    for (let refused = 0; refused < 20; refused++)
      expect(await call()).toMatch(/^-33010 .* is not given calls for now: .* tried again in \d+ s\.$/);
    expect(server.count('tools/call')).toBe(5);
    expect(await statusOf(gateway, 's')).toMatchObject({ state: 'ready', circuit: 'open', inFlight: 0 });

    await statusUntil(gateway, 's', ({ circuit }) => circuit === 'half-open');
    const probing = call();
    const asked = await probe.promise;
    expect(await Promise.all([call(), call()])).toEqual([
      expect.stringMatching(/^-33010/),
      expect.stringMatching(/^-33010/),
    ]);
    well = true;
    answer(asked, said('well'));

    expect(await probing).toBe('well');
    expect(await Promise.all([call(), call(), call()])).toEqual(['well', 'well', 'well']);
    expect(server.count('tools/call')).toBe(9);
    expect(await statusOf(gateway, 's')).toMatchObject({ circuit: 'closed' });
  },
);

test.each([
  ['a failure of its own', (visit: Visit) => refuse(visit, 500), /^-33016/],
  ['a connection that it cuts', ({ response }: Visit) => void response.socket?.resetAndDestroy(), /^-33011/],
  ['silence', () => undefined, /^-33012/],
  [
    'a page',
    ({ response }: Visit) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<p>'),
    /^-33013/,
  ],
  ['an empty answer', ({ response }: Visit) => void response.writeHead(200).end(), /^-33011/],
])('a call that ends in %s is not sent again, for nobody knows what it did', async (_, fail, error) => {
  const server = await kept(
    startScripted(
      modern(
        () => [tool('do', { annotations: { idempotentHint: true, readOnlyHint: true } })],
        (visit) => {
          if (visit.rpc === 'tools/call') fail(visit);
          return undefined;
        },
      ),
    ),
  );
  const timeouts = { total: '2s' };
  const gateway = await openTried({ config: { mcpServers: { s: { url: server.url, timeouts } } } });

  const ends = await Promise.all([1, 2, 3].map(() => callText(gateway.url, 's__do')));

  for (const end of ends) expect(end).toMatch(error);
  expect(server.count('tools/call')).toBe(3);
});

test.concurrent(
  'a server that dies soon after each start is started ever more rarely, however well it starts',
  async () => {
    const space = workspace({});
    const file = (name: string) => join(space.directory, name);
    for (const marker of ['flaps', 'exits']) writeFileSync(file(`${marker}.turned`), '');
    const entry = (name: string) =>
      fixture('evil-stdio.ts', '--mode', `start-${name}`, '--marker', file(`${name}.turned`), '--starts', file(name));
    space.write('mcp-gateway.json', { mcpServers: { flaps: entry('flaps'), exits: entry('exits') } });
    const gateway = await kept(openGateway({ space }));
    onTestFinished(() => space.remove());
    const starts = (name: string): number[] =>
      existsSync(file(name)) ? readFileSync(file(name), 'latin1').trim().split('\n').map(Number) : [];

    await until(
      () => statusOf(gateway, 'flaps'),
      () => starts('flaps').length >= 5 && starts('exits').length >= 5,
    );

    // half of each wait is random, and each is twice the one before: from 250 ms on the fourth is at least a second
    for (const name of ['flaps', 'exits']) {
      const times = starts(name);
      const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
      expect(gaps[3], gaps.join()).toBeGreaterThan(1_000);
    }
  },
);

/** A way to a port that can fall silent: what is open stays open, and nothing comes through any more; what is opened later works. */
async function startWay(port: number): Promise<{ port: number; silence(): void; stop(): Promise<void> }> {
  const open = new Set<Socket>();
  const way = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    near.pipe(far).pipe(near);
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(socket);
      socket.on('error', () => other.destroy());
      socket.once('close', () => open.delete(socket));
    }
  }).listen(0, '127.0.0.1');
  await once(way, 'listening');
  return {
    port: (way.address() as AddressInfo).port,
    silence: () => {
      for (const socket of open) socket.unpipe().pause();
    },
    stop: async () => {
      way.close();
      for (const socket of open) socket.destroy();
      if (open.size > 0) await once(way, 'close');
    },
  };
}

test.concurrent('a stream whose other end is gone without a word is found out, and opened anew', async () => {
  let stream: ServerResponse | undefined;
  const results: Readonly<Record<string, JsonObject>> = {
    initialize: { protocolVersion: '2024-11-05', capabilities: { tools: {} }, serverInfo: { name: 's', version: '1' } },
    'tools/list': { tools: [tool('do')] },
    'tools/call': said('well'),
  };
  const server = await kept(
    startScripted(({ http, rpc, id, response }) => {
      if (http === 'GET') {
        stream = response.writeHead(200, { 'content-type': 'text/event-stream' });
        stream.write('event: endpoint\ndata: /messages\n\n');
        return undefined;
      }
      response.writeHead(202).end();
      if (results[rpc]) stream?.write(`data: ${JSON.stringify({ jsonrpc: '2.0', id, result: results[rpc] })}\n\n`);
      return undefined;
    }),
  );
  const way = await kept(startWay(server.port));
  const timeouts = { connect: '1s', total: '1s' };
  const url = `http://127.0.0.1:${way.port}/sse`;
  const gateway = await openTried({ config: { mcpServers: { s: { type: 'sse', url, timeouts } } } });
  expect(await callText(gateway.url, 's__do')).toBe('well');

  way.silence();
  expect(await callText(gateway.url, 's__do')).toMatch(/^-33012/);
  const after = await until(
    () => callText(gateway.url, 's__do'),
    (text) => text === 'well',
  );

  expect(after).toBe('well');
  expect(await statusOf(gateway, 's')).toMatchObject({ state: 'ready', restarts: 1 });
});
