// A circuit breaker: a server whose calls keep failing is not given more of them, but for a probe now and then.
import { GatewayError } from '../../../core/errors.ts';
import { untilTriedAgain } from '../connect/backoff.ts';
import type { ConnectionRequest } from '../connect/connection.ts';
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

/** A call that could not be served. */
export interface Failure {
  /** What was called. */
  readonly target: string;
  /** Whether it ran out of time: a single tool may hang while its server is well. */
  readonly timedOut: boolean;
  /** What `answers` was when the call was sent. */
  readonly answersBefore: number;
}

type Called = Pick<ConnectionRequest, 'method' | 'params'>;

/** What a request calls. */
export function targetOf({ method, params }: Called): string {
  const named = params.name ?? params.uri;
  return typeof named === 'string' ? `${method} ${named}` : method;
}

export function failureOf(error: unknown, request: Called, answersBefore: number): Failure {
  const timedOut = error instanceof GatewayError && error.code === 'upstream_timed_out';
  return { target: targetOf(request), timedOut, answersBefore };
}

/**
 * Counts failures that say that the server cannot serve; an answer of any kind, also an error, says that it can. A time-out says nothing
 * where the server has answered anything since the call was sent; where nothing but time-outs of one target speaks against it, that target
 * alone is refused.
 */
export class Circuit {
  private readonly now: () => number;
  /** How often the server answered. */
  answers = 0;
  private failures = 0;
  /** The only target that has failed in this row, and only by running out of time; undefined where it is the server. */
  private hanging: string | undefined;
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

  /** Whether every call is let through. */
  get isClosed(): boolean {
    return this.openMs === 0;
  }

  /** Lets a call of this target go to the server, or undefined; while half open, one at a time may. Hand the pass back with `ended` unless it `succeeded`. */
  admit(target: string): Pass | undefined {
    if (this.openMs === 0 || (this.hanging !== undefined && this.hanging !== target)) return 'call';
    if (this.probing || this.state === 'open') return undefined;
    this.probing = true;
    return 'probe';
  }

  /** Why no call is let through now. */
  refusal(server: string): GatewayError {
    const reason =
      this.hanging === undefined
        ? `The server "${server}" is not given calls for now: the last ones failed.`
        : `The server "${server}" is not given this call for now: the last ones like it ran out of time.`;
    return new GatewayError('upstream_unreachable', untilTriedAgain(reason, this.retryAfterMs));
  }

  /** The server answered. */
  succeeded(): void {
    this.answers++;
    if (this.failures === 0) return;
    this.failures = 0;
    this.hanging = undefined;
    this.openMs = 0;
    this.probing = false;
  }

  /** The only target that is refused; undefined where all are, or none. */
  get onlyTarget(): string | undefined {
    return this.isClosed ? undefined : this.hanging;
  }

  /** The server could not serve a call. Returns whether that has just opened the circuit, or made it one of the whole server. */
  failed({ target, timedOut, answersBefore }: Failure): boolean {
    if (timedOut && answersBefore !== this.answers) return false;
    const wasOfOne = this.onlyTarget !== undefined;
    this.hanging = timedOut && (this.failures === 0 || target === this.hanging) ? target : undefined;
    this.failures++;
    if (this.failures < THRESHOLD) return false;
    const isNews = this.isClosed || (wasOfOne && this.hanging === undefined);
    if (isNews || this.state === 'half-open') {
      this.openMs = isNews ? FIRST_OPEN_MS : Math.min(this.openMs * 2, MOST_OPEN_MS);
      this.openedAt = this.now();
    }
    return isNews;
  }

  /** A call ended without an answer; what it says about the server was told by `failed`, if anything. */
  ended(pass: Pass): void {
    if (pass === 'probe') this.probing = false;
  }
}
