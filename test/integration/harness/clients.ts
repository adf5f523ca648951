// The clients that are deployed: both generations of the SDK, both eras, both transports, behind one small interface.
import { Client as ClientV2, StreamableHTTPClientTransport as HttpV2 } from '@modelcontextprotocol/client';
import { StdioClientTransport as StdioV2 } from '@modelcontextprotocol/client/stdio';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as StdioV1 } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as HttpV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { BIN } from './gateway.ts';

export const CLIENTS = ['SDK v1', 'SDK v2 legacy', 'SDK v2 modern'] as const;
export type ClientKind = (typeof CLIENTS)[number];

/** Where to connect: a URL, or a command that speaks over stdio. */
export type Place =
  | { readonly url: string; readonly headers?: Record<string, string> }
  | { readonly config: string; readonly state: string };

export type AnyClient = ClientV1 | ClientV2;

/** Connects a client of one kind; the caller closes it. */
export async function connectClient(kind: ClientKind, place: Place): Promise<ClientV2> {
  const info = { name: kind.replaceAll(' ', '-'), version: '1.0.0' };
  if (kind === 'SDK v1') {
    const client = new ClientV1(info);
    const transport =
      'url' in place
        ? new HttpV1(new URL(place.url), { requestInit: { headers: place.headers ?? {} } })
        : new StdioV1(stdioOf(place));
    await client.connect(transport);
    return client as unknown as ClientV2; // the calls that tests make are the same in both generations
  }
  const client = new ClientV2(info, kind === 'SDK v2 modern' ? { versionNegotiation: { mode: 'auto' } } : {});
  await client.connect(
    'url' in place
      ? new HttpV2(new URL(place.url), { requestInit: { headers: place.headers ?? {} } })
      : new StdioV2(stdioOf(place)),
  );
  return client;
}

function stdioOf({ config, state }: { config: string; state: string }) {
  return {
    command: process.execPath,
    args: [BIN, 'stdio', '--config', config, '--state', state],
    stderr: 'inherit' as const,
  };
}
