// One live process or connection of a server, from its handshake to its loss.
import { forOperator, GatewayError, reasonOf, toGatewayError, unknownTask } from '../../../core/errors.ts';
import type { Exchange } from '../../../core/exchange.ts';
import { isObject, type JsonObject } from '../../../core/json.ts';
import { LOG_LEVELS, type LogLevel } from '../../../protocol/mcp/meta.ts';
import { type Owner, SHARED_CAPABILITIES } from './affinity.ts';
import {
  ask,
  type ServerRequestHandlers,
  type ServerRequestOptions,
  type KnownRoots,
} from './server-request-routing.ts';
import { connect, type ConnectContext } from '../connect/connect.ts';
import type { Connection, ConnectionRequest } from '../connect/connection.ts';
import type { PrewarmedProcess } from '../connect/prewarmed-process.ts';
import { OfferWatch } from '../offer/offer-watch.ts';
import { type InstanceStatus, utc } from '../status.ts';
import { StdioWire } from '../wire/stdio-wire.ts';
import { SessionLost, type Wire, type WireReply } from '../wire/wire.ts';

/** What happens to instances, for the record. */
export type InstanceEvent = `server_${'started' | 'ended' | 'failed'}` | `spare_${'started' | 'ended'}`;

export interface InstanceHandlers extends ServerRequestHandlers {
  /** Its lists changed: read them again. */
  changed(instance: Instance): Promise<void>;
  updated(uri: string, owner: Owner | undefined): void;
  /** A task that it works on changed. */
  taskChanged(instance: Instance, task: JsonObject): void;
  /** It says that what a caller was sent to a page for is done. */
  pageDone(params: JsonObject, owner: Owner | undefined): void;
  /** It said something that is for nobody. */
  noise(what: string): void;
  event(event: InstanceEvent, detail: JsonObject): void;
  /** It is out of use from now on; told once. */
  lost(instance: Instance, loss: Loss): void;
}

export interface InstanceOptions extends ServerRequestOptions {
  readonly context: ConnectContext;
  readonly on: InstanceHandlers;
  /** Starts that failed before this one. */
  readonly failures: number;
  /** A process that was started ahead. */
  readonly spare?: PrewarmedProcess | undefined;
  /** Aborted when the server is being stopped. */
  readonly signal: AbortSignal;
  /** Takes secrets out of what the server says. */
  clean(text: string): string;
  /** Whether that it is started is news: a URL that is tried again and again is not. */
  readonly announced: boolean;
  /** What must have succeeded before it counts as started: reading its offer. */
  ready?(connection: Connection): Promise<void>;
  /** Told as soon as there is something to look at. */
  onWire?(wire: Wire): void;
}

/** Why an instance ended. */
export interface Loss {
  readonly reason: string;
  /** What only the operator gets to read of it. */
  readonly detail?: string | undefined;
  /** `failed` counts as a failure of the server; `replaced`: the server is there, only this session of it is over; `unused`: it was stopped. */
  readonly kind: 'failed' | 'replaced' | 'unused';
}

export class Instance {
  readonly id: string;
  readonly owner: Owner | undefined;
  readonly connection: Connection;
  readonly watch: OfferWatch;
  /** Resolves when the instance can no longer be used. */
  readonly lost: Promise<Loss>;
  /** Resolves when it has let go of everything too. */
  readonly ended: Promise<Loss>;
  readonly startedAt = Date.now();
  /** Calls that run on it; kept by whoever hands them to it. */
  calls = 0;
  /** Monotonic ms. */
  lastUsed = performance.now();
  /** Callers that may leave their calls waiting. */
  private readonly leavable: Exchange[] = [];
  private readonly options: InstanceOptions;
  private readonly loss = Promise.withResolvers<Loss>();
  private level: LogLevel | undefined;
  private dropped = false;
  private held = 0;
  /** Monotonic ms. */
  private neededUntil = 0;
  private readonly stopHearing: (() => void) | undefined;

