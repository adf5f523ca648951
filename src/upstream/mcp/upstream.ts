// A configured server: keeps its offer fresh, decides which of its instances a call runs on, and sees to it that there are any.
import { EMPTY_OFFER, type ServerOffer } from '../../catalog/offer.ts';
import type { StoredOffer } from '../../catalog/store.ts';
import type { ServerConfig } from '../../config/config.ts';
import type { Era } from '../../core/call.ts';
import { detailOf, GatewayError, reasonOf } from '../../core/errors.ts';
import { InFlight } from '../../core/in-flight.ts';
import type { LogLevel } from '../../protocol/mcp/meta.ts';
import { type CallerFacts, type Owner, ownerOf } from './instances/affinity.ts';
import { Circuit, type Failure, failureOf, isServerFailure, targetOf } from './instances/circuit.ts';
import type { UpstreamContext } from './context.ts';
import type { Connection, ConnectionRequest } from './connect/connection.ts';
import { isUnreachable } from './wire/http-errors.ts';
import { type Instance, type InstanceHandlers, lostAgain, occupy } from './instances/instance.ts';
import { Isolation } from './instances/isolation.ts';
import { KnownOffer } from './offer/known-offer.ts';
import type { OwnerOffer } from './offer/owner-listings.ts';
import { ProtocolDiagnostics } from './instances/protocol-diagnostics.ts';
import { type Opening, InstanceFactory } from './instances/instance-factory.ts';
import { OwnedInstances } from './instances/owned-instances.ts';
import { RecentErrors } from './instances/recent-errors.ts';
import { SubscribedResources } from './offer/subscribed-resources.ts';
import { UrlElicitations } from './instances/url-elicitations.ts';
import { SharedInstance } from './instances/shared-instance.ts';
import { TaskInstances } from './instances/task-instances.ts';
import { describeServer, type OfferedStatus, type ServerStatus } from './status.ts';
import { textCleaner } from './redaction.ts';
import { StdioWire } from './wire/stdio-wire.ts';
import { SessionLost, type Wire, type WireReply } from './wire/wire.ts';

/** An answer, and the connection that gave it. */
export interface UpstreamReply {
  readonly reply: WireReply;
  readonly connection: Connection;
}

const UNSUPPORTED_VERSION = -32022;

export class Upstream {
  config: ServerConfig;
  private readonly context: UpstreamContext;
  /** What everybody shares, and what the offer is read from. */
  private readonly shared: SharedInstance;
  /** Its channel, live or the last one: what a process said before it ended is of interest. */
  private wire: Wire | undefined;
  /** The most verbose level that a shared instance was told, for the next one. */
  private sharedLevel: LogLevel | undefined;
  private readonly owned: OwnedInstances;
  private readonly isolation: Isolation;
  private readonly circuit = new Circuit();
  private readonly known: KnownOffer;
  private readonly errors = new RecentErrors();
  private readonly openings: InstanceFactory;
  /** How often an instance of an owner was lost, or its session. */
  private ownedLosses = 0;
  readonly tasks: TaskInstances;
  private freshening: Promise<void> | undefined;
  private readonly inFlight = new InFlight();
  private readonly noise: ProtocolDiagnostics;
  /** Instances that are out of use and not gone yet. */
  private readonly ending = new Set<Instance>();
  /** Takes secrets out of what the server says. */
  private readonly clean: (text: string) => string;
  /** The pages that callers were sent to. */
  private readonly pages = new UrlElicitations();
  /** The resources that callers follow. */
  readonly followed: SubscribedResources;

