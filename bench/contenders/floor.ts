// The floor: the barest relay that Node can be. It reads a body, passes it on with undici, and sends the answer back unread.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Pool } from 'undici';
import { listen } from '../../fixtures/servers/listen.ts';

const upstream = new URL(process.argv[2] ?? '');
const pool = new Pool(upstream.origin, { connections: 64 });
const PASSED = ['content-type', 'accept', 'mcp-protocol-version', 'mcp-method', 'mcp-name'];

async function relay(request: IncomingMessage, response: ServerResponse, body: Buffer): Promise<void> {
  const headers: Record<string, string> = {};
  for (const name of PASSED) {
    const value = request.headers[name];
    if (typeof value === 'string') headers[name] = value;
  }
  const answer = await pool.request({ method: 'POST', path: upstream.pathname, headers, body });
  const content = Buffer.from(await answer.body.arrayBuffer());
  response.writeHead(answer.statusCode, { 'content-type': 'application/json', 'content-length': content.length });
  response.end(content);
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    relay(request, response, Buffer.concat(chunks)).catch((error: unknown) => {
      process.stderr.write(`the relay failed: ${String(error)}\n`);
      response.destroy();
    });
  });
});
listen(server, '0');
