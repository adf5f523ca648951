// Sends heartbeats to callers that want progress, so that they do not give up a silent call; one timer serves all calls.
import { BOUNDS } from '../core/bounds/bounds.ts';
import type { Exchange } from '../core/exchange.ts';

export class Heartbeats {
  private readonly live = new Set<Exchange>();
  private ticking: NodeJS.Timeout | undefined;

  /** Sends the caller a heartbeat from time to time until `running` settles, if the caller wants progress. Settles as `running` does. */
  during<T>(exchange: Exchange, running: Promise<T>): Promise<T> {
    if (!exchange.wantsProgress || !exchange.heartbeat) return running;
    this.live.add(exchange);
    this.ticking ??= setInterval(() => this.tick(), BOUNDS.heartbeatCheck).unref();
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
