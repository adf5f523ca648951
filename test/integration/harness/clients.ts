// The clients that are deployed: both generations of the SDK, both eras, both transports, behind one small interface.
import {
  Client as ClientV2,
  SSEClientTransport as SseV2,
  StreamableHTTPClientTransport as HttpV2,
} from '@modelcontextprotocol/client';
import { StdioClientTransport as StdioV2 } from '@modelcontextprotocol/client/stdio';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport as SseV1 } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport as StdioV1 } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as HttpV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { BIN } from './gateway.ts';

export const CLIENTS = ['SDK v1', 'SDK v2 legacy', 'SDK v2 modern'] as const;
export type ClientKind = (typeof CLIENTS)[number];

/** Where to connect: a URL (that of HTTP+SSE ends in `/sse`), or a command that speaks over stdio. */
export type Place =
  | { readonly url: string; readonly headers?: Record<string, string> }
  | { readonly config: string; readonly state: string };

export type AnyClient = ClientV1 | ClientV2;

/** Connects a client of one kind; the caller closes it. */
export async function connectClient(kind: ClientKind, place: Place): Promise<ClientV2> {
  const info = { name: kind.replaceAll(' ', '-'), version: '1.0.0' };
  if (kind === 'SDK v1') {
    const client = new ClientV1(info);
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- it is what older clients use
    await client.connect(transportOf(place, { http: HttpV1, sse: SseV1, stdio: StdioV1 }));
    return client as unknown as ClientV2; // the calls that tests make are the same in both generations
  }
  const client = new ClientV2(info, kind === 'SDK v2 modern' ? { versionNegotiation: { mode: 'auto' } } : {});
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- it is what older clients use
  await client.connect(transportOf(place, { http: HttpV2, sse: SseV2, stdio: StdioV2 }));
  return client;
}

type WebTransport<T> = new (url: URL, options: { requestInit: { headers: Record<string, string> } }) => T;

/** The transport to a place, of one generation's classes. */
function transportOf<Http, Sse, Stdio>(
  place: Place,
  classes: {
    readonly http: WebTransport<Http>;
    readonly sse: WebTransport<Sse>;
    readonly stdio: new (options: ReturnType<typeof stdioOf>) => Stdio;
  },
): Http | Sse | Stdio {
  if (!('url' in place)) return new classes.stdio(stdioOf(place));
  const url = new URL(place.url);
  const Web = url.pathname.endsWith('/sse') ? classes.sse : classes.http;
  return new Web(url, { requestInit: { headers: place.headers ?? {} } });
}

function stdioOf({ config, state }: { config: string; state: string }) {
  return {
    command: process.execPath,
    args: [BIN, 'stdio', '--config', config, '--state', state],
    stderr: 'inherit' as const,
  };
}
