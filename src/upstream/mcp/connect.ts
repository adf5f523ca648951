// Opening a connection: the transport that the entry names, the handshake, and what the handshake teaches.
import { type Era, type Peer } from '../../core/call.ts';
import { GatewayError } from '../../core/errors.ts';
import { type ServerConfig } from '../../config/config.ts';
import { Connection } from './connection.ts';
import { type Deadlines } from './deadlines.ts';
import { openDispatcher } from './dispatcher.ts';
import { childEnvironment } from './environment.ts';
import { type EraStore } from './era-store.ts';
import { shakeHands } from './handshake.ts';
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
  try {
    return await open(options, remembered);
  } catch (error) {
    const died = error instanceof GatewayError && error.code === 'upstream_closed' && server.transport === 'stdio';
    if (remembered !== undefined) eras.forget(server.name); // what we believed failed: ask again next time
    if (!died || remembered === 'legacy') throw error;
    return open(options, 'legacy');
  }
}

async function open(options: ConnectOptions, remembered: Era | undefined): Promise<Connection> {
  const { server, client, instance } = options;
  const wire = await openWire(options);
  try {
    options.onWire(wire);
    const handshake = await shakeHands(wire, {
      server: server.name,
      client,
      timeouts: server.timeouts,
      ...(remembered && { remembered }),
    });
    if (remembered !== handshake.era) options.eras.learn(server.name, server.digest, handshake);
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
  });
}
