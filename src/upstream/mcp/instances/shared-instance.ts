// The instance of a server that everybody shares: kept alive, tried again after failures, put to rest when nobody uses it.
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { ServerConfig } from '../../../config/config.ts';
import type { CancelSignal } from '../../../core/cancellation.ts';
import { detailOf, GatewayError, reasonOf } from '../../../core/errors.ts';
import { backoffMs, STABLE_MS, untilTriedAgain } from '../connect/backoff.ts';
import type { Instance, Loss } from './instance.ts';
import type { RecentErrors } from './recent-errors.ts';
import type { UpstreamState } from '../status.ts';

/** How long others wait for a server that starts, at most (wire.md, What the gateway offers). */
const MEETING_MS = 10_000;

/** How often it is looked whether a process is still used, at most. */
const SWEEP_MS = 30_000;

export interface SharedOptions {
  /** Read at each use: what needs no restart may change. */
  readonly config: () => ServerConfig;
  /** Begins idle: its offer is known, and it is only started when it is used. */
  readonly startsIdle: boolean;
  readonly open: () => Promise<Instance>;
  /** It can be used; what is followed is followed anew. */
  readonly ready: (instance: Instance) => Promise<void>;
  /** Whether anything needs the process although no call has used it lately. */
  readonly isNeeded: () => boolean;
  readonly errors: RecentErrors;
  /** Told of every change of the state. */
  readonly entered: () => void;
}

export class SharedInstance {
  /** The instance while it can be used. */
  current: Instance | undefined;
  nextAttemptAt: number | undefined;
  /** Starts since it last held for a while; a server that starts well and fails soon is one that fails. */
  failures = 0;
  /** How often it was opened again after a failure or a loss. */
  restarts = 0;
  private readonly options: SharedOptions;
  private readonly stopping = new AbortController();
  private readonly firstAttempt = Promise.withResolvers<void>();
  private wasAttempted = false;
  private settled = Promise.withResolvers<void>();
  private woken = Promise.withResolvers<void>();
  /** Settles with the next change of the state. */
  private change = Promise.withResolvers<void>();
  private running: Promise<void> | undefined;
  /** Monotonic ms. */
  private startedAt: number | undefined;
  private begins = 0;
  /** Monotonic ms. */
  private readyAt = Infinity;
  private usedLately = true;
  /** Whether nothing is opened any more that no call waits for. */
  private resting = false;
  private entered: UpstreamState;

  constructor(options: SharedOptions) {
    this.options = options;
    const { disabled, problem } = options.config();
    this.entered = disabled
      ? 'disabled'
      : problem !== undefined
        ? 'invalid'
        : options.startsIdle
          ? 'idle'
          : 'connecting';
    if (problem !== undefined) options.errors.record(problem);
    void this.attempted.then(() => (this.wasAttempted = true));
    if (this.entered !== 'connecting') this.firstAttempt.resolve();
  }

  get state(): UpstreamState {
    return this.entered;
  }

  /** Resolves when the first attempt has succeeded or failed. */
  get attempted(): Promise<void> {
    return this.firstAttempt.promise;
  }

  /**
   * A promise while the first attempt goes on; resolves when it is over, or has taken `timeouts.start` or 10 s. Undefined where there is
   * nothing to wait for.
   */
  meeting(): Promise<void> | undefined {
    const { start } = this.options.config().timeouts;
    const left = (this.startedAt ?? performance.now()) + Math.min(start, MEETING_MS) - performance.now();
    if (!this.isUsable || this.wasAttempted || left <= 0) return undefined;
    return Promise.race([this.attempted, delay(left, undefined, { ref: false })]);
  }

  get isUsable(): boolean {
    return this.entered !== 'disabled' && this.entered !== 'invalid';
  }

  isStopping(): boolean {
    return this.stopping.signal.aborted;
  }

  /** Aborted when the server is being stopped. */
  get signal(): AbortSignal {
    return this.stopping.signal;
  }

