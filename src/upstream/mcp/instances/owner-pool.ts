// What one session or principal has of a server: its instances, what it follows, and how often starting them failed.
import { GatewayError, reasonOf } from '../../../core/errors.ts';
import type { Owner } from './affinity.ts';
import { backoffMs, STABLE_MS, untilTriedAgain } from '../connect/backoff.ts';
import type { Instance } from './instance.ts';
import { type Following, ResourceSubscriptions } from '../offer/resource-subscriptions.ts';

/** Starts that fail in a row before calls are refused without another. */
const PATIENCE = 3;

/** Subscriptions outlive the instance that they were made on. */
export class OwnerPool {
  readonly owner: Owner;
  readonly instances = new Set<Instance>();
  readonly openings = new Set<Promise<Instance>>();
  readonly subscriptions: ResourceSubscriptions;
  /** Aborted when the owner's session ends, or the server is stopped. */
  readonly ending = new AbortController();
  /** The instance that tells what is followed: if each did, the owner would hear it as often as it has instances. */
  carrier: Instance | undefined;
  /** Whoever is getting an instance. */
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

  /** Whether nothing would be lost with it. How often starts failed is remembered for a while. */
  get isEmpty(): boolean {
    const { instances, openings, subscriptions, users, lastFailure } = this;
    const isUsed = instances.size > 0 || openings.size > 0 || subscriptions.size > 0 || users > 0;
    return !isUsed && (lastFailure === undefined || lastFailure.retryAt + STABLE_MS < performance.now());
  }

  succeeded(): void {
    this.failures = 0;
    this.lastFailure = undefined;
  }

  failed(error: unknown): void {
    this.failures++;
    this.lastFailure = { why: reasonOf(error), retryAt: performance.now() + backoffMs(this.failures) };
  }

  /** Throws `upstream_unreachable` where the last starts failed, so that not every call costs another. */
  requireTryable(): void {
    const { failures, lastFailure } = this;
    if (failures < PATIENCE || !lastFailure || lastFailure.retryAt <= performance.now()) return;
    const reason = `An instance of the server "${this.server}" could not be started for this caller ${failures} times in a row: ${lastFailure.why}`;
    throw new GatewayError('upstream_unreachable', untilTriedAgain(reason, lastFailure.retryAt - performance.now()));
  }

  /** The owner gets nothing any more. */
  end(refusal: GatewayError): void {
    this.refusal = refusal;
    clearTimeout(this.reopening);
    this.ending.abort();
  }

  isOver(): boolean {
    return this.refusal !== undefined;
  }

  /** Calls `reopen` after a growing wait, for as long as it fails and something is followed that no instance tells of. */
  reopenLater(reopen: () => Promise<void>): void {
    if (this.refusal !== undefined || this.reopening !== undefined) return;
    const wait = backoffMs(this.failures + 1);
    this.reopening = setTimeout(() => {
      this.reopening = undefined;
      if (this.instances.size > 0 || this.subscriptions.size === 0) return;
      reopen().catch(() => this.reopenLater(reopen)); // why is among the server's errors already
    }, wait).unref();
  }

  /** Follows a resource on the instance that tells of the others, or on this one if there is none yet. Throws GatewayError. */
  follow(following: Following, instance: Instance): Promise<void> {
    this.carrier ??= instance;
    return this.subscriptions.add(following, this.carrier);
  }

  /** Follows on one of the instances whatever no instance tells of now. Never throws: it is done again with the next. */
  async carry(): Promise<void> {
    const [first] = this.instances;
    if (this.carrier || !first || this.subscriptions.size === 0) return;
    this.carrier = first;
    await this.subscriptions.resume(first);
  }
}
