// The one way of a call from its beginning to its last frame, whatever kind it is and whoever waits for it.
import type { Call } from '../core/call.ts';
import type { CallContext } from '../core/call-context.ts';
import type { CancelSignal } from '../core/cancellation.ts';
import { GatewayError, toGatewayError } from '../core/errors.ts';
import type { JsonValue } from '../core/json.ts';
import type { FinalReply, StreamReply } from '../core/reply.ts';
import type { Handler } from '../core/stage.ts';
import { untilCancelled } from '../core/wait.ts';

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
  let cut: GatewayError | undefined;
  try {
    const handled = await handle(call, ctx);
    if (handled.kind === 'stream') ({ last: reply, cut } = await pipe(call, handled, delivery));
    else reply = handled;
  } catch (thrown) {
    const failure = toGatewayError(thrown);
    return sink.fail((await ctx.failed(failure)) ?? failure);
  }
  const failure = cut ? await ctx.failed(cut) : await ctx.answered(reply);
  return failure ? sink.fail(failure) : sink.end(reply);
}

/**
 * Sends a stream up to its last frame. Where the gateway stops, the stream ends early but well-formed, and `cut` says so for the record.
 * Throws `cancelled` as soon as the caller is gone: nobody waits for the last frame then.
 */
async function pipe<Last>(
  { signal }: Call,
  stream: StreamReply,
  { ending, sink }: Delivery<Last>,
): Promise<{ last: FinalReply; cut: GatewayError | undefined }> {
  if (!sink.frame)
    throw new GatewayError('internal', 'The call was answered with a stream, which its caller cannot be sent.');
  let cut: GatewayError | undefined;
  const stops = [
    signal.onAbort(() => stream.end('cancelled')),
    ending.onAbort(() => {
      cut = new GatewayError('gateway_closed', 'The gateway stopped before the stream was at its end.');
      stream.end('shutdown');
    }),
  ];
  try {
    const last = await untilCancelled(
      stream.pipe((frame) => sink.frame?.(frame)),
      signal,
    );
    return { last, cut };
  } finally {
    for (const stop of stops) stop();
  }
}
