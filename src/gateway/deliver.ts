// Runs a call of any kind through the pipeline, and gives its frames to the adapter that the call came from.
import type { Call } from '../core/call.ts';
import type { CallContext } from '../core/call-context.ts';
import type { CancelSignal } from '../core/cancellation.ts';
import { GatewayError, toGatewayError } from '../core/errors.ts';
import type { JsonValue } from '../core/json.ts';
import type { FinalReply, StreamReply } from '../core/reply.ts';
import type { Handler } from '../core/stage.ts';

/** Sends the frames of one call to its caller, in the caller's dialect. A downstream adapter makes one for each call. */
export interface Sink<Last> {
  /** Sends a frame of a stream, but not the last one; absent where the dialect has no streams. */
  frame?(frame: JsonValue): void | Promise<void>;
  /** Sends the last frame of a call that was answered. */
  end(reply: FinalReply): Last | Promise<Last>;
  /** Sends the last frame of a call that failed. */
  fail(error: GatewayError): Last | Promise<Last>;
}

export interface Delivery<Last> {
  readonly ctx: CallContext;
  readonly handle: Handler;
  /** Aborted when the gateway stops and no longer waits for calls in flight. */
  readonly ending: CancelSignal;
  readonly sink: Sink<Last>;
}

/**
 * Runs the call, settles it exactly once, and then gives the sink the last frame: the reply, or an error where the call or its settlement
 * failed. Resolves with what the sink returns for the last frame.
 */
export async function deliver<Last>(call: Call, delivery: Delivery<Last>): Promise<Last> {
  const { ctx, handle, sink } = delivery;
  let reply: FinalReply;
  try {
    const handled = await handle(call, ctx);
    reply = handled.kind === 'stream' ? await pipe(call, handled, delivery) : handled;
  } catch (thrown) {
    const failure = toGatewayError(thrown);
    return sink.fail((await ctx.failed(failure)) ?? failure);
  }
  const failure = await ctx.answered(reply);
  return failure ? sink.fail(failure) : sink.end(reply);
}

/** Sends the frames of a stream but the last, and returns the last. */
async function pipe<Last>({ signal }: Call, reply: StreamReply, { ending, sink }: Delivery<Last>): Promise<FinalReply> {
  if (!sink.frame)
    throw new GatewayError('internal', 'The call was answered with a stream, which its caller cannot be sent.');
  const stops = [signal.onAbort(() => reply.end('cancelled')), ending.onAbort(() => reply.end('shutdown'))];
  try {
    return await reply.pipe((frame) => sink.frame?.(frame));
  } finally {
    for (const stop of stops) stop();
  }
}
