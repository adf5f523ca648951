// What one session or principal has at a server: its instances, its resource subscriptions, and how often starts failed.
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

  /** Whether resources are followed on this instance. */
  isFollowedOn(instance: Instance): boolean {
    return this.subscribed === instance && this.subscriptions.size > 0;
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

  isOver(): boolean {
    return this.refusal !== undefined;
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
