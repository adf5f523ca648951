// W3C Trace Context in and out, ids, and the stage that gives each call its span.
import { randomBytes, randomFillSync } from 'node:crypto';
import type { Call, TraceContext } from '../core/call.ts';
import type { CallContext, Stage } from '../core/call-context.ts';
import type { Logger } from './logger.ts';

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
/** It goes on as a header, so it must be one. */
const TRACESTATE = /^[!-~](?:[ -~]{0,510}[!-~])?$/;
const ZERO_TRACE = '0'.repeat(32);
const ZERO_SPAN = '0'.repeat(16);

/** Lower-case hex of so many random bytes. */
export function randomHex(bytes: number): string {
  return randomBytes(bytes).toString('hex');
}

const DRAWN_BYTES = 4096;

/** The ids of calls and spans. One draw of random bytes serves many of them, since a draw for each takes longer than all else about a trace. */
export class RandomIds {
  readonly #bytes = Buffer.allocUnsafeSlow(DRAWN_BYTES);
  #used = this.#bytes.length;

  /** Lower-case hex of so many random bytes. */
  readonly hex = (bytes: number): string => {
    if (this.#used + bytes > this.#bytes.length) {
      randomFillSync(this.#bytes);
      this.#used = 0;
    }
    const from = this.#used;
    this.#used += bytes;
    return this.#bytes.toString('hex', from, this.#used);
  };
}

/** Continues the caller's trace where its `traceparent` is valid (W3C Trace Context, section 3.2), else starts one. */
export function traceFrom(traceparent: unknown, tracestate: unknown, hex = randomHex): TraceContext {
  const spanId = hex(8);
  const match = typeof traceparent === 'string' && traceparent.length <= 128 ? TRACEPARENT.exec(traceparent) : null;
  const [, version, traceId, parentId, flags, rest] = match ?? [];
  const valid = traceId !== undefined && version !== 'ff' && traceId !== ZERO_TRACE && parentId !== ZERO_SPAN;
  if (!valid || (version === '00' && rest !== undefined))
    return { traceId: hex(16), spanId, flags: '01', state: undefined };
  const state = typeof tracestate === 'string' && TRACESTATE.test(tracestate) ? tracestate : undefined;
  return { traceId, spanId, flags: flags ?? '01', state };
}

/** The `traceparent` that the next hop gets: our span is its parent. */
export function traceparentOf(trace: TraceContext): string {
  return `00-${trace.traceId}-${trace.spanId}-${trace.flags}`;
}

/** Writes one line into the program's log as each call ends, under the ids of the call and of its trace. */
export function traceStage(logger: Logger): Stage {
  return (call, ctx, next) => {
    ctx.onSettled(({ status, failure }) => {
      if (failure?.code === 'internal')
        logger.error({ ...spanOf(call, ctx), outcome: status, err: failure.cause ?? failure }, 'call failed');
      else if (logger.isLevelEnabled('debug')) {
        const why = failure && { error: failure.code, reason: failure.message, detail: failure.detail };
        logger.debug({ ...spanOf(call, ctx), outcome: status, ...why }, 'call');
      }
    });
    return next(call, ctx);
  };
}

function spanOf(call: Call, { target, continues, attempts }: CallContext): Record<string, unknown> {
  return {
    call: call.id,
    trace: call.trace.traceId,
    action: call.action,
    server: target?.server,
    attempts: attempts?.map(({ origin, startedAt, endedAt = NaN, error }) => ({
      instance: origin?.instance,
      ms: Math.round(endedAt - startedAt),
      error,
    })),
    ...(continues && { continues }),
    ms: Math.round((performance.now() - call.startedAt) * 100) / 100,
  };
}
