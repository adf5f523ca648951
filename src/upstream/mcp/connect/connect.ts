// Opening a connection: the transport that the entry names, the handshake, and what the handshake teaches.
import type { Era, Peer } from '../../../core/call.ts';
import { GatewayError } from '../../../core/errors.ts';
import type { JsonObject } from '../../../core/json.ts';
import type { ServerConfig } from '../../../config/config.ts';
import { Connection } from './connection.ts';
import { openDispatcher } from '../wire/dispatcher.ts';
import type { EraStore } from './era-store.ts';
import { shakeHands, SlowModern } from './handshake.ts';
import { HttpWire, type HttpWireOptions } from '../wire/http-wire.ts';
import { redactionOf } from '../redaction.ts';
import type { PrewarmedProcess } from './prewarmed-process.ts';
import { SseWire } from '../wire/sse-wire.ts';
import { type StdioContext, stdioWire } from './stdio.ts';
import { HttpRejection, type Wire, type WireEvents } from '../wire/wire.ts';

/** What every connection of the process shares. */
export interface ConnectContext extends StdioContext {
  readonly client: Peer;
  readonly eras: EraStore;
}

export interface ConnectOptions extends ConnectContext {
  readonly server: ServerConfig;
  readonly instance: string;
  readonly events: WireEvents;
  /** What is declared to a legacy server; a modern one is told with every request. */
  readonly capabilities: JsonObject;
  /** Starts that failed before this one. */
  readonly failures: number;
  /** A process that runs already, to be greeted first. */
  readonly spare?: PrewarmedProcess | undefined;
  /** Aborted when nobody needs it any more: what is open is closed, and nothing is started a second time. */
  readonly signal: AbortSignal;
  /** Told as soon as there is a process or socket to watch, before the handshake is done. */
  onWire(wire: Wire): void;
}

/** A way to try: the era that is assumed, and another transport than the configured one. */
interface Attempt {
  readonly era?: Era | undefined;
  readonly sse?: boolean;
}

/** Refusals of `initialize` after which a URL may still be one of HTTP+SSE (2025-11-25 transports, Backwards Compatibility). */
const NOT_STREAMABLE = [400, 404, 405];

/**
 * Connects to a server. A process that ends during the probe is started once more and greeted with `initialize`, since some
 * servers exit on a first request that they do not know (wire.md, Probing an upstream). One that failed before is started only once at
 * a time, and greeted in turns. Throws GatewayError.
 */
export async function connect(options: ConnectOptions): Promise<Connection> {
  const { server, eras, failures, spare } = options;
  const remembered = eras.recall(server.name, server.digest);
  // says nothing of whether the server is modern, so it is not remembered
  const inTurn = remembered === undefined && server.transport === 'stdio' && failures % 2 === 1;
  try {
    const opened = await openAs(options, { era: inTurn ? 'legacy' : remembered });
    if (!inTurn && remembered !== opened.era) eras.remember(server.name, server.digest, opened.handshake);
    return opened;
  } catch (error) {
    // one that ended while it waited says nothing of the next
    if (spare && isClosed(error) && !options.signal.aborted) return connect({ ...options, spare: undefined });
    if (remembered !== undefined) eras.forget(server.name); // what we believed failed: ask again next time
    const next = attemptAfter(error, options, remembered);
    if (next === undefined) throw error;
    const opened = await openAs({ ...options, spare: undefined }, next).catch((second: unknown) => {
      throw next.sse === true ? error : second; // the URL was never one of HTTP+SSE: what it was meant to be counts
    });
    eras.remember(server.name, server.digest, opened.handshake);
    return opened;
  }
}

function isClosed(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'upstream_closed';
}

/** What to try at once after a failure that suggests it. */
function attemptAfter(
  error: unknown,
  { server, signal, failures }: ConnectOptions,
  remembered: Era | undefined,
): Attempt | undefined {
  if (signal.aborted) return undefined;
  if (error instanceof SlowModern) return { era: 'modern' };
  if (!(error instanceof GatewayError)) return undefined;
  const { cause, code } = error;
  if (server.transport === 'streamable-http' && cause instanceof HttpRejection)
    return NOT_STREAMABLE.includes(cause.status) ? { era: 'legacy', sse: true } : undefined;
  const died = code === 'upstream_closed' && server.transport === 'stdio' && failures === 0;
  return died && remembered !== 'legacy' ? { era: 'legacy' } : undefined;
}

async function openAs(options: ConnectOptions, { era: remembered, sse }: Attempt): Promise<Connection> {
  const { server, client, instance, events, capabilities, signal } = options;
  let opened = false;
  let ended: GatewayError | undefined;
  // what ends before it is a connection fails the handshake, and nothing else
  const closed = (reason: string, detail?: string) => {
    ended = new GatewayError('upstream_closed', `The server "${server.name}" went away: ${reason}`, { detail });
    if (opened) events.closed(reason, detail);
  };
  const heard = { ...events, closed };
  const wire = options.spare?.take(heard) ?? (await openWire({ ...options, events: heard }, sse === true));
  const leave = () => void wire.close();
  signal.addEventListener('abort', leave);
  try {
    if (signal.aborted)
      throw new GatewayError('upstream_closed', `The server "${server.name}" is not needed any more.`);
    options.onWire(wire);
    const handshake = await shakeHands(wire, {
      server: server.name,
      client,
      timeouts: server.timeouts,
      capabilities,
      ...(remembered && { remembered }),
    });
    if (ended !== undefined) throw ended;
    opened = true;
    return new Connection(wire, handshake, { instance, client });
  } catch (error) {
    await wire.close();
    throw error;
  } finally {
    signal.removeEventListener('abort', leave);
  }
}

async function openWire(options: ConnectOptions, sse: boolean): Promise<Wire> {
  const { server, deadlines, events, maxMessageBytes, maxItems, env } = options;
  const { timeouts } = server;
  if (server.transport === 'stdio') {
    const wire = stdioWire(server, options, events);
    await wire.start();
    return wire;
  }
  const url = server.url ?? '';
  const dispatcher = openDispatcher({
    origin: new URL(url).origin,
    ...(server.tls && { tls: server.tls }),
    connectMs: timeouts.connect,
    firstByteMs: timeouts.firstByte,
    idleMs: timeouts.idle,
    env,
  });
  const http = {
    server: server.name,
    url,
    headers: server.headers,
    dispatcher,
    timeouts,
    maxMessageBytes,
    maxItems,
    deadlines,
    events,
    redaction: redactionOf(server.secrets),
  };
  return server.transport === 'sse' || sse ? await openSse(http, options.signal) : new HttpWire(http);
}

async function openSse(options: HttpWireOptions, signal: AbortSignal): Promise<SseWire> {
  const wire = new SseWire(options);
  const leave = () => void wire.close();
  signal.addEventListener('abort', leave);
  try {
    await wire.start();
    return wire;
  } catch (error) {
    await wire.close();
    throw error;
  } finally {
    signal.removeEventListener('abort', leave);
  }
}
