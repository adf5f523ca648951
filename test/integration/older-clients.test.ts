// What a server of 2026-07-28 says in ways that older clients do not know reaches them in ways that they do.
import { expect, test } from 'vitest';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { type ElicitRequest, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import type { JsonObject } from '../../src/core/json.ts';
import { CLIENTS, connectClient, transportV1 } from './harness/clients.ts';
import { fixture } from './harness/gateway.ts';
import { kept, openTried } from './harness/kept.ts';
import { modern, startScripted, tool } from './harness/scripted.ts';
import { statusOf } from './harness/status.ts';

const text = { type: 'text', text: 'hi' };
const audio = { type: 'audio', data: Buffer.from('12345').toString('base64'), mimeType: 'audio/wav' };
const video = { type: 'video', uri: 'x://film', mimeType: 'video/mp4' };

const ITEMS = { type: 'array', items: { $ref: '#/$defs/Item' }, $defs: { Item: { type: 'string' } } };
const TOOLS = [
  tool('items', { outputSchema: ITEMS }),
  tool('perhaps', { outputSchema: { anyOf: [{ type: 'object', required: ['a'] }, { type: 'null' }] } }),
  tool('any', { outputSchema: {} }),
  tool('dangling', { outputSchema: { type: 'object', properties: { a: { $ref: '#/$defs/None' } } } }),
  tool('loose', { inputSchema: { type: 'object', properties: { a: true } } }),
  tool('shows'),
];
const GIVEN: Readonly<Record<string, JsonObject>> = {
  items: { structuredContent: ['a'], content: [] },
  perhaps: { structuredContent: { a: 1 }, content: [text] },
  any: { structuredContent: { a: 1 }, content: [text] },
  shows: { content: [text, audio, video] },
};

const server = () =>
  kept(
    startScripted(
      modern(
        () => TOOLS,
        ({ rpc, params }) =>
          rpc === 'tools/call' ? { resultType: 'complete', ...GIVEN[params.name as string] } : undefined,
      ),
    ),
  );

test.each(CLIENTS)('structured content is what its schema says, to %s', async (kind) => {
  const { url } = await server();
  const gateway = await openTried({ config: { mcpServers: { s: { url } } } });
  const client = await connectClient(kind, { url: gateway.url });

  const { tools } = await client.listTools();
  const given = (name: string) => client.callTool({ name: `s__${name}`, arguments: {} });
  const results = [await given('items'), await given('perhaps'), await given('any')];
  await client.close();

  const wrapped = kind !== 'SDK v2 modern';
  expect(tools.map(({ name }) => name)).toEqual(TOOLS.map(({ name }) => `s__${name as string}`));
  expect(results.map(({ structuredContent }) => structuredContent)).toEqual(
    [['a'], { a: 1 }, { a: 1 }].map((structured) => (wrapped ? { result: structured } : structured)),
  );
  expect(results[0]?.content).toEqual(wrapped ? [{ type: 'text', text: '["a"]' }] : []);
  expect((await statusOf(gateway, 's')).warnings).toEqual([
    expect.stringContaining('the tool "dangling" is offered to older clients without its outputSchema'),
  ]);
});

test('a type of content that the SDK of an older client does not know is told in words', async () => {
  const { url } = await server();
  const gateway = await openTried({ config: { mcpServers: { s: { url } } } });
  const client = await connectClient('SDK v1', { url: gateway.url });

  const { content } = await client.callTool({ name: 's__shows', arguments: {} });
  await client.close();

  expect(content).toEqual([text, audio, { type: 'text', text: '[video: x://film, video/mp4]' }]);
});

test.each([
  ['a server of those times', ['sdk-v1-server.ts', '--transport', 'stdio']],
  ['a server of 2026-07-28', ['sdk-server.ts', '--transport', 'stdio', '--era', 'modern']],
])('a client of 2024-11-05 that declares elicitation is asked by %s', async (_, [name = '', ...args]) => {
  const gateway = await openTried({ config: { mcpServers: { s: fixture(name, ...args) } } });
  const client = new Client({ name: 'old', version: '1' }, { capabilities: { elicitation: {} } });
  const asked: ElicitRequest['params'][] = [];
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
    asked.push(params);
    return { action: 'accept', content: { color: 'red' } };
  });
  const transport = transportV1({ url: gateway.url });
  const send = transport.send.bind(transport);
  transport.send = (message, options) =>
    'method' in message && message.method === 'initialize'
      ? send({ ...message, params: { ...message.params, protocolVersion: '2024-11-05' } }, options)
      : send(message, options);
  await client.connect(transport);

  const { content } = await client.callTool({ name: 's__ask_form', arguments: { label: 'which' } });
  await client.close();

  expect(asked).toMatchObject([{ message: 'which' }]);
  expect(asked[0]).not.toHaveProperty('mode');
  expect(content).toMatchObject([{ text: expect.stringContaining('"color":"red"') as string }]);
});
