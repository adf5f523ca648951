// The instance of a server that everybody shares: kept open, opened again after failures, stopped when nobody uses it.
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { ServerOffer } from '../../../catalog/offer.ts';
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { type CancelSignal, within } from '../../../core/cancellation.ts';
import { detailOf, GatewayError, reasonOf } from '../../../core/errors.ts';
import type { LogLevel } from '../../../protocol/mcp/vocabulary.ts';
import type { ConfiguredServer } from '../configured-server.ts';
import type { Circuit } from '../era-upstream.ts';
import { backoffMs, untilTriedAgain } from '../connect/backoff.ts';
import type { Connection } from '../connect/connection.ts';
import type { KnownOffer } from '../offer/known-offer.ts';
import { type Follower, ResourceSubscriptions } from '../offer/resource-subscriptions.ts';
import type { UpstreamState } from '../status.ts';
import type { Wire } from '../wire/wire.ts';
import type { Instance, InstancePool, Loss } from './instance.ts';
import type { Instances } from './instances.ts';

export interface SharedParts {
  readonly instances: Instances;
  readonly offer: KnownOffer;
  readonly circuit: Circuit;
  readonly use: EraUse;
}

/** What the upstream of one era is told of the others. */
export interface EraUse {
  /** Whether the first start only shows if the server speaks the era: where it fails, no other start follows. */
  readonly isTrial: boolean;
  /** How long a process may be unused, in ms. */
  idleMs(): number;
  /** What its callers are offered before its own offer is known. */
  offerBefore(): ServerOffer;
}

export class SharedInstance implements InstancePool {
  /** The instance while it can be used. */
  current: Instance | undefined;
  /** The wire of the instance, or of the last one: the operator wants to read what a process wrote before it ended. */
  wire: Wire | undefined;
  /** What is followed on it; outlives each instance. */
  readonly subscriptions: ResourceSubscriptions;
  state: UpstreamState;
  nextAttemptAt: number | undefined;
  /** Starts since the last connection that held for a while: a server that starts and soon fails counts as failing. */
  private failures = 0;
  /** How often it was opened again after a failure or a loss. */
  restarts = 0;
  private readonly server: ConfiguredServer;
  private readonly parts: SharedParts;
  /** The log level of the last instance, for the next one. */
  private level: LogLevel | undefined;
  private readonly stopping = new AbortController();
  private readonly firstAttempt = Promise.withResolvers<void>();
  private readonly trial = Promise.withResolvers<Loss | undefined>();
  private wasAttempted = false;
  /** Whether it was ever open. */
  wasReady = false;
  /** Resolves with the next change of the state. */
  private change = Promise.withResolvers<void>();
  private running: Promise<void> | undefined;
  /** Monotonic ms. */
  private startedAt: number | undefined;
  /** Wires that this attempt opened: some attempts start a second process (wire.md, Probing an upstream), and each counts as a failure. */
  private wires = 0;
  /** Monotonic ms. */
  private readyAt = Infinity;
  /** Whether nothing is opened any more unless a call waits for it. */
  private quiesced = false;

  constructor(server: ConfiguredServer, parts: SharedParts) {
    this.server = server;
    this.parts = parts;
    this.subscriptions = new ResourceSubscriptions(server.name, server.config.timeouts.total);
    const { problem } = server.config;
    this.state = parts.use.isTrial ? 'idle' : firstState(server, parts.offer);
    if (problem !== undefined) server.errors.record(problem);
    void this.attempted.then(() => (this.wasAttempted = true));
    if (this.state !== 'connecting') this.firstAttempt.resolve();
  }

  /** Resolves when the first attempt has succeeded or failed. */
  get attempted(): Promise<void> {
    return this.firstAttempt.promise;
  }

  /**
   * A promise while the first attempt goes on; resolves when it is over, or has taken `timeouts.start` or 10 s. Undefined where there is
   * nothing to wait for.
   */
  firstConnection(): Promise<void> | undefined {
    const { start } = this.server.config.timeouts;
    const left = (this.startedAt ?? performance.now()) + Math.min(start, BOUNDS.firstConnection) - performance.now();
    if (!this.isUsable || this.wasAttempted || left <= 0) return undefined;
    return within(this.attempted, left);
  }

  get isUsable(): boolean {
    return this.state !== 'disabled' && this.state !== 'invalid';
  }

