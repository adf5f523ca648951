// Waits for a promise for a limited time, or until a signal is aborted. Leaves no timer and no listener behind.
import type { CancelSignal } from './cancellation.ts';
import { GatewayError } from './errors.ts';

export interface WaitOptions {
  /** Ends the wait when it is aborted. */
  readonly signal?: CancelSignal | undefined;
  /** Whether the wait keeps the process alive; as in `node:timers`, but false where it is absent. */
  readonly ref?: boolean;
}

/** Settles as the promise does; resolves with undefined where the time is over or the signal is aborted before. */
export async function within<T>(
  promise: Promise<T>,
  ms: number,
  { signal, ref = false }: WaitOptions = {},
): Promise<T | undefined> {
  const { promise: expired, resolve } = Promise.withResolvers<undefined>();
  const end = () => resolve(undefined);
  const timer = setTimeout(end, ms);
  if (!ref) timer.unref();
  const stopListening = signal?.onAbort(end);
  try {
    return await Promise.race([promise, expired]);
  } finally {
    clearTimeout(timer);
    stopListening?.();
  }
}

/** Settles as the promise does, however late. Calls `late` once after `ms`, so that the caller can end the work behind the promise. */
export async function withDeadline<T>(promise: Promise<T>, ms: number, late: () => void): Promise<T> {
  const timer = setTimeout(late, ms).unref();
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}

/** Settles as the promise does. Throws `cancelled` as soon as the signal is aborted. */
export async function untilCancelled<T>(promise: Promise<T>, signal: CancelSignal): Promise<T> {
  const { promise: cancelled, reject } = Promise.withResolvers<never>();
  const stopListening = signal.onAbort(() => reject(new GatewayError('cancelled', 'The caller cancelled the call.')));
  try {
    return await Promise.race([promise, cancelled]);
  } finally {
    stopListening();
  }
}
