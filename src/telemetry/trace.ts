// Reads and writes W3C Trace Context, makes ids, and has the stage that logs the span of each call.
import { randomUUID } from 'node:crypto';
import type { Call, TraceContext } from '../core/call.ts';
import type { CallContext } from '../core/call-context.ts';
import type { Stage } from '../core/stage.ts';
import type { Logger } from './logger.ts';

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
/** Printable ASCII, since the gateway forwards it as a header. */
const TRACESTATE = /^[!-~](?:[ -~]{0,510}[!-~])?$/;
const ZERO_TRACE = '0'.repeat(32);
const ZERO_SPAN = '0'.repeat(16);

/**
 * Lower-case hex of at most 16 random bytes, of which six bits are those that mark a UUID. Node makes UUIDs from a pool of random bytes, so
 * that one system call is enough for many ids.
 */
export function randomHex(bytes: number): string {
  return randomUUID()
    .replaceAll('-', '')
    .slice(-2 * bytes);
}

/** Continues the caller's trace where its `traceparent` is valid (W3C Trace Context, section 3.2), else begins one. */
export function traceFrom(traceparent: unknown, tracestate: unknown): TraceContext {
  const spanId = randomHex(8);
  const match = typeof traceparent === 'string' && traceparent.length <= 128 ? TRACEPARENT.exec(traceparent) : null;
  const [, version, traceId, parentId, flags, rest] = match ?? [];
  const valid = traceId !== undefined && version !== 'ff' && traceId !== ZERO_TRACE && parentId !== ZERO_SPAN;
  if (!valid || (version === '00' && rest !== undefined)) return { traceId: randomHex(16), spanId, flags: '01' };
  const state = typeof tracestate === 'string' && TRACESTATE.test(tracestate) ? tracestate : undefined;
  return { traceId, spanId, flags: flags ?? '01', ...(state !== undefined && { state }) };
}

/** The `traceparent` for the server: the gateway's span is its parent. */
export function traceparentOf(trace: TraceContext): string {
  return `00-${trace.traceId}-${trace.spanId}-${trace.flags}`;
}

/** The outermost stage: logs one line at the settlement of each call, with the id of the call and of the trace. */
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
