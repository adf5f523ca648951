// The instances of a server that belong to sessions or principals: opened on use, at most `instances.max`, stopped when unused.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { type CancelSignal, untilCancelled } from '../../../core/cancellation.ts';
import { GatewayError } from '../../../core/errors.ts';
import type { LogLevel } from '../../../protocol/mcp/vocabulary.ts';
import type { ConfiguredServer } from '../configured-server.ts';
import type { PrewarmedProcess } from '../connect/wires.ts';
import type { Circuit } from '../era-upstream.ts';
import type { KnownOffer } from '../offer/known-offer.ts';
import type { Following } from '../offer/resource-subscriptions.ts';
import type { InstanceStatus } from '../status.ts';
import { isUnreachable } from '../wire/http-errors.ts';
import type { Owner } from './affinity.ts';
import type { Instance, InstancePool, Loss } from './instance.ts';
import { type ClaimSource, InstanceQueue } from './instance-queue.ts';
import type { Instances } from './instances.ts';
import type { Isolation } from './isolation.ts';
import { OwnerPool, OwnerPools, preemptable } from './owner-pool.ts';
import { Prewarmer } from './prewarmer.ts';
import type { SharedInstance } from './shared-instance.ts';

/** Room for an instance within `instances.max`. */
interface Place {
  /** The instance that has to end first. */
  readonly after?: Promise<Loss>;
  /** The process that runs there already. */
  readonly prewarmed?: PrewarmedProcess;
}

export interface OwnedParts {
  readonly instances: Instances;
  readonly isolation: Isolation;
  readonly offer: KnownOffer;
  readonly circuit: Circuit;
  readonly shared: SharedInstance;
}

export class OwnedInstances implements InstancePool, ClaimSource {
  /** How often an instance failed, or lost its session. */
  losses = 0;
  private readonly server: ConfiguredServer;
  private readonly parts: OwnedParts;
  readonly pools = new OwnerPools();
  private readonly queue: InstanceQueue;
  private readonly prewarmer: Prewarmer;
  /** The instances of all owners. */
  private readonly live = new Set<Instance>();
  /** Instances that are open or being opened. */
  private count = 0;
  /** When an owner last wanted an instance, monotonic ms. */
  private wantedAt = -Infinity;
  private sweeper: NodeJS.Timeout | undefined;
  private quiesced = false;
  private stopped = false;

  constructor(server: ConfiguredServer, parts: OwnedParts) {
    this.server = server;
    this.parts = parts;
    this.queue = new InstanceQueue(server, this);
    this.prewarmer = new Prewarmer(server, parts.isolation);
  }

  /** Callers that wait for an instance, and processes that wait for an owner. */
  get pool(): { waiting: number; spares: number } {
    return { waiting: this.queue.size, spares: this.prewarmer.ready };
  }

  /** An instance of the owner for one call; give it back with `release`. Throws GatewayError, `cancelled` as soon as the caller cancels. */
  async acquire(owner: Owner, signal: CancelSignal | undefined): Promise<Instance> {
    this.requireOpen(owner, signal);
    const pool = this.poolOf(owner);
    this.wantedAt = performance.now();
    pool.users++;
    try {
      return await this.whileWanted(this.claim(pool) ?? this.queue.wait(pool, signal), signal);
    } finally {
      pool.users--;
      this.pools.forgetEmpty(pool);
    }
  }

  /** The instance of a caller. Throws `cancelled` as soon as the caller cancels; then the instance is released when it comes. */
  private async whileWanted(acquiring: Promise<Instance>, signal: CancelSignal | undefined): Promise<Instance> {
    if (!signal) return acquiring;
    try {
      return await untilCancelled(acquiring, signal);
    } catch (error) {
      // where it does not come, the failed start has been counted
      if (signal.aborted)
        acquiring.then(
          // others who wait for the same instance occupy it first
          (instance) => queueMicrotask(() => this.release(instance)),
          () => undefined,
        );
      throw error;
    }
  }

  release(instance: Instance): void {
    instance.vacate();
    if (instance.calls === 0) this.queue.serve();
  }

  /** Follows a resource on an instance of the owner. Throws GatewayError. */
  async follow(owner: Owner, following: Following, signal: CancelSignal): Promise<void> {
    const instance = this.pools.of(owner)?.subscribed?.occupy() ?? (await this.acquire(owner, signal));
    try {
      this.requireOpen(owner, signal);
      await this.poolOf(owner).follow(following, instance);
    } finally {
      this.release(instance);
    }
  }

  /** Takes over a follower from the upstream that this one replaces; an instance is opened for it soon. */
  adopt(owner: Owner, following: Following): void {
    const pool = this.poolOf(owner);
    pool.subscriptions.adopt(following);
    if (pool.instances.size === 0) this.reopenLater(pool);
  }

