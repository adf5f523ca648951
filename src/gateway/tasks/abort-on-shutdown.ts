// What runs for a caller while nothing is with its server: it is over when the gateway ends, as it is when the caller leaves.
import { Cancellation, type CancelSignal } from '../../core/cancellation.ts';
import { type Exchange, relayed } from '../../core/exchange.ts';
import type { InFlight } from '../../core/in-flight.ts';

export interface ShutdownOptions {
  /** Aborted when the gateway ends what is left. */
  readonly ending: CancelSignal;
  /** What a gateway that ends waits for: that servers hear that nobody wants their tasks. */
  readonly tasks: { readonly records: { readonly leaving: InFlight } };
}

/** Runs something with an exchange whose caller leaves, at the latest, when the gateway ends. Throws what `run` throws. */
export async function abortOnShutdown<T>(
  exchange: Exchange,
  { ending, tasks }: ShutdownOptions,
  run: (exchange: Exchange) => Promise<T>,
): Promise<T> {
  const over = new Cancellation();
  const running = run(relayed(exchange, { signal: over }));
  const end = () => {
    over.abort();
    tasks.records.leaving.track(running).catch(() => undefined); // it is told below
  };
  const backs = [exchange.signal.onAbort(() => over.abort()), ending.onAbort(end)];
  try {
    return await running;
  } finally {
    for (const back of backs) back();
  }
}