  /** Starts or connects, shakes hands. Throws GatewayError, and then leaves nothing behind. */
  static async open(options: InstanceOptions): Promise<Instance> {
    const { id, server, on } = options;
    let instance: Instance | undefined;
    let early: GatewayError | undefined;
    let changedEarly: boolean | undefined;
    const known: KnownRoots = { result: { roots: [] } };
    const cleaned = (detail: string | undefined) => (detail === undefined ? undefined : options.clean(detail));
    try {
      const connection = await connect({
        ...options.context,
        server,
        instance: id,
        signal: options.signal,
        failures: options.failures,
        spare: options.spare,
        capabilities: options.owner?.capabilities ?? SHARED_CAPABILITIES,
        onWire: (wire) => {
          options.onWire?.(wire);
          if (options.announced)
            on.event('server_started', { server: server.name, instance: id, ...whose(options), run: server.display });
        },
        events: {
          closed: (reason, detail) => {
            early = new GatewayError('upstream_closed', `The server "${server.name}" went away: ${reason}`, { detail });
            instance?.drop({ reason: options.clean(reason), detail: cleaned(detail), kind: 'failed' });
          },
          missed: () => instance?.watch.changed(),
          notification: (method, params) => {
            if (instance) instance.onNotification(method, params);
            else if (method.endsWith('/list_changed')) changedEarly = true;
          },
          isOwners: (method) => method === 'roots/list' && options.owner?.session?.reachable === true,
          question: (asked) => ask(options, asked, known),
          log: (params) => tellOwner(options, params),
          noise: (what) => on.noise(what),
        },
      });
      await options.ready?.(connection).catch(async (error: unknown) => {
        await connection.wire.close();
        throw error;
      });
      if (early !== undefined) {
        await connection.wire.close();
        throw early;
      }
      instance = new Instance(options, connection);
      // what was read by then may be older than the change
      if (changedEarly === true) instance.watch.changed();
      return instance;
    } catch (error) {
      const failure = toGatewayError(error instanceof SessionLost ? lostAgain(error) : error);
      const { code, message, detail } = failure;
      throw new GatewayError(code, options.clean(message), { cause: error, detail: cleaned(detail) });
    }
  }

  private constructor(options: InstanceOptions, connection: Connection) {
    const { id, owner, on } = options;
    this.id = id;
    this.owner = owner;
    this.options = options;
    this.connection = connection;
    this.watch = new OfferWatch(connection, {
      changed: () => on.changed(this),
      updated: (uri) => this.updated(uri),
    });
    this.watch.start();
    this.stopHearing = owner?.session?.onRootsChanged(() => this.tellRootsChanged());
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
    return this.runLeavable(request, exchange);
  }

  private async runLeavable(request: ConnectionRequest, exchange: Exchange): Promise<WireReply> {
    this.leavable.push(exchange);
    try {
      return await this.connection.request(request);
    } finally {
      this.leavable.splice(this.leavable.indexOf(exchange), 1);
    }
  }

  /** Since when every call on it waits for a caller who is not there, in monotonic ms; undefined where there is none, or one does not. */
  get unattendedSince(): number | undefined {
    if (this.leavable.length < this.calls) return undefined;
    const since = this.leavable.map(({ unattendedSince }) => unattendedSince ?? Infinity);
    return since.length > 0 && Math.max(...since) < Infinity ? Math.min(...since) : undefined;
  }

  /** Ends the calls on it that can be ended so, in favour of others. */
  giveWay(why: string): void {
    for (const exchange of [...this.leavable]) exchange.preempt?.(why);
  }

  /** Whether anything needs it: a call, or a task that it works on while nobody calls. */
  get isNeeded(): boolean {
    return this.calls > 0 || this.held > 0 || performance.now() < this.neededUntil;
  }

  /** Keeps it running for so many milliseconds: it works on a task that is followed elsewhere. */
  needFor(ms: number): void {
    this.neededUntil = Math.max(this.neededUntil, performance.now() + ms);
  }

  /** Keeps it running for a task. Returns the way to let go of it. */
  holdForTask(): () => void {
    this.held++;
    return () => {
      this.held--;
      this.lastUsed = performance.now();
    };
  }