  start(): void {
    if (!this.isUsable || this.isStopping()) return;
    this.startedAt ??= performance.now();
    this.running ??= this.run();
  }

  /**
   * The instance, waiting for one that is being opened. While the server is down this fails at once, unless it is `patient`: then it waits
   * for the next attempts, as long as a call may take. Throws GatewayError.
   */
  async acquire(signal: CancelSignal | undefined, { patient = false } = {}): Promise<Instance> {
    if (patient && this.entered === 'waiting') await this.untilBack(signal);
    for (;;) {
      this.wake();
      const inTime = this.entered !== 'connecting' || (await this.untilSettled(signal));
      if (signal?.aborted === true) throw new GatewayError('cancelled', 'The caller cancelled the call.');
      if (this.current) return this.current;
      // one that has just been put to rest is woken again
      if (!inTime || !this.isComing()) throw this.unavailable();
    }
  }

  /** Starts it where it is at rest. */
  wake(): void {
    if (this.entered !== 'idle') return;
    this.enter('connecting');
    this.woken.resolve();
  }

  /** Notes that a call came: what is used is not put to rest. */
  touch(): void {
    this.usedLately = true;
  }

  /** There is a process or socket: each start of an attempt counts, since some attempts start a second one (wire.md, Probing an upstream). */
  begun(): void {
    this.begins++;
  }

  /** An instance is out of use; another is opened if it was this one. */
  lost(instance: Instance): void {
    if (this.current !== instance) return;
    this.current = undefined;
    this.enter('connecting');
  }

  /**
   * Goes on with what is open, and tries no more what failed, since everything is stopped soon. What a call in flight needs and did not
   * fail is still opened.
   */
  quiesce(): void {
    this.resting = true;
    this.nextAttemptAt = undefined;
    this.change.resolve();
  }

  /** Opens nothing any more and lets go of what is open; `ended` resolves when the last attempt is over. */
  stop(): { ended: Promise<void> } {
    this.stopping.abort();
    if (this.isUsable) this.entered = 'stopped';
    this.settled.resolve();
    this.change.resolve();
    this.firstAttempt.resolve();
    this.woken.resolve();
    this.current?.drop({ reason: 'it was stopped', kind: 'unused' });
    return { ended: this.running ?? Promise.resolve() };
  }

  /** Why no call can be given to the server now. */
  unavailable(): GatewayError {
    const { name } = this.options.config();
    if (this.entered === 'stopped') return new GatewayError('shutting_down', `The server "${name}" is being stopped.`);
    const { message: why = 'it has not been reached yet', detail } = this.options.errors.last ?? {};
    const wait = this.nextAttemptAt === undefined ? undefined : this.nextAttemptAt - Date.now();
    return new GatewayError(
      'upstream_unreachable',
      untilTriedAgain(`The server "${name}" is not available: ${why}`, wait),
      { detail },
    );
  }

  private async run(): Promise<void> {
    if (this.entered === 'idle') await this.untilWoken();
    for (let again = false; !this.isStopping();) {
      if (again) this.restarts++;
      this.begins = 0;
      this.readyAt = Infinity;
      const loss = await this.runOnce();
      const { kind } = loss;
      again = kind !== 'unused';
      if (performance.now() - this.readyAt > STABLE_MS) this.failures = 0;
      if (kind === 'failed') await this.backOff(loss);
      else if (kind === 'unused' || this.resting) {
        this.enter('idle');
        await this.untilWoken();
      }
    }
  }

  private async backOff({ reason, detail }: Loss): Promise<void> {
    if (this.isStopping()) return;
    this.failures += Math.max(1, this.begins);
    const wait = backoffMs(this.failures);
    this.options.errors.record(reason, detail);
    if (!this.resting) this.nextAttemptAt = Date.now() + wait;
    this.enter('waiting');
    this.firstAttempt.resolve();
    await delay(wait, undefined, { signal: this.stopping.signal, ref: false }).catch(() => undefined);
    if (this.resting && !this.isStopping()) await once(this.stopping.signal, 'abort');
    this.nextAttemptAt = undefined;
    if (!this.isStopping()) this.enter('connecting');
  }

