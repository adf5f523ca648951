// Two instances of one server: what the second offers under the same URIs is listed, read, followed, linked and completed on `/mcp` too.
import { expect, onTestFinished, test } from 'vitest';
import { CLIENTS, type ClientKind } from './harness/clients.ts';
import { type RunningGateway, workspace } from './harness/gateway.ts';
import { kept, openTried } from './harness/kept.ts';
import { startServer } from './harness/servers.ts';
import { until } from './harness/status.ts';
import { connectMatrixClient, type MatrixClient } from './matrix/client.ts';

const UPDATED = 'notifications/resources/updated';
const SERVERS = ['one', 'two'] as const;

const start = () => kept(startServer('sdk-server.ts'));

async function connect(kind: ClientKind, { url }: { url: string }): Promise<MatrixClient> {
  const client = await connectMatrixClient(kind, { url });
  onTestFinished(() => client.close());
  return client;
}

/** A gateway before two instances, configured in this order. */
async function before(order: readonly string[]): Promise<RunningGateway> {
  const servers = await Promise.all(order.map(async (name) => [name, { url: (await start()).url }] as const));
  return openTried({ config: { mcpServers: Object.fromEntries(servers) } });
}

async function listed({ sdk }: MatrixClient): Promise<string[]> {
  return (await sdk.listResources()).resources.map(({ uri }) => uri);
}

/** The text behind a URI, which must be that of the answer too. */
async function read({ sdk }: MatrixClient, uri: string): Promise<unknown> {
  const [contents] = (await sdk.readResource({ uri })).contents;
  expect(contents?.uri).toBe(uri);
  return contents && 'text' in contents ? contents.text : undefined;
}

/** The URI of the link, or of the embedded resource, in the result of a tool. */
async function linkedBy(client: MatrixClient, tool: string, args: Record<string, string> = {}): Promise<string> {
  const { content } = await client.call(tool, args);
  const [uri] = content.flatMap((block) =>
    block.type === 'resource_link' ? [block.uri] : block.type === 'resource' ? [block.resource.uri] : [],
  );
  return uri ?? 'no link';
}

const cells = CLIENTS.flatMap((kind) => [[kind, ['one', 'two']] as const, [kind, ['two', 'one']] as const]);

test.each(cells)('%s before %j: each instance can be used under URIs of its own', async (kind, order) => {
  const gateway = await before(order);
  const client = await connect(kind, gateway);
  const [first, second] = order as [string, string];
  const text = { [first]: 'fixture://text', [second]: `mcp-gateway://${second}/fixture://text` };

  expect(await listed(client)).toEqual([
    'fixture://text',
    'fixture://bytes',
    `mcp-gateway://${second}/fixture://text`,
    `mcp-gateway://${second}/fixture://bytes`,
  ]);

  const stops = await Promise.all(SERVERS.map((server) => client.follow(text[server] ?? '')));
  for (const server of [second, first, second]) {
    await client.call(`${server}__touch`);
    await client.heard.next(UPDATED, ({ uri }) => uri === text[server]);
  }
  expect(client.heard.left(UPDATED)).toEqual([]);
  expect(await read(client, text[first] ?? '')).toBe('a text, touched 1 times');
  expect(await read(client, text[second] ?? '')).toBe('a text, touched 2 times');

  await stops[SERVERS.indexOf(first as 'one')]?.();
  await client.call(`${first}__touch`);
  await client.call(`${second}__touch`);
  await client.heard.next(UPDATED);
  expect(client.heard.left(UPDATED)).toEqual([]);

  const secret = 'of both';
  const links = [
    await linkedBy(client, `${first}__show_private`, { secret }),
    await linkedBy(client, `${second}__show_private`, { secret }),
  ];
  expect(links).toEqual([`private-fixture://${secret}`, `mcp-gateway://${second}/private-fixture://${secret}`]);
  for (const link of links) expect(await read(client, link)).toBe(`what is behind private-fixture://${secret}`);
  expect(await linkedBy(client, `${second}__blob`)).toBe('fixture://blob');
  expect(await linkedBy(client, `${first}__blob`)).toBe(`mcp-gateway://${first}/fixture://blob`);

  const own = await connect(kind, { url: `${gateway.origin}/mcp/s/${second}` });
  expect(await listed(own)).toEqual(['fixture://text', 'fixture://bytes']);
  expect(await linkedBy(own, 'show_private', { secret })).toBe(links[0]);
  expect(await read(own, links[0] ?? '')).toBe(`what is behind ${links[0]}`);
});

test.each(CLIENTS)(
  '%s: a URI expanded from the second’s template, and its completion, go to the second',
  async (kind) => {
    const [one, two] = [await start(), await start()];
    const deny = { resources: { deny: ['fixture://item/9'] } };
    const config = { mcpServers: { one: { url: one.url }, two: { url: two.url, ...deny } } };
    const gateway = await openTried({ config });
    const client = await connect(kind, gateway);
    const templates = (await client.sdk.listResourceTemplates()).resourceTemplates.map(
      ({ uriTemplate }) => uriTemplate,
    );
    const [, second = ''] = templates;
    const complete = async (uri: string) =>
      (await client.sdk.complete({ ref: { type: 'ref/resource', uri }, argument: { name: 'id', value: '1' } }))
        .completion.values;

    expect(templates).toEqual(['fixture://item/{id}', 'mcp-gateway://two/fixture://item/{id}']);
    for (const template of templates) {
      expect(await read(client, template.replace('{id}', '10'))).toBe('item 10');
      expect(await complete(template)).toEqual(['1', '10']);
    }
    expect(await read(client, 'fixture://item/9')).toBe('item 9');
    await expect(client.sdk.readResource({ uri: second.replace('{id}', '9') })).rejects.toThrow(
      'Resource not found: mcp-gateway://two/fixture://item/9',
    );
    await expect(complete('mcp-gateway://three/fixture://item/{id}')).rejects.toThrow(
      'Nothing of this name is offered',
    );
  },
);

test('a server that is added before another, and a restart, change no URI that was shown, nor what follows it', async () => {
  const [one, two] = [await start(), await start()];
  const space = workspace({ mcpServers: { two: { url: two.url } } });
  onTestFinished(() => space.remove());
  const gateway = await openTried({ space });
  const client = await connect('SDK v1', gateway);
  const own = ['fixture://text', 'fixture://bytes'];
  const named = own.map((uri) => `mcp-gateway://one/${uri}`);
  const both = { mcpServers: { one: { url: one.url }, two: { url: two.url } } };

  expect(await listed(client)).toEqual(own);
  await client.follow('fixture://text');
  gateway.write('mcp-gateway.json', both);
  expect(
    await until(
      () => listed(client),
      (all) => all.length === 4,
    ),
  ).toEqual([...named, ...own]);
  await client.follow('mcp-gateway://one/fixture://text');
  for (const [server, uri] of [
    ['two', 'fixture://text'],
    ['one', 'mcp-gateway://one/fixture://text'],
  ]) {
    await client.call(`${server}__touch`);
    await client.heard.next(UPDATED);
    expect(client.heard.left(UPDATED)).toEqual([]);
    expect(await read(client, uri ?? '')).toBe('a text, touched 1 times');
  }

  await client.close();
  await gateway.stop();
  expect(await listed(await connect('SDK v1', await openTried({ space })))).toEqual([...named, ...own]);
  const fresh = await openTried({ config: both });
  expect((await listed(await connect('SDK v1', fresh))).slice(0, 2)).toEqual(own);
});
