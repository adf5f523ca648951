// Ends what runs for a caller while no request is open at a server: when the caller leaves, and when the gateway stops.
import { Cancellation, type CancelSignal } from '../core/cancellation.ts';
import { type Exchange, relayed } from '../core/exchange.ts';
import type { InFlight } from '../core/in-flight.ts';

export interface ShutdownOptions {
  /** Aborted when the gateway stops and waits no longer. */
  readonly ending: CancelSignal;
  /** Requests that cancel tasks at their servers: a gateway that stops waits for them. */
  readonly cancellations: InFlight;
}

/** Runs something with an exchange that is cancelled, at the latest, when the gateway stops. Throws what `run` throws. */
export async function abortOnShutdown<T>(
  exchange: Exchange,
  { ending, cancellations }: ShutdownOptions,
  run: (exchange: Exchange) => Promise<T>,
): Promise<T> {
  const cancellation = new Cancellation();
  const running = run(relayed(exchange, { signal: cancellation }));
  const end = () => {
    cancellation.abort();
    cancellations.track(running).catch(() => undefined); // the caller gets the failure below
  };
  const unsubscribe = [exchange.signal.onAbort(() => cancellation.abort()), ending.onAbort(end)];
  try {
    return await running;
  } finally {
    for (const stop of unsubscribe) stop();
  }
}