  constructor(config: ServerConfig, context: UpstreamContext, known: StoredOffer | undefined) {
    this.config = config;
    this.context = context;
    this.clean = textCleaner(config.secrets);
    this.noise = new ProtocolDiagnostics(this.clean);
    this.followed = new SubscribedResources({
      server: config.name,
      totalMs: config.timeouts.total,
      shared: () => this.shared,
      owned: () => this.owned,
      ownerOf: (caller) => this.ownerOf(caller),
    });
    this.isolation = new Isolation(config, context.traits);
    this.known = new KnownOffer({
      stored: known,
      totalMs: () => this.config.timeouts.total,
      clean: this.clean,
      changed: (stored) => context.onOffer(config.name, stored),
      ownChanged: (owner, kinds) => context.onOwnOffer(config.name, owner, kinds),
    });
    this.openings = new InstanceFactory({
      config: () => this.config,
      context,
      on: this.handlers,
      errors: this.errors,
      failures: () => this.shared.failures,
      ready: (connection) => this.known.read(connection),
      onWire: (wire) => {
        this.shared.begun();
        this.wire = wire;
      },
      connected: (wire, era) => {
        this.isolation.connected({ transport: wire.transport, era });
        if (wire.stateful && era === 'legacy') this.remember('stateful', 'it assigned a session id');
      },
      clean: this.clean,
    });
    this.owned = new OwnedInstances({
      server: config.name,
      limits: () => ({ ...this.config.instances, total: this.config.timeouts.total }),
      exclusive: () => this.isolation.asksAnonymously,
      spare: {
        server: () => this.config,
        context,
        on: this.handlers,
        wanted: () => this.isolation.startsOnDemand,
        nextId: () => this.openings.nextId(),
        clean: this.clean,
      },
      open: (owner, signal, spare) => this.openOwned({ owner, signal, spare }),
      released: (owner) => this.known.own.forget(owner.key, this.known.offer),
      gaveWay: ({ id, owner }) =>
        context.onEvent('calls_gave_way', { server: config.name, instance: id, owner: owner?.label ?? '' }),
    });
    this.tasks = new TaskInstances((id) => {
      const { current } = this.shared;
      return current?.id === id ? current : this.owned.find(id);
    }, this.inFlight);
    this.shared = new SharedInstance({
      config: () => this.config,
      startsIdle: config.instances.lazy && config.transport === 'stdio' && known !== undefined,
      open: () => this.openings.open({ signal: this.shared.signal }),
      ready: (instance) => {
        this.circuit.succeeded();
        if (this.sharedLevel !== undefined) instance.raiseLevel(this.sharedLevel);
        return this.followed.resume(instance);
      },
      isNeeded: () => this.shared.current?.isNeeded === true || this.followed.needsShared,
      errors: this.errors,
      entered: () => context.onState(config.name),
    });
  }

  /** What the server offers, as last read. */
  get offer(): ServerOffer {
    return this.shared.isUsable ? this.known.offer : EMPTY_OFFER;
  }

  /** What it speaks, as far as that is known. */
  get era(): Era | undefined {
    return this.shared.current?.connection.era;
  }

  /** Whether it is known to put questions to its callers. */
  get mayAsk(): boolean {
    return this.isolation.mayAsk;
  }

  /** Whether there is anybody to whom it offers something else than to everybody. */
  get hasOwnOffers(): boolean {
    return this.known.own.size > 0;
  }

  /** What it offers this caller, where that differs from what it offers everybody. */
  ownOffer(caller: CallerFacts): OwnerOffer | undefined {
    const owner = this.ownerOf(caller)?.key;
    return owner === undefined ? undefined : this.known.own.get(owner);
  }

  /** Whether anything was ever read from it. */
  get seen(): boolean {
    return this.known.stored !== undefined;
  }

  /** Whether it is meant to be used and has never answered: what it offers is not known. */
  get isPendingDiscovery(): boolean {
    return !this.config.disabled && !this.seen;
  }

  /** Resolves when the first attempt to connect has succeeded or failed. */
  get attempted(): Promise<void> {
    return this.shared.attempted;
  }

  /** A promise while the first attempt goes on, as long as that is worth waiting for. */
  meeting(): Promise<void> | undefined {
    return this.shared.meeting();
  }

  /** Reads the offer again where it may have changed without a word; undefined where there is nothing to read. Never throws. */
  freshen(): Promise<void> | undefined {
    const { current } = this.shared;
    if (this.freshening || !current || !this.known.isStale) return this.freshening;
    this.freshening = this.refresh(current).finally(() => (this.freshening = undefined));
    return this.freshening;
  }

  /** Takes over what may change without a restart: who may see what, where it is configured, how it is shared. */
  reconfigured(config: ServerConfig): this {
    this.config = config;
    this.isolation.configured = config.isolation;
    this.owned.review();
    return this;
  }

  start(): void {
    this.shared.start();
  }

