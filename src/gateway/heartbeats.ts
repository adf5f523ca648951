// Signs of life for callers that give up on calls that say nothing: one clock for all calls that want progress.
import type { Exchange } from '../core/exchange.ts';

/** How often it is looked whose call has been silent for too long, in ms. */
const TICK_MS = 10_000;

export class Heartbeats {
  private readonly live = new Set<Exchange>();
  private ticking: NodeJS.Timeout | undefined;

  /** Sees to it that the caller hears something while this runs, if it wants to hear of progress. */
  during<T>(exchange: Exchange, running: Promise<T>): Promise<T> {
    if (!exchange.wantsProgress || !exchange.heartbeat) return running;
    this.live.add(exchange);
    this.ticking ??= setInterval(() => this.tick(), TICK_MS).unref();
    return running.finally(() => {
      this.live.delete(exchange);
      if (this.live.size === 0) this.rest();
    });
  }

  private tick(): void {
    for (const exchange of this.live) exchange.heartbeat?.();
  }

  private rest(): void {
    clearInterval(this.ticking);
    this.ticking = undefined;
  }
}
