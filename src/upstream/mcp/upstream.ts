// A configured server: keeps one connection to it alive, its offer fresh, and runs calls on it.
import { type CancelSignal } from '../../core/cancellation.ts';
import { setTimeout as delay } from 'node:timers/promises';
import { EMPTY_OFFER, type ServerOffer } from '../../catalog/offer.ts';
import { type StoredOffer } from '../../catalog/store.ts';
import { type ServerConfig } from '../../config/config.ts';
import { cannotAsk } from '../../core/exchange.ts';
import { GatewayError, reasonOf, toGatewayError } from '../../core/errors.ts';
import { InFlight } from '../../core/in-flight.ts';
import { type JsonObject } from '../../core/json.ts';
import { backoffMs, STABLE_MS } from './backoff.ts';
import { connect, type ConnectContext } from './connect.ts';
import { type Connection, type ConnectionRequest } from './connection.ts';
import { isUnreachable } from './http-errors.ts';
import { OfferWatch } from './offer-watch.ts';
import { type Live, ResourceSubscriptions } from './resource-subscriptions.ts';
import { readOffer } from './read-offer.ts';
import { describeServer, type OfferedStatus, type ServerStatus, type UpstreamState } from './status.ts';
import { textCleaner } from './stderr-tail.ts';
import { StdioWire } from './stdio-wire.ts';
import { SessionLost, type Wire, type WireReply } from './wire.ts';

export interface UpstreamContext extends ConnectContext {
  /** The offer was read, or changed. */
  onOffer(server: string, stored: StoredOffer): void;
  onResourceUpdated(server: string, uri: string): void;
  /** Something for the record: started, ended, failed. */
  onEvent(event: 'server_started' | 'server_ended' | 'server_failed', detail: JsonObject): void;
}

/** An answer, and the connection that gave it. */
export interface UpstreamReply {
  readonly reply: WireReply;
  readonly connection: Connection;
}

/** Why a connection ended; `again` where the server is there and only the session is lost. */
interface Loss {
  readonly reason: string;
  readonly again: boolean;
  /** Whether calls in flight may still get their answers. */
  readonly gentle: boolean;
}

const UNSUPPORTED_VERSION = -32022;

/** Lines of noise that are kept beside stderr. */
const MAX_NOISE = 20;

/** The lifecycle of one server: connect, keep, lose, wait, connect again. */
export class Upstream {
  config: ServerConfig;
  private readonly context: UpstreamContext;
  private readonly stopping = new AbortController();
  private state: UpstreamState;
  private connection: Connection | undefined;
  private wire: Wire | undefined;
  private lost: ((loss: Loss) => void) | undefined;
  private watch: OfferWatch | undefined;
  private settled = Promise.withResolvers<void>();
  private firstAttempt = Promise.withResolvers<void>();
  private running: Promise<void> | undefined;
  private stored: StoredOffer | undefined;
  private starts = 0;
  private failures = 0;
  private readonly inFlight = new InFlight();
  private lastError: { message: string; at: number } | undefined;
  private nextAttemptAt: number | undefined;
  private noise: string[] = [];
  private problems: readonly string[] = [];
  private readonly retired = new Set<Wire>();
  /** Takes secrets out of what the server says. */
  private readonly clean: (text: string) => string;
  private readonly subscriptions: ResourceSubscriptions;

  constructor(config: ServerConfig, context: UpstreamContext, known: StoredOffer | undefined) {
    this.config = config;
    this.context = context;
    this.stored = known;
    this.clean = textCleaner(config.secrets);
    this.subscriptions = new ResourceSubscriptions(config.name, config.timeouts.total);
    this.state = config.disabled ? 'disabled' : config.problem === undefined ? 'connecting' : 'invalid';
    if (config.problem !== undefined) this.lastError = { message: config.problem, at: Date.now() };
    if (this.state !== 'connecting') this.firstAttempt.resolve();
  }

  /** What the server offers, as last read; `stale` until it is connected. */
  get offer(): ServerOffer {
    return this.state === 'disabled' || this.state === 'invalid' ? EMPTY_OFFER : (this.stored?.offer ?? EMPTY_OFFER);
  }

  /** Whether anything was ever read from it. */
  get seen(): boolean {
    return this.stored !== undefined;
  }

  /** Resolves when the first attempt to connect has succeeded or failed. */
  get attempted(): Promise<void> {
    return this.firstAttempt.promise;
  }

  /** Takes over what may change without a restart: who may see what, where it is configured. */
  reconfigured(config: ServerConfig): this {
    this.config = config;
    return this;
  }

  start(): void {
    if (this.state === 'connecting') this.running ??= this.run();
  }

  /** Runs a request on the server. Throws GatewayError; what was not processed is sent again once (wire.md, Retrying). */
  request(request: ConnectionRequest): Promise<UpstreamReply> {
    return this.inFlight.track(this.perform(request));
  }

