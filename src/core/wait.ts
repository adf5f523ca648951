// Waits for a promise with a limit, and leaves no timer and no listener behind.
import type { CancelSignal } from './cancellation.ts';
import { GatewayError } from './errors.ts';

export interface WaitOptions {
  /** Ends the wait when it is aborted. */
  readonly signal?: CancelSignal | undefined;
  /** Whether the wait keeps the process alive; as in `node:timers`, but false where it is absent. */
  readonly ref?: boolean;
}

/** What the promise resolves with, or rejects with; undefined where the time is over or the signal is aborted before. */
export async function within<T>(
  promise: Promise<T>,
  ms: number,
  { signal, ref = false }: WaitOptions = {},
): Promise<T | undefined> {
  const { promise: over, resolve } = Promise.withResolvers<undefined>();
  const end = () => resolve(undefined);
  const timer = setTimeout(end, ms);
  if (!ref) timer.unref();
  const stopListening = signal?.onAbort(end);
  try {
    return await Promise.race([promise, over]);
  } finally {
    clearTimeout(timer);
    stopListening?.();
  }
}

/** What the promise resolves or rejects with, however late; calls `late` once where that takes longer than `ms`, to end what is waited for. */
export async function withDeadline<T>(promise: Promise<T>, ms: number, late: () => void): Promise<T> {
  const timer = setTimeout(late, ms).unref();
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}

/** What the promise resolves or rejects with. Throws `cancelled` once the signal is aborted, unless it has settled by then. */
export async function untilCancelled<T>(promise: Promise<T>, signal: CancelSignal): Promise<T> {
  const { promise: left, reject } = Promise.withResolvers<never>();
  const stopListening = signal.onAbort(() => reject(new GatewayError('cancelled', 'The caller cancelled the call.')));
  try {
    return await Promise.race([promise, left]);
  } finally {
    stopListening();
  }
}
