// The time limits of running requests: one coarse clock for all, so that a request costs no timer of its own.
import { GatewayError } from '../../../core/errors.ts';
import { Slots } from '../../../core/slots.ts';

/** How often the clock looks; a request ends at most this much after its limit. */
const TICK_MS = 100;

/** `total` is of the whole request; the others are of silence, and only one of them counts at a time. */
export type Limit = 'total' | 'firstByte' | 'idle';

/** One running request and its clocks. */
export interface Deadline {
  /** Moves the end when progress shows that the request is alive, up to the hard limit. */
  extend(): void;
  /** From now on silence may last `ms`; replaces what was awaited before. */
  awaits(limit: 'firstByte' | 'idle', ms: number): void;
  /** From now on silence may last as long as the request. */
  awaitsNothing(): void;
  /** Something came: the silence begins anew. */
  heard(): void;
  /** Stops every clock; as often as it is called, `release` has to be called before they go on. */
  hold(): void;
  release(): void;
  /** Whether the clocks stand still. */
  readonly isHeld: boolean;
  clear(): void;
}

/** Told which limit was passed, and how long it is in milliseconds. */
export type OnExpire = (limit: Limit, ms: number) => void;

class Entry implements Deadline {
  key = 0;
  private readonly entries: Slots<Entry>;
  private readonly totalMs: number;
  private readonly onExpire: OnExpire;
  private endsAt: number;
  private hardEnd: number;
  private silence: 'firstByte' | 'idle' | undefined;
  private silenceMs = 0;
  private silentUntil = Infinity;
  private holds = 0;
  private heldAt = 0;

  constructor(entries: Slots<Entry>, limits: { totalMs: number; hardMs: number }, onExpire: OnExpire) {
    const now = performance.now();
    this.entries = entries;
    this.totalMs = limits.totalMs;
    this.endsAt = now + limits.totalMs;
    this.hardEnd = now + Math.max(limits.hardMs, limits.totalMs);
    this.onExpire = onExpire;
  }

  extend(): void {
    this.endsAt = Math.min(this.now() + this.totalMs, this.hardEnd);
  }

  awaits(limit: 'firstByte' | 'idle', ms: number): void {
    this.silence = limit;
    this.silenceMs = ms;
    this.heard();
  }

  awaitsNothing(): void {
    this.silence = undefined;
    this.silentUntil = Infinity;
  }

  heard(): void {
    if (this.silence !== undefined) this.silentUntil = this.now() + this.silenceMs;
  }

  hold(): void {
    if (this.holds++ === 0) this.heldAt = performance.now();
  }

  release(): void {
    if (this.holds === 0 || --this.holds > 0) return;
    const held = performance.now() - this.heldAt;
    this.endsAt += held;
    this.hardEnd += held;
    this.silentUntil += held;
  }

  get isHeld(): boolean {
    return this.holds > 0;
  }

  clear(): void {
    this.entries.take(this.key);
  }

  /** Ends the request if one of its limits has passed. */
  check(now: number): void {
    if (this.holds > 0) return;
    if (Math.min(this.endsAt, this.silentUntil) > now) return;
    this.clear();
    if (this.silence === undefined || this.endsAt < this.silentUntil) this.onExpire('total', this.totalMs);
    else this.onExpire(this.silence, this.silenceMs);
  }

  /** Stands still while the clocks do. */
  private now(): number {
    return this.holds > 0 ? this.heldAt : performance.now();
  }
}

/** Watches every deadline that it gave out; ticks only while there is one. */
export class Deadlines {
  private readonly entries = new Slots<Entry>();
  private timer: NodeJS.Timeout | undefined;

  /**
   * Calls `onExpire` once `totalMs` have passed without `extend`, at the latest after `hardMs`, or after a silence that is longer
   * than what is awaited.
   */
  start(totalMs: number, hardMs: number, onExpire: OnExpire): Deadline {
    const entry = new Entry(this.entries, { totalMs, hardMs }, onExpire);
    entry.key = this.entries.add(entry);
    this.timer ??= setInterval(() => this.tick(), TICK_MS).unref();
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

/** The error of a server that does not even answer a ping. */
export function takenForHung(server: string, pingMs: number): GatewayError {
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

/** The error of a limit that was passed; names the setting to look at. `method` is what was not answered in all. */
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
