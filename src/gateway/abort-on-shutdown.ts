// Aborts work that has no open request at a server, when its caller cancels or when the gateway stops.
import { Cancellation, type CancelSignal } from '../core/cancellation.ts';
import { type Exchange, relayed } from '../core/exchange.ts';
import type { InFlight } from '../core/in-flight.ts';

export interface ShutdownOptions {
  /** Aborted when the gateway stops and no longer waits for calls in flight. */
  readonly ending: CancelSignal;
  /** Requests that cancel tasks at their servers. The gateway waits for them before it stops the servers. */
  readonly cancellations: InFlight;
}

/** Calls `run` with an exchange whose signal is aborted when the caller cancels or the gateway stops. Throws what `run` throws. */
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
  const stopListening = [exchange.signal.onAbort(() => cancellation.abort()), ending.onAbort(end)];
  try {
    return await running;
  } finally {
    for (const stop of stopListening) stop();
  }
}
