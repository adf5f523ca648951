// The instances of one server that belong to sessions or principals: opened on use, bounded, stopped when nobody uses them.
import { type CancelSignal } from '../../core/cancellation.ts';
import { GatewayError } from '../../core/errors.ts';
import { type Owner } from './affinity.ts';
import { backoffMs } from './backoff.ts';
import { type Instance } from './instance.ts';
import { ResourceSubscriptions } from './resource-subscriptions.ts';
import { type InstanceStatus } from './status.ts';

/** Most callers that wait for an instance. */
const MAX_WAITING = 1_000;

/** How often unused instances are looked for, at most. */
const SWEEP_MS = 30_000;

export interface OwnedOptions {
  readonly server: string;
  /** Read at each use: they may change while instances live. */
  readonly limits: () => { readonly max: number; readonly idle: number; readonly total: number };
  /** Whether an instance runs one call at a time, because it would not say which of them asks. */
  readonly exclusive: () => boolean;
  readonly open: (owner: Owner) => Promise<Instance>;
  /** Nothing of the owner is left. */
  readonly released: (owner: Owner) => void;
}

/** What belongs to one owner; subscriptions outlive the instance that they were made on. */
interface Holding {
  readonly owner: Owner;
  readonly instances: Set<Instance>;
  readonly subscriptions: ResourceSubscriptions;
  opening: Promise<Instance> | undefined;
  failures: number;
  reopening: NodeJS.Timeout | undefined;
}

export class OwnedInstances {
  private readonly options: OwnedOptions;
  private readonly holdings = new Map<string, Holding>();
  private readonly waiting = new Set<() => void>();
  /** Instances that are open or being opened. */
  private count = 0;
  private sweeper: NodeJS.Timeout | undefined;
  private stopped = false;

  constructor(options: OwnedOptions) {
    this.options = options;
  }

  get size(): number {
    return this.count;
  }

  /** An instance of the owner's for one call; give it back with `release`. Throws GatewayError. */
  async acquire(owner: Owner, signal: CancelSignal | undefined): Promise<Instance> {
    const { limits, exclusive } = this.options;
    const giveUpAt = performance.now() + limits().total;
    for (;;) {
      this.requireOpen(owner, signal);
      const holding = this.holdingOf(owner);
      const free = [...holding.instances].find((instance) => !exclusive() || instance.calls === 0);
      if (free) return occupy(free);
      if (holding.opening && !exclusive()) {
        await holding.opening;
        continue;
      }
      if (this.count < limits().max || this.evict()) return occupy(await this.open(holding));
      await this.untilFreed(giveUpAt, signal);
    }
  }

  release(instance: Instance): void {
    instance.calls--;
    instance.lastUsed = performance.now();
    if (instance.calls === 0) this.wakeOne();
  }

  /** Forgets an instance that is out of use; its end is awaited elsewhere. */
  remove(instance: Instance): void {
    const holding = instance.owner && this.holdings.get(instance.owner.key);
    if (!holding?.instances.delete(instance)) return;
    this.count--;
    this.wakeOne();
    if (holding.subscriptions.size > 0) this.reopenLater(holding);
    else this.forgetEmpty(holding);
  }

  /** Follows a resource on an instance of the owner's. Throws GatewayError. */
  async follow(owner: Owner, uri: string, holder: string): Promise<void> {
    const instance = await this.acquire(owner, undefined);
    try {
      await this.holdingOf(owner).subscriptions.add(uri, holder, instance);
    } finally {
      this.release(instance);
    }
  }

  unfollow(uri: string, holder: string): void {
    for (const { subscriptions, instances } of this.holdings.values()) {
      const [first] = instances;
      subscriptions.remove(uri, holder, first);
    }
  }

  instancesOf(owner: Owner): readonly Instance[] {
    return [...(this.holdings.get(owner.key)?.instances ?? [])];
  }

  /** What belongs to a session ends with it. */
  end(owner: Owner): void {
    const holding = this.holdings.get(owner.key);
    if (!holding) return;
    clearTimeout(holding.reopening);
    this.holdings.delete(owner.key);
    for (const instance of holding.instances) {
      this.count--;
      instance.drop({ reason: 'its session ended', kind: 'unused' });
    }
    this.options.released(owner);
    this.wakeOne();
  }

