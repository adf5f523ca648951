// Opens a connection to a server: the transport that the entry names, the handshake, and the era to remember.
import type { Era } from '../../../core/call.ts';
import { GatewayError } from '../../../core/errors.ts';
import type { JsonObject } from '../../../core/json.ts';
import type { ServerKey } from '../../../storage/server-key.ts';
import type { ConfiguredServer } from '../configured-server.ts';
import { Connection } from './connection.ts';
import { shakeHands, SlowModern } from './handshake.ts';
import { HttpRejection, type Wire, type WireEvents } from '../wire/wire.ts';
import { type PrewarmedProcess, wireTo } from './wires.ts';

/** Receives what a connection reports, from its start on. */
export interface ConnectionListener extends WireEvents {
  /** There is a process or socket; the handshake follows. A connection attempt may open two of them, one after the other. */
  opened(wire: Wire): void;
}

export interface ConnectOptions {
  readonly server: ConfiguredServer;
  /** Under which the era that is found is stored. */
  readonly key: ServerKey;
  /** `NAME#N`: which start of the server this is. */
  readonly instance: string;
  readonly listener: ConnectionListener;
  /** What the gateway declares to a legacy server; to a modern one it declares them with every request. */
  readonly capabilities: JsonObject;
  /** Starts that failed before this one. */
  readonly failures: number;
  /** A process that runs already and is used for the first attempt. */
  readonly prewarmed?: PrewarmedProcess | undefined;
  /** Aborted when nobody needs the connection any more: what is open is closed, and nothing is started a second time. */
  readonly signal: AbortSignal;
}

/** One way to connect: the era to assume, and whether to use HTTP+SSE in place of the configured transport. */
interface Attempt {
  readonly era?: Era | undefined;
  readonly sse?: boolean;
}

/** Refusals of `initialize` after which a URL may still be one of HTTP+SSE (2025-11-25 transports, Backwards Compatibility). */
const NOT_STREAMABLE = [400, 404, 405];

/**
 * Connects to a server. If a process ends during the probe, the gateway starts it once more and sends `initialize` first, since some
 * servers exit on a first request that they do not know (wire.md, Probing an upstream). If the start before this one failed, the gateway
 * starts the process only once, and every other time sends `initialize` first. Throws GatewayError.
 */
export async function connect(options: ConnectOptions): Promise<Connection> {
  const { server, key, failures, prewarmed } = options;
  const { learned } = server.context;
  const remembered = learned.era(key);
  // an attempt that skips the probe does not show whether the server is modern, so its result is not stored
  const skipsProbe = remembered === undefined && server.config.transport === 'stdio' && failures % 2 === 1;
  try {
    const opened = await openAs(options, { era: skipsProbe ? 'legacy' : remembered });
    if (!skipsProbe && remembered !== opened.era) learned.rememberEra(key, opened.handshake);
    return opened;
  } catch (error) {
    // the prewarmed process may have ended while it was unused, which does not show that a new one would
    if (prewarmed && isClosed(error) && !options.signal.aborted) return connect({ ...options, prewarmed: undefined });
    if (remembered !== undefined) learned.forgetEra(key); // the stored era may be wrong: probe next time
    const next = attemptAfter(error, options, remembered);
    if (next === undefined) throw error;
    const opened = await openAs({ ...options, prewarmed: undefined }, next).catch((second: unknown) => {
      throw next.sse === true ? error : second; // HTTP+SSE was only a guess: the error of the configured transport counts
    });
    learned.rememberEra(key, opened.handshake);
    return opened;
  }
}

function isClosed(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'upstream_closed';
}

/** What to try at once after this failure; undefined where the failure suggests nothing. */
function attemptAfter(
  error: unknown,
  { server, signal, failures }: ConnectOptions,
  remembered: Era | undefined,
): Attempt | undefined {
  if (signal.aborted) return undefined;
  if (error instanceof SlowModern) return { era: 'modern' };
  if (!(error instanceof GatewayError)) return undefined;
  const { cause, code } = error;
  const { transport } = server.config;
  if (transport === 'streamable-http' && cause instanceof HttpRejection)
    return NOT_STREAMABLE.includes(cause.status) ? { era: 'legacy', sse: true } : undefined;
  const died = code === 'upstream_closed' && transport === 'stdio' && failures === 0;
  return died && remembered !== 'legacy' ? { era: 'legacy' } : undefined;
}

async function openAs(options: ConnectOptions, { era: remembered, sse }: Attempt): Promise<Connection> {
  const { server, instance, listener, capabilities, signal } = options;
  const { client } = server.context;
  let opened = false;
  let ended: GatewayError | undefined;
  // a wire that closes during the handshake fails the handshake; the listener does not hear of it
  const closed = (reason: string, detail?: string) => {
    ended = new GatewayError('upstream_closed', `The server "${server.name}" went away: ${reason}`, { detail });
    if (opened) listener.closed(reason, detail);
  };
  const events = { ...listener, closed };
  const { prewarmed } = options;
  const wire = prewarmed?.take(events) ?? wireTo(server, events, sse === true);
  const close = () => void wire.close();
  signal.addEventListener('abort', close);
  try {
    if (!prewarmed) await wire.start?.();
    if (signal.aborted)
      throw new GatewayError('upstream_closed', `The server "${server.name}" is not needed any more.`);
    listener.opened(wire);
    const handshake = await shakeHands(wire, {
      server: server.name,
      client,
      timeouts: server.config.timeouts,
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
    signal.removeEventListener('abort', close);
  }
}
