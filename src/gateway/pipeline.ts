// Runs calls of any kind: the stages that every call passes, in their order, and the one end that gives its frames to the adapter of its caller.
import { type AuditLog, auditStage, commitStage } from '../audit/audit-log.ts';
import type { Call } from '../core/call.ts';
import { type CallContext, compose, type Handler, type Stage } from '../core/call-context.ts';
import { type CancelSignal, untilCancelled } from '../core/cancellation.ts';
import { GatewayError, toGatewayError } from '../core/errors.ts';
import type { FinalReply, Reply, StreamReply } from '../core/reply.ts';
import { authorizeStage } from '../policy/policy.ts';
import { admitStage, type InFlightMemory, quotaStage } from '../quota/in-flight-memory.ts';
import type { Logger } from '../telemetry/logger.ts';
import { traceStage } from '../telemetry/trace.ts';
import { type Watcher, watchStage } from './watcher.ts';
import type { JsonValue } from '../core/json.ts';

/** A kind of call, for example MCP requests: how its names are looked up, and how it is answered. */
export interface CallKind {
  /** Looks up what the call names, and writes it into the context. A promise only where it waits. Throws GatewayError where the call is malformed. */
  resolve(call: Call, ctx: CallContext): Promise<void> | undefined;
  /** Answers the call. Throws GatewayError. */
  dispatch(call: Call, ctx: CallContext): Promise<Reply>;
  /** The error for a name that is not offered. A call that policy denies gets the same one, but for `detail`, which only the operator sees. */
  unknown(call: Call, ctx: CallContext, detail?: string): GatewayError;
}

export interface PipelineParts {
  readonly logger: Logger;
  readonly audit: Pick<AuditLog, 'append'>;
  readonly memory: InFlightMemory;
  /** Aborted when the gateway stops. */
  readonly stopping: CancelSignal;
  readonly watcher?: Watcher | undefined;
  /** By `Call.kind`. */
  readonly kinds: Readonly<Record<string, CallKind>>;
}

/**
 * Composes the stages, the outermost first. Audit is outside the stages that can refuse a call, so that it records refusals too. Commit
 * writes the intent and is the last, so that no server gets a call before its record is written.
 */
export function buildPipeline({ logger, audit, memory, watcher, stopping, kinds }: PipelineParts): Handler {
  return compose(
    [
      /* watch     */ ...(watcher ? [watchStage(watcher)] : []),
      /* trace     */ traceStage(logger),
      /* audit     */ auditStage(audit),
      /* admit     */ admitStage(memory, stopping),
      /* resolve   */ resolveStage(kinds),
      /* authorize */ authorizeStage((call, ctx, detail) => kindOf(kinds, call).unknown(call, ctx, detail)),
      /* quota     */ quotaStage(memory),
      /* commit    */ commitStage(audit),
    ],
    /* dispatch  */ (call, ctx) => kindOf(kinds, call).dispatch(call, ctx),
  );
}

function resolveStage(kinds: PipelineParts['kinds']): Stage {
  return (call, ctx, next) => {
    const resolving = kindOf(kinds, call).resolve(call, ctx);
    return resolving ? resolving.then(() => next(call, ctx)) : next(call, ctx);
  };
}

function kindOf(kinds: PipelineParts['kinds'], { kind }: Call): CallKind {
  const found = kinds[kind];
  if (!found) throw new GatewayError('internal', `The pipeline knows no calls of the kind "${kind}".`);
  return found;
}

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
  const forgetCaller = signal.onAbort(() => stream.end('cancelled'));
  const forgetEnding = ending.onAbort(() => {
    cut = new GatewayError('gateway_closed', 'The gateway stopped before the stream was at its end.');
    stream.end('shutdown');
  });
  try {
    const last = await untilCancelled(
      stream.pipe((frame) => sink.frame?.(frame)),
      signal,
    );
    return { last, cut };
  } finally {
    forgetCaller();
    forgetEnding();
  }
}
