// The whole engine of the pipeline: a stage, and how stages become one handler.
import type { Call } from './call.ts';
import type { CallContext } from './call-context.ts';
import type { Reply } from './reply.ts';

/** Answers a call, or throws a GatewayError. */
export type Handler = (call: Call, ctx: CallContext) => Promise<Reply>;

/** One concern around a call. It may refuse (throw), pass the call on, look at what came back, and listen for the settlement. */
export type Stage = (call: Call, ctx: CallContext, next: Handler) => Promise<Reply>;

/** Makes one handler of stages, outermost first, around the last. */
export function compose(stages: readonly Stage[], last: Handler): Handler {
  return stages.reduceRight<Handler>((next, stage) => (call, ctx) => stage(call, ctx, next), last);
}
