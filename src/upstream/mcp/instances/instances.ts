// Opens the instances of a server, records how that went, and knows every instance until its process or connection has ended.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { forOperator, GatewayError, toGatewayError } from '../../../core/errors.ts';
import { connect, type ConnectionListener } from '../connect/connect.ts';
import type { PrewarmedProcess } from '../connect/wires.ts';
import { SessionLost } from '../wire/wire.ts';
import { type Owner, SHARED_CAPABILITIES } from './affinity.ts';
import { closedFor, detailOfOwner, Instance, type InstanceParts, type InstancePool } from './instance.ts';
import { ServerRequestRouting } from './server-request-routing.ts';

/** An instance that is to be opened. */
export interface Opening {
  readonly pool: InstancePool;
  /** Absent where everybody shares the instance. */
  readonly owner?: Owner;
  /** A process to use in place of a new one. */
  readonly prewarmed?: PrewarmedProcess | undefined;
  /** Starts of the shared instance that failed in a row. */
  readonly failures?: number;
  /** Whether it only shows if the server speaks an era: then a failure is no failure of the server. */
  readonly isTrial?: boolean;
  /** Aborted when nobody waits for the instance any more. */
  readonly signal: AbortSignal;
}

/** What happens between the handshake and the moment at which there is an instance. */
interface Progress {
  instance?: Instance;
  /** The connection ended. */
  ended?: GatewayError;
  /** The server's lists changed. */
  changed?: boolean;
}

export class Instances {
  private readonly parts: InstanceParts;
  private readonly all = new Set<Instance>();

  constructor(parts: InstanceParts) {
    this.parts = parts;
  }

  /** Throws GatewayError, and then leaves nothing behind. */
  async open(opening: Opening): Promise<Instance> {
    const { server, isolation } = this.parts;
    const { owner, signal } = opening;
    const id = opening.prewarmed?.id ?? server.nextInstanceId();
    try {
      const instance = await this.connect(id, opening);
      this.all.add(instance);
      void instance.ended.finally(() => this.all.delete(instance));
      const { wire, era } = instance.connection;
      isolation.connected({ transport: wire.transport, era, stateful: wire.stateful });
      for (const other of this.all)
        if (other.connection.era !== era) other.drop({ reason: 'its server speaks another era now', kind: 'replaced' });
      return instance;
    } catch (thrown) {
      const { code, message, detail } = toGatewayError(thrown instanceof SessionLost ? closedFor(thrown) : thrown);
      const reason = server.clean(message);
      const error = new GatewayError(code, reason, { cause: thrown, detail: detail && server.clean(detail) });
      // a shared instance that fails for the same reason again and again is recorded once
      if (opening.isTrial !== true && !signal.aborted && (owner || reason !== server.errors.last?.message))
        server.record('server_failed', { instance: id, reason: forOperator(reason, error.detail) });
      throw error;
    }
  }

  /** The instance with this id, if it is in use. */
  find(id: string): Instance | undefined {
    for (const instance of this.all) if (instance.id === id && !instance.isLost) return instance;
    return undefined;
  }

  /** Closes what instances that are out of use still hold open; resolves when all of them have ended. */
  async close(): Promise<void> {
    const lost = [...this.all].filter(({ isLost }) => isLost);
    await Promise.all(lost.map(({ connection }) => connection.wire.close()));
    await Promise.all(lost.map(({ ended }) => ended));
  }

  private async connect(id: string, opening: Opening): Promise<Instance> {
    const { server, spoken } = this.parts;
    const { pool, owner, failures = 0, prewarmed, signal } = opening;
    const progress: Progress = {};
    const listener = this.listenerOf(id, opening, progress);
    const capabilities = owner?.capabilities ?? SHARED_CAPABILITIES;
    const connection = await connect({
      server,
      spoken,
      instance: id,
      listener,
      capabilities,
      failures,
      prewarmed,
      signal,
    });
    try {
      await pool.connected?.(connection);
      if (progress.ended) throw progress.ended;
    } catch (error) {
      await connection.wire.close();
      throw error;
    }
    const instance = new Instance(this.parts, { id, owner, pool }, connection);
    progress.instance = instance;
    // the change may have come after its list was read
    if (progress.changed === true) instance.watch.changed();
    return instance;
  }

  /** Passes on what the connection reports, from its start on. */
  private listenerOf(id: string, { pool, owner, failures = 0 }: Opening, progress: Progress): ConnectionListener {
    const { server } = this.parts;
    const routing = new ServerRequestRouting({ ...this.parts, id, owner });
    return {
      opened: (wire) => {
        pool.opened?.(wire);
        const { display: run, transport } = server.config;
        // each start of a process is recorded; of a URL that is tried again and again only the first attempt is
        if (transport === 'stdio' || failures === 0)
          server.record('server_started', { instance: id, ...detailOfOwner(owner), run });
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
      isOwned: owner !== undefined,
      isForOwner: (method) => method === 'roots/list' && owner?.session?.reachable === true,
      serverRequest: (request) => routing.route(request),
      log: (params) => {
        if (owner?.session) owner.session.standing.log(params);
        else server.diagnose(`log line: ${JSON.stringify(params.data ?? null).slice(0, BOUNDS.quotedOutput)}`);
      },
      diagnostic: (text) => server.diagnose(text),
    };
  }
}