  /** Ends every instance; resolves when none is being opened any more. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.sweeper);
    for (const wake of this.waiting) wake();
    const holdings = [...this.holdings.values()];
    const instances = holdings.flatMap((holding) => [...holding.instances]);
    for (const instance of instances) instance.drop({ reason: 'it was stopped', kind: 'unused' });
    for (const { reopening } of holdings) clearTimeout(reopening);
    await Promise.allSettled(holdings.map(({ opening }) => opening ?? Promise.resolve()));
    this.holdings.clear();
  }

  status(): InstanceStatus[] {
    return [...this.holdings.values()].flatMap(({ instances }) => [...instances].map((instance) => instance.status()));
  }

  private requireOpen(owner: Owner, signal: CancelSignal | undefined): void {
    if (signal?.aborted === true) throw new GatewayError('cancelled', 'The caller cancelled the call.');
    if (this.stopped) throw new GatewayError('shutting_down', `The server "${this.options.server}" is being stopped.`);
    if (owner.session?.standing.signal.aborted === true)
      throw new GatewayError('cancelled', 'The session of the call has ended.');
  }

  private holdingOf(owner: Owner): Holding {
    const known = this.holdings.get(owner.key);
    if (known) return known;
    const { server, limits } = this.options;
    const holding: Holding = {
      owner,
      instances: new Set(),
      subscriptions: new ResourceSubscriptions(server, limits().total),
      opening: undefined,
      failures: 0,
      reopening: undefined,
    };
    this.holdings.set(owner.key, holding);
    owner.session?.standing.signal.onAbort(() => this.end(owner));
    this.sweeper ??= setInterval(() => this.sweep(), Math.min(SWEEP_MS, Math.max(50, limits().idle / 4))).unref();
    return holding;
  }

  private async open(holding: Holding): Promise<Instance> {
    this.count++;
    const opening = this.options.open(holding.owner);
    holding.opening = opening;
    try {
      const instance = await opening;
      if (this.stopped || this.holdings.get(holding.owner.key) !== holding) {
        instance.drop({ reason: 'its session ended', kind: 'unused' });
        throw new GatewayError('cancelled', 'The session of the call has ended.');
      }
      holding.failures = 0;
      holding.instances.add(instance);
      await holding.subscriptions.resume(instance);
      return instance;
    } catch (error) {
      holding.failures++;
      this.count--;
      this.wakeOne();
      this.forgetEmpty(holding);
      throw error;
    } finally {
      if (holding.opening === opening) holding.opening = undefined;
    }
  }

  /** What is followed must be heard of, so the owner's instance comes back without being used. */
  private reopenLater(holding: Holding): void {
    if (this.stopped || holding.reopening !== undefined) return;
    holding.reopening = setTimeout(
      () => {
        holding.reopening = undefined;
        if (holding.instances.size > 0 || holding.subscriptions.size === 0) return;
        this.acquire(holding.owner, undefined).then(
          (instance) => this.release(instance),
          () => this.reopenLater(holding), // why is among the server's errors already
        );
      },
      backoffMs(holding.failures + 1),
    ).unref();
  }

  /** Stops the instance that was unused for longest, to make room for another owner's. */
  private evict(): boolean {
    const idle = [...this.holdings.values()]
      .filter(({ subscriptions }) => subscriptions.size === 0)
      .flatMap(({ instances }) => [...instances].filter((instance) => instance.calls === 0))
      .sort((a, b) => a.lastUsed - b.lastUsed);
    const [oldest] = idle;
    if (!oldest) return false;
    oldest.drop({ reason: 'another session needed its place', kind: 'unused' });
    return true;
  }

  private sweep(): void {
    const oldest = performance.now() - this.options.limits().idle;
    for (const { instances, subscriptions } of [...this.holdings.values()]) {
      if (subscriptions.size > 0) continue;
      for (const instance of [...instances])
        if (instance.calls === 0 && instance.lastUsed < oldest)
          instance.drop({ reason: 'it was not used', kind: 'unused' });
    }
    if (this.holdings.size === 0) {
      clearInterval(this.sweeper);
      this.sweeper = undefined;
    }
  }

  private forgetEmpty(holding: Holding): void {
    if (holding.instances.size > 0 || holding.opening !== undefined || holding.subscriptions.size > 0) return;
    if (this.holdings.get(holding.owner.key) !== holding || holding.owner.session) return;
    this.holdings.delete(holding.owner.key);
    this.options.released(holding.owner);
  }

  private async untilFreed(giveUpAt: number, signal: CancelSignal | undefined): Promise<void> {
    const { server, limits } = this.options;
    const busy = `All ${limits().max} instances of the server "${server}" are in use (instances.max)`;
    if (this.waiting.size >= MAX_WAITING)
      throw new GatewayError('overloaded', `${busy}, and ${MAX_WAITING} calls wait for one.`);
    const freed = Promise.withResolvers<boolean>();
    const wake = () => freed.resolve(true);
    this.waiting.add(wake);
    const leave = signal?.onAbort(wake);
    const timer = setTimeout(() => freed.resolve(false), giveUpAt - performance.now());
    const inTime = await freed.promise;
    clearTimeout(timer);
    leave?.();
    this.waiting.delete(wake);
    if (!inTime) throw new GatewayError('overloaded', `${busy}; none became free in time.`);
  }

  private wakeOne(): void {
    const [first] = this.waiting;
    if (!first) return;
    this.waiting.delete(first);
    first();
  }
}

function occupy(instance: Instance): Instance {
  instance.calls++;
  return instance;
}
