// What the gateway offers: every page of every list, nothing that would break a client, and one answer for what is not to be used.
import { expect, test } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { passBinary } from './harness/binary.ts';
import { CLIENTS, connectClient } from './harness/clients.ts';
import { openGateway } from './harness/gateway.ts';
import { kept, openTried } from './harness/kept.ts';
import {
  ask,
  callText,
  modern,
  openEvents,
  said,
  startScripted,
  tool,
  toolNames,
  type Visit,
} from './harness/scripted.ts';
import { startServer } from './harness/servers.ts';
import { statusOf, statusUntil, until } from './harness/status.ts';

const list = (tools: readonly JsonObject[], nextCursor?: string): JsonObject => ({
  resultType: 'complete',
  ttlMs: 0,
  cacheScope: 'public',
  tools: [...tools],
  ...(nextCursor !== undefined && { nextCursor }),
});

/** A server whose pages are made by `page`. */
function paged(page: (cursor: number) => JsonObject): ReturnType<typeof startScripted> {
  return kept(
    startScripted(
      modern(
        () => [],
        (visit) => {
          if (visit.rpc === 'tools/call') return said('called');
          return visit.rpc === 'tools/list' ? page(Number(visit.params.cursor ?? 0)) : undefined;
        },
        { tools: { listChanged: true } },
      ),
    ),
  );
}

test('all pages are read; lists that have no end or are too long cost nothing but themselves', async () => {
  const pages = await paged((cursor) => list([tool(`t${cursor}`)], cursor < 29 ? String(cursor + 1) : undefined));
  const empty = await paged(() => list([tool('only')], ''));
  const circle = await paged((cursor) => list([tool(`t${cursor}`)], String((cursor + 1) % 5)));
  const endless = await paged((cursor) => list([], String(cursor + 1)));
  const crowd = await paged(() => list(Array.from({ length: 10_001 }, (_, index) => tool(`t${index}`))));
  const gateway = await openTried({
    config: {
      mcpServers: {
        pages: { url: pages.url },
        empty: { url: empty.url },
        circle: { url: circle.url },
        endless: { url: endless.url },
        crowd: { url: crowd.url },
      },
    },
  });

  const names = await toolNames(gateway.url);

  expect(names).toEqual([...Array.from({ length: 30 }, (_, index) => `pages__t${index}`), 'empty__only']);
  expect((await statusOf(gateway, 'circle')).warnings).toEqual([expect.stringContaining('run in a circle')]);
  expect((await statusOf(gateway, 'endless')).warnings).toEqual([expect.stringContaining('more than 1000 pages')]);
  expect((await statusOf(gateway, 'crowd')).warnings).toEqual([expect.stringContaining('more than 10000 entries')]);
  expect(endless.count('tools/list')).toBe(1_000);
});

test('an entry that is too large for everybody’s list is left out alone, with a warning', async () => {
  const large = tool('large', { description: 'd'.repeat(256 * 1024) });
  const server = await paged(() =>
    list([tool('before'), large, tool('after', { description: 'd'.repeat(200 * 1024) })]),
  );
  const gateway = await openTried({ config: { mcpServers: { s: { url: server.url } } } });

  expect(await toolNames(gateway.url)).toEqual(['s__before', 's__after']);
  expect((await statusOf(gateway, 's')).warnings).toEqual([
    'entries of tools/list that are over 262144 bytes are not offered: 1',
  ]);
});

test('a list that breaks later keeps its last good entries, and its tools still work', async () => {
  let broken = false;
  let news: ((message: JsonObject) => void) | undefined;
  const server = await kept(
    startScripted(
      modern(
        () => [tool('good')],
        (visit) => {
          if (visit.rpc === 'subscriptions/listen') {
            const send = openEvents(visit);
            const meta = { _meta: { 'io.modelcontextprotocol/subscriptionId': visit.id ?? 0 } };
            send({ method: 'notifications/subscriptions/acknowledged', params: { notifications: {}, ...meta } });
            news = () => send({ method: 'notifications/tools/list_changed', params: meta });
          }
          if (visit.rpc === 'tools/call') return said('works');
          return broken && visit.rpc === 'tools/list' ? list([tool('bad')], '0') : undefined;
        },
        { tools: { listChanged: true } },
      ),
    ),
  );
  const gateway = await kept(openGateway({ config: { mcpServers: { s: { url: server.url } } } }));
  await server.visited((visit) => visit.rpc === 'subscriptions/listen');

  broken = true;
  news?.({});
  const status = await statusUntil(gateway, 's', ({ warnings }) => warnings.length > 0);

  expect(status).toMatchObject({ state: 'ready', tools: 1 });
  expect(await toolNames(gateway.url)).toEqual(['s__good']);
  expect(await callText(gateway.url, 's__good')).toBe('works');
});

test.each(CLIENTS)('one malformed definition is left out alone, with a warning: %s reads the rest', async (kind) => {
  const server = await paged(() =>
    list([
      tool('fine'),
      tool('fine'),
      tool('header', {
        inputSchema: { type: 'object', properties: { a: { type: 'string', 'x-mcp-header': 'no good' } } },
      }),
      { name: 'schemaless' },
      tool('stringly', { inputSchema: { type: 'string' } }),
      tool('describes', { description: null }),
      tool('annotated', { annotations: 'yes' }),
      { name: 7, inputSchema: { type: 'object' } },
      tool('odd but fine', { 'x-unknown': [1], outputSchema: { type: 'object' }, annotations: { readOnlyHint: true } }),
    ]),
  );
  const gateway = await openTried({ config: { mcpServers: { s: { url: server.url } } } });
  const client = await connectClient(kind, { url: gateway.url });

  const { tools } = await client.listTools();
  await client.close();

  expect(tools.map(({ name }) => name)).toEqual(['s__fine', 's__odd_but_fine']);
  const { warnings } = await statusOf(gateway, 's');
  expect(warnings.map((warning) => /^the tool "(\w+)"/.exec(warning)?.[1])).toEqual([
    'fine',
    'header',
    'schemaless',
    'stringly',
    'describes',
    'annotated',
  ]);
});

