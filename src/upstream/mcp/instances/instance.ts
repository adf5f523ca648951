// One live process or connection of a server, from its handshake to its loss.
import { forOperator, GatewayError, reasonOf, toGatewayError, unknownTask } from '../../../core/errors.ts';
import type { Exchange } from '../../../core/exchange.ts';
import { isObject, type JsonObject } from '../../../core/json.ts';
import { LOG_LEVELS, type LogLevel } from '../../../protocol/mcp/meta.ts';
import type { ServerKey } from '../../../storage/server-key.ts';
import type { ConfiguredServer } from '../configured-server.ts';
import { connect } from '../connect/connect.ts';
import type { Connection, ConnectionRequest } from '../connect/connection.ts';
import type { PrewarmedProcess } from '../connect/prewarmed-process.ts';
import type { KnownOffer } from '../offer/known-offer.ts';
import { OfferWatch, type OfferWatchListener } from '../offer/offer-watch.ts';
import { type InstanceStatus, utc } from '../status.ts';
import { isUnreachable } from '../wire/http-errors.ts';
import { StdioWire } from '../wire/stdio-wire.ts';
import { SessionLost, type Wire, type WireReply } from '../wire/wire.ts';
import { type Owner, SHARED_CAPABILITIES } from './affinity.ts';
import type { Isolation } from './isolation.ts';
import { ServerRequestRouting } from './server-request-routing.ts';
import type { UrlElicitations } from './url-elicitations.ts';

/** The parts of an upstream that its instances report to. */
export interface InstanceParts {
  readonly server: ConfiguredServer;
  readonly key: ServerKey;
  readonly isolation: Isolation;
  readonly offer: KnownOffer;
  readonly urlElicitations: UrlElicitations;
}

/** Whoever opens an instance and hands calls to it. */
export interface InstancePool {
  /** The process or socket exists; the handshake follows. */
  opened?(wire: Wire): void;
  /** The handshake is done. The instance counts as started when this resolves. */
  connected?(connection: Connection): Promise<void>;
  /** The server says that a resource changed. */
  updated(uri: string, instance: Instance): void;
  /** The instance is out of use from now on. Called once. */
  lost(instance: Instance, loss: Loss): void;
}

export interface InstanceOptions {
  /** `NAME#N`: which start of the server this is. */
  readonly id: string;
  readonly pool: InstancePool;
  /** Absent where everybody shares the instance. */
  readonly owner: Owner | undefined;
  /** Starts that failed before this one. */
  readonly failures: number;
  /** A process that runs already. */
  readonly prewarmed: PrewarmedProcess | undefined;
  /** Aborted when nobody waits for the instance any more. */
  readonly signal: AbortSignal;
  /** Whether its start is recorded: a URL that is tried again and again is recorded once. */
  readonly isRecorded: boolean;
}

/** Why an instance ended. */
export interface Loss {
  readonly reason: string;
  /** For the operator alone. */
  readonly detail?: string | undefined;
  /** `failed` counts as a failure of the server; `replaced`: only this session of the server is over; `unused`: the gateway stopped it. */
  readonly kind: 'failed' | 'replaced' | 'unused';
}

export class Instance implements OfferWatchListener {
  readonly id: string;
  readonly owner: Owner | undefined;
  readonly connection: Connection;
  readonly watch: OfferWatch;
  /** Resolves when the instance can no longer be used. */
  readonly lost: Promise<Loss>;
  /** Resolves when its process or connection has ended too. */
  readonly ended: Promise<Loss>;
  readonly startedAt = Date.now();
  /** Calls that run on it; counted by whoever hands them to it. */
  calls = 0;
  /** Monotonic ms. */
  lastUsed = performance.now();
  private readonly parts: InstanceParts;
  private readonly pool: InstancePool;
  /** The calls on it that can be preempted. */
  private readonly preemptable: Exchange[] = [];
  private readonly loss = Promise.withResolvers<Loss>();
  private level: LogLevel | undefined;
  private dropped = false;
  /** Tasks that it works on. */
  private tasks = 0;
  /** Monotonic ms. */
  private neededUntil = 0;
  private readonly ignoreRoots: (() => void) | undefined;

