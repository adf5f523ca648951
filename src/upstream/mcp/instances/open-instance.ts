// Opens an instance of a server: connects, makes the handshake, and passes on what the connection reports from then on.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { GatewayError, toGatewayError } from '../../../core/errors.ts';
import { connect, type ConnectionListener } from '../connect/connect.ts';
import type { PrewarmedProcess } from '../connect/wires.ts';
import { SessionLost } from '../wire/wire.ts';
import { SHARED_CAPABILITIES } from './affinity.ts';
import { closedFor, detailOfOwner, Instance, type InstanceIdentity, type InstanceParts } from './instance.ts';
import { ServerRequestRouting } from './server-request-routing.ts';

export interface OpenOptions extends InstanceIdentity {
  /** Starts that failed before this one. */
  readonly failures: number;
  /** A process that runs already. */
  readonly prewarmed: PrewarmedProcess | undefined;
  /** Aborted when nobody waits for the instance any more. */
  readonly signal: AbortSignal;
  /** Whether its start is recorded: a URL that is tried again and again is recorded once. */
  readonly isRecorded: boolean;
}

/** What happens between the handshake and the moment at which there is an instance. */
interface Progress {
  instance?: Instance;
  /** The connection ended. */
  ended?: GatewayError;
  /** The server's lists changed. */
  changed?: boolean;
}

/** Throws GatewayError, and then leaves nothing behind. */
export async function openInstance(parts: InstanceParts, options: OpenOptions): Promise<Instance> {
  const { server, key } = parts;
  const { id, owner, pool, failures, prewarmed, signal } = options;
  const progress: Progress = {};
  const listener = listenerOf(parts, options, progress);
  const capabilities = owner?.capabilities ?? SHARED_CAPABILITIES;
  try {
    const request = { server, key, instance: id, listener, capabilities, failures, prewarmed, signal };
    const connection = await connect(request);
    try {
      await pool.connected?.(connection);
      if (progress.ended) throw progress.ended;
    } catch (error) {
      await connection.wire.close();
      throw error;
    }
    const instance = new Instance(parts, options, connection);
    progress.instance = instance;
    // the change may have come after its list was read
    if (progress.changed === true) instance.watch.changed();
    return instance;
  } catch (error) {
    const { code, message, detail } = toGatewayError(error instanceof SessionLost ? closedFor(error) : error);
    throw new GatewayError(code, server.clean(message), { cause: error, detail: detail && server.clean(detail) });
  }
}

function listenerOf(parts: InstanceParts, options: OpenOptions, progress: Progress): ConnectionListener {
  const { server } = parts;
  const { id, owner, pool, isRecorded } = options;
  const routing = new ServerRequestRouting({ ...parts, id, owner });
  return {
    opened: (wire) => {
      pool.opened?.(wire);
      const { display: run } = server.config;
      if (isRecorded) server.record('server_started', { instance: id, ...detailOfOwner(owner), run });
    },
    closed: (reason, detail) => {
      const message = `The server "${server.name}" went away: ${reason}`;
      progress.ended = new GatewayError('upstream_closed', message, { detail });
      const loss = { reason: server.clean(reason), detail: detail && server.clean(detail), kind: 'failed' } as const;
      progress.instance?.drop(loss);
    },
    missed: () => progress.instance?.watch.changed(),
    notification: (method, params) => {
      if (progress.instance) progress.instance.onNotification(method, params);
      else if (method.endsWith('/list_changed')) progress.changed = true;
    },
    isForOwner: (method) => method === 'roots/list' && owner?.session?.reachable === true,
    serverRequest: (request) => routing.route(request),
    log: (params) => {
      if (owner?.session) owner.session.standing.log(params);
      else server.diagnose(`log line: ${JSON.stringify(params.data ?? null).slice(0, BOUNDS.quotedOutput)}`);
    },
    diagnostic: (text) => server.diagnose(text),
  };
}
