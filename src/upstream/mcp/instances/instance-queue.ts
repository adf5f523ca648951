// Queues callers whose owners have no instance and no room for one: each gets the first that it can use, in the order in which they came.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import type { CancelSignal } from '../../../core/cancellation.ts';
import { GatewayError } from '../../../core/errors.ts';
import type { ConfiguredServer } from '../configured-server.ts';
import type { Instance } from './instance.ts';
import type { OwnerPool } from './owner-pool.ts';

interface Waiter {
  readonly pool: OwnerPool;
  readonly resolve: (claim: Promise<Instance>) => void;
  readonly fail: (error: unknown) => void;
}

/** Hands out instances. */
export interface ClaimSource {
  /** The instance that a caller can have now, which may still have to be opened; undefined if it has to wait. Throws if its owner gets nothing. */
  claim(pool: OwnerPool): Promise<Instance> | undefined;
  /** Makes an instance free for the caller that has waited longest, if none becomes free by itself. */
  preemptFor(pool: OwnerPool): void;
}

export class InstanceQueue {
  private readonly server: Pick<ConfiguredServer, 'name' | 'config'>;
  private readonly source: ClaimSource;
  private readonly waiting = new Set<Waiter>();
  private preempting: NodeJS.Timeout | undefined;

  constructor(server: Pick<ConfiguredServer, 'name' | 'config'>, source: ClaimSource) {
    this.server = server;
    this.source = source;
  }

  get size(): number {
    return this.waiting.size;
  }

  /** Waits for an instance. Throws `overloaded` if too many wait or none comes in time, `cancelled` if the caller gives up. */
  async wait(pool: OwnerPool, signal: CancelSignal | undefined): Promise<Instance> {
    const { name, config } = this.server;
    const { total } = config.timeouts;
    const busy = `All ${config.instances.max} instances of the server "${name}" are in use (instances.max)`;
    if (this.waiting.size >= BOUNDS.instanceWaiters)
      throw new GatewayError('overloaded', `${busy}, and ${BOUNDS.instanceWaiters} calls wait for one.`);
    const { promise, resolve, reject } = Promise.withResolvers<Instance>();
    // the waiter leaves the queue at once, so that it gets no claim any more
    const fail = (error: unknown) => {
      this.waiting.delete(waiter);
      reject(error);
    };
    const waiter: Waiter = { pool, resolve, fail };
    this.waiting.add(waiter);
    const timer = setTimeout(
      () =>
        fail(new GatewayError('overloaded', `${busy}; none became free within ${total / 1000} s (timeouts.total).`)),
      total,
    );
    this.preempting ??= setInterval(() => this.preempt(), BOUNDS.preemptionCheck).unref();
    this.preempt();
    const stay = signal?.onAbort(() => fail(new GatewayError('cancelled', 'The caller cancelled the call.')));
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      stay?.();
    }
  }

  /** Something became free: gives it to the first caller that can use it. */
  serve(): void {
    for (const waiter of this.waiting) {
      try {
        const claim = this.source.claim(waiter.pool);
        if (!claim) continue;
        this.waiting.delete(waiter);
        waiter.resolve(claim);
      } catch (error) {
        waiter.fail(error);
      }
    }
  }

  private preempt(): void {
    const [first] = this.waiting;
    if (first) {
      this.source.preemptFor(first.pool);
      return;
    }
    clearInterval(this.preempting);
    this.preempting = undefined;
  }

  /** Refuses every caller of one owner. */
  refuse(pool: OwnerPool, error: GatewayError): void {
    for (const waiter of this.waiting) if (waiter.pool === pool) waiter.fail(error);
  }
}
