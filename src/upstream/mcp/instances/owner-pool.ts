// What sessions and principals have at a server: their instances and resource subscriptions, how often starts failed, and what they lose to others.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { GatewayError, reasonOf } from '../../../core/errors.ts';
import { backoffMs, untilTriedAgain } from '../connect/backoff.ts';
import { type Following, ResourceSubscriptions } from '../offer/resource-subscriptions.ts';
import type { Owner } from './affinity.ts';
import type { Instance } from './instance.ts';

/** Subscriptions outlive the instance that they were made on. */
export class OwnerPool {
  readonly owner: Owner;
  readonly instances = new Set<Instance>();
  readonly openings = new Set<Promise<Instance>>();
  readonly subscriptions: ResourceSubscriptions;
  /** Aborted when the owner's session ends, or the server is stopped. */
  readonly ending = new AbortController();
  /** The only instance that has the subscriptions: with more, the owner would get every notification more than once. */
  subscribed: Instance | undefined;
  /** Callers that are getting an instance. */
  users = 0;
  failures = 0;
  /** Why nothing is opened for the owner any more. */
  refusal: GatewayError | undefined;
  private reopening: NodeJS.Timeout | undefined;
  private readonly server: string;
  private lastFailure: { why: string; retryAt: number } | undefined;

  /** `totalMs` is how long a subscription may take. */
  constructor(owner: Owner, server: string, totalMs: number) {
    this.owner = owner;
    this.server = server;
    this.subscriptions = new ResourceSubscriptions(server, totalMs);
  }

  /** Whether nothing is lost if the pool is forgotten. Failures of starts are remembered for a while. */
  get isEmpty(): boolean {
    const { instances, openings, subscriptions, users, lastFailure } = this;
    const isUsed = instances.size > 0 || openings.size > 0 || subscriptions.size > 0 || users > 0;
    return !isUsed && (lastFailure === undefined || lastFailure.retryAt + BOUNDS.stableConnection < performance.now());
  }

  /** Removes an instance that is out of use. Returns whether it was one of the pool's. */
  remove(instance: Instance): boolean {
    if (this.subscribed === instance) this.subscribed = undefined;
    return this.instances.delete(instance);
  }

  succeeded(): void {
    this.failures = 0;
    this.lastFailure = undefined;
  }

  failed(error: unknown): void {
    this.failures++;
    this.lastFailure = { why: reasonOf(error), retryAt: performance.now() + backoffMs(this.failures) };
  }

  /** Throws `upstream_unreachable` if the last starts failed, so that not every call causes another. */
  requireTryable(): void {
    const { failures, lastFailure } = this;
    if (failures < BOUNDS.failedStarts || !lastFailure || lastFailure.retryAt <= performance.now()) return;
    const reason = `An instance of the server "${this.server}" could not be started for this caller ${failures} times in a row: ${lastFailure.why}`;
    throw new GatewayError('upstream_unreachable', untilTriedAgain(reason, lastFailure.retryAt - performance.now()));
  }

  /** Opens nothing for the owner any more. */
  end(refusal: GatewayError): void {
    this.refusal = refusal;
    clearTimeout(this.reopening);
    this.ending.abort();
  }

  /** Calls `reopen` after a growing wait, until it succeeds, while resources are followed and there is no instance. */
  reopenLater(reopen: () => Promise<void>): void {
    if (this.refusal !== undefined || this.reopening !== undefined) return;
    const wait = backoffMs(this.failures + 1);
    this.reopening = setTimeout(() => {
      this.reopening = undefined;
      if (this.instances.size > 0 || this.subscriptions.size === 0) return;
      reopen().catch(() => this.reopenLater(reopen)); // the failure is among the server's recent errors already
    }, wait).unref();
  }

  /** Follows a resource on the instance that has the subscriptions; on this one if there is none yet. Throws GatewayError. */
  follow(following: Following, instance: Instance): Promise<void> {
    this.subscribed ??= instance;
    return this.subscriptions.add(following, this.subscribed);
  }

  /** Makes the subscriptions on one of the instances if none has them. Never throws: what fails is made again on the next instance. */
  async resume(): Promise<void> {
    const [first] = this.instances;
    if (this.subscribed || !first || this.subscriptions.size === 0) return;
    this.subscribed = first;
    await this.subscriptions.resume(first);
  }
}

/** The pools of one server, by the keys of their owners. */
export class OwnerPools extends Map<string, OwnerPool> {
  of(owner: Owner | undefined): OwnerPool | undefined {
    return owner && this.get(owner.key);
  }

  /** A session's pool is kept until the session ends, a principal's only while there is something in it. */
  forgetEmpty(pool: OwnerPool | undefined): void {
    if (pool && !pool.owner.session && pool.isEmpty && this.of(pool.owner) === pool) this.delete(pool.owner.key);
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
    for (const pool of this.values()) {
      pool.subscriptions.remove(uri, key, pool.subscribed);
      this.forgetEmpty(pool);
    }
  }

  /** Removes everything that owners follow and returns it. */
  releaseFollowed(): Following[] {
    return [...this.values()].flatMap(({ subscriptions }) => subscriptions.release());
  }

  private isFollowedOn(instance: Instance): boolean {
    const pool = this.of(instance.owner);
    return pool?.subscribed === instance && pool.subscriptions.size > 0;
  }
}

/** The facts of an instance that decide whether its parked calls are preempted. */
export interface Occupied {
  readonly owner: Owner | undefined;
  /** Calls that run on it. */
  readonly calls: number;
  /** Since when all of them are parked for callers who have not come back, in monotonic ms; undefined if one is not. */
  readonly unattendedSince: number | undefined;
}

/**
 * The instance whose parked calls the gateway preempts for a queued caller: of the principal that has most instances, the one whose callers
 * have been away for longest. Undefined in three cases: a call runs somewhere, and its instance becomes free when it ends; every principal
 * has one instance at most; or no caller left before `leftBefore`, in monotonic ms.
 */
export function preemptable<T extends Occupied>(live: Iterable<T>, wanting: Owner, leftBefore: number): T | undefined {
  const shares = new Map<string, T[]>();
  for (const instance of live) {
    if (instance.calls > 0 && instance.unattendedSince === undefined) return undefined;
    const principal = instance.owner?.principal ?? '';
    const own = shares.get(principal);
    if (own) own.push(instance);
    else shares.set(principal, [instance]);
  }
  // among equals the principal that wants another instance comes first
  const [most] = [shares.get(wanting.principal) ?? [], ...shares.values()].sort((a, b) => b.length - a.length);
  if (!most || most.length < 2) return undefined;
  let oldest: T | undefined;
  let since = leftBefore;
  for (const instance of most)
    if (instance.unattendedSince !== undefined && instance.unattendedSince < since)
      [oldest, since] = [instance, instance.unattendedSince];
  return oldest;
}
