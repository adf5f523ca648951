// One live process or connection of a server, from its handshake to its loss.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { within } from '../../../core/cancellation.ts';
import { forOperator, GatewayError, reasonOf, unknownTask } from '../../../core/errors.ts';
import type { Exchange } from '../../../core/exchange.ts';
import { isObject, type JsonObject } from '../../../core/json.ts';
import { LOG_LEVELS, type LogLevel } from '../../../protocol/mcp/vocabulary.ts';
import type { ConfiguredServer } from '../configured-server.ts';
import type { SpokenEra } from '../spoken-era.ts';
import type { Connection, ConnectionRequest } from '../connect/connection.ts';
import type { KnownOffer } from '../offer/known-offer.ts';
import { OfferWatch, type OfferWatchListener } from '../offer/offer-watch.ts';
import { type InstanceStatus, utc } from '../status.ts';
import { isUnreachable } from '../wire/http-errors.ts';
import { StdioWire } from '../wire/stdio-wire.ts';
import { SessionLost, type Wire, type WireReply } from '../wire/wire.ts';
import type { Owner } from './affinity.ts';
import type { Isolation } from './isolation.ts';
import type { UrlElicitations } from './url-elicitations.ts';

/** The parts of an upstream that its instances report to. */
export interface InstanceParts {
  readonly server: ConfiguredServer;
  readonly spoken: SpokenEra;
  readonly isolation: Isolation;
  readonly offer: KnownOffer;
  readonly urlElicitations: UrlElicitations;
}

/** The pool that opens an instance and hands calls to it. */
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

/** Which instance it is, and whose. */
export interface InstanceIdentity {
  /** `NAME#N`: which start of the server this is. */
  readonly id: string;
  /** Absent if everybody shares the instance. */
  readonly owner: Owner | undefined;
  readonly pool: InstancePool;
}

/** Why an instance ended. */
export interface Loss {
  readonly reason: string;
  /** For the operator alone. */
  readonly detail?: string | undefined;
  /** The error of a start that failed. */
  readonly error?: unknown;
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
  /** Calls that run on it, counted by those who hand them to it. */
  calls = 0;
  /** Monotonic ms. */
  lastUsed = performance.now();
  private readonly parts: InstanceParts;
  private readonly pool: InstancePool;
  /** The calls on it that can be preempted. */
  private readonly preemptable: Exchange[] = [];
  private readonly loss = Promise.withResolvers<Loss>();
  private level: LogLevel | undefined;
  /** Resolves when the server has the level, or has not answered for too long. */
  private levelIsSet: Promise<void> | undefined;
  private dropped = false;
  /** Tasks that it works on. */
  private tasks = 0;
  /** Monotonic ms. */
  private neededUntil = 0;
  private readonly ignoreRoots: (() => void) | undefined;

  constructor(parts: InstanceParts, { id, owner, pool }: InstanceIdentity, connection: Connection) {
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
    // some servers run requests beside each other, and a request may overtake another over HTTP
    return this.levelIsSet ? this.levelIsSet.then(() => this.send(request)) : this.send(request);
  }

  private send(request: ConnectionRequest): Promise<WireReply> {
    const { exchange } = request;
    if (!this.owner || exchange?.preempt === undefined) return this.connection.request(request);
    return this.requestPreemptably(request, exchange);
  }

  /** Counts one more call on it; `vacate` follows. */
  occupy(): this {
    this.calls++;
    return this;
  }

  vacate(): void {
    this.calls--;
    this.lastUsed = performance.now();
  }

  private async requestPreemptably(request: ConnectionRequest, exchange: Exchange): Promise<WireReply> {
    this.preemptable.push(exchange);
    try {
      return await this.connection.request(request);
    } finally {
      this.preemptable.splice(this.preemptable.indexOf(exchange), 1);
    }
  }

  /** Since when all its calls are parked for callers who have not come back, in monotonic ms; undefined if one runs, or there is none. Its last caller counts, since all of them lose their calls. */
  get unattendedSince(): number | undefined {
    if (this.preemptable.length < this.calls) return undefined;
    const since = Math.max(...this.preemptable.map(({ unattendedSince }) => unattendedSince ?? Infinity));
    return Number.isFinite(since) ? since : undefined;
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

  /** The log level that the gateway last set at its server. */
  get logLevel(): LogLevel | undefined {
    return this.level;
  }

  /** Makes a legacy server send log lines of this level. If several sessions share the instance, the level only becomes more verbose (wire.md, Logging). */
  raiseLevel(wanted: LogLevel): void {
    const { connection, level, owner } = this;
    const { server } = this.parts;
    if (connection.era !== 'legacy' || !isObject(connection.handshake.capabilities.logging)) return;
    if (!owner?.session && level !== undefined && LOG_LEVELS.indexOf(wanted) >= LOG_LEVELS.indexOf(level)) return;
    this.level = wanted;
    const params = { level: wanted };
    const answered = connection
      .request({ method: 'logging/setLevel', params, totalMs: server.config.timeouts.total })
      .then(
        ({ error }) => error && server.diagnose(`it refused the log level ${wanted}: ${error.message}`),
        (error: unknown) => server.diagnose(`the log level could not be set: ${reasonOf(error)}`),
      );
    const levelIsSet = within(answered, BOUNDS.logLevelAnswer).then(() => {
      if (this.levelIsSet === levelIsSet) this.levelIsSet = undefined;
    });
    this.levelIsSet = levelIsSet;
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
      era: this.connection.era,
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
      server.diagnose(`its connection did not end well: ${reasonOf(error)}`),
    );
    const reason = forOperator(loss.reason, loss.detail);
    server.record('server_ended', { instance: this.id, ...detailOfOwner(this.owner), reason });
    return loss;
  }

  /** The server sends a notification that belongs to no request. */
  onNotification(method: string, params: JsonObject): void {
    const { server, urlElicitations } = this.parts;
    if (method.endsWith('/list_changed')) this.watch.changed();
    else if (method === 'notifications/resources/updated' && typeof params.uri === 'string') this.updated(params.uri);
    else if (method === 'notifications/tasks/status') server.context.tasks.notified(server.name, this.id, params);
    else if (method === 'notifications/elicitation/complete') urlElicitations.completed(params, this.owner);
  }

  private notifyRootsChanged(): void {
    if (!isObject(this.owner?.capabilities.roots) || this.connection.era !== 'legacy') return;
    this.connection.wire
      .notify('notifications/roots/list_changed', {})
      .catch((error: unknown) => this.parts.server.diagnose(`it could not be told of new roots: ${reasonOf(error)}`));
  }
}

export function detailOfOwner(owner: Owner | undefined): { readonly owner?: string } {
  return owner ? { owner: owner.label } : {};
}

/** What a caller gets if a second session was lost too. */
export function closedFor(error: SessionLost): GatewayError {
  return new GatewayError('upstream_closed', error.message);
}
