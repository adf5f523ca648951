// Opens a connection to a server: the transport that the entry names, the handshake, and the era to remember.
import type { Timeouts } from '../../../config/config.ts';
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import type { Era } from '../../../core/call.ts';
import { GatewayError } from '../../../core/errors.ts';
import type { JsonObject } from '../../../core/json.ts';
import type { ConfiguredServer } from '../configured-server.ts';
import type { SpokenEra } from '../spoken-era.ts';
import { Connection } from './connection.ts';
import { shakeHands, SlowModern } from './handshake.ts';
import { isUnreachable } from '../wire/http-errors.ts';
import { HttpRejection, type Wire, type WireEvents } from '../wire/wire.ts';
import { type PrewarmedProcess, wireTo } from './wires.ts';

/** Receives what a connection reports, from its start on. */
export interface ConnectionListener extends WireEvents {
  /** There is a process or socket; the handshake follows. A connection attempt may open several of them, one after the other. */
  opened(wire: Wire): void;
}

export interface ConnectOptions {
  readonly server: ConfiguredServer;
  /** The era to assume; told which one was found. */
  readonly spoken: SpokenEra;
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

interface Connecting extends ConnectOptions {
  /** Wires that were given up after their handshake: the listener does not hear of their end. */
  readonly abandoned: Set<Wire>;
}

/** One way to connect. */
interface Attempt {
  /** The era to assume; undefined for a probe. */
  readonly era?: Era | undefined;
  /** Whether HTTP+SSE takes the place of Streamable HTTP. */
  readonly sse?: boolean;
  /** Whether any other era than this one fails the attempt. */
  readonly only?: Era | undefined;
  /** Whether the era is only assumed because a process ended during the probe. */
  readonly isGuess?: boolean;
}

/** Refusals of `initialize` after which a URL may still be one of HTTP+SSE (2025-11-25 transports, Backwards Compatibility). */
const NOT_STREAMABLE = [400, 404, 405];

/**
 * Connects to a server. If a process ends during the probe, the gateway starts it once more and sends `initialize` first, since some servers
 * exit on a first request that they do not know. Which era is found does not depend on how a start failed (wire.md, Probing an upstream): if
 * `initialize` succeeds, the same probe is made in another process, and the server is legacy if that one ends too. If the start before this one
 * failed, the gateway starts the process only once, and every other time sends `initialize` first. Throws GatewayError.
 */
export async function connect(options: ConnectOptions): Promise<Connection> {
  const { server, spoken, prewarmed, signal } = options;
  const first = firstAttempt(options);
  const connecting: Connecting = { ...options, abandoned: new Set() };
  let opening = connecting;
  let failure: unknown;
  for (let attempt: Attempt | undefined = first; attempt;) {
    try {
      const assumed = await openAs(opening, attempt);
      const opened = attempt.isGuess === true ? await confirmed(assumed, connecting) : assumed;
      spoken.connected(opened.era);
      return opened;
    } catch (error) {
      const usesPrewarmed = opening.prewarmed !== undefined;
      opening = { ...connecting, prewarmed: undefined };
      // the prewarmed process may have ended while it was unused, which does not show that a new one would
      if (usesPrewarmed && prewarmed && isClosed(error) && !signal.aborted) continue;
      // the remembered era may be wrong, unless the server was not there to show it
      if (attempt === first && spoken.known !== undefined && !isUnreachable(error)) spoken.forget();
      // HTTP+SSE was only a guess: the error of the configured transport counts
      if (attempt.sse !== true || server.config.transport === 'sse') failure = error;
      attempt = attemptAfter(error, attempt, options);
    }
  }
  throw failure;
}

/** The connection to a server that ended during a probe and then accepted `initialize`, unless it shows in another process that it is modern. */
async function confirmed(guess: Connection, options: Connecting): Promise<Connection> {
  try {
    const probed = await openAs({ ...options, prewarmed: undefined }, {});
    await abandon(guess, options);
    return probed;
  } catch (error) {
    if (isClosed(error) && !options.signal.aborted) return guess;
    // it is not known what the server speaks: the next start tries again
    await abandon(guess, options);
    throw error;
  }
}

function abandon({ wire }: Connection, { abandoned }: Connecting): Promise<void> {
  abandoned.add(wire);
  return wire.close();
}

function firstAttempt({ server: { config }, spoken: { fixed, known }, failures }: ConnectOptions): Attempt {
  const skipsProbe = known === undefined && config.transport === 'stdio' && failures % 2 === 1;
  if (skipsProbe) return { era: 'legacy', isGuess: true };
  if (config.transport !== 'sse') return { era: known, only: fixed };
  // what answers `server/discover` at the URL of HTTP+SSE is Streamable HTTP (wire.md, Probing an upstream)
  return known === 'legacy' ? { era: 'legacy', sse: true, only: fixed } : { era: known, only: 'modern' };
}

/** A server of HTTP+SSE alone may never answer a POST to its URL. */
function timeoutsOf({ config: { timeouts, transport } }: ConfiguredServer, { sse }: Attempt): Timeouts {
  return transport === 'sse' && sse !== true
    ? { ...timeouts, start: Math.min(timeouts.start, BOUNDS.sseProbe) }
    : timeouts;
}

function isClosed(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'upstream_closed';
}

/** What to try at once after this failure; undefined where the failure suggests nothing. */
function attemptAfter(
  error: unknown,
  { era, sse }: Attempt,
  { server, signal, failures, spoken: { fixed } }: ConnectOptions,
): Attempt | undefined {
  if (signal.aborted || sse === true) return undefined;
  const { transport } = server.config;
  if (transport === 'sse') return fixed ? undefined : { era: 'legacy', sse: true };
  if (error instanceof SlowModern) return { era: 'modern' };
  if (!(error instanceof GatewayError)) return undefined;
  if (transport === 'streamable-http')
    return fixed !== 'modern' && mayBeSse(error) ? { era: 'legacy', sse: true } : undefined;
  const isProbe = era !== 'legacy' && !fixed;
  return isProbe && isClosed(error) && failures === 0 ? { era: 'legacy', isGuess: true } : undefined;
}

function mayBeSse({ cause }: GatewayError): boolean {
  return cause instanceof HttpRejection && NOT_STREAMABLE.includes(cause.status);
}

async function openAs(options: Connecting, attempt: Attempt): Promise<Connection> {
  const { server, instance, listener, capabilities, signal } = options;
  const { client } = server.context;
  let opened = false;
  let ended: GatewayError | undefined;
  // a wire that closes during the handshake fails the handshake; the listener does not hear of it
  const closed = (reason: string, detail?: string) => {
    ended = new GatewayError('upstream_closed', `The server "${server.name}" went away: ${reason}`, { detail });
    if (opened && !options.abandoned.has(wire)) listener.closed(reason, detail);
  };
  const events = { ...listener, closed };
  const { prewarmed } = options;
  const wire = prewarmed?.take(events) ?? wireTo(server, events, attempt.sse === true);
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
      timeouts: timeoutsOf(server, attempt),
      capabilities,
      assumed: attempt.era,
      only: attempt.only,
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
