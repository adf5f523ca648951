// The pipeline's types: a stage, a handler, and the composition of stages into one handler.
import type { Call } from './call.ts';
import type { CallContext } from './call-context.ts';
import type { Reply } from './reply.ts';

/** Answers a call, or throws a GatewayError. */
export type Handler = (call: Call, ctx: CallContext) => Promise<Reply>;

/** One concern of a call. A stage may refuse the call (throw), pass it on, read the reply, and listen for the settlement. */
export type Stage = (call: Call, ctx: CallContext, next: Handler) => Promise<Reply>;

/** Composes stages, the outermost first, and the last handler into one handler. */
export function compose(stages: readonly Stage[], last: Handler): Handler {
  return stages.reduceRight<Handler>((next, stage) => (call, ctx) => stage(call, ctx, next), last);
}