  private async perform(request: ConnectionRequest): Promise<UpstreamReply> {
    try {
      const connection = this.connection ?? (await this.acquire(request.exchange?.signal));
      try {
        const reply = await connection.request(request);
        if (!this.isOutdated(reply, connection)) return { connection, reply };
      } catch (error) {
        if (!this.mayRepeat(error, connection)) throw error;
      }
      const next = await this.acquire(request.exchange?.signal);
      return { connection: next, reply: await next.request(request) };
    } catch (error) {
      throw error instanceof SessionLost ? lostAgain(error) : error;
    }
  }

  /** Tells `onResourceUpdated` of changes to a resource for as long as anyone holds it. Throws GatewayError. */
  follow(uri: string, holder: string): Promise<void> {
    return this.subscriptions.add(uri, holder, this.live());
  }

  unfollow(uri: string, holder: string): void {
    this.subscriptions.remove(uri, holder, this.live());
  }

  /** Lets calls in flight finish, for at most `limitMs`, then stops. New calls are not sent here any more by then. */
  async drain(limitMs: number): Promise<void> {
    await this.inFlight.settled(limitMs);
    await this.stop();
  }

  /** Stops for good: no new connection, calls in flight fail, the process tree is gone when it resolves. */
  async stop(): Promise<void> {
    this.stopping.abort();
    if (this.state !== 'disabled' && this.state !== 'invalid') this.state = 'stopped';
    this.settled.resolve();
    this.firstAttempt.resolve();
    await Promise.all([this.wire?.close(), ...[...this.retired].map((wire) => wire.close())]);
    this.lost?.({ reason: 'it was stopped', again: false, gentle: false }); // a connection over HTTP does not end by itself
    await this.running;
  }

  status(offered: OfferedStatus): ServerStatus {
    const process = this.wire instanceof StdioWire ? this.wire.process : undefined;
    return describeServer(this.config, {
      state: this.state,
      connection: this.connection,
      stored: this.stored,
      process,
      inFlight: this.inFlight.size,
      restarts: Math.max(0, this.starts - 1),
      lastError: this.lastError,
      nextAttemptAt: this.nextAttemptAt,
      offered: { ...offered, warnings: [...this.problems, ...offered.warnings] },
      tail: [...(process?.stderrTail() ?? []), ...this.noise],
    });
  }

  private async run(): Promise<void> {
    while (!this.isStopping()) {
      const since = performance.now();
      const { reason, again } = await this.runOnce();
      if (this.isStopping()) return;
      if (again) continue;
      this.failures = performance.now() - since > STABLE_MS ? 1 : this.failures + 1;
      const wait = backoffMs(this.failures);
      this.lastError = { message: reason, at: Date.now() };
      this.nextAttemptAt = Date.now() + wait;
      this.enter('waiting');
      this.firstAttempt.resolve();
      await delay(wait, undefined, { signal: this.stopping.signal, ref: false }).catch(() => undefined);
      this.nextAttemptAt = undefined;
      if (!this.isStopping()) this.enter('connecting');
    }
  }

  /** One connection from start to loss. */
  private async runOnce(): Promise<Loss> {
    const loss = Promise.withResolvers<Loss>();
    this.lost = loss.resolve;
    const instance = `${this.config.name}#${++this.starts}`;
    try {
      this.connection = await this.open(instance);
    } catch (error) {
      const reason = this.clean(toGatewayError(error instanceof SessionLost ? lostAgain(error) : error).message);
      // the same failure at every attempt is one piece of news
      if (reason !== this.lastError?.message)
        this.context.onEvent('server_failed', { server: this.config.name, instance, reason });
      return { reason, again: false, gentle: false };
    }
    this.failures = 0;
    this.enter('ready');
    this.firstAttempt.resolve();
    this.watch = new OfferWatch(this.connection, {
      changed: () => this.refresh(),
      updated: (uri) => this.context.onResourceUpdated(this.config.name, uri),
    });
    this.watch.start();
    await this.subscriptions.resume({ connection: this.connection, watch: this.watch });
    const ended = await loss.promise;
    this.watch.stop();
    this.connection = undefined;
    if (ended.gentle) this.retire();
    else await this.wire?.close();
    this.context.onEvent('server_ended', { server: this.config.name, instance, reason: ended.reason });
    return ended;
  }

  private async open(instance: string): Promise<Connection> {
    const connection = await connect({
      ...this.context,
      server: this.config,
      instance,
      clean: this.clean,
      signal: this.stopping.signal,
      onWire: (wire) => {
        if (this.isStopping()) throw this.unavailable();
        this.wire = wire;
        // a process is an event each time; a URL that is tried again and again is one
        if (this.config.transport === 'stdio' || this.failures === 0)
          this.context.onEvent('server_started', { server: this.config.name, instance, run: this.config.display });
      },
      events: {
        closed: (reason) => this.lost?.({ reason: this.clean(reason), again: false, gentle: false }),
        noise: (what) => this.note(what),
        log: (params) => this.note(`log line: ${JSON.stringify(params.data ?? null).slice(0, 500)}`),
        missed: () => this.watch?.changed(),
        question: cannotAsk,
        notification: (method, params) => this.onNotification(method, params),
      },
    });
    try {
      await this.read(connection);
      return connection;
    } catch (error) {
      await connection.wire.close();
      throw error;
    }
  }

