// The one way of a call from its beginning to its last frame, whatever kind it is and whoever waits for it.
import type { Call } from '../core/call.ts';
import type { CallContext } from '../core/call-context.ts';
import type { CancelSignal } from '../core/cancellation.ts';
import { GatewayError, toGatewayError } from '../core/errors.ts';
import type { JsonValue } from '../core/json.ts';
import type { FinalReply, StreamReply } from '../core/reply.ts';
import type { Handler } from '../core/stage.ts';

/** Takes the frames of one call, in the dialect of whoever waits for it. */
export interface Sink<Last> {
  /** A frame of a stream before the last one; absent where the dialect has no streams. */
  frame?(frame: JsonValue): void | Promise<void>;
  /** The last frame of a call that was answered. */
  end(reply: FinalReply): Last | Promise<Last>;
  /** The last frame of a call that failed. */
  fail(error: GatewayError): Last | Promise<Last>;
}

export interface Delivery<Last> {
  readonly ctx: CallContext;
  readonly handle: Handler;
  /** Aborted when calls in flight are cut short. */
  readonly ending: CancelSignal;
  readonly sink: Sink<Last>;
}

/**
 * Runs a call through the pipeline, settles it exactly once, and then gives the sink its last frame; where the settlement fails, that is an
 * error. Resolves with what the sink makes of the last frame.
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

/** Sends a stream up to its last frame, which is returned. */
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