  /** Sends a request about a task, which takes no call's place. Throws GatewayError: `unknown_task` where its server knows our session, and with it the task, no longer. */
  async requestForTask(request: ConnectionRequest): Promise<WireReply> {
    const letGo = this.holdForTask();
    try {
      return await this.connection.request(request);
    } catch (error) {
      if (!(error instanceof SessionLost)) throw error;
      this.drop({ reason: error.message, kind: 'replaced' });
      throw unknownTask();
    } finally {
      letGo();
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

  /** Makes a legacy server send lines of this level; where several sessions use it only ever more of them (wire.md, Logging). */
  raiseLevel(wanted: LogLevel): void {
    const { connection, level, owner } = this;
    if (connection.era !== 'legacy' || !isObject(connection.handshake.capabilities.logging)) return;
    if (!owner?.session && level !== undefined && LOG_LEVELS.indexOf(wanted) >= LOG_LEVELS.indexOf(level)) return;
    this.level = wanted;
    connection
      .request({ method: 'logging/setLevel', params: { level: wanted }, totalMs: this.options.server.timeouts.total })
      .then(
        ({ error }) => error && this.options.on.noise(`it refused the log level ${wanted}: ${error.message}`),
        (error: unknown) => this.options.on.noise(`the log level could not be set: ${reasonOf(error)}`),
      );
  }

  /** Tells those who follow a resource that it changed. */
  updated(uri: string): void {
    this.options.on.updated(uri, this.owner);
  }

  /** Takes it out of use. What is in flight fails, unless the instance was only replaced. */
  drop(loss: Loss): void {
    if (this.dropped) return;
    this.dropped = true;
    this.loss.resolve(loss);
    this.options.on.lost(this, loss);
  }

  status(): InstanceStatus {
    const { wire } = this.connection;
    const process = wire instanceof StdioWire ? wire.process : undefined;
    return {
      id: this.id,
      ...(this.owner && { owner: this.owner.label }),
      inFlight: this.calls,
      startedAt: utc(this.startedAt),
      ...(this.owner && this.calls === 0 && { unusedSince: utc(Date.now() - (performance.now() - this.lastUsed)) }),
      ...(process?.pid !== undefined && { pid: process.pid }),
      ...(this.level !== undefined && { logLevel: this.level }),
    };
  }

  private async release(loss: Loss): Promise<Loss> {
    this.watch.stop();
    this.stopHearing?.();
    const { wire } = this.connection;
    // a session that the server forgot may still answer what it had begun
    const letGo = loss.kind === 'replaced' ? wire.retire() : wire.close();
    await letGo.catch((error: unknown) => this.options.on.noise(`its connection did not end well: ${reasonOf(error)}`));
    this.options.on.event('server_ended', {
      server: this.options.server.name,
      instance: this.id,
      ...whose(this.options),
      reason: forOperator(loss.reason, loss.detail),
    });
    return loss;
  }

  private onNotification(method: string, params: JsonObject): void {
    if (method.endsWith('/list_changed')) this.watch.changed();
    else if (method === 'notifications/resources/updated' && typeof params.uri === 'string') this.updated(params.uri);
    else if (method === 'notifications/tasks/status') this.options.on.taskChanged(this, params);
    else if (method === 'notifications/elicitation/complete') this.options.on.pageDone(params, this.owner);
  }

  private tellRootsChanged(): void {
    if (!isObject(this.owner?.capabilities.roots) || this.connection.era !== 'legacy') return;
    this.connection.wire
      .notify('notifications/roots/list_changed', {})
      .catch((error: unknown) => this.options.on.noise(`it could not be told of new roots: ${reasonOf(error)}`));
  }
}

/** A log line of no single call: on the instance of a session it is the session's, else it goes to the server's own log. */
function tellOwner({ owner, on }: InstanceOptions, params: JsonObject): void {
  if (owner?.session) owner.session.standing.log(params);
  else on.noise(`log line: ${JSON.stringify(params.data ?? null).slice(0, 500)}`);
}

function whose({ owner }: InstanceOptions): JsonObject {
  return owner ? { owner: owner.label } : {};
}

/** Counts one more call on an instance. */
export function occupy(instance: Instance): Instance {
  instance.calls++;
  return instance;
}

export function lostAgain(error: SessionLost): GatewayError {
  return new GatewayError('upstream_closed', error.message);
}