  /** Reads the offer; a list that cannot be read keeps its last good entries, and takes down nothing beside itself. */
  private async read(connection: Connection): Promise<void> {
    const { offer, problems } = await readOffer(connection, this.config.timeouts.total, this.stored?.offer);
    this.stored = { fetchedAt: Date.now(), offer };
    this.problems = problems.map(this.clean);
    this.context.onOffer(this.config.name, this.stored);
  }

  /** Reads the offer again after the server said that it changed; the last good one stays if that fails. */
  private async refresh(): Promise<void> {
    const { connection } = this;
    if (!connection) return;
    try {
      await this.read(connection);
    } catch (error) {
      const reason = this.clean(reasonOf(error));
      this.lastError = { message: `Its lists changed, but reading them failed: ${reason}`, at: Date.now() };
      this.mayRepeat(error, connection);
    }
  }

  private onNotification(method: string, params: JsonObject): void {
    if (method.endsWith('/list_changed')) this.watch?.changed();
    else if (method === 'notifications/resources/updated' && typeof params.uri === 'string') {
      this.context.onResourceUpdated(this.config.name, params.uri);
    }
  }

  /** The connection, waiting for one that is being opened; fails at once while the server is down. */
  private async acquire(signal: CancelSignal | undefined): Promise<Connection> {
    if (this.state === 'connecting') await this.untilSettled(signal);
    if (signal?.aborted === true) throw new GatewayError('cancelled', 'The caller cancelled the call.');
    if (this.connection) return this.connection;
    throw this.unavailable();
  }

  /** A first start may take its time; one that follows failures is not waited for longer than a connection may take. */
  private async untilSettled(signal: CancelSignal | undefined): Promise<void> {
    const { connect, total } = this.config.timeouts;
    const limit = new AbortController();
    const leave = () => limit.abort();
    const stay = signal?.onAbort(leave);
    const late = delay(this.failures > 0 ? connect : total, undefined, { signal: limit.signal, ref: false });
    await Promise.race([this.settled.promise, late.catch(() => undefined)]);
    stay?.();
    leave();
  }

  private unavailable(): GatewayError {
    const { name } = this.config;
    if (this.state === 'stopped') return new GatewayError('shutting_down', `The server "${name}" is being stopped.`);
    const why = this.lastError?.message ?? 'it has not been reached yet';
    const next =
      this.nextAttemptAt === undefined
        ? ''
        : ` It is tried again in ${Math.max(1, Math.ceil((this.nextAttemptAt - Date.now()) / 1000))} s.`;
    return new GatewayError('upstream_unreachable', `The server "${name}" is not available: ${why}${next}`);
  }

  /** Whether a failure shows that the server saw nothing of the request; then the connection is opened anew. */
  private mayRepeat(error: unknown, connection: Connection): boolean {
    if (!(error instanceof SessionLost) && !isUnreachable(error)) return false;
    this.drop(connection, { reason: reasonOf(error), again: true, gentle: true });
    return true;
  }

  /** A server that no longer speaks the version that it agreed to was replaced: it is asked anew. */
  private isOutdated({ error }: WireReply, connection: Connection): boolean {
    if (connection.era !== 'modern' || error?.code !== UNSUPPORTED_VERSION) return false;
    this.context.eras.forget(this.config.name);
    this.drop(connection, { reason: 'it no longer speaks the version that it spoke', again: true, gentle: true });
    return true;
  }

  private drop(connection: Connection, loss: Loss): void {
    if (this.connection !== connection) return;
    this.connection = undefined;
    this.enter('connecting');
    this.lost?.(loss);
  }

  /** Lets go of a connection whose calls in flight may still end well. */
  private retire(): void {
    const { wire } = this;
    if (!wire) return;
    this.wire = undefined;
    this.retired.add(wire);
    void wire.retire().finally(() => this.retired.delete(wire));
  }

  private live(): Live | undefined {
    return this.connection && this.watch ? { connection: this.connection, watch: this.watch } : undefined;
  }

  private enter(state: UpstreamState): void {
    if (this.isStopping()) return;
    this.state = state;
    if (state === 'connecting') this.settled = Promise.withResolvers();
    else this.settled.resolve();
  }

  private isStopping(): boolean {
    return this.stopping.signal.aborted;
  }

  private note(what: string): void {
    this.noise.push(this.clean(what));
    if (this.noise.length > MAX_NOISE) this.noise.shift();
  }
}

function lostAgain(error: SessionLost): GatewayError {
  return new GatewayError('upstream_closed', error.message);
}
