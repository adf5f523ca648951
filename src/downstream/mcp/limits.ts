// The bounds of what the MCP endpoints keep and wait for, in one place, so that tests can make them small.
import { BOUNDS } from '../../core/bounds/bounds.ts';
import { WriteBudget } from './write-budget.ts';
import { ReplayBudget } from './replay-budget.ts';

export interface EndpointLimits {
  /** Quiet calls become streams after this long, so that clients that give up on silence see life (wire.md, Resumption). */
  readonly streamAfterMs: number;
  /** The same for modern clients, to whom the status of an answer says more: it is not given away so soon. */
  readonly modernStreamAfterMs: number;
  readonly heartbeatMs: number;
  /** What may wait for a reader of a stream that has taken nothing for `slowMs` before it is cut off, in bytes. */
  readonly maxBuffered: number;
  readonly slowMs: number;
  /** What waits for all readers together. */
  readonly backlog: WriteBudget;
  /** How long a reader may take nothing of what waits for it before it is cut off. */
  readonly stalledMs: number;
  /** A session without request or stream for this long has ended. */
  readonly idleMs: number;
  /** How often it is looked for such sessions. */
  readonly sweepMs: number;
  /** What one session keeps for clients that come back, and no more than so many bytes of it. */
  readonly replayEvents: number;
  readonly replayBytes: number;
  /** What all sessions together keep so. */
  readonly kept: ReplayBudget;
  /** How long one connection carries the stream of a call before the client is left to poll (2025-11-25 transports, Sending Messages). */
  readonly pollAfterMs: number;
  /** How long a client is asked to wait before it comes back. */
  readonly retryMs: number;
  /** How long a question may be with a client. */
  readonly questionMs: number;
  /** Milliseconds on a monotonic clock, by which sessions age. */
  readonly now: () => number;
}

export const LIMITS: EndpointLimits = Object.freeze({
  streamAfterMs: 1_000,
  modernStreamAfterMs: 5_000,
  heartbeatMs: 15_000,
  maxBuffered: 16 * 1024 * 1024,
  slowMs: 1_000,
  backlog: new WriteBudget(256 * 1024 * 1024),
  stalledMs: 60_000,
  idleMs: 60 * 60_000,
  sweepMs: 60_000,
  replayEvents: 1_000,
  replayBytes: 4 * 1024 * 1024,
  kept: new ReplayBudget(256 * 1024 * 1024),
  pollAfterMs: 10 * 60_000,
  retryMs: 1_000,
  questionMs: BOUNDS.questionAge,
  now: () => performance.now(),
});
