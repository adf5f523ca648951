// Callers that wait for an instance of their own: in the order in which they came, each woken by what it can use and by nothing else.
import type { CancelSignal } from '../../../core/cancellation.ts';
import { GatewayError } from '../../../core/errors.ts';
import type { OwnerPool } from './owner-pool.ts';
import type { PrewarmedProcess } from '../connect/prewarmed-process.ts';
import type { Instance, Loss } from './instance.ts';

/** How often it is looked whether anything becomes free for those who wait, in ms. */
const LOOK_MS = 250;

/** Most callers that wait. */
const MAX_WAITING = 1_000;

/** A place to open an instance in. */
export interface Place {
  /** What has to be gone first. */
  readonly after?: Promise<Loss>;
  /** The process that runs there already. */
  readonly spare?: PrewarmedProcess;
}

/** What a caller got: an instance, one that somebody opens for the same owner, or a place for one, once what was there is gone. */
export type Claim = { readonly instance: Instance } | { readonly opening: Promise<Instance> } | Place;

interface Waiter {
  readonly holding: OwnerPool;
  readonly take: (claim: Claim) => void;
  readonly fail: (error: unknown) => void;
}

export interface QueueOptions {
  readonly server: string;
  /** `max` instances; `total` ms that a caller waits. */
  readonly limits: () => { readonly max: number; readonly total: number };
  /** Told who waits for longest, again and again while anybody does: it may be that nothing becomes free by itself. */
  readonly stuck: (holding: OwnerPool) => void;
}

export class InstanceQueue {
  private readonly options: QueueOptions;
  /** What a caller can have now; throws where it is to have nothing. */
  private readonly claim: (holding: OwnerPool) => Claim | undefined;
  private readonly waiting = new Set<Waiter>();
  private looking: NodeJS.Timeout | undefined;

  constructor(options: QueueOptions, claim: (holding: OwnerPool) => Claim | undefined) {
    this.options = options;
    this.claim = claim;
  }

  get size(): number {
    return this.waiting.size;
  }

  /** Waits for a claim. Throws `overloaded` when too many wait or none comes in time, `cancelled` when the caller gives up. */
  async wait(holding: OwnerPool, signal: CancelSignal | undefined): Promise<Claim> {
    const { server, limits } = this.options;
    const { max, total } = limits();
    const busy = `All ${max} instances of the server "${server}" are in use (instances.max)`;
    if (this.waiting.size >= MAX_WAITING)
      throw new GatewayError('overloaded', `${busy}, and ${MAX_WAITING} calls wait for one.`);
    const { promise, resolve, reject } = Promise.withResolvers<Claim>();
    // out of the queue at once, or it might be given what it no longer takes
    const fail = (error: unknown) => {
      this.waiting.delete(waiter);
      reject(error);
    };
    const waiter: Waiter = { holding, take: resolve, fail };
    this.waiting.add(waiter);
    const timer = setTimeout(
      () =>
        fail(new GatewayError('overloaded', `${busy}; none became free within ${total / 1000} s (timeouts.total).`)),
      total,
    );
    this.looking ??= setInterval(() => this.look(), LOOK_MS).unref();
    this.look();
    const stay = signal?.onAbort(() => fail(new GatewayError('cancelled', 'The caller cancelled the call.')));
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      stay?.();
    }
  }

  /** Something became free: gives it to the first that can use it. */
  serve(): void {
    for (const waiter of this.waiting) {
      try {
        const claim = this.claim(waiter.holding);
        if (!claim) continue;
        this.waiting.delete(waiter);
        waiter.take(claim);
      } catch (error) {
        waiter.fail(error);
      }
    }
  }

  private look(): void {
    const [first] = this.waiting;
    if (first) {
      this.options.stuck(first.holding);
      return;
    }
    clearInterval(this.looking);
    this.looking = undefined;
  }

  /** Ends the waiting of one owner. */
  refuse(holding: OwnerPool, error: GatewayError): void {
    for (const waiter of this.waiting) if (waiter.holding === holding) waiter.fail(error);
  }
}
