// The instances of one server that belong to sessions or principals: opened on use, bounded, stopped when nobody uses them.
import type { CancelSignal } from '../../../core/cancellation.ts';
import { GatewayError } from '../../../core/errors.ts';
import type { Owner } from './affinity.ts';
import { preemptable } from './preemption.ts';
import { OwnerPool } from './owner-pool.ts';
import { type Instance, type Loss, occupy } from './instance.ts';
import type { PrewarmedProcess } from '../connect/prewarmed-process.ts';
import { Prewarmer, type PrewarmerOptions } from './prewarmer.ts';
import type { Follower, Following } from '../offer/resource-subscriptions.ts';
import type { InstanceStatus } from '../status.ts';
import { type Claim, InstanceQueue, type Place } from './instance-queue.ts';

/** How long nobody may ask about tasks before their instance makes way for another owner's, in ms. */
const ABANDONED_MS = 10 * 60_000;

/** How long whoever is asked has for an answer, however many wait, in ms; half of what those wait where that is less. */
const ANSWER_MS = 60_000;

/** How often unused instances are looked for, at most. */
const SWEEP_MS = 30_000;

export interface OwnedOptions {
  readonly server: string;
  /** Read at each use: they may change while instances live. Milliseconds, but for `max`. */
  readonly limits: () => { readonly max: number; readonly idle: number; readonly total: number };
  /** Whether an instance runs one call at a time, because it would not say which of them asks. */
  readonly exclusive: () => boolean;
  readonly spare: PrewarmerOptions;
  /** Opens an instance, on the spare process if there is one; gives up and leaves nothing behind when the signal is aborted. */
  readonly open: (owner: Owner, signal: AbortSignal, spare: PrewarmedProcess | undefined) => Promise<Instance>;
  /** The owner has no instance any more. */
  readonly released: (owner: Owner) => void;
  /** The calls on an instance are ended, because nobody is there for them and others wait. */
  readonly gaveWay: (instance: Instance) => void;
}

export class OwnedInstances {
  private readonly options: OwnedOptions;
  private readonly holdings = new Map<string, OwnerPool>();
  /** Every instance that is open, of whomever. */
  private readonly live = new Set<Instance>();
  /** Instances that are open or being opened. */
  private count = 0;
  private readonly spare: Prewarmer;
  /** When an owner last wanted an instance, monotonic ms. */
  private wantedAt = -Infinity;
  private readonly queue: InstanceQueue;
  private sweeper: NodeJS.Timeout | undefined;
  private resting = false;
  private stopped = false;

  constructor(options: OwnedOptions) {
    this.options = options;
    const { server, limits } = options;
    const stuck = (holding: OwnerPool) => this.displace(holding);
    this.queue = new InstanceQueue({ server, limits, stuck }, (holding) => this.claim(holding));
    this.spare = new Prewarmer(options.spare, () => this.queue.serve());
  }

  /** Callers that wait for an instance, and processes that wait for an owner. */
  get pool(): { waiting: number; spares: number } {
    return { waiting: this.queue.size, spares: this.spare.ready };
  }

  /** An instance of the owner's for one call; give it back with `release`. Throws GatewayError. */
  async acquire(owner: Owner, signal: CancelSignal | undefined): Promise<Instance> {
    this.requireOpen(owner, signal);
    const holding = this.holdingOf(owner);
    this.wantedAt = performance.now();
    holding.users++;
    try {
      const claim = this.claim(holding) ?? (await this.queue.wait(holding, signal));
      if ('instance' in claim) return claim.instance;
      if ('opening' in claim) return occupy(await claim.opening);
      return await this.open(holding, claim);
    } finally {
      holding.users--;
      this.forgetEmpty(holding);
    }
  }

  release(instance: Instance): void {
    instance.calls--;
    instance.lastUsed = performance.now();
    if (instance.calls === 0) this.queue.serve();
  }

  /** Forgets an instance that is out of use; its end is awaited elsewhere. */
  remove(instance: Instance): void {
    const holding = instance.owner && this.holdings.get(instance.owner.key);
    if (!holding?.instances.delete(instance)) return;
    this.discount(instance);
    if (holding.instances.size === 0) this.options.released(holding.owner);
    if (holding.carrier === instance) holding.carrier = undefined;
    if (holding.instances.size === 0 && holding.subscriptions.size > 0) this.reopenLater(holding);
    else void holding.carry();
    this.forgetEmpty(holding);
    this.queue.serve();
  }

  /** Follows a resource on an instance of the owner's. Throws GatewayError. */
  async follow(owner: Owner, following: Following, signal: CancelSignal): Promise<void> {
    const carrier = this.holdings.get(owner.key)?.carrier;
    const instance = carrier ? occupy(carrier) : await this.acquire(owner, signal);
    try {
      this.requireOpen(owner, signal);
      await this.holdingOf(owner).follow(following, instance);
    } finally {
      this.release(instance);
    }
  }

