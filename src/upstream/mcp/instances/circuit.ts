// A circuit breaker: a server whose calls keep failing is not given more of them, but for a probe now and then.
import { GatewayError } from '../../../core/errors.ts';
import { untilTriedAgain } from '../connect/backoff.ts';
import { SessionLost } from '../wire/wire.ts';

/** Failures in a row that open it. */
const THRESHOLD = 5;
/** How long it stays open the first time; doubled by every probe that fails. */
const FIRST_OPEN_MS = 5_000;
const MOST_OPEN_MS = 60_000;

/** Failures that say that the server cannot serve just now. */
const FAILURES = new Set<string>([
  'upstream_unreachable',
  'upstream_closed',
  'upstream_timed_out',
  'upstream_protocol',
  'upstream_failed',
]);

/** Whether a failure says something of the server; that a caller gave up, or that the gateway itself refused, does not. */
export function isServerFailure(error: unknown): boolean {
  return error instanceof SessionLost || (error instanceof GatewayError && FAILURES.has(error.code));
}

export type CircuitState = 'closed' | 'open' | 'half-open';

/** How a call was let through: as one of many, or alone, to see whether the server is well again. */
export type Pass = 'call' | 'probe';

/** Counts failures that say that the server cannot serve; an answer of any kind, also an error, says that it can. */
export class Circuit {
  private readonly now: () => number;
  private failures = 0;
  private openedAt = 0;
  private openMs = 0;
  private probing = false;

  /** `now` is in milliseconds, on a monotonic clock. */
  constructor(now: () => number = () => performance.now()) {
    this.now = now;
  }

  get state(): CircuitState {
    if (this.openMs === 0) return 'closed';
    return this.now() - this.openedAt >= this.openMs ? 'half-open' : 'open';
  }

  /** Milliseconds until a probe may pass. */
  get retryAfterMs(): number {
    return this.openMs === 0 ? 0 : Math.max(0, this.openedAt + this.openMs - this.now());
  }

  /** Lets a call go to the server, or undefined; while half open, one at a time may. Hand the pass back with `ended` unless it `succeeded`. */
  admit(): Pass | undefined {
    if (this.openMs === 0) return 'call';
    if (this.probing || this.state === 'open') return undefined;
    this.probing = true;
    return 'probe';
  }

  /** Why no call is let through now. */
  refusal(server: string): GatewayError {
    const reason = `The server "${server}" is not given calls for now: the last ones failed.`;
    return new GatewayError('upstream_unreachable', untilTriedAgain(reason, this.retryAfterMs));
  }

  /** The server answered. */
  succeeded(): void {
    if (this.failures === 0) return;
    this.failures = 0;
    this.openMs = 0;
    this.probing = false;
  }

  /** The server could not serve a call. Returns whether that has just opened the circuit. */
  failed(): boolean {
    this.failures++;
    if (this.failures < THRESHOLD) return false;
    const wasClosed = this.openMs === 0;
    if (wasClosed || this.state === 'half-open') {
      this.openMs = wasClosed ? FIRST_OPEN_MS : Math.min(this.openMs * 2, MOST_OPEN_MS);
      this.openedAt = this.now();
    }
    return wasClosed;
  }

  /** A call ended without an answer; what it says about the server was told by `failed`, if anything. */
  ended(pass: Pass): void {
    if (pass === 'probe') this.probing = false;
  }
}
