// The dimensions of the matrix and which combinations of them exist.
import { type ClientKind, CLIENTS } from '../harness/clients.ts';

export const TRANSPORTS = ['Streamable HTTP', 'HTTP+SSE', 'stdio'] as const;
export type Transport = (typeof TRANSPORTS)[number];
export type Era = 'legacy' | 'modern';

/** One kind of client on one transport. */
export interface ClientLane {
  readonly kind: ClientKind;
  readonly era: Era;
  readonly transport: Transport;
}

/** One kind of server on one transport; `name` is the one that it has behind the gateway. */
export interface ServerLane {
  readonly name: string;
  readonly sdk: 'SDK v1' | 'SDK v2';
  readonly era: Era | 'both';
  readonly transport: Transport;
}

/** HTTP+SSE ended before the modern era began. */
export const CLIENT_LANES: readonly ClientLane[] = CLIENTS.flatMap((kind) =>
  TRANSPORTS.map((transport): ClientLane => ({ kind, transport, era: kind === 'SDK v2 modern' ? 'modern' : 'legacy' })),
).filter(({ era, transport }) => era === 'legacy' || transport !== 'HTTP+SSE');

/** The first generation knows no modern era, the second serves no HTTP+SSE. */
export const SERVER_LANES: readonly ServerLane[] = [
  { name: 'v1-http', sdk: 'SDK v1', era: 'legacy', transport: 'Streamable HTTP' },
  { name: 'v1-sse', sdk: 'SDK v1', era: 'legacy', transport: 'HTTP+SSE' },
  { name: 'v1-stdio', sdk: 'SDK v1', era: 'legacy', transport: 'stdio' },
  { name: 'v2-legacy-http', sdk: 'SDK v2', era: 'legacy', transport: 'Streamable HTTP' },
  { name: 'v2-legacy-stdio', sdk: 'SDK v2', era: 'legacy', transport: 'stdio' },
  { name: 'v2-modern-http', sdk: 'SDK v2', era: 'modern', transport: 'Streamable HTTP' },
  { name: 'v2-modern-stdio', sdk: 'SDK v2', era: 'modern', transport: 'stdio' },
  { name: 'v2-both-http', sdk: 'SDK v2', era: 'both', transport: 'Streamable HTTP' },
  { name: 'v2-both-stdio', sdk: 'SDK v2', era: 'both', transport: 'stdio' },
];

const FLAGS = { 'Streamable HTTP': 'http', 'HTTP+SSE': 'sse', stdio: 'stdio' } as const;

/** The fixture that stands for a kind of server, and what to start it with. */
export function fixtureOf({ name, sdk, era, transport }: ServerLane): [string, ...string[]] {
  const args = ['--transport', FLAGS[transport], '--name', name, '--scheme', name];
  return sdk === 'SDK v1' ? ['sdk-v1-server.ts', ...args] : ['sdk-server.ts', '--era', era, ...args];
}
