// Servers that speak HTTP+SSE, used through the gateway: what a client sees of them, and how they are found.
import { createHash } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { connectClient } from './harness/clients.ts';
import { openGateway, workspace } from './harness/gateway.ts';
import { kept, openTried } from './harness/kept.ts';
import { callText, legacy, refuse, startScripted, tool, toolNames } from './harness/scripted.ts';
import { startServer } from './harness/servers.ts';
import { statusOf, statusUntil, until } from './harness/status.ts';

const sse = () => kept(startServer('sdk-v1-server.ts', '--transport', 'sse'));

test('a client lists, calls, follows progress, cancels, reads, and hears of changes, as with any other server', async () => {
  const server = await sse();
  const gateway = await openTried({ config: { mcpServers: { s: { type: 'sse', url: server.url } } } });
  const client = await connectClient('SDK v2 legacy', { url: gateway.url });
  onTestFinished(() => client.close());

  const { tools } = await client.listTools();
  const progress: number[] = [];
  const slow = await client.callTool(
    { name: 's__slow', arguments: { ms: 60, steps: 3 } },
    { onprogress: (step) => progress.push(step.progress) },
  );
  const blob = await client.callTool({ name: 's__blob', arguments: { bytes: 3_000_000 } });
  const failed = client.callTool({ name: 's__throw', arguments: { code: -32_099 } });
  await expect(failed).rejects.toMatchObject({ code: -32_099 });
  const read = await client.readResource({ uri: 'fixture://text' });
  await client.callTool({ name: 's__add_tool', arguments: { name: 'late' } });
  await until(
    () => toolNames(gateway.url),
    (names) => names.includes('s__late'),
  );

  const leaving = new AbortController();
  const left = client.callTool(
    { name: 's__slow', arguments: { ms: 20_000, steps: 200 } },
    { signal: leaving.signal, onprogress: () => leaving.abort() },
  );
  await expect(left).rejects.toThrow();
  await until(
    () => callText(gateway.url, 's__aborted'),
    (count) => count === '1',
  );

  expect(tools.map(({ name }) => name)).toContain('s__echo');
  expect(slow.content).toEqual([{ type: 'text', text: 'done after 3 steps' }]);
  expect(progress).toEqual([1, 2, 3]);
  const [resource, sum] = blob.content as unknown as [{ resource: { blob: string } }, { text: string }];
  const bytes = Buffer.from(resource.resource.blob, 'base64');
  expect(createHash('sha256').update(bytes).digest('hex')).toBe(sum.text);
  expect(read.contents).toMatchObject([{ uri: 'fixture://text' }]);
  expect(await statusOf(gateway, 's')).toMatchObject({ state: 'ready', transport: 'sse', era: 'legacy' });
});

test('a URL of Streamable HTTP that turns out to be one of HTTP+SSE is used as such, at every start', async () => {
  const server = await sse();
  const space = workspace({ mcpServers: { s: { url: server.url } } });

  for (const text of ['first', 'second']) {
    const gateway = await openGateway({ space });
    await gateway.attempted();
    expect(await callText(gateway.url, 's__echo', { text })).toBe(text);
    expect(await statusOf(gateway, 's')).toMatchObject({ state: 'ready', transport: 'sse' });
    await gateway.stop();
  }
  space.remove();
});

test.each([400, 404, 405])(
  'what refuses initialize with HTTP %i and is no HTTP+SSE either is told as what it was meant to be',
  async (status) => {
    const server = await kept(
      startScripted((visit) => {
        if (visit.http === 'GET') visit.response.writeHead(200, { 'content-type': 'text/html' }).end('<p>hello</p>');
        else refuse(visit, status);
        return undefined;
      }),
    );
    const gateway = await openTried({ config: { mcpServers: { s: { url: server.url } } } });

    const { lastError } = await statusOf(gateway, 's');

    expect(lastError).toContain('its URL is not a Streamable HTTP endpoint of MCP');
    expect(server.seen.some(({ http }) => http === 'GET')).toBe(true);
  },
);

test('credentials, load and failures of a server are no reason to take it for HTTP+SSE', async () => {
  const server = await kept(
    startScripted((visit) => {
      refuse(visit, 503);
      return undefined;
    }),
  );
  const gateway = await openTried({ config: { mcpServers: { s: { url: server.url } } } });

  expect((await statusOf(gateway, 's')).lastError).toContain('HTTP 503');
  expect(server.seen.map(({ http }) => http)).not.toContain('GET');
});

test('a stream that ends takes its calls with it and is opened again; other servers notice nothing', async () => {
  const server = await startServer('sdk-v1-server.ts', '--transport', 'sse');
  const { port } = new URL(server.url);
  const other = await kept(
    startScripted(
      legacy(
        () => [tool('echo')],
        new Set(),
        (visit) => (visit.rpc === 'tools/call' ? { content: [{ type: 'text', text: 'still here' }] } : undefined),
      ),
    ),
  );
  const gateway = await openTried({
    config: { mcpServers: { s: { type: 'sse', url: server.url }, other: { url: other.url } } },
  });
  const client = await connectClient('SDK v2 modern', { url: gateway.url });
  onTestFinished(() => client.close());

  const running = Promise.withResolvers<void>();
  const lost = client.callTool(
    { name: 's__slow', arguments: { ms: 20_000, steps: 2 } },
    { onprogress: () => running.resolve() },
  );
  lost.catch(() => undefined); // looked at below
  await running.promise;
  await server.stop();
  await expect(lost).rejects.toMatchObject({ code: -33_011 });
  const meanwhile = await callText(gateway.url, 'other__echo');
  await kept(startServer('sdk-v1-server.ts', '--transport', 'sse', '--port', port));
  await statusUntil(gateway, 's', ({ state }) => state === 'ready');

  expect(meanwhile).toBe('still here');
  expect(await callText(gateway.url, 's__echo', { text: 'back' })).toBe('back');
});
