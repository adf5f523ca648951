// Opening a connection: the transport that the entry names, the handshake, and what the handshake teaches.
import { type Era, type Peer } from '../../core/call.ts';
import { GatewayError } from '../../core/errors.ts';
import { type JsonObject } from '../../core/json.ts';
import { type ServerConfig } from '../../config/config.ts';
import { Connection } from './connection.ts';
import { type Deadlines } from './deadlines.ts';
import { openDispatcher } from './dispatcher.ts';
import { childEnvironment } from './environment.ts';
import { type EraStore } from './era-store.ts';
import { shakeHands, SlowModern } from './handshake.ts';
import { HttpWire } from './http-wire.ts';
import { StdioWire } from './stdio-wire.ts';
import { type Wire, type WireEvents } from './wire.ts';

/** What every connection of the process shares. */
export interface ConnectContext {
  readonly client: Peer;
  readonly deadlines: Deadlines;
  readonly eras: EraStore;
  readonly maxMessageBytes: number;
  readonly env: NodeJS.ProcessEnv;
}

export interface ConnectOptions extends ConnectContext {
  readonly server: ServerConfig;
  readonly instance: string;
  readonly events: WireEvents;
  /** What is declared to a legacy server; a modern one is told with every request. */
  readonly capabilities: JsonObject;
  /** Aborted when the server is being stopped: then nothing is started a second time. */
  readonly signal: AbortSignal;
  /** Takes secrets out of what the server says. */
  clean(text: string): string;
  /** Told as soon as there is a process or socket to watch, before the handshake is done. */
  onWire(wire: Wire): void;
}

/**
 * Connects to a server. A process that ends during the probe is started once more and greeted with `initialize`, since some
 * servers exit on a first request that they do not know (wire.md, Probing an upstream). Throws GatewayError.
 */
export async function connect(options: ConnectOptions): Promise<Connection> {
  const { server, eras } = options;
  const remembered = eras.recall(server.name, server.digest);
  const opened = await openAs(options, remembered).catch((error: unknown) => {
    if (remembered !== undefined) eras.forget(server.name); // what we believed failed: ask again next time
    const era = eraAfter(error, options, remembered);
    if (era === undefined) throw error;
    return openAs(options, era);
  });
  if (remembered !== opened.era) eras.learn(server.name, server.digest, opened.handshake);
  return opened;
}

/** The era to try at once after a failure that suggests one. */
function eraAfter(error: unknown, { server, signal }: ConnectOptions, remembered: Era | undefined): Era | undefined {
  if (signal.aborted) return undefined;
  if (error instanceof SlowModern) return 'modern';
  const died = error instanceof GatewayError && error.code === 'upstream_closed' && server.transport === 'stdio';
  return died && remembered !== 'legacy' ? 'legacy' : undefined;
}

async function openAs(options: ConnectOptions, remembered: Era | undefined): Promise<Connection> {
  const { server, client, instance, events, capabilities } = options;
  let opened = false;
  let ended: string | undefined;
  // what ends before it is a connection fails the handshake, and nothing else
  const closed = (reason: string) => {
    ended = reason;
    if (opened) events.closed(reason);
  };
  const wire = await openWire({ ...options, events: { ...events, closed } });
  try {
    options.onWire(wire);
    const handshake = await shakeHands(wire, {
      server: server.name,
      client,
      timeouts: server.timeouts,
      capabilities,
      ...(remembered && { remembered }),
    });
    if (ended !== undefined)
      throw new GatewayError('upstream_closed', `The server "${server.name}" went away: ${ended}`);
    opened = true;
    return new Connection(wire, handshake, { instance, client });
  } catch (error) {
    await wire.close();
    throw error;
  }
}

async function openWire(options: ConnectOptions): Promise<Wire> {
  const { server, deadlines, events, maxMessageBytes, env } = options;
  const { timeouts } = server;
  if (server.transport === 'stdio') {
    const wire = new StdioWire({
      server: server.name,
      deadlines,
      events,
      process: {
        command: server.command ?? '',
        args: server.args,
        env: childEnvironment(
          Object.fromEntries(Object.entries(server.env).map(([name, secret]) => [name, secret.reveal()])),
          env,
        ),
        cwd: server.cwd,
        maxMessageBytes,
        redact: server.secrets,
      },
    });
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
  return new HttpWire({
    server: server.name,
    url,
    headers: server.headers,
    dispatcher,
    timeouts,
    maxMessageBytes,
    deadlines,
    events,
    clean: options.clean,
  });
}