  raiseLevel(owner: Owner, level: LogLevel): void {
    for (const instance of this.pools.of(owner)?.instances ?? []) instance.raiseLevel(level);
  }

  /** Opens no instance any more that no call waits for. */
  quiesce(): void {
    this.quiesced = true;
    void this.prewarmer.close();
  }

  /** Stops the prewarmed process if the new configuration has no use for it, or no room. */
  reconfigured(): void {
    if (!this.prewarmer.isWanted || this.count + this.prewarmer.size > this.max)
      void this.prewarmer.stop('it is not wanted any more');
  }

  /** Ends every instance; resolves when none is being opened any more. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.sweeper);
    const pools = [...this.pools.values()];
    this.pools.clear();
    for (const pool of pools) this.close(pool, { reason: 'it was stopped', refusal: this.stopping() });
    await Promise.allSettled(pools.flatMap(({ openings }) => [...openings]));
    await this.prewarmer.close();
  }

  status(): InstanceStatus[] {
    return [...this.live].map((instance) => instance.status());
  }

  /** Notifies the owner's followers, also those who began to follow while everybody shared one instance. */
  updated(uri: string, { owner }: Instance): void {
    const { isolation, shared } = this.parts;
    if (!owner) return;
    const earlier = shared.followersOf(uri).filter(({ caller }) => isolation.ownerOf(caller)?.key === owner.key);
    const followers = [...earlier, ...(this.pools.of(owner)?.subscriptions.followersOf(uri) ?? [])];
    for (const follower of new Map(followers.map((each) => [each.key, each])).values()) follower.updated(uri);
  }

  lost(instance: Instance, { kind }: Loss): void {
    if (kind !== 'unused') this.losses++;
    const pool = this.pools.of(instance.owner);
    if (pool?.remove(instance) !== true) return;
    this.discount(instance);
    if (pool.instances.size === 0) this.parts.offer.forgetOwner(pool.owner.key);
    if (pool.instances.size === 0 && pool.subscriptions.size > 0) this.reopenLater(pool);
    else void pool.resume();
    this.pools.forgetEmpty(pool);
    this.queue.serve();
  }

  /**
   * An instance of the owner for one more call, if one is open or the gateway can open one now. The calls of a session share one, because the
   * session answers whatever the server asks there (docs/instances.md). A principal may have several clients: where a question does not name its
   * call, each call of the principal gets an instance for itself, unless the gateway opens many for it already. Throws GatewayError if the
   * owner's instances fail again and again.
   */
  claim(pool: OwnerPool): Promise<Instance> | undefined {
    const { isolation } = this.parts;
    const wantsOwn = pool.owner.session === undefined && isolation.asksAnonymously;
    // the next call most likely refers to what the call before it left in its instance
    const [latest] = [...pool.instances].sort((a, b) => a.calls - b.calls || b.lastUsed - a.lastUsed);
    const isEnough = !wantsOwn || latest?.calls === 0 || pool.openings.size >= BOUNDS.principalOpenings;
    if (latest && isEnough) return Promise.resolve(latest.occupy());
    const [opening] = pool.openings;
    if (opening && isEnough) return opening.then((opened) => opened.occupy());
    pool.requireTryable();
    const place = this.place();
    if (!place) return undefined;
    this.count++;
    return this.open(pool, place);
  }

  /** Preempts parked calls whose callers have been away too long, if nothing else makes an instance free. */
  preemptFor({ owner }: OwnerPool): void {
    const { name, config } = this.server;
    const leftBefore = performance.now() - Math.min(BOUNDS.unattendedCall, config.timeouts.total / 2);
    const instance = this.count === this.live.size ? preemptable(this.live, owner, leftBefore) : undefined;
    if (!instance) return;
    this.server.record('calls_gave_way', { instance: instance.id, owner: instance.owner?.label ?? '' });
    instance.preempt(
      `The call was ended while its questions waited for answers: all ${this.max} instances of the server "${name}" were in use (instances.max), and others waited for one.`,
    );
  }

  private get max(): number {
    return this.server.config.instances.max;
  }

  private get hasRoom(): boolean {
    return this.count + this.prewarmer.size < this.max;
  }