  /** Whether anything but a call needs it. */
  private get isNeeded(): boolean {
    return this.current?.isNeeded === true || this.subscriptions.size > 0;
  }

  private isStopping(): boolean {
    return this.stopping.signal.aborted;
  }

  start(): void {
    if (!this.isUsable || this.isStopping()) return;
    this.startedAt ??= performance.now();
    this.running ??= this.run();
  }

  /** Opens it for the first time; resolves with why that failed, or with undefined. */
  tried(): Promise<Loss | undefined> {
    this.start();
    this.wake();
    return this.trial.promise;
  }

  /**
   * The instance, waiting for one that is being opened. While the server is down this fails at once, unless it is `patient`: then it waits
   * for the next attempts, as long as a call may take. Throws GatewayError.
   */
  async acquire(signal: CancelSignal | undefined, { patient = false } = {}): Promise<Instance> {
    if (patient && this.state === 'waiting')
      await this.until(() => !this.isBeingTried(), this.server.config.timeouts.total, signal);
    for (;;) {
      this.wake();
      const inTime = this.state !== 'connecting' || (await this.untilSettled(signal));
      if (signal?.aborted === true) throw new GatewayError('cancelled', 'The caller cancelled the call.');
      if (this.current) return this.current;
      // the instance may have become idle in this moment: then the next round wakes it
      if (!inTime || !this.isOpening()) throw this.unavailable();
    }
  }

  /** Starts it if it is idle. */
  wake(): void {
    if (this.state !== 'idle') return;
    this.enter('connecting');
  }

  opened(wire: Wire): void {
    this.wires++;
    this.wire = wire;
  }

  /** It can be used when its offer was read. */
  connected(connection: Connection): Promise<void> {
    return this.parts.offer.read(connection);
  }

  updated(uri: string): void {
    for (const follower of this.followersOf(uri)) follower.updated(uri);
  }

  /** Everybody who follows a resource, or one above it that the policy lets be known. */
  followersOf(uri: string): Follower[] {
    return [...this.subscriptions.followersOf(uri)];
  }

  /** If the instance in use is lost, another is opened. */
  lost(instance: Instance): void {
    this.level = instance.logLevel;
    if (this.current !== instance) return;
    this.current = undefined;
    this.enter('connecting');
  }

  /** Keeps an open instance and tries a failed one no more, since the server is stopped soon. A call in flight may still open an idle one. */
  quiesce(): void {
    this.quiesced = true;
    this.nextAttemptAt = undefined;
    this.changed();
  }

  /** Opens nothing any more and drops the instance; resolves when the last attempt is over. */
  stop(): Promise<void> {
    this.stopping.abort();
    if (this.isUsable) this.state = 'stopped';
    this.changed();
    this.firstAttempt.resolve();
    this.trial.resolve({ reason: 'it was stopped', kind: 'unused' });
    this.current?.drop({ reason: 'it was stopped', kind: 'unused' });
    return this.running ?? Promise.resolve();
  }

  /** Why no call can be given to the server now. */
  unavailable(): GatewayError {
    const { name, errors } = this.server;
    if (this.state === 'stopped') return new GatewayError('shutting_down', `The server "${name}" is being stopped.`);
    const { message: why = 'it has not been reached yet', detail } = errors.last ?? {};
    const wait = this.nextAttemptAt === undefined ? undefined : this.nextAttemptAt - Date.now();
    return new GatewayError(
      'upstream_unreachable',
      untilTriedAgain(`The server "${name}" is not available: ${why}`, wait),
      { detail },
    );
  }

  private async run(): Promise<void> {
    if (this.state === 'idle') await this.untilWoken();
    for (let again = false; !this.isStopping();) {
      if (again) this.restarts++;
      this.wires = 0;
      this.readyAt = Infinity;
      const loss = await this.runOnce();
      const { kind } = loss;
      if (kind === 'failed' && this.parts.use.isTrial && !this.wasReady) {
        this.trial.resolve(loss);
        return;
      }
      again = kind !== 'unused';
      if (performance.now() - this.readyAt > BOUNDS.stableConnection) this.failures = 0;
      if (kind === 'failed') await this.backOff(loss);
      else if (kind === 'unused' || this.quiesced) {
        this.enter('idle');
        await this.untilWoken();
      }
    }
  }