  /** Starts a process or connects, and makes the handshake. Throws GatewayError, and then leaves nothing behind. */
  static async open(parts: InstanceParts, options: InstanceOptions): Promise<Instance> {
    const { server, key } = parts;
    const { id, owner, pool } = options;
    const routing = new ServerRequestRouting({ ...parts, id, owner });
    const cleaned = (detail: string | undefined) => (detail === undefined ? undefined : server.clean(detail));
    let instance: Instance | undefined;
    let endedEarly: GatewayError | undefined;
    let changedEarly = false;
    try {
      const connection = await connect({
        server,
        key,
        instance: id,
        signal: options.signal,
        failures: options.failures,
        prewarmed: options.prewarmed,
        capabilities: owner?.capabilities ?? SHARED_CAPABILITIES,
        listener: {
          opened: (wire) => {
            pool.opened?.(wire);
            const { display: run } = server.config;
            if (options.isRecorded) server.record('server_started', { instance: id, ...detailOfOwner(owner), run });
          },
          closed: (reason, detail) => {
            const message = `The server "${server.name}" went away: ${reason}`;
            endedEarly = new GatewayError('upstream_closed', message, { detail });
            instance?.drop({ reason: server.clean(reason), detail: cleaned(detail), kind: 'failed' });
          },
          missed: () => instance?.watch.changed(),
          notification: (method, params) => {
            if (instance) instance.onNotification(method, params);
            else if (method.endsWith('/list_changed')) changedEarly = true;
          },
          isOwners: (method) => method === 'roots/list' && owner?.session?.reachable === true,
          question: (asked) => routing.route(asked),
          log: (params) => {
            if (owner?.session) owner.session.standing.log(params);
            else server.diagnostics.record(`log line: ${JSON.stringify(params.data ?? null).slice(0, 500)}`);
          },
          noise: (what) => server.diagnostics.record(what),
        },
      });
      await pool.connected?.(connection).catch(async (error: unknown) => {
        await connection.wire.close();
        throw error;
      });
      // a callback assigned it meanwhile, which the compiler cannot see
      const early = endedEarly;
      if (early !== undefined) {
        await connection.wire.close();
        throw early;
      }
      instance = new Instance(parts, options, connection);
      // the change may have come after its list was read
      if (changedEarly as boolean) instance.watch.changed();
      return instance;
    } catch (error) {
      const { code, message, detail } = toGatewayError(error instanceof SessionLost ? closedFor(error) : error);
      throw new GatewayError(code, server.clean(message), { cause: error, detail: cleaned(detail) });
    }
  }

  private constructor(parts: InstanceParts, { id, owner, pool }: InstanceOptions, connection: Connection) {
    this.id = id;
    this.owner = owner;
    this.parts = parts;
    this.pool = pool;
    this.connection = connection;
    this.watch = new OfferWatch(connection, this);
    this.watch.start();
    this.ignoreRoots = owner?.session?.onRootsChanged(() => this.notifyRootsChanged());
    const wanted = owner?.session?.standing.logLevel;
    if (wanted !== undefined) this.raiseLevel(wanted as LogLevel);
    this.lost = this.loss.promise;
    this.ended = this.lost.then((loss) => this.release(loss));
  }

  /** Sends a request. Throws GatewayError or SessionLost. */
  request(request: ConnectionRequest): Promise<WireReply> {
    const wanted = request.exchange?.logLevel;
    if (wanted !== undefined && wanted !== this.level) this.raiseLevel(wanted as LogLevel);
    const { exchange } = request;
    if (!this.owner || exchange?.preempt === undefined) return this.connection.request(request);
    return this.requestPreemptably(request, exchange);
  }

  private async requestPreemptably(request: ConnectionRequest, exchange: Exchange): Promise<WireReply> {
    this.preemptable.push(exchange);
    try {
      return await this.connection.request(request);
    } finally {
      this.preemptable.splice(this.preemptable.indexOf(exchange), 1);
    }
  }

  /** Since when all its calls are parked for callers who have not come back, in monotonic ms; undefined if one runs, or there is none. */
  get unattendedSince(): number | undefined {
    if (this.preemptable.length < this.calls) return undefined;
    const since = this.preemptable.map(({ unattendedSince }) => unattendedSince ?? Infinity);
    return since.length > 0 && Math.max(...since) < Infinity ? Math.min(...since) : undefined;
  }

  /** Ends the calls on it that can be preempted; a later retry of each receives the reason. */
  preempt(why: string): void {
    for (const exchange of [...this.preemptable]) exchange.preempt?.(why);
  }

  /** Whether it has calls or tasks. */
  get isNeeded(): boolean {
    return this.calls > 0 || this.tasks > 0 || performance.now() < this.neededUntil;
  }

  /** Keeps it running for so many milliseconds, because it works on a task whose state is asked for elsewhere. */
  needFor(ms: number): void {
    this.neededUntil = Math.max(this.neededUntil, performance.now() + ms);
  }

  /** Keeps it running for a task, until the function that this returns is called. */
  holdForTask(): () => void {
    this.tasks++;
    return () => {
      this.tasks--;
      this.lastUsed = performance.now();
    };
  }

