// The first list that a client asks for, while servers are still being started: clients that list once have all tools.
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { onTestFinished, tellTestsApart } from '../apart.ts';
import { type ClientKind, connectClient, type Place } from './harness/clients.ts';
import { place } from './harness/command-line.ts';
import { fixture, type OpenOptions, openGateway, type Workspace } from './harness/gateway.ts';
import { statusOf, statusUntil } from './harness/status.ts';

tellTestsApart();

/** Longer than an answer was once waited for, and shorter than it is now. */
const LATE_MS = '3000';

/** A configuration with a server that starts as late as its file says. */
function withLate(late: string, others: object = {}): Workspace {
  const space = place();
  space.write('late', late);
  space.write('mcp-gateway.json', {
    mcpServers: { late: fixture('late-stdio.ts', join(space.directory, 'late')), ...others },
  });
  return space;
}

async function served(options: OpenOptions) {
  const gateway = await openGateway(options);
  onTestFinished(async () => {
    await gateway.stop();
  });
  return gateway;
}

async function firstList(kind: ClientKind, to: Place): Promise<string[]> {
  const client = await connectClient(kind, to);
  onTestFinished(() => client.close());
  return (await client.listTools()).tools.map(({ name }) => name);
}

describe.concurrent('a server that was never seen is waited for', () => {
  test.each(['SDK v1', 'SDK v2 legacy', 'SDK v2 modern'] as const)('by %s over HTTP', async (kind) => {
    const { url } = await served({ space: withLate(LATE_MS) });

    expect(await firstList(kind, { url })).toContain('late__echo');
  });

  test.each(['SDK v1', 'SDK v2 modern'] as const)('by %s over stdio', async (kind) => {
    expect(await firstList(kind, withLate(LATE_MS))).toContain('late__echo');
  });

  test('for 10 s at most, though it may take longer to start', async () => {
    const { url } = await served({ space: withLate('never', { echo: fixture('echo-stdio.ts') }) });

    const began = performance.now();
    const names = await firstList('SDK v2 legacy', { url });

    expect(names).toContain('echo__echo');
    expect(performance.now() - began).toBeLessThan(13_000);
  });

  test('but not where another one is asked', async () => {
    const gateway = await served({ space: withLate('never', { echo: fixture('echo-stdio.ts') }) });

    expect(await firstList('SDK v2 legacy', { url: `${gateway.origin}/mcp/s/echo` })).toContain('echo');
    expect((await statusOf(gateway, 'late')).state).toBe('connecting');
  });
});

test.concurrent('a first list ends as soon as every server has been tried, however that went', async () => {
  const { url } = await served({
    config: { mcpServers: { dead: { command: 'false' }, none: { command: '/no/such' } } },
  });

  const began = performance.now();
  const names = await firstList('SDK v2 legacy', { url });

  expect(names).toEqual([]);
  expect(performance.now() - began).toBeLessThan(9_000);
});

test.concurrent('a server that is known delays nobody, however slow it starts', async () => {
  const space = withLate('0');
  const before = await openGateway({ space });
  await statusUntil(before, 'late', ({ state }) => state === 'ready');
  await before.stop();
  space.write('late', 'never');
  const gateway = await served({ space });

  const names = await firstList('SDK v2 legacy', { url: gateway.url });

  expect(names).toContain('late__echo');
  expect((await statusOf(gateway, 'late')).state).toBe('connecting');
});