test('lists and calls agree: what patterns take out of a list is answered as if it did not exist', async () => {
  const server = await kept(startServer('sdk-server.ts', '--era', 'modern'));
  const gateway = await openTried({
    config: {
      mcpServers: {
        s: {
          url: server.url,
          tools: { allow: ['e*', 'add'], deny: ['echo'] },
          prompts: { deny: ['greet'] },
          resources: { deny: ['fixture://bytes', 'fixture://item/{id}'] },
        },
        open: { url: server.url },
      },
    },
  });
  const url = `${gateway.origin}/mcp/s/s`;

  const uris = ((await ask(url, 'resources/list')).result?.resources as { uri: string }[]).map(({ uri }) => uri);

  expect((await toolNames(gateway.url)).filter((name) => name.startsWith('s__'))).toEqual(['s__add']);
  expect(await toolNames(url)).toEqual(['add']);
  expect(await callText(gateway.url, 's__echo')).toBe('-32602 Unknown tool: s__echo');
  expect(await callText(gateway.url, 's__nothing')).toBe('-32602 Unknown tool: s__nothing');
  expect(await callText(gateway.url, 'open__echo', { text: 'yes' })).toBe('yes');
  expect(uris).toEqual(['fixture://text']);
  expect((await ask(url, 'resources/read', { uri: 'fixture://bytes' })).error?.message).toContain('not found');
  expect((await ask(url, 'prompts/get', { name: 'greet' })).error?.message).toBe('Unknown prompt: greet');
  const completion = { ref: { type: 'ref/prompt', name: 'greet' }, argument: { name: 'language', value: 'e' } };
  expect((await ask(url, 'completion/complete', completion)).error?.code).toBe(-32602);
});

test('a URI that two servers offer leads to the first that the caller may read, and the other one’s names its server', async () => {
  const uris = (text: string) => (visit: Visit) => {
    if (visit.rpc === 'resources/list')
      return {
        resultType: 'complete',
        ttlMs: 0,
        cacheScope: 'public',
        resources: [{ uri: 'x://shared', name: 'shared' }],
      };
    if (visit.rpc === 'resources/templates/list')
      return { resultType: 'complete', ttlMs: 0, cacheScope: 'public', resourceTemplates: [] };
    if (visit.rpc !== 'resources/read') return undefined;
    return { resultType: 'complete', ttlMs: 0, cacheScope: 'public', contents: [{ uri: 'x://shared', text }] };
  };
  const [one, two] = [
    await kept(startScripted(modern(() => [], uris('from one'), { resources: {} }))),
    await kept(startScripted(modern(() => [], uris('from two'), { resources: {} }))),
  ];
  const config = (deny: string[]) => ({
    mcpServers: { one: { url: one.url, resources: { deny } }, two: { url: two.url } },
  });
  const gateway = await openTried({ config: config([]) });
  const read = async (uri: string) => {
    const { result, error } = await ask(gateway.url, 'resources/read', { uri });
    const [contents] = (result?.contents ?? []) as { uri: string; text: string }[];
    return contents ? `${contents.text} at ${contents.uri}` : error?.message;
  };
  const listed = async () =>
    ((await ask(gateway.url, 'resources/list')).result?.resources as { name: string; uri: string }[]).map(
      ({ name, uri }) => `${name}: ${uri}`,
    );
  const second = 'mcp-gateway://two/x://shared';

  expect(await listed()).toEqual(['shared: x://shared', `shared (two): ${second}`]);
  expect(await read('x://shared')).toBe('from one at x://shared');
  expect(await read(second)).toBe(`from two at ${second}`);
  expect(await read('mcp-gateway://one/x://shared')).toBe('from one at mcp-gateway://one/x://shared');
  expect(await read('mcp-gateway://two/x://other')).toBe('Resource not found: mcp-gateway://two/x://other');
  gateway.write('mcp-gateway.json', config(['x://*']));
  await until(listed, (all) => all.length === 1);

  expect(await listed()).toEqual([`shared (two): ${second}`]);
  expect(await read('x://shared')).toBe('from two at x://shared');
  expect(await read(second)).toBe(`from two at ${second}`);
  expect(await read('mcp-gateway://one/x://shared')).toBe('Resource not found: mcp-gateway://one/x://shared');
});

test('completions go to the server of their prompt or template', async () => {
  const server = await kept(startServer('sdk-server.ts', '--era', 'modern'));
  const gateway = await openTried({ config: { mcpServers: { s: { url: server.url }, t: { url: server.url } } } });
  const complete = async (ref: JsonObject, name: string) =>
    (
      (await ask(gateway.url, 'completion/complete', { ref, argument: { name, value: '1' === name ? '' : 'e' } }))
        .result?.completion as JsonObject | undefined
    )?.values;

  expect(await complete({ type: 'ref/prompt', name: 't__greet' }, 'language')).toEqual(['english', 'estonian']);
  expect(await complete({ type: 'ref/resource', uri: 'fixture://item/{id}' }, '1')).toEqual(['1', '2', '10']);
});

test('binary content is the same behind every pair of client and server', () => passBinary(1024 * 1024));
