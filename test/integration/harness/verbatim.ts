// A gateway with the verbatim server behind it on every transport and in every era, and requests whose text the test writes itself.
import { fixture, type RunningGateway, openGateway } from './gateway.ts';
import { type Answer, MODERN, modernMeta, openSession, send } from './raw.ts';
import { type RunningServer, startServer } from './servers.ts';

/** The servers, by the name that the gateway has for them. */
export const SERVERS = ['stdio_legacy', 'stdio_modern', 'json_legacy', 'json_modern', 'stream_legacy', 'sse_legacy'];

export type ClientEra = 'legacy' | 'modern';

export interface VerbatimGateway {
  readonly gateway: RunningGateway;
  /** Calls a tool of a server with these arguments, written by the test; `id` is written as it is. */
  call(era: ClientEra, name: string, sent?: { args?: string; id?: string }): Promise<Answer>;
  stop(): Promise<void>;
}

export async function startVerbatim(config: object = {}): Promise<VerbatimGateway> {
  const running: RunningServer[] = [];
  const mcpServers: Record<string, object> = {};
  for (const name of SERVERS) {
    const [transport = '', era = ''] = name.split('_');
    const args = ['--transport', transport, '--era', era];
    if (transport === 'stdio') mcpServers[name] = fixture('verbatim.ts', ...args);
    else {
      const server = await startServer('verbatim.ts', ...args);
      running.push(server);
      mcpServers[name] = { url: server.url, ...(transport === 'sse' && { type: 'sse' }) };
    }
  }
  const gateway = await openGateway({ config: { mcpServers, ...config } });
  await gateway.attempted();
  const session = await openSession(gateway.origin);
  return {
    gateway,
    call: (era, name, { args = '{}', id = '1' } = {}) => {
      const head = { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream' };
      const meta = era === 'modern' ? `,"_meta":${JSON.stringify(modernMeta())}` : '';
      const body = `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${name}","arguments":${args}${meta}}}`;
      const headers =
        era === 'modern'
          ? { ...head, 'MCP-Protocol-Version': MODERN, 'Mcp-Method': 'tools/call', 'Mcp-Name': name }
          : { ...head, 'Mcp-Session-Id': session.id, 'MCP-Protocol-Version': '2025-11-25' };
      return send(gateway.origin, { headers, body });
    },
    stop: async () => {
      await gateway.stop();
      for (const server of running) await server.stop();
    },
  };
}
