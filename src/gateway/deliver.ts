// Runs a call of any kind through the pipeline, and gives its frames to the adapter that the call came from.
import type { Call } from '../core/call.ts';
import type { CallContext } from '../core/call-context.ts';
import type { CancelSignal } from '../core/cancellation.ts';
import { GatewayError, toGatewayError } from '../core/errors.ts';
import type { JsonValue } from '../core/json.ts';
import type { FinalReply, StreamReply } from '../core/reply.ts';
import type { Handler } from '../core/stage.ts';
import { untilCancelled } from '../core/wait.ts';

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
 * Sends the frames of a stream but the last, and returns the last. If the gateway stops, the stream ends early but well-formed, and `cut`
 * tells the record so. Throws `cancelled` as soon as the caller cancels: it does not read the last frame.
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
