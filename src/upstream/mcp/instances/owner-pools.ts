// The pools of all owners of a server: one is made with the owner's first call and forgotten when nothing is lost with it.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import type { ConfiguredServer } from '../configured-server.ts';
import type { Follower, Following } from '../offer/resource-subscriptions.ts';
import type { Owner } from './affinity.ts';
import type { Instance } from './instance.ts';
import { OwnerPool } from './owner-pool.ts';

export class OwnerPools {
  private readonly server: ConfiguredServer;
  private readonly pools = new Map<string, OwnerPool>();

  constructor(server: ConfiguredServer) {
    this.server = server;
  }

  get size(): number {
    return this.pools.size;
  }

  all(): OwnerPool[] {
    return [...this.pools.values()];
  }

  get(owner: Owner | undefined): OwnerPool | undefined {
    return owner && this.pools.get(owner.key);
  }

  has(pool: OwnerPool): boolean {
    return this.get(pool.owner) === pool;
  }

  add(owner: Owner): OwnerPool {
    const pool = new OwnerPool(owner, this.server.name, this.server.config.timeouts.total);
    this.pools.set(owner.key, pool);
    return pool;
  }

  delete(pool: OwnerPool): void {
    if (this.has(pool)) this.pools.delete(pool.owner.key);
  }

  /** A session's pool is kept until the session ends, a principal's only while there is something in it. */
  forgetEmpty(pool: OwnerPool | undefined): void {
    if (pool && !pool.owner.session && pool.isEmpty) this.delete(pool);
  }

  /** Forgets every pool and returns them. */
  clear(): OwnerPool[] {
    const all = this.all();
    this.pools.clear();
    return all;
  }

  /** Whether an instance may be stopped: it has no calls, no tasks and no subscriptions. */
  isIdle(instance: Instance): boolean {
    return !instance.isNeeded && !this.isFollowedOn(instance);
  }

  /** The instance to stop for another owner: the one that was idle for longest, else one whose tasks nobody has asked about for long. */
  evictable(live: Iterable<Instance>): Instance | undefined {
    const abandonedBefore = performance.now() - BOUNDS.abandonedTask;
    const unused = [...live].filter(({ calls }) => calls === 0).sort((a, b) => a.lastUsed - b.lastUsed);
    return (
      unused.find((instance) => this.isIdle(instance)) ??
      unused.find((instance) => instance.lastUsed < abandonedBefore && !this.isFollowedOn(instance))
    );
  }

  unfollow(uri: string, key: string): void {
    for (const pool of this.all()) {
      pool.subscriptions.remove(uri, key, pool.subscribed);
      this.forgetEmpty(pool);
    }
  }

  /** The owner's followers of a resource, or of one above it, who may hear of it. */
  followersOf(owner: Owner, uri: string): Iterable<Follower> {
    return this.get(owner)?.subscriptions.followersOf(uri) ?? [];
  }

  private isFollowedOn(instance: Instance): boolean {
    return this.get(instance.owner)?.isFollowedOn(instance) === true;
  }

  /** Removes everything that owners follow and returns it. */
  releaseFollowed(): Following[] {
    return this.all().flatMap(({ subscriptions }) => subscriptions.release());
  }
}
