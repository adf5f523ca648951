// The end of a legacy server's task, waited for where the server gives it, although what stands between may cut the wait short.
import { type CancelSignal, pause } from '../../core/cancellation.ts';
import { type ErrorCode, GatewayError } from '../../core/errors.ts';
import { numberOf } from '../../core/json.ts';
import { isTerminal } from '../../protocol/mcp/tasks.ts';
import type { PlaceKind } from '../../upstream/mcp/instances/stream-slots.ts';
import type { WireReply } from '../../upstream/mcp/wire/wire.ts';
import { isUnknown } from './upstream-task.ts';

/** How many requests about a task may fail in a row before it is given up. */
export const MAX_FAILURES = 5;

/** The pause after the first of several failures in a row, in ms; doubled each time, up to the most. */
const FIRST_PAUSE_MS = 200;
const MOST_PAUSE_MS = 10_000;

/** A wait that lasted so long, in ms, was none of several failures in a row. */
const LASTED_MS = 30_000;

/** How often a task is looked at that is not waited for and whose server does not say, and the bounds for one that does, in ms. */
const USUAL_POLL_MS = 2_000;
const LEAST_POLL_MS = 1_000;
const MOST_POLL_MS = 30_000;

/** Failures after which a task may go on: what failed is the way to it. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  'upstream_closed',
  'upstream_timed_out',
  'upstream_failed',
  'upstream_unreachable',
]);

/** How long a wait lasts that is only to hear what a task asks, in ms. */
const HEARING_MS = 2_000;

/** Takes a place among the requests that stay open, and gives the way to leave it; undefined where none is free. */
export type TakePlace = (kind: PlaceKind) => (() => void) | undefined;

export interface AwaitTaskOptions {
  /** Asks for the result, which comes at the end, for at most so many ms. Throws GatewayError. */
  readonly wait: (totalMs: number) => Promise<WireReply>;
  /** Asks how the task stands. Throws GatewayError. */
  readonly look: () => Promise<WireReply>;
  /** Where no place is free, the task is looked at until it ends. Absent where the wait has an end of its own. */
  readonly place?: TakePlace;
  /** Whether what the task asks is known already. */
  readonly hasAsked?: () => boolean;
  /** How long the wait may still last, in ms; Infinity where it may last as long as the task. */
  readonly leftMs: () => number;
  /** Aborted when nobody waits any more. */
  readonly signal: CancelSignal;
}

/**
 * The answer to `tasks/result`, or the error with which the server says that there is no task any more. A wait that was cut short is begun
 * again for as long as the server knows the task. Throws GatewayError: that of the last cut, or `cancelled`.
 */
export async function awaitTaskResult(options: AwaitTaskOptions): Promise<WireReply> {
  for (let cuts = 0; ; cuts++) {
    const begun = performance.now();
    try {
      return await waitInPlace(options);
    } catch (failure) {
      if (!mayPass(failure)) throw failure;
      if (performance.now() - begun >= LASTED_MS) cuts = 0;
      const standing = await standingAfter(failure, cuts, options);
      if (standing.error) return standing;
    }
  }
}

/** Waits as soon as there is a place, and looks until then. An end is fetched in any case: that does not stay open. */
async function waitInPlace(options: AwaitTaskOptions): Promise<WireReply> {
  const { wait, look, place, leftMs, signal } = options;
  if (!place) return wait(leftMs());
  for (;;) {
    const leave = place('standing');
    if (leave) return wait(leftMs()).finally(leave);
    const standing = await look();
    if (isUnknown(standing)) return standing;
    const { status, pollInterval } = standing.result ?? {};
    if (isTerminal(status)) return wait(leftMs());
    const end = status === 'input_required' ? await hear(options, place) : undefined;
    if (end) return end;
    await pause(pollOf(pollInterval), signal);
  }
}

/** A legacy server asks where it is waited for (2025-11-25 basic/utilities/tasks, Input Required Status): for a moment, where that is enough. */
async function hear({ wait, hasAsked }: AwaitTaskOptions, place: TakePlace): Promise<WireReply | undefined> {
  const leave = hasAsked?.() === true ? undefined : place('brief');
  if (!leave) return undefined;
  try {
    return await wait(HEARING_MS);
  } catch (failure) {
    if (failure instanceof GatewayError && failure.code === 'upstream_timed_out') return undefined;
    throw failure;
  } finally {
    leave();
  }
}

/** How the task stands after a cut, asked again where the server cannot say. Throws the failure that cut the wait short. */
async function standingAfter(
  failure: unknown,
  cuts: number,
  { look, leftMs, signal }: AwaitTaskOptions,
): Promise<WireReply> {
  for (let failures = 1; failures <= MAX_FAILURES; failures++) {
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** (cuts + failures - 1), MOST_PAUSE_MS);
    if (leftMs() <= pauseMs) throw failure;
    await pause(pauseMs, signal);
    const standing = await look().catch((error: unknown) => {
      if (!mayPass(error)) throw failure;
    });
    if (leftMs() <= 0) throw failure;
    if (standing && (!standing.error || isUnknown(standing))) return standing;
  }
  throw failure;
}

/** Whether a request about a task may have failed while the task goes on. */
export function mayPass(failure: unknown): boolean {
  return failure instanceof GatewayError && PASSING.has(failure.code);
}

function pollOf(pollInterval: unknown): number {
  const wanted = numberOf(pollInterval) ?? USUAL_POLL_MS;
  return Math.min(Math.max(wanted, LEAST_POLL_MS), MOST_POLL_MS);
}
