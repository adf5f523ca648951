// Cancels a call as an AbortController does, at a lower cost, and waits: for a time, with a limit, or until a cancellation.
import { GatewayError } from './errors.ts';

/**
 * The side that listens. A listener of an AbortSignal costs every call some ten kilobytes that survive several garbage collections; this is
 * an object with a flag and a list.
 */
export interface CancelSignal {
  readonly aborted: boolean;
  /** Calls the listener once, when the call is cancelled; at once if it is already. Returns a function that removes the listener. */
  onAbort(listener: () => void): () => void;
}

/** The side that cancels. No listener may throw, since the others would not be called. */
export class Cancellation implements CancelSignal {
  private listeners: (() => void)[] | undefined;
  private done = false;

  get aborted(): boolean {
    return this.done;
  }

  get signal(): CancelSignal {
    return this;
  }

  abort(): void {
    if (this.done) return;
    this.done = true;
    const { listeners } = this;
    this.listeners = undefined;
    listeners?.forEach((listener) => listener());
  }

  /** Removes all listeners: the call has ended, and this object may be kept longer. */
  release(): void {
    this.listeners = undefined;
  }

  onAbort(listener: () => void): () => void {
    if (this.done) {
      listener();
      return () => undefined;
    }
    if (this.listeners) this.listeners.push(listener);
    else this.listeners = [listener];
    return () => {
      this.listeners = this.listeners?.filter((other) => other !== listener);
    };
  }
}

/** Waits for some milliseconds. Throws `cancelled` as soon as the signal is aborted. */
export async function pause(ms: number, signal: CancelSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const stopListening = signal.onAbort(resolve);
  await promise;
  clearTimeout(timer);
  stopListening();
  if (signal.aborted) throw new GatewayError('cancelled', 'The caller cancelled the call.');
}

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