  private async backOff({ reason, detail }: Loss): Promise<void> {
    if (this.isStopping()) return;
    this.failures += Math.max(1, this.wires);
    const wait = backoffMs(this.failures);
    this.server.errors.record(reason, detail);
    if (!this.quiesced) this.nextAttemptAt = Date.now() + wait;
    this.enter('waiting');
    this.firstAttempt.resolve();
    await delay(wait, undefined, { signal: this.stopping.signal, ref: false }).catch(() => undefined);
    if (this.quiesced && !this.isStopping()) await once(this.stopping.signal, 'abort');
    this.nextAttemptAt = undefined;
    if (!this.isStopping()) this.enter('connecting');
  }

  private async untilWoken(): Promise<void> {
    while (this.state === 'idle') await this.change.promise;
  }

  /** Runs one instance from start to loss. Resolves when the next may start: when the process has ended, or the session is replaced. */
  private async runOnce(): Promise<Loss> {
    let instance: Instance;
    try {
      instance = await this.parts.instances.open({
        pool: this,
        failures: this.failures,
        isTrial: this.parts.use.isTrial && !this.wasReady,
        signal: this.stopping.signal,
      });
    } catch (error) {
      return { reason: reasonOf(error), detail: detailOf(error), kind: 'failed', error };
    }
    if (this.isStopping()) instance.drop({ reason: 'it was stopped', kind: 'unused' });
    else if (!instance.isLost) {
      this.readyAt = performance.now();
      this.current = instance;
      this.wire = instance.connection.wire;
      this.wasReady = true;
      this.enter('ready');
      this.firstAttempt.resolve();
      this.trial.resolve(undefined);
    }
    const sweeper = this.watchUse(instance);
    this.parts.circuit.succeeded();
    if (this.level !== undefined) instance.raiseLevel(this.level);
    await this.subscriptions.resume(instance);
    const loss = await instance.lost;
    clearInterval(sweeper);
    return loss.kind === 'replaced' ? loss : await instance.ended;
  }

  /** Stops a process that nobody uses. A connection stays open: it costs nothing and delivers notifications. */
  private watchUse(instance: Instance): NodeJS.Timeout | undefined {
    const { transport, instances } = this.server.config;
    if (transport !== 'stdio') return undefined;
    let neededAt = performance.now();
    const check = () => {
      const now = performance.now();
      if (this.isNeeded) neededAt = now;
      const idleMs = now - Math.max(neededAt, instance.lastUsed);
      if (idleMs > this.parts.use.idleMs()) instance.drop({ reason: 'it was not used', kind: 'unused' });
    };
    return setInterval(check, Math.min(BOUNDS.idleCheck, Math.max(BOUNDS.idleCheckLeast, instances.idle / 4))).unref();
  }

  private isOpening(): boolean {
    return this.state === 'idle' || this.state === 'connecting';
  }

  /**
   * Waits for the attempt to settle; resolves with whether it did so in time. After a failure, callers wait only `timeouts.connect`; for a
   * first start, as long as a call may take.
   */
  private untilSettled(signal: CancelSignal | undefined): Promise<boolean> {
    const { connect, total } = this.server.config.timeouts;
    return this.until(() => this.state !== 'connecting', this.failures > 0 ? connect : total, signal);
  }

  /** Waits for a state; resolves with whether it came in time. */
  private async until(isThere: () => boolean, ms: number, signal: CancelSignal | undefined): Promise<boolean> {
    const end = performance.now() + ms;
    while (!isThere() && signal?.aborted !== true && performance.now() < end)
      await within(this.change.promise, end - performance.now(), { signal });
    return isThere();
  }

  private isBeingTried(): boolean {
    return !this.quiesced && (this.state === 'connecting' || this.state === 'waiting');
  }

  private enter(state: UpstreamState): void {
    if (this.isStopping()) return;
    this.state = state;
    this.server.context.states?.serverChanged(this.server.name);
    this.changed();
  }

  private changed(): void {
    this.change.resolve();
    this.change = Promise.withResolvers();
  }
}

/** A process whose offer is known starts on first use, if the entry allows it. */
function firstState({ config }: ConfiguredServer, { stored }: KnownOffer): UpstreamState {
  const { disabled, problem, instances, transport } = config;
  if (disabled) return 'disabled';
  if (problem !== undefined) return 'invalid';
  return instances.lazy && transport === 'stdio' && stored !== undefined ? 'idle' : 'connecting';
}