  private close(pool: OwnerPool, { reason, refusal }: { reason: string; refusal: GatewayError }): void {
    pool.end(refusal);
    this.queue.refuse(pool, refusal);
    for (const instance of pool.instances) {
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
    return new GatewayError('shutting_down', `The server "${this.server.name}" is being stopped.`);
  }

  private poolOf(owner: Owner): OwnerPool {
    const known = this.pools.of(owner);
    if (known) return known;
    const pool = new OwnerPool(owner, this.server.name, this.server.config.timeouts.total);
    this.pools.set(owner.key, pool);
    owner.session?.standing.signal.onAbort(() => this.endSession(pool));
    const { idle } = this.server.config.instances;
    this.sweeper ??= setInterval(
      () => this.sweep(),
      Math.min(BOUNDS.idleCheck, Math.max(BOUNDS.idleCheckLeast, idle / 4)),
    ).unref();
    return pool;
  }

  private endSession(pool: OwnerPool): void {
    if (this.pools.of(pool.owner) !== pool) return;
    this.pools.delete(pool.owner.key);
    this.close(pool, { reason: 'its session ended', refusal: sessionEnded() });
    this.parts.offer.forgetOwner(pool.owner.key);
    this.queue.serve();
  }

  /** Room for an instance: the prewarmed process, a free place, or the place of an unused instance, which is stopped. */
  private place(): Place | undefined {
    const prewarmed = this.prewarmer.take();
    if (prewarmed) return { prewarmed };
    if (this.hasRoom) return {};
    const after = this.evict();
    return after && { after };
  }

  /** Opens an instance, with its first call counted. */
  private open(pool: OwnerPool, place: Place): Promise<Instance> {
    const opening = this.openIn(pool, place).finally(() => pool.openings.delete(opening));
    pool.openings.add(opening);
    return opening;
  }

  /** Uses the place that was claimed, and gives it back if no instance comes of it. */
  private async openIn(pool: OwnerPool, { after, prewarmed }: Place): Promise<Instance> {
    const { owner, ending } = pool;
    try {
      await after;
      if (pool.refusal) {
        await prewarmed?.wire.close();
        throw pool.refusal;
      }
      const opening = { pool: this, owner, prewarmed, signal: ending.signal };
      const instance = await this.parts.instances.open(opening).catch((error: unknown) => {
        if (!ending.signal.aborted) this.startFailed(error);
        throw error;
      });
      if (ending.signal.aborted) instance.drop({ reason: 'its session ended', kind: 'unused' });
      if (instance.isLost) throw new GatewayError('upstream_closed', `The server "${this.server.name}" went away.`);
      this.live.add(instance.occupy());
      pool.instances.add(instance);
      pool.succeeded();
      this.queue.serve();
      if (prewarmed) this.prewarmer.succeeded();
      // the server has just shown that it starts
      if (this.hasRoom) void this.prewarmer.prepare().then((isReady) => isReady && this.queue.serve());
      await pool.resume();
      return instance;
    } catch (error) {
      this.count--;
      if (!pool.refusal) pool.failed(error);
      this.queue.serve();
      throw pool.refusal ?? error;
    }
  }

  private startFailed(error: unknown): void {
    const { circuit, shared } = this.parts;
    // the shared connection has lost the same server, and nothing else would notice that
    if (error instanceof GatewayError && isUnreachable(error.cause))
      shared.current?.drop({ reason: error.message, kind: 'replaced' });
    circuit.count(error, { target: 'start', timedOut: false, answersBefore: circuit.answers }, this.server);
  }

  /** Opens an instance although no call needs one: resources are followed, so the owner must hear of changes. */
  private reopenLater(pool: OwnerPool): void {
    pool.reopenLater(async () => {
      if (!this.quiesced) this.release(await this.acquire(pool.owner, undefined));
    });
  }

  /** Stops an instance to make room for another owner's; resolves when it is gone. */
  private evict(): Promise<Loss> | undefined {
    const oldest = this.pools.evictable(this.live);
    if (oldest) this.retire(oldest, 'another session needed its place');
    return oldest?.ended;
  }

  private sweep(): void {
    const { idle } = this.server.config.instances;
    const now = performance.now();
    // a principal without a session cannot say that it has left
    const leftBefore = now - Math.min(idle, BOUNDS.principalIdle);
    for (const instance of [...this.live])
      if (this.pools.isIdle(instance) && instance.lastUsed < (instance.owner?.session ? now - idle : leftBefore)) {
        this.retire(instance, 'it was not used');
        this.queue.serve();
      }
    for (const pool of [...this.pools.values()]) this.pools.forgetEmpty(pool);
    if (this.wantedAt < (this.live.size > 0 ? now - idle : leftBefore)) void this.prewarmer.stop('it was not used');
    if (this.pools.size > 0 || this.prewarmer.size > 0) return;
    clearInterval(this.sweeper);
    this.sweeper = undefined;
  }

  /** Stops an idle instance. Its place is not given to the queue: the caller decides about it. */
  private retire(instance: Instance, reason: string): void {
    const pool = this.pools.of(instance.owner);
    this.discount(instance);
    pool?.remove(instance);
    instance.drop({ reason, kind: 'unused' });
    if (pool?.instances.size === 0) this.parts.offer.forgetOwner(pool.owner.key);
    this.pools.forgetEmpty(pool);
  }
}

function sessionEnded(): GatewayError {
  return new GatewayError('cancelled', 'The session of the call has ended.');
}
