// Every kind of client that is deployed uses several real servers as one, over HTTP and over stdio.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CLIENTS, connectClient } from './harness/clients.ts';
import { fixture, type RunningGateway, openGateway } from './harness/gateway.ts';
import { insideOf } from './harness/inside.ts';
import { type RunningServer, startServer } from './harness/servers.ts';

let http: RunningServer;
let gateway: RunningGateway;

beforeAll(async () => {
  http = await startServer('sdk-server.ts', '--era', 'modern', '--transport', 'http');
  gateway = await openGateway({
    config: {
      mcpServers: {
        everything: { command: 'npx', args: ['-y', '@modelcontextprotocol/server-everything'], cwd: process.cwd() },
        web: { url: http.url },
        echo: fixture('echo-stdio.ts'),
      },
    },
  });
  await gateway.attempted();
}, 60_000);

afterAll(async () => {
  await gateway.stop();
  await http.stop();
});

describe.each(CLIENTS)('%s', (kind) => {
  describe.each(['Streamable HTTP', 'stdio'])('over %s', (transport) => {
    test('lists and calls the tools of all servers, and the log has every call', async () => {
      const client = await connectClient(
        kind,
        transport === 'stdio' ? { config: gateway.config, state: gateway.state } : { url: gateway.url },
      );
      const text = `hello from ${kind} over ${transport}`;

      const { tools } = await client.listTools();
      const everything = await client.callTool({ name: 'everything__echo', arguments: { message: text } });
      const web = await client.callTool({ name: 'web__echo', arguments: { text } });
      await client.close();

      expect(tools.map((tool) => tool.name)).toEqual(
        expect.arrayContaining(['everything__echo', 'web__echo', 'echo__echo']),
      );
      expect(everything.content).toEqual([{ type: 'text', text: `Echo: ${text}` }]);
      expect(web.content).toEqual([{ type: 'text', text }]);
      const { stdout } = await insideOf(gateway)(
        'audit',
        'query',
        '--json',
        '--text',
        kind.replaceAll(' ', '-'),
        '--method',
        'tools/call',
      );
      const rows = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { exposed: string; status: string; downstream: { transport: string } });
      const wanted = transport === 'stdio' ? 'stdio' : 'streamable-http';
      expect(rows.filter((row) => row.downstream.transport === wanted).map((row) => [row.exposed, row.status])).toEqual(
        [
          ['web__echo', 'ok'],
          ['everything__echo', 'ok'],
        ],
      );
    });
  });
});
