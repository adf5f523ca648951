// A circuit breaker: refuses calls to a server whose last calls failed, except for a probe now and then.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { Backoff } from '../../../core/backoff.ts';
import { GatewayError, reasonOf } from '../../../core/errors.ts';
import type { ConfiguredServer } from '../configured-server.ts';
import { untilTriedAgain } from '../connect/backoff.ts';
import type { ConnectionRequest } from '../connect/connection.ts';
import { SessionLost } from '../wire/wire.ts';

const PAUSES = { firstMs: BOUNDS.circuitPauseFirst, mostMs: BOUNDS.circuitPauseMost };

/** Failures that show that the server cannot serve now. */
const FAILURES = new Set<string>([
  'upstream_unreachable',
  'upstream_closed',
  'upstream_timed_out',
  'upstream_protocol',
  'upstream_failed',
]);

/** Whether the server caused a failure, and not the caller by cancelling or the gateway by refusing. */
export function isServerFailure(error: unknown): boolean {
  return error instanceof SessionLost || (error instanceof GatewayError && FAILURES.has(error.code));
}

export type CircuitState = 'closed' | 'open' | 'half-open';

/** How a call was admitted: as one of many, or alone, as the probe of an open circuit. */
export type Pass = 'call' | 'probe';

/** A call that the server could not serve. */
export interface Failure {
  /** What was called. */
  readonly target: string;
  /** Whether it timed out: one tool may hang while its server serves others. */
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
 * Records a failure of the server among its recent errors, and counts it in the circuit where `failure` is given: a failure of an owner's
 * instance concerns that owner alone.
 */
export function countFailure(
  error: unknown,
  failure: Failure | undefined,
  { server, circuit }: { readonly server: ConfiguredServer; readonly circuit: Circuit },
): void {
  if (!isServerFailure(error)) return;
  server.recordError(error);
  if (failure && circuit.failed(failure)) server.record('circuit_opened', { reason: server.clean(reasonOf(error)) });
}

/**
 * Counts failures in a row; any answer of the server, an error too, ends the row. A time-out does not count if the server has answered any
 * call since the call was sent. If only time-outs of one target were counted, the circuit refuses that target alone.
 */
export class Circuit {
  private readonly now: () => number;
  /** How often the server answered. */
  answers = 0;
  private failures = 0;
  /** The only target that failed in this row, if it only timed out. */
  private hanging: string | undefined;
  private openedAt = 0;
  /** 0 while it is closed. */
  private openMs = 0;
  private readonly pauses = new Backoff(PAUSES);
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

  /** Whether every call is admitted. */
  get isClosed(): boolean {
    return this.openMs === 0;
  }

  /** Admits a call of this target; undefined if it is refused. While half open, one call at a time is admitted. Call `succeeded` or `ended` afterwards. */
  admit(target: string): Pass | undefined {
    if (this.openMs === 0 || (this.hanging !== undefined && this.hanging !== target)) return 'call';
    if (this.probing || this.state === 'open') return undefined;
    this.probing = true;
    return 'probe';
  }

  /** The error of a call that is refused now. */
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

  /** The only target that is refused; undefined if all are, or none. */
  get onlyTarget(): string | undefined {
    return this.isClosed ? undefined : this.hanging;
  }

  /** The server could not serve a call. Returns whether this opened the circuit, or extended it from one target to the whole server. */
  failed({ target, timedOut, answersBefore }: Failure): boolean {
    if (timedOut && answersBefore !== this.answers) return false;
    const wasOfOne = this.onlyTarget !== undefined;
    this.hanging = timedOut && (this.failures === 0 || target === this.hanging) ? target : undefined;
    this.failures++;
    if (this.failures < BOUNDS.circuitFailures) return false;
    const isNews = this.isClosed || (wasOfOne && this.hanging === undefined);
    if (isNews || this.state === 'half-open') {
      if (isNews) this.pauses.reset();
      this.openMs = this.pauses.next();
      this.openedAt = this.now();
    }
    return isNews;
  }

  /** A call that was admitted ended without an answer. */
  ended(pass: Pass): void {
    if (pass === 'probe') this.probing = false;
  }
}
