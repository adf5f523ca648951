// Bytes that must not change on their way from any kind of server to any kind of client.
import { createHash, randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import { CLIENTS, connectClient } from './clients.ts';
import { fixture } from './gateway.ts';
import { kept, openTried } from './kept.ts';
import { modern, startScripted, tool } from './scripted.ts';
import { startServer } from './servers.ts';

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

/** Has every kind of client get so many random bytes from every kind of server. */
export async function passBinary(bytes: number): Promise<void> {
  const content = randomBytes(bytes);
  const resource = { uri: 'x://blob', blob: content.toString('base64') };
  const own = await kept(
    startScripted(
      modern(
        () => [tool('blob')],
        ({ rpc }) =>
          rpc === 'tools/call' ? { resultType: 'complete', content: [{ type: 'resource', resource }] } : undefined,
      ),
    ),
  );
  const http = await kept(startServer('sdk-server.ts', '--era', 'modern'));
  const old = await kept(startServer('sdk-v1-server.ts'));
  const mcpServers = {
    own: { url: own.url },
    http: { url: http.url },
    old: { url: old.url },
    pipe: fixture('sdk-server.ts', '--transport', 'stdio', '--era', 'modern'),
    oldpipe: fixture('sdk-v1-server.ts', '--transport', 'stdio'),
  };
  const gateway = await openTried({ config: { mcpServers } });

  for (const kind of CLIENTS) {
    const client = await connectClient(kind, { url: gateway.url });
    for (const server of Object.keys(mcpServers)) {
      const { content: blocks } = await client.callTool({ name: `${server}__blob`, arguments: { bytes } });
      const [embedded, sum] = blocks as unknown as [{ resource: { blob: string } }, { text: string }?];
      const got = sha256(Buffer.from(embedded.resource.blob, 'base64'));
      expect([kind, server, got]).toEqual([kind, server, sum?.text ?? sha256(content)]);
    }
    await client.close();
  }
}