  unfollow(uri: string, key: string): void {
    for (const holding of [...this.holdings.values()]) {
      holding.subscriptions.remove(uri, key, holding.carrier);
      this.forgetEmpty(holding);
    }
  }

  /** Whoever of the owner's follows the resource, or one above it, and may hear of it. */
  followersOf(owner: Owner, uri: string): Iterable<Follower> {
    return this.holdings.get(owner.key)?.subscriptions.followersOf(uri) ?? [];
  }

  /** Takes over who followed on an instance of the owner's elsewhere; one is opened for it soon. */
  adopt(owner: Owner, following: Following): void {
    const holding = this.holdingOf(owner);
    holding.subscriptions.adopt(following);
    if (holding.instances.size === 0) this.reopenLater(holding);
  }

  /** Gives everything away that is followed on instances of owners. */
  releaseFollowed(): Following[] {
    return [...this.holdings.values()].flatMap(({ subscriptions }) => subscriptions.release());
  }

  instancesOf(owner: Owner): readonly Instance[] {
    return [...(this.holdings.get(owner.key)?.instances ?? [])];
  }

  /** Brings no instance back that no call waits for. */
  quiesce(): void {
    this.resting = true;
    void this.spare.close();
  }

  /** The configuration changed. */
  review(): void {
    const { max } = this.options.limits();
    if (!this.spare.isWanted || this.count + this.spare.size > max) void this.spare.stop('it is not wanted any more');
  }

  /** Ends every instance; resolves when none is being opened any more. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.sweeper);
    const holdings = [...this.holdings.values()];
    this.holdings.clear();
    for (const holding of holdings) this.close(holding, { reason: 'it was stopped', refusal: this.stopping() });
    await Promise.allSettled(holdings.flatMap(({ openings }) => [...openings]));
    await this.spare.close();
  }

  /** An instance that is open, by its id. */
  find(id: string): Instance | undefined {
    for (const instance of this.live) if (instance.id === id) return instance;
    return undefined;
  }

  status(): InstanceStatus[] {
    return [...this.live].map((instance) => instance.status());
  }

  /** What belongs to a session ends with it. */
  private end(holding: OwnerPool): void {
    if (this.holdings.get(holding.owner.key) !== holding) return;
    this.holdings.delete(holding.owner.key);
    this.close(holding, { reason: 'its session ended', refusal: sessionEnded() });
    this.options.released(holding.owner);
    this.queue.serve();
  }

  private close(holding: OwnerPool, { reason, refusal }: { reason: string; refusal: GatewayError }): void {
    holding.end(refusal);
    this.queue.refuse(holding, refusal);
    for (const instance of holding.instances) {
      this.discount(instance);
      instance.drop({ reason, kind: 'unused' });
    }
  }

  private discount(instance: Instance): void {
    this.live.delete(instance);
    this.count--;
  }

  private requireOpen({ session }: Owner, signal: CancelSignal | undefined): void {
    if (signal?.aborted === true) throw new GatewayError('cancelled', 'The caller cancelled the call.');
    if (this.stopped) throw this.stopping();
    if (session?.standing.signal.aborted === true) throw sessionEnded();
  }

  private stopping(): GatewayError {
    return new GatewayError('shutting_down', `The server "${this.options.server}" is being stopped.`);
  }

  private holdingOf(owner: Owner): OwnerPool {
    const known = this.holdings.get(owner.key);
    if (known) return known;
    const { server, limits } = this.options;
    const holding = new OwnerPool(owner, server, limits().total);
    this.holdings.set(owner.key, holding);
    owner.session?.standing.signal.onAbort(() => this.end(holding));
    this.sweeper ??= setInterval(() => this.sweep(), Math.min(SWEEP_MS, Math.max(50, limits().idle / 4))).unref();
    return holding;
  }

  /** What a caller can have without waiting. Throws GatewayError where the owner's instances fail again and again. */
  private claim(holding: OwnerPool): Claim | undefined {
    const exclusive = this.options.exclusive();
    // the one that was used last: what the owner's calls left behind there is what the next one most likely means
    const [usable] = [...holding.instances]
      .filter((instance) => !exclusive || instance.calls === 0)
      .sort((a, b) => b.lastUsed - a.lastUsed);
    if (usable) return { instance: occupy(usable) };
    const [opening] = holding.openings;
    if (opening && !exclusive) return { opening };
    holding.requireTryable();
    const place = this.place();
    if (place) this.count++;
    return place;
  }

  /** A place for an instance: where one runs already, where there is room, or where an unused one is stopped. */
  private place(): Place | undefined {
    const spare = this.spare.take();
    if (spare) return { spare };
    if (this.hasRoom) return {};
    const after = this.evict();
    return after && { after };
  }

  private get hasRoom(): boolean {
    return this.count + this.spare.size < this.options.limits().max;
  }

