// Caching hints of servers: what may have changed without a word is read again, and what is private is said to be so.
import { expect, test } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { kept, openTried } from './harness/kept.ts';
import { ask, modern, said, startScripted, tool } from './harness/scripted.ts';
import { until } from './harness/status.ts';

interface Hints extends JsonObject {
  ttlMs: number;
  cacheScope: string;
}

/** A server that never says that its tools changed; counts how often they are read. */
async function quiet(hints: Hints, tools: string[], more: JsonObject = {}) {
  let reads = 0;
  const server = await kept(
    startScripted(
      modern(
        () => [],
        ({ rpc }) => {
          if (rpc === 'tools/call') return said('called');
          if (rpc !== 'tools/list') return undefined;
          reads++;
          return { resultType: 'complete', ...hints, tools: tools.map((name) => tool(name)) };
        },
        more,
      ),
    ),
  );
  return { url: server.url, reads: () => reads };
}

const namesIn = ({ result }: { result?: JsonObject }) => (result?.tools as { name: string }[]).map(({ name }) => name);

test('a list whose time is over is read again when it is asked for, once for all who ask; one that holds, or whose server tells of changes, is not', async () => {
  const tools = ['one'];
  const [old, holds, tells] = [
    await quiet({ ttlMs: 0, cacheScope: 'public' }, tools),
    await quiet({ ttlMs: 3_600_000, cacheScope: 'public' }, ['one']),
    await quiet({ ttlMs: 0, cacheScope: 'public' }, ['one'], { tools: { listChanged: true } }),
  ];
  const servers = { old: { url: old.url }, holds: { url: holds.url }, tells: { url: tells.url } };
  const gateway = await openTried({ config: { mcpServers: servers } });
  const before = [holds.reads(), tells.reads()];
  tools.push('two');
  const lists = await until(
    () => Promise.all([1, 2, 3].map(() => ask(gateway.url, 'tools/list'))),
    ([first]) => first !== undefined && namesIn(first).includes('old__two'),
  );

  expect(lists.map(namesIn)).toEqual([1, 2, 3].map(() => ['old__one', 'old__two', 'holds__one', 'tells__one']));
  expect(old.reads()).toBe(2);
  expect([holds.reads(), tells.reads()]).toEqual(before);
});

test('a name that nobody offers is looked for at a server whose list may be old', async () => {
  const tools = ['one'];
  const server = await quiet({ ttlMs: 0, cacheScope: 'public' }, tools);
  const gateway = await openTried({ config: { mcpServers: { s: { url: server.url } } } });
  tools.push('two');
  const answer = await until(
    () => ask(gateway.url, 'tools/call', { name: 's__two' }),
    ({ result }) => result !== undefined,
  );

  expect(answer.result?.content).toEqual([{ type: 'text', text: 'called' }]);
});

test('a merged list is public only if every part of it is', async () => {
  const [open, own] = [
    await quiet({ ttlMs: 3_600_000, cacheScope: 'public' }, ['one']),
    await quiet({ ttlMs: 3_600_000, cacheScope: 'private' }, ['two']),
  ];
  const gateway = await openTried({ config: { mcpServers: { open: { url: open.url }, own: { url: own.url } } } });
  const scopeAt = async (url: string) => (await ask(url, 'tools/list')).result?.cacheScope;

  expect(await scopeAt(`${gateway.origin}/mcp/s/open`)).toBe('public');
  expect(await scopeAt(`${gateway.origin}/mcp/s/own`)).toBe('private');
  expect(await scopeAt(gateway.url)).toBe('private');
});