  /** Runs a request of a caller. Throws GatewayError; what was not processed is sent again once (wire.md, Retrying). */
  request(request: ConnectionRequest, caller: CallerFacts): Promise<UpstreamReply> {
    return this.inFlight.track(this.perform(request, caller));
  }

  /** A session wants lines of this level from now on; its calls see to it where it is not connected yet. */
  wantLogLevel(level: LogLevel, caller: CallerFacts): void {
    const owner = this.ownerOf(caller);
    if (owner) this.owned.instancesOf(owner).forEach((instance) => instance.raiseLevel(level));
    else this.shared.current?.raiseLevel(level);
  }

  /** Starts nothing any more that no call waits for; `stop` follows. */
  quiesce(): void {
    this.shared.quiesce();
    this.owned.quiesce();
  }

  /** Lets calls in flight finish, for at most `limitMs`, then stops. New calls are not sent here any more by then. */
  async drain(limitMs: number): Promise<void> {
    this.quiesce();
    await this.inFlight.settled(limitMs);
    await this.stop();
  }

  /** Stops for good: no new connection, calls in flight fail, every process tree is gone when it resolves. */
  async stop(): Promise<void> {
    const { ended } = this.shared.stop();
    await Promise.all([this.owned.stop(), ...[...this.ending].map(({ connection }) => connection.wire.close())]);
    await Promise.all([...this.ending].map((instance) => instance.ended));
    await ended;
  }

  status(offered: OfferedStatus): ServerStatus {
    const process = this.wire instanceof StdioWire ? this.wire.process : undefined;
    const { state, current, nextAttemptAt, restarts } = this.shared;
    const { max, idle, lazy } = this.config.instances;
    return describeServer(this.config, {
      state,
      connection: current?.connection,
      stored: this.known.stored,
      process,
      inFlight: this.inFlight.size,
      restarts: restarts + this.ownedLosses,
      errors: this.errors.all,
      nextAttemptAt,
      circuit: this.circuit.state,
      circuitTarget: this.circuit.onlyTarget,
      circuitRetryMs: this.circuit.retryAfterMs,
      pool: { max, idleMs: idle, lazy, ...this.owned.pool },
      isolation: this.isolation.status(),
      instances: [...(current ? [current.status()] : []), ...this.owned.status()],
      offered: { ...offered, warnings: [...this.known.problems, ...offered.warnings] },
      tail: [...(process?.stderrTail() ?? []), ...this.noise.lines],
    });
  }

  private async perform(request: ConnectionRequest, caller: CallerFacts): Promise<UpstreamReply> {
    const { circuit } = this;
    const pass = circuit.isClosed ? 'call' : circuit.admit(targetOf(request));
    if (pass === undefined) throw circuit.refusal(this.config.name);
    try {
      const answered = await this.performAs(this.ownerOf(caller), request);
      circuit.succeeded();
      return answered;
    } catch (error) {
      circuit.ended(pass);
      throw error instanceof SessionLost ? lostAgain(error) : error;
    }
  }

  private async performAs(owner: Owner | undefined, request: ConnectionRequest): Promise<UpstreamReply> {
    const answersBefore = this.circuit.answers;
    for (let again = false; ; again = true) {
      const instance = await this.obtain(owner, request);
      try {
        const reply = await instance.request(request);
        if (reply.error) this.pages.required(reply.error, request.session, owner);
        if (again || !this.isOutdated(reply, instance)) return { connection: instance.connection, reply };
      } catch (error) {
        if (again || !this.mayRepeat(error, instance))
          throw this.judged(error, owner ? undefined : failureOf(error, request, answersBefore));
      } finally {
        this.release(instance);
      }
    }
  }

  /** An instance for one call; give it back with `release`. */
  private obtain(owner: Owner | undefined, request: ConnectionRequest): Instance | Promise<Instance> {
    const { patient = false } = request;
    const signal = request.exchange?.signal;
    if (!owner) {
      this.shared.touch();
      const { current } = this.shared;
      return current ? occupy(current) : this.shared.acquire(signal, { patient }).then(occupy);
    }
    if (this.shared.state !== 'waiting') return this.owned.acquire(owner, signal);
    if (!patient) throw this.shared.unavailable();
    return this.shared.acquire(signal, { patient }).then(() => this.owned.acquire(owner, signal));
  }

