// The time limits of running requests: one coarse timer for all, so that a request needs none of its own.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { GatewayError } from '../../../core/errors.ts';
import { Slots } from '../../../core/slots.ts';

/** `total` limits the whole request; the others limit silence, and only one of these is in force at a time. */
export type Limit = 'total' | 'firstByte' | 'idle';

/** The limits of one running request. */
export interface Deadline {
  /** Restarts the total limit after progress; the hard limit stays. */
  extend(): void;
  /** From now on silence may last `ms`. Replaces the silence limit before. */
  limitSilence(limit: 'firstByte' | 'idle', ms: number): void;
  /** Removes the silence limit. */
  allowSilence(): void;
  /** Bytes came: the silence begins anew. */
  restartSilence(): void;
  /** Stops the clocks. They go on after as many calls of `release` as there were of `hold`. */
  hold(): void;
  release(): void;
  /** Whether the clocks are stopped. */
  readonly isHeld: boolean;
  clear(): void;
}

/** Receives the limit that was passed, and its length in ms. */
export type OnExpire = (limit: Limit, ms: number) => void;

/** How long a call may last: `totalMs` after its start or its last progress, at most `hardMs` in all. The clock stops while it is held. */
export class CallClock {
  readonly totalMs: number;
  protected endsAt: number;
  private hardEnd: number;
  private holds = 0;
  private heldAt = 0;

  constructor(totalMs: number, hardMs: number) {
    const now = performance.now();
    this.totalMs = totalMs;
    this.endsAt = now + totalMs;
    this.hardEnd = now + Math.max(hardMs, totalMs);
  }

  /** Zero or less when the time is over. */
  get leftMs(): number {
    return this.endsAt - this.now();
  }

  get isHeld(): boolean {
    return this.holds > 0;
  }

  extend(): void {
    this.endsAt = Math.min(this.now() + this.totalMs, this.hardEnd);
  }

  hold(): void {
    if (this.holds++ === 0) this.heldAt = performance.now();
  }

  /** Returns how long the clock was stopped, in ms; 0 if it still is. */
  release(): number {
    if (this.holds === 0 || --this.holds > 0) return 0;
    const heldMs = performance.now() - this.heldAt;
    this.endsAt += heldMs;
    this.hardEnd += heldMs;
    return heldMs;
  }

  /** The current time; while the clock is stopped, the time at which it stopped. */
  protected now(): number {
    return this.isHeld ? this.heldAt : performance.now();
  }
}

class Entry extends CallClock implements Deadline {
  key = 0;
  private readonly entries: Slots<Entry>;
  private readonly onExpire: OnExpire;
  private silence: 'firstByte' | 'idle' | undefined;
  private silenceMs = 0;
  private silentUntil = Infinity;

  constructor(entries: Slots<Entry>, limits: { totalMs: number; hardMs: number }, onExpire: OnExpire) {
    super(limits.totalMs, limits.hardMs);
    this.entries = entries;
    this.onExpire = onExpire;
  }

  limitSilence(limit: 'firstByte' | 'idle', ms: number): void {
    this.silence = limit;
    this.silenceMs = ms;
    this.restartSilence();
  }

  allowSilence(): void {
    this.silence = undefined;
    this.silentUntil = Infinity;
  }

  restartSilence(): void {
    if (this.silence !== undefined) this.silentUntil = this.now() + this.silenceMs;
  }

  override release(): number {
    const heldMs = super.release();
    this.silentUntil += heldMs;
    return heldMs;
  }

  clear(): void {
    this.entries.take(this.key);
  }

  /** Ends the request if one of its limits has passed. */
  check(now: number): void {
    if (this.isHeld) return;
    if (Math.min(this.endsAt, this.silentUntil) > now) return;
    this.clear();
    if (this.silence === undefined || this.endsAt < this.silentUntil) this.onExpire('total', this.totalMs);
    else this.onExpire(this.silence, this.silenceMs);
  }
}

/** Checks every deadline that it started; its timer runs only while there is one. */
export class Deadlines {
  private readonly entries = new Slots<Entry>();
  private timer: NodeJS.Timeout | undefined;

  /**
   * Calls `onExpire` once: when `totalMs` have passed without `extend`, after `hardMs` at the latest, or after a silence that is longer than
   * its limit.
   */
  start(totalMs: number, hardMs: number, onExpire: OnExpire): Deadline {
    const entry = new Entry(this.entries, { totalMs, hardMs }, onExpire);
    entry.key = this.entries.add(entry);
    this.timer ??= setInterval(() => this.tick(), BOUNDS.deadlineCheck).unref();
    return entry;
  }

  private tick(): void {
    const now = performance.now();
    for (const entry of this.entries.all()) entry.check(now);
    if (this.entries.size > 0) return;
    clearInterval(this.timer);
    this.timer = undefined;
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

const PASSED = {
  connect: 'did not accept a connection',
  firstByte: 'did not begin to answer',
  idle: 'fell silent in the middle of its answer',
} as const;

/** The error of a limit that was passed, with the setting to change. `method` is the request that was not answered in time. */
export function timedOut(
  server: string,
  passed: { limit: Limit | 'connect' | 'start'; ms: number; method?: string },
  cause?: unknown,
): GatewayError {
  const { limit, ms, method = 'a request' } = passed;
  const what = limit === 'total' || limit === 'start' ? `did not answer ${method}` : PASSED[limit];
  return new GatewayError(
    'upstream_timed_out',
    `The server "${server}" ${what} within ${ms / 1000} s (timeouts.${limit}).`,
    cause === undefined ? {} : { cause },
  );
}
