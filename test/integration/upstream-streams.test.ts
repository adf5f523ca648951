// Legacy Streamable HTTP servers that close their streams before the answer: to be polled, or because something broke.
import { expect, onTestFinished, test } from 'vitest';
import { connectClient } from './harness/clients.ts';
import { openGateway } from './harness/gateway.ts';
import { kept, openTried } from './harness/kept.ts';
import { answer, callText, legacy, said, startScripted, tool, type Visit } from './harness/scripted.ts';
import { startServer } from './harness/servers.ts';
import { statusOf } from './harness/status.ts';

test('a server that is polled answers every call, with its progress, and hears of a cancellation', async () => {
  const server = await kept(startServer('sdk-v1-server.ts', '--poll', '50'));
  const gateway = await openTried({ config: { mcpServers: { s: { url: server.url, isolation: 'shared' } } } });
  const client = await connectClient('SDK v2 legacy', { url: gateway.url });
  onTestFinished(() => client.close());

  const texts = await Promise.all(
    Array.from({ length: 20 }, (_, index) => callText(gateway.url, 's__echo', { text: `call ${index}` })),
  );
  const progress: number[] = [];
  const slow = await client.callTool(
    { name: 's__slow', arguments: { ms: 600, steps: 3 } },
    { onprogress: (step) => progress.push(step.progress) },
  );
  const leaving = new AbortController();
  const left = client.callTool(
    { name: 's__slow', arguments: { ms: 20_000, steps: 200 } },
    { signal: leaving.signal, onprogress: () => leaving.abort() },
  );
  await expect(left).rejects.toThrow();

  expect(texts).toEqual(Array.from({ length: 20 }, (_, index) => `call ${index}`));
  expect(slow.content).toEqual([{ type: 'text', text: 'done after 3 steps' }]);
  expect(progress).toEqual([1, 2, 3]);
  expect(await callText(gateway.url, 's__aborted')).toBe('1');
  expect(await statusOf(gateway, 's')).toMatchObject({ state: 'ready', restarts: 0, version: '2025-11-25' });
});

test('a stream that breaks after an event id is read on; one that breaks without one fails the call, which is not sent again', async () => {
  const calls = new Map<string, Visit>();
  const sessions = new Set<string>();
  const server = await kept(
    startScripted(
      legacy(
        () => [tool('resumable'), tool('plain')],
        sessions,
        (visit) => {
          const { http, rpc, response, headers, params } = visit;
          if (rpc === 'tools/call') {
            const id = params.name === 'resumable' ? 'id: 7\n' : '';
            calls.set('7', visit);
            response.writeHead(200, { 'content-type': 'text/event-stream' });
            response.write(`${id}data: \n\n`, () => response.socket?.resetAndDestroy());
          } else if (http === 'GET' && headers['last-event-id'] !== undefined) {
            const call = calls.get(String(headers['last-event-id']));
            if (call) answer({ ...visit, id: call.id }, said('after all'));
          }
          return undefined;
        },
      ),
    ),
  );
  const gateway = await kept(openGateway({ config: { mcpServers: { s: { url: server.url, isolation: 'shared' } } } }));

  expect(await callText(gateway.url, 's__resumable')).toBe('after all');
  expect(await callText(gateway.url, 's__plain')).toMatch(/^-33011 /);
  expect(server.count('tools/call')).toBe(2);
  expect(server.count('initialize')).toBe(1);
});
