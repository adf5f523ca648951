// Cancelling a call: what an AbortController does, without its price.
import { GatewayError } from './errors.ts';

/**
 * The side that is told. Listening to an AbortSignal costs every call some ten kilobytes that survive several collections; this
 * is an object with a flag and a list.
 */
export interface CancelSignal {
  readonly aborted: boolean;
  /** Calls the listener once, when the call is cancelled; at once if it is already. Returns the way to stop listening. */
  onAbort(listener: () => void): () => void;
}

/** The side that cancels. A listener that throws keeps the others from being told, so none may. */
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

  /** What could be cancelled is over, though this is still held: it holds none of those who wanted to be told. */
  release(): void {
    this.listeners = undefined;
  }

  onAbort(listener: () => void): () => void {
    if (this.done) {
      listener();
      return () => undefined;
    }
    (this.listeners ??= []).push(listener);
    return () => {
      this.listeners = this.listeners?.filter((other) => other !== listener);
    };
  }
}

/** Waits for some milliseconds. Throws `cancelled` as soon as the caller does not wait any more. */
export async function pause(ms: number, signal: CancelSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const stop = signal.onAbort(resolve);
  await promise;
  clearTimeout(timer);
  stop();
  if (signal.aborted) throw new GatewayError('cancelled', 'The caller cancelled the call.');
}
