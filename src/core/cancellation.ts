// Cancels a call as an AbortController does, at a lower cost.
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
