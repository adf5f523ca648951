// A circuit breaker: a server whose calls keep failing is not given more of them, but for a probe now and then.

/** Failures in a row that open it. */
const THRESHOLD = 5;
/** How long it stays open the first time; doubled by every probe that fails. */
const FIRST_OPEN_MS = 5_000;
const MOST_OPEN_MS = 60_000;

export type CircuitState = 'closed' | 'open' | 'half-open';

/** Counts failures that say that the server cannot serve; an answer of any kind, also an error, says that it can. */
export class Circuit {
  private failures = 0;
  private openedAt = 0;
  private openMs = 0;
  private probing = false;

  get state(): CircuitState {
    if (this.openMs === 0) return 'closed';
    return performance.now() - this.openedAt >= this.openMs ? 'half-open' : 'open';
  }

  /** Milliseconds until a probe may pass. */
  get retryAfterMs(): number {
    return this.openMs === 0 ? 0 : Math.max(0, this.openedAt + this.openMs - performance.now());
  }

  /** Whether a call may go to the server now; while half open, one at a time may. */
  admits(): boolean {
    if (this.openMs === 0) return true;
    if (this.probing || this.state === 'open') return false;
    this.probing = true;
    return true;
  }

  /** The server answered, or it cannot be told: the call was given up by its caller. */
  succeeded(): void {
    if (this.failures === 0) return;
    this.failures = 0;
    this.openMs = 0;
    this.probing = false;
  }

  /** A call ended without saying anything about the server. */
  abandoned(): void {
    this.probing = false;
  }

  /** The server could not serve a call. Returns whether that has just opened the circuit. */
  failed(): boolean {
    this.failures++;
    this.probing = false;
    if (this.failures < THRESHOLD) return false;
    const wasClosed = this.openMs === 0;
    if (wasClosed || this.state === 'half-open') {
      this.openMs = wasClosed ? FIRST_OPEN_MS : Math.min(this.openMs * 2, MOST_OPEN_MS);
      this.openedAt = performance.now();
    }
    return wasClosed;
  }
}
