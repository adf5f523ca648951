// The clients that are deployed: both generations of the SDK, both eras, every transport, behind one small interface.
import {
  Client as ClientV2,
  SSEClientTransport as SseV2,
  StreamableHTTPClientTransport as HttpV2,
  type Transport as TransportV2,
} from '@modelcontextprotocol/client';
import { StdioClientTransport as StdioV2 } from '@modelcontextprotocol/client/stdio';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport as SseV1 } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport as StdioV1 } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as HttpV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport as TransportV1 } from '@modelcontextprotocol/sdk/shared/transport.js';
import { BIN } from './gateway.ts';

export const CLIENTS = ['SDK v1', 'SDK v2 legacy', 'SDK v2 modern'] as const;
export type ClientKind = (typeof CLIENTS)[number];

/** A command that speaks over stdio. */
export interface Command {
  readonly command: string;
  readonly args: readonly string[];
}

/** Where to connect: a URL (that of HTTP+SSE ends in `/sse`), a command, or a gateway to be joined over stdio. */
export type Place =
  | { readonly url: string; readonly headers?: Record<string, string>; readonly fetch?: typeof fetch }
  | Command
  | { readonly config: string; readonly state: string };

export type AnyClient = ClientV1 | ClientV2;

/** Connects a client of one kind; the caller closes it. */
export async function connectClient(kind: ClientKind, place: Place): Promise<ClientV2> {
  const info = { name: kind.replaceAll(' ', '-'), version: '1.0.0' };
  if (kind === 'SDK v1') {
    const client = new ClientV1(info);
    await client.connect(transportV1(place));
    return client as unknown as ClientV2; // the calls that tests make are the same in both generations
  }
  const client = new ClientV2(info, kind === 'SDK v2 modern' ? { versionNegotiation: { mode: 'auto' } } : {});
  await client.connect(transportV2(place));
  return client;
}

/** The transport of the first generation to a place. */
export function transportV1(place: Place): TransportV1 {
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- what is deprecated is still deployed
  if ('url' in place) return new (isSse(place) ? SseV1 : HttpV1)(new URL(place.url), httpOptions(place));
  return new StdioV1(commandOf(place));
}

/** The transport of the second generation to a place. */
export function transportV2(place: Place): TransportV2 {
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- as above
  if ('url' in place) return new (isSse(place) ? SseV2 : HttpV2)(new URL(place.url), httpOptions(place));
  return new StdioV2(commandOf(place));
}

/** Whether a URL is one of HTTP+SSE. */
export function isSse({ url }: { url: string }): boolean {
  return new URL(url).pathname.endsWith('/sse');
}

function httpOptions({ headers = {}, fetch }: Extract<Place, { url: string }>) {
  return { requestInit: { headers }, ...(fetch && { fetch }) };
}

/** What starts a server, or the relay to a gateway. */
export function commandOf(place: Exclude<Place, { url: string }>) {
  const { NODE_COMPILE_CACHE } = process.env;
  const passed = {
    stderr: 'inherit' as const,
    // the SDKs pass on little of their own environment
    ...(NODE_COMPILE_CACHE !== undefined && { env: { NODE_COMPILE_CACHE } }),
  };
  if ('command' in place) return { command: place.command, args: [...place.args], ...passed };
  return {
    command: process.execPath,
    args: [BIN, 'stdio', '--config', place.config, '--state', place.state],
    ...passed,
  };
}