  private release(instance: Instance): void {
    if (instance.owner) this.owned.release(instance);
    else instance.calls--;
  }

  private ownerOf(caller: CallerFacts): Owner | undefined {
    return ownerOf(this.isolation.sharing, caller);
  }

  /**
   * Counts a failure against the server, unless it says nothing of it: the caller gave up, the gateway itself refused, or it came from an
   * instance of one owner, who alone has to do with it.
   */
  private judged(error: unknown, failure: Failure | undefined): unknown {
    if (!isServerFailure(error)) return error;
    const detail = detailOf(error);
    this.errors.record(this.clean(reasonOf(error)), detail && this.clean(detail));
    if (failure && this.circuit.failed(failure))
      this.context.onEvent('circuit_opened', { server: this.config.name, reason: this.clean(reasonOf(error)) });
    return error;
  }

  private openOwned(opening: Opening): Promise<Instance> {
    return this.openings.open(opening).catch((error: unknown) => {
      if (opening.signal.aborted) throw error;
      // nobody would notice that the connection which everybody shares has lost its server too
      if (error instanceof GatewayError && isUnreachable(error.cause))
        this.shared.current?.drop({ reason: error.message, kind: 'replaced' });
      throw this.judged(error, { target: 'start', timedOut: false, answersBefore: this.circuit.answers });
    });
  }

  private readonly handlers: InstanceHandlers = {
    changed: (instance) => this.refresh(instance),
    updated: (uri, owner) => this.followed.updated(uri, owner),
    sentToPage: (asked, owner) => this.pages.asked(asked, owner),
    pageDone: (params, owner) => this.pages.done(params, owner),
    taskChanged: (instance, task) => this.context.onTask(this.config.name, instance.id, task),
    askerOfTask: (instance, task, signal) =>
      this.context.askerOfTask({ server: this.config.name, instance, task }, signal),
    asked: (method) => this.remember('asks', `it asked ${method.slice(0, 64)}`),
    noise: (what) => this.noise.record(what),
    event: (event, detail) => this.context.onEvent(event, detail),
    lost: (instance, { kind }) => {
      this.ending.add(instance);
      this.context.onLost(this.config.name, instance.id);
      void instance.ended.finally(() => this.ending.delete(instance));
      if (instance.owner) {
        if (kind !== 'unused') this.ownedLosses++;
        this.owned.remove(instance);
      } else {
        this.sharedLevel = instance.logLevel;
        this.shared.lost(instance);
      }
    },
  };

  private remember(trait: 'asks' | 'stateful', why: string): void {
    if (!this.isolation.remember(trait, why)) return;
    this.context.onEvent('server_isolated', { server: this.config.name, trait, why });
  }

  /** Reads the offer again after an instance said that it changed; the last good one stays if that fails. */
  private async refresh(instance: Instance): Promise<void> {
    try {
      if (instance.owner) await this.known.readOwn(instance, instance.owner.key);
      else await this.known.read(instance.connection);
    } catch (error) {
      this.errors.record(`Its lists changed, but reading them failed: ${this.clean(reasonOf(error))}`);
      this.mayRepeat(error, instance);
    }
  }

  /** Why no call can be given to it now, as its callers may know it: what is wrong with its entry names files. */
  unavailable(): GatewayError {
    const { name, problem } = this.config;
    if (problem === undefined) return this.shared.unavailable();
    const why = 'its entry in the configuration cannot be used, which its operator has to mend.';
    return new GatewayError('upstream_unreachable', `The server "${name}" is not available: ${why}`);
  }

  /** Whether a failure shows that the server saw nothing of the request; then the connection is opened anew. */
  private mayRepeat(error: unknown, instance: Instance): boolean {
    if (!(error instanceof SessionLost) && !isUnreachable(error)) return false;
    instance.drop({ reason: reasonOf(error), kind: 'replaced' });
    return true;
  }

  /** A server that no longer speaks the version that it agreed to was replaced: it is asked anew. */
  private isOutdated({ error }: WireReply, instance: Instance): boolean {
    if (instance.connection.era !== 'modern' || error?.code !== UNSUPPORTED_VERSION) return false;
    this.context.eras.forget(this.config.name);
    instance.drop({ reason: 'it no longer speaks the version that it spoke', kind: 'replaced' });
    return true;
  }
}