  /** Sends a request about a task, which is not counted as a call. Throws GatewayError: `unknown_task` if the server has forgotten the session of the task. */
  async requestForTask(request: ConnectionRequest): Promise<WireReply> {
    const release = this.holdForTask();
    try {
      return await this.connection.request(request);
    } catch (error) {
      if (!(error instanceof SessionLost)) throw error;
      this.drop({ reason: error.message, kind: 'replaced' });
      throw unknownTask();
    } finally {
      release();
    }
  }

  /** Whether it is out of use. */
  get isLost(): boolean {
    return this.dropped;
  }

  /** The level that its server was told. */
  get logLevel(): LogLevel | undefined {
    return this.level;
  }

  /** Makes a legacy server send log lines of this level. If several sessions share the instance, the level only becomes more verbose (wire.md, Logging). */
  raiseLevel(wanted: LogLevel): void {
    const { connection, level, owner } = this;
    const { config, diagnostics } = this.parts.server;
    if (connection.era !== 'legacy' || !isObject(connection.handshake.capabilities.logging)) return;
    if (!owner?.session && level !== undefined && LOG_LEVELS.indexOf(wanted) >= LOG_LEVELS.indexOf(level)) return;
    this.level = wanted;
    connection.request({ method: 'logging/setLevel', params: { level: wanted }, totalMs: config.timeouts.total }).then(
      ({ error }) => error && diagnostics.record(`it refused the log level ${wanted}: ${error.message}`),
      (error: unknown) => diagnostics.record(`the log level could not be set: ${reasonOf(error)}`),
    );
  }

  /** Reads its offer again. */
  offerChanged(): Promise<void> {
    return this.parts.offer.refresh(this);
  }

  /** Notifies those who follow a resource that it changed. */
  updated(uri: string): void {
    this.pool.updated(uri, this);
  }

  /** Takes it out of use. The calls on it fail, unless it was only replaced. */
  drop(loss: Loss): void {
    if (this.dropped) return;
    this.dropped = true;
    this.loss.resolve(loss);
    const { server } = this.parts;
    server.context.tasks.lost(server.name, this.id);
    this.pool.lost(this, loss);
  }

  /** Takes it out of use if this failure shows that the server did not process the request. Returns whether it does. */
  dropIfUnprocessed(error: unknown): boolean {
    if (!(error instanceof SessionLost) && !isUnreachable(error)) return false;
    this.drop({ reason: reasonOf(error), kind: 'replaced' });
    return true;
  }

  status(): InstanceStatus {
    const { wire } = this.connection;
    const process = wire instanceof StdioWire ? wire.process : undefined;
    return {
      id: this.id,
      ...detailOfOwner(this.owner),
      inFlight: this.calls,
      startedAt: utc(this.startedAt),
      ...(this.owner && this.calls === 0 && { unusedSince: utc(Date.now() - (performance.now() - this.lastUsed)) }),
      ...(process?.pid !== undefined && { pid: process.pid }),
      ...(this.level !== undefined && { logLevel: this.level }),
    };
  }

  private async release(loss: Loss): Promise<Loss> {
    this.watch.stop();
    this.ignoreRoots?.();
    const { server } = this.parts;
    const { wire } = this.connection;
    // a server that forgot a session may still answer the calls that it had begun
    await (loss.kind === 'replaced' ? wire.retire() : wire.close()).catch((error: unknown) =>
      server.diagnostics.record(`its connection did not end well: ${reasonOf(error)}`),
    );
    const reason = forOperator(loss.reason, loss.detail);
    server.record('server_ended', { instance: this.id, ...detailOfOwner(this.owner), reason });
    return loss;
  }

  private onNotification(method: string, params: JsonObject): void {
    const { server, urlElicitations } = this.parts;
    if (method.endsWith('/list_changed')) this.watch.changed();
    else if (method === 'notifications/resources/updated' && typeof params.uri === 'string') this.updated(params.uri);
    else if (method === 'notifications/tasks/status') server.context.tasks.changed(server.name, this.id, params);
    else if (method === 'notifications/elicitation/complete') urlElicitations.completed(params, this.owner);
  }

  private notifyRootsChanged(): void {
    if (!isObject(this.owner?.capabilities.roots) || this.connection.era !== 'legacy') return;
    this.connection.wire
      .notify('notifications/roots/list_changed', {})
      .catch((error: unknown) =>
        this.parts.server.diagnostics.record(`it could not be told of new roots: ${reasonOf(error)}`),
      );
  }
}

function detailOfOwner(owner: Owner | undefined): { readonly owner?: string } {
  return owner ? { owner: owner.label } : {};
}

/** Counts one more call on an instance. */
export function occupy(instance: Instance): Instance {
  instance.calls++;
  return instance;
}

/** What a caller gets if a second session was lost too. */
export function closedFor(error: SessionLost): GatewayError {
  return new GatewayError('upstream_closed', error.message);
}