  private open(holding: OwnerPool, place: Place): Promise<Instance> {
    const opening = this.begin(holding, place).finally(() => holding.openings.delete(opening));
    holding.openings.add(opening);
    return opening;
  }

  /** Takes the place that was claimed, and gives it back if nothing comes of it. */
  private async begin(holding: OwnerPool, { after, spare }: Place): Promise<Instance> {
    try {
      await after;
      if (holding.refusal) {
        await spare?.close();
        throw holding.refusal;
      }
      const instance = await this.options.open(holding.owner, holding.ending.signal, spare);
      if (holding.isOver()) instance.drop({ reason: 'its session ended', kind: 'unused' });
      if (instance.isLost) throw new GatewayError('upstream_closed', `The server "${this.options.server}" went away.`);
      this.live.add(occupy(instance));
      holding.instances.add(instance);
      holding.succeeded();
      this.queue.serve();
      if (spare) this.spare.succeeded();
      // a server that has just started is one that starts
      if (this.hasRoom) this.spare.prepare();
      await holding.carry();
      return instance;
    } catch (error) {
      this.count--;
      if (!holding.refusal) holding.failed(error);
      this.queue.serve();
      throw holding.refusal ?? error;
    }
  }

  /** What is followed must be heard of, so the owner's instance comes back without being used. */
  private reopenLater(holding: OwnerPool): void {
    holding.reopenLater(async () => {
      if (!this.resting) this.release(await this.acquire(holding.owner, undefined));
    });
  }

  /** Ends calls that nobody waits for, where those who wait would otherwise wait for them. */
  private displace({ owner }: OwnerPool): void {
    const leftBefore = performance.now() - Math.min(ANSWER_MS, this.options.limits().total / 2);
    const instance = this.count === this.live.size ? preemptable(this.live, owner, leftBefore) : undefined;
    if (!instance) return;
    this.options.gaveWay(instance);
    instance.giveWay(
      `The call was ended while its questions waited for answers: all ${this.options.limits().max} instances of the server "${this.options.server}" were in use (instances.max), and others waited for one.`,
    );
  }

  /** Stops the instance that was unused for longest, to make room for another owner's; resolves when it is gone. */
  private evict(): Promise<Loss> | undefined {
    let oldest: Instance | undefined;
    for (const instance of this.live)
      if (this.isIdle(instance) && instance.lastUsed < (oldest?.lastUsed ?? Infinity)) oldest = instance;
    oldest ??= this.abandoned();
    if (!oldest) return undefined;
    this.retire(oldest, 'another session needed its place');
    return oldest.ended;
  }

  /** The instance that for longest nobody asked about the tasks that it works on: none of them keeps others out for ever. */
  private abandoned(): Instance | undefined {
    const before = performance.now() - ABANDONED_MS;
    return [...this.live]
      .filter(({ calls, lastUsed }) => calls === 0 && lastUsed < before)
      .sort((a, b) => a.lastUsed - b.lastUsed)
      .find((instance) => !this.isFollowed(instance));
  }

  private sweep(): void {
    const oldest = performance.now() - this.options.limits().idle;
    for (const instance of [...this.live])
      if (this.isIdle(instance) && instance.lastUsed < oldest) {
        this.retire(instance, 'it was not used');
        this.queue.serve();
      }
    for (const holding of [...this.holdings.values()]) this.forgetEmpty(holding);
    if (this.wantedAt < oldest) void this.spare.stop('it was not used');
    if (this.holdings.size > 0 || this.spare.size > 0) return;
    clearInterval(this.sweeper);
    this.sweeper = undefined;
  }

  /** Whether an instance may be stopped: it runs nothing, and nothing is followed on it. */
  private isIdle(instance: Instance): boolean {
    return !instance.isNeeded && !this.isFollowed(instance);
  }

  private isFollowed(instance: Instance): boolean {
    const holding = instance.owner && this.holdings.get(instance.owner.key);
    return holding?.carrier === instance && holding.subscriptions.size > 0;
  }

  /** Stops an idle instance, without giving its place to whoever waits. */
  private retire(instance: Instance, reason: string): void {
    const holding = instance.owner && this.holdings.get(instance.owner.key);
    this.discount(instance);
    holding?.instances.delete(instance);
    if (holding?.carrier === instance) holding.carrier = undefined;
    instance.drop({ reason, kind: 'unused' });
    if (holding?.instances.size === 0) this.options.released(holding.owner);
    if (holding) this.forgetEmpty(holding);
  }

  /** A session's holding is kept until it ends, a principal's only while there is something to it. */
  private forgetEmpty(holding: OwnerPool): void {
    if (!holding.owner.session && holding.isEmpty && this.holdings.get(holding.owner.key) === holding)
      this.holdings.delete(holding.owner.key);
  }
}

function sessionEnded(): GatewayError {
  return new GatewayError('cancelled', 'The session of the call has ended.');
}
