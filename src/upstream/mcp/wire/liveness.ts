// Whether a process that works on calls is still there: a ping where it has said nothing for a while (basic/utilities/ping).
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import type { Pending } from './pending.ts';
import type { WireReply } from './wire.ts';

export interface LivenessOptions {
  /** How long a ping may stay unanswered, in ms. */
  readonly pingMs: number;
  /** How many messages have come so far, of whatever kind: each is a sign of life. */
  heard(): number;
  /** Everything in flight. */
  pending(): readonly Pending[];
  /** Asks whether it is there. Rejects where no answer comes. */
  ping(totalMs: number): Promise<WireReply>;
  /** It is taken for hung. */
  hung(): void;
}

/** The part of the limit that a call is silent before it is asked. */
const SILENT_PART = 1 / 3;
/** How often it is looked within the limit. */
const LOOKS = 12;

/**
 * Watches one process. It counts only where the process has once answered a ping: one that refuses it, or says nothing to it, is judged
 * by the limits of its calls alone. While a question is with a client the clock stands still (wire.md, Questions 5).
 */
export class Liveness {
  private readonly options: LivenessOptions;
  private timer: NodeJS.Timeout | undefined;
  private closed = false;
  private heard = 0;
  /** Monotonic ms, as are the others. */
  private quietSince = 0;
  private askedAt: number | undefined;
  private lookedAt = 0;
  private isFirst = false;

  constructor(options: LivenessOptions) {
    this.options = options;
  }

  /** Whether a process that ends now ends on its first ping: that is unanswered, and no call is there that it may have ended on. */
  get endsOnFirst(): boolean {
    return this.isFirst && !this.isWaiting();
  }

  /**
   * It was greeted: asks once whether it answers pings at all, and watches it from then on if it does. The answer may come late: the
   * first call of an instance of an owner goes out at once, and may keep a process busy that does one thing at a time.
   */
  async begin(): Promise<void> {
    const { pingMs } = this.options;
    this.isFirst = true;
    const answered = await this.isAnswered(BOUNDS.callDuration);
    this.isFirst = false;
    if (!answered || this.closed) return;
    this.restart(performance.now());
    this.timer = setInterval(() => this.look(), pingMs / LOOKS).unref();
  }

  close(): void {
    this.closed = true;
    clearInterval(this.timer);
  }

  private look(): void {
    const { pingMs, heard, hung } = this.options;
    const now = performance.now();
    // where the gateway itself stood still, what came meanwhile is not read yet
    const wasAway = now - this.lookedAt > (3 * pingMs) / LOOKS;
    this.lookedAt = now;
    if (wasAway || heard() !== this.heard || !this.isWaiting()) this.restart(now);
    else if (this.askedAt !== undefined) {
      if (now - this.askedAt >= pingMs) hung();
    } else if (now - this.quietSince >= pingMs * SILENT_PART) {
      this.askedAt = now;
      void this.isAnswered(2 * pingMs);
    }
  }

  private restart(now: number): void {
    this.heard = this.options.heard();
    this.quietSince = this.lookedAt = now;
    this.askedAt = undefined;
  }

  /** Whether a call waits for the server, and no client is being asked anything by it. */
  private isWaiting(): boolean {
    const calls = this.options.pending().filter(({ request }) => request.exchange !== undefined);
    return calls.length > 0 && !calls.some(({ deadline }) => deadline?.isHeld === true);
  }

  /** A refusal ends the watch: what does not know pings cannot be judged by them. */
  private async isAnswered(totalMs: number): Promise<boolean> {
    const reply = await this.options.ping(totalMs).catch(() => undefined);
    if (reply?.error) this.close();
    return reply?.result !== undefined;
  }
}
