// The end of a legacy server's task, waited for where the server gives it, although what stands between may cut the wait short.
import { type CancelSignal, pause } from '../../core/cancellation.ts';
import { type ErrorCode, GatewayError } from '../../core/errors.ts';
import type { WireReply } from '../../upstream/mcp/wire/wire.ts';

/** The pause before a wait that was cut short is begun again, in ms, and for how many cuts. */
const AGAIN_AFTER_MS = 500;
const MAX_CUTS = 20;

/** Failures after which a task may go on: what failed is the way to it. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  'upstream_closed',
  'upstream_timed_out',
  'upstream_failed',
  'upstream_unreachable',
]);

export interface UntilEndOptions {
  /** Asks for the result, which comes at the end, for at most so many ms. Throws GatewayError. */
  readonly wait: (totalMs: number) => Promise<WireReply>;
  /** Asks how the task stands. Throws GatewayError. */
  readonly look: () => Promise<WireReply>;
  /** How long the wait may still last, in ms; Infinity where it may last as long as the task. */
  readonly leftMs: () => number;
  /** Aborted when nobody waits any more. */
  readonly signal: CancelSignal;
}

/**
 * The answer to `tasks/result`, or the error with which the server says that there is no task any more. A wait that was cut short is begun
 * again where the server still knows the task. Throws GatewayError: that of the last cut, or `cancelled`.
 */
export async function untilEnd({ wait, look, leftMs, signal }: UntilEndOptions): Promise<WireReply> {
  for (let cuts = 0; ; cuts++) {
    try {
      return await wait(leftMs());
    } catch (failure) {
      if (cuts >= MAX_CUTS || !mayPass(failure) || leftMs() <= AGAIN_AFTER_MS) throw failure;
      await pause(AGAIN_AFTER_MS, signal);
      const standing = await look().catch(() => {
        throw failure;
      });
      if (standing.error) return standing;
      if (leftMs() <= 0) throw failure;
    }
  }
}

/** Whether a request about a task may have failed while the task goes on. */
export function mayPass(failure: unknown): boolean {
  return failure instanceof GatewayError && PASSING.has(failure.code);
}
