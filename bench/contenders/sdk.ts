// The relay that most gateways are: an SDK server in front, an SDK client behind, global fetch between.
import { createServer } from 'node:http';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { listen } from '../../fixtures/servers/listen.ts';
import { serveWeb } from '../../fixtures/servers/web.ts';

const client = new Client({ name: 'relay', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } });
await client.connect(new StreamableHTTPClientTransport(new URL(process.argv[2] ?? '')));

const handler = createMcpHandler(() => {
  const { server } = new McpServer({ name: 'relay', version: '1.0.0' }, { capabilities: { tools: {} } });
  server.setRequestHandler('tools/list', ({ params }) => client.listTools(params));
  server.setRequestHandler('tools/call', ({ params }, { mcpReq }) =>
    client.callTool({ name: params.name, arguments: params.arguments ?? {} }, { signal: mcpReq.signal }),
  );
  return server;
});
listen(createServer(serveWeb((request) => handler.fetch(request))), '0');