  private async untilWoken(): Promise<void> {
    if (this.isStopping()) return;
    this.woken = Promise.withResolvers();
    await this.woken.promise;
    if (!this.isStopping()) this.enter('connecting');
  }

  /** One instance from start to loss; resolves as soon as the next may start: when a process is gone, when a session is let go. */
  private async runOnce(): Promise<Loss> {
    let instance: Instance;
    try {
      instance = await this.options.open();
    } catch (error) {
      return { reason: reasonOf(error), detail: detailOf(error), kind: 'failed' };
    }
    if (this.isStopping()) instance.drop({ reason: 'it was stopped', kind: 'unused' });
    else if (!instance.isLost) {
      this.readyAt = performance.now();
      this.current = instance;
      this.enter('ready');
      this.firstAttempt.resolve();
    }
    const sweeper = this.watchUse(instance);
    await this.options.ready(instance);
    const loss = await instance.lost;
    clearInterval(sweeper);
    return loss.kind === 'replaced' ? loss : await instance.ended;
  }

  /** A process that nobody uses is stopped; a connection costs nothing and brings news. */
  private watchUse(instance: Instance): NodeJS.Timeout | undefined {
    const { transport, instances } = this.options.config();
    if (transport !== 'stdio') return undefined;
    let idleSince = performance.now();
    const look = () => {
      if (this.usedLately || this.options.isNeeded()) idleSince = performance.now();
      this.usedLately = false;
      const { idle } = this.options.config().instances;
      if (performance.now() - idleSince > idle) instance.drop({ reason: 'it was not used', kind: 'unused' });
    };
    return setInterval(look, Math.min(SWEEP_MS, Math.max(50, instances.idle / 4))).unref();
  }

  private isComing(): boolean {
    return this.entered === 'idle' || this.entered === 'connecting';
  }

  /**
   * Resolves with whether it was in time. A first start may take its time; one that follows failures is not waited for longer than a
   * connection may take.
   */
  private async untilSettled(signal: CancelSignal | undefined): Promise<boolean> {
    const { connect, total } = this.options.config().timeouts;
    const limit = new AbortController();
    const leave = () => limit.abort();
    const stay = signal?.onAbort(leave);
    const late = delay(this.failures > 0 ? connect : total, undefined, { signal: limit.signal, ref: false });
    const inTime = this.settled.promise.then(() => true);
    const isInTime = await Promise.race([inTime, late.then(() => false).catch(() => false)]);
    stay?.();
    leave();
    return isInTime;
  }

  /** Resolves when a server that is down is tried no more, because it is back or given up, or when a call has waited long enough. */
  private async untilBack(signal: CancelSignal | undefined): Promise<void> {
    const limit = new AbortController();
    const leave = () => limit.abort();
    const stay = signal?.onAbort(leave);
    const { total } = this.options.config().timeouts;
    const late = delay(total, undefined, { signal: limit.signal, ref: false }).catch(() => undefined);
    const over = late.then(leave);
    while (!limit.signal.aborted && this.isTried()) await Promise.race([over, this.change.promise]);
    stay?.();
    leave();
  }

  private isTried(): boolean {
    return !this.resting && (this.entered === 'connecting' || this.entered === 'waiting');
  }

  private enter(state: UpstreamState): void {
    if (this.isStopping()) return;
    const before = this.entered;
    this.entered = state;
    this.options.entered();
    this.change.resolve();
    this.change = Promise.withResolvers();
    if (state !== 'connecting') this.settled.resolve();
    else if (before !== 'connecting') this.settled = Promise.withResolvers();
  }
}
