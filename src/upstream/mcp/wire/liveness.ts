// Finds out whether a process that works on calls hangs: pings it after some silence (basic/utilities/ping).
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { GatewayError } from '../../../core/errors.ts';
import type { Pending } from './pending.ts';
import type { WireReply } from './wire.ts';

export interface LivenessOptions {
  /** How long a ping may stay unanswered, in ms. */
  readonly pingMs: number;
  /** How many messages have come so far, of whatever kind: each shows that the process works. */
  received(): number;
  /** All requests in flight. */
  pending(): readonly Pending[];
  /** Sends a ping. Rejects if no answer comes in time. */
  ping(totalMs: number): Promise<WireReply>;
  /** The process hangs. */
  hung(): void;
}

/** The part of `pingMs` after which a silent process is pinged. */
const SILENT_PART = 1 / 3;
/** How often the process is checked within `pingMs`. */
const CHECKS = 12;

/**
 * Watches one process after it has answered its first ping. A process that refuses or ignores that ping has only the time limits of its
 * calls. The clock is stopped while a request of the server waits for a client (wire.md, Questions 5).
 */
export class Liveness {
  private readonly options: LivenessOptions;
  private timer: NodeJS.Timeout | undefined;
  private closed = false;
  private received = 0;
  /** Monotonic ms, like the next two. */
  private silentSince = 0;
  private pingedAt: number | undefined;
  private checkedAt = 0;
  /** Whether the first ping is unanswered. */
  private isFirst = false;

  constructor(options: LivenessOptions) {
    this.options = options;
  }

  /** Whether a process that ends now ends because of its first ping: the ping is unanswered, and no call is in flight. */
  get endsOnFirstPing(): boolean {
    return this.isFirst && !this.isWaiting();
  }

  /**
   * Sends the first ping after the handshake, and watches the process from its answer on. The answer may come late, since a call may be sent
   * at the same time, and some processes do one thing at a time.
   */
  async begin(): Promise<void> {
    const { pingMs } = this.options;
    this.isFirst = true;
    const answered = await this.isAnswered(BOUNDS.callDuration);
    this.isFirst = false;
    if (!answered || this.closed) return;
    this.restart(performance.now());
    this.timer = setInterval(() => this.check(), pingMs / CHECKS).unref();
  }

  close(): void {
    this.closed = true;
    clearInterval(this.timer);
  }

  private check(): void {
    const { pingMs, received, hung } = this.options;
    const now = performance.now();
    // if the gateway itself was blocked, it has not read yet what came meanwhile
    const wasBlocked = now - this.checkedAt > (3 * pingMs) / CHECKS;
    this.checkedAt = now;
    if (wasBlocked || received() !== this.received || !this.isWaiting()) this.restart(now);
    else if (this.pingedAt !== undefined) {
      if (now - this.pingedAt >= pingMs) hung();
    } else if (now - this.silentSince >= pingMs * SILENT_PART) {
      this.pingedAt = now;
      void this.isAnswered(2 * pingMs);
    }
  }

  private restart(now: number): void {
    this.received = this.options.received();
    this.silentSince = this.checkedAt = now;
    this.pingedAt = undefined;
  }

  /** Whether a call waits for the server, and no request of the server waits for a client. */
  private isWaiting(): boolean {
    const calls = this.options.pending().filter(({ request }) => request.exchange !== undefined);
    return calls.length > 0 && !calls.some(({ deadline }) => deadline?.isHeld === true);
  }

  /** An error answer ends the watch, since the process does not support pings. */
  private async isAnswered(totalMs: number): Promise<boolean> {
    const reply = await this.options.ping(totalMs).catch(() => undefined);
    if (reply?.error) this.close();
    return reply?.result !== undefined;
  }
}

/** The error of a server that does not answer a ping. */
export function hungError(server: string, pingMs: number): GatewayError {
  return new GatewayError(
    'upstream_timed_out',
    `The server "${server}" was taken for hung and is started anew: during a call it left a ping unanswered for ${pingMs / 1000} s (timeouts.ping), and said nothing else.`,
    {
      detail:
        'If it is only busy, and cannot answer while it works, set timeouts.ping in its entry to as long as its longest call may take.',
    },
  );
}
